"""Flag by kurtosis: give weight 0 to channels whose powers are not those of noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import interference
from fastsig.axes.units import exact
from fastsig.calibration.radiometer import n_eff
from fastsig.errors import FormatError, PlanError, UsageError
from fastsig.stages.channel_masks import in_mhz, protected_channels
from fastsig.stages.flagging import FlagStage, rows_of_states
from fastsig.stages.impulses import calm_sums, impulses, mean_series, sums_without
from fastsig.stream import Block, CodedBlock, Stream

__all__ = ["FlagKurtosis"]

_POWERS = ("AA", "BB", "I")

_LEAST_ROWS = 16  # for which thresholds are known
_SHARES = 1e-8, 0.1
_LEAST_SHAPE, _MOST_SHAPE = 0.5, 2**20
_COUNTS_PER_OCTAVE = 16  # numbers of valid values with thresholds of their own

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Flags = NDArray[np.bool_]


class _Judged(NamedTuple):
    """Flags of a segment.

    Parameters
    ----------
    channels : ndarray, shape (1, product or 1, chan), bool
    rows : ndarray, shape (n, product or 1), bool, or None
        Spectra in which channels that are not protected are flagged.
    """

    channels: Flags
    rows: Flags | None


class FlagKurtosis(FlagStage):
    r"""Spectra in which channels with a kurtosis or skewness unlike that of noise have weight 0.

    The power of noise that was summed over N samples has a gamma distribution of shape k = N d,
    with d = 1 for AA and BB, and for I of a single recorded polarisation, and d = 2 for I of two
    polarisations of equal power (the default where a file does not record their number). In
    segments of `n_segment` spectra, counted from the first, the spectral kurtosis of M values with
    the sums S1 and S2 of their first and second powers,

    .. math:: SK = \frac{M k + 1}{M - 1} \left(\frac{M S_2}{S_1^2} - 1\right),

    is 1 for noise of any power (Nita and Gary 2010); intermittent interference increases it, and a
    steady carrier lowers it. The thresholds follow from the exact distribution for noise. With
    `skewness`, channels are also flagged if the third moment about the mean, divided by the third
    power of the mean, is larger than that of noise, whose moments are known exactly. At most a
    fraction `noise_share` of noise is flagged in each product, half of it by each test. If the
    header contains the schedule of the noise diode, spectra with the diode on, off, and partly on
    are tested separately.

    If there are 32 or more channels, spectra in which more than half of the channels deviate in the
    same direction from their means in the segment by more than their noise are flagged, and the
    channels are tested without these spectra. A short impulse in all channels, or spectra that were
    not recorded, would otherwise cause all channels to be flagged in the segment.

    Values must be powers, so that the value 0 means no power. This is not the case in recordings
    with few bits if the recorder has set the levels of the channels, in spectra minus a baseline,
    and after `zero_dm`: SK then differs from 1 in all channels. With `n_sum` "measured", k is
    the value for which the median SK of a segment is 1, the thresholds are approximate, and the
    skewness is not tested.

    Parameters
    ----------
    source : SpectrumStream
        Spectra with at least one of the products AA, BB and I; other products are not tested.
    noise_share : float
        Fraction of pure noise that may be flagged in each product, 1e-8 to 0.1.
    n_sum : float or str, optional
        N, the number of independent samples in a value of one polarisation, or "measured". By
        default, it is the channel width times the integration time, times `n_eff` of the header: 6
        for spectra of FAST at 49.152 us with 4096 channels.
    skewness : bool
        Whether the skewness is also tested, unless `n_sum` is "measured".
    n_segment : int, optional
        Number of spectra in a segment, 16 or more; by default, 32 to 1024, chosen so that a product
        has about 2**20 values in a segment.
    protect : str or sequence, optional
        Frequency intervals that are never flagged.
    together : bool
        Whether a channel that is flagged in one product is flagged in all products.

    Raises
    ------
    PlanError
        If the source contains no spectra of powers.
    UsageError
        If a parameter is not allowed.
    FormatError
        If the number of samples or the frequencies are needed but not known.

    References
    ----------
    G. M. Nita and D. E. Gary, MNRAS 406, L60 (2010).
    """

    name = "flag_kurtosis"

    def __init__(self, source: Stream, *, noise_share: float = 1e-3, n_sum: Any = None,
                 skewness: bool = True, n_segment: int | None = None, protect: Any = None,
                 together: bool = True) -> None:
        super().__init__(source, n_segment)
        if self.n_segment < _LEAST_ROWS:
            raise UsageError(f"n_segment = {n_segment}; allowed: {_LEAST_ROWS} or more")
        if not _SHARES[0] <= float(noise_share) <= _SHARES[1]:
            raise UsageError(f"noise_share = {noise_share!r}; allowed: {_SHARES[0]:g} to "
                             f"{_SHARES[1]:g}")
        self.noise_share = float(noise_share)
        measured = isinstance(n_sum, str) and n_sum == "measured"
        self.skewness = bool(skewness) and not measured
        self.together = bool(together)
        self._products = self._powers()
        self.n_sum = None if measured else self._samples(n_sum)
        self.protect = interference.intervals(protect, "protect")
        self._protected = protected_channels(self.source, self.protect)

    def _powers(self) -> dict[int, int]:
        """Return the powers that are added in each product that is tested, by its number."""
        basis = self.polarization
        found = {p: basis.n_added(name) for p, name in enumerate(basis.names) if name in _POWERS}
        if not found:
            raise PlanError(f"{self.path}: the spectra have the products {', '.join(basis.names)}; "
                            f"allowed: powers, {', '.join(_POWERS)}")
        if self.header.zero_dm is not None:
            raise PlanError(f"{self.path}: the mean over the band was subtracted, and the values "
                            "are not powers; allowed: flag_kurtosis before zero_dm")
        return found

    def _samples(self, n_sum: Any) -> float:
        """Return N, for one polarisation."""
        if n_sum is None:
            axis = self.header.channels
            if axis is None:
                raise FormatError(self.path, "the width of the channels is not known, so the "
                                  "number of samples in a value is not; give n_sum")
            n_sum = float(axis.step_hz / self.header.sample_rate) * n_eff(self.header)
        elif isinstance(n_sum, str):
            raise UsageError(f"n_sum = {n_sum!r}; allowed: a number, or measured")
        else:
            n_sum = float(exact(n_sum, "", "n_sum"))
        if not 0.99 <= n_sum <= _MOST_SHAPE / 2:
            raise UsageError(f"{self.path}: n_sum = {n_sum:.6g} samples in a value; "
                             f"allowed: 1 to {_MOST_SHAPE // 2}")
        return max(1.0, float(n_sum))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies are edges, MHz."""
        return {"noise_share": self.noise_share, "skewness": self.skewness,
                "n_sum": "measured" if self.n_sum is None else self.n_sum,
                "n_segment": self.n_segment, "protect_mhz": in_mhz(self.protect),
                "together": self.together}

    @property
    def _flag_products(self) -> int:
        return 1 if self.together else self.shape[1]

    def _result(self, first: int, data: F4, weight: F4) -> _Judged:
        """Return the flags of a segment."""
        from fastsig_kernels import power_sums

        flags, sudden = np.zeros((1, *data.shape[1:]), np.bool_), np.zeros(data.shape[:2], np.bool_)
        for p, added in self._products.items():
            for rows in rows_of_states(self.header, first, len(data)):
                x = np.ascontiguousarray(data[rows, p])
                found, there = self._tested(x, power_sums(x), added)
                flags[0, p] |= found
                sudden[np.arange(len(data))[rows][there], p] = True
        flags[:, :, self._protected] = False
        others = [p for p in range(data.shape[1]) if p not in self._products]
        if self.together or others:
            some = slice(None) if self.together else others
            flags[:, some] |= flags.any(axis=1, keepdims=True)
            sudden[:, some] |= sudden.any(axis=1, keepdims=True)
        if self.together:
            flags, sudden = flags[:, :1], sudden[:, :1]
        return _Judged(flags, sudden if sudden.any() else None)

    def _coded_result(self, first: int, block: CodedBlock) -> _Judged:
        """Return the same flags, from sums of codes."""
        lost = block.lost_channels()
        if lost is None or block.series is not None or self.header.diode is not None:
            made: _Judged = super()._coded_result(first, block)
            return made
        sums = block.power_sums().copy()
        sums[:, lost] = 0
        flags, there = self._tested(block.codes, sums, self._products[0], block.lost_rows())
        flags[self._protected] = False
        sudden = np.zeros((block.n, 1), np.bool_)
        sudden[there] = True
        return _Judged(flags[np.newaxis, np.newaxis], sudden if there.size else None)

    def _parts(self, start: int, n: int, block: Block | CodedBlock | None
               ) -> list[tuple[int, int, int, Flags]]:
        """Return flags of parts of rows."""
        return [(begin, end, first, self._flags(made))
                for begin, end, first, made in super()._parts(start, n, block)]

    def _flags(self, made: _Judged) -> Flags:
        if made.rows is None:
            return made.channels
        return made.channels | (made.rows[..., np.newaxis] & ~self._protected)

    def _coded_parts(self, block: CodedBlock
                     ) -> tuple[CodedBlock, list[tuple[int, int, int, Flags]]]:
        """Return rows without those that are flagged, unless channels of these are protected."""
        if self._protected.any():
            return super()._coded_parts(block)
        parts, lost = [], np.zeros(block.n, np.bool_)
        for begin, end, first, made in super()._parts(block.start, block.n, block):
            parts.append((begin, end, first, made.channels))
            if made.rows is not None:
                there = slice(begin - block.start, end - block.start)
                lost[there] = made.rows[begin - first : end - first, 0]
        return block.without(lost) if lost.any() else block, parts

    def _tested(self, x: F4 | NDArray[np.uint8], sums: F8, added: int, lost: Flags | None = None
                ) -> tuple[Flags, NDArray[np.int64]]:
        """Return flags of the channels of a product, and the rows that are flagged.

        `lost` are rows that are not valid, (n,).
        """
        known, found = sums[0] > 0, np.empty(0, np.int64)
        valid = known & ~self._protected
        if valid.any():
            series = mean_series(x, sums, valid)
            if lost is not None:
                series[lost] = np.nan
            shape = self._shape(calm_sums(x, series) * known if self.n_sum is None else sums, added)
            if shape >= _LEAST_SHAPE:
                found = impulses(x, series, sums, shape, valid)
        if found.size:
            sums = sums_without(x, found, sums)
        return self._unlike_noise(sums, added), found

    def _shape(self, sums: F8, added: int) -> float:
        """Return the shape of the gamma distribution of the values of a product."""
        return _measured(sums) if self.n_sum is None else self.n_sum * added

    def _unlike_noise(self, sums: F8, added: int) -> Flags:
        """Return flags of the channels of a product, given the sums of powers of their values."""
        shapes = np.full(sums.shape[1], self._shape(sums, added))
        axis = self.header.channels
        if axis is not None and axis.half_channel is not None:
            shapes[axis.half_channel] /= 2
        found = np.zeros(sums.shape[1], np.bool_)
        share = self.noise_share / (2 if self.skewness else 1)
        counts = _rounded_down(sums[0])
        for count in np.unique(counts[counts >= _LEAST_ROWS]).tolist():
            for k in np.unique(shapes).tolist():
                these = (counts == count) & (shapes == k)
                if these.any() and _LEAST_SHAPE <= k <= _MOST_SHAPE:
                    found[these] = _beyond(sums[:, these], count, k, share,
                                           skewness=self.skewness)
        return found


def _rounded_down(counts: F8) -> NDArray[np.int64]:
    """Return numbers of values, few of them different; the thresholds for fewer are wider."""
    most = counts.max(initial=1.0)
    with np.errstate(divide="ignore"):
        below = np.ceil(_COUNTS_PER_OCTAVE * np.log2(most / counts))
    rounded = np.floor(most * 2.0 ** (-below / _COUNTS_PER_OCTAVE))
    return np.where(counts > 0, np.minimum(rounded, counts), 0).astype(np.int64)


def _measured(sums: F8) -> float:
    """Return the shape of the gamma distribution for which the median kurtosis is 1."""
    n = sums[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = (n * sums[2] / sums[1] ** 2 - 1) / (n - 1)
        shape = (1 / excess - 1) / n  # of (n k + 1) excess = 1
    known = shape[np.isfinite(shape) & (n >= _LEAST_ROWS)]
    return float(np.median(known)) if len(known) else 0.0


def _beyond(sums: F8, count: int, shape: float, share: float, *, skewness: bool) -> Flags:
    """Return which channels are beyond the thresholds for `count` values of noise."""
    n, s1, s2, s3, _ = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        square = n * s2 / s1**2
        kurtosis = (n * shape + 1) / (n - 1) * (square - 1)
        third = n * n * s3 / s1**3 - 3 * square + 2
    low, high = _kurtosis_limits(count, shape, share)
    found = ~((low <= kurtosis) & (kurtosis <= high))
    if skewness:
        found |= ~(third <= _skewness_limit(count, shape, share))
    return np.asarray(found)


@lru_cache(maxsize=4096)
def _kurtosis_limits(n: int, shape: float, share: float) -> tuple[float, float]:
    """Return the two thresholds outside which the SK of noise lies with a probability `share`."""
    from fastsig_kernels import kurtosis_thresholds

    return kurtosis_thresholds(n, shape, _sigma(share))


@lru_cache(maxsize=4096)
def _skewness_limit(n: int, shape: float, share: float) -> float:
    """Return the third moment that noise exceeds with a probability `share`."""
    from fastsig.calibration.gamma_skewness import skewness_threshold

    return skewness_threshold(n, shape, _sigma(2 * share))


def _sigma(share: float) -> float:
    """Return the standard deviations of a Gaussian beyond which, on both sides, a share lies."""
    from scipy.special import ndtri

    return -float(ndtri(share / 2))
