"""PRESTO's time series as streams: from a .dat file, or from the spectrum in a .fft file.

References
----------
S. M. Ransom, PRESTO: realfft.c and fastffts.c (the spectrum of N real samples, with exponents
``-2 pi i r n / N`` and no factor, as N / 2 complex numbers of which the first consists of the real
amplitudes of bins 0 and N / 2).
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.io.spectra.segments import SegmentedSpectra

__all__ = ["SPECTRUM", "PrestoSeries", "TransformedSeries"]

#: Ending of the names of spectra.
SPECTRUM = ".fft"


class PrestoSeries(SegmentedSpectra):
    """A time series: float32 (time, 1, 1), with weight 0 for padding."""

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        self._raw.read_into(0, out.view("<f4"), 4 * first)


class TransformedSeries(PrestoSeries):
    """The time series whose spectrum a .fft file contains.

    The whole series is computed when it is first read, which needs 20 bytes for each sample, and
    kept until the stream is closed, 4 bytes for each.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._lock = threading.Lock()
        self._series: NDArray[np.float32] | None = None

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        with self._lock:
            if self._series is None:
                self._series = self._transformed()
        out[:, 0, 0] = self._series[first:stop]

    def _transformed(self) -> NDArray[np.float32]:
        from scipy.fft import irfft

        n = self.shape[0]
        packed = np.empty(n // 2, np.complex64)
        self._raw.read_into(0, packed.view("<f4"), 0)
        spectrum = np.empty(n // 2 + 1, np.complex128)
        spectrum[:-1] = packed
        spectrum[0], spectrum[-1] = packed[0].real, packed[0].imag
        return np.asarray(irfft(spectrum, n=n, overwrite_x=True), np.float32)

    def work_bytes(self, n: int) -> int:
        """Memory needed for the transform."""
        return 20 * self.shape[0]

    def close(self) -> None:
        """Close the file, and release the series; reading computes it again."""
        super().close()
        with self._lock:
            self._series = None
