"""The Ray that a run starts, or does not find; what its dashboard asks for."""

from pathlib import Path

import pytest
from sweep_desk import Desk

from clar_sweeps.tuning.cluster import _provide_token, cluster_address


@pytest.mark.parametrize(
    ("variable", "address"), [(None, None), ("", None), ("local", None), ("head:6379", "head:6379")]
)
def test_the_environment_names_the_cluster(
    variable: str | None, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address() == address


def test_a_cluster_that_does_not_answer_is_told_in_a_line(desk: Desk) -> None:
    file = desk.write_sweep("nobody", "axes:\n  augment: [[FD]]\n")
    desk.clar_sweep("data", "prepare", "fsdd")
    elsewhere = desk._replace(environment={**desk.environment, "RAY_ADDRESS": "127.0.0.1:1"})
    result = elsewhere.clar_sweep("run", file)
    assert result.returncode == 2
    assert result.stderr == (
        "RAY_ADDRESS=127.0.0.1:1: [Errno 111] Connection refused; start that cluster, "
        "set RAY_AUTH_MODE=token if it asks for a token, or unset RAY_ADDRESS\n"
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    return tmp_path


def test_the_token_is_its_owners_alone_and_stays(home: Path) -> None:
    path = _provide_token(home / "run")
    token = path.read_text()
    assert path == home / ".ray/auth_token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(token) == 64
    assert _provide_token(home / "run").read_text() == token


def test_without_a_home_the_token_lies_in_the_run_folder(home: Path) -> None:
    (home / ".ray").write_text("in the way")
    path = _provide_token(home / "run")
    assert path == home / "run/ray.token"
    assert path.stat().st_mode & 0o777 == 0o600
