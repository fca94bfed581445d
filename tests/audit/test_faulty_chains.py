"""Faults of chains, those of the authors' code among them, put in and found by name."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from clar_sweeps.audit import planned
from clar_sweeps.augment import Chain, Part

Refuse = Callable[..., list[str]]


class InOneOrder(Chain):
    """The authors' order: a fixed one, whatever is asked for."""

    def __init__(self, operations: Sequence[str], *args: Any, **options: Any) -> None:
        super().__init__(sorted(operations), *args, **options)


class HalfTheTime(Chain):
    """The authors' last commit: each operation acts with probability 1/2."""

    def __init__(self, operations: Sequence[str], *args: Any, **options: Any) -> None:
        super().__init__(operations, *args, **{**options, "probabilities": 0.5})


class OneView(Chain):
    """Both views are one draw, in two buffers."""

    def two_views(self, *args: Any) -> tuple[Tensor, Tensor]:
        view = self(*args)
        return view, view.clone()


class OneBuffer(Chain):
    """The authors' time mask alone: both views are one array."""

    def two_views(self, *args: Any) -> tuple[Tensor, Tensor]:
        view = self(*args)
        return view, view


class Writing(Chain):
    """Normalises the clips where they lie."""

    def two_views(self, waveforms: Tensor, *args: Any) -> tuple[Tensor, Tensor]:
        views = super().two_views(waveforms, *args)
        waveforms /= waveforms.abs().amax(1, keepdim=True)
        return views


class ByTheFirstState(Chain):
    """Draws in every epoch what it drew in the first."""

    state: Tensor | None = None

    def two_views(self, waveforms: Tensor, generator: torch.Generator, *args: Any) -> Any:
        if self.state is None:
            self.state = generator.get_state()
        generator.set_state(self.state)
        return super().two_views(waveforms, generator, *args)


class Counting(Chain):
    """Draws something else each time that it is asked."""

    calls = 0

    def two_views(self, waveforms: Tensor, generator: torch.Generator, *args: Any) -> Any:
        torch.rand(self.calls, generator=generator)
        self.calls += 1
        return super().two_views(waveforms, generator, *args)


class ForThePart(Chain):
    """Draws for the clips at hand and not for the whole batch."""

    def __call__(
        self, waveforms: Tensor, generator: torch.Generator, part: Part | None = None
    ) -> Tensor:
        return super().__call__(waveforms, generator)


class Quieter(Chain):
    """Does more than its operations."""

    def __call__(self, *args: Any) -> Tensor:
        return 0.9 * super().__call__(*args)


@pytest.mark.parametrize(
    ("chain", "rule"),
    [
        (InOneOrder, "wrong order: "),
        (HalfTheTime, "wrong probability: "),
        (OneView, "identical views: the two views are equal for 100 % of the clips"),
        (OneBuffer, "shared buffers: "),
        (Writing, "writes into its input: 100 % of the clips"),
        (ByTheFirstState, "repeated over epochs: 100 % of the changed clips"),
        (Counting, "not repeatable: 100 % of the views"),
        (ForThePart, "parts of a batch: "),
        (Quieter, "other steps: 100 % of the views"),
    ],
)
def test_a_faulty_chain_is_refused_by_name(
    chain: type[Chain], rule: str, refused: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(operations: Sequence[str], *, backend: str, **options: Any) -> Chain:
        return (chain if operations else Chain)(operations, **options)

    monkeypatch.setattr(planned, "build_chain", build)
    (line,) = refused(["TS", "FD"])
    assert line.startswith(f"chain TS-FD of spoken-digits clean: {rule}")


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_a_chain_that_always_acts_is_refused_at_another_probability(
    probability: float, refused: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(operations: Sequence[str], *, backend: str, **options: Any) -> Chain:
        return Chain(operations, **{**options, "probabilities": 1.0})

    monkeypatch.setattr(planned, "build_chain", build)
    (line,) = refused(["FD", "TS"], augment_probability=probability)
    assert line.startswith(f"chain FD-TS, p {probability:g} of spoken-digits clean: wrong probab")


def test_an_order_that_is_written_is_no_fault(
    refused: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(operations: Sequence[str], *, backend: str, **options: Any) -> Chain:
        return InOneOrder(operations, **options)

    monkeypatch.setattr(planned, "build_chain", build)
    assert refused(["FD", "TS"]) == []


def test_operations_that_never_act_are_refused_where_views_are_compared(refused: Refuse) -> None:
    (line,) = refused(["FD"], augment_probability=0.0)
    assert "chain FD, p 0 of spoken-digits clean: identical views: " in line
    assert refused(["FD"], augment_probability=0.0, method="supervised") == []
