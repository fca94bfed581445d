"""What operations draw, as the paper defines them and as the authors' code does."""

from typing import get_args

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from clar_sweeps.augment import DEFINITIONS, OPERATIONS, Chain, build_chain
from clar_sweeps.augment.fade import FADE_SHAPES, apply_fade
from clar_sweeps.config import Definition

# Four rows of each parameter, or the first three samples of the first row, at seed 7. Results of
# runs that are published rest on them.
PINNED: dict[str, dict[str, list[float]]] = {
    "PS": {"semitones": [-10, -5, -2, -10]},
    "FD": {
        "in_sizes": [615, 892, 721, 1286],
        "out_sizes": [283, 1347, 287, 779],
        "shapes": [1, 2, 1, 1],
    },
    "WN": {"noise": [-0.82013452, 0.39563116, 0.89890850], "snr_db": [3, 6, 2, 10]},
    "MN": {
        "noise": [-0.82013452, 0.39563116, 0.89890850],
        "snr_db": [3, 6, 2, 10],
        "colours": [2, 1, 1, 2],
    },
    "TM": {
        "starts": [2379, 1876, 2448, 2383],
        "widths": [241, 143, 347, 162],
        "fill": [0.00609473, -0.00581134, 0.00049044],
    },
    "TS": {"shifts": [905, 1030, -982, -720]},
    "TST": {"rates": [1.03492260, 0.69880319, 1.15921164, 1.15689027]},
    "TSR": {"rates": [1.03492260, 0.69880319, 1.15921164, 1.15689027]},
}
CHANGED_BY_DEFINITION = {"PS", "FD", "TM", "TS", "TST"}


def draw(name: str, *, batch: int, time: int, definition: str = "released") -> dict[str, Tensor]:
    operation = DEFINITIONS[definition][name]  # type: ignore[index]
    generator = torch.Generator().manual_seed(7)
    parameters = operation.sample(batch=batch, time=time, generator=generator)
    return parameters._asdict()  # type: ignore[attr-defined,no-any-return]  # a NamedTuple


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_papers_draws_are_those_they_were(name: str) -> None:
    drawn = draw(name, batch=4, time=3000, definition="paper")
    assert list(drawn) == list(PINNED[name])
    for field, expected in PINNED[name].items():
        values = drawn[field] if drawn[field].ndim == 1 else drawn[field][0, :3]
        np.testing.assert_allclose(values, expected, atol=1e-7)


def test_definitions_have_the_same_operations_in_the_same_order() -> None:
    assert tuple(DEFINITIONS) == get_args(Definition)
    assert list(DEFINITIONS["released"]) == list(OPERATIONS)
    released = DEFINITIONS["released"]
    changed = {name for name, operation in OPERATIONS.items() if released[name] != operation}
    assert changed == CHANGED_BY_DEFINITION


def test_released_shift_leaves_out_15_semitones() -> None:
    semitones = draw("PS", batch=31_000, time=1)["semitones"]
    counts = torch.bincount(semitones + 15, minlength=30)
    assert (semitones.min(), semitones.max()) == (-15, 14)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_released_fade_draws_five_shapes_and_sizes_below_half() -> None:
    drawn = draw("FD", batch=30_000, time=20)
    for sizes in (drawn["in_sizes"], drawn["out_sizes"]):
        assert sizes.unique().tolist() == list(range(10))
    counts = torch.bincount(drawn["shapes"], minlength=5)
    assert len(counts) == len(FADE_SHAPES)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_released_time_mask_has_one_width_and_a_coin() -> None:
    drawn = draw("TM", batch=20_000, time=69)
    starts, widths, fill = drawn["starts"], drawn["widths"], drawn["fill"]
    assert widths.unique().tolist() == [0, 8]  # int(69 / 8)
    assert float((widths == 8).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert starts.unique().tolist() == list(range(69 - 8))
    assert not (fill == 0).all(1).any()
    assert float(fill.std()) == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("time", [16_000, 64_000, 4000])
def test_released_time_shift_is_within_8000_samples_at_any_length(time: int) -> None:
    shifts = draw("TS", batch=40_000, time=time)["shifts"]
    assert -8000 <= shifts.min() < -7950
    assert 7950 < shifts.max() < 8000
    assert scipy.stats.kstest(shifts.numpy(), "uniform", (-8000, 16_000)).pvalue > 1e-3


def test_a_shift_longer_than_the_clip_wraps_round(generator: torch.Generator) -> None:
    waveforms = torch.randn(3, 3000, generator=generator)
    shifts = torch.tensor([-8000, 7999, 3000])
    expected = torch.stack([row.roll(int(n)) for row, n in zip(waveforms, shifts, strict=True)])
    assert torch.equal(OPERATIONS["TS"].apply(waveforms, shifts), expected)


@pytest.mark.parametrize("shape", range(5))
def test_released_fade_has_the_gains_of_the_authors_code(shape: int) -> None:
    def fade_in(size: int) -> np.ndarray:
        fade = np.linspace(0, 1, size)
        gain = {
            "linear": fade,
            "exponential": np.power(2, fade - 1) * fade,
            "logarithmic": np.log10(0.1 + fade) + 1,
            "quarter_sine": np.sin(fade * np.pi / 2),
            "half_sine": np.sin(fade * np.pi - np.pi / 2) / 2 + 0.5,
        }[FADE_SHAPES[shape]]
        return np.clip(gain, 0, 1)

    def fade_out(size: int) -> np.ndarray:
        fade = np.linspace(0, 1, size)
        gain = {
            "linear": 1 - fade,
            "exponential": np.power(2, -fade) * (1 - fade),
            "logarithmic": np.log10(1.1 - fade) + 1,
            "quarter_sine": np.sin(fade * np.pi / 2 + np.pi / 2),
            "half_sine": np.sin(fade * np.pi + np.pi / 2) / 2 + 0.5,
        }[FADE_SHAPES[shape]]
        return np.clip(gain, 0, 1)

    expected = np.concatenate([fade_in(40), np.ones(30), fade_out(30)])
    faded = apply_fade(
        torch.ones(1, 100), torch.tensor([40]), torch.tensor([30]), torch.tensor([shape])
    )
    np.testing.assert_allclose(faded[0], expected, atol=1e-6)


def test_released_stretch_is_the_one_resampled_back(tone_440: Tensor) -> None:
    def view(name: str, definition: str) -> Tensor:
        chain = Chain([name], definition=definition)  # type: ignore[arg-type]
        return chain(tone_440, torch.Generator().manual_seed(3))

    assert torch.equal(view("TST", "released"), view("TSR", "released"))
    assert torch.equal(view("TSR", "paper"), view("TSR", "released"))
    assert not torch.equal(view("TST", "paper"), view("TST", "released"))


@pytest.mark.parametrize("name", ["WN", "MN", "TSR"])
def test_definitions_agree_where_nothing_is_disputed(name: str, generator: torch.Generator) -> None:
    waveforms = torch.randn(3, 2000, generator=generator)
    paper, released = (
        Chain([name], definition=definition)(waveforms, torch.Generator().manual_seed(1))  # type: ignore[arg-type]
        for definition in DEFINITIONS
    )
    assert torch.equal(paper, released)


@pytest.mark.parametrize("name", ["TM", "TS", "FD"])
def test_backends_agree_on_released_operations(name: str, generator: torch.Generator) -> None:
    waveforms = torch.randn(8, 4000, generator=generator)
    ours, theirs = (
        build_chain([name], backend=backend, definition="released")(  # type: ignore[arg-type]
            waveforms, torch.Generator().manual_seed(2)
        )
        for backend in ("torch", "audiomentations")
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "definition"), [("PS", "released"), ("TST", "released"), ("TSR", "paper")]
)
def test_backends_agree_on_released_pitch(name: str, definition: str, tone_440: Tensor) -> None:
    waveforms = tone_440.expand(8, -1)
    peaks = []
    for backend in ("torch", "audiomentations"):
        chain = build_chain([name], backend=backend, definition=definition)  # type: ignore[arg-type]
        view = chain(waveforms, torch.Generator().manual_seed(8))
        assert view.shape == waveforms.shape
        spectrum = torch.fft.rfft(view[:, 2000:14_000] * torch.hann_window(12_000)).abs()
        peaks.append(spectrum.argmax(1) * 16_000 / 12_000)
    torch.testing.assert_close(peaks[0], peaks[1], rtol=0, atol=2.0)  # Hz


def test_an_unknown_definition_is_refused() -> None:
    with pytest.raises(ValueError, match="definition: 'code' is not one of paper, released"):
        Chain(["FD"], definition="code")  # type: ignore[arg-type]
