"""Fast folding: profiles of a series at all periods of a range, and their best boxcars."""

from typing import Any, NamedTuple

import numpy as np

from . import _check
from ._plan import Plan
from ._simd import Spec, host_lanes

__all__ = ["FFA"]

_MOST_SAMPLES = 2**31
_MOST_BINS = 2**12
#: Least number of samples of a halved series in a bin, apart from series that are not halved.
_LEAST = 4
#: Least weight of a boxcar, and of the rest of a turn, relative to their shares of the turn.
_LEAST_SHARE = 0.25
_LINE = 64
#: Codes of 16 bits: the standard deviation of the noise of a bin; the largest magnitude of a bin,
#: and of the sum of half of the turns; and the least number of bins.
_LEVEL, _MOST_CODE, _MOST_HALF, _LEAST_BINS = 16.0, 4000, 32000, 80
#: Least standard deviation of the noise of a bin of a profile that is divided by a power of two.
_ROOT_LEVEL = 32.0
#: Turns of which profiles are divided by a power of two, as those of few turns are not.
_TURNS_OF_TWIN = 20


class _Trial(NamedTuple):
    """Profiles of one tree: samples of a bin, bins, turns, and the range of drifts."""

    step: int
    factor: float
    n_bin: int
    n_row: int
    first: int
    stop: int


class FFA(Plan):
    """Plan that folds a series at all periods of a range, and measures the S/N of their pulses.

    A period between n and n + 1 bins corresponds to a drift of 0 to m - 1 bins over the m turns of
    the series. The profiles of all drifts are sums over a binary tree of turns. On each, boxcars of
    all widths and phases are compared with the rest of the turn.

    Bins have ``2^(k / n_step)`` samples, k = 0, 1, ..., and for each k, profiles have from `n_bin`
    bins to less than ``2^(1 / n_step)`` times as many, so that no period is missed. The sizes of
    bins and the periods do not depend on the range: a wider range adds periods and changes none.

    Parameters
    ----------
    n_time : int
        Number of samples of a series.
    shortest, longest : float
        Limits of the period, in samples; the shortest is `n_bin` or more, and the longest at most
        half of the series.
    n_bin : int
        Smallest number of bins.
    widths : sequence of int
        Widths of boxcars, in bins, in ascending order; all are less than `n_bin`.
    n_step : int
        Number of bin sizes in a factor of 2.
    exact : bool
        Whether all sums are in float32. By default, series without gaps are folded as 16-bit
        integers, in which the noise of a bin is 16, unless a pulse is so strong that sums would
        overflow. Profiles of many turns are divided by a power of two, so that the noise of a bin
        is 32 to 64. Folding of integers takes less time, and adds an error of 0.02 to the S/N.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *S/N.* The S/N is the difference between the means in a boxcar of w bins and in the rest of the
    turn, divided by its standard deviation. With d = 1/W_in + 1/W_out, where W_in and W_out are the
    weights of the samples in the two parts, the variance of the difference is d - s d^2. The term s
    accounts for samples that are divided between two bins, which reduces the variance of a sum by
    that of a third of a sample; s is 0 where bins have whole numbers of samples.

    *Gaps.* Samples that are not finite have weight 0. Weights are folded as samples are, and each
    boxcar is divided by its weight. A boxcar is not used if its weight, or that of the rest of the
    turn, is less than a quarter of the average weight of an equally long part of the turn.

    *Bits.* Sums are in the order of the tree. The results of a period depend only on the series,
    `n_bin` and `n_step`.

    References
    ----------
    D. H. Staelin, Proc. IEEE 57, 724 (1969); V. Morello et al., MNRAS 497, 4654 (2020).
    """

    def __init__(self, n_time: int, shortest: float, longest: float, *, n_bin: int = 240,
                 widths: Any = (1, 2, 3, 4, 6, 9, 13, 19, 28, 42), n_step: int = 9,
                 exact: bool = False) -> None:
        self._n_time = _check.count("n_time", n_time, 4, _MOST_SAMPLES)
        least = _check.count("n_bin", n_bin, 24, _MOST_BINS)
        steps = _check.count("n_step", n_step, 1, 64)
        self._widths, self._exact = _widths_of(widths, least), _check.flag("exact", exact)
        limits = (_between("shortest", shortest, least, self._n_time / 2),
                  _between("longest", longest, least, self._n_time / 2))
        if not limits[0] < limits[1]:
            raise ValueError(f"longest: found {limits[1]}, allowed more than the shortest, "
                             f"{limits[0]}")
        self._trials = _trials_of(self._n_time, limits, least, steps)
        if not self._trials:
            raise ValueError(f"longest: found {limits[1]}, allowed more, since there is no trial "
                             f"period from {limits[0]} to {limits[1]}")
        self._ends = np.cumsum([0] + [each.stop - each.first for each in self._trials])
        self._own_state()

    def _own_state(self) -> None:
        self._work: _Work | None = None

    @property
    def n_time(self) -> int:
        """Number of samples of a series."""
        return self._n_time

    @property
    def widths(self) -> np.ndarray:
        """Widths of boxcars, in bins: (n_width,) int64."""
        return self._widths.copy()

    @property
    def n_trial(self) -> int:
        """Number of periods."""
        return int(self._ends[-1])

    @property
    def periods(self) -> np.ndarray:
        """Periods, in samples: (n_trial,) float64, in the nearly ascending order of the results."""
        out = np.empty(self.n_trial)
        for each, first, stop in self._pieces():
            drift = np.arange(each.first, each.stop) / (each.n_row - 1)
            out[first:stop] = each.factor * each.n_bin**2 / (each.n_bin - drift)
        return out

    @property
    def bins(self) -> np.ndarray:
        """Number of bins of the profile of each period: (n_trial,) int32."""
        out = np.empty(self.n_trial, np.int32)
        for each, first, stop in self._pieces():
            out[first:stop] = each.n_bin
        return out

    def _pieces(self) -> Any:
        return zip(self._trials, self._ends[:-1], self._ends[1:], strict=True)

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes; with gaps, the work space is twice as large."""
        return 0 if self._work is None else self._work.memory_bytes

    @property
    def work_bytes(self) -> int:
        """Size that the work space has after the first series without gaps, in bytes."""
        return _Work.bytes_of(self._trials, self._n_time)

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        n_bin = min(each.n_bin for each in self._trials)
        for n_turn in (4, _TURNS_OF_TWIN):
            twin = FFA(n_turn * n_bin, n_bin, 1.1 * n_bin, n_bin=n_bin, widths=self._widths)
            x = np.zeros(n_turn * n_bin, np.float32)
            twin.process(x)
        twin.process(np.where(np.arange(len(x)) % n_bin, 0, 4000).astype(np.float32))
        twin.process(x, weight=(np.arange(len(x)) > 1).astype(np.float32))

    def process(self, x: np.ndarray, *, weight: np.ndarray | None = None,
                out: np.ndarray | None = None, out_width: np.ndarray | None = None
                ) -> tuple[np.ndarray, np.ndarray]:
        """Return the S/N of the best boxcar at each period, and the index of its width.

        Parameters
        ----------
        x : ndarray, shape (n_time,), float32
            Series; the noise has a mean of 0, and its variance is the weight.
        weight : ndarray, shape (n_time,), float32, optional
            Weights, such as the fractions of the terms of samples that are valid, 0 to 1; 1 by
            default. Samples of weight 0 may have any value.
        out : ndarray, shape (n_trial,), float32, optional
            Receives the S/N.
        out_width : ndarray, shape (n_trial,), uint8, optional
            Receives the indices of the widths.

        Returns
        -------
        snr : ndarray, shape (n_trial,), float32
            0 where no boxcar has enough valid samples.
        width : ndarray, shape (n_trial,), uint8
            Index into `widths`.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape.
        RuntimeError
            If another call is in progress.
        """
        with self._alone():
            _check.array("x", x, ("float32",), 1)
            _check.shape("x", x, (self._n_time,))
            if weight is not None:
                _check.array("weight", weight, ("float32",), 1)
                _check.shape("weight", weight, x.shape)
            snr = _check.output("out", out, (self.n_trial,), "float32", x, weight)
            width = _check.output("out_width", out_width, (self.n_trial,), "uint8", x, weight, snr)
            if self._work is None:
                self._work = _Work(self._trials, self._n_time, tuple(self._widths.tolist()),
                                   exact=self._exact)
            self._work.search(self._pieces(), x, weight, snr, width)
        return snr, width


def _between(name: str, value: Any, least: float, most: float) -> float:
    number = _check.number(name, value)
    if not least <= number <= most:
        raise ValueError(f"{name}: found {number}, allowed {least:g}, the least number of bins, "
                         f"to {most:g}, half of the series")
    return number


def _widths_of(widths: Any, n_bin: int) -> np.ndarray:
    if not isinstance(widths, (tuple, list, range, np.ndarray)) or np.ndim(widths) != 1:
        raise TypeError(f"widths: found {type(widths).__name__}, allowed a sequence of integers")
    made = np.array([_check.count("widths", each, 1, n_bin - 1) for each in widths], np.int64)
    if not 1 <= len(made) <= 255 or (np.diff(made) <= 0).any():
        raise ValueError(f"widths: found {made.tolist()}, allowed 1 to 255 ascending numbers")
    return made


def _trials_of(n_time: int, limits: tuple[float, float], n_bin: int, n_step: int) -> list[_Trial]:
    """Return the trees that a range of periods needs."""
    found, step = [], max(0, int(n_step * np.log2(limits[0] / n_bin)) - 1)
    while (factor := 2.0 ** (step / n_step)) * n_bin <= limits[1]:
        end = n_bin * 2 ** (1 / n_step)
        for n in range(n_bin, int(np.ceil(end - 1e-9))):
            n_row = _n_bins(n_time, factor) // n
            if n_row < 2:
                break
            low, high = (_drift(each / factor, n, n_row) for each in (
                limits[0], min(limits[1], factor * min(n + 1.0, end))))
            first, stop = max(0, int(np.ceil(low))), min(n_row, int(np.ceil(high)))
            if factor * n <= limits[1] and first < stop:
                found.append(_Trial(step, factor, n, n_row, first, stop))
        step += 1
    return found


def _sample_of(factor: float) -> int:
    """Return how many samples of the series are summed before they are divided among bins."""
    size = 1
    while factor / (2 * size) >= _LEAST:
        size *= 2
    return size


def _n_bins(n_time: int, factor: float) -> int:
    """Return the number of bins of a series."""
    size = _sample_of(factor)
    return int(n_time // size * (size / factor))


def _drift(period: float, n_bin: int, n_row: int) -> float:
    """Return the drift over all turns, bins, that belongs to a period in bins."""
    return n_bin * (n_row - 1) * (1 - n_bin / period)


class _Work:
    """Work space of a plan, and the search in it.

    Parameters
    ----------
    trials : list of _Trial
    n_time : int
    widths : tuple of int
    """

    def __init__(self, trials: list[_Trial], n_time: int, widths: tuple[int, ...], *,
                 exact: bool) -> None:
        from ._ffa_loops import FEW

        self._lanes, self._widths, self._exact = host_lanes(), widths, exact
        self._float, self._short = (_spec(kind, widths) for kind in ("float32", "int16"))
        self._trials, self._n_time = trials, n_time
        self._series = _Series(trials, n_time)
        self._weights: _Series | None = None
        most = max(each.n_bin for each in trials)
        sums = (most + widths[-1] + 2 * self._lanes) * self._lanes
        self._sums, self._weight_sums, self._group, self._few = (
            _lines(size) for size in (sums, sums, self._lanes * _row(most), FEW * _row(most)))
        self._sums_at, self._weight_sums_at, self._group_at, self._few_at = (
            _address(each) for each in (self._sums, self._weight_sums, self._group, self._few))
        self._best = np.empty(4 * self._lanes, np.float32)
        self._float_tables: dict[_Trial, np.ndarray] = {}
        self._short_tables: dict[_Trial, tuple[np.ndarray, int]] = {}

    @staticmethod
    def bytes_of(trials: list[_Trial], n_time: int) -> int:
        """Return the size of the work space of a series without gaps."""
        from ._ffa_loops import MANY

        return sum(4 * size for size in _Series.sizes(trials, n_time)) + 2**18 + 2 * MANY

    @property
    def memory_bytes(self) -> int:
        """Size in bytes."""
        series = self._series.memory_bytes + (
            self._weights.memory_bytes if self._weights is not None else 0)
        rows = self._sums, self._weight_sums, self._group, self._few
        return int(series + sum(each.nbytes for each in rows))

    def search(self, pieces: Any, x: np.ndarray, weight: np.ndarray | None, snr: np.ndarray,
               width: np.ndarray) -> None:
        """Write the results of all trees."""
        from ._ffa_loops import all_whole_nb, clean_nb

        weights = None
        self._series.begin(x)
        if not all_whole_nb(x, x if weight is None else weight, weight is not None):
            if self._weights is None:
                self._weights = _Series(self._trials, self._n_time)
            weights = self._weights
            clean_nb(x, np.ones_like(x) if weight is None else weight, self._series.own(x),
                     weights.own(x))
        for trial, first, stop in pieces:
            here = slice(first, stop)
            if weights is None:
                self._plain(trial, snr[here], width[here])
            else:
                for each in (self._series, weights):
                    each.fold(self._float, trial, self._few_at)
                self._weighted(trial, weights, snr[here], width[here])

    def _plain(self, trial: _Trial, snr: np.ndarray, width: np.ndarray) -> None:
        from ._ffa_loops import search_nb, search_short_nb

        if not self._exact and self._series.fold_short(self._short, trial, self._few_at):
            spec, gains, bits = self._short, *self._short_gains(trial)
        else:
            self._series.fold(self._float, trial, self._few_at)
            spec, gains, bits = self._float, *self._float_gains(trial)
        tree = (spec, self._lanes, self._series.tree, trial.n_bin, _step(spec, trial.n_bin),
                trial.n_row, trial.first, trial.stop, self._few_at, self._group_at, self._sums_at,
                self._widths[-1])
        if bits:
            search_short_nb(*tree, bits, gains, self._best, snr, width)
        else:
            search_nb(*tree, gains, self._best, snr, width)

    def _float_gains(self, trial: _Trial) -> tuple[np.ndarray, int]:
        """Return the factors of a boxcar and of the whole profile for each width, and 0."""
        if trial not in self._float_tables:
            self._float_tables[trial] = self._gains_of(trial)
        return self._float_tables[trial], 0

    def _short_gains(self, trial: _Trial) -> tuple[np.ndarray, int]:
        """Return those of codes, and the power of two by which profiles are divided."""
        if trial not in self._short_tables:
            bits = max(0, int(np.log2(_LEVEL / _ROOT_LEVEL * trial.n_row**0.5)))
            unit = np.float32(trial.factor**0.5 / _LEVEL * 2**bits)
            self._short_tables[trial] = self._gains_of(trial) * unit, bits
        return self._short_tables[trial]

    def _gains_of(self, trial: _Trial) -> np.ndarray:
        w, n = np.array(self._widths, np.float64), trial.n_bin
        both = n / (w * (n - w))
        sigma = np.sqrt(trial.n_row * (both * trial.factor - self._shared(trial) * both**2))
        return np.stack([both / sigma, 1 / ((n - w) * sigma)], axis=1).astype(np.float32)

    def _shared(self, trial: _Trial) -> float:
        """Return by how much the samples that two bins share reduce the variance of a boxcar.

        A sample that is divided as u and 1 - u has 2 u (1 - u) less at the two ends of the boxcar,
        1 / 3 on average.
        """
        size = _sample_of(trial.factor)
        return 0.0 if (trial.factor / size).is_integer() else size / 3

    def _weighted(self, trial: _Trial, weights: "_Series", snr: np.ndarray, width: np.ndarray
                  ) -> None:
        from ._ffa_loops import search_weighted_nb

        share = np.array(self._widths) / trial.n_bin
        least = (_LEAST_SHARE * np.stack([share, 1 - share], axis=1)).astype(np.float32)
        shared = np.float32(self._shared(trial) / (trial.n_bin * trial.factor))
        search_weighted_nb(self._float, self._lanes, self._series.tree, weights.tree, trial.n_bin,
                           _step(self._float, trial.n_bin), trial.n_row, trial.first, trial.stop,
                           self._few_at, self._group_at, self._sums_at, self._weight_sums_at,
                           self._widths[-1], shared, least, self._best, snr, width)


class _Series:
    """A series at the sizes of bins in turn, and the tree of one.

    Parameters
    ----------
    trials : list of _Trial
    n_time : int
    """

    def __init__(self, trials: list[_Trial], n_time: int) -> None:
        from ._ffa_loops import MANY, MOST_OPEN

        self._own: np.ndarray | None = None
        self._n_time = n_time
        _, bins, tree, _ = self.sizes(trials, n_time)
        self._bins, self._here, self._other = _lines(bins), _lines(tree), _lines(tree)
        self._near = _lines(2 * MANY // 4)
        self._bins_at, self._other_at, self._near_at = (
            _address(each) for each in (self._bins, self._other, self._near))
        #: Address of the sums of the parts of the turns.
        self.tree = _address(self._here)
        self._stack = np.empty((MOST_OPEN, 6), np.int64)
        self._codes, self._codes_at, self._most = np.empty(0, np.int16), 0, 0
        self._step = self._step_of_codes = -1

    @staticmethod
    def sizes(trials: list[_Trial], n_time: int) -> tuple[int, ...]:
        """Return the numbers of floats: of a halved series, of bins, and of two trees."""
        bins = max(_n_bins(n_time, each.factor) for each in trials) + 64
        tree = max(each.n_row * _row(each.n_bin) for each in trials)
        return n_time // 2, bins, tree, tree

    @property
    def memory_bytes(self) -> int:
        """Size in bytes."""
        own = 0 if self._own is None else self._own.nbytes
        return (self._bins.nbytes + self._codes.nbytes + self._here.nbytes + self._other.nbytes
                + own)

    def begin(self, x: np.ndarray) -> None:
        """Begin with a series, which is not changed."""
        self._x, self._size, self._step, self._step_of_codes = x, 1, -1, -1

    def own(self, x: np.ndarray) -> np.ndarray:
        """Begin with an array of the plan that is as long as a series, and return it."""
        if self._own is None or len(self._own) < len(x):
            self._own = np.empty(len(x), np.float32)
        self.begin(self._own[: len(x)])
        return self._x

    def fold(self, spec: Spec, trial: _Trial, few: int) -> None:
        """Compute the sums of the parts of the turns of a tree."""
        self._downsample(spec, trial)
        self._fold(spec, self._bins_at, trial, few)

    def _fold(self, spec: Spec, bins: int, trial: _Trial, few: int) -> int:
        """Compute them of bins at an address; return a bound on the magnitude of sums of a half."""
        from ._ffa_loops import fold_nb

        return int(fold_nb(spec, host_lanes(), bins, trial.n_bin, _step(spec, trial.n_bin),
                           trial.n_row, self.tree, self._other_at, few, self._near_at,
                           self._stack))

    def fold_short(self, spec: Spec, trial: _Trial, few: int) -> bool:
        """Compute the sums as integers of 16 bits; return False if a pulse is too strong."""
        if trial.n_bin < _LEAST_BINS:
            return False
        self._quantize(spec, trial)
        if self._most > _MOST_CODE:
            return False
        return self._fold(spec, self._codes_at, trial, few) <= _MOST_HALF

    def _quantize(self, spec: Spec, trial: _Trial) -> None:
        from ._ffa_loops import quantize_nb

        self._downsample(spec, trial)
        if trial.step == self._step_of_codes:
            return
        if not self._codes.size:
            self._codes = _lines(len(self._bins) // 2 + 32).view(np.int16)
            self._codes_at = _address(self._codes)
        n = _n_bins(self._n_time, trial.factor)
        self._most = quantize_nb(self._bins, n, np.float32(_LEVEL / trial.factor**0.5),
                                 self._codes)
        self._step_of_codes = trial.step

    def _downsample(self, spec: Spec, trial: _Trial) -> None:
        from ._ffa_loops import downsample_nb, halve_nb

        if trial.step == self._step:
            return
        size = _sample_of(trial.factor)
        while self._size < size:
            n = len(self._x) // 2
            if self._own is None or len(self._own) < n:
                self._own = np.empty(n, np.float32)
            halve_nb(self._x, n, self._own)
            self._x, self._size = self._own[:n], 2 * self._size
        downsample_nb(spec, host_lanes(), self._x, trial.factor / size,
                      _n_bins(self._n_time, trial.factor), self._bins)
        self._step = trial.step


def _row(n_bin: int) -> int:
    """Return the floats of a row of a tree: those of a profile and of a vector, in whole lines."""
    return -(-(n_bin + host_lanes()) // 16) * 16


def _spec(kind: str, widths: tuple[int, ...]) -> Spec:
    return Spec(kind=kind, lanes=host_lanes(), widths=widths)


def _step(spec: Spec, n_bin: int) -> int:
    """Return the bytes of a row of a tree: those of a profile and of a vector, in whole lines."""
    size = 4 if spec.numba_type.items["kind"] == "float32" else 2
    line = size * host_lanes() if size == 4 else min(32, 4 * host_lanes())
    return -(-(size * n_bin + line) // _LINE) * _LINE


def _address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def _lines(n: int) -> np.ndarray:
    """Return `n` zeros that begin on a cache line."""
    whole = np.zeros(n + 16, np.float32)
    first = -whole.ctypes.data % _LINE // 4
    return whole[first : first + n]
