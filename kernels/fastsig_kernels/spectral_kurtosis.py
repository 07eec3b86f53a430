"""Spectral kurtosis of accumulated powers, its thresholds, and the decision to keep data."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import _check
from ._jit import jit_strict

_MIN_SUM = 16
_MAX_SUM = 2**31
_MAX_SHAPE = 2**20
_MAX_SIGMA = 6.0
_FLOATS = ("float32", "float64")
_AXES = (1, 2, 3)

# Points for the mean over one power; 250 would suffice, according to a test with 3000.
_N_POINT = 400
# That mean is raised to the power M, so it may neglect no more than rounding does.
_POINT_DEPTH = 40.0
# Probability that a threshold may neglect: exp(-7) of its own probability, at most exp(-12).
_MARGIN = 7.0
_MIN_DEPTH = 12.0


def kurtosis(
    s1: np.ndarray,
    s2: np.ndarray,
    n_sum: int | np.ndarray,
    shape: float | np.ndarray,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the spectral kurtosis from the sums of powers and of squared powers.

    ``SK = ((M k + 1) / (M - 1)) (M S2 / S1^2 - 1)``, with M = `n_sum` and k = `shape`.

    For the powers of stationary Gaussian noise, SK has a mean of 1 and a variance of
    ``2 k (k + 1) M^2 / ((M - 1) (M k + 2) (M k + 3))``.

    Parameters
    ----------
    s1 : ndarray, shape (..., n_chan), float32, any unit
        Sum of M powers; up to three axes, with any strides.
    s2 : ndarray, shape of s1, float32, unit of s1 squared
        Sum of the squares of the same powers.
    n_sum : int or ndarray that broadcasts to the shape of s1, int64
        M, at least 2. Array elements below 2 give NaN.
    shape : float or ndarray, shape (n_chan,), float32 or float64, dimensionless
        k of the gamma distribution of one power: 1 for the square of a complex voltage, 1/2 for the
        square of a real voltage (channel 0 of real input), and N times these values if each power
        is itself a sum of N.
    out : ndarray, shape of s1, float32, dimensionless, optional
        Receives the result.

    Returns
    -------
    ndarray, shape of s1, float32, dimensionless
        `out`, or a new array: NaN where S1 = S2 = 0.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or k is not positive.

    Notes
    -----
    A call allocates nothing large when `out` is given. NaN propagates, and the GIL is released. The
    computation is in double precision, but sums in single precision cause an error of about 2e-7 k
    in SK, which matters if k exceeds a few tens of thousands.

    References
    ----------
    G. M. Nita and D. E. Gary, MNRAS 406 (2010) L60.
    """
    _check.array("s1", s1, ("float32",), _AXES)
    _check.array("s2", s2, ("float32",), s1.ndim)
    _check.shape("s2", s2, s1.shape)
    counts = _counts(n_sum, s1.shape)
    shapes = _along_channels("shape", shape, s1.shape[-1])
    if not ((shapes > 0) & (shapes < np.inf)).all():
        raise ValueError("shape: found a value that is not positive, allowed finite k > 0")
    out = _check.output("out", out, s1.shape, "float32", s1, s2, n_sum, shape)
    kurtosis_nb(_as_3d(s1), _as_3d(s2), _as_3d(counts), shapes, _as_3d(out))
    return out


@jit_strict
def kurtosis_nb(s1, s2, n_sum, shape, out):
    """Fill `out` as `kurtosis` does, for three axes; nothing is checked.

    `shape` is 1-D; the last axis of `n_sum` has the length of out's, or 1 for one count per row.
    """
    for i in range(out.shape[0]):
        for p in range(out.shape[1]):
            counts = n_sum[i, p]
            if counts.size == 1:
                # With one count per row, no counts are loaded and the loop is 4 times as fast.
                m = np.float64(counts[0])
                for c in range(out.shape[2]):
                    out[i, p, c] = _kurtosis(s1[i, p, c], s2[i, p, c], m, shape[c])
            else:
                for c in range(out.shape[2]):
                    m = np.float64(counts[c])
                    out[i, p, c] = _kurtosis(s1[i, p, c], s2[i, p, c], m, shape[c])


@jit_strict
def _kurtosis(s1, s2, m, k):
    total = np.float64(s1)
    excess = m * np.float64(s2) / (total * total) - 1.0
    value = (m * k + 1.0) / (m - 1.0) * excess
    # A single power has no spread, and without any power the result would be 1.
    return np.float32(value if m >= 2.0 else np.nan)


def keep(
    sk: np.ndarray,
    low: float | np.ndarray,
    high: float | np.ndarray,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return whether each spectral kurtosis lies between its thresholds.

    ``out = (low <= sk) & (sk <= high)``

    Parameters
    ----------
    sk : ndarray, shape (..., n_chan), float32, dimensionless
        As from `kurtosis`; up to three axes, with any strides.
    low, high : float or ndarray, shape (n_chan,), float32 or float64, dimensionless
        As from `kurtosis_thresholds`.
    out : ndarray, shape of sk, bool or uint8, optional
        Receives the result.

    Returns
    -------
    ndarray, shape of sk, bool, or the type of out
        `out`, or a new array: true or 1 to keep. Values are not kept if they or
        their thresholds are NaN.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing large when `out` is given; the GIL is released.
    """
    _check.array("sk", sk, ("float32",), _AXES)
    lows = _along_channels("low", low, sk.shape[-1])
    highs = _along_channels("high", high, sk.shape[-1])
    is_bytes = isinstance(out, np.ndarray) and out.dtype == np.uint8
    out = _check.output("out", out, sk.shape, "uint8" if is_bytes else "bool", sk, low, high)
    keep_nb(_as_3d(sk), lows, highs, _as_3d(out))
    return out


@jit_strict
def keep_nb(sk, low, high, out):
    """Fill `out` as `keep` does, for three axes and 1-D thresholds; nothing is checked."""
    for i in range(out.shape[0]):
        for p in range(out.shape[1]):
            row = sk[i, p]
            decision = out[i, p]
            for c in range(row.size):
                decision[c] = low[c] <= row[c] and row[c] <= high[c]


def frame_correlation(taps: np.ndarray, hop: int) -> np.ndarray:
    """Return the correlation of the powers of polyphase frames, for white Gaussian noise.

    ``rho[l - 1] = (sum_i h[i] h[i + l hop] / sum_i h[i]^2)^2``, for frames at a distance of l
    frames.

    Parameters
    ----------
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless
        Prototype, as from `prototype`.
    hop : int
        Number of samples from one frame to the next.

    Returns
    -------
    ndarray, shape (n_lag,), float64, dimensionless
        Correlation at lags 1, 2, ... as far as frames share samples; not negative.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape.

    Notes
    -----
    If two Gaussian voltages have the correlation r, their powers have the correlation ``|r|^2``.
    """
    _check.array("taps", taps, ("float32", "float64"), 2)
    hop = _check.count("hop", hop)
    h = taps.astype(np.float64).reshape(-1)
    if not 0 < np.abs(h).max(initial=0) < np.inf:
        raise ValueError("taps: found no values other than 0, or some that are not finite; allowed "
                         "finite values")
    h /= np.abs(h).max()  # the square of which is finite
    products = [h[: h.size - lag] @ h[lag:] for lag in range(hop, h.size, hop)]
    return (np.array(products) / (h @ h)) ** 2


def checked_sigma(name: str, sigma: float) -> float:
    """Return a threshold in Gaussian sigmas as a float, after a check of its range."""
    value = _check.number(name, sigma)
    if not 0 < value <= _MAX_SIGMA:
        raise ValueError(f"{name}: found {value}, allowed above 0, up to {_MAX_SIGMA:g}")
    return value


def _check_correlation(correlation: np.ndarray) -> None:
    _check.array("correlation", correlation, ("float64",), 1)
    if not ((correlation >= 0) & (correlation <= 1)).all():
        raise ValueError("correlation: found a value outside 0 to 1")


class _Equivalent(NamedTuple):
    """Independent powers that are equivalent to M correlated powers.

    The spread of the kurtosis of the correlated powers is `scale` times that of `n_sum`
    independent powers, with the same skewness; `bias` is its mean, instead of 1.
    """

    n_sum: int
    scale: float
    bias: float


def _equivalent(n_sum: int, shape: float, correlation: np.ndarray) -> _Equivalent:
    """Return the equivalent of M correlated powers, with equal variance, skewness and mean.

    To first order, the kurtosis is the mean of a polynomial of each power, the second Laguerre
    polynomial (k = 1) or the fourth Hermite polynomial (k = 1/2). Two of these have the
    correlation rho^2, and three have a third moment proportional to the product of the three
    rho, since the moments of a Gaussian are sums over pairings. The kurtosis is normalised for M
    independent powers, but its mean for correlated powers is that for M / V of them, where V is
    the sum of rho over all lags, weighted by 1 - abs(lag) / M.
    """
    n_lag = min(len(correlation), n_sum - 1)
    rho = np.zeros(4 * n_lag + 1)  # from -2 n_lag to 2 n_lag
    middle = 2 * n_lag
    rho[middle] = 1
    rho[middle + 1 : middle + 1 + n_lag] = correlation[:n_lag]
    rho[middle - n_lag : middle] = correlation[:n_lag][::-1]
    lag = np.arange(-n_lag, n_lag + 1)
    share = 1 - np.abs(lag) / n_sum
    mean, variance = share @ rho[middle + lag], share @ rho[middle + lag] ** 2
    m, n = lag[:, np.newaxis], lag
    span = np.maximum(np.maximum(m, n), 0) - np.minimum(np.minimum(m, n), 0)
    share = np.maximum(1 - span / n_sum, 0)
    third = (share * rho[middle + m] * rho[middle + n] * rho[middle + m - n]).sum()
    bias = _factor(n_sum, shape) / _factor(n_sum / mean, shape)
    return _Equivalent(round(n_sum * variance**3 / third**2), variance**2 / third, bias)


def _factor(n_sum: float, shape: float) -> float:
    return (n_sum * shape + 1) / (n_sum - 1)


def least_frames(correlation: np.ndarray) -> int:
    """Return the smallest number of powers in a sum that `kurtosis_thresholds` supports.

    Parameters
    ----------
    correlation : ndarray, shape (n_lag,), float64, dimensionless
        As from `frame_correlation`; empty for independent powers.

    Returns
    -------
    int
        16, or more if neighbouring powers are correlated.

    Raises
    ------
    TypeError, ValueError
        If the correlation is not a plain 1-D float64 array of values from 0 to 1.
    """
    _check_correlation(correlation)
    n = _MIN_SUM
    while _equivalent(n, 1.0, correlation).n_sum < _MIN_SUM:
        n += 1
    return n


@jit_strict
def keep_noise_nb(s1, s2, n_sum, shape, low, high, kept):
    """Apply `kurtosis` and `keep` to one row of channels, so that only noise is kept.

    `kept`, bool, is cleared in place for channels that are excluded; nothing is checked.
    """
    m = np.float64(n_sum)
    for c in range(kept.size):
        sk = _kurtosis(s1[c], s2[c], m, shape[c])
        kept[c] &= low[c] <= sk and sk <= high[c]


def kurtosis_thresholds(
    n_sum: int, shape: float, sigma: float = 3.0, *, correlation: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the lower and upper thresholds of the spectral kurtosis of noise for a `sigma`.

    ``P(SK < low) = P(SK > high) = erfc(sigma / sqrt(2)) / 2``

    The exact distribution is used, since a Pearson fit to the exact four moments is not accurate
    enough. At 3 sigma, the fit flags 0.57 (k = 1/2) to 0.62 (k = 1) of the correct fraction on the
    low side for M near 100 to 200, and is within 10 % only for M above 1300 (k = 1/2) or 600 (k =
    1).

    Parameters
    ----------
    n_sum : int
        M, the number of powers in a sum, from 16 to 2^31.
    shape : float
        k of the gamma distribution of one power, from 0.5 to 2^20; see `kurtosis`.
    sigma : float
        One-sided Gaussian equivalent of the false-alarm rate, above 0, up to 6.
    correlation : ndarray, shape (n_lag,), float64, dimensionless, optional
        Correlation of neighbouring powers, as from `frame_correlation`; none by default.
        If given, M must be `least_frames` or more.

    Returns
    -------
    low, high : float, dimensionless
        Thresholds for `keep`. The probabilities beyond them are accurate to about 1 part in 1000
        for M of 32 or more, to 1 in 100 below that, and to 1 in 5 at 6 sigma for M below 24. With a
        correlation, the probabilities are accurate to about 1 in 10 at 3 sigma (simulated, n_fft /
        hop up to 2).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Notes
    -----
    This is set-up code, which takes 1 to 10 ms at 3 sigma, and 30 ms at 6 sigma for
    M = 32 (0.2 s and 100 MB for M = 16). The latest 1024 results are cached.

    Let x be the powers, with mean k, and ``d = x - k``. Then SK is a linear function of
    ``Q = sum (d^2 - 2 d - k)`` on ``sum d = 0``. It is independent of S1 [2]_, so its distribution
    under this condition is its distribution in general. The characteristic function of Q on
    ``sum d = 0`` is ``integral phi(s, t)^M ds / integral phi(s, 0)^M ds`` [3]_, where
    ``phi = E exp(i s d + i t (d^2 - 2 d - k))``, and a sum over it gives the distribution [4]_.

    Correlated powers are replaced by a smaller number of independent powers, whose kurtosis has the
    same variance and skewness after scaling.

    References
    ----------
    .. [1] G. M. Nita and D. E. Gary, MNRAS 406 (2010) L60: moments, Pearson fits.
    .. [2] E. Lukacs, Ann. Math. Statist. 26 (1955) 319.
    .. [3] M. S. Bartlett, J. London Math. Soc. 13 (1938) 62.
    .. [4] R. B. Davies, Biometrika 60 (1973) 415.
    """
    n_sum = _check.count("n_sum", n_sum, _MIN_SUM)
    if n_sum > _MAX_SUM:
        raise ValueError(f"n_sum: found {n_sum}, allowed up to 2**31")
    shape = _check.number("shape", shape)
    if not 0.5 <= shape <= _MAX_SHAPE:
        raise ValueError(f"shape: found {shape}, allowed 0.5 to 2**20")
    sigma = checked_sigma("sigma", sigma)
    if correlation is None:
        return _thresholds(n_sum, shape, sigma)
    _check_correlation(correlation)
    same = _equivalent(n_sum, shape, correlation)
    if same.n_sum < _MIN_SUM:
        raise ValueError(f"n_sum: found {n_sum}, equivalent to {same.n_sum} independent powers, "
                         f"allowed {_MIN_SUM} independent powers or more")
    low, high = ((1 + same.scale * (limit - 1)) * same.bias
                 for limit in _thresholds(same.n_sum, shape, sigma))
    return low, high


@lru_cache(maxsize=1024)
def _thresholds(n_sum: int, shape: float, sigma: float) -> tuple[float, float]:
    tail = math.erfc(sigma / math.sqrt(2)) / 2
    depth = max(_MARGIN - math.log(tail), _MIN_DEPTH)
    bottom, top = _range(n_sum, shape, depth)
    slope = (n_sum * shape + 1) / ((n_sum - 1) * n_sum * shape**2)
    # The sum below is periodic: it neglects the probability one period away.
    t = _half_grid(2 * math.pi * slope / (top - bottom), _bandwidth(n_sum, shape, depth))
    terms = _characteristic(n_sum, shape, t, depth) / (np.pi * (np.arange(t.size) + 0.5))

    def probability(x: float) -> float:
        return 0.5 - float((np.exp(-1j * (x / slope - n_sum * shape) * t) @ terms).imag)

    found = [_bisect(probability, p, bottom, top) for p in (tail, 1 - tail)]
    return found[0], found[1]


def _range(n_sum: int, shape: float, depth: float) -> tuple[float, float]:
    """Return a range of SK with a probability below about exp(-depth) outside each end."""
    mk = n_sum * shape
    variance = 2 * shape * (shape + 1) * n_sum**2 / ((n_sum - 1) * (mk + 2) * (mk + 3))
    core = math.sqrt(2 * depth * variance)
    # The far upper tail is that of the greatest one of M powers.
    greatest = _excess(shape, depth + math.log(n_sum))
    return max(0.0, 1 - core), min(mk + 1, 1 + core + greatest**2 / mk)


def _excess(shape: float, depth: float) -> float:
    """Return a bound of x - k for a Gamma variate x, exceeded with probability < exp(-depth)."""
    return depth + math.sqrt(2 * shape * depth)


def _bandwidth(n_sum: int, shape: float, depth: float) -> float:
    """Return the frequency where the characteristic function of Q drops to about exp(-depth)."""
    # Exact for large k; the term 3 / k is fitted for M from 16 to 1024 and k of 0.5 or more.
    fall = n_sum / 2 * (1 + 3 / shape) * math.expm1(4 * depth / (n_sum - 1))
    return math.sqrt(fall / (2 * n_sum * shape * (shape + 1)))


def _half_grid(step: float, stop: float) -> np.ndarray:
    return (np.arange(math.ceil(stop / step)) + 0.5) * step


def _characteristic(n_sum: int, shape: float, t: np.ndarray, depth: float) -> np.ndarray:
    """Return the characteristic function at t of Q on sum d = 0; complex128, shape of t."""
    mk = n_sum * shape
    depth += 4  # determined empirically; the integral over s needs it for M < 32
    width = math.sqrt(math.expm1(2 * depth / mk))
    s = _s_grid(width, 2 * math.pi / _excess(mk, depth), 2.3 * math.sqrt(shape + 1) * t[-1])
    # With a larger angle, exp(i s d) would grow by more than rounding permits.
    angle = min(0.2, 0.6 / width, 4.5 / (s[-1] * math.sqrt(shape)))
    d, weight = _points(shape, angle)
    # exp(a + b) - 1 = (exp(a) - 1) (exp(b) - 1) + (exp(a) - 1) + (exp(b) - 1) is a matrix
    # product and avoids cancellation, which would be visible for M up to 2^31.
    a = np.expm1(1j * np.outer(s, d)) * weight
    b = np.expm1(1j * np.outer(d * d - 2 * d - shape, t))
    z = a @ b + a.sum(axis=1)[:, None] + weight @ b
    mean = _power(z, n_sum).sum(axis=0)
    # The same at t = 0, where phi = exp(-i s k) (1 - i s)^-k.
    norm = np.exp(-mk / 2 * np.log1p(s * s)) * np.cos(mk * (np.arctan(s) - s))
    return mean / norm.sum()


def _s_grid(width: float, step: float, extra: float) -> np.ndarray:
    # As t increases, phi moves to positive s, almost in proportion.
    return np.arange(-math.ceil(width / step), math.ceil((width + extra) / step) + 1) * step


def _power(z: np.ndarray, n: int) -> np.ndarray:
    """Return ``(1 + z)^n`` for z as small as 1 / n, where the log1p of NumPy is not accurate."""
    u, v = z.real, z.imag
    # Where 1 + z is 0 except for rounding, its power is also 0.
    square = np.maximum(2 * u + (u * u + v * v), -1 + 1e-15)
    return np.exp(n * (0.5 * np.log1p(square) + 1j * np.arctan2(v, 1 + u)))


def _points(shape: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points d = x - k and weights for the mean over a Gamma variate x; complex128.

    The trapezoidal rule is applied in w = log(x / k) or, for small k, in u with
    w = u - exp(-u), which shortens the slow approach to x = 0. Above k the path is rotated
    by up to `angle` into the complex plane, below k in the opposite direction, so that
    exp(i t x^2) decays where it would oscillate.
    """
    last = math.log1p(_excess(shape, _POINT_DEPTH) / shape)
    first = -(_POINT_DEPTH / shape + 1)
    if shape > 2 * _POINT_DEPTH:
        first = max(first, math.log1p(-math.sqrt(2 * _POINT_DEPTH / shape)))
    w, jacobian = _path(first, last, shape < 10)
    jacobian = jacobian * (1 + 1j * angle * (1 + w * w) ** -1.5)
    w = w * (1 + 1j * angle / np.sqrt(1 + w * w))
    y = np.expm1(w)
    exponent = shape * (w - y)
    weight = jacobian * np.exp(exponent - exponent.real.max())
    return shape * y, weight / weight.sum()


def _path(first: float, last: float, short: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return points w from `first` to `last`, and dw / du."""
    if not short:
        return np.linspace(first, last, _N_POINT), np.ones(_N_POINT)
    u = np.linspace(-6, 12, 1801)
    ends = np.interp((first, last), u - np.exp(-u), u)
    u = np.linspace(ends[0], ends[1], _N_POINT)
    return u - np.exp(-u), 1 + np.exp(-u)


def _bisect(function: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Return the argument where an increasing function has a given value."""
    for _ in range(60):
        middle = (low + high) / 2
        if function(middle) < value:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _counts(n_sum: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(n_sum, np.ndarray):
        n_sum = np.array(_check.count("n_sum", n_sum, 2))
    _check.array("n_sum", n_sum, ("int64",), tuple(range(len(shape) + 1)))
    last = n_sum.shape[-1:] if n_sum.ndim else (1,)
    try:
        np.broadcast_to(n_sum, shape)
        return np.broadcast_to(n_sum, shape[:-1] + last)
    except ValueError:
        allowed = f"allowed one that broadcasts to {shape}"
        raise ValueError(f"n_sum: found shape {n_sum.shape}, {allowed}") from None


def _along_channels(name: str, value: Any, n_chan: int) -> np.ndarray:
    # A copy of n_chan values, so that one compiled kernel serves numbers and arrays.
    if not isinstance(value, np.ndarray):
        return np.full(n_chan, _check.number(name, value))
    _check.array(name, value, _FLOATS, 1)
    _check.shape(name, value, (n_chan,))
    return value.astype(np.float64)


def _as_3d(x: np.ndarray) -> np.ndarray:
    return x[(None,) * (3 - x.ndim)]
