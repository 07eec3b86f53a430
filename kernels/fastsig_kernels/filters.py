"""Prototype low-pass filters of polyphase filter banks; needs only NumPy."""

from collections.abc import Callable

import numpy as np

from . import _check

#: Allowed values of a window argument; BETA is a number from 0 to 500.
window_names = ("hamming", "hann", "blackman", "rect", "kaiser:BETA", "none")

_MAX_LENGTH = 2**31
_MAX_BETA = 500.0
_MOST_TAP = 1e100
_MOST_CHANNELS = 2**32  # of which float64 has a millionth of a turn
_FIXED: dict[str, Callable[[int], np.ndarray]] = {
    "hamming": np.hamming,
    "hann": np.hanning,
    "blackman": np.blackman,
    "rect": np.ones,
}


def prototype(n_fft: int, n_tap: int, window: str = "hamming") -> np.ndarray:
    """Return a windowed-sinc low-pass filter with its cutoff half a channel from the centre.

    ``h[i] = c w[i] sinc((i - (L - 1)/2) / n_fft)`` with ``L = n_tap n_fft`` and c
    such that ``sum h^2 = 1``: white noise of variance s^2 then gives a mean
    ``|X|^2`` of s^2 in every channel that is not at an edge.

    The window is symmetric (its end samples mirror each other), so h is exactly
    symmetric, and the time of a spectrum is the exact centre of its frame.

    Parameters
    ----------
    n_fft : int
        Length of the transform, and hop of frames, in samples.
    n_tap : int
        Length of the filter in units of `n_fft`.
    window : str
        One of `window_names`. ``"rect"`` gives the bare sinc. ``"none"`` uses equal coefficients,
        without a window or a sinc, which gives a plain FFT; it requires ``n_tap = 1``. All other
        windows include the sinc even if ``n_tap = 1``.

    Returns
    -------
    ndarray, shape (n_tap, n_fft), float64, dimensionless
        Row t contains the coefficients ``h[t n_fft : (t + 1) n_fft]``.

    Raises
    ------
    TypeError
        If a count is not an integer or the window is not a string.
    ValueError
        If a count or the window is not allowed, or all coefficients are 0.

    Notes
    -----
    A call allocates a few arrays of L float64; the function is intended for set-up, not for loops.

    References
    ----------
    R. E. Crochiere and L. R. Rabiner, Multirate Digital Signal Processing (1983),
    sections 4.3 (window method) and 7.2 (polyphase bank).
    """
    n_fft = _check.count("n_fft", n_fft)
    n_tap = _check.count("n_tap", n_tap)
    if n_fft * n_tap > _MAX_LENGTH:
        raise ValueError(f"n_fft * n_tap: found {n_fft * n_tap}, allowed up to {_MAX_LENGTH}")
    coefficients = _window(window, n_fft, n_tap)
    if window != "none":
        coefficients *= _sinc(n_fft, n_tap)
    return _unit_energy(coefficients, window).reshape(n_tap, n_fft)


def response(taps: np.ndarray, offset: np.ndarray | float) -> np.ndarray:
    """Return the complex amplitude response of a prototype at offsets from a channel's centre.

    ``H(f) = sum_i h[i] exp(-2 pi i f (i - (L - 1)/2) / n_fft)``. The phase refers
    to the middle of the frame, so symmetric taps give a real H. A tone of
    amplitude a, `offset` channels below the centre, gives ``|X| = a |H|``.

    Parameters
    ----------
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless
        Coefficients, as from `prototype`.
    offset : float or ndarray of any shape, float64, channels
        Centre of the channel minus the frequency of the tone.

    Returns
    -------
    ndarray, shape of `offset`, complex128, dimensionless
        Not normalised: ``response(taps, 0) = sum h``.

    Raises
    ------
    TypeError, ValueError
        If the taps are not a plain 2-D float array with values, or if a tap or an offset is not
        finite or too large.

    Notes
    -----
    The function computes the exact direct sum, for 64 offsets at a time to limit the memory.
    """
    _check.array("taps", taps, ("float32", "float64"), 2)
    if taps.size == 0:
        raise ValueError(f"taps: found shape {taps.shape}, allowed one coefficient or more")
    if not (np.abs(taps.astype(np.float64)) <= _MOST_TAP).all():
        raise ValueError("taps: found a value that is not finite or too large, allowed up to "
                         f"{_MOST_TAP:g} either way")
    if isinstance(offset, np.ndarray):
        _check.array("offset", offset, ("float64",), tuple(range(65)))
    else:
        offset = np.array(_check.number("offset", offset))
    if not (np.abs(offset) <= _MOST_CHANNELS).all():
        raise ValueError("offset: found a value that is not finite or too large, allowed up to "
                         f"{_MOST_CHANNELS} channels either way")
    flat = offset.reshape(-1)
    result = np.empty(flat.size, dtype=np.complex128)
    for first in range(0, flat.size, 64):
        part = slice(first, first + 64)
        result[part] = _direct_sum(taps, flat[part])
    return result.reshape(offset.shape)


def _direct_sum(taps: np.ndarray, offset: np.ndarray) -> np.ndarray:
    n_tap, n_fft = taps.shape
    within = np.arange(n_fft) - (n_tap * n_fft - 1) / 2
    inner = np.exp(-2j * np.pi / n_fft * np.outer(offset, within)) @ taps.T
    outer = np.exp(-2j * np.pi * np.outer(offset, np.arange(n_tap)))
    return (inner * outer).sum(axis=1)


def _sinc(n_fft: int, n_tap: int) -> np.ndarray:
    length = n_fft * n_tap
    return np.sinc((np.arange(length) - (length - 1) / 2) / n_fft)


def _window(window: str, n_fft: int, n_tap: int) -> np.ndarray:
    if not isinstance(window, str):
        raise TypeError(f"window: found {type(window).__name__}, allowed a string")
    length = n_fft * n_tap
    if window == "none":
        if n_tap != 1:
            raise ValueError(f"window 'none': found n_tap = {n_tap}, allowed 1")
        return np.ones(length)
    values = _FIXED[window](length) if window in _FIXED else np.kaiser(length, _beta(window))
    # Rounding of the cosines must not break the exact symmetry.
    return (values + values[::-1]) / 2


def _beta(window: str) -> float:
    kind, colon, text = window.partition(":")
    try:
        beta = float(text) if kind == "kaiser" and colon else np.nan
    except ValueError:
        beta = np.nan
    if not 0 <= beta <= _MAX_BETA:
        allowed = ", ".join(window_names)
        raise ValueError(
            f"window: found {window!r}, allowed {allowed} with BETA from 0 to {_MAX_BETA:g}"
        )
    return beta


def _unit_energy(coefficients: np.ndarray, window: str) -> np.ndarray:
    # Hann and Blackman windows of two samples are zero except for rounding.
    if np.abs(coefficients).max() < 1e-8:
        raise ValueError(
            f"window {window!r}: all {coefficients.size} coefficients are 0, "
            "allowed a longer filter or another window"
        )
    return coefficients / np.sqrt(np.sum(coefficients**2))
