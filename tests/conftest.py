"""What several rooms' tests share: one prepared dataset a session."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clar_sweeps import data
from clar_sweeps.data import spoken_digits
from clar_sweeps.data.waveforms import Listing, build_cache

# A shell's job in the background has it ignored, and so would have the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Their files take longest, so they begin, and neither of two workers has much left at the end.
ROOMS_WITH_RAY = ("benchmarks", "docker", "tuning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in ROOMS_WITH_RAY)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests see no dataset of the user's, and leave none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(data.CACHE_VARIABLE, str(tmp_path_factory.mktemp("empty_cache")))
        patch.delenv(data.DATA_VARIABLE, raising=False)
        yield


@pytest.fixture(scope="session")
def prepared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache root that holds clean spoken digits of 12 speakers, two takes a word: 240 clips."""
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    root = tmp_path_factory.mktemp("cache")

    def list_clips(work_folder: Path) -> Listing:
        return spoken_digits.list_clips(
            work_folder, condition="clean", num_speakers=12, num_takes=2
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(data.CACHE_VARIABLE, str(root))
        folder = data.cache_folder("spoken-digits", condition="clean")
        build_cache(folder, list_clips, remedy="run the tests again")
    return root


@pytest.fixture
def digits(prepared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> data.Waveforms:
    """Clean spoken digits, where the environment says."""
    monkeypatch.setenv(data.CACHE_VARIABLE, str(prepared_cache))
    return data.load("spoken-digits", condition="clean")
