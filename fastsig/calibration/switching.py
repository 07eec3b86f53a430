"""Switched spectra: system temperature, position and frequency switching, nodding, averages.

All functions accept and return arrays whose last axis is the channel, either in the order of the
file or ascending. NaN marks invalid values, which stay NaN and are left out of means.

References
----------
GBTIDL user's guide and reference, `dcmeantsys`, `dosigref`, `dcfold`, `dcaccum`, `donod`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.calibration.radiometer import (
    effective_exposure,
    inner_channels,
    radiometer,
    scatter,
    switched_noise,
)
from fastsig.errors import UsageError

__all__ = ["average", "average_tsys", "effective_exposure", "frequency_switch", "inner_channels",
           "nod", "position_switch", "radiometer", "scatter", "shifted", "smoothed",
           "switched_noise", "total_power", "tsys", "weights"]

Floats = NDArray[np.float64]

#: Shifts closer to a whole channel than this are treated as whole, as in GBTIDL.
SHIFT_TOLERANCE = 0.005


def tsys(cal_on: ArrayLike, cal_off: ArrayLike, tcal: ArrayLike, channels: slice | None = None
         ) -> Floats:
    """Return the system temperature from spectra with the noise diode on and off.

    It is ``Tsys = Tcal <off> / <on - off> + Tcal / 2``, with means over channels. This is the
    system temperature of the mean of both states, as returned by `total_power`.

    Parameters
    ----------
    cal_on, cal_off : array, shape (..., chan)
        Powers, any unit.
    tcal : array, shape (...)
        The diode's temperature, K.
    channels : slice, optional
        Channels of the means; `inner_channels` by default.

    Returns
    -------
    ndarray, shape (...), float64
        System temperature, K; NaN if no channel is valid. It is infinite or not positive if the
        diode is not detected.
    """
    on, off = (np.asarray(each, np.float64) for each in (cal_on, cal_off))
    part = inner_channels(off.shape[-1]) if channels is None else channels
    diode, low = np.asarray(tcal, np.float64), _mean(off[..., part])
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = diode * low / _mean((on - off)[..., part]) + diode / 2
    return found


def _mean(values: Floats) -> Floats:
    """Return means of valid values over the last axis; NaN if there are none."""
    valid = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(valid, values, 0).sum(axis=-1) / valid.sum(axis=-1)
    return mean


def total_power(cal_on: ArrayLike, cal_off: ArrayLike) -> Floats:
    """Return the mean of the two states of the noise diode."""
    return (np.asarray(cal_on, np.float64) + np.asarray(cal_off, np.float64)) / 2


def smoothed(spectrum: ArrayLike, width: int) -> Floats:
    """Return the running mean over `width` channels; beyond each end, the end channel is repeated.

    Parameters
    ----------
    spectrum : array, shape (..., chan)
        Spectrum; NaN values are left out of the means, and the result is NaN where a whole window
        is NaN.
    width : int
        Odd number of channels; 1 leaves the spectrum unchanged. An even number is increased by one,
        as in IDL's ``smooth``.
    """
    values = np.asarray(spectrum, np.float64)
    if not 1 <= width <= values.shape[-1]:
        raise UsageError(f"smooth_ref = {width}; allowed: 1 to {values.shape[-1]} channels")
    half = width // 2
    if not half:
        return values
    wide = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="edge")
    valid = np.isfinite(wide)
    total, count = (_running(each, 2 * half + 1) for each in (np.where(valid, wide, 0), valid))
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, np.nan)


def _running(values: NDArray[Any], width: int) -> Floats:
    """Return sums of `width` neighbours."""
    sums = np.cumsum(values, axis=-1, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[..., :1]), sums], axis=-1)
    found: Floats = sums[..., width:] - sums[..., :-width]
    return found


def position_switch(sig: ArrayLike, ref: ArrayLike, tsys: ArrayLike, smooth_ref: int = 1) -> Floats:
    """Return the antenna temperature of a source: ``Tsys (sig - ref) / ref``.

    Parameters
    ----------
    sig, ref : array, shape (..., chan)
        Powers on and off the source.
    tsys : array, shape (...)
        System temperature of `ref`, K.
    smooth_ref : int
        Number of channels over which the reference is smoothed to reduce its noise; see `smoothed`.

    Returns
    -------
    ndarray, shape (..., chan), float64
        Antenna temperature, K; NaN where either input is NaN, or the reference is 0.
    """
    on, off = np.asarray(sig, np.float64), smoothed(ref, smooth_ref)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (on - off) / off * np.asarray(tsys, np.float64)[..., np.newaxis]
    return np.where(np.isfinite(found), found, np.nan)


def shifted(spectrum: ArrayLike, channels: float) -> Floats:
    """Return the spectrum shifted to higher channels; channels left empty are NaN.

    A shift by whole channels moves values unchanged. The rest of the shift, at most half a channel,
    is a phase shift of the Fourier transform, as in GBTIDL: the noise level is preserved, but a
    line of one channel rings. Before the transform, the spectrum is mirrored at its ends, and
    invalid channels are interpolated; these channels are NaN in the result.
    """
    values = np.asarray(spectrum, np.float64)
    whole = int(np.rint(channels))
    rest = channels - whole
    if abs(rest) >= SHIFT_TOLERANCE:
        values = _moved(values, rest)
    out = np.full_like(values, np.nan)
    n = values.shape[-1]
    if abs(whole) < n:
        source = slice(max(0, -whole), n - max(0, whole))
        out[..., max(0, whole) : n - max(0, -whole)] = values[..., source]
    return out


def _moved(values: Floats, rest: float) -> Floats:
    """Shift spectra by a fraction of a channel."""
    flat = values.reshape(-1, values.shape[-1])
    lost, n = ~np.isfinite(flat), flat.shape[-1]
    bridged = np.array([_bridged(each, bad) for each, bad in zip(flat, lost, strict=True)])
    level = bridged.mean(axis=-1, keepdims=True)
    both = np.concatenate([bridged, bridged[:, ::-1]], axis=-1) - level
    turns = np.exp(-2j * np.pi * rest * np.fft.rfftfreq(2 * n))
    moved = np.fft.irfft(np.fft.rfft(both) * turns, 2 * n)[:, :n] + level
    return np.where(lost, np.nan, moved).reshape(values.shape)


def _bridged(values: Floats, lost: NDArray[np.bool_]) -> Floats:
    if not lost.any() or lost.all():
        return np.where(lost, 0.0, values)
    at = np.arange(len(values))
    return np.where(lost, np.interp(at, at[~lost], values[~lost]), values)


def frequency_switch(sig: ArrayLike, ref: ArrayLike, tsys_sig: ArrayLike, tsys_ref: ArrayLike,
                     shift: float, smooth_ref: int = 1) -> tuple[Floats, Floats]:
    """Fold the two frequencies of a switched spectrum.

    Each spectrum is the reference of the other one, channel by channel, which gives
    ``Tsys_ref (sig - ref) / ref`` and ``Tsys_sig (ref - sig) / sig``. The second result is shifted
    to the sky frequencies of the first, and the two are averaged with weights 1 / Tsys^2. A line
    seen at both frequencies remains, with two negative images of half its height. Channels covered
    by only one of the two spectra are NaN.

    Parameters
    ----------
    sig, ref : array, shape (chan,)
        Powers at the two frequencies.
    tsys_sig, tsys_ref : float
        System temperatures, K.
    shift : float
        ``(f_ref - f_sig) / step``, the number of channels by which the second spectrum moves up.

    Returns
    -------
    folded : ndarray, shape (chan,), float64
        Antenna temperature, K.
    tsys : ndarray, shape ()
        System temperature of the average, K; see `average_tsys`.
    """
    n_chan = np.shape(sig)[-1]
    if abs(shift) >= n_chan:
        raise UsageError(f"the two frequencies are {abs(shift):.6g} channels apart; allowed: "
                         f"less than the {n_chan} of the band")
    first = position_switch(sig, ref, tsys_ref, smooth_ref)
    second = shifted(position_switch(ref, sig, tsys_sig, smooth_ref), shift)
    return _both(first, second, tsys_ref, tsys_sig)


def nod(first_on: ArrayLike, first_off: ArrayLike, tsys_first: ArrayLike, second_on: ArrayLike,
        second_off: ArrayLike, tsys_second: ArrayLike, smooth_ref: int = 1,
        exposures: tuple[float, float] = (1.0, 1.0)) -> tuple[Floats, Floats]:
    """Average two feeds that take turns on the source, with weights t / Tsys^2.

    Each feed is calibrated by position switching.

    Parameters
    ----------
    first_on, first_off : array, shape (chan,)
        Powers, in the first and in the second scan, of the feed that is on the source in the first
        scan.
    second_on, second_off : array, shape (chan,)
        Powers, in the second and in the first scan, of the feed that is on the source in the second
        scan.
    tsys_first, tsys_second : float
        System temperatures of the feeds off the source, K.
    smooth_ref : int
        As in `position_switch`.
    exposures : tuple of float
        Effective exposures t of the two feeds.

    Returns
    -------
    spectrum : ndarray, shape (chan,), float64
        Antenna temperature, K; NaN where one of the feeds is not valid.
    tsys : ndarray, shape ()
        System temperature of the average, K.
    """
    return _both(position_switch(first_on, first_off, tsys_first, smooth_ref),
                 position_switch(second_on, second_off, tsys_second, smooth_ref),
                 tsys_first, tsys_second, exposures)


def _both(first: Floats, second: Floats, tsys_first: ArrayLike, tsys_second: ArrayLike,
          exposures: tuple[float, float] = (1.0, 1.0)) -> tuple[Floats, Floats]:
    """Return the mean of two spectra where both are valid, and its system temperature."""
    each = np.array([float(np.asarray(one)) for one in (tsys_first, tsys_second)])
    weight = np.asarray(exposures) / each**2
    mean = (first * weight[0] + second * weight[1]) / weight.sum()
    return mean, average_tsys(each, weight)


def weights(exposure_s: ArrayLike, width_hz: ArrayLike, tsys: ArrayLike) -> Floats:
    """Return the weight of a spectrum in a mean: its inverse variance, ``t |df| / Tsys^2``."""
    width = np.abs(np.asarray(width_hz, np.float64))
    return np.asarray(exposure_s, np.float64) * width / np.asarray(tsys, np.float64) ** 2


def average(spectra: ArrayLike, weight: ArrayLike) -> tuple[Floats, Floats]:
    """Return the weighted mean of the valid values of spectra, channel by channel.

    Parameters
    ----------
    spectra : array, shape (n, ..., chan)
        Spectra, of any unit; NaN values are left out.
    weight : array, shape (n, ...)
        Weights, such as those of `weights`.

    Returns
    -------
    mean : ndarray, shape (..., chan), float64
        Mean; NaN where no spectrum is valid.
    share : ndarray, shape (..., chan), float64
        Weight of the valid spectra divided by the total weight.
    """
    values = np.asarray(spectra, np.float64)
    each = np.asarray(weight, np.float64)[..., np.newaxis]
    valid = np.isfinite(values)
    total = (valid * each).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = (np.where(valid, values, 0) * each).sum(axis=0) / total
    return mean, total / each.sum(axis=0)


def average_tsys(tsys: ArrayLike, weight: ArrayLike) -> Floats:
    """Return the system temperature of a mean over the first axis: the weighted rms, K.

    With weights ``t / Tsys^2``, this temperature and the sum of t give the noise of the mean.
    """
    each, parts = np.asarray(tsys, np.float64), np.asarray(weight, np.float64)
    found: Floats = np.sqrt((parts * each**2).sum(axis=0) / parts.sum(axis=0))
    return found
