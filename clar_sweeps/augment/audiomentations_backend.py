"""The same chain by the audiomentations library, clip by clip on the CPU, for comparison.

Parameters and coins are drawn as in the torch backend and handed to the library's transforms, so
that both backends make the same decisions. What differs is the signal processing:

- PS, TST: the library's phase vocoder is librosa's, without phase locking, 128 ms frames.
- TSR, and TST of the authors' code: the same, then resampled by the library to a whole number of
  Hz, at most 0.2 cents off.
- WN, MN: the library draws its own noise, and its ratio holds on average only (WN).
- TM: the library knows silence only; a noise fill is put into the silenced span here.
- FD: the library has no fades of these shapes; the torch operation is used.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clar_sweeps.augment.chain import Chain
from clar_sweeps.augment.noise import NOISE_COLOURS
from clar_sweeps.augment.operations import Operation
from clar_sweeps.config import Definition
from clar_sweeps.errors import DependencyError

Waveform = NDArray[np.float32]
VocoderMethod = Literal["librosa_phase_vocoder", "signalsmith_stretch"]


class AudiomentationsChain(Chain):
    """Chain whose operations are the library's; same arguments, draws and results' shapes.

    Args:
        operations: Names in OPERATIONS; the first acts first.
        probabilities: One for all operations, or one each, in [0, 1].
        sample_rate: Hz.
        definition: Whose parameters operations have, the paper's or those of the authors' code.
        vocoder_method: The library's vocoder for PS, TST and TSR; librosa's is the paper's.

    Raises:
        ValueError: as for Chain.
        DependencyError: audiomentations is not installed.
    """

    def __init__(
        self,
        operations: Sequence[str],
        probabilities: Sequence[float] | float = 1.0,
        *,
        sample_rate: int = 16_000,
        definition: Definition = "paper",
        vocoder_method: VocoderMethod = "librosa_phase_vocoder",
    ) -> None:
        super().__init__(operations, probabilities, sample_rate=sample_rate, definition=definition)
        try:
            import audiomentations
        except ImportError as error:
            raise DependencyError(
                "backend 'audiomentations' needs that package; "
                "run 'pip install audiomentations' or use backend 'torch'"
            ) from error
        self._library = audiomentations
        self._vocoder_method = vocoder_method
        self._by_name: dict[str, Callable[..., Waveform]] = {
            "PS": self._pitch_shift,
            "WN": self._white_noise,
            "MN": self._mixed_noise,
            "TM": self._time_mask,
            "TS": self._time_shift,
            "TST": self._time_stretch if definition == "paper" else self._stretch_resample,
            "TSR": self._stretch_resample,
        }

    def apply_operation(
        self, operation: Operation, waveforms: Tensor, parameters: tuple[Tensor, ...]
    ) -> Tensor:
        apply = self._by_name.get(operation.name)
        if apply is None:
            return super().apply_operation(operation, waveforms, parameters)
        clips = waveforms.detach().cpu().numpy()
        columns = [values.cpu().numpy() for values in parameters]
        changed = np.stack([apply(clip, *row) for clip, *row in zip(clips, *columns, strict=True)])
        return torch.from_numpy(changed.astype(np.float32, copy=False)).to(waveforms.device)

    def _run(self, transform: Any, clip: Waveform, **parameters: float) -> Waveform:
        """Run a transform of the library with parameters in place of those it would draw."""
        transform.parameters = {"should_apply": True, **parameters}
        transform.freeze_parameters()
        result: Waveform = transform(clip.copy(), self.sample_rate)
        return result

    def _pitch_shift(self, clip: Waveform, semitones: np.int64) -> Waveform:
        transform = self._library.PitchShift(method=self._vocoder_method)
        return self._run(transform, clip, num_semitones=int(semitones))

    def _time_stretch(self, clip: Waveform, rate: np.float32) -> Waveform:
        transform = self._library.TimeStretch(method=self._vocoder_method)
        return self._run(transform, clip, rate=float(rate))

    def _stretch_resample(self, clip: Waveform, rate: np.float32) -> Waveform:
        stretch = self._library.TimeStretch(
            method=self._vocoder_method, leave_length_unchanged=False
        )
        stretched = self._run(stretch, clip, rate=float(rate))
        resample = self._library.Resample()
        target_sample_rate = round(self.sample_rate * len(clip) / len(stretched))
        resampled = self._run(resample, stretched, target_sample_rate=target_sample_rate)
        resampled = resampled[: len(clip)]
        return np.pad(resampled, (0, len(clip) - len(resampled)))

    def _time_shift(self, clip: Waveform, shift: np.int64) -> Waveform:
        transform = self._library.Shift(shift_unit="samples", fade_duration=0.0)
        return self._run(transform, clip, shift_amount=int(shift) % len(clip))

    def _time_mask(
        self, clip: Waveform, start: np.int64, width: np.int64, fill: Waveform
    ) -> Waveform:
        if width == 0:
            return clip.copy()
        transform = self._library.TimeMask(fade_duration=0.0)
        masked = self._run(transform, clip, t0=int(start), t=int(width))
        masked[start : start + width] = fill[:width]
        return masked

    def _white_noise(self, clip: Waveform, noise: Waveform, snr_db: np.int64) -> Waveform:
        with _library_seeded(noise):
            noise_std = _noise_rms(clip, snr_db)
            return self._run(self._library.AddGaussianSNR(), clip, noise_std=noise_std)

    def _mixed_noise(
        self, clip: Waveform, noise: Waveform, snr_db: np.int64, colour: np.int64
    ) -> Waveform:
        from audiomentations.augmentations.add_color_noise import NOISE_COLOR_DECAYS

        with _library_seeded(noise):
            return self._run(
                self._library.AddColorNoise(),
                clip,
                desired_noise_rms=_noise_rms(clip, snr_db),
                f_decay=NOISE_COLOR_DECAYS[NOISE_COLOURS[colour]],
                apply_a_weighting=False,
            )


def _noise_rms(clip: Waveform, snr_db: np.int64) -> float:
    return float(np.sqrt(np.mean(np.square(clip))) * 10.0 ** (-float(snr_db) / 20))


@contextmanager
def _library_seeded(noise: Waveform) -> Iterator[None]:
    """Seed the global generators from the bits of a drawn number, then restore them.

    An exception to the rule that nobody touches them: the library draws its noise from them
    and takes no generator.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  the library's generator
    seed = int(noise[:1].view(np.uint32)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
