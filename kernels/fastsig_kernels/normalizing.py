"""Normalisation of spectra for searches: a level of 0 and the same noise in every channel."""

from typing import Any

import numpy as np

from . import _check
from ._plan import Plan

__all__ = ["LEVELS", "Normalizer"]

#: Standard deviation of normalised noise, in units of the codes.
LEVELS = 16
_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")


class Normalizer(Plan):
    """Plan that subtracts the running level of each channel and divides by its noise.

    The stream is divided into segments, counted from its first row. Means and variances of a
    channel are measured in each segment. Its level at the boundary of two segments is the median of
    the means of `half` segments on each side; between boundaries, it is interpolated. Its noise in
    a segment is the root of the median of the variances of `half` segments on each side and the
    segment itself. So a pulse or a burst of interference, however bright, that is shorter than
    about half of ``2 half segment`` rows hardly changes the level; a faint one loses about its
    share of these rows.

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
    threads : int
        Number of threads that share the work of a call, with the same bits.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Results.* Codes are int8 with a standard deviation of 16, rounded to the nearest code, halves
    to even ones, and limited to +-127, which is 7.9 times the noise. Samples that are not valid are
    0. A channel that is constant, or has less than an eighth of its samples, in a segment is not
    valid there. NaN and Inf are not valid.

    *Delay.* A segment is returned when `half` segments after it are complete; `finish` returns
    the others. A last segment with less than half of its rows has the statistics of the segment
    before it. The bits do not depend on how a stream is split into calls.
    """

    def __init__(self, n_chan: int, *, dtype: str = "uint8", segment: int = 4096, half: int = 8,
                 threads: int = 1) -> None:
        self._n_chan = _check.count("n_chan", n_chan, maximum=2**24)
        if dtype not in _DTYPES:
            raise ValueError(f"dtype: found {dtype!r}, allowed {', '.join(_DTYPES)}")
        self._dtype = np.dtype(dtype)
        self._segment = _check.count("segment", segment, 256, 2**20)
        if self._segment % 256:
            raise ValueError(f"segment: found {segment}, allowed multiples of 256")
        self._half = _check.count("half", half, maximum=2**10)
        self._threads = _check.count("threads", threads, maximum=64)
        self._own_state()

    def _own_state(self) -> None:
        self._reset()

    def _reset(self) -> None:
        #: Rows of segments that are not finished, in pieces, and which are valid.
        self._pieces: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_piece = 0
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._means: list[np.ndarray] = []
        self._variances: list[np.ndarray] = []
        self._n_before = 0  # segments of which statistics are no longer kept
        self._n_done = 0

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
        return self._half * self._segment

    @property
    def memory_bytes(self) -> int:
        """Size of work space and state, in bytes."""
        rows = [a for pair in (*self._pieces, *self._waiting) for a in pair]
        return sum(a.nbytes for a in (*rows, *self._means, *self._variances))

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

    def process(self, x: np.ndarray, *, valid: np.ndarray | None = None
                ) -> tuple[np.ndarray, np.ndarray | None]:
        """Normalise the next rows of the stream.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan), any unit
            Rows, in the plan's dtype.
        valid : ndarray, shape (n_time, n_chan), bool, optional
            Which samples are valid; all by default.

        Returns
        -------
        codes : ndarray, shape (n, n_chan), int8, noise / 16
            Rows of the segments that are now known, none or more, in the order of the stream.
        valid : ndarray, shape (n, n_chan), bool, or None
            Which of them are valid; None if all are.

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
            self._unfinished = True
            found = self._processed(x, valid)
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

    def _processed(self, x: np.ndarray, valid: np.ndarray | None) -> Any:
        good = np.isfinite(x) if valid is None else np.isfinite(x) & valid
        at, out = 0, []
        while at < len(x):
            n = min(len(x) - at, self._segment - self._n_piece)
            self._pieces.append((x[at : at + n].copy(), good[at : at + n].copy()))
            self._n_piece, at = self._n_piece + n, at + n
            if self._n_piece == self._segment:
                self._complete()
            while self._waiting and self._n_known > self._n_done + self._half:
                out.append(self._normalized(self._n_known))
        return self._joined(out)

    @property
    def _n_known(self) -> int:
        return self._n_before + len(self._means)

    def _complete(self) -> None:
        rows = tuple(np.concatenate(each) for each in zip(*self._pieces, strict=True))
        self._waiting.append(rows)  # type: ignore[arg-type]
        self._pieces, self._n_piece = [], 0
        mean, variance = _statistics(*rows)
        self._means.append(mean)
        self._variances.append(variance)

    def _finished(self) -> Any:
        if self._n_piece:
            short = 2 * self._n_piece < self._segment and self._n_known > 0
            self._complete()
            if short:
                self._means.pop()
                self._variances.pop()
        out = []
        while self._waiting:
            out.append(self._normalized(self._n_known))
        self._reset()
        return self._joined(out)

    def _normalized(self, n_known: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the next segment normalised, of a stream of which this many are known."""
        s, half = self._n_done, self._half
        x, good = self._waiting.pop(0)
        self._n_done += 1
        first = [median(self._means, self._n_before, max(0, j - half), max(1, j + half))
                 for j in (s, s + 1)]
        spread = median(self._variances, self._n_before, max(0, s - half), s + half + 1)
        own = self._means[min(s, n_known - 1) - self._n_before]
        alive = np.isfinite(own) & np.isfinite(first[0]) & np.isfinite(first[1])
        with np.errstate(invalid="ignore"):
            gain = np.where(alive, LEVELS / np.sqrt(spread), 0)
        start, stop = (np.where(alive, each, 0) for each in first)
        at = ((np.arange(len(x)) + 0.5) / self._segment)[:, np.newaxis]
        with np.errstate(invalid="ignore"):
            y = (x - start - (stop - start) * at) * gain
        good &= alive
        codes = np.clip(np.rint(np.where(good, y, 0)), -127, 127).astype(np.int8)
        while self._n_before < self._n_done - half - 1:
            self._n_before += 1
            del self._means[0], self._variances[0]
        return codes, good

    def _joined(self, out: list[tuple[np.ndarray, np.ndarray]]) -> Any:
        if not out:
            return np.empty((0, self._n_chan), np.int8), None
        codes, good = (np.concatenate(each) for each in zip(*out, strict=True))
        return codes, None if good.all() else good


def _statistics(x: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the valid samples of each channel; NaN for dead channels."""
    n = good.sum(axis=0)
    values = np.where(good, x, 0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values.sum(axis=0) / n
        variance = (np.where(good, values - mean, 0) ** 2).sum(axis=0) / (n - 1)
    dead = (n < np.maximum(2, len(x) / 8)) | ~(variance > 0)
    return np.where(dead, np.nan, mean), np.where(dead, np.nan, variance)


def median(rows: list[np.ndarray], before: int, start: int, stop: int) -> np.ndarray:
    """Return the medians over rows of numbers; NaN where there are none."""
    window = np.sort(np.array(rows[max(0, start - before) : stop - before]), axis=0)  # NaN last
    n = np.isfinite(window).sum(axis=0)
    columns = np.arange(window.shape[1])
    low, high = np.maximum(n - 1, 0) // 2, n // 2
    high = np.minimum(high, len(window) - 1)
    return np.where(n > 0, (window[low, columns] + window[high, columns]) / 2, np.nan)
