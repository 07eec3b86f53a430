"""Normalisation of spectra for searches: a level of 0 and the same noise in every channel."""

from collections import deque
from functools import lru_cache, partial
from itertools import islice, pairwise
from typing import Any

import numpy as np

from . import _check
from ._normalizing_loops import halve_nb, location_nb, measure_nb, scale_nb
from ._plan import Plan
from ._team import Crew
from .levels import check_series

__all__ = ["LEVELS", "Normalizer", "halve"]

#: Standard deviation of normalised noise, in units of the codes.
LEVELS = 16
_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")


class Normalizer(Plan):
    """Plan that subtracts the running level of each channel and divides by its noise.

    The stream is divided into segments, counted from its first row. Means and variances of a
    channel are measured in each segment. At the boundary of two segments, the level of the channel
    is the mean of the means of `half` segments before it and `ahead` segments after it, without
    outliers. Outliers are further
    than four standard deviations from the middle of the shortest interval that contains more than
    half of the means. Between boundaries, the level is interpolated. The variance in a segment is
    the mean of the variances of these numbers of segments before and after it and of the segment
    itself, without outliers. The level therefore does not change with pulses and interference that
    are much brighter than the noise of a segment's mean, if they last for less than about half of
    the ``(half + ahead) segment`` rows. Fainter pulses are reduced by about the fraction of these
    rows that they fill.

    Parameters
    ----------
    n_chan : int
        Number of channels.
    dtype : {"uint8", "int8", "uint16", "int16", "float32"}
        Type of the spectra.
    segment : int
        Number of rows of a segment, a multiple of 256.
    half : int
        Number of segments on each side. Near the beginning and the end of the stream, there are
        fewer on one side.
    ahead : int, optional
        Number of segments after it from which a segment is normalised, 1 to `half`; by default
        `half`. With fewer segments, rows are returned sooner; the level then lags behind one that
        drifts, by about half of the difference, ``(half - ahead) / 2`` segments.
    threads : int
        Number of threads that share the work of a call; the bits do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Results.* Codes are int8 with a standard deviation of 16, rounded to the nearest code, halves
    to even ones, and limited to +-127, which is 7.9 times the noise. Samples that are not valid are
    0. A channel that is constant in a segment, or has fewer than an eighth of its samples there, is
    not valid in this segment. NaN and Inf are not valid.

    *Delay.* A segment is returned when `ahead` segments after it are complete; `finish` returns
    the others. A last segment with fewer than half of its rows has the statistics of the segment
    before it. The bits do not depend on how a stream is split into calls.
    """

    def __init__(self, n_chan: int, *, dtype: str = "uint8", segment: int = 4096, half: int = 8,
                 ahead: int | None = None, threads: int = 1) -> None:
        self._n_chan = _check.count("n_chan", n_chan, maximum=2**24)
        self._dtype = np.dtype(_check.choice("dtype", dtype, _DTYPES))
        self._segment = _check.count("segment", segment, 256, 2**20)
        if self._segment % 256:
            raise ValueError(f"segment: found {segment}, allowed multiples of 256")
        self._half = _check.count("half", half, maximum=2**10)
        self._ahead = self._half if ahead is None else _check.count("ahead", ahead, 1, self._half)
        self._threads = _check.count("threads", threads, maximum=64)
        self._own_state()

    def _own_state(self) -> None:
        self._crew = Crew(self._threads)
        cuts = [self._n_chan * i // self._threads for i in range(self._threads + 1)]
        #: Channels of each thread.
        self._parts = [pair for pair in pairwise(cuts) if pair[0] < pair[1]]
        self._free: list[_Rows] = []
        self._reset()

    def _reset(self) -> None:
        self._now = self._empty()
        self._waiting: deque[_Rows] = deque()
        #: Means and variances of the segments that are still needed, from `_n_before` on.
        self._known: deque[tuple[np.ndarray, np.ndarray]] = deque()
        self._n_before = 0
        self._n_done = 0

    def _empty(self) -> "_Rows":
        return self._free.pop() if self._free else _Rows(self._segment, self._n_chan, self._dtype)

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self._n_chan

    @property
    def segment(self) -> int:
        """Number of rows of a segment."""
        return self._segment

    @property
    def latency(self) -> int:
        """Number of rows after a segment that must be known before it is returned."""
        return self._ahead * self._segment

    @property
    def memory_bytes(self) -> int:
        """Size of work space and state, in bytes; it grows until `latency` rows are waiting."""
        rows = self._now, *self._waiting, *self._free
        return sum(each.memory_bytes for each in rows) + 16 * self._n_chan * len(self._known)

    def reset(self) -> None:
        """Discard the state; the next row is the first of a stream."""
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset()
        self._unfinished = False

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        twin = self.copy()
        twin.process(np.zeros((2, self._n_chan), self._dtype))
        twin.finish()

    def n_output(self, n: int) -> int:
        """Return the number of rows that `process` returns for the next `n`.

        Raises
        ------
        TypeError, ValueError
            If `n` is not an integer of 0 or more.
        """
        n = _check.count("n", n, 0)
        known = self._n_known + (self._now.n + n) // self._segment
        return max(0, known - self._ahead - self._n_done) * self._segment

    @property
    def _n_known(self) -> int:
        return self._n_before + len(self._known)

    def process(self, x: np.ndarray, *, valid: np.ndarray | None = None,
                series: np.ndarray | None = None, out: np.ndarray | None = None,
                out_valid: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Normalise the next rows of the stream.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan), any unit
            Rows, in the plan's dtype.
        valid : ndarray, shape (n_time, n_chan), bool, optional
            Which samples are valid; all by default.
        series : ndarray, shape (n_time,), float32, unit of x, optional
            Values that are first subtracted from all channels, as by `subtract_series`.
        out : ndarray, shape (``n_output(n_time)`` or more, n_chan), int8, optional
            Receives the codes in its first rows. Calls take less time if they use the same memory
            again.
        out_valid : ndarray, shape as of `out`, bool, optional
            Receives whether each code is valid, if some are not.

        Returns
        -------
        codes : ndarray, shape (n, n_chan), int8, noise / 16
            Rows of the segments that are now known, none or more, in the order of the stream: a
            view of `out`, or a new array.
        valid : ndarray, shape (n, n_chan), bool, or None
            Which of these codes are valid: a view of `out_valid`, or a new array; None if all are.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape; the state is then unchanged.
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            _check.array("x", x, (self._dtype,), 2)
            _check.shape("x", x, (len(x), self._n_chan))
            if valid is not None:
                _check.array("valid", valid, ("bool",), 2)
                _check.shape("valid", valid, x.shape)
            check_series(x, series)
            n = self.n_output(len(x))
            codes = _Codes(_rows("out", out, n, self._n_chan, "int8", x, valid, series, out_valid),
                           out_valid if out_valid is None else _rows(
                               "out_valid", out_valid, n, self._n_chan, "bool", x, valid, series))
            self._unfinished = True
            found = self._processed(x, valid, series, codes)
        self._unfinished = False
        return found

    def finish(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the rest of the stream, as `process` does; the next row is the first of another.

        Raises
        ------
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            self._unfinished = True
            found = self._finished()
        self._unfinished = False
        return found

    def _processed(self, x: np.ndarray, valid: np.ndarray | None, series: np.ndarray | None,
                   out: "_Codes") -> Any:
        if series is None:
            series = np.zeros(len(x), np.float32)
        if self._dtype.kind == "f" and not np.isfinite(x.sum(dtype=np.float64)):
            valid = np.isfinite(x) if valid is None else np.isfinite(x) & valid
        if valid is not None and valid.all():
            valid = None
        at = 0
        while at < len(x):
            n = min(len(x) - at, self._segment - self._now.n)
            here = slice(at, at + n)
            self._keep(x[here], None if valid is None else valid[here], series[here])
            at += n
            if self._now.n == self._segment:
                self._complete()
                if self._n_known > self._n_done + self._ahead:
                    self._normalize(out)
        return out.result()

    def _keep(self, x: np.ndarray, valid: np.ndarray | None, series: np.ndarray) -> None:
        """Add rows to the segment, and to its sums."""
        rows, there = self._now, slice(self._now.n, self._now.n + len(x))
        rows.series[there] = series
        good, kept_good = rows.valid_at(there, valid)
        self._crew.run([partial(measure_nb, x, series, good, valid is not None, rows.x[there],
                                kept_good, rows.sums, *part) for part in self._parts])
        if valid is None:
            rows.sums[0] += len(x)
        rows.n += len(x)

    def _complete(self) -> None:
        """Measure the segment; begin another."""
        self._known.append(self._now.statistics())
        self._waiting.append(self._now)
        self._now = self._empty()

    def _finished(self) -> Any:
        n = len(self._waiting) * self._segment + self._now.n
        out = _Codes(np.empty((n, self._n_chan), np.int8), None)
        if self._now.n:
            short = 2 * self._now.n < self._segment and self._n_known > 0
            self._complete()
            if short:
                self._known.pop()
        while self._waiting:
            self._normalize(out)
            self._free.clear()  # so that there is room for the codes
        self._free.append(self._now)
        self._reset()
        return out.result()

    def _normalize(self, out: "_Codes") -> None:
        """Normalise the first segment that waits."""
        rows, s, half, ahead = self._waiting.popleft(), self._n_done, self._half, self._ahead
        top = self._n_known - 1
        first, last, spread = self._locations([
            *(self._window(0, min(max(0, j - half), top), max(1, j + ahead))
              for j in (s, s + 1)),
            self._window(1, max(0, s - half), s + ahead + 1)])
        own = self._known[min(s, top) - self._n_before][0]
        alive = np.isfinite(own)
        step = np.where(alive, last - first, 0) / self._segment
        gain = np.where(alive, LEVELS / np.sqrt(spread), 0)
        level = np.where(alive, first + step / 2, 0)
        tables = [each.astype(np.float32) for each in (level, step * gain, gain)]
        out.add(rows, tables, alive, self._crew, self._threads)
        rows.clear()
        self._free.append(rows)
        self._n_done += 1
        while self._n_before < self._n_done - half:
            self._n_before += 1
            self._known.popleft()

    def _window(self, which: int, start: int, stop: int) -> np.ndarray:
        """Return the means (0) or variances (1) of some segments, (segment, chan)."""
        before = self._n_before
        return np.array([each[which] for each in islice(self._known, start - before,
                                                        stop - before)])

    def _locations(self, windows: list[np.ndarray]) -> np.ndarray:
        """Return what the numbers of each window are without outliers; NaN if unknown."""
        out = np.empty((len(windows), self._n_chan))

        def part(start: int, stop: int) -> None:
            for window, found in zip(windows, out, strict=True):
                location_nb(window, found, start, stop)

        self._crew.run([partial(part, *each) for each in self._parts])
        return out


class _Rows:
    """Rows of a segment, and their sums."""

    def __init__(self, n: int, n_chan: int, dtype: np.dtype) -> None:
        self.x = np.empty((n, n_chan), dtype)
        self.series = np.empty(n, np.float32)
        self.valid = np.empty((0, n_chan), bool)
        self.sums = np.empty((3, n_chan))
        self.clear()

    def clear(self) -> None:
        """Begin a segment."""
        self.n, self.has_valid = 0, False
        self.sums.fill(0)

    @property
    def memory_bytes(self) -> int:
        return self.x.nbytes + self.series.nbytes + self.valid.nbytes + self.sums.nbytes

    def valid_at(self, there: slice, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return what is valid of new rows, and where it is kept; anything if all are."""
        if valid is not None and not self.has_valid:
            if not len(self.valid):
                self.valid = np.empty(self.x.shape, bool)
            self.valid[: self.n] = True
            self.has_valid = True
        elif self.has_valid:
            self.valid[there] = True
        return (self.valid[:0],) * 2 if valid is None else (valid, self.valid[there])

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the valid samples of each channel; NaN for dead channels."""
        n, total, square = self.sums
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / n
            variance = (square - total * mean) / (n - 1)
        # Rounding leaves this much of the variance of a constant.
        dead = (n < max(2, self.n / 8)) | ~(variance > 1e-13 * mean * mean)
        return np.where(dead, np.nan, mean), np.where(dead, np.nan, variance)


class _Codes:
    """Normalised rows as they are computed."""

    def __init__(self, codes: np.ndarray, valid: np.ndarray | None) -> None:
        self._codes, self._given = codes, valid
        self._valid = np.empty((0, codes.shape[1]), bool)
        self._n = 0

    def add(self, rows: _Rows, tables: list[np.ndarray], alive: np.ndarray, crew: Crew,
            n_thread: int) -> None:
        """Normalise rows with the level, the slope and the gain of each channel."""
        here = slice(self._n, self._n + rows.n)
        has_valid = rows.has_valid or not alive.all()
        if has_valid and not len(self._valid):
            self._valid = (np.empty(self._codes.shape, bool) if self._given is None
                           else self._given)
            self._valid[: self._n] = True
        valid = rows.valid
        if has_valid and not rows.has_valid:
            valid = np.broadcast_to(True, rows.x.shape)
        cuts = [rows.n * i // n_thread for i in range(n_thread + 1)]
        crew.run([partial(scale_nb, rows.x, rows.series, valid, has_valid, *tables, alive,
                          self._codes[here], self._valid[here], *part)
                  for part in pairwise(cuts)])
        if not has_valid and len(self._valid):
            self._valid[here] = True
        self._n += rows.n

    def result(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self._codes, None if not len(self._valid) else self._valid


def halve(x: np.ndarray, valid: np.ndarray | None = None, *, out: np.ndarray | None = None,
          out_valid: np.ndarray | None = None, threads: int = 1
          ) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows of normalised codes at half the rate, with the same noise.

    Parameters
    ----------
    x : ndarray, shape (2 n, n_chan), int8
        Rows, as from `Normalizer`.
    valid : ndarray, shape (2 n, n_chan), bool, optional
        Which samples are valid; all by default.
    out : ndarray, shape (n, n_chan), int8, optional
        Receives the codes; must not overlap the inputs.
    out_valid : ndarray, shape (n, n_chan), bool, optional
        Receives whether each code is valid, if `valid` is given; must not overlap the inputs.
    threads : int
        Number of threads that share the work; the bits do not depend on it.

    Returns
    -------
    codes : ndarray, shape (n, n_chan), int8
        Sums of two rows divided by the square root of 2, rounded, and limited to +-127: `out`, or a
        new array. Where only one of the two samples is valid, the result is this sample, which has
        the same noise; where neither is, the result is 0.
    valid : ndarray, shape (n, n_chan), bool, or None
        Which codes have at least one valid term: `out_valid`, or a new array; None if `valid` is
        None.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.
    """
    _check.array("x", x, ("int8",), 2)
    if len(x) % 2:
        raise ValueError(f"x: found {len(x)} rows, allowed an even number")
    if valid is not None:
        _check.array("valid", valid, ("bool",), 2)
        _check.shape("valid", valid, x.shape)
    shape = len(x) // 2, x.shape[1]
    out = _check.output("out", out, shape, "int8", x, valid, out_valid)
    both = np.empty((0, x.shape[1]), bool)
    if valid is not None or out_valid is not None:
        both = _check.output("out_valid", out_valid, shape, "bool", x, valid)
    threads = _check.count("threads", threads, maximum=64)
    cuts = [len(out) * i // threads for i in range(threads + 1)]
    _crew(threads).run([partial(halve_nb, x, both if valid is None else valid, valid is not None,
                                out, both, *part) for part in pairwise(cuts)])
    return out, None if valid is None else both


@lru_cache
def _crew(n_thread: int) -> Crew:
    """Return the threads that calls of `halve` with this number share."""
    return Crew(n_thread)


def _rows(name: str, out: np.ndarray | None, n: int, n_chan: int, dtype: str, *others: Any
          ) -> np.ndarray:
    """Return the first `n` rows of an output after checking it, or new ones if it is None."""
    if out is None:
        return np.empty((n, n_chan), dtype)
    _check.plain(name, out)
    if out.ndim == 2 and len(out) < n:
        raise ValueError(f"{name}: found {len(out)} rows, allowed {n} or more")
    _check.target(name, out, (*out.shape[:1], n_chan), dtype, *others)
    return out[:n]
