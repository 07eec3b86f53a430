"""The radiometer equation: the expected noise of a spectrum, and its measured noise.

References
----------
R. H. Dicke (1946), Rev. Sci. Instrum. 17, 268; GBTIDL reference, `dosigref`, `dcmeantsys`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.stream.header import FilterBank, Header

__all__ = ["effective_exposure", "inner_channels", "n_eff", "radiometer", "scatter",
           "switched_noise"]

Floats = NDArray[np.float64]

_CLIP, _ROUNDS = 4.0, 20


def inner_channels(n_chan: int) -> slice:
    """Return the middle 80 % of channels, as used by GBTIDL.

    They extend from ``n // 10`` to ``n - n // 10``, with *both ends included*, so that there is one
    more channel above the middle than below it. Without the last channel, Tsys would differ by 1e-4
    K.
    """
    edge = n_chan // 10
    return slice(edge, min(n_chan, n_chan - edge + 1))


def n_eff(header: Header) -> float:
    """Return the number of independent samples in a value, divided by channel width times time.

    It is the header's value, if there is one, or else that of the filter bank that made the
    channels. Frames of a bank share samples, so their powers are correlated. If frames l apart have
    the correlation rho_l, the number is ``oversample / (1 + 2 sum rho_l)``, which is 0.969 for 8
    taps. It is 1 for spectra from other programs, whose filter banks are not known.
    """
    if header.n_eff is not None:
        return header.n_eff
    return 1.0 if header.bank is None else _bank_n_eff(header.bank)


@cache
def _bank_n_eff(bank: FilterBank) -> float:
    from fastsig_kernels import Channelizer, frame_correlation

    # The correlation hardly depends on the number of channels; this number suits every ratio.
    made = Channelizer(64 * bank.oversample.numerator, n_tap=bank.n_tap, window=bank.window,
                       oversample=bank.oversample)
    rho = frame_correlation(made.taps, made.hop)
    return float(bank.oversample) / (1 + 2 * float(rho.sum()))


def effective_exposure(sig_s: ArrayLike, ref_s: ArrayLike, smooth_ref: int = 1) -> Floats:
    """Return the time with which the radiometer equation holds for a difference, s.

    It is ``t_sig t_ref n / (t_sig + t_ref n)``: half of either time if they are equal, and all of
    `sig_s` for a reference that is smoothed over many channels n.
    """
    on, off = np.asarray(sig_s, np.float64), np.asarray(ref_s, np.float64) * smooth_ref
    return on * off / (on + off)


def radiometer(tsys: ArrayLike, width_hz: ArrayLike, exposure_s: ArrayLike, n_pol: int = 1,
               n_eff: float = 1.0) -> Floats:
    """Return the expected noise of a spectrum: ``Tsys / sqrt(n_pol df t n_eff)``, K.

    Parameters
    ----------
    tsys : array
        System temperature, K.
    width_hz : array
        Noise bandwidth of a channel, Hz.
    exposure_s : array
        Time on the sky, s; for a difference, the `effective_exposure`.
    n_pol : int
        Number of polarisations averaged.
    n_eff : float
        Number of independent samples of a channel divided by ``df t``: 1 for a critically sampled
        filter bank with sharp channels, and less if neighbouring spectra are correlated.
    """
    samples = n_pol * n_eff * np.asarray(width_hz, np.float64) * np.asarray(exposure_s, np.float64)
    return np.asarray(tsys, np.float64) / np.sqrt(samples)


def switched_noise(tsys: ArrayLike, tcal: ArrayLike) -> Floats:
    """Return the temperature that gives the noise of a mean of both diode states, K.

    It is ``sqrt(Tsys^2 + (Tcal / 2)^2)``, the root mean square of Tsys plus and minus half the
    diode's temperature. Use it in `radiometer` with the exposure of both states.
    """
    half = np.asarray(tcal, np.float64) / 2
    return np.hypot(np.asarray(tsys, np.float64), half)


def scatter(spectrum: ArrayLike, channels: slice | None = None) -> Floats:
    """Return the measured noise of spectra, independent of their smooth shape.

    It is the standard deviation of ``(x[i] - (x[i-2] + x[i+2]) / 2) sqrt(2/3)``, clipped at 4
    sigma, so that lines and baselines wider than a few channels cancel. Channels that are two
    channels apart are independent even if adjacent channels overlap, as in a correlator.

    Parameters
    ----------
    spectrum : array, shape (..., chan)
        Spectra.
    channels : slice, optional
        Channels that are used; `inner_channels` by default.

    Returns
    -------
    ndarray, shape (...), float64
        NaN where fewer than 8 differences are valid.
    """
    values = np.asarray(spectrum, np.float64)
    part = values[..., inner_channels(values.shape[-1]) if channels is None else channels]
    rest = part[..., 2:-2] - (part[..., :-4] + part[..., 4:]) / 2
    flat = rest.reshape(-1, rest.shape[-1]) * np.sqrt(2 / 3)
    return np.array([_deviation(each) for each in flat]).reshape(values.shape[:-1])


def _deviation(values: Floats) -> float:
    kept = values[np.isfinite(values)]
    if len(kept) < 8:
        return np.nan
    center = np.median(kept)
    sigma = 1.4826 * float(np.median(np.abs(kept - center)))
    for _ in range(_ROUNDS):
        inside = np.abs(kept - center) <= _CLIP * sigma
        found = float(np.std(kept[inside])) if inside.any() else 0.0
        if found == sigma:
            break
        sigma = found
    return sigma
