"""The fluence of a burst, from the radiometer equation or from calibrated spectra.

The noise of a channel is ``T_sys / (G sqrt(n_pol b t))`` Jy, with the gain G of one polarisation,
the width b of the channel and the duration t of a sample; n_pol is 2 for total intensity. Measured
in units of the noise beside it, a burst thus has a known flux density, even if the recorder has
changed the level and the scale of the spectra.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.bursts.subbands import Normalized

__all__ = ["Fluence", "fluence", "jansky_per_sigma"]

F8 = NDArray[np.float64]


class Fluence(NamedTuple):
    """Fluence of a burst, averaged over the band.

    Parameters
    ----------
    value, error : float
        Jy ms.
    peak, peak_error : float
        Flux density of the highest sample, Jy.
    """

    value: float
    error: float
    peak: float
    peak_error: float


def jansky_per_sigma(made: Normalized, *, unit: str | None, n_pol: int, channel_hz: float,
                     step_s: float, tsys_k: float | None, gain_k_jy: F8 | None) -> F8 | None:
    """Return the flux density of the noise of each good channel, Jy; None if it is not known.

    Parameters
    ----------
    made : Normalized
    unit : {"Jy", "K"} or None
        Unit of the spectra; None for recorded units, which need `tsys_k` and `gain_k_jy`. Spectra
        in K need the gain.
    n_pol : {1, 2}
        Number of polarisations that were added in the spectra.
    channel_hz, step_s : float
        Width of a channel, and duration of a sample.
    tsys_k : float, optional
    gain_k_jy : ndarray, shape (chan,), optional
        Gain of one polarisation in all channels; NaN where it is not known.

    Raises
    ------
    UsageError
        If a value is not above 0, or the gain of no channel is known.
    """
    if unit == "Jy":
        return made.sigma
    if gain_k_jy is None:
        return None
    gain = np.asarray(gain_k_jy, np.float64)[made.good]
    if not (np.isfinite(gain) & (gain > 0)).any() or (gain <= 0).any():
        raise UsageError("gain: allowed: above 0 K/Jy, in at least one channel of the band")
    if unit == "K":
        return made.sigma / (n_pol * gain)
    if tsys_k is None:
        return None
    if not (np.isfinite(tsys_k) and tsys_k > 0):
        raise UsageError(f"tsys = {tsys_k} K; allowed: above 0 K")
    return np.asarray(tsys_k / gain / np.sqrt(n_pol * channel_hz * step_s))


def fluence(made: Normalized, jansky: F8, on: NDArray[np.bool_], off: NDArray[np.bool_],
            step_s: float, scale_error: float = 0.0) -> tuple[Fluence, F8]:
    """Return the fluence within some samples, and the profile in Jy.

    Parameters
    ----------
    made : Normalized
    jansky : ndarray, shape (good chan,)
        As returned by `jansky_per_sigma`; channels with NaN are left out.
    on, off : ndarray, shape (time,), bool
        Samples over which the burst is summed, and samples off the burst.
    step_s : float
    scale_error : float
        Relative error of the gain and the system temperature, added in quadrature.
    """
    used = np.isfinite(jansky)
    total = made.z[:, used] @ jansky[used]
    share = made.share[:, used].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        profile = np.where(share > 0, total / share, np.nan)
    profile = profile - np.nanmean(profile[off])
    sigma = float(np.nanstd(profile[off]))
    n_on, n_off = int(np.isfinite(profile[on]).sum()), int(np.isfinite(profile[off]).sum())
    value = float(np.nansum(profile[on])) * step_s * 1e3
    noise = sigma * np.sqrt(n_on * (1 + n_on / n_off)) * step_s * 1e3
    peak = float(np.nanmax(profile[on]))
    return Fluence(value, float(np.hypot(noise, scale_error * value)), peak,
                   float(np.hypot(sigma, scale_error * peak))), profile
