"""The process that speaks the digits: `python -m clar_sweeps.data.spoken_digits_worker`.

It alone loads espeak-ng (GPL-3.0-or-later). It writes the whole set in one fixed order, since a
clip depends on what was spoken before it, and says on stdout how far it is, a line a speaker.
"""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data.espeak import Espeak
from clar_sweeps.data.speech_commands_layout import DIGITS, TESTING_LIST, VALIDATION_LIST
from clar_sweeps.data.spoken_digits_acoustics import (
    CLIP_LENGTH,
    SAMPLE_RATE,
    record,
    resample_as_vocal_tract,
    sample_noise,
    sample_room,
    trim_silence,
)
from clar_sweeps.data.spoken_digits_speakers import (
    CONDITIONS,
    Speaker,
    Take,
    sample_speakers,
    sample_takes,
    stream,
)
from clar_sweeps.errors import DataError

MANIFEST = "MANIFEST.json"


def main() -> None:
    """Parse the command line and write the set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write in")
    parser.add_argument("--condition", choices=CONDITIONS, required=True)
    parser.add_argument("--speakers", type=int, required=True)
    parser.add_argument("--takes", type=int, required=True, help="clips a speaker and word")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--espeak-data", type=Path, help="folder espeak-ng-data of the library")
    try:
        write_set(parser.parse_args())
    except DataError as error:
        sys.exit(str(error))


def write_set(arguments: argparse.Namespace) -> None:
    """Speak all words of all speakers and write them in Speech Commands layout."""
    out: Path = arguments.out
    engine = Espeak(arguments.espeak_data)
    speakers = sample_speakers(
        num_speakers=arguments.speakers, condition=arguments.condition, seed=arguments.seed
    )
    for word in DIGITS:
        (out / word).mkdir(parents=True)
    clips: dict[str, NDArray[np.int16]] = {}
    total = len(speakers) * len(DIGITS) * arguments.takes
    for recorded in _recordings(engine, speakers, arguments):
        clips |= recorded
        # Flushed, so that a worker whose parent was killed ends at its next line.
        print(len(clips), total, flush=True)
    _write_lists(out, speakers, list(clips))
    manifest = _manifest(arguments, engine, speakers, clips)
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def pcm_sha256(clips: dict[str, NDArray[np.int16]]) -> str:
    """Return the sha256 of all samples, little-endian, clips in the order of their names."""
    checksum = hashlib.sha256()
    for name in sorted(clips):
        checksum.update(clips[name].astype("<i2").tobytes())
    return checksum.hexdigest()


def _recordings(
    engine: Espeak, speakers: list[Speaker], arguments: argparse.Namespace
) -> Iterator[dict[str, NDArray[np.int16]]]:
    """Clips of one speaker after the other.

    One speaker is recorded and written while the next one speaks; only this thread speaks.
    """
    with ThreadPoolExecutor(1) as pool:
        previous: Future[dict[str, NDArray[np.int16]]] | None = None
        for speaker in speakers:
            lines = _speak_lines(engine, speaker, arguments.takes, arguments.seed)
            if previous is not None:
                yield previous.result()
            previous = pool.submit(_record, speaker, lines, arguments.seed, arguments.out)
        if previous is not None:
            yield previous.result()


class Line(NamedTuple):
    """One take of one word, spoken and not yet recorded."""

    name: str
    take: Take
    waveform: NDArray[np.float32]


def _speak_lines(engine: Espeak, speaker: Speaker, num_takes: int, seed: int) -> list[Line]:
    lines = []
    for word in DIGITS:
        generator = stream(seed, "takes", speaker.speaker_id, word)
        takes = sample_takes(speaker, num_takes=num_takes, generator=generator)
        for index, take in enumerate(takes):
            name = f"{word}/{speaker.speaker_id}_nohash_{index}.wav"
            lines.append(Line(name, take, _speak(engine, speaker, take, word)))
    return lines


def _record(
    speaker: Speaker, lines: list[Line], seed: int, out: Path
) -> dict[str, NDArray[np.int16]]:
    generator = stream(seed, "acoustics", speaker.speaker_id)
    samples = record(
        speech=np.stack([line.waveform for line in lines]),
        room=sample_room(
            direct_to_reverberant_db=speaker.direct_to_reverberant_db,
            rt60_seconds=speaker.rt60_seconds,
            generator=generator,
        ),
        noise=sample_noise(speaker.noise_type, num_clips=len(lines), generator=generator),
        microphone=speaker.microphone,
        snr_db=np.array([line.take.snr_db for line in lines], dtype=np.float32),
        rms=np.array([10 ** (line.take.level_db / 20) for line in lines], dtype=np.float32),
    )
    for line, row in zip(lines, samples, strict=True):
        _write_wav(out / line.name, row)
    return {line.name: row for line, row in zip(lines, samples, strict=True)}


def _speak(engine: Espeak, speaker: Speaker, take: Take, word: str) -> NDArray[np.float32]:
    spoken = engine.speak(
        word,
        voice=speaker.voice,
        rate=take.rate,
        pitch=take.pitch,
        pitch_range=take.pitch_range,
    )
    waveform = trim_silence(
        resample_as_vocal_tract(
            spoken, sample_rate=engine.sample_rate, factor=speaker.vocal_tract_factor
        )
    )
    # Some voices are ten times as loud as others; the take's level is set at the end.
    waveform = waveform[:CLIP_LENGTH] / np.abs(waveform).max()
    second = np.zeros(CLIP_LENGTH, dtype=np.float32)
    start = round(take.position * (CLIP_LENGTH - len(waveform)))
    second[start : start + len(waveform)] = waveform
    return second


def _write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def _write_lists(out: Path, speakers: list[Speaker], names: list[str]) -> None:
    split_of = {speaker.speaker_id: speaker.split for speaker in speakers}
    for split, file_name in (("valid", VALIDATION_LIST), ("test", TESTING_LIST)):
        listed = [name for name in names if split_of[Path(name).stem.split("_")[0]] == split]
        text = "".join(f"{name}\n" for name in sorted(listed))
        (out / file_name).write_text(text, encoding="utf-8")


def _manifest(
    arguments: argparse.Namespace,
    engine: Espeak,
    speakers: list[Speaker],
    clips: dict[str, NDArray[np.int16]],
) -> dict[str, Any]:
    return {
        "dataset": "spoken-digits",
        "arguments": {
            "condition": arguments.condition,
            "speakers": arguments.speakers,
            "takes": arguments.takes,
            "seed": arguments.seed,
        },
        "versions": {
            "espeak-ng": engine.version,
            "espeakng-loader": importlib.metadata.version("espeakng-loader"),
            "numpy": np.__version__,
            "soxr": importlib.metadata.version("soxr"),
            "python": platform.python_version(),
            "machine": f"{sys.platform} {platform.machine()}",
        },
        "num_clips": len(clips),
        "pcm_sha256": pcm_sha256(clips),
        "speakers": [
            speaker._asdict() | {"microphone": speaker.microphone._asdict()} for speaker in speakers
        ],
    }


if __name__ == "__main__":
    main()
