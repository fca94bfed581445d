"""FD: fade in at the start and out at the end."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from clar_sweeps.augment.parameters import check_waveforms, uniform_integers
from clar_sweeps.config import Definition

FadeShape = Literal["linear", "logarithmic", "exponential", "quarter_sine", "half_sine"]
FADE_SHAPES: tuple[FadeShape, ...] = get_args(FadeShape)
_NUM_SHAPES: dict[Definition, int] = {"paper": 3, "released": 5}  # the first of FADE_SHAPES


class FadeParameters(NamedTuple):
    """Parameters of a fade; see `apply_fade`."""

    in_sizes: Tensor
    out_sizes: Tensor
    shapes: Tensor


def sample_fade(
    *, batch: int, time: int, generator: torch.Generator, definition: Definition = "paper"
) -> FadeParameters:
    """Draw sizes of the fades in and out, each uniform in [0, time // 2), and their shape.

    Shapes are equally probable, 3 in the paper and 5 in the authors' code; one serves both sides.

    Source: CLAR (arXiv:2010.09542), section 3.4; sizes and the shared shape as in the authors'
    code, utils.py, add_fade.
    """
    longest = max(0, time // 2 - 1)
    return FadeParameters(
        in_sizes=uniform_integers(batch, 0, longest, generator),
        out_sizes=uniform_integers(batch, 0, longest, generator),
        shapes=uniform_integers(batch, 0, _NUM_SHAPES[definition] - 1, generator),
    )


def apply_fade(waveforms: Tensor, in_sizes: Tensor, out_sizes: Tensor, shapes: Tensor) -> Tensor:
    """Fade each waveform in and out.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        in_sizes: (batch,) samples of the fade in, in [0, time // 2]; 0 leaves the start as it is.
        out_sizes: (batch,) samples of the fade out, in [0, time // 2].
        shapes: (batch,) index into FADE_SHAPES. With f rising from 0 to 1 over the fade the gain
            is f, log10(0.1 + f) + 1 clipped to [0, 1], 2^(f - 1) f, sin(pi f / 2), or
            sin(pi f / 2)^2.

    Returns:
        (batch, time).

    Raises:
        ValueError: a parameter does not have one entry a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation FD; gains as in the authors' code.
    """
    check_waveforms(waveforms, in_sizes=in_sizes, out_sizes=out_sizes, shapes=shapes)
    faded = waveforms.clone()
    half = waveforms.shape[1] // 2
    if half > 0:
        faded[:, :half] *= _gain(half, in_sizes, shapes)
        faded[:, -half:] *= _gain(half, out_sizes, shapes).flip(1)
    return faded


def _gain(time: int, sizes: Tensor, shapes: Tensor) -> Tensor:
    """Gain of the first samples of a fade in: (batch, time)."""
    sample = torch.arange(time, dtype=torch.float32, device=sizes.device)
    # A fade of one sample starts, and ends, at gain 0.
    last = (sizes - 1).clamp(min=1)[:, None]
    # Without a fade the gain is 1 from the first sample on.
    linear = (sample / last).add_((sizes == 0)[:, None]).clamp_(max=1.0)
    return (_bend_all if shapes.is_cuda else _bend_by_shape)(linear, shapes)


def _bend_all(linear: Tensor, shapes: Tensor) -> Tensor:
    """All shapes of all rows, and then the right ones: nothing waits for a GPU."""
    gains = torch.stack([curve(linear) for curve in _CURVES.values()])
    return gains.gather(0, shapes[None, :, None].expand(1, *linear.shape))[0]


def _bend_by_shape(linear: Tensor, shapes: Tensor) -> Tensor:
    """The rows of each shape by themselves; writes over `linear`."""
    for index in set(shapes.tolist()) - {0}:
        rows = (shapes == index).nonzero().flatten()
        linear[rows] = _CURVES[FADE_SHAPES[index]](linear[rows])
    return linear


# Of the rise from 0 to 1.
_CURVES: dict[FadeShape, Callable[[Tensor], Tensor]] = {
    "linear": lambda rise: rise,
    "logarithmic": lambda rise: ((rise + 0.1).log10_() + 1.0).clamp_(0.0, 1.0),
    "exponential": lambda rise: (rise - 1.0).exp2_() * rise,
    "quarter_sine": lambda rise: (rise * (torch.pi / 2)).sin_(),
    "half_sine": lambda rise: (rise * (torch.pi / 2)).sin_().square(),
}
