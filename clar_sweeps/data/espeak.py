"""espeak-ng by ctypes: text to a waveform. For use in a process of its own.

Five facts shape this file:

* The library keeps state between calls that no call resets: a clip depends on what was spoken
  before. The same sequence of calls in a fresh process gives the same bits.
* The engine seeds its breath and roughness from the clock, so it is seeded again here.
* It is not thread-safe, and it is GPL-3.0-or-later. So nothing but the worker imports it.
* A data path over about 160 bytes fails, and without DONT_EXIT that ends the process.
* Parameters are reset by the choice of a voice, so they are set after it.
"""

import ctypes
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.errors import DataError

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_MAX_PATH_BYTES = 150
_CHARS_UTF8 = 1
_SEED = 1
_PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4}
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The one engine of this process."""

    def __init__(self, data_path: Path | None = None) -> None:
        """Start the engine.

        Args:
            data_path: The folder `espeak-ng-data`; None takes the one that
                `espeakng-loader` carries.

        Raises:
            DataError: the library does not accept its data.
        """
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        path = self._short(data_path or Path(espeakng_loader.get_data_path()))
        # Not `< 0`: with DONT_EXIT a missing folder gives 0.
        result = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, ctypes.c_char_p(bytes(path)), _DONT_EXIT
        )
        if result <= 0:
            raise DataError(
                f"espeak-ng: does not accept its data in {path}; reinstall espeakng-loader"
            )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        self.sample_rate = int(result)
        self._chunks: list[bytes] = []
        # Kept as an attribute: the library would call into freed memory without it.
        self._callback = _CALLBACK(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    @property
    def version(self) -> str:
        """Return the library's version, such as "1.52.0"."""
        self._library.espeak_Info.restype = ctypes.c_char_p
        return str(self._library.espeak_Info(None).decode().split()[0])

    def speak(
        self, text: str, *, voice: str, rate: int, pitch: int, pitch_range: int
    ) -> NDArray[np.float32]:
        """Speak one text.

        Args:
            text: Plain text.
            voice: Accent and variant, such as "en-us+f3".
            rate: Words a minute, in [80, 450].
            pitch: In [0, 100].
            pitch_range: In [0, 100]; 0 is monotone.

        Returns:
            (time,) at `sample_rate`, amplitude in [-1, 1].

        Raises:
            DataError: the library does not know the voice or says nothing.
        """
        self._check(self._library.espeak_SetVoiceByName(voice.encode()), f"voice '{voice}'")
        for name, value in {"rate": rate, "pitch": pitch, "pitch_range": pitch_range}.items():
            status = self._library.espeak_SetParameter(_PARAMETERS[name], value, 0)
            self._check(status, f"{name} {value}")
        self._chunks.clear()
        raw = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            raw, ctypes.c_size_t(len(raw)), 0, 0, 0, _CHARS_UTF8, None, None
        )
        self._check(status, f"text '{text}'")
        samples = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
        if not samples.any():
            raise DataError(f"espeak-ng: voice '{voice}' says nothing for '{text}'")
        return samples.astype(np.float32) / np.float32(32_768)

    def _short(self, path: Path) -> Path:
        if len(bytes(path)) <= _MAX_PATH_BYTES:
            return path
        # Data are read lazily, so the link lives as long as the engine.
        self._link_folder = tempfile.TemporaryDirectory(prefix="espeak-")
        link = Path(self._link_folder.name) / "espeak-ng-data"
        link.symlink_to(path.resolve(), target_is_directory=True)
        return link

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: object) -> int:
        if count > 0 and samples:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def _check(self, status: int, what: str) -> None:
        if status != 0:
            raise DataError(f"espeak-ng: refused {what} with status {status}")
