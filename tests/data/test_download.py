"""Downloads from a real server that cuts, lies and errs: one clear line, then a good second try."""

import hashlib
import logging
import random
from pathlib import Path
from typing import Any

import pytest
from archive_server import ArchiveServer, Fault

from clar_sweeps.data import download
from clar_sweeps.data.archive import Archive
from clar_sweeps.data.download import fetch
from clar_sweeps.errors import DataError

CONTENT = random.Random(0).randbytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TRIES = 1 + len(download.PAUSES)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.0,) * len(download.PAUSES))


@pytest.fixture
def archive(server: ArchiveServer) -> Archive:
    server.files["/tones.tar.gz"] = CONTENT
    return Archive(server.url("/tones.tar.gz"), "tones.tar.gz", len(CONTENT), f"sha256:{SHA256}")


def refusal(archive: Archive, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        fetch(archive, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(archive.url)
    assert "expected" in message
    assert not (folder / archive.file_name).exists()
    return message


def starts(server: ArchiveServer) -> list[int]:
    """First bytes asked for since the last look."""
    found = [asked.start for asked in server.asked]
    server.asked.clear()
    return found


def is_whole(archive: Archive, folder: Path) -> bool:
    fetched = fetch(archive, folder)
    assert fetched.sha256 == SHA256
    assert [path.name for path in folder.iterdir()] == ["tones.tar.gz"]
    return fetched.path.read_bytes() == CONTENT


def test_a_file_arrives_whole_with_its_bytes_as_progress(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    fetched = fetch(archive, tmp_path, progress=lambda *now: seen.append(now))
    assert fetched.path.read_bytes() == CONTENT
    downloaded = [done for phase, done, _ in seen if phase == "download tones.tar.gz"]
    assert downloaded == sorted(downloaded)
    assert ("download tones.tar.gz", 400_000, 400_000) in seen
    assert seen[-1] == ("check tones.tar.gz", 400_000, 400_000)
    assert starts(server) == [0]


def test_a_file_that_is_there_is_not_asked_for_again(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    assert is_whole(archive, tmp_path)
    starts(server)
    assert is_whole(archive, tmp_path)
    assert starts(server) == []


def test_a_file_that_went_bad_on_the_disk_is_refused_and_asked_for_again(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    fetch(archive, tmp_path).path.write_bytes(b"bad")
    assert "sha256 of 3 bytes is" in refusal(archive, tmp_path)
    assert is_whole(archive, tmp_path)


def test_a_cut_is_mended_within_one_call(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["cut", "cut"])
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 200_000, 300_000]


def test_the_second_call_goes_on_where_the_first_was_cut(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["cut", *["cut at once"] * (TRIES - 1)])
    message = refusal(archive, tmp_path)
    assert "the connection was cut at byte 200,000 of 400,000" in message
    assert message.endswith("200,000 bytes are kept, and the same command goes on from there")
    assert starts(server) == [0] + [200_000] * (TRIES - 1)
    assert is_whole(archive, tmp_path)
    assert starts(server) == [200_000]


def test_a_try_that_brings_much_begins_the_count_of_tries_anew(
    archive: Archive, server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_ENOUGH_BYTES", 10_000)
    server.faults.extend(["cut"] * (TRIES + 1))
    assert is_whole(archive, tmp_path)
    assert len(starts(server)) == TRIES + 2


def test_a_server_that_always_begins_anew_and_is_cut_is_given_up(
    archive: Archive, server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_ENOUGH_BYTES", 10_000)
    server.faults.extend(["begins anew and cuts"] * 50)
    assert "cut at byte 200,000 of 400,000" in refusal(archive, tmp_path)
    # The first try brought much; each further one no more than that.
    assert len(starts(server)) == TRIES


def test_a_file_that_changed_in_between_begins_anew(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    other = CONTENT[::-1] + b"more"
    server.files["/tones.tar.gz"] = other
    server.faults.extend(["cut", *["cut at once"] * (TRIES - 1)])
    refusal(archive, tmp_path)
    starts(server)
    server.files["/tones.tar.gz"], server.etag = CONTENT, '"second"'
    assert is_whole(archive, tmp_path)
    assert starts(server) == [200_002]


def test_a_file_of_another_size_begins_anew_also_without_an_etag(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.etag = ""
    server.files["/tones.tar.gz"] = CONTENT[::-1] + b"more"
    server.faults.extend(["cut", *["cut at once"] * (TRIES - 1)])
    refusal(archive, tmp_path)
    starts(server)
    server.files["/tones.tar.gz"] = CONTENT
    assert is_whole(archive, tmp_path)
    assert starts(server) == [200_002, 0]


@pytest.mark.parametrize("known", [{"checksum": None}, {"is_fixed": False}])
def test_a_file_without_a_version_or_a_fixed_checksum_begins_anew(
    archive: Archive, server: ArchiveServer, tmp_path: Path, known: dict[str, Any]
) -> None:
    unsure = archive._replace(**known)
    server.files["/tones.tar.gz"] = CONTENT[::-1]
    server.faults.extend(["cut", *["cut at once"] * (TRIES - 1)])
    assert starts(server) == []
    with_etag = refusal(unsure, tmp_path / "with")
    assert "200,000 bytes are kept" in with_etag
    server.etag = ""
    server.faults.extend(["cut"] * TRIES)
    message = refusal(unsure, tmp_path / "without")
    assert message.endswith("check the network and run it again, or give the archive as --source")
    starts(server)
    # Of the same size: only its bytes differ.
    server.files["/tones.tar.gz"] = CONTENT
    server.faults.append("cut")
    assert is_whole(unsure, tmp_path / "without")
    assert starts(server) == [0, 0]


def test_a_server_that_ignores_ranges_sends_all_again(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["cut", "ignores range"])
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 200_000]


@pytest.mark.parametrize("fault", ["wrong place", "416"])
def test_a_server_that_cannot_go_on_sends_all_again(
    archive: Archive, server: ArchiveServer, tmp_path: Path, fault: Fault
) -> None:
    server.faults.extend(["cut", fault])
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 200_000, 0]


def test_a_wrong_byte_is_refused_and_the_second_call_begins_anew(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("wrong byte")
    wrong = bytearray(CONTENT)
    wrong[-100] ^= 1
    message = refusal(archive, tmp_path)
    found = hashlib.sha256(wrong).hexdigest()
    assert f"sha256 of 400,000 bytes is {found}, expected {SHA256}; the file is removed" in message
    assert list(tmp_path.iterdir()) == []
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 0]


def test_a_server_that_declares_too_little_is_refused(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("says shorter")
    assert "sha256 of 399,000 bytes is" in refusal(archive, tmp_path)
    assert is_whole(archive, tmp_path)


def test_a_server_that_declares_too_much_is_refused_and_what_came_is_kept(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["says longer", *["500"] * (TRIES - 1)])  # type: ignore[list-item]
    assert "status 500 Internal Server Error" in refusal(archive, tmp_path)
    starts(server)
    assert is_whole(archive, tmp_path)
    assert starts(server) == [400_000]


def test_a_file_without_a_length_arrives(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("says nothing")
    assert is_whole(archive, tmp_path)


def test_a_file_without_a_length_that_is_cut_is_refused_by_its_checksum(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("says nothing and cuts")
    assert "sha256 of 200,000 bytes is" in refusal(archive, tmp_path)
    assert is_whole(archive, tmp_path)


def test_a_file_in_chunks_arrives_and_a_cut_in_it_is_noticed(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["chunked and cut", "chunked"])
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 200_000]


def test_a_missing_file_is_told_at_once(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("404")
    message = refusal(archive, tmp_path)
    assert "status 404 Not Found, expected 200; check the address" in message
    assert len(starts(server)) == 1
    assert is_whole(archive, tmp_path)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("500", "status 500 Internal Server Error"), ("no HTTP", "cannot be reached")],
)
def test_a_server_in_trouble_is_tried_again_and_then_told(
    archive: Archive, server: ArchiveServer, tmp_path: Path, fault: Fault, reason: str
) -> None:
    server.faults.extend([fault] * TRIES)
    message = refusal(archive, tmp_path)
    assert reason in message
    assert f"{TRIES} tries in a row; check the network and run it again" in message
    assert len(starts(server)) == TRIES
    assert is_whole(archive, tmp_path)


def test_a_redirect_is_followed_also_in_the_middle(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.extend(["redirect", "cut", "redirect"])
    assert is_whole(archive, tmp_path)
    assert starts(server) == [0, 0, 200_000, 200_000]


def test_redirects_without_an_end_are_told(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    server.faults.append("redirects for ever")
    assert "status 302 The HTTP server returned a redirect error" in refusal(archive, tmp_path)
    server.faults.clear()
    assert is_whole(archive, tmp_path)


def test_a_refused_connection_is_told(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/tones.tar.gz", "tones.tar.gz", 0, None)
    assert "cannot be reached ([Errno 111] Connection refused)" in refusal(archive, tmp_path)


def test_a_server_that_says_nothing_is_left_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_port: int
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.05)
    archive = Archive(f"http://127.0.0.1:{silent_port}/x", "x", 0, None)
    assert "timed out" in refusal(archive, tmp_path)


def test_md5_is_compared_where_it_is_what_is_known(
    archive: Archive, server: ArchiveServer, tmp_path: Path
) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert is_whole(archive._replace(checksum=f"md5:{md5}"), tmp_path / "right")
    message = refusal(archive._replace(checksum="md5:" + "0" * 32), tmp_path / "wrong")
    assert f"md5 of 400,000 bytes is {md5}, expected {'0' * 32}" in message


def test_a_moving_branch_with_another_checksum_is_worth_a_warning(
    archive: Archive, server: ArchiveServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moving = archive._replace(checksum="md5:" + "0" * 32, is_fixed=False)
    with caplog.at_level(logging.WARNING):
        assert is_whole(moving, tmp_path)
    assert "its branch has moved on" in caplog.text


def test_an_unknown_checksum_is_computed_and_told(
    archive: Archive, server: ArchiveServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert is_whole(archive._replace(checksum=None), tmp_path)
    assert f"no checksum is known to compare with; its sha256 is {SHA256}" in caplog.text
