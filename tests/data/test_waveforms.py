"""The cache: written aside, verified when opened, refused when damaged."""

import gc
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clar_sweeps.data.waveforms import (
    METADATA_FILE,
    SAMPLES_FILE,
    SPLITS,
    ClipFile,
    Listing,
    Split,
    Waveforms,
    build_cache,
    open_cache,
    verify_cache,
)
from clar_sweeps.errors import DataError

REMEDY = "clar-sweep data prepare tiny"


def tiny_listing(folder: Path) -> Listing:
    """Six clips of 10 samples; clip i holds the value i."""
    clips = []
    splits: tuple[Split, ...] = ("train", "train", "valid", "train", "test", "valid")
    for index, split in enumerate(splits):
        path = folder / f"{index}.wav"
        soundfile.write(path, np.full(10, index, dtype=np.int16), 16_000)
        clips.append(ClipFile(path, path.name, "ba"[index % 2], f"speaker-{split}", split))
    return Listing(clips, clip_length=10, required_sample_rate=16_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_cache(tmp_path / "tiny", tiny_listing, remedy=REMEDY)
    return tmp_path / "tiny"


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_cache(folder, remedy=REMEDY)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert message.endswith(f"'{REMEDY}'")
    return message


def test_cache_holds_what_was_listed(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    assert tiny.samples.tolist() == [[index] * 10 for index in range(6)]
    assert tiny.class_names == ("a", "b")
    assert tiny.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert tiny.labels.dtype == np.int64
    assert tiny.speakers[2] == "speaker-valid"
    assert tiny.clip_names[5] == "5.wav"
    assert tiny.sample_rate == 16_000


def test_indices_partition_the_clips(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    assert tiny.indices("train").tolist() == [0, 1, 3]
    assert tiny.indices("valid").tolist() == [2, 5]
    assert tiny.indices("test").tolist() == [4]


def test_indices_refuse_an_unknown_split(folder: Path) -> None:
    with pytest.raises(ValueError, match="'dev' is not one of 'train', 'valid', 'test'"):
        open_cache(folder, remedy=REMEDY).indices("dev")  # type: ignore[arg-type]


def test_samples_are_mapped_and_cannot_be_written(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    assert type(tiny.samples) is np.memmap
    assert tiny.samples.mode == "r"
    with pytest.raises(ValueError, match="read-only"):
        tiny.samples[:] = 99


def test_second_build_reads_the_cache_and_lists_nothing(folder: Path) -> None:
    def fail(_: Path) -> Listing:
        raise AssertionError("made again")

    first = open_cache(folder, remedy=REMEDY)
    assert build_cache(folder, fail, remedy=REMEDY).digest == first.digest


def test_digest_depends_on_a_single_sample(tmp_path: Path, folder: Path) -> None:
    def changed(source: Path) -> Listing:
        listing = tiny_listing(source)
        soundfile.write(listing.clips[3].path, np.array([7], dtype=np.int16), 16_000)
        return listing

    other = build_cache(tmp_path / "other", changed, remedy=REMEDY)
    assert other.digest != open_cache(folder, remedy=REMEDY).digest


def test_absent_cache_is_refused(tmp_path: Path) -> None:
    assert "not prepared; run" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("num_bytes", [0, 50, 200])
def test_truncated_samples_are_refused(folder: Path, num_bytes: int) -> None:
    with (folder / SAMPLES_FILE).open("r+b") as file:
        file.truncate(num_bytes)
    assert "damaged" in refusal(folder)


def test_samples_that_are_too_long_are_refused(folder: Path) -> None:
    with (folder / SAMPLES_FILE).open("ab") as file:
        file.write(b"\0")
    assert "waveforms.npy has 249 bytes, expected 248" in refusal(folder)


def test_samples_of_another_shape_are_refused(folder: Path) -> None:
    np.save(folder / SAMPLES_FILE, np.zeros((6, 9), dtype=np.int16))
    assert "is int16 (6, 9), expected int16 (6, 10)" in refusal(folder)


@pytest.mark.parametrize(
    "header",
    [
        *(b"{'descr': '<i2', 'fortran_order': False, (((", b"{'descr'\n  \n 'x", b"(" * 118),
        *(b"{'descr': '<i2', 'fortran_order': False, 'shape': (6, 10, ), 'more': 1}", b"", b"\xff"),
    ],
)
def test_a_damaged_header_is_refused_and_made_again(folder: Path, header: bytes) -> None:
    expected = open_cache(folder, remedy=REMEDY).digest
    with (folder / SAMPLES_FILE).open("r+b") as file:
        file.seek(10)
        file.write(header.ljust(118))
    assert "damaged: " in refusal(folder)
    with pytest.raises(DataError, match=r"damaged: .*; delete the folder and run"):
        verify_cache(folder, remedy=REMEDY)
    assert build_cache(folder, tiny_listing, remedy=REMEDY).digest == expected


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\x80\x04K\x01", b"\x93NUMPY\x02"])
def test_an_array_file_of_another_kind_is_refused(folder: Path, magic: bytes) -> None:
    with (folder / SAMPLES_FILE).open("r+b") as file:
        file.write(magic)
    assert "damaged: " in refusal(folder)


def test_rows_that_lie_in_columns_are_refused(folder: Path) -> None:
    np.save(folder / SAMPLES_FILE, np.zeros((6, 10), dtype=np.int16, order="F"))
    assert "is an array of another form, expected rows" in refusal(folder)


def test_metadata_nested_too_deep_are_refused_and_made_again(folder: Path) -> None:
    expected = open_cache(folder, remedy=REMEDY).digest
    (folder / METADATA_FILE).write_text("[" * 100_000)
    assert "damaged: maximum recursion depth exceeded" in refusal(folder)
    assert build_cache(folder, tiny_listing, remedy=REMEDY).digest == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 0}'])
def test_metadata_that_are_no_metadata_are_refused(folder: Path, text: str) -> None:
    (folder / METADATA_FILE).write_text(text)
    assert "damaged" in refusal(folder)


def test_changed_metadata_are_refused(folder: Path) -> None:
    metadata = json.loads((folder / METADATA_FILE).read_text())
    metadata["labels"][0] = 0
    (folder / METADATA_FILE).write_text(json.dumps(metadata))
    assert "does not match its own digest" in refusal(folder)


def test_missing_file_is_refused(folder: Path) -> None:
    (folder / SAMPLES_FILE).unlink()
    assert "damaged" in refusal(folder)


def test_verify_finds_a_changed_sample(folder: Path) -> None:
    verify_cache(folder, remedy=REMEDY)
    with (folder / SAMPLES_FILE).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    open_cache(folder, remedy=REMEDY)
    with pytest.raises(DataError, match=r"waveforms.npy has sha256 .* delete the folder and run"):
        verify_cache(folder, remedy=REMEDY)


def test_visibly_damaged_cache_is_made_again(folder: Path) -> None:
    expected = open_cache(folder, remedy=REMEDY).digest
    (folder / SAMPLES_FILE).write_bytes(b"")
    assert build_cache(folder, tiny_listing, remedy=REMEDY).digest == expected


def test_clips_that_differ_from_their_manifest_are_refused(tmp_path: Path) -> None:
    def listing(source: Path) -> Listing:
        return tiny_listing(source)._replace(expected_sha256="0" * 64)

    with pytest.raises(DataError, match="expected 000000000000…"):
        build_cache(tmp_path / "tiny", listing, remedy=REMEDY)
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("empty", SPLITS)
def test_a_split_without_clips_is_refused(tmp_path: Path, empty: Split) -> None:
    def listing(source: Path) -> Listing:
        whole = tiny_listing(source)
        return whole._replace(clips=[clip for clip in whole.clips if clip.split != empty])

    message = rf"clips of .*: none is in split {empty} \(.*0 {empty}.*\), expected some in each; re"
    with pytest.raises(DataError, match=message):
        build_cache(tmp_path / "tiny", listing, remedy=REMEDY)
    assert not (tmp_path / "tiny").exists()


def test_failed_preparation_leaves_nothing(tmp_path: Path) -> None:
    def broken(source: Path) -> Listing:
        listing = tiny_listing(source)
        listing.clips[4].path.write_bytes(b"")
        return listing

    with pytest.raises(DataError, match=r"4\.wav: cannot be decoded"):
        build_cache(tmp_path / "tiny", broken, remedy=REMEDY)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.lock"]


def test_killed_preparation_leaves_no_cache_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from clar_sweeps.data.waveforms import build_cache

def die(source):
    (source / "half.wav").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

build_cache(Path(sys.argv[1]), die, remedy="")
"""
    folder = tmp_path / "tiny"
    killed = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".tiny.partial-*"))) == 1
    assert not folder.exists()
    tiny: Waveforms = build_cache(folder, tiny_listing, remedy=REMEDY)
    assert len(tiny.samples) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny", "tiny.lock"]


def test_a_kill_while_the_old_cache_is_deleted_leaves_the_one_made_last(folder: Path) -> None:
    program = """
import os, shutil, signal, sys
from pathlib import Path
from test_waveforms import REMEDY, build_cache, tiny_listing

deleted = shutil.rmtree

def die_at_a_cache(path, **options):
    if (Path(path) / "metadata.json").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    deleted(path, **options)

shutil.rmtree = die_at_a_cache
build_cache(Path(sys.argv[1]), tiny_listing, remedy=REMEDY, fingerprint="other")
"""
    command = [sys.executable, "-c", program, str(folder)]
    killed = subprocess.run(command, check=False, cwd=Path(__file__).parent)
    assert killed.returncode == -signal.SIGKILL
    open_cache(folder, remedy=REMEDY, fingerprints=("other",))
    assert len(list(folder.parent.glob(".tiny.*"))) == 1
    build_cache(folder, tiny_listing, remedy=REMEDY, fingerprint="other")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny", "tiny.lock"]


def test_progress_ends_at_the_number_of_clips(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    build_cache(
        tmp_path / "tiny", tiny_listing, remedy=REMEDY, progress=lambda *now: seen.append(now)
    )
    assert seen[-1] == ("decode", 6, 6)


def test_read_gives_rows_in_the_order_asked(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    for order in ([4, 0, 5, 0, 2], [], [3]):
        clips = np.array(order, dtype=np.int64)
        rows = tiny.read(clips)
        assert rows.dtype == np.int16
        assert np.array_equal(rows, tiny.samples[clips])
    # A write to the result stays in the result.
    tiny.read(np.array([1]))[:] = 99
    assert tiny.read(np.array([1])).tolist() == [[1] * 10]
    assert tiny.samples_path == folder / SAMPLES_FILE


@pytest.mark.parametrize("position", [-1, 6])
def test_read_refuses_a_clip_that_is_not_there(folder: Path, position: int) -> None:
    with pytest.raises(
        IndexError, match=rf"clips: 0 to {position}|clips: -1 to 0, expected 0 to 5"
    ):
        open_cache(folder, remedy=REMEDY).read(np.array([0, position]))


def test_read_says_that_the_file_became_shorter(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    os.truncate(folder / SAMPLES_FILE, 200)
    with pytest.raises(DataError, match=r"waveforms\.npy: 200 bytes, expected 248: changed"):
        tiny.read(np.array([5]))


def test_read_gives_the_clips_that_were_opened_also_when_the_cache_is_made_again(
    folder: Path,
) -> None:
    def others(source: Path) -> Listing:
        listing = tiny_listing(source)
        for clip in listing.clips:
            soundfile.write(clip.path, np.full(10, 99, dtype=np.int16), 16_000)
        return listing

    old = open_cache(folder, remedy=REMEDY)
    renamed = old.with_classes(lambda _: "a", ("a",))
    new = build_cache(folder, others, remedy=REMEDY, fingerprint="others")
    for waveforms in (old, renamed):
        assert (
            waveforms.read(np.array([4])).tolist() == [[4] * 10] == [waveforms.samples[4].tolist()]
        )
    assert new.read(np.array([4])).tolist() == [[99] * 10]


def test_the_file_is_closed_with_the_last_that_reads_it(folder: Path) -> None:
    def num_open() -> int:
        samples = os.path.realpath(folder / SAMPLES_FILE)
        return sum(os.path.realpath(one) == samples for one in Path("/proc/self/fd").iterdir())

    renamed = open_cache(folder, remedy=REMEDY).with_classes(lambda _: "a", ("a",))
    gc.collect()
    assert renamed.read(np.array([3])).tolist() == [[3] * 10]
    assert num_open() > 0
    del renamed
    gc.collect()
    assert num_open() == 0


def test_threads_read_at_once_and_get_their_own_rows(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-9, 9, (100, 2_000)).astype(np.int16)

    def listing(source: Path) -> Listing:
        clips = []
        for index, row in enumerate(samples):
            soundfile.write(source / f"{index}.wav", row, 16_000)
            clips.append(ClipFile(source / f"{index}.wav", f"{index}", "a", "b", SPLITS[index % 3]))
        return Listing(clips, clip_length=2_000, required_sample_rate=16_000)

    big = build_cache(tmp_path / "big", listing, remedy=REMEDY)
    orders = [np.random.default_rng(seed).integers(0, 100, 200) for seed in range(32)]
    with ThreadPoolExecutor(8) as pool:
        for order, rows in zip(orders, pool.map(big.read, orders), strict=True):
            assert np.array_equal(rows, samples[order])


def test_all_classes_of_a_dataset_are_kept_also_those_without_a_clip(tmp_path: Path) -> None:
    def listing(source: Path) -> Listing:
        return tiny_listing(source)._replace(class_names=("0", "a", "aa", "b"))

    tiny = build_cache(tmp_path / "tiny", listing, remedy=REMEDY)
    assert tiny.class_names == ("0", "a", "aa", "b")
    assert tiny.labels.tolist() == [3, 1, 3, 1, 3, 1]


def test_other_classes_by_name_change_labels_and_digest_only(folder: Path) -> None:
    tiny = open_cache(folder, remedy=REMEDY)
    other = tiny.with_classes(lambda name: "low" if name < "3" else "top", ("low", "mid", "top"))
    assert other.labels.tolist() == [0, 0, 0, 2, 2, 2]
    assert other.class_names == ("low", "mid", "top")
    assert other.digest != tiny.digest
    assert other.samples is tiny.samples
    assert other.splits == tiny.splits


def test_the_digest_is_that_of_the_clips_not_of_their_origin(tmp_path: Path, folder: Path) -> None:
    def listing(source: Path) -> Listing:
        return tiny_listing(source)._replace(fingerprints=("f",), archives=("a sha256:0",))

    other = build_cache(tmp_path / "other", listing, remedy=REMEDY, fingerprint="g")
    assert other.digest == open_cache(folder, remedy=REMEDY).digest
    for fingerprints in [("f",), ("g",), ("h", "g"), ()]:
        open_cache(tmp_path / "other", remedy=REMEDY, fingerprints=fingerprints)
    with pytest.raises(DataError, match="made from other recordings than are there now; run"):
        open_cache(tmp_path / "other", remedy=REMEDY, fingerprints=("h", "i"))


def test_verify_tells_its_progress(folder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    verify_cache(folder, remedy=REMEDY, progress=lambda *now: seen.append(now))
    assert seen == [("check", 120, 120)]
