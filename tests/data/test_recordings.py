"""Where recordings come from: given, found, or downloaded, then unpacked; what is left behind."""

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_server import ArchiveServer

from clar_sweeps import data
from clar_sweeps.data import download, fsdd, space
from clar_sweeps.data.fingerprint import fingerprint_of, sound_files
from clar_sweeps.errors import DataError

TOP = "free-spoken-digit-dataset-1.0.10"


def write_fsdd_archive(recordings: Path, archive: Path) -> Path:
    """As GitHub writes it: one folder on top."""
    with tarfile.open(archive, "w:gz") as file:
        file.add(recordings, f"{TOP}/recordings")
    return archive


@pytest.fixture
def archive(tiny_fsdd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of the tiny recordings, which lie nowhere else."""
    archive = write_fsdd_archive(tiny_fsdd, tmp_path / fsdd.ARCHIVE.file_name)
    shutil.rmtree(tiny_fsdd.parent)
    monkeypatch.delenv(data.DATA_VARIABLE)
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    return archive


@pytest.fixture
def served(archive: Path, server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> ArchiveServer:
    """A server that offers the archive in the place of the official one."""
    content = archive.read_bytes()
    server.files["/v1.0.10.tar.gz"] = content
    source = data.DATASETS["fsdd"]
    address = fsdd.ARCHIVE._replace(
        url=server.url("/v1.0.10.tar.gz"), checksum=f"sha256:{hashlib.sha256(content).hexdigest()}"
    )
    monkeypatch.setitem(data.DATASETS, "fsdd", source._replace(archives=(address,)))
    archive.unlink()
    return server


def refusal(**arguments: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.prepare("fsdd", **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def caches(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_download_ends_in_a_cache_and_leaves_nothing_else(
    cache: Path, served: ArchiveServer
) -> None:
    phases: list[str] = []
    waveforms = data.prepare("fsdd", progress=lambda phase, *_: phases.append(phase.split()[0]))
    assert waveforms.samples.shape == (40, 16_000)
    assert list(dict.fromkeys(phases)) == ["download", "check", "unpack", "decode"]
    assert [path.name for path in (cache / "downloads").iterdir()] == []
    assert caches(cache) == ["downloads", "fsdd-v1", "fsdd-v1.lock"]
    data.prepare("fsdd")
    assert len(served.asked) == 1


def test_equal_recordings_have_one_digest_wherever_they_come_from(
    cache: Path, tiny_fsdd: Path, served: ArchiveServer, tmp_path: Path
) -> None:
    downloaded = data.prepare("fsdd").digest
    content = served.files["/v1.0.10.tar.gz"]
    archive = tmp_path / "given" / "any-name"
    archive.parent.mkdir()
    archive.write_bytes(content)
    shutil.rmtree(data.cache_folder("fsdd"))
    assert data.prepare("fsdd", source=archive).digest == downloaded
    with tarfile.open(archive) as file:
        file.extractall(archive.parent, filter="data")
    shutil.rmtree(data.cache_folder("fsdd"))
    assert data.prepare("fsdd", source=archive.parent).digest == downloaded
    assert len(served.asked) == 1


def test_the_cache_of_a_download_serves_the_same_recordings_at_hand(
    cache: Path, served: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.prepare("fsdd")
    made = (data.cache_folder("fsdd") / "metadata.json").stat().st_mtime_ns
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(served.files["/v1.0.10.tar.gz"])
    shutil.unpack_archive(archive, tmp_path / "data", filter="data")
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path / "data"))
    data.prepare("fsdd")
    assert (data.cache_folder("fsdd") / "metadata.json").stat().st_mtime_ns == made


def test_the_archives_address_and_sha256_are_kept_with_the_cache(
    cache: Path, served: ArchiveServer
) -> None:
    data.prepare("fsdd")
    sha256 = hashlib.sha256(served.files["/v1.0.10.tar.gz"]).hexdigest()
    metadata = (data.cache_folder("fsdd") / "metadata.json").read_text()
    assert f"{served.url('/v1.0.10.tar.gz')} sha256:{sha256}" in metadata


def test_a_preparation_goes_on_where_its_download_was_cut(
    cache: Path, served: ArchiveServer
) -> None:
    served.faults.extend(["cut", "cut at once", "cut at once"])
    assert "the same command goes on from there" in refusal()
    size = len(served.files["/v1.0.10.tar.gz"])
    served.asked.clear()
    assert len(data.prepare("fsdd").samples) == 40
    assert [asked.start for asked in served.asked] == [size // 2]


def test_an_archive_without_a_known_checksum_that_is_damaged_is_downloaded_again(
    cache: Path, served: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = data.DATASETS["fsdd"]
    unknown = source.archives[0]._replace(checksum=None)
    monkeypatch.setitem(data.DATASETS, "fsdd", source._replace(archives=(unknown,)))
    served.faults.append("says nothing and cuts")
    message = refusal()
    assert "damaged (Compressed file ended before the end-of-stream marker" in message
    assert "the file is removed: run it again" in message
    assert len(data.prepare("fsdd").samples) == 40


PROGRAM = """
import os, signal, sys
from clar_sweeps import data
from clar_sweeps.data import fsdd

source = data.DATASETS["fsdd"]
url, checksum = sys.argv[1:3]
data.DATASETS["fsdd"] = source._replace(
    archives=(fsdd.ARCHIVE._replace(url=url, checksum=checksum),)
)
if sys.argv[3:] == ["dies"]:
    fsdd.list_clips = lambda _: os.kill(os.getpid(), signal.SIGKILL)
print(data.prepare("fsdd").digest)
"""


def start(*arguments: str) -> "subprocess.Popen[str]":
    """A process that prepares fsdd from where the served one is."""
    address = data.DATASETS["fsdd"].archives[0]
    command = [sys.executable, "-c", PROGRAM, address.url, str(address.checksum), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_at_once_download_once(cache: Path, served: ArchiveServer) -> None:
    processes = [start() for _ in range(4)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert len({stdout for stdout, _ in outputs}) == 1
    assert len(served.asked) == 1


def test_a_process_killed_after_the_download_does_not_download_again(
    cache: Path, served: ArchiveServer
) -> None:
    process = start("dies")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, stderr
    assert len(served.asked) == 1
    work = cache / "downloads" / "fsdd-v1"
    # The archive itself is gone as soon as it is unpacked.
    names = {"files", f"{fsdd.ARCHIVE.file_name}.unpacked"}
    assert {path.name for path in work.iterdir()} == names
    assert len(data.prepare("fsdd").samples) == 40
    assert len(served.asked) == 1
    assert not work.exists()


def test_a_given_archive_stays_and_its_unpacked_files_go(cache: Path, archive: Path) -> None:
    before = archive.read_bytes()
    assert len(data.prepare("fsdd", source=archive).samples) == 40
    assert archive.read_bytes() == before
    assert [path.name for path in (cache / "downloads").iterdir()] == []
    # Asked for again, it is not unpacked again.
    phases: list[str] = []
    data.prepare("fsdd", source=archive, progress=lambda phase, *_: phases.append(phase))
    assert phases == []


def test_a_given_archive_of_the_official_name_is_compared_with_its_checksum(
    cache: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = data.DATASETS["fsdd"]

    def know(checksum: str, *, is_fixed: bool) -> None:
        known = fsdd.ARCHIVE._replace(checksum=checksum, is_fixed=is_fixed)
        monkeypatch.setitem(data.DATASETS, "fsdd", source._replace(archives=(known,)))

    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    know("md5:" + "0" * 32, is_fixed=True)
    message = refusal(source=archive)
    size = archive.stat().st_size
    assert message.startswith(f"{archive}: md5 of {size:,} bytes is {md5}, expected {'0' * 32} as")
    assert archive.exists()
    know("md5:" + "0" * 32, is_fixed=False)
    with caplog.at_level(logging.WARNING):
        data.prepare("fsdd", source=archive)
    assert f"{archive}: md5 is {md5}, not {'0' * 32} as in earlier copies" in caplog.text
    shutil.rmtree(data.cache_folder("fsdd"))
    know(f"md5:{md5}", is_fixed=True)
    phases: list[str] = []
    data.prepare("fsdd", source=archive, progress=lambda phase, *_: phases.append(phase.split()[0]))
    assert list(dict.fromkeys(phases)) == ["check", "unpack", "decode"]


def test_an_archive_below_the_data_folder_is_found(
    cache: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(data.DATA_VARIABLE, str(archive.parent))
    assert len(data.prepare("fsdd").samples) == 40
    assert archive.exists()


def test_an_archive_of_something_else_is_refused(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as file:
        file.add(tmp_path / "notes.txt", "notes.txt")
    message = refusal(source=tmp_path / "other.tar.gz")
    assert message == (
        f"fsdd: no recordings in {tmp_path}/other.tar.gz, expected recordings/DIGIT_SPEAKER_INDEX"
        ".wav; give the dataset's own archive as --source"
    )


def test_a_damaged_archive_of_the_user_is_left_where_it_is(cache: Path, archive: Path) -> None:
    os.truncate(archive, 1_000)
    assert f"{archive}: damaged (" in refusal(source=archive)
    assert archive.exists()


@pytest.mark.parametrize("below", ["", "fsdd", "fsdd/recordings/.."])
def test_a_given_folder_is_used_at_its_top_or_one_level_down(
    cache: Path, tiny_fsdd: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE)
    assert len(data.prepare("fsdd", source=tiny_fsdd.parents[1] / below).samples) == 40


def test_a_source_that_is_not_there_is_refused(cache: Path, tmp_path: Path) -> None:
    message = refusal(source=tmp_path / "nothing")
    assert message == (
        f"fsdd: --source {tmp_path}/nothing is not there, expected "
        "recordings/DIGIT_SPEAKER_INDEX.wav; correct the path"
    )


def test_a_folder_of_the_datasets_name_without_recordings_is_refused_not_downloaded_over(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fsdd").mkdir()
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    assert f"fsdd: no recordings in {tmp_path}/fsdd, expected recordings/DIGIT" in refusal()


def test_the_official_folder_name_is_found(
    cache: Path, tiny_fsdd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_fsdd.parent.rename(tiny_fsdd.parents[1] / TOP)
    assert len(data.prepare("fsdd").samples) == 40


def test_a_part_of_a_dataset_is_told(
    cache: Path, tiny_fsdd: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data.prepare("fsdd")
    assert "fsdd: 40 clips are there, the whole dataset has 3,000" in caplog.text


def test_a_large_download_waits_for_the_users_word(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(space, "free_bytes", lambda: 10**12)
    with pytest.raises(DataError) as caught:
        data.prepare("nsynth128")
    assert str(caught.value) == (
        "nsynth128: not prepared, and 25.2 GB are to be downloaded; run 'clar-sweep data prepare "
        "nsynth128' first"
    )


def test_too_little_disk_is_refused_before_the_download(
    cache: Path, served: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda: 50_000_000)
    message = refusal()
    assert f"{cache}: 50 MB are free, expected 126 MB for fsdd; free some space" in message
    assert served.asked == []


def test_what_is_downloaded_already_counts_as_free(
    cache: Path, served: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = cache / "downloads" / "fsdd-v1"
    work.mkdir(parents=True)
    (work / "other.part").write_bytes(bytes(1_000_000))
    monkeypatch.setattr(space, "free_bytes", lambda: 125_500_000)
    assert len(data.prepare("fsdd").samples) == 40


def test_needs_tell_a_download_files_at_hand_and_nothing(
    cache: Path, tiny_fsdd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.needs("fsdd") == data.Needs(0, 0, 40 * 32_000)
    monkeypatch.delenv(data.DATA_VARIABLE)
    assert data.needs("fsdd") == data.Needs(15_000_000, 30_000_000, 96_000_000)
    data.prepare("fsdd", source=tiny_fsdd.parent)
    assert data.needs("fsdd") == data.Needs(0, 0, 0)
    assert data.needs("spoken-digits") == data.Needs(0, 0, 196_000_000)
    nsynth = data.needs("nsynth11")
    assert nsynth.download_bytes == pytest.approx(25.2e9, rel=0.01)
    assert nsynth.cache_bytes == 305_979 * 128_000
    assert nsynth.disk_bytes == pytest.approx(78.5e9, rel=0.01)


def test_own_recordings_are_prepared_and_their_length_is_part_of_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("bell", "horn"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for index in range(10):
            tone = np.full(16_000 + index, 1 + index, dtype=np.int16)
            soundfile.write(tmp_path / "mine" / label / f"{index}.wav", tone, 16_000)
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))

    def prepared_length(clip_seconds: float | None) -> int:
        waveforms = data.prepare("folder", folder="mine", clip_seconds=clip_seconds)
        return int(waveforms.samples.shape[1])

    assert prepared_length(0.5) == 8_000
    assert prepared_length(None) == 8_000, "any cache serves where no length is asked for"
    assert prepared_length(0.25) == 4_000
    assert data.load("folder", folder="mine").class_names == ("bell", "horn")
    assert data.cache_folder("folder", folder="mine") == cache / "folder-mine-v1"
    assert data.prepared_folders() == ["mine"]
    assert data.is_prepared("folder", folder="mine")
    assert not data.is_prepared("folder", folder="yours")
    shutil.rmtree(tmp_path / "mine")
    assert prepared_length(0.25) == 4_000
    with pytest.raises(DataError) as caught:
        prepared_length(0.5)
    assert str(caught.value) == (
        f"clip_seconds: 0.5 is given, but clips of {cache}/folder-mine-v1 have 0.25 s and their "
        "recordings are not at hand; give them as --source, or leave it out"
    )


def test_own_recordings_come_from_an_archive_or_a_list(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    lines = ["path,label"]
    for label in ("bell", "horn"):
        for index in range(10):
            path = tmp_path / "mine" / label / f"{index}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, np.full(100, 1 + index, dtype=np.int16), 16_000)
            lines.append(f"{label}/{index}.wav,{label}")
    (tmp_path / "mine" / "list.csv").write_text("\n".join(lines))
    listed = data.prepare("folder", folder="listed", source=tmp_path / "mine" / "list.csv")
    assert len(listed.samples) == 20
    (tmp_path / "mine" / "list.csv").unlink()
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path, "mine")
    packed = data.prepare("folder", folder="packed", source=Path(archive))
    assert packed.class_names == ("bell", "horn")
    assert len(packed.samples) == 20


def test_a_fingerprint_changes_with_names_sizes_and_lists(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"12")
    (tmp_path / "list.csv").write_text("a.wav,dog")
    seen = [fingerprint_of(tmp_path)]
    (tmp_path / ".hidden").touch()
    assert fingerprint_of(tmp_path) == seen[0]
    (tmp_path / "list.csv").write_text("a.wav,cat")
    seen.append(fingerprint_of(tmp_path))
    (tmp_path / "a.wav").write_bytes(b"123")
    seen.append(fingerprint_of(tmp_path))
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    seen.append(fingerprint_of(tmp_path))
    assert len(set(seen)) == 4


def test_a_fingerprint_changes_with_a_file_of_the_same_size_written_later(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"12")
    os.utime(tmp_path / "a.wav", ns=(10, 10))
    before = fingerprint_of(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"34")
    os.utime(tmp_path / "a.wav", ns=(11, 11))
    after = fingerprint_of(tmp_path)
    assert after.timed != before.timed
    assert after.untimed == before.untimed


@pytest.mark.parametrize("kind", ["folder", "list", "archive"])
def test_own_recordings_made_again_with_the_same_size_are_read_again(
    cache: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "mine"

    def prepare_all_of(value: int) -> data.Waveforms:
        for name in "ab":
            (own / name).mkdir(parents=True, exist_ok=True)
            for index in range(3):
                tone = np.full(100, value, dtype=np.int16)
                soundfile.write(own / name / f"{index}.wav", tone, 16_000)
        source = own
        if kind == "list":
            source = tmp_path / "list.csv"
            rows = [f"mine/{name}/{index}.wav,{name}\n" for name in "ab" for index in range(3)]
            source.write_text("path,label\n" + "".join(rows))
        if kind == "archive":
            source = Path(shutil.make_archive(str(tmp_path / "mine"), "tar", own))
        return data.prepare("folder", folder="mine", source=source)

    assert prepare_all_of(5).samples[0, 0] == 5
    assert prepare_all_of(6).samples[0, 0] == 6
    assert caplog.messages[-1] == (
        f"making the cache again: cache {cache}/folder-mine-v1: made from other recordings than "
        "are there now"
    )


def test_given_recordings_of_a_published_dataset_that_change_are_read_again(
    cache: Path, tiny_fsdd: Path
) -> None:
    first = data.prepare("fsdd")
    made = (data.cache_folder("fsdd") / "metadata.json").stat().st_mtime_ns
    data.prepare("fsdd")
    assert (data.cache_folder("fsdd") / "metadata.json").stat().st_mtime_ns == made
    for path in tiny_fsdd.iterdir():
        samples, sample_rate = soundfile.read(path)
        soundfile.write(path, -samples, sample_rate)
    assert data.prepare("fsdd").digest != first.digest


def test_an_archive_without_recordings_in_classes_is_named_and_leaves_no_folder(
    cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "notes.txt").touch()

    def told() -> str:
        archive = Path(shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path, "flat"))
        with pytest.raises(DataError) as caught:
            data.prepare("folder", folder="mine", source=archive)
        assert list((cache / "downloads").iterdir()) == []
        return str(caught.value)

    assert told().startswith(f"{tmp_path}/mine.zip/flat: holds no recordings, expected at least 2")
    for index in range(10):
        tone = np.ones(100, dtype=np.int16)
        soundfile.write(tmp_path / "flat" / f"{index}.wav", tone, 16_000)
    assert told().startswith(f"{tmp_path}/mine.zip/flat: 10 recordings lie in no class folder, ")


def test_a_sound_file_as_source_is_told_as_such(cache: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.WAV", np.ones(100, dtype=np.int16), 16_000)
    assert refusal(source=tmp_path / "one.WAV") == (
        f"fsdd: --source {tmp_path}/one.WAV is a sound file, expected a folder or an archive; the "
        "layout is recordings/DIGIT_SPEAKER_INDEX.wav"
    )
    with pytest.raises(DataError, match="expected a folder, an archive or a list that ends in"):
        data.prepare("folder", folder="mine", source=tmp_path / "one.WAV")


def test_own_recordings_that_are_nowhere_are_told_with_a_command_that_takes_them(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError) as caught:
        data.prepare("folder", folder="birds")
    assert str(caught.value).startswith(
        f"folder: CLAR_SWEEPS_DATA is {tmp_path}, expected a folder that holds birds/CLASS/"
    )
    remedy = "; run 'clar-sweep data prepare folder --folder birds --source DIR'"
    assert str(caught.value).endswith(remedy)


def test_needs_of_an_official_dataset_in_another_archive_are_a_whole_cache(
    cache: Path, archive: Path
) -> None:
    needs = data.needs("fsdd", source=archive)
    assert needs.cache_bytes == 96_000_000
    assert needs.unpacked_bytes < 1_000_000


def test_links_that_lead_up_or_nowhere_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert fingerprint_of(tmp_path) == fingerprint_of(tmp_path)
    assert sound_files(tmp_path) == [f"{tmp_path}/a.wav"]


@pytest.mark.parametrize("name", ["manifest.csv", "list.csv"])
def test_a_fingerprint_changes_with_the_files_that_a_list_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "a.wav").write_bytes(b"12")
    (tmp_path / "own" / name).write_text("label,Path\ndog,../a.wav\ncat,../b.wav\n")
    # A manifest is taken with its folder, any other list is named itself.
    place = tmp_path / "own" if name == "manifest.csv" else tmp_path / "own" / name
    seen = [fingerprint_of(place)]
    (tmp_path / "c.wav").touch()
    assert fingerprint_of(place) == seen[0]
    (tmp_path / "a.wav").write_bytes(b"123")
    seen.append(fingerprint_of(place))
    (tmp_path / "b.wav").touch()
    seen.append(fingerprint_of(place))
    assert len(set(seen)) == 3
    for text in (b"", b"a,b\n", b"path,label\n\xff,a\n", b'path,label\n"a.wav,a\n', b"path\n\0\n"):
        (tmp_path / "own" / name).write_bytes(text)
        seen.append(fingerprint_of(place))
    assert len(set(seen)) == 8


def test_sounds_that_change_behind_a_list_are_prepared_again(cache: Path, tmp_path: Path) -> None:
    for name in "ab":
        for index in range(3):
            tone = np.full(100, 1 + index, dtype=np.int16)
            soundfile.write(tmp_path / f"{name}{index}.wav", tone, 16_000)
    lines = "".join(f"{name}{index}.wav,{name}\n" for name in "ab" for index in range(3))
    (tmp_path / "list.csv").write_text(f"path,label\n{lines}")
    first = data.prepare("folder", folder="mine", source=tmp_path / "list.csv")
    soundfile.write(tmp_path / "a0.wav", np.full(200, 9, dtype=np.int16), 16_000)
    again = data.prepare("folder", folder="mine", source=tmp_path / "list.csv")
    assert again.samples[0, 0] == 9 != first.samples[0, 0]


def test_needs_of_own_recordings_are_guessed_or_follow_from_the_length(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "data" / "birds"
    for name in ("lark", "wren"):
        (own / name).mkdir(parents=True)
        for index in range(5):
            tone = np.zeros(32_000, dtype=np.int16)
            soundfile.write(own / name / f"{index}.wav", tone, 16_000)
    (own / "lark" / "long.mp3").write_bytes(bytes(10**6))
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    assert data.needs("folder", folder="birds") == data.Needs(0, 0, 0, is_found=False)
    monkeypatch.setenv(data.DATA_VARIABLE, str(own.parent))
    assert data.needs("folder", folder="larks") == data.Needs(0, 0, 0, is_found=False)
    assert data.needs("folder", folder="birds") == data.Needs(0, 0, 11 * 320_000)
    half = data.needs("folder", folder="birds", clip_seconds=0.5)
    assert half == data.Needs(0, 0, 11 * 16_000)
    (own / "lark" / "long.mp3").unlink()
    guessed = data.needs("folder", folder="birds").cache_bytes
    assert guessed == pytest.approx(10 * 64_000, rel=0.01)
    (own / "manifest.csv").write_text("path,label\nlark/0.wav,a\n")
    assert data.needs("folder", folder="birds").cache_bytes == guessed // 10
    archive = Path(shutil.make_archive(str(tmp_path / "birds"), "zip", own))
    size = archive.stat().st_size
    assert data.needs("folder", folder="birds", source=archive) == data.Needs(0, size, size)
