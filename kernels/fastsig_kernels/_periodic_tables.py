"""Tables of searches for periodic signals: blocks of levels, half bins, templates. NumPy only.

A spectrum has the amplitudes ``A_k = sum_n x_n exp(-2 pi i k n / N)``. Frequencies are in bins, r.
"""

from typing import Any

import numpy as np

#: An event: frequency, drift and jerk of the fundamental, harmonics that were summed and those of
#: them that are valid, and the sum of their powers.
EVENT = np.dtype([("r", np.float64), ("z", np.float32), ("w", np.float32),
                  ("n_harmonic", np.int16), ("n_valid", np.int16), ("power", np.float32)])
#: Neighbouring half bins of which the best is kept.
GROUP = 16
#: Values of a block from which its first estimate, a median, is computed, at most.
SAMPLED = 128
#: Values up to this many times the first estimate of their mean are averaged.
CUT = 3.0
#: Side lobes are significant if they raise the median of n powers by this over the root of n. For
#: noise, the ratio of medians with and without Hann's window scatters by about 1.5 over the root.
LOBES = 6.0
#: Power over the level from which a line may have side lobes: those of lines 13 bins apart raise
#: the median by a hundredth of their power. A short event near an end, which Hann's window removes
#: too, raises all powers alike.
BRIGHT = 100.0
#: Least number of valid bins of a block.
FEWEST = 8
#: Bins from which a level is computed with small errors.
_ENOUGH = 128
#: Knots of the gain between the centres of two blocks.
_KNOTS = 8
#: Panels, nodes in each, and largest distance of a bin of the integrals of templates; twice as far
#: away, twice as many panels are needed.
_PANELS, _NODES, _REACH = 32, 24, 256
#: Steps of jerk, in bins: half of one costs a tone 4 % of its power, half a step of drift 5 %.
JERK_STEP = 20
#: Bins of a template of jerk on each side of those that it crosses: beyond, there is less than a
#: thousandth of its power, since the frequency of its tone is the same at both ends of the series.
_JERK_SIDE = 8
_JERK_POINTS = 2**15


def stages(n_harmonic: int) -> tuple[int, ...]:
    """Return the numbers of harmonics that are summed: powers of two up to `n_harmonic`."""
    return tuple(1 << k for k in range(n_harmonic.bit_length()))


def block_edges(n_bin: int, first: int, least: int, growth: float, most: int) -> np.ndarray:
    """Return the edges of blocks from bin `first` on, whose widths grow with frequency, int64.

    A block that begins at bin k has ``growth k`` bins, but at least `least` and at most `most`.
    """
    edges = [min(first, n_bin - 1)]
    while edges[-1] < n_bin:
        edges.append(edges[-1] + int(min(max(growth * edges[-1], least), most)))
    edges[-1] = n_bin
    if len(edges) > 2 and edges[-1] - edges[-2] < least:
        del edges[-2]
    return np.array(edges, np.int64)


def mean_of_truncated(mean: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return the mean of an exponential law from the mean of its values below `cut`.

    With a = cut / L, the mean of values below the cut is ``L (1 - a / (exp(a) - 1))``.
    """
    level = np.array(mean, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(60):
            level = mean / (1 - (cut / level) / np.expm1(cut / level))
    return level


def median_share(n: np.ndarray) -> np.ndarray:
    """Return the expectation of the median of n values of an exponential law of mean 1."""
    n = np.asarray(n, np.int64)
    sums = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(n.max(initial=1)) + 2))])
    low, high = (n + 1) // 2, n // 2 + 1  # the middle ones, counted from 1
    return np.asarray(sums[n] - (sums[n - low] + sums[n - high]) / 2)


def gain_knots(edges: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bins, and the factor ``1 / sqrt(level)`` of amplitudes there.

    The logarithm of the level is interpolated in the logarithm of frequency between the centres of
    blocks whose level is above 0, after `smoothed`. It is extrapolated to the first edge; before
    that, and after the last centre, it is constant.
    """
    known = level > 0
    if not known.any():
        return np.array([0, edges[-1]]), np.zeros(2)
    middle = np.sqrt(edges[:-1].astype(np.float64) * edges[1:])[known]
    log = smoothed(np.log(middle), np.log(level[known]), np.diff(edges)[known])
    if len(log) > 1 and edges[0] < middle[0]:
        slope = (log[1] - log[0]) / np.log(middle[1] / middle[0])
        log = np.append(log[0] + slope * np.log(edges[0] / middle[0]), log)
        middle = np.append(float(edges[0]), middle)
    shares = np.arange(_KNOTS) / _KNOTS
    inner = np.append((middle[:-1, np.newaxis] + np.diff(middle)[:, np.newaxis] * shares).ravel(),
                      middle[-1])
    knots = np.unique(np.concatenate([[0], np.rint(inner).astype(np.int64), edges[-1:]]))
    fitted = np.interp(np.log(np.maximum(knots, 1)), np.log(middle), log)
    return knots, np.exp(-fitted / 2)


def smoothed(x: np.ndarray, y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return levels of blocks of few bins from a straight line through their neighbours too.

    Parameters
    ----------
    x, y : ndarray, shape (n_block,), float64
        Logarithms of frequencies, ascending, and of levels.
    n : ndarray, shape (n_block,), int
        Bins of each block. Neighbours are used until there are `_ENOUGH`.

    Returns
    -------
    ndarray, shape (n_block,), float64
    """
    found = y.copy()
    for b in np.flatnonzero(n < _ENOUGH):
        order = np.argsort(np.abs(x - x[b]), kind="stable")
        near = order[: 1 + int(np.searchsorted(np.cumsum(n[order]), _ENOUGH))]
        if len(near) < 3:
            continue
        w = n[near].astype(np.float64)
        u, v = x[near] - np.average(x[near], weights=w), np.average(y[near], weights=w)
        slope = (w * u * y[near]).sum() / (w * u**2).sum()
        found[b] = v + slope * (x[b] - np.average(x[near], weights=w))
    return found


def half_bin_table(n_side: int) -> np.ndarray:
    """Return ``c_j = 1 / (pi (j - 1/2))``, j from 1 to `n_side`.

    The amplitude half a bin above bin k is ``sum_j c_j (A_(k+1-j) - A_(k+j))``, apart from its
    phase.
    """
    return np.asarray(1 / (np.pi * (np.arange(1, n_side + 1) - 0.5)))


def window_lags(weight: np.ndarray | None, n_sample: int, n_lag: int) -> np.ndarray:
    """Return the correlation of the noise of bins k and k - d, d from 0 to ``n_lag - 1``, complex.

    ``sum_n w_n exp(-2 pi i d n / N) / sum_n w_n``, for samples of variance w_n.
    """
    lags = np.zeros(n_lag, np.complex128)
    lags[0] = 1
    if weight is not None:
        total = weight.sum(dtype=np.float64)
        lags[:] = np.fft.rfft(weight, n_sample)[:n_lag] / total
        lags[0] = 1
    return lags


def hann_noise(lags: np.ndarray) -> float:
    """Return the mean power of noise with Hann's window, relative to that without."""
    return float(noise_of(np.array([-0.5, 1.0, -0.5]), lags))


def noise_of(taps: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Return the mean power of noise after the filters ``sum_l taps_l A_(k+l)``.

    Parameters
    ----------
    taps : ndarray, shape (..., n_tap), complex
        Coefficients.
    lags : ndarray, shape (n_lag,), complex
        As from `window_lags`; those beyond are 0.
    """
    n = taps.shape[-1]
    found = (np.abs(taps) ** 2).sum(axis=-1) * lags[0].real
    for d in range(1, min(n, len(lags))):
        if lags[d] != 0:
            pairs = (taps[..., d:] * taps[..., :-d].conj()).sum(axis=-1)
            found = found + 2 * (pairs * lags[d]).real
    return np.asarray(found)


def half_bin_taps(n_side: int) -> np.ndarray:
    """Return the coefficients of bins ``k + 1 - n_side`` to ``k + n_side`` for half a bin above."""
    table = half_bin_table(n_side)
    return np.concatenate([table[::-1], -table])


def template_side(z: float, n_side: int) -> int:
    """Return the number of bins on each side of a template: those that it crosses, and more."""
    return n_side + int(np.ceil(abs(z) / 2))


def templates(z: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return ``G_z(d) = integral of cos(2 pi d v) exp(-pi i z v^2)`` over v from -1/2 to 1/2.

    With ``A(r, z) = sum_n x_n exp(-2 pi i (r u + z (u^2 - u) / 2))``, u = n / N, the frequency r
    that is the mean over the series, and z bins of drift, ``A(r, z) = exp(i pi (z / 4 - r)) sum_l
    (-1)^l A_l G_z(l - r)``.

    Parameters
    ----------
    z : ndarray, shape (n_z,), float64
        Drifts.
    offset : ndarray, shape (n_offset,), float64
        Distances d = l - r.

    Returns
    -------
    ndarray, shape (n_z, n_offset), complex128

    References
    ----------
    S. M. Ransom, S. S. Eikenberry and J. Middleditch, AJ 124 (2002) 1788, section 3.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    n_panel = _PANELS * max(1, -(-int(np.abs(offset).max()) // _REACH))
    panel = 0.5 / n_panel
    v = (panel * (np.arange(n_panel)[:, np.newaxis] + (nodes + 1) / 2)).ravel()
    w = np.tile(weights, n_panel) * panel  # twice the half, since the integrand is even
    return np.asarray(np.exp(-1j * np.pi * np.outer(z, v**2)) @ (
        w[:, np.newaxis] * np.cos(2 * np.pi * np.outer(v, offset))))


def jerk_side(w: float) -> int:
    """Return the number of bins on each side of a template of jerk; 0 for none."""
    return _JERK_SIDE + int(np.ceil(abs(w) / 12)) if w else 0


def jerk_taps(w: float, side: int | None = None) -> np.ndarray:
    """Return ``H_w(d) = integral of cos(2 pi (d v - w c(v)))`` over v from -1/2 to 1/2.

    Of this, ``c(v) = v^3 / 6 - v / 24``.
    A tone whose drift changes by w bins over the series, beside a mean frequency r and a mean drift
    z, has the frequency ``r + z v + w (v^2 / 2 - 1 / 24)``. Its amplitude is that of ``templates``
    for ``G_(z, w)(d) = sum_e H_w(e) G_z(d - e)``.

    Parameters
    ----------
    w : float
        Change of the drift, in bins.
    side : int, optional
        Largest distance; by default that of `jerk_side`.

    Returns
    -------
    ndarray, shape (2 side + 1,), float64
        For distances d of -side to side.

    References
    ----------
    B. C. Andersen and S. M. Ransom, ApJ 863 (2018) L13.
    """
    v = np.arange(_JERK_POINTS) / _JERK_POINTS
    v -= np.rint(v)
    found = np.fft.ifft(np.exp(-2j * np.pi * w * (v**3 / 6 - v / 24))).real
    side = jerk_side(w) if side is None else side
    return np.asarray(found[np.arange(-side, side + 1)])


def harmonic_place(i: Any, part: int, n: int) -> Any:
    """Return the half bin (or step of drift) closest to ``i part / n``, away from 0 if halfway."""
    return np.sign(i) * ((2 * np.abs(i) * part + n) // (2 * n))


def top_range(n: int, n_half: int, r_min: float, r_max: float) -> tuple[int, int]:
    """Return the first half bin of the highest of n harmonics, and the one after the last."""
    first = n_half if 2 * n * r_min >= n_half else max(int(np.ceil(2 * n * r_min)), 1)
    stop = n_half if r_max >= n_half else min(int(np.floor(2 * n * r_max)) + 1, n_half)
    return first, max(first, stop)
