"""The pipelines that are measured: each changes its clips, and trains."""

import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.augment import seed_draws
from benchmarks.library_features import NnAudioFeatures, TorchaudioFeatures
from benchmarks.measuring import Rate
from benchmarks.pipelines import (
    ALONE,
    OPERATIONS,
    OURS,
    PAIRS,
    Case,
    build,
    first_clips,
    rows_of,
)
from benchmarks.stack_trainer import InTurn, StackTrainer
from benchmarks.stacks import STACKS, Chain, Stack
from benchmarks.step import Size, config_of
from clar_sweeps.config import FeatureConfig
from clar_sweeps.data import Waveforms
from clar_sweeps.features import SpectralFeatures

PICTURE = FeatureConfig(num_bands=32, window_length=512, hop_length=256, n_fft=512)
TINY = Size("tiny", "resnet18_2d", 2, PICTURE)
BATCH = 4
NAMES = [stack.name for stack in STACKS]

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries'


@pytest.fixture(autouse=True)
def seeded_on_one_thread() -> Iterator[None]:
    """Libraries draw from the global generators; pipelines set the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seed_draws(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def clips(digits: Waveforms) -> Waveforms:
    return first_clips(digits, 2 * BATCH)


def stack_trainer(
    stack: Stack, clips: Waveforms, chains: Sequence[Chain], *, workers: int = 0
) -> StackTrainer:
    if "torch-audiomentations" in stack.libraries.values():
        pytest.importorskip("torch_audiomentations", reason="torch-audiomentations is missing")
    config = config_of(TINY, chains[0], batch_size=BATCH, device="cpu")
    return StackTrainer(config, clips, stack=stack, chains=chains, workers=workers)


def views_of(trainer: StackTrainer, batches: Sequence[Sequence[int]]) -> list[Sequence[Tensor]]:
    read = trainer.loader.batches(torch.tensor(batch) for batch in batches)
    return [trainer.chain.two_views(batch, torch.Generator()) for batch in read]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("stack", STACKS, ids=NAMES)
def test_each_stack_changes_each_view_by_itself(
    stack: Stack, operation: str, clips: Waveforms
) -> None:
    before = clips.samples.copy()
    trainer = stack_trainer(stack, clips, [(operation,)])
    (views,) = views_of(trainer, [range(BATCH)])
    clean = torch.from_numpy(before[:BATCH]) / 2**15
    assert [view.shape for view in views] == [clean.shape, clean.shape]
    assert {view.dtype for view in views} == {torch.float32}
    for one, other in ((views[0], clean), (views[1], clean), (views[0], views[1])):
        assert not torch.allclose(one, other, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(clips.samples, before)


def test_every_pipeline_trains_on_as_many_clips_as_it_says(clips: Waveforms) -> None:
    pytest.importorskip("torch_audiomentations", reason="torch-audiomentations is missing")
    case = Case(TINY, [("FD", "TM")], steps=2, batch_steps=1)
    pipelines = build(case, clips, batch=BATCH, workers=0, threads=1)
    num_clips = {each.name: each.epoch() for each in pipelines}
    assert list(num_clips) == [OURS, *NAMES, ALONE]
    assert num_clips.pop("torch-audiomentations + nnAudio") == BATCH
    assert set(num_clips.values()) == {2 * BATCH}


@pytest.mark.parametrize("stack", STACKS, ids=NAMES)
def test_each_stack_trains_to_a_finite_loss(stack: Stack, clips: Waveforms) -> None:
    trainer = stack_trainer(stack, clips, [("WN", "FD")])
    before = [weight.clone() for weight in trainer.encoder.parameters()]
    assert math.isfinite(trainer.train_epoch().losses["loss"])
    assert not any(map(torch.equal, before, trainer.encoder.parameters()))


@pytest.mark.parametrize("build", [NnAudioFeatures, TorchaudioFeatures])
def test_features_of_libraries_equal_ours(
    build: type[NnAudioFeatures | TorchaudioFeatures], clips: Waveforms
) -> None:
    waveforms = torch.from_numpy(np.array(clips.samples)) / 2**15
    found = build(PICTURE)(waveforms)
    ours = SpectralFeatures(**PICTURE.model_dump())(waveforms)
    assert found.shape == ours.shape
    loud = ours[:, 0] > -30  # the phase of silence is rounding
    for channel in (0, 2):
        torch.testing.assert_close(found[:, channel], ours[:, channel], rtol=0, atol=0.2)
    assert (found[:, 1] - ours[:, 1])[loud].cos().min() > 0.999


# Librosa's stack draws from a generator of its own, audiomentations' from NumPy's global one.
@pytest.mark.parametrize("stack", [STACKS[0], STACKS[3]], ids=[NAMES[0], NAMES[3]])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_draw_differently(stack: Stack, clips: Waveforms) -> None:
    trainer = stack_trainer(stack, clips, [("TS",)], workers=2)
    for _ in range(2):  # the same workers
        (first, _), (second, _) = views_of(trainer, [[0], [0]])
        assert not torch.equal(first, second)


@pytest.mark.parametrize("stack", STACKS, ids=NAMES)
def test_the_second_batch_is_changed_by_the_second_chain(stack: Stack, clips: Waveforms) -> None:
    trainer = stack_trainer(stack, clips, [("TS",), ("FD",)])
    (shifted, _), (faded, _), (again, _) = views_of(trainer, [[0], [0], [0]])
    clean = torch.from_numpy(clips.samples[0]) / 2**15
    # A shift keeps all samples in another order, a fade lowers them in place.
    for view in (shifted, again):
        torch.testing.assert_close(view[0].sort().values, clean.sort().values)
    assert (faded[0].abs() <= clean.abs()).all()


def test_pairs_are_those_of_figure_4() -> None:
    assert len(set(PAIRS)) == 36
    assert [pair for pair in PAIRS if len(pair) == 1] == [(name,) for name in OPERATIONS]


def test_clips_come_again_where_there_are_too_few(digits: Waveforms) -> None:
    train = digits.indices("train")
    clips = first_clips(digits, len(train) + 1)
    np.testing.assert_array_equal(clips.indices("train"), np.arange(len(train) + 1))
    np.testing.assert_array_equal(clips.samples[:-1], digits.samples[train])
    np.testing.assert_array_equal(clips.samples[-1], clips.samples[0])


def test_the_ratio_is_that_to_the_best_stack() -> None:
    rates = {
        name: Rate(median, median, median)
        for name, median in {OURS: 900.0, "slow": 100.0, "fast": 300.0, ALONE: 2000.0}.items()
    }
    _, row = rows_of({"case": rates})
    assert row == ["case", "900 (900-900)", "fast 300 (300-300)", "3.0", "2,000", "slow 100"]


def test_turns_begin_again() -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def two_views(self) -> tuple[str, str]:
            return self.name, self.name

    turns = InTurn([Named("a"), Named("b")])
    assert ["".join(map(str, turns.two_views())) for _ in range(3)] == ["aa", "bb", "aa"]
