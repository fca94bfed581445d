"""The cluster that a run is to use, and does not find."""

import pytest
from sweep_desk import Desk

from clar_sweeps.errors import ConfigError
from clar_sweeps.tuning.cluster import cluster_address


@pytest.mark.parametrize(
    ("option", "variable", "address"),
    [
        (None, None, None),
        (None, "", None),
        (None, "local", None),
        (None, "head:6379", "head:6379"),
        ("other:6379", "head:6379", "other:6379"),
        ("auto", None, "auto"),
        ("local", "head:6379", None),
    ],
)
def test_option_and_environment_name_the_cluster(
    option: str | None, variable: str | None, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address(option) == address


def test_an_address_of_ray_client_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--address ray://head:10001: is of Ray Client, expected"
    ):
        cluster_address("ray://head:10001")


def test_a_cluster_that_does_not_answer_is_told_in_a_line(desk: Desk) -> None:
    file = desk.write_sweep("nobody", "axes:\n  augment: [[FD]]\n")
    desk.clar_sweep("data", "prepare", "fsdd")
    result = desk.clar_sweep("run", file, "--address", "127.0.0.1:1")
    assert result.returncode == 2
    assert result.stderr == (
        "Ray cluster 127.0.0.1:1: [Errno 111] Connection refused; start that cluster, set "
        "RAY_AUTH_MODE=token if it asks for a token, or leave --address and RAY_ADDRESS out\n"
    )


def test_an_address_makes_no_sense_without_ray(desk: Desk) -> None:
    file = desk.write_sweep("local", "axes:\n  augment: [[FD]]\n")
    result = desk.clar_sweep("run", file, "--local", "--address", "auto")
    assert result.returncode == 2
    assert result.stderr == "--address: there is no cluster with --local; drop one of them\n"
