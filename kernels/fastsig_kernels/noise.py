"""Random numbers that are addressed by absolute sample number."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict

# Multipliers and key increments of Philox4x32 (Salmon et al. 2011, section 3.3).
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

# Fourth counter word, which separates the distributions of one stream. Tries for a gamma number
# count up from the last of these values.
_GAUSSIAN = np.uint64(0)
_UNIFORM = np.uint64(1)
_GAMMA = np.uint64(2)


@jit_strict
def philox_nb(c0, c1, c2, c3, k0, k1):
    """Return four random words of Philox4x32-10 from a counter and a key.

    The function applies ten rounds of a keyed bijection to the 128-bit counter.

    Parameters
    ----------
    c0, c1, c2, c3, k0, k1 : numpy.uint64
        Words of the counter and the key, each below 2**32.

    Returns
    -------
    tuple of four numpy.uint64
        Random words, each below 2**32.

    Notes
    -----
    A call allocates nothing. Words are passed as uint64, since products need this width; no
    addition can overflow.

    References
    ----------
    J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
    """
    # When called from Python, compiled code accepts and returns ints, which are signed.
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def gaussian(
    start: int, n: int, *, seed: int, stream: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Return Gaussian noise of mean 0 and variance 1; each sample has its own address.

    ``z = sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v)`` with u and v from Philox4x32-10 at counter
    ``(i // 4, stream, 0)`` and key `seed`, which gives two pairs per counter.

    Parameters
    ----------
    start : int
        Absolute number of the first sample, int64; may be negative.
    n : int
        Number of samples.
    seed : int
        Key, from 0 to 2**64 - 1.
    stream : int
        Number of the independent sequence, from 0 to 2**32 - 1.
    out : ndarray, shape (n,), float32, dimensionless, optional
        Receives the result; any stride.

    Returns
    -------
    ndarray, shape (n,), float32, dimensionless
        `out`, or a new array; absolute values never exceed 6.67.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or lies out of range.

    Notes
    -----
    A call allocates nothing when `out` is given; the GIL is released. Sample i depends only on
    seed, stream and i, so the bits do not depend on how samples are split into calls. The last bit
    may differ between machines, as logarithms and cosines do.

    References
    ----------
    G. E. P. Box and M. E. Muller, Ann. Math. Statist. 29, 610 (1958).
    J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
    """
    first, n, seed64, stream64 = _check_address(start, n, seed, stream)
    out = _check.output("out", out, (n,), "float32")
    gaussian_nb(first, seed64, stream64, out)
    return out


def uniform(
    start: int, n: int, *, seed: int, stream: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Return uniform noise in [0, 1); each sample has its own address.

    ``u = k 2^-53``, with k the 53 leading bits of two words of Philox4x32-10 at
    counter ``(i // 2, stream, 1)`` and key `seed`.

    Parameters
    ----------
    start, n, seed, stream
        As for `gaussian`; samples with the same stream are independent of those of `gaussian`.
    out : ndarray, shape (n,), float64, dimensionless, optional
        Receives the result; any stride.

    Returns
    -------
    ndarray, shape (n,), float64, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or lies out of range.

    Notes
    -----
    A call allocates nothing when `out` is given; the GIL is released. The bits are the same on all
    machines and for any split into calls.

    References
    ----------
    J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
    """
    first, n, seed64, stream64 = _check_address(start, n, seed, stream)
    out = _check.output("out", out, (n,), "float64")
    uniform_nb(first, seed64, stream64, out)
    return out


def gamma(
    start: int, n: int, shape: float, *, seed: int, stream: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Return gamma noise of mean and variance `shape`; each sample has its own address.

    Samples are ``d (1 + z / sqrt(9 d))^3`` with ``d = shape - 1/3``, for the first normal z that
    passes the test of Marsaglia and Tsang; attempt t uses Philox4x32-10 at counter
    ``(i, stream, 2 + t)`` and key `seed`. A sample has the distribution of half the total power of
    ``2 shape`` normal numbers of variance 1.

    Parameters
    ----------
    start, n, seed, stream
        As for `gaussian`; samples with the same stream are independent of those of `gaussian`.
    shape : float
        Shape of the gamma distribution, 1 or more.
    out : ndarray, shape (n,), float64, dimensionless, optional
        Receives the result; any stride.

    Returns
    -------
    ndarray, shape (n,), float64, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or lies out of range.

    Notes
    -----
    A call allocates nothing when `out` is given; the GIL is released. Sample i depends only on
    shape, seed, stream and i, so the bits do not depend on how samples are split into calls. The
    last bit may differ between machines, as logarithms and cosines do.

    References
    ----------
    G. Marsaglia and W. W. Tsang, ACM Trans. Math. Softw. 26, 363 (2000).
    """
    first, n, seed64, stream64 = _check_address(start, n, seed, stream)
    shape = _check.number("shape", shape)
    if not 1 <= shape < math.inf:
        raise ValueError(f"shape: found {shape}, allowed 1 or more")
    out = _check.output("out", out, (n,), "float64")
    gamma_nb(first, shape, seed64, stream64, out)
    return out


@jit_strict
def _words(block, seed, stream, kind):
    low, high = block & _LOW, block >> _HALF
    return philox_nb(low, high, stream, kind, seed & _LOW, seed >> _HALF)


@jit_strict
def _normal_pair(w0, w1):
    u = (np.float64(w0) + 1.0) * 2.0**-32
    radius = math.sqrt(-2.0 * math.log(u))
    angle = 2.0 * math.pi * 2.0**-32 * np.float64(w1)
    return radius * math.cos(angle), radius * math.sin(angle)


@jit_strict
def gaussian_nb(first, seed, stream, out):
    """Fill `out` as `gaussian` does; first, seed and stream are uint64, first modulo 2**64."""
    first, seed, stream = np.uint64(first), np.uint64(seed), np.uint64(stream)
    lane = np.int64(first & np.uint64(3))
    block = first >> np.uint64(2)
    i = -lane
    while i < out.size:
        w0, w1, w2, w3 = _words(block, seed, stream, _GAUSSIAN)
        z0, z1 = _normal_pair(w0, w1)
        z2, z3 = _normal_pair(w2, w3)
        _store(out, i, z0)
        _store(out, i + 1, z1)
        _store(out, i + 2, z2)
        _store(out, i + 3, z3)
        i += 4
        block = (block + np.uint64(1)) & np.uint64(0x3FFFFFFFFFFFFFFF)


@jit_strict
def uniform_nb(first, seed, stream, out):
    """Fill `out` as `uniform` does; first, seed and stream are uint64, first modulo 2**64."""
    first, seed, stream = np.uint64(first), np.uint64(seed), np.uint64(stream)
    lane = np.int64(first & np.uint64(1))
    block = first >> np.uint64(1)
    i = -lane
    while i < out.size:
        w0, w1, w2, w3 = _words(block, seed, stream, _UNIFORM)
        _store(out, i, _fraction(w0, w1))
        _store(out, i + 1, _fraction(w2, w3))
        i += 2
        block = (block + np.uint64(1)) & np.uint64(0x7FFFFFFFFFFFFFFF)


@jit_strict
def gamma_nb(first, shape, seed, stream, out):
    """Fill `out` as `gamma` does; first, seed and stream are uint64, first modulo 2**64."""
    first, seed, stream = np.uint64(first), np.uint64(seed), np.uint64(stream)
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    for i in range(out.size):
        kind = _GAMMA
        while True:
            w0, w1, w2, w3 = _words(first, seed, stream, kind)
            z, _ = _normal_pair(w0, w1)
            v = 1.0 + c * z
            v = v * v * v
            # 1 - u is above 0, so its logarithm is finite.
            if v > 0.0 and math.log(1.0 - _fraction(w2, w3)) < (
                    0.5 * z * z + d - d * v + d * math.log(v)):
                break
            kind += np.uint64(1)
        out[i] = d * v
        first += np.uint64(1)


@jit_strict
def _fraction(high, low):
    bits = ((np.uint64(high) << _HALF) | np.uint64(low)) >> np.uint64(11)
    return np.float64(bits) * 2.0**-53


@jit_strict
def _store(out, i, value):
    if 0 <= i < out.size:
        out[i] = value


def _check_address(
    start: int, n: int, seed: int, stream: int
) -> tuple[np.uint64, int, np.uint64, np.uint64]:
    start = _check.count("start", start, -(2**63))
    n = _check.count("n", n, 0)
    if start + n > 2**63:
        raise ValueError(f"start: found {start} with n = {n}, allowed samples below 2**63")
    seed = _below("seed", seed, 64)
    stream = _below("stream", stream, 32)
    return np.uint64(start % 2**64), n, np.uint64(seed), np.uint64(stream)


def _below(name: str, value: int, bits: int) -> int:
    value = _check.count(name, value, 0)
    if value >= 2**bits:
        raise ValueError(f"{name}: found {value}, allowed below 2**{bits}")
    return value
