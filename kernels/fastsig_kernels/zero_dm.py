"""Zero-DM: the mean of spectra over the band, and its removal from every channel."""

import numpy as np

from . import _check
from ._jit import jit_strict

_LANES = 64  # partial sums of a row, which are added in a fixed order


def band_mean(x: np.ndarray, *, level: np.ndarray | None = None, valid: np.ndarray | None = None,
              out: np.ndarray | None = None) -> np.ndarray:
    """Return the mean over the band at each time: the series of dispersion measure 0.

    ``out[t] = mean of (x[t] - level) over valid channels + mean of level over all its channels``

    Without a level, the series is the mean of the valid channels. With the mean spectrum as level,
    the series does not change with the set of valid channels.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8, any unit
        Spectra, with any strides; NaN is ignored.
    level : ndarray, shape (n_chan,), float32, unit of x, optional
        Levels of the channels; channels in which it is NaN are ignored.
    valid : ndarray, shape (n_chan,), bool, optional
        Channels that are used, for uint8 without a level; all by default.
    out : ndarray, shape (n_time,), float32, unit of x, optional
        Receives the series; NaN where no channel is valid.

    Returns
    -------
    ndarray, shape (n_time,), float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing large when `out` is given. NaN is ignored, and the GIL is released. The
    mean of a row is computed in float64 and does not depend on other rows.

    References
    ----------
    R. P. Eatough et al., MNRAS 395, 410 (2009).
    """
    _check.array("x", x, ("float32", "uint8"), 2)
    if level is not None:
        _check.array("level", level, ("float32",), 1)
        _check.shape("level", level, x.shape[1:])
    if valid is not None:
        _check.array("valid", valid, ("bool",), 1)
        _check.shape("valid", valid, x.shape[1:])
    out = _check.output("out", out, x.shape[:1], "float32", x, level, valid)
    if x.dtype == np.uint8 and level is None:
        code_mean_nb(x, np.full(x.shape[1], 255, np.uint8) if valid is None
                     else valid * np.uint8(255), out)
        return out
    if valid is not None:
        raise ValueError("valid: found for float32 or with a level, allowed for uint8 without one")
    band_mean_nb(x, np.zeros(x.shape[1], np.float32) if level is None else level, out)
    return out


@jit_strict
def code_mean_nb(x, mask, out):
    """Fill `out` as `band_mean` does, for codes, using only the bits in `mask`."""
    known = 0
    for c in range(mask.size):
        known += mask[c] > 0
    for t in range(x.shape[0]):
        row, total = x[t], np.int64(0)
        for c in range(row.size):
            total += np.int64(row[c] & mask[c])
        out[t] = np.float32(np.float64(total) / known) if known > 0 else np.float32(np.nan)


@jit_strict
def band_mean_nb(x, level, out):
    """Fill `out` as `band_mean` does; nothing is checked."""
    n_chan = x.shape[1]
    base, known = 0.0, 0
    for c in range(n_chan):
        if np.isfinite(level[c]):
            base += np.float64(level[c])
            known += 1
    base = base / known if known else np.nan
    row, levels = np.empty(n_chan, np.float32), np.empty(n_chan, np.float32)
    levels[:] = level
    total, count = np.empty(_LANES), np.empty(_LANES)
    for t in range(x.shape[0]):
        row[:] = x[t]
        _sum_lanes(row, levels, total, count)
        every, valid = 0.0, 0.0
        for k in range(_LANES):
            every += total[k]
            valid += count[k]
        out[t] = np.float32(every / valid + base) if valid > 0 else np.float32(np.nan)


@jit_strict
def _sum_lanes(row, level, total, count):
    """Sum the differences that are finite in `_LANES` partial sums."""
    n = row.size
    total[:], count[:] = 0.0, 0.0
    whole = n // _LANES * _LANES
    for first in range(0, whole, _LANES):
        part, base = row[first : first + _LANES], level[first : first + _LANES]
        for k in range(_LANES):
            value = np.float64(part[k]) - np.float64(base[k])
            good = np.isfinite(value)
            total[k] += value if good else 0.0
            count[k] += 1.0 if good else 0.0
    for k in range(n - whole):
        value = np.float64(row[whole + k]) - np.float64(level[whole + k])
        if np.isfinite(value):
            total[k] += value
            count[k] += 1.0


def series_gain(x: np.ndarray, series: np.ndarray, *, out: np.ndarray | None = None
                ) -> np.ndarray:
    """Return how much each channel changes with a series: the slopes of straight-line fits.

    ``out[c] = cov(x[:, c], series) / var(series)``, over the times at which both are finite.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Spectra, with any strides; NaN is ignored.
    series : ndarray, shape (n_time,), float32, any unit
        Series, as from `band_mean`.
    out : ndarray, shape (n_chan,), float32, unit of x over that of the series, optional
        Receives the slopes, which are NaN where the series does not vary.

    Returns
    -------
    ndarray, shape (n_chan,), float32
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates a few values for each channel. NaN is ignored, and the GIL is released. Sums
    are in float64, in the order of the rows.

    References
    ----------
    Y. P. Men et al., MNRAS 488, 3957 (2019).
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("series", series, ("float32",), 1)
    _check.shape("series", series, x.shape[:1])
    out = _check.output("out", out, x.shape[1:], "float32", x, series)
    series_gain_nb(x, series, out)
    return out


@jit_strict
def series_gain_nb(x, series, out):
    """Fill `out` as `series_gain` does; nothing is checked."""
    n_time, n_chan = x.shape
    row, sums = np.empty(n_chan, np.float32), np.zeros((5, n_chan))
    center, known = 0.0, 0
    for t in range(n_time):
        if np.isfinite(series[t]):
            center += np.float64(series[t])
            known += 1
    center = center / known if known else 0.0
    n, sx, sy, sxx, sxy = sums[0], sums[1], sums[2], sums[3], sums[4]
    for t in range(n_time):
        if not np.isfinite(series[t]):
            continue
        s = np.float64(series[t]) - center
        row[:] = x[t]
        for c in range(n_chan):
            good = np.isfinite(row[c])
            value, one = (np.float64(row[c]) if good else 0.0), (1.0 if good else 0.0)
            n[c] += one
            sx[c] += s * one
            sy[c] += value
            sxx[c] += s * s * one
            sxy[c] += s * value
    for c in range(n_chan):
        spread = n[c] * sxx[c] - sx[c] * sx[c]
        slope = (n[c] * sxy[c] - sx[c] * sy[c]) / spread if spread > 0 else np.nan
        out[c] = np.float32(slope)


def subtract_series(x: np.ndarray, series: np.ndarray, *, gain: np.ndarray | None = None,
                    out: np.ndarray | None = None) -> np.ndarray:
    """Subtract a series from every channel.

    ``out[t, c] = x[t, c] - gain[c] series[t]``

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Spectra, with any strides.
    series : ndarray, shape (n_time,), float32, unit of x
        Series, as from `band_mean`.
    gain : ndarray, shape (n_chan,), float32, dimensionless, optional
        Factors of the channels, 1 by default.
    out : ndarray, shape (n_time, n_chan), float32, unit of x, optional
        Receives the result; it may be `x` itself.

    Returns
    -------
    ndarray, shape (n_time, n_chan), float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing large when `out` is given. NaN propagates, and the GIL is released.
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("series", series, ("float32",), 1)
    _check.shape("series", series, x.shape[:1])
    if gain is None:
        gain = np.ones(x.shape[1], np.float32)
    _check.array("gain", gain, ("float32",), 1)
    _check.shape("gain", gain, x.shape[1:])
    if out is None:
        out = np.empty(x.shape, np.float32)
    else:
        _check.target("out", out, x.shape, "float32", series, gain)
        _check.apart_or_same("out", out, x)
    subtract_series_nb(x, series, gain, out)
    return out


@jit_strict
def subtract_series_nb(x, series, gain, out):
    """Fill `out` as `subtract_series` does; nothing is checked."""
    for t in range(x.shape[0]):
        row, made, s = x[t], out[t], series[t]
        for c in range(x.shape[1]):
            made[c] = row[c] - gain[c] * s
