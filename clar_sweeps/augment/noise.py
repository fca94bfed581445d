"""WN and MN: add white noise, or noise of a random colour, at a signal-to-noise ratio."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from clar_sweeps.augment.parameters import check_waveforms, uniform_integers

NoiseColour = Literal["white", "brown", "pink"]
NOISE_COLOURS: tuple[NoiseColour, ...] = get_args(NoiseColour)
# Amplitude falls as frequency to this power: power by 0, 6 and 3 dB an octave.
_EXPONENTS = (0.0, -1.0, -0.5)
# Cycles a sample, 20 Hz at 16 kHz. Coloured noise is flat below: a pure 1/f^2 spectrum would
# spend most of its power where nothing is heard, and an SNR in dB would say little.
_CORNER = 1 / 800


class WhiteNoiseParameters(NamedTuple):
    """Parameters of white noise; see `apply_noise`."""

    noise: Tensor
    snr_db: Tensor


class MixedNoiseParameters(NamedTuple):
    """Parameters of mixed noise: white noise still to be coloured; see `apply_mixed_noise`."""

    noise: Tensor
    snr_db: Tensor
    colours: Tensor


def sample_white_noise(
    *,
    batch: int,
    time: int,
    generator: torch.Generator,
    min_snr_db: int = 0,
    max_snr_db: int = 19,
) -> WhiteNoiseParameters:
    """Draw normal noise and a ratio for each waveform, uniform over whole dB, both ends inclusive.

    Source: CLAR (arXiv:2010.09542), section 3.4, which gives no range; 0 to 19 dB is the
    authors' code.
    """
    return WhiteNoiseParameters(
        noise=torch.randn(batch, time, generator=generator, device=generator.device),
        snr_db=uniform_integers(batch, min_snr_db, max_snr_db, generator),
    )


def sample_mixed_noise(
    *,
    batch: int,
    time: int,
    generator: torch.Generator,
    min_snr_db: int = 0,
    max_snr_db: int = 19,
) -> MixedNoiseParameters:
    """Draw as `sample_white_noise`, and a colour for each waveform, each with probability 1/3.

    Source: CLAR (arXiv:2010.09542), section 3.4. The authors' code has five outcomes, mixes by
    random gains in place of a ratio, and clips the negative half of the waveform away.
    """
    white = sample_white_noise(
        batch=batch,
        time=time,
        generator=generator,
        min_snr_db=min_snr_db,
        max_snr_db=max_snr_db,
    )
    colours = uniform_integers(batch, 0, len(NOISE_COLOURS) - 1, generator)
    return MixedNoiseParameters(white.noise, white.snr_db, colours)


def apply_noise(waveforms: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise to each waveform, scaled to its signal-to-noise ratio.

    The ratio is one of root mean squares over the whole clip and holds exactly for the noise
    that was drawn, not only on average. A silent waveform stays silent.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        noise: (batch, time) of any scale.
        snr_db: (batch,) dB.

    Returns:
        (batch, time); not clipped.

    Raises:
        ValueError: noise or snr_db do not have one entry a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation WN.
    """
    check_waveforms(waveforms, noise=noise, snr_db=snr_db)
    signal_norm = torch.linalg.vector_norm(waveforms, dim=1)
    noise_norm = torch.linalg.vector_norm(noise, dim=1).clamp(min=1e-20)
    gain = signal_norm / noise_norm * 10.0 ** (-snr_db / 20)
    return torch.addcmul(waveforms, noise, gain[:, None])


def apply_mixed_noise(waveforms: Tensor, noise: Tensor, snr_db: Tensor, colours: Tensor) -> Tensor:
    """Add white, brown or pink noise to each waveform at its signal-to-noise ratio.

    Args:
        waveforms: (batch, time), amplitude in [-1, 1]; left unchanged.
        noise: (batch, time) white noise.
        snr_db: (batch,) dB, of the coloured noise.
        colours: (batch,) index into NOISE_COLOURS.

    Returns:
        (batch, time); not clipped.

    Raises:
        ValueError: a parameter does not have one entry a waveform.

    Source: CLAR (arXiv:2010.09542), augmentation MN.
    """
    check_waveforms(waveforms, noise=noise, snr_db=snr_db, colours=colours)
    return apply_noise(waveforms, colour_noise(noise, colours), snr_db)


def colour_noise(noise: Tensor, colours: Tensor) -> Tensor:
    """Shape the spectrum of white noise, by 0 (white), -6 (brown) or -3 (pink) dB an octave.

    Args:
        noise: (batch, time) white noise; left unchanged.
        colours: (batch,) index into NOISE_COLOURS.

    Returns:
        (batch, time), its level changed; flat below 1/800 of the sample rate.
    """
    time = noise.shape[1]
    frequencies = torch.fft.rfftfreq(time).clamp(min=_CORNER) / _CORNER
    gains = torch.stack([frequencies**exponent for exponent in _EXPONENTS])
    gains = gains.to(noise.device, non_blocking=True)
    coloured: Tensor = torch.fft.irfft(torch.fft.rfft(noise).mul_(gains[colours]), n=time)
    return coloured
