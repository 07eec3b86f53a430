"""Zero-DM: remove the part of spectra that is the same in all channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.gain_noise import without_level
from fastsig.errors import PlanError, UsageError
from fastsig.stages.segments import SegmentStage
from fastsig.stream import Block, CodedBlock, Stream

__all__ = ["ZeroDM"]

METHODS = ("mean", "zdot")

F4 = NDArray[np.float32]


class _Fit(NamedTuple):
    """What is subtracted in a segment.

    Parameters
    ----------
    level : list of (ndarray, shape (chan,), float32, or None)
        Levels of each product, from which deviations are counted; None if all samples are valid.
    center : list of float
        Mean of each product's series.
    gain : list of (ndarray, shape (chan,), float32, or None)
        Factors of deviations of the series from its mean; None for 1.
    """

    level: list[F4 | None]
    center: list[float]
    gain: list[F4 | None]


class ZeroDM(SegmentStage):
    r"""Spectra without the signals that arrive in all channels at the same time.

    With the method "mean" (Eatough 2009), the mean over the band is subtracted at each time:

    .. math:: y_c(t) = x_c(t) - s(t), \quad s(t) = \langle x_c(t) \rangle_c

    Only valid channels contribute to the mean, each as its deviation from its level in a segment of
    `n_segment` spectra, so that the mean does not change with the set of valid channels. With the
    method "zdot" (Men 2019), the strength of the signal may differ between channels: in each
    segment, the slope a of each channel as a function of s is fitted, and

    .. math:: y_c(t) = x_c(t) - s(t) - (a_c - 1)\,(s(t) - \langle s \rangle)

    Afterwards, the mean over the band is 0, so the values are no longer powers. A pulse of
    dispersion measure 0 is removed, and a dispersed pulse loses power if its delay T across the
    band is not much longer than its width: its Fourier transform is multiplied by 1 - sinc^2(f T)
    at the fluctuation frequency f. If T is much longer than the pulse, the mean over the band is
    small, and little power is lost.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit, with two or more channels.
    method : {"mean", "zdot"}
        Method that determines what is subtracted, as described above.
    n_segment : int, optional
        Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
        2**20 values in a segment.

    Raises
    ------
    PlanError
        If the source contains no spectra, or only one channel.
    UsageError
        If a parameter is not allowed.

    References
    ----------
    R. P. Eatough et al., MNRAS 395, 410 (2009); Y. P. Men et al., MNRAS 488, 3957 (2019).
    """

    name = "zero_dm"

    def __init__(self, source: Stream, *, method: str = "mean", n_segment: int | None = None
                 ) -> None:
        if method not in METHODS:
            raise UsageError(f"method = {method!r}; allowed: {', '.join(METHODS)}")
        self.method = method
        super().__init__(source, n_segment, header=source.header.replace(
            zero_dm=method, gain_noise=without_level(source.header.gain_noise)))
        if self.shape[2] < 2:
            raise PlanError(f"{source.path}: zero_dm requires two or more channels")

    @property
    def _result_bytes(self) -> int:
        return 8 * self._values

    @property
    def _working_bytes(self) -> int:
        return self.n_segment * self._values * 4

    def _result(self, first: int, data: F4, weight: F4) -> _Fit:
        fit = _Fit([], [], [])
        for p in range(data.shape[1]):
            x = np.ascontiguousarray(data[:, p])
            level = _level(x, weight[:, p])
            center, gain = 0.0, None
            if self.method == "zdot":
                center, gain = _slopes(x, level)
            fit.level.append(level)
            fit.center.append(center)
            fit.gain.append(gain)
        return fit

    @property
    def coded(self) -> bool:
        """Whether the source is coded, and a single series is subtracted from all channels."""
        return (self.source.coded and self.method == "mean"
                and self.source.header.zero_dm is None)

    def _coded_result(self, first: int, block: CodedBlock) -> _Fit:
        if block.lost_channels() is not None:
            return _Fit([None], [0.0], [None])
        return super()._coded_result(first, block)  # type: ignore[no-any-return]

    def read_coded(self, start: int, n: int) -> CodedBlock:
        """Return the codes of the source, with the series."""
        from fastsig_kernels import band_mean

        self._check_range(start, n)
        block = self.source.read_coded(start, n)
        series = np.empty(n, np.float32)
        for begin, end, _, fit in self._parts(start, n, block):
            part, made = block.part(begin, end), series[begin - start : end - start]
            lost = part.lost_channels() if fit.level[0] is None else None
            if lost is None:
                band_mean(part.block().data[:, 0], level=fit.level[0], out=made)
            else:
                band_mean(part.codes, valid=~lost, out=made)
        return replace(block, series=series)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return spectra (NaN where the weight is 0) and the weights of the source, float32."""
        if self.coded:
            return self.read_coded(start, n).block(out)
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data = np.empty(block.data.shape, np.float32) if out is None else out[:n]
        for begin, end, _, fit in self._parts(start, n, block):
            rows = slice(begin - start, end - start)
            for p in range(data.shape[1]):
                x = np.ascontiguousarray(block.data[rows, p])
                made = data[rows, 0] if data.shape[1] == 1 else np.empty_like(x)
                _subtract(x, fit.level[p], fit.center[p], fit.gain[p], made)
                if data.shape[1] > 1:
                    data[rows, p] = made
        view = data.view()
        view.flags.writeable = False
        return Block(view, block.valid, start, n)


def _level(data: F4, weight: F4) -> F4 | None:
    """Return the mean spectrum of a segment; None if no channel is valid at some times only."""
    from fastsig_kernels import power_sums

    if weight.strides[0] == 0:
        return None
    valid = weight > 0
    valid = valid[valid.any(axis=1)]  # spectra that are lost entirely do not matter
    if (valid == valid[:1]).all():
        return None
    sums = power_sums(data)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[1] / sums[0], np.float32)


def _slopes(data: F4, level: F4 | None) -> tuple[float, F4]:
    """Return the mean of the series, and each channel's slope as a function of it, minus 1."""
    from fastsig_kernels import band_mean, series_gain

    series = band_mean(data, level=level)
    gain = series_gain(data, series) - np.float32(1)
    known = series[np.isfinite(series)]
    center = float(np.mean(known, dtype=np.float64)) if len(known) else 0.0
    return center, np.nan_to_num(gain, copy=False, nan=0.0)


def _subtract(data: F4, level: F4 | None, center: float, gain: F4 | None, out: F4) -> None:
    from fastsig_kernels import band_mean, subtract_series

    series = band_mean(data, level=level)
    subtract_series(data, series, out=out)
    if gain is not None:
        subtract_series(out, series - np.float32(center), gain=gain, out=out)
