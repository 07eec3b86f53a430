"""Search of a whitened spectrum for sums of harmonics whose frequency drifts."""

from typing import Any

import numpy as np

from . import _check
from ._drift_tiles import Templates, best_tile, drift_steps, jerk_spectra
from ._order import on_lines, split_blocks
from ._pages import aligned
from ._periodic_tables import JERK_STEP, stages, top_range
from ._plan import Plan
from .periodicity import (
    MOST_BINS,
    MOST_EVENTS,
    Kept,
    bonus,
    checked_range,
    checked_thresholds,
    limits_of,
)
from .whitening import checked_lags, checked_noise, checked_validity

__all__ = ["AccelerationSearch"]

_MOST_DRIFT, _MOST_JERK = 1200.0, 6000.0


class AccelerationSearch(Plan):
    """Plan that finds sums of harmonics of drifting frequency in whitened spectra.

    A drift of z bins over a series of length T is that of a constant acceleration
    ``a = z c / (T^2 f)`` at the frequency f, where c is the speed of light. The power at frequency
    r (the mean over the series) and drift z is that of the correlation with the transform of such a
    tone. For n = 1, 2, 4, ... harmonics, the highest is at each half bin and at each drift that is
    a multiple of 2, and harmonic j is at j / n of both, rounded to such steps. Their powers are
    summed, and sums that reach the threshold for their number of valid powers are events.

    A jerk of w bins is a drift that changes by w bins over the series, at a constant rate: that of
    a constant jerk ``j = w c / (T^3 f)``. Frequency and drift are then those of the mean over the
    series, and each jerk of the highest harmonic that is a multiple of 20 is tried with each drift.

    Parameters
    ----------
    n_bin : int
        Number of bins of a spectrum.
    thresholds : ndarray, shape (n_harmonic,), float64
        As for `HarmonicSearch`.
    z_max : float
        Largest drift of the highest harmonic in either direction, 0 to 1200; rounded down to a
        multiple of 2.
    w_max : float
        Largest jerk of the highest harmonic in either direction, 0 to 6000; rounded down to a
        multiple of 20.
    r_min, r_max : float
        Lowest and highest frequency of fundamentals, in bins; by default, there is no highest
        frequency.
    n_side : int
        Number of bins on each side of those that a template crosses, 4 to 64.
    most : int
        Largest number of events; those with the largest excess over their threshold are kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Events.* These are as for `HarmonicSearch`; ``z`` is the drift of the fundamental, and ``w``
    its jerk. An event is the best of the sums with its drift, jerk and number of harmonics in 16
    neighbouring half bins of the highest harmonic.

    *Weights.* These are as for `HarmonicSearch`. The power of a template is valid if the bins at
    its frequency are; where other bins that it crosses are not valid, the power is too small.

    *Speed.* Tiles of a few thousand bins are searched with all that they need in the cache, and
    correlations use transforms of at most 4096 points for drifts up to 1000. Each jerk takes as
    long as a search without jerk: a `w_max` of 20 n takes 2 n + 1 times as long, and a tenth more
    than that at 600, where templates are longer. Up to a `w_max` of 600, tables and work space grow
    by less than 10 MB.

    References
    ----------
    S. M. Ransom, S. S. Eikenberry and J. Middleditch, AJ 124 (2002) 1788; B. C. Andersen and
    S. M. Ransom, ApJ 863 (2018) L13.
    """

    def __init__(self, n_bin: int, thresholds: np.ndarray, *, z_max: float, w_max: float = 0,
                 r_min: float = 1.0, r_max: float | None = None, n_side: int = 16,
                 most: int = 2**14) -> None:
        self._n_bin = _check.count("n_bin", n_bin, 2, MOST_BINS)
        self._thresholds = checked_thresholds(thresholds)
        self._n_z = _steps_of("z_max", z_max, _MOST_DRIFT, 2)
        self._n_w = _steps_of("w_max", w_max, _MOST_JERK, JERK_STEP)
        self._n_side = _check.count("n_side", n_side, 4, 64)
        self._most = _check.count("most", most, maximum=MOST_EVENTS)
        low, high = checked_range(r_min, r_max)
        n_harmonic = self._thresholds.size
        self._tops = np.array([top_range(n, 2 * self._n_bin, low, high)
                               for n in stages(n_harmonic)], np.int64)
        self._steps = drift_steps(self._n_z, n_harmonic)
        above = drift_steps(self._n_w, n_harmonic)
        #: Jerk of each harmonic for each of the highest, from the most negative on, in steps.
        self._jerk_steps = np.concatenate([-above[:0:-1], above])
        self._tile = best_tile(self._n_z, n_harmonic, self._n_side, self._n_bin, self._n_w)
        self._templates = Templates(self._n_z, self._n_side)
        self._transforms()
        self._own_state()

    def _transforms(self) -> None:
        """Make the tables of all lengths of transforms, and the transforms of templates."""
        from ._fft_rows import ShortRows

        lengths = sorted({piece.length for piece in self._tile.pieces})
        # The tables that `_plans` has the addresses of.
        self._rows = [ShortRows(length, inverse=False) for length in lengths]
        tables = [rows.tables for rows in self._rows]
        self._levels = _stacked([each.levels for each in tables])
        self._starts = _stacked([each.starts for each in tables])
        self._plans = np.zeros((len(lengths), 7), np.int64)
        lanes, kernels, place = tables[0].lanes, [], 0
        for i, (length, each) in enumerate(zip(lengths, tables, strict=True)):
            rows = max(int(self._steps[-1, piece.row]) for piece in self._tile.pieces
                       if piece.length == length)
            made = self._templates.spectra(rows, length)
            kernels.append(np.stack([split_blocks(half, lanes).ravel()
                                     for half in made.reshape(-1, length)]).ravel())
            self._plans[i] = (length, each.n_inner, len(each.levels), each.last, len(each.starts),
                              each.first, place)
            place += kernels[-1].size
        self._kernels = aligned(4 * place).view(np.float32)
        np.concatenate(kernels, out=self._kernels)
        self._ramps = np.zeros((len(lengths), 2 * lengths[-1]), np.float32)
        for i, n in enumerate(lengths):
            self._ramps[i, : 2 * n] = np.exp(1j * np.pi * np.arange(n) / n).astype(
                np.complex64).view(np.float32)
        self._jerks = np.zeros((len(lengths), self._n_w + 1, 2 * lengths[-1]), np.float32)
        for i, n in enumerate(lengths):
            self._jerks[i, :, : 2 * n] = jerk_spectra(self._n_w, n).astype(np.complex64).view(
                np.float32)
        self._pieces = self._placed(lengths)

    def _placed(self, lengths: list[int]) -> np.ndarray:
        """Return the pieces as the loops take them."""
        found, place = [], 0
        for piece in self._tile.pieces:
            found.append((piece.row, piece.first, piece.n_bin, lengths.index(piece.length),
                          self._tile.sides[piece.row], place))
            place += 4 * piece.length
        self._n_spectra = place
        return np.array(found, np.int64)

    def _own_state(self) -> None:
        longest, n_row = int(self._plans[:, 0].max()), self._steps.shape[1]
        work = max(rows.tables.work_bytes for rows in self._rows)
        self._work, self._spectra = aligned(work), aligned(4 * self._n_spectra).view(np.float32)
        self._segment = on_lines((2 * longest,), np.dtype(np.float32))
        self._whole = on_lines((longest,), np.dtype(np.float32))
        self._spare = on_lines((2 * longest,), np.dtype(np.float32))
        self._margin = 2 * self._tile.sides[-1]
        # Lines of rows must not fall into the same few sets of a cache.
        size = self._margin + 2 * max(longest, self._tile.n_bin + 2) + 80
        self._planes = aligned(4 * 2 * n_row * size).view(np.float32).reshape(2, n_row, size)
        n_bin = self._tile.n_bin
        self._n_of_row = np.array([-(-n_bin * (row + 1) // n_row) + 1 for row in range(n_row)])
        self._invalid = np.zeros((n_row, 2 * n_bin + 4), np.int64)
        self._n_invalid = np.zeros(n_row, np.int64)
        self._kept = Kept(self._most, 5, self._tops.shape[0] * (n_bin // 8 + 8))

    @property
    def n_bin(self) -> int:
        """Number of bins of a spectrum."""
        return self._n_bin

    @property
    def z_max(self) -> float:
        """Largest drift of the highest harmonic, in bins."""
        return 2.0 * self._n_z

    @property
    def w_max(self) -> float:
        """Largest jerk of the highest harmonic, in bins."""
        return float(JERK_STEP * self._n_w)

    @property
    def n_dropped(self) -> int:
        """Number of events of the latest spectrum that were not kept."""
        return self._kept.n_dropped

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        arrays = (self._kernels, self._ramps, self._jerks, self._work, self._spectra,
                  self._segment, self._whole, self._spare, self._planes, self._invalid)
        return sum(each.nbytes for each in arrays) + self._kept.memory_bytes + (
            self._templates.nbytes + sum(rows.memory_bytes for rows in self._rows))

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        plan = AccelerationSearch(64, self._thresholds, z_max=0)
        plan.process(np.zeros(64, np.complex64), valid=np.arange(64) > 1)

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
            Events, in the order of their number of harmonics, jerk, drift and frequency.

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
            _check.c_contiguous("x", x)
            good = checked_validity(valid, self._n_bin)
            self._kept.clear()
            self._search(x.view(np.float32), good, self._scales(checked_lags(lags)))
            return self._kept.events()

    def _scales(self, lags: np.ndarray) -> np.ndarray:
        """Return the factors of powers for each sign, transform, drift, and bin or half bin."""
        noise = checked_noise(self._templates.noise(lags))
        lengths = self._plans[:, 0].astype(np.float64)
        return (1 / (noise[:, np.newaxis] * lengths[:, np.newaxis, np.newaxis] ** 2)).astype(
            np.float32)

    def _search(self, x: np.ndarray, valid: np.ndarray, scales: np.ndarray) -> None:
        from ._drift_loops import invalid_places_nb, load_pieces_nb, search_tile_nb
        from ._harmonic_vectors import BLOCK
        from ._simd import Spec

        n_harmonic = self._steps.shape[1]
        transform = Spec(lanes=self._rows[0].lanes, inverse=False, columns=True)
        sums = Spec(lanes=self._rows[0].lanes, n_harmonic=n_harmonic)
        tables = self._plans, self._levels, self._starts
        limits, fill = limits_of(self._thresholds), np.float32(bonus(self._thresholds))
        kept, n_bin = self._kept, self._tile.n_bin
        stop = -(-int(self._tops[:, 1].max()) // 2)
        step = max(32, n_harmonic)  # each row of a tile begins at a bin
        at = int(self._tops[:, 0].min()) // 2 // step * step
        while at < stop:
            first = at * np.arange(1, n_harmonic + 1) // n_harmonic
            invalid_places_nb(valid, first, self._n_of_row, self._invalid, self._n_invalid)
            n_block = -(-2 * min(n_bin, stop - at) // BLOCK)
            for jerk in self._jerk_steps:
                load_pieces_nb(transform, x, first, self._pieces, *tables, self._segment,
                               self._work, self._ramps, self._jerks, jerk, self._spectra)
                kept.n_dropped += search_tile_nb(
                    transform, sums, self._pieces, *tables, self._kernels, scales, self._spectra,
                    self._work, self._whole, self._spare, self._planes, self._margin, self._steps,
                    jerk[-1], at, n_block, self._invalid, self._n_invalid, fill, valid, limits,
                    self._thresholds, self._tops, kept.place, kept.values, kept.n_found, kept.most)
            at += n_bin


def _steps_of(name: str, value: Any, most: float, step: int) -> int:
    found = _check.number(name, value)
    if not 0 <= found <= most:
        raise ValueError(f"{name}: found {found}, allowed 0 to {most:g}")
    return int(found) // step


def _stacked(tables: list[np.ndarray]) -> np.ndarray:
    """Return int64 tables of different lengths as one array; the rest is 0."""
    size = max(1, *(len(each) for each in tables))
    found = np.zeros((len(tables), size, *tables[0].shape[1:]), np.int64)
    for i, each in enumerate(tables):
        found[i, : len(each)] = each
    return found

