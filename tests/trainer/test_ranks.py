"""Several processes give the numbers of one, on the same global batch."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from many_ranks import on_ranks
from tiny import tiny_config
from torch import Tensor

from clar_sweeps import data
from clar_sweeps.data import Waveforms
from clar_sweeps.errors import DataError
from clar_sweeps.trainer import Trainer
from clar_sweeps.trainer.ranks import ALONE, Ranks

# Not a multiple of 2 or 4: 160 clips make three steps of 45, in parts of 23 + 22 or 12 + 3 * 11.
UNEVEN: dict[str, Any] = {
    "batch_size": 45,
    "epochs": 2,
    "augment": ["WN", "TM"],
    "precision": "float32",
    "optimizer": "lars",
    "learning_rate": 0.1,
}


class DoubleTrainer(Trainer):
    """Trains in float64, on pictures of plain samples: they are exact, as features are not."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.encoder.double()
        self.projection_head.double()

    def _inputs(self, waveforms: Tensor) -> Tensor:
        exact = waveforms.to(self.parameters[0].dtype)
        if self.config.features is None:
            return exact[:, None]
        return exact[:, : 3 * 20 * 20].view(-1, 3, 20, 20)


def prepared_clips(cache: str, *, num_samples: int = 2000) -> Waveforms:
    """Clips cut short."""
    os.environ[data.CACHE_VARIABLE] = cache
    whole = data.load("spoken-digits", condition="clean")
    return dataclasses.replace(whole, samples=whole.samples[:, 5000 : 5000 + num_samples])


def train(ranks: Ranks, cache: str, name: str) -> dict[str, Any]:
    """Numbers of an epoch and an evaluation; on the ranks that follow, their weights."""
    gradients: list[Tensor] = []

    def keep_gradients(step: int, steps: int) -> None:
        if not gradients:
            gradients.extend(each.grad.clone() for each in trainer.parameters)

    clips = prepared_clips(cache, num_samples=5000 if name in ROUNDED else 2000)
    build = Trainer if name in ROUNDED else DoubleTrainer
    config = tiny_config(**(UNEVEN | CASES[name]))
    trainer = build(config, clips, on_step=keep_gradients, ranks=ranks)
    answer: dict[str, Any] = {}
    if ranks.leads:
        answer["losses"] = trainer.train_epoch().losses
        answer["metrics"] = trainer.evaluate()
        answer["gradients"] = {str(i): gradient for i, gradient in enumerate(gradients)}
        ranks.announce("end")
    else:
        trainer.follow()
    weights = {f"encoder.{name}": value for name, value in trainer.encoder.state_dict().items()}
    return answer | {"weights": weights | trainer.projection_head.state_dict()}


def resume(ranks: Ranks, cache: str, folder: str, other: str) -> dict[str, Any]:
    """Weights of two epochs, the second after a checkpoint of others; or own ones, with it."""
    config = tiny_config(**(UNEVEN | CASES["clar"]))
    trainer = DoubleTrainer(config, prepared_clips(cache), ranks=ranks)
    if not ranks.leads:
        trainer.follow()
    elif other:
        assert trainer.load(Path(folder) / other, trial_id="t") == {"told": 1}
    else:
        trainer.train_epoch()
        trainer.save(Path(folder) / f"{ranks.size}.pt", trial_id="t", progress={"told": 1})
    if ranks.leads:
        assert trainer.epoch == 1
        trainer.train_epoch()
        ranks.announce("end")
    return trainer.encoder.state_dict()


def refuse(ranks: Ranks, cache: str) -> str:
    """What is told where one rank has other clips."""
    clips = prepared_clips(cache)
    if ranks.rank == ranks.size - 1:
        clips = dataclasses.replace(clips, digest="another")
    with pytest.raises(DataError) as error:
        Trainer(tiny_config(), clips, ranks=ranks)
    return str(error.value)


def train_each(
    ranks: Ranks, cache: str, folder: str, names: Sequence[str], checkpoints: Sequence[str]
) -> dict[str, Any]:
    """`train` on cases by name, `resume` from checkpoints, and `refuse`."""
    answers: dict[str, Any] = {name: train(ranks, cache, name) for name in names}
    answers["resumed"] = {name: resume(ranks, cache, folder, name) for name in checkpoints}
    return answers | ({"refused": refuse(ranks, cache)} if ranks.size > 1 else {})


CASES: dict[str, dict[str, Any]] = {
    "adamw": {"recompute": "never", "optimizer": "adamw", "learning_rate": 1e-3},
    "supervised": {"method": "supervised"},
    "clar": {"method": "clar", "label_fraction": 0.2, "recompute": "never"},
    "waveforms": {"encoder": "resnet18_1d", "features": None, "evaluate_on": "augmented"},
    "computed twice": {"method": "clar", "recompute": "always"},
    # Negatives of four shards; batches of 70, 70 and the rest of 20.
    "released": {"method": "clar", "profile": "released", "batch_size": 70},
    "float32": {"augment": ["PS", "TST"], "learning_rate": 1e-3},
    "bfloat16": {"precision": "bfloat16", "learning_rate": 1e-3},
    "not in bfloat16": {"learning_rate": 1e-3},
}
# Trained as they are, and not in float64.
ROUNDED = ("float32", "bfloat16", "not in bfloat16")
ON = {1: list(CASES), 2: list(CASES), 4: ["clar", "released"]}

Answers = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def trained(prepared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What each rank of 1, 2 and 4 has come to, by case."""
    torch.set_num_threads(1)
    places = str(prepared_cache), str(tmp_path_factory.mktemp("checkpoints"))
    answers = {1: [train_each(ALONE, *places, ON[1], [""])]}
    answers[2] = on_ranks(2, train_each, *places, ON[2], ["", "1.pt"])
    answers[4] = on_ranks(4, train_each, *places, ON[4], [])
    answers[1][0]["resumed"] |= {"2.pt": resume(ALONE, *places, "2.pt")}
    return answers


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference of two sets of tensors, in parts of each tensor's largest entry."""
    assert len(one) > 0
    assert one.keys() == other.keys()
    return max(
        ((one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-3)).item()
        for name in one
    )


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Length of the difference of two sets of tensors, in parts of the first one's length."""
    assert one.keys() == other.keys()
    first, second = (
        torch.cat([tensors[name].flatten().double() for name in one]) for tensors in (one, other)
    )
    return ((first - second).norm() / first.norm()).item()


@pytest.mark.parametrize(("size", "case"), [(size, case) for size in (2, 4) for case in ON[size]])
def test_ranks_train_as_one_process_does(trained: Answers, size: int, case: str) -> None:
    leader, *others = (answers[case] for answers in trained[size])
    alone = trained[1][0][case]
    for other in others:
        assert furthest(leader["weights"], other["weights"]) == 0.0
    if case in ROUNDED:
        # Rounding alone, as it grows through 20 batch norms. How processors round bfloat16 differs
        # much: the measure is how far it is from float32 in one process.
        exact = trained[1][0]["not in bfloat16"]
        for kind in ("gradients", "weights"):
            rounding = distance(exact[kind], alone[kind])
            tolerance = rounding / 2 if case == "bfloat16" else 1e-3
            assert distance(alone[kind], leader[kind]) < tolerance
        loss_tolerance = 0.01 if case == "bfloat16" else 1e-3
        assert leader["losses"] == pytest.approx(alone["losses"], rel=loss_tolerance)
        return
    # What is left in float64 is the order of sums. AdamW divides it by itself where a gradient is
    # zero, as that of a bias before a batch norm is: there the step is noise.
    tolerance = 1e-9 if case == "adamw" else 1e-11
    assert furthest(alone["gradients"], leader["gradients"]) < 1e-11
    assert furthest(alone["weights"], leader["weights"]) < tolerance
    assert leader["losses"] == pytest.approx(alone["losses"], rel=1e-11)
    assert leader["metrics"] == alone["metrics"]


def test_a_checkpoint_of_one_process_is_one_of_several(trained: Answers) -> None:
    alone = trained[1][0]["resumed"]
    leader, follower = (answers["resumed"] for answers in trained[2])
    assert furthest(alone[""], leader[""]) < 1e-11
    assert furthest(alone[""], leader["1.pt"]) < 1e-11
    assert furthest(leader["1.pt"], follower["1.pt"]) == 0.0
    assert furthest(alone[""], alone["2.pt"]) < 1e-11


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_with_other_clips_are_refused_in_one_line(trained: Answers, size: int) -> None:
    messages = {answers["refused"] for answers in trained[size]}
    (message,) = messages
    assert message.startswith(f"rank {size - 1} of {size}: has other clips than rank 0 (digest ")
    assert "\n" not in message
