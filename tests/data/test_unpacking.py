"""Archives: what is written, and what is refused before anything lies outside the folder."""

import gzip
import io
import os
import random
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clar_sweeps.data import unpacking
from clar_sweeps.data.unpacking import DamagedArchiveError, unpack
from clar_sweeps.errors import DataError

FILES = {
    "set/audio/one.wav": random.Random(1).randbytes(3_000_000),
    "set/index.csv": b"one,1\n",
    "set/empty": b"",
}


def member(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def write_tar(path: Path, *, extra: tarfile.TarInfo | None = None, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        file.addfile(member("./set", kind=tarfile.DIRTYPE))
        for name, content in FILES.items():
            file.addfile(member(f"./{name}", size=len(content)), io.BytesIO(content))
        if extra is not None:
            file.addfile(extra, io.BytesIO(b"evil" * extra.size))
    return path


def write_zip(path: Path, *, extra: zipfile.ZipInfo | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("set")
        for name, content in FILES.items():
            file.writestr(name, content)
        if extra is not None:
            file.writestr(extra, b"evil")
    return path


def refusal(archive: Path, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        unpack(archive, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(archive))
    assert "expected" in message or "use the dataset's own archive" in message
    left = [path for path in folder.parent.rglob("*") if path.is_file() and path != archive]
    assert left == [], "something was written"
    return message


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_a_tar_is_unpacked_with_progress_to_its_end(tmp_path: Path, mode: str) -> None:
    archive = write_tar(tmp_path / "set.tar", mode=mode)
    seen: list[tuple[str, int, int]] = []
    unpack(archive, tmp_path / "out", progress=lambda *now: seen.append(now))
    assert content_of(tmp_path / "out") == FILES
    assert {phase for phase, _, _ in seen} == {"unpack set.tar"}
    assert seen == sorted(seen)
    assert 0.9 * archive.stat().st_size < seen[-1][1] <= seen[-1][2] == archive.stat().st_size


def test_a_zip_is_unpacked_with_progress(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "set.zip")
    seen: list[tuple[str, int, int]] = []
    unpack(archive, tmp_path / "out", progress=lambda *now: seen.append(now))
    assert content_of(tmp_path / "out") == FILES
    assert 0.9 * archive.stat().st_size < seen[-1][1] <= archive.stat().st_size


def test_what_is_unpacked_is_left_alone(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "set.zip")
    unpack(archive, tmp_path / "out")
    (tmp_path / "out" / "mine").touch()
    archive.unlink()
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "mine").exists()


@pytest.fixture(params=["../evil", "set/../../evil", "absolute"])
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A name that leads out of the folder that is unpacked into."""
    return str(tmp_path / "evil") if request.param == "absolute" else str(request.param)


def test_a_name_that_leads_out_of_the_folder_is_refused_in_a_tar(
    tmp_path: Path, outside: str
) -> None:
    archive = write_tar(tmp_path / "set.tar.gz", extra=member(outside, size=4))
    assert f"entry '{outside}' leads out of its folder" in refusal(archive, tmp_path / "out")


def test_a_name_that_leads_out_of_the_folder_is_refused_in_a_zip(
    tmp_path: Path, outside: str
) -> None:
    archive = write_zip(tmp_path / "set.zip", extra=zipfile.ZipInfo(outside))
    assert f"entry '{outside}' leads out of its folder" in refusal(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path: Path, kind: bytes) -> None:
    link = member("set/link", kind=kind)
    link.linkname = "../../outside"
    archive = write_tar(tmp_path / "set.tar.gz", extra=link)
    assert "entry 'set/link' is a link or a device" in refusal(archive, tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("set/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_zip(tmp_path / "set.zip", extra=link)
    assert "entry 'set/link' is a link or a device" in refusal(archive, tmp_path / "out")


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9999])
def test_an_archive_that_was_cut_is_refused(
    tmp_path: Path, write: Callable[[Path], Path], fraction: float
) -> None:
    archive = write(tmp_path / "set")
    os.truncate(archive, int(fraction * archive.stat().st_size))
    assert "damaged (" in refusal(archive, tmp_path / "out")


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("num_files", [1, 2, 25])
def test_a_tar_that_was_cut_between_two_files_is_refused(
    tmp_path: Path, packed: Callable[[bytes], bytes], num_files: int
) -> None:
    # The last that is left ends in zeros, as the archive itself would.
    name, content = "silence.wav", bytes(50_000)
    header = member(name, size=len(content)).tobuf()
    files = num_files * (header + content.ljust(-(-len(content) // 512) * 512, b"\0"))
    archive = tmp_path / "set.tar"
    for num_zero_blocks in (0, 1):
        archive.write_bytes(packed(files + bytes(512 * num_zero_blocks)))
        assert "no end of the archive behind its last file" in refusal(archive, tmp_path / "out")
    archive.write_bytes(packed(files + bytes(1024)))
    unpack(archive, tmp_path / "out")
    assert content_of(tmp_path / "out") == {name: content}


def test_a_tar_with_a_damaged_header_within_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "set.tar", mode="w")
    content = bytearray(archive.read_bytes())
    content[content.index(b"./set/index.csv")] ^= 1
    archive.write_bytes(content)
    assert "no end of the archive behind its last file" in refusal(archive, tmp_path / "out")


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_an_archive_with_a_wrong_byte_is_refused(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    archive = write(tmp_path / "set")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    assert "damaged (" in refusal(archive, tmp_path / "out")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "set.tar.gz"
    archive.write_bytes(b"<html>log in first</html>" * 1_000)
    assert "expected a whole .tar.gz or .zip; get it again" in refusal(archive, tmp_path / "out")


def test_a_zip_that_declares_more_than_the_disk_has_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_RESERVE_BYTES", 2**62)
    archive = write_zip(tmp_path / "set.zip")
    message = refusal(archive, tmp_path / "out")
    assert "expected at most the 0.0 GB that are free; free some space" in message


def test_a_zip_whose_entries_are_too_much_together_is_refused_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(unpacking, "_RESERVE_BYTES", free - 6_000_000_000)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("one", "two"):
            file.writestr(name, b"x" * 77_777)
    # Each declares 4 GB.
    declared = struct.pack("<I", 4_000_000_000)
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", 77_777), declared))
    assert "holds files of 8.0 GB, expected at most the 6" in refusal(archive, tmp_path / "out")


def test_a_tar_of_many_gigabytes_of_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "bomb.tar.gz"
    with gzip.open(archive, "wb") as file:
        file.write(member("bomb", size=2**50).tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(10_000))
    message = refusal(archive, tmp_path / "out")
    assert "holds files of 1,125,899.9 GB, expected at most" in message


def test_a_zip_entry_with_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(1_000_000))
    content = archive.read_bytes()
    declared = struct.pack("<I", 1_000_000)
    assert content.count(declared) == 2
    archive.write_bytes(content.replace(declared, struct.pack("<I", 10)))
    with pytest.raises(DamagedArchiveError):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "set.zip")
    content = archive.read_bytes()
    with zipfile.ZipFile(archive) as file:
        offset = file.getinfo("set/index.csv").header_offset
        central = content.rindex(b"PK\x01\x02", 0, content.rindex(b"set/index.csv"))
    encrypted = bytearray(content)
    encrypted[offset + 6] |= 1
    encrypted[central + 8] |= 1
    archive.write_bytes(encrypted)
    assert "password required" in refusal(archive, tmp_path / "out")
