import hashlib
import io
import pickle
from pathlib import Path

import pytest
import torch

from clar_sweeps.checkpoint import load_checkpoint, save_checkpoint
from clar_sweeps.errors import CheckpointError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    state = {"epoch": 3, "weights": torch.arange(1000.0), "progress": {"loss": 0.5}}
    save_checkpoint(path, state, trial_id="abc")
    return path


def test_state_is_read_as_it_was_written(path: Path) -> None:
    state = load_checkpoint(path, trial_id="abc")
    assert torch.equal(state["weights"], torch.arange(1000.0))
    assert (state["epoch"], state["progress"]) == (3, {"loss": 0.5})


def test_nothing_is_left_beside_the_file(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("kept", [0, 1, 100, 2000])
def test_a_truncated_file_is_an_error_of_its_own(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_checkpoint(path, trial_id="abc")


@pytest.mark.parametrize("position", [0, 100, 3000, -1])
def test_a_single_changed_byte_is_found(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_checkpoint(path, trial_id="abc")


def test_the_checkpoint_of_another_trial_is_refused(path: Path) -> None:
    with pytest.raises(CheckpointError, match="belongs to trial abc, expected xyz"):
        load_checkpoint(path, trial_id="xyz")


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]  # any callable will do


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"trial_id": "abc", "state": Dangerous()}, buffer)
    for content in (pickle.dumps(Dangerous(), protocol=2), buffer.getvalue()):
        (tmp_path / "evil.pt").write_bytes(hashlib.sha256(content).digest() + content)
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_checkpoint(tmp_path / "evil.pt", trial_id="abc")
    assert not (tmp_path / "ran").exists()
