"""Search of a whitened spectrum for sums of harmonics, without drift of their frequency."""

from typing import Any

import numpy as np

from . import _check
from ._order import on_lines
from ._periodic_tables import (
    EVENT,
    JERK_STEP,
    half_bin_table,
    half_bin_taps,
    noise_of,
    stages,
    top_range,
)
from ._plan import Plan
from .whitening import checked_lags, checked_noise, checked_validity

__all__ = ["HarmonicSearch", "half_bin_powers"]

#: Longest spectrum, harmonics that are summed, and events that are kept.
MOST_BINS, MOST_HARMONICS, MOST_EVENTS = 2**30, 32, 2**22


def half_bin_powers(x: np.ndarray, *, n_side: int = 16, lags: np.ndarray | None = None,
                    out: np.ndarray | None = None) -> np.ndarray:
    """Return powers in steps of half a bin: ``|A_k|^2``, or ``|sum_l t_l A_l|^2 / c`` between bins.

    With 16 bins on each side, a tone halfway between two bins has 0.9874 of the power of a tone on
    a bin, and a tone a quarter of a bin from the nearest step has 0.811.

    Parameters
    ----------
    x : ndarray, shape (n_bin,), complex64, C-contiguous
        Whitened amplitudes of a real series; beyond both ends, they are taken as 0.
    n_side : int
        Number of bins on each side from which a power between two bins is computed, 4 to 64.
    lags : ndarray, shape (n_lag,), complex, optional
        Correlation of the noise of bins k and k - d, caused for example by gaps in the series; by
        default, the noise is not correlated. It determines c, the mean power of the noise between
        bins.
    out : ndarray, shape (2 n_bin,), float32, C-contiguous, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (2 n_bin,), float32, squared unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing of the size of the data if `out` is given. NaN spreads over `n_side`
    bins on each side. The GIL is released.
    """
    _check.array("x", x, ("complex64",), 1)
    _check.c_contiguous("x", x)
    n_side = _check.count("n_side", n_side, 4, 64)
    noise = float(checked_noise(noise_of(half_bin_taps(n_side), checked_lags(lags))))
    if out is None:
        out = on_lines((2 * x.size,), np.dtype(np.float32))
    else:
        _check.target("out", out, (2 * x.size,), "float32", x, lags)
        _check.c_contiguous("out", out)
    _half_bins(x, n_side, noise, out)
    return out


def _half_bins(x: np.ndarray, n_side: int, noise: float, out: np.ndarray) -> None:
    from ._harmonic_loops import half_bins_nb
    from ._simd import Spec, host_lanes

    spec = Spec(lanes=host_lanes(), n_side=n_side)
    half_bins_nb(spec, x.view(np.float32), n_side, half_bin_table(n_side).astype(np.float32),
                 np.float32(1 / noise), out)


def checked_thresholds(thresholds: Any) -> np.ndarray:
    """Return thresholds as float64; refuse numbers of harmonics other than powers of two."""
    _check.array("thresholds", thresholds, ("float64",), 1)
    if thresholds.size not in stages(MOST_HARMONICS):
        raise ValueError(f"thresholds: found {thresholds.size} values, allowed 1, 2, 4, 8, 16 or "
                         "32")
    if not (np.isfinite(thresholds).all() and thresholds[0] > 0
            and (np.diff(thresholds) > 0).all()):
        raise ValueError("thresholds: found values that do not rise, allowed rising values above 0")
    return np.array(thresholds)


def checked_range(r_min: Any, r_max: Any) -> tuple[float, float]:
    """Return the limits of the frequency of fundamentals, in bins."""
    low = _check.number("r_min", r_min)
    if not 1 <= low < np.inf:
        raise ValueError(f"r_min: found {low}, allowed 1 or more")
    if r_max is None:
        return low, np.inf
    high = _check.number("r_max", r_max)
    if not low <= high < np.inf:
        raise ValueError(f"r_max: found {high}, allowed r_min or more")
    return low, high


class Kept:
    """Sums that were found, the best `most` of them.

    When there is no room for `at_once` more, those with the least excess over the threshold are
    dropped.
    """

    def __init__(self, most: int, n_column: int, at_once: int) -> None:
        self.most = most
        size = 2 * most + 2 * at_once
        self.place = np.zeros((size, n_column), np.int64)
        self.values = np.zeros((size, 2))
        self.n_found = np.zeros(1, np.int64)
        #: Number of sums above the threshold that were dropped.
        self.n_dropped = 0

    @property
    def memory_bytes(self) -> int:
        """Size of the room, in bytes."""
        return self.place.nbytes + self.values.nbytes

    def clear(self) -> None:
        """Forget everything."""
        self.n_found[0] = self.n_dropped = 0

    def prune(self) -> None:
        """Keep the best `most`, in their order; equal ones in the order in which they came."""
        from ._harmonic_loops import prune_nb

        self.n_dropped += prune_nb(self.place, self.values, self.n_found, self.most)

    def events(self) -> np.ndarray:
        """Return the sums as events, in the order of their harmonics, jerk, drift, frequency."""
        self.prune()
        n = int(self.n_found[0])
        place, number = self.place[:n], 1 << self.place[:n, 1]
        found = np.zeros(n, EVENT)
        found["r"] = place[:, 0] / (2 * number)
        if place.shape[1] > 3:
            found["z"] = 2 * place[:, 3] / number
            found["w"] = JERK_STEP * place[:, 4] / number
        found["n_harmonic"], found["n_valid"] = number, place[:, 2]
        found["power"] = self.values[:n, 0]
        return found[np.lexsort((found["r"], found["z"] * number, found["w"] * number, number))]


class HarmonicSearch(Plan):
    """Plan that finds sums of harmonics in whitened spectra.

    For n = 1, 2, 4, ... harmonics, the highest is at each half bin i, counted from 0, and harmonic
    j is at half bin ``floor(i j / n + 1/2)``. Their powers are summed, and sums that reach the
    threshold for their number of valid powers are events.

    Parameters
    ----------
    n_bin : int
        Number of bins of a spectrum.
    thresholds : ndarray, shape (n_harmonic,), float64
        Thresholds of sums of 1, 2, 3, ... valid powers, increasing. Their number is the largest
        number of harmonics that are summed: 1, 2, 4, 8, 16 or 32.
    r_min, r_max : float
        Lowest and highest frequency of fundamentals, in bins; by default, there is no highest
        frequency.
    n_side : int
        As for `half_bin_powers`.
    most : int
        Largest number of events; those with the largest excess over their threshold are kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Events.* The fields of results are ``r`` (float64, frequency of the fundamental in bins, a
    multiple of ``1 / (2 n)``), ``z`` and ``w`` (float32, 0), ``n_harmonic`` and ``n_valid``
    (int16), and ``power`` (float32). An event is the best of the sums with its number of harmonics
    in 16 neighbouring half bins of the highest harmonic.

    *Weights.* Harmonics at bins that are not valid, or at half bins beside these, are left out. The
    sum of the others is compared with the threshold for their number.
    """

    def __init__(self, n_bin: int, thresholds: np.ndarray, *, r_min: float = 1.0,
                 r_max: float | None = None, n_side: int = 16, most: int = 2**14) -> None:
        self._n_bin = _check.count("n_bin", n_bin, 2, MOST_BINS)
        self._thresholds = checked_thresholds(thresholds)
        self._range = checked_range(r_min, r_max)
        self._n_side = _check.count("n_side", n_side, 4, 64)
        self._most = _check.count("most", most, maximum=MOST_EVENTS)
        self._tops = np.array([top_range(n, 2 * self._n_bin, *self._range)
                               for n in stages(self._thresholds.size)], np.int64)
        self._own_state()

    def _own_state(self) -> None:
        from ._harmonic_vectors import BLOCK

        # A block reads up to a vector beyond its harmonics.
        self._power = on_lines((-(-2 * self._n_bin // BLOCK) * BLOCK + BLOCK,),
                               np.dtype(np.float32))
        self._power[2 * self._n_bin :] = 0
        self._kept = Kept(self._most, 3, 4096)

    @property
    def n_bin(self) -> int:
        """Number of bins of a spectrum."""
        return self._n_bin

    @property
    def n_dropped(self) -> int:
        """Number of events of the latest spectrum that were not kept."""
        return self._kept.n_dropped

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return self._power.nbytes + self._kept.memory_bytes

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        x = np.zeros(self._n_bin, np.complex64)
        self.copy().process(x, valid=np.arange(self._n_bin) > 1)

    def process(self, x: np.ndarray, *, valid: np.ndarray | None = None,
                lags: np.ndarray | None = None) -> np.ndarray:
        """Search a spectrum.

        Parameters
        ----------
        x : ndarray, shape (n_bin,), complex64, C-contiguous
            Whitened amplitudes, as from `whiten`, 0 where bins are not valid.
        valid : ndarray, shape (n_bin,), bool, C-contiguous, optional
            Whether each bin is used; all are by default.
        lags : ndarray, shape (n_lag,), complex, optional
            As for `half_bin_powers`.

        Returns
        -------
        ndarray, shape (n,), fields r, z, w, n_harmonic, n_valid and power
            Events, in the order of their number of harmonics and frequency.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape.
        RuntimeError
            If another call is in progress.
        """
        with self._alone():
            _check.array("x", x, ("complex64",), 1)
            _check.shape("x", x, (self._n_bin,))
            good = checked_validity(valid, self._n_bin)
            half_bin_powers(x, n_side=self._n_side, lags=lags, out=self._power[: 2 * x.size])
            self._search(good)
            return self._kept.events()

    def _search(self, valid: np.ndarray) -> None:
        from ._harmonic_loops import fill_invalid_nb, search_nb
        from ._harmonic_vectors import BLOCK
        from ._simd import Spec, host_lanes

        fill_invalid_nb(valid, np.float32(bonus(self._thresholds)), self._power)
        spec = Spec(lanes=host_lanes(), n_harmonic=self._thresholds.size)
        self._kept.clear()
        at, stop = int(self._tops[:, 0].min()) // BLOCK * BLOCK, int(self._tops[:, 1].max())
        while at < stop:
            at = search_nb(spec, self._power, valid, at, stop, limits_of(self._thresholds),
                           self._thresholds, self._tops, self._kept.place, self._kept.values,
                           self._kept.n_found)
            if at < stop:
                self._kept.prune()


def limits_of(thresholds: np.ndarray) -> np.ndarray:
    """Return, for each stage, the least sum at which half bins are examined, float32."""
    # Sums of float32 in the order of vectors differ in the last digits.
    return np.array([thresholds[n - 1] * (1 - 1e-5) for n in stages(thresholds.size)], np.float32)


def bonus(thresholds: np.ndarray) -> float:
    """Return a power for harmonics that are not valid, with which no event is overlooked.

    A sum of n powers, k of which are not valid, is then above the threshold of n powers if that of
    the others is above the threshold of their number.
    """
    found = 0.0
    for n in stages(thresholds.size):
        fewer = np.arange(1, n)
        found = max(found, *(thresholds[n - 1] - thresholds[n - 1 - fewer]) / fewer, 0.0)
    return found * (1 + 1e-5)
