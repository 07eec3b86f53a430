"""IQRM: flag channels whose statistic exceeds that of the surrounding channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import interference
from fastsig.axes.polarization import SIGNED
from fastsig.axes.units import exact
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channel_masks import in_mhz, protected_channels
from fastsig.stages.flagging import FlagStage, shared
from fastsig.stages.moments import STATISTICS, statistic, statistic_of_codes
from fastsig.stream import CodedBlock, Stream

__all__ = ["IQRM"]

_LEAST_CHANNELS = 16


class IQRM(FlagStage):
    """Spectra in which channels have weight 0 in segments where their statistics are outliers.

    In segments of `n_segment` spectra, counted from the first, a statistic of each channel is
    compared with that of the channels at lags of 1, 2, 3, 4, 6, 9, ... up to `radius`, in both
    directions (Morello 2022). A difference beyond `threshold` standard deviations, which are
    estimated from the interquartile range of all differences at this lag, is a vote. A channel is
    flagged if it has a vote from a channel that casts fewer votes than the flagged channel
    receives. Slow changes along the band are therefore not outliers. Only values that are too large
    are found.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit, with 16 or more channels.
    statistic : {"std", "modulation", "mean", "skewness", "kurtosis"}
        Statistic of the values of a channel in a segment; "std" is the standard deviation,
        "modulation" is the ratio of the standard deviation to the mean (this ratio does not depend
        on the bandpass, and is computed for powers only), and "kurtosis" is the excess over the
        kurtosis of a Gaussian.
    threshold : float
        Smallest difference that is a vote, in standard deviations.
    radius : float or int
        Longest lag, as a fraction of the channels (below 1) or a number of channels.
    n_segment : int, optional
        Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
        2**20 values in a segment.
    protect : str or sequence, optional
        Frequency intervals that are never flagged.
    together : bool
        Whether a channel that is flagged in one product is flagged in all products.

    Raises
    ------
    PlanError
        If the source contains no spectra, or too few channels.
    UsageError
        If a parameter is not allowed.
    FormatError
        If frequencies are given for a source without frequencies.

    References
    ----------
    V. Morello, K. M. Rajwade and B. W. Stappers, MNRAS 510, 1393 (2022).
    """

    name = "iqrm"

    def __init__(self, source: Stream, *, statistic: str = "std", threshold: float = 3.0,
                 radius: Any = 0.1, n_segment: int | None = None, protect: Any = None,
                 together: bool = True) -> None:
        super().__init__(source, n_segment)
        if statistic not in STATISTICS:
            raise UsageError(f"statistic = {statistic!r}; allowed: {', '.join(STATISTICS)}")
        if not 0 < float(threshold) < np.inf:
            raise UsageError(f"threshold = {threshold!r}; allowed: standard deviations above 0")
        if self.shape[2] < _LEAST_CHANNELS:
            raise PlanError(f"{self.path}: iqrm requires {_LEAST_CHANNELS} or more channels; the "
                            f"spectra have {self.shape[2]}")
        self.statistic, self.threshold = statistic, float(threshold)
        self.radius, self.together = self._channels(radius), bool(together)
        self.protect = interference.intervals(protect, "protect")
        self._protected = protected_channels(self.source, self.protect)
        self._tested = self._products()

    def _products(self) -> list[int]:
        """Return the products that are tested; the mean of one that may be negative can be 0."""
        names = self.polarization.names
        found = [p for p, name in enumerate(names)
                 if self.statistic != "modulation" or name not in SIGNED]
        if not found:
            raise UsageError(f"{self.path}: statistic = 'modulation' with the products "
                             f"{', '.join(names)}; allowed: another statistic, or spectra with "
                             "powers")
        return found

    def _channels(self, radius: Any) -> int:
        """Return the longest lag in channels."""
        value = exact(radius, "", "radius")
        if 0 < value < 1:
            return max(1, int(value * self.shape[2]))
        if value < 1 or value != Fraction(int(value)) or value > self.shape[2]:
            raise UsageError(f"radius = {radius!r}; allowed: a fraction of the channels above 0 "
                             f"and below 1, or a number of channels, 1 to {self.shape[2]}")
        return int(value)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies are edges, MHz."""
        return {"statistic": self.statistic, "threshold": self.threshold,
                "radius_channels": self.radius, "n_segment": self.n_segment,
                "protect_mhz": in_mhz(self.protect), "together": self.together}

    @property
    def _flag_products(self) -> int:
        return 1 if self.together else self.shape[1]

    def _result(self, first: int, data: NDArray[np.float32], weight: NDArray[np.float32]
                ) -> NDArray[np.bool_]:
        """Return the flags of channels, (1, 1 or product, chan)."""
        unknown = np.full(data.shape[2], np.nan)  # such channels are not flagged
        return self._flags([statistic(self.statistic, np.ascontiguousarray(data[:, p]))
                            if p in self._tested else unknown for p in range(data.shape[1])])

    def _coded_result(self, first: int, block: CodedBlock) -> NDArray[np.bool_]:
        """Return the same flags, from sums of codes."""
        lost = block.lost_channels()
        if lost is None or block.series is not None:
            return np.asarray(super()._coded_result(first, block))
        base = block.codes[0] if not block.lost_rows()[0] else np.zeros_like(block.codes[0])
        return self._flags([statistic_of_codes(self.statistic, block.power_sums(), base, lost)])

    def _flags(self, measured: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Return the flags of channels, given the statistic of each in all products."""
        from fastsig_kernels import iqrm_mask

        flags = np.array([[iqrm_mask(each, self.radius, self.threshold) for each in measured]])
        flags[:, :, self._protected] = False
        return shared(flags, self.polarization.names, together=self.together)
