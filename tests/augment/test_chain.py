import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from clar_sweeps.augment import OPERATIONS, Chain, Part, build_chain
from clar_sweeps.augment.fade import apply_fade, sample_fade
from clar_sweeps.augment.time_shift import apply_time_shift, sample_time_shift

ALL = list(OPERATIONS)


@pytest.fixture
def waveforms(generator: torch.Generator) -> Tensor:
    """(6, 3000)."""
    return 0.1 * torch.randn(6, 3000, generator=generator)


def share_memory(first: Tensor, second: Tensor) -> bool:
    return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


@pytest.mark.parametrize("backend", ["torch", "audiomentations"])
@pytest.mark.parametrize("operations", [[], ["TM"], ["TM", "FD"], ["TS"], ["PS", "TST"], ["WN"]])
@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
def test_views_share_nothing_with_each_other_or_the_input(
    backend: str, operations: list[str], probability: float, waveforms: Tensor
) -> None:
    before = waveforms.clone()
    chain = build_chain(operations, probabilities=probability, backend=backend)  # type: ignore[arg-type]
    first, second = chain.two_views(waveforms, torch.Generator().manual_seed(1))
    assert not share_memory(first, second)
    assert not share_memory(first, waveforms)
    assert not share_memory(second, waveforms)
    assert torch.equal(waveforms, before)
    assert first.dtype == second.dtype == torch.float32
    if operations and probability == 1.0:
        assert not torch.equal(first, second)


def test_order_is_honoured(waveforms: Tensor) -> None:
    def draw() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    generator = draw()
    fade = sample_fade(batch=6, time=3000, generator=generator)
    torch.rand(6, generator=generator)  # the coins
    shift = sample_time_shift(batch=6, time=3000, generator=generator)
    expected = apply_time_shift(apply_fade(waveforms, *fade), *shift)
    assert torch.equal(Chain(["FD", "TS"])(waveforms, draw()), expected)
    assert not torch.equal(Chain(["TS", "FD"])(waveforms, draw()), expected)


def test_same_generator_state_gives_the_same_views(waveforms: Tensor) -> None:
    chain = Chain(ALL, 0.7)
    first = chain.two_views(waveforms, torch.Generator().manual_seed(2))
    again = chain.two_views(waveforms, torch.Generator().manual_seed(2))
    other = chain.two_views(waveforms, torch.Generator().manual_seed(3))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_a_coin_keeps_an_example_or_changes_it_as_probability_1_would(
    generator: torch.Generator,
) -> None:
    waveforms = torch.randn(4000, 20, generator=generator)
    always = Chain(["TS", "WN"], [0.0, 1.0])(waveforms, torch.Generator().manual_seed(4))
    sometimes = Chain(["TS", "WN"], [0.0, 0.3])(waveforms, torch.Generator().manual_seed(4))
    changed = (sometimes != waveforms).any(1)
    assert torch.equal(sometimes[changed], always[changed])
    assert torch.equal(sometimes[~changed], waveforms[~changed])
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.03)


def test_each_operation_has_coins_of_its_own(generator: torch.Generator) -> None:
    waveforms = torch.rand(4000, 16, generator=generator) + 1
    view = Chain(["FD", "FD"], 0.5)(waveforms, generator)
    # A fade of 0 samples changes nothing either: 1/8 of sides, 1/64 of fades.
    kept = float((view == waveforms).all(1).float().mean())
    assert kept == pytest.approx((0.5 + 0.5 / 64) ** 2, abs=0.03)


@pytest.mark.parametrize("sample_rate", [8000, 44_100])
def test_chain_passes_its_sample_rate_on(sample_rate: int, waveforms: Tensor) -> None:
    view = Chain(["TST"], sample_rate=sample_rate)(waveforms, torch.Generator().manual_seed(0))
    (rates,) = OPERATIONS["TST"].sample(
        batch=6, time=3000, generator=torch.Generator().manual_seed(0)
    )
    expected = OPERATIONS["TST"].apply(waveforms, rates, sample_rate=sample_rate)
    assert torch.equal(view, expected)
    assert not torch.equal(view, OPERATIONS["TST"].apply(waveforms, rates))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(
        ValueError, match="operations: 'PX' is not one of PS, FD, WN, MN, TM, TS, TST"
    ):
        Chain(["FD", "PX"])
    with pytest.raises(ValueError, match="probabilities: 1 given for 2 operations"):
        Chain(["FD", "TS"], [0.5])
    with pytest.raises(ValueError, match=r"probabilities: 1.5 is not in \[0, 1\]"):
        Chain(["FD"], 1.5)
    with pytest.raises(ValueError, match="sample_rate: 0 Hz is not positive"):
        Chain(["FD"], sample_rate=0)
    with pytest.raises(ValueError, match="backend: 'sox' is not one of"):
        build_chain(["FD"], backend="sox")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected \(batch, time\)"):
        Chain([])(torch.zeros(10), torch.Generator())


def test_backends_make_the_same_decisions(tone_440: Tensor) -> None:
    waveforms = tone_440.expand(12, -1)
    ours, theirs = (
        build_chain(["WN", "TS"], probabilities=0.5, backend=backend)(
            waveforms, torch.Generator().manual_seed(6)
        )
        for backend in ("torch", "audiomentations")
    )
    assert torch.equal((ours != waveforms).any(1), (theirs != waveforms).any(1))
    torch.testing.assert_close(ours.std(1), theirs.std(1), rtol=0.02, atol=0)


@pytest.mark.parametrize("name", ["WN", "MN"])
def test_backends_mix_noise_at_the_same_level(name: str, tone_440: Tensor) -> None:
    waveforms = tone_440.expand(20, -1)
    noises = [
        build_chain([name], backend=backend)(waveforms, torch.Generator().manual_seed(7))
        - waveforms
        for backend in ("torch", "audiomentations")
    ]
    levels = [10 * torch.log10(noise.square().mean(1)) for noise in noises]
    torch.testing.assert_close(levels[0], levels[1], rtol=0, atol=0.2)  # dB


@pytest.mark.parametrize("name", ["PS", "TST"])
def test_backends_agree_on_pitch_and_time(name: str, tone_440: Tensor) -> None:
    waveforms = tone_440.expand(8, -1)
    spectra = []
    for backend in ("torch", "audiomentations"):
        view = build_chain([name], backend=backend)(waveforms, torch.Generator().manual_seed(8))
        spectra.append(torch.fft.rfft(view[:, 2000:9000] * torch.hann_window(7000)).abs())
    peaks = [spectrum.argmax(1) * 16_000 / 7000 for spectrum in spectra]
    torch.testing.assert_close(peaks[0], peaks[1], rtol=0, atol=3.0)  # Hz, one bin


def test_audiomentations_leaves_the_global_generators_alone(waveforms: Tensor) -> None:
    chain = build_chain(["WN", "MN"], backend="audiomentations")
    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = chain(waveforms, torch.Generator().manual_seed(1))
    assert random.getstate() == python
    assert (np.random.get_state()[1] == numpy).all()  # noqa: NPY002
    random.seed(9)
    assert torch.equal(first, chain(waveforms, torch.Generator().manual_seed(1)))


def test_audiomentations_is_imported_only_for_its_backend() -> None:
    program = (
        "import sys; from clar_sweeps.augment import build_chain; build_chain(['PS', 'TST']);"
        "sys.exit(any(name in sys.modules for name in ('audiomentations', 'librosa')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", ALL)
def test_a_part_of_a_batch_is_changed_as_it_is_in_the_whole(name: str, waveforms: Tensor) -> None:
    chain = Chain([name, "TM"], 0.7)
    whole, *others = (torch.Generator().manual_seed(3) for _ in range(4))
    parts = [Part(0, 3, 6), Part(3, 5, 6), Part(5, 6, 6)]
    for _ in range(2):  # the draws of the second batch follow those of the whole first one
        views = chain.two_views(waveforms, whole)
        for part, draws in zip(parts, others, strict=True):
            rows = slice(part.first, part.stop)
            own = chain.two_views(waveforms[rows], draws, part)
            for view, own_view in zip(views, own, strict=True):
                torch.testing.assert_close(own_view, view[rows], rtol=0, atol=1e-5)
