"""A small set of spoken digits, made once a session, and places that are this test's own."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_server import ArchiveServer, serving

from clar_sweeps.data import CACHE_VARIABLE, DATA_VARIABLE, spoken_digits

TEST_DATA_VARIABLE = "CLAR_SWEEPS_TEST_DATA"


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five speakers, two takes: 100 clips in Speech Commands layout."""
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    folder = tmp_path_factory.mktemp("digits")
    spoken_digits.generate(folder, condition="medium", num_speakers=5, num_takes=2)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache root that the environment names."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny_fsdd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten digits by four speakers, half a second of tone each, where the environment says."""
    recordings = tmp_path / "data" / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    time = np.arange(4_000) / 8_000
    for index, speaker in enumerate(("anna", "bert", "lucas", "theo")):
        for digit in range(10):
            tone = 0.5 * np.sin(2 * np.pi * (200 + 50 * digit + 10 * index) * time)
            soundfile.write(recordings / f"{digit}_{speaker}_0.wav", tone, 8_000)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    return recordings


@pytest.fixture
def real_recordings() -> Path:
    """The folder of real recordings that `CLAR_SWEEPS_TEST_DATA` names."""
    named = os.environ.get(TEST_DATA_VARIABLE)
    if not named:
        pytest.skip(f"{TEST_DATA_VARIABLE} is not set")
    return Path(named)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """A server of archives on this machine, past any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture
def silent_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that takes connections and never answers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
