"""What became of waveforms: their levels beside the clean ones, and how far they lie apart."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps.audit.rules import AUDIBLE_DB, ONE_SIGN, SILENT_PEAK
from clar_sweeps.features import SpectralFeatures

_MEL_CHANNEL = 2
_MOST_SNR_DB = 100.0  # of a view that is the clip itself


class Levels(NamedTuple):
    """Means over waveforms.

    Attributes:
        unchanged_share: Equal to the clean clip.
        silent_share: No sample reaches SILENT_PEAK, though one of the clean clip does.
        clipped_share: A sample reaches 1 in magnitude, though none of the clean clip does.
        one_sided_share: Samples of one sign, though the clean clip has both.
        dc_added: By how much the mean is further from 0 than the clean clip's, in RMS.
        nonfinite_share: A sample is NaN or infinite.
    """

    unchanged_share: float
    silent_share: float
    clipped_share: float
    one_sided_share: float
    dc_added: float
    nonfinite_share: float


class Distances(NamedTuple):
    """How far waveforms lie apart.

    Attributes:
        views_db: Log-mel distance of the two views, RMS over bands and frames, mean over clips.
        clean_db: The same of the views to the clean clip.
        snr_db: Power of the clean clip over that of the difference, median; 100 where there is
            none.
    """

    views_db: float
    clean_db: float
    snr_db: float


def levels_of(clean: Tensor, view: Tensor) -> Tensor:
    """Levels of each waveform: (batch, time) twice -> (batch, fields of Levels)."""
    finite = view.isfinite().all(1)
    unchanged = (view == clean).all(1)
    view = view if bool(finite.all()) else view.nan_to_num()
    peak, clean_peak = (each.abs().amax(1) for each in (view, clean))
    rms = view.square().mean(1).sqrt().clamp(min=SILENT_PEAK)
    columns = (
        unchanged,
        (peak < SILENT_PEAK) & (clean_peak >= SILENT_PEAK),
        (peak >= 1) & (clean_peak < 1),
        _is_one_sided(view) & ~_is_one_sided(clean),
        (view.mean(1).abs() - clean.mean(1).abs()).clamp(min=0) / rms,
        ~finite,
    )
    return torch.stack([column.float() for column in columns], dim=1)


def mean_levels(rows: Sequence[Tensor]) -> Levels:
    """Means of what `levels_of` gave."""
    return Levels(*torch.cat(list(rows)).double().mean(0).tolist())


def _is_one_sided(waveforms: Tensor) -> Tensor:
    positive, negative = (waveforms > 0).sum(1), (waveforms < 0).sum(1)
    share = torch.maximum(positive, negative) / (positive + negative).clamp(min=1)
    return share >= ONE_SIGN


def distances_of(clean: Tensor, views: tuple[Tensor, Tensor], features: SpectralFeatures) -> Tensor:
    """Distances of each clip: (batch, time) thrice -> (2 * batch, fields of Distances)."""
    first, second = (view.nan_to_num() for view in views)
    mels = [features(each)[:, _MEL_CHANNEL] for each in (clean, first, second)]
    floor = mels[0].amax((1, 2), keepdim=True) - AUDIBLE_DB
    clean_mel, *view_mels = (torch.maximum(mel, floor) for mel in mels)
    apart = _rms(view_mels[0] - view_mels[1])
    rows = [
        torch.stack([apart, _rms(mel - clean_mel), _snr_db(clean, view)], dim=1)
        for mel, view in zip(view_mels, (first, second), strict=True)
    ]
    return torch.cat(rows)


def coarse_features() -> SpectralFeatures:
    """What distances are taken in: half of the paper's bands and frames, in a sixth of the time."""
    return SpectralFeatures(num_bands=64, window_length=512, hop_length=256, n_fft=1024)


def mean_distances(rows: Sequence[Tensor]) -> Distances:
    """Means and median of what `distances_of` gave."""
    views, clean, snr = torch.cat(list(rows)).double().unbind(1)
    return Distances(float(views.mean()), float(clean.mean()), float(snr.median()))


def _rms(difference: Tensor) -> Tensor:
    return difference.square().mean((1, 2)).sqrt()


def _snr_db(clean: Tensor, view: Tensor) -> Tensor:
    power, difference = clean.square().sum(1), (view - clean).square().sum(1)
    ratio = power.clamp(min=1e-20) / difference.clamp(min=1e-20)
    return (10 * ratio.log10()).clamp(max=_MOST_SNR_DB)
