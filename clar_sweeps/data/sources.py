"""All datasets, by name."""

from clar_sweeps.data import (
    esc,
    folder,
    fsdd,
    instrument_notes,
    nsynth,
    speech_commands,
    spoken_digits,
)
from clar_sweeps.data.source import Request, Source, View
from clar_sweeps.data.spoken_digits_speakers import CONDITIONS
from clar_sweeps.data.waveforms import Listing


def _list_spoken_digits(request: Request) -> Listing:
    assert request.condition is not None
    return spoken_digits.list_clips(
        request.work_folder, condition=request.condition, progress=request.progress
    )


def _list_instrument_notes(request: Request) -> Listing:
    return instrument_notes.list_clips(request.work_folder, progress=request.progress)


def _list_folder(request: Request) -> Listing:
    return folder.list_clips(request.given(), clip_seconds=request.clip_seconds)


_SPOKEN_DIGITS = Source(
    name="spoken-digits",
    num_classes=10,
    num_clips=3_000,
    clip_seconds=1,
    description=(
        "Ten digits by 60 synthetic speakers in noise and rooms, 3,000 clips of one second, made "
        "on this machine by espeak-ng; speakers, voices and accents of training, validation and "
        "test are disjoint."
    ),
    licence="made by a program, free to use",
    list_clips=_list_spoken_digits,
    conditions=CONDITIONS,
    default_condition="medium",
    made_bytes=100_000_000,
)

_INSTRUMENT_NOTES = Source(
    name="instrument-notes",
    num_classes=len(instrument_notes.CLASS_NAMES),
    num_clips=3_804,
    clip_seconds=4,
    description=(
        "Notes of 87 synthetic instruments in NSynth's layout, about 3,800 clips of 4 s labelled "
        "with their pitch, made on this machine from a SoundFont; instruments of training, "
        "validation and test are disjoint."
    ),
    licence="made by a program, free to use",
    list_clips=_list_instrument_notes,
    made_bytes=500_000_000,
)

_FSDD = Source(
    name="fsdd",
    num_classes=10,
    num_clips=3_000,
    clip_seconds=1,
    description=(
        "Ten digits by six people, 3,000 recordings at 8 kHz; one speaker is held out for "
        "validation and one for test."
    ),
    licence="CC BY-SA 4.0",
    list_clips=lambda request: fsdd.list_clips(request.given()),
    layout=fsdd.LAYOUT,
    marker="recordings",
    folders=(
        "fsdd",
        "free-spoken-digit-dataset",
        "free-spoken-digit-dataset-1.0.10",
        "free-spoken-digit-dataset-master",
    ),
    archives=(fsdd.ARCHIVE,),
)

_SC10 = Source(
    name="sc10",
    num_classes=10,
    num_clips=23_666,
    clip_seconds=1,
    description=(
        "Speech Commands 0.01, the ten digits: 18,620 / 2,494 / 2,552 recordings of one second "
        "in the official splits."
    ),
    licence="CC BY 4.0",
    list_clips=lambda request: speech_commands.list_sc10(request.given()),
    layout=speech_commands.LAYOUT,
    marker="zero/*_nohash_*.wav",
    folders=("sc10", "speech_commands_v0.01", "SpeechCommands/speech_commands_v0.01"),
    archives=(speech_commands.ARCHIVE_V1,),
)

_SC35 = Source(
    name="sc35",
    num_classes=35,
    num_clips=105_829,
    clip_seconds=1,
    description=(
        "Speech Commands 0.02, all 35 words: 84,843 / 9,981 / 11,005 recordings of one second "
        "in the official splits."
    ),
    licence="CC BY 4.0",
    list_clips=lambda request: speech_commands.list_sc35(request.given()),
    layout=speech_commands.LAYOUT,
    marker="backward/*_nohash_*.wav",
    folders=("sc35", "speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02"),
    archives=(speech_commands.ARCHIVE_V2,),
)

_NSYNTH11 = Source(
    name="nsynth11",
    num_classes=len(nsynth.FAMILIES),
    num_clips=305_979,
    clip_seconds=4,
    description=(
        "NSynth, 305,979 notes of 4 s labelled with the instrument's family; instruments of "
        "training do not occur in validation and test."
    ),
    licence="CC BY 4.0",
    list_clips=lambda request: nsynth.list_clips(request.given()),
    layout=nsynth.LAYOUT,
    marker="nsynth-*/examples.json",
    folders=("nsynth", "nsynth11", "nsynth128"),
    archives=nsynth.ARCHIVES,
    cache="nsynth",
    view=View(nsynth.family_of, nsynth.FAMILIES),
)

_NSYNTH128 = _NSYNTH11._replace(
    name="nsynth128",
    num_classes=len(nsynth.PITCHES),
    description=(
        "NSynth, 305,979 notes of 4 s labelled with their MIDI pitch; instruments of training "
        "do not occur in validation and test."
    ),
    view=View(nsynth.pitch_of, nsynth.PITCHES),
)

_ESC10 = Source(
    name="esc10",
    num_classes=10,
    num_clips=400,
    clip_seconds=5,
    description=(
        "ESC-10, 400 environmental sounds of 5 s; fold 5 tests, and of folds 1-4 about a fifth "
        "of each class, whole recordings, is held out for validation."
    ),
    licence="CC BY 3.0",
    list_clips=lambda request: esc.list_esc10(request.given()),
    layout=esc.LAYOUT,
    marker=esc.INDEX,
    folders=("esc10", "ESC-10", "ESC-10-master", "esc50", "ESC-50", "ESC-50-master"),
    archives=(esc.ARCHIVE,),
)

_ESC50 = _ESC10._replace(
    name="esc50",
    num_classes=50,
    num_clips=2_000,
    description=_ESC10.description.replace("ESC-10, 400", "ESC-50, 2,000"),
    licence="CC BY-NC 3.0",
    list_clips=lambda request: esc.list_esc50(request.given()),
    folders=("esc50", "ESC-50", "ESC-50-master"),
)

_FOLDER = Source(
    name="folder",
    num_classes=None,
    num_clips=None,
    clip_seconds=None,
    description="Your own recordings, in a folder a class below CLAR_SWEEPS_DATA/NAME.",
    licence="that of your recordings",
    list_clips=_list_folder,
    layout=folder.LAYOUT,
)

DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        _SPOKEN_DIGITS,
        _INSTRUMENT_NOTES,
        _FSDD,
        _SC10,
        _SC35,
        _NSYNTH11,
        _NSYNTH128,
        _ESC10,
        _ESC50,
        _FOLDER,
    )
}
