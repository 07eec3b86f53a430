"""Fast dispersion measure transform: sums over the channels of spectra for many delays at once.

References
----------
B. Zackay and E. O. Ofek, An accurate and efficient algorithm for detection of radio bursts with an
unknown dispersion measure, for single-dish telescopes and interferometers, ApJ 835 (2017) 11.
"""

from functools import partial
from typing import Any

import numpy as np

from . import _check
from ._fdmt_program import Program
from ._fdmt_steps import Scratch
from ._order import STREAMED_BYTES, address, on_lines
from ._plan import Plan
from ._team import Crew

__all__ = ["FDMT"]

_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")
_ORDERS = ("time", "channel")
_MOST_THREADS = 64
_MOST_DELAY = 2**31  # samples
#: Samples of a single channel that are copied at once.
_RUN = 2048
_GRIDS = {"sample": 1, "half": 2, "exact": 0}


class FDMT(Plan):
    """Plan that sums the channels of a stream of spectra for many delays, by a tree.

    ``out[d, t] = sum_c x[t - n(d, c), c]``, where the integer n(d, c) approximates the delay
    ``delays[d] (curve[last] - curve[c])`` between the arrival in channel c and that in the channel
    where the signal arrives last. A signal that arrives at time t0 at the frequency where `curve`
    is 0 is therefore in row d at ``t0 + plan.delays[d]``.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64, dimensionless
        Delay of each channel in a row whose delay is 1, in ascending or descending order. For
        dispersion, ``(f^-2 - f_ref^-2) / (f_low^-2 - f_high^-2)``.
    delays : ndarray, shape (n_delay,), float64, samples
        Delays for which channels are summed: 0 or more, in ascending order. They need not be
        equally spaced; fewer delays take less time.
    dtype : {"uint8", "int8", "uint16", "int16", "float32"}
        Type of the spectra.
    order : {"time", "channel"}
        Whether the first axis of the spectra is time or frequency; the other one must be
        contiguous.
    mask : ndarray, shape (n_chan,), bool, optional
        Channels to leave out. They take no time.
    track : {"sample", "half", "exact"}
        With "sample", delays within the tree are rounded to whole samples. With "half", they are
        rounded to half samples, so that tracks are closer to the exact delays, and the transform
        takes up to twice as long. With "exact", each channel is summed at the sample nearest to its
        exact delay: the best choice for a few delays, but many times slower for thousands.
    threads : int
        Number of threads that share the work of a call; the bits do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed, or all channels are left out.

    Notes
    -----
    *Tracks.* Each level of the tree rounds delays; roundings are chosen to minimise the deviation
    of the whole track. For 4096 channels from 1000 to 1500 MHz and 2048 delays, a track is at most
    1.7 samples away from the exact delay, with an rms of 0.44, apart from a constant for each row
    (half samples: 1.5 and 0.39). `channel_delays` returns the tracks, and `jitter` the rms
    deviation of each. The track of a delay does not depend on the other delays.

    *Numbers.* Sums of 8-bit samples are exact up to 2^24. Others are sums of float32 in the order
    of the tree. NaN spreads to the sums that include it. The bits do not depend on how a stream is
    split into calls.

    *Weights.* Samples before the stream, and those that are not valid, count as 0. `weight` is the
    number of valid samples in each sum of the last call. Where samples are not valid, or the stream
    has just begun, computing it takes as long as the sums; otherwise it takes no time.

    *Memory.* A plan occupies `memory_bytes` in total. Most of this holds earlier samples, either of
    the channels (in bytes if samples have 8 bits) or of about as many rows of sums as there are
    delays, whichever takes less. The weights need about as much again. The GIL is released. Only
    one thread may use a plan at a time. Plans can be pickled and copied; copies have an empty
    state.
    """

    def __init__(
        self,
        curve: np.ndarray,
        delays: np.ndarray,
        *,
        dtype: str = "uint8",
        order: str = "time",
        mask: np.ndarray | None = None,
        track: str = "sample",
        threads: int = 1,
    ) -> None:
        _check.array("curve", curve, ("float64",), 1)
        _check.array("delays", delays, ("float64",), 1)
        self._curve, self._rows = curve.copy(), delays.copy()
        self._check_axes()
        self._dtype = np.dtype(_check.choice("dtype", dtype, _DTYPES))
        self._by_time = _check.choice("order", order, _ORDERS) == "time"
        self._grid = _GRIDS[_check.choice("track", track, _GRIDS)]
        self._threads = _check.count("threads", threads, maximum=_MOST_THREADS)
        self._left_out = np.zeros(len(curve), bool)
        if mask is not None:
            _check.array("mask", mask, ("bool",), 1)
            _check.shape("mask", mask, curve.shape)
            self._left_out = mask.copy()
            if mask.all():
                raise ValueError("mask: found all channels left out, allowed fewer")
        #: Channels of the tree, from the first to arrive to the last.
        wanted = np.flatnonzero(~self._left_out)
        self._channels = wanted if curve[0] <= curve[-1] else wanted[::-1].copy()
        self._plan()
        self._own_state()

    def _check_axes(self) -> None:
        for name, values in (("curve", self._curve), ("delays", self._rows)):
            if not values.size or not np.isfinite(values).all():
                raise ValueError(f"{name}: found no numbers, or some that are not finite; allowed "
                                 "one or more finite numbers")
        steps = np.diff(self._curve)
        if not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError("curve: found neighbours in no order, allowed a strictly ascending or "
                             "descending one")
        if (np.diff(self._rows) <= 0).any() or self._rows[0] < 0:
            raise ValueError("delays: found values below 0 or in no order, allowed ascending ones "
                             "of 0 or more")
        # Products of numbers of Python, which may be inf.
        longest = float(self._rows[-1]) * max(abs(each) for each in self._curve.tolist())
        if longest > _MOST_DELAY:
            raise ValueError(f"delays: found {longest:g} samples in the channel with the longest "
                             f"delay, allowed up to {_MOST_DELAY}")

    def _plan(self) -> None:
        from ._fdmt_rounding import tree
        from ._fdmt_tree import exact_tree

        curve = self._curve[self._channels]
        self._root, self._jitter = (tree(curve, self._rows, self._grid) if self._grid
                                    else exact_tree(curve, self._rows))
        self._reach = self._root.reach()

    def _own_state(self) -> None:
        self._scratch = Scratch()
        #: Addresses of memory that another plan counts.
        self._elsewhere: frozenset[int] = frozenset()
        #: The transforms of samples and of their weights, made when they are needed.
        self._sums: _Transform | None = None
        self._counts: _Transform | None = None
        self._reset()

    def _transform(self) -> "_Transform":
        """Return the transform of samples."""
        if self._sums is None:
            is_byte = self._dtype.itemsize == 1
            self._sums = _Transform(self, self._dtype.name, 2 if is_byte else 4, 4,
                                    128 if self._dtype == np.uint8 else 0)
        return self._sums

    def _counting(self) -> "_Transform":
        """Return the transform of weights."""
        if self._counts is None:
            above_item = 2 if len(self._channels) < 2**15 else 4
            self._counts = _Transform(self, "int8", 2, above_item, 0)
        return self._counts

    def prepare(self, other: "FDMT | None" = None) -> None:
        """Begin a stream, with all memory that the sums and their weights will need.

        Without this call, `process` allocates the memory when it needs it.

        Parameters
        ----------
        other : FDMT, optional
            Plan whose work space this plan also uses; the work space is counted in the memory of
            `other`. Calls of the two plans must not be in progress at the same time. The plan with
            more rows should be prepared first.
        """
        with self._alone(renewing=True):
            self._unfinished = True
            self._sums = self._counts = None
            self._reset()
            if other is not None:
                self._scratch, self._elsewhere = other._scratch, frozenset(other._sizes())
            self._transform()
            self._counting()
        self._unfinished = False

    def reset(self) -> None:
        """Discard the state; the next sample is the first of a stream."""
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset()
        self._unfinished = False

    def _reset(self) -> None:
        if self._sums is not None:
            self._sums.fill(0)
        #: Samples since the last one that was not valid, as far as rows reach back.
        self._n_valid = 0
        if self._counts is not None:
            self._counts.fill(0)
        self._weight = np.empty((self.n_delay, 0), np.float32)
        self._blank = np.empty((0, 0), self._dtype)

    @property
    def n_chan(self) -> int:
        """Number of channels of the spectra."""
        return len(self._curve)

    @property
    def n_delay(self) -> int:
        """Number of rows."""
        return len(self._rows)

    @property
    def delays(self) -> np.ndarray:
        """Delay of each row, in samples, after the time where `curve` is 0: (n_delay,) float64."""
        return self._rows * self._curve[self._channels[-1]]

    @property
    def history(self) -> int:
        """Largest number of samples by which the sums of a column reach back."""
        return self._reach

    @property
    def jitter(self) -> np.ndarray:
        """Rms deviation of tracks from the exact delays, apart from a constant, in samples.

        The shape is (n_delay,), float64.
        """
        return self._jitter

    @property
    def n_addition(self) -> int:
        """Number of additions of two values for each spectrum."""
        return self._root.n_addition()

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes, with those of any weights."""
        return sum(size for place, size in self._sizes().items() if place not in self._elsewhere)

    def _sizes(self) -> dict[int, int]:
        """Return the size of each piece of memory, in bytes, by its address."""
        counts = self._counts.sizes() if self._counts else {}
        return {**self._transform().sizes(), **counts}

    @property
    def weight(self) -> np.ndarray:
        """Number of valid samples in each sum of the last call: (n_delay, n_time) float32."""
        return self._weight

    @property
    def n_valid(self) -> int:
        """Number of samples since the last one that was not valid, or since the stream began.

        Samples are no longer counted once there are `history` or more before a call.
        """
        return self._n_valid

    def channel_delays(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return by how many samples each channel is summed earlier than the last one.

        Parameters
        ----------
        rows : ndarray, shape (n,), int64, optional
            Rows; all by default.

        Returns
        -------
        ndarray, shape (n, n_chan), int64, samples
            -1 for channels that are left out.
        """
        from ._fdmt_tree import channel_delays

        if rows is not None:
            _check.array("rows", rows, ("int64",), 1)
            if rows.size and (rows.min() < 0 or rows.max() >= self.n_delay):
                raise ValueError(f"rows: found rows outside 0 to {self.n_delay - 1}")
        found = channel_delays(self._root, rows)
        out = np.full((len(found), self.n_chan), -1, np.int64)
        out[:, self._channels] = found
        return out

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        shape = (1, self.n_chan) if self._by_time else (self.n_chan, 1)
        twin = self.copy()
        twin.process(np.zeros(shape, self._dtype))

    def process(self, x: np.ndarray, *, valid: np.ndarray | None = None,
                out: np.ndarray | None = None, out_weight: np.ndarray | None = None
                ) -> np.ndarray:
        """Sum the next spectra of the stream.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan) or (n_chan, n_time), any unit
            Spectra, in the plan's order and dtype; copied if the last axis is not contiguous.
        valid : ndarray of bool, shape of x, optional
            Which samples are valid; all by default.
        out : ndarray, shape (n_delay, n_time), float32, optional
            Receives the sums; contiguous along the last axis. It must not overlap x.
        out_weight : ndarray, as `out`, optional
            Receives `weight` if some samples are not valid; must not overlap x or `out`.

        Returns
        -------
        ndarray, shape (n_delay, n_time), float32, unit of x
            `out`, or a new array.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape; the state is then unchanged.
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            out = self._checked(x, valid, out, out_weight)
        self._unfinished = False
        return out

    def _checked(self, x: np.ndarray, valid: Any, out: np.ndarray | None,
                 out_weight: np.ndarray | None) -> np.ndarray:
        _check.array("x", x, (self._dtype,), 2)
        n = x.shape[0 if self._by_time else 1]
        _check.shape("x", x, (n, self.n_chan) if self._by_time else (self.n_chan, n))
        if valid is not None:
            _check.array("valid", valid, ("bool",), 2)
            _check.shape("valid", valid, x.shape)
        shape = self.n_delay, n
        if out is None:
            out = on_lines(shape, np.dtype(np.float32))
        else:
            _check.target("out", out, shape, "float32", x, valid)
        if out_weight is not None:
            _check.target("out_weight", out_weight, shape, "float32", x, valid, out)
        for name, each in (("out", out), ("out_weight", out_weight)):
            if each is not None and n and each.strides[1] != each.itemsize:
                raise ValueError(f"{name}: found strides along the last axis, allowed a contiguous "
                                 "one")
        if valid is not None and valid.all():
            valid = None
        self._unfinished = True
        counts = self._begin_weights(valid, n, out_weight)
        # Block by block, so that valid samples are still in a cache when they are counted, and
        # so that samples in another order are copied in pieces.
        whole = valid is None and counts is None and _is_ready(x)
        sums = self._transform()
        step = n if whole else sums.block
        for start in range(0, n, max(1, step)):
            there = slice(start, start + step)
            piece = (there, slice(None)) if self._by_time else (slice(None), there)
            some, use = x[piece], None if valid is None else valid[piece]
            sums.run(_rows(some if use is None else self._blanked(some, use)),
                     out[:, there], large=out.nbytes >= STREAMED_BYTES)
            if counts is not None:
                use = np.ones(some.shape, bool) if use is None else use
                counts.run(_rows(use).view(np.int8), self._weight[:, there],
                           large=out.nbytes >= STREAMED_BYTES)
        return out

    def _blanked(self, x: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Return spectra of a block with 0 where they are not valid, until the next call."""
        if self._blank.shape != x.shape:
            self._blank = np.empty(x.shape, self._dtype)
        if self._dtype.kind == "f":  # of which a product with 0 may be NaN
            self._blank[:] = 0
            np.copyto(self._blank, x, where=valid)
        else:
            np.multiply(x, valid.view(np.uint8), out=self._blank, casting="unsafe")
        return self._blank

    def _begin_weights(self, valid: np.ndarray | None, n: int, out: np.ndarray | None
                       ) -> "_Transform | None":
        """Make room for the weights of `n` samples; return what counts them, None if all are 1."""
        if valid is None and self._n_valid >= self.history:
            whole = np.float32(len(self._channels))
            self._weight = np.broadcast_to(whole, (self.n_delay, n))
            return None
        counts = self._counting()
        if self._n_valid >= self.history:
            counts.fill(1)
        self._n_valid = self._n_valid + n if valid is None else self._valid_at_end(valid)
        self._weight = on_lines((self.n_delay, n), np.dtype(np.float32)) if out is None else out
        return counts

    def _valid_at_end(self, valid: np.ndarray) -> int:
        """Return how many samples at the end are valid in all channels of the tree."""
        if self._left_out.any():
            valid = valid | (self._left_out if self._by_time else self._left_out[:, np.newaxis])
        each = np.atleast_1d(valid.all(axis=1 if self._by_time else 0))
        lost = np.flatnonzero(~each)
        return len(each) - 1 - int(lost[-1]) if lost.size else self._n_valid + len(each)


class _Transform:
    """One tree at work: on samples, or on whether they are valid."""

    def __init__(self, plan: FDMT, kind: str, item: int, above_item: int, offset: int
                 ) -> None:
        from ._simd import Spec

        self._n_chan, self._by_time = plan.n_chan, plan._by_time
        self._only = int(plan._channels[0])
        #: None for a single channel, whose rows are identical.
        self._program: Program | None = None
        if plan._root.terms:
            self._program = Program(plan._root, plan._channels, plan.n_chan, item, above_item,
                                    offset, plan._threads, plan._scratch)
        self._crew = Crew(plan._threads)
        read_item = self._program.read_item if self._program else item
        # Of the samples, and of the sums, whose loops are the same for several kinds of samples.
        self._specs = (Spec(kind=kind, item=read_item),
                       Spec(item=item, above_item=above_item, lanes=16))
        self._window = 0
        if offset:  # new memory contains zeros, and need not be resident before it is used
            self.fill(0)

    def sizes(self) -> dict[int, int]:
        return self._program.sizes() if self._program else {}

    @property
    def block(self) -> int:
        """Number of samples of a call of `run`, at most."""
        return self._program.block if self._program else _RUN

    def fill(self, value: int) -> None:
        """Set all samples of the past to a value."""
        self._window = 0
        for store in self._program.stores if self._program else ():
            store.fill(value)

    def run(self, x: np.ndarray, out: np.ndarray, *, large: bool) -> None:
        """Transform samples; a `large` output bypasses the cache."""
        from ._fdmt_loops import run_nb
        from ._meeting import Meeting

        program, n = self._program, out.shape[1]
        if program is None:
            out[:] = x[:, self._only] if self._by_time else x[self._only]
            return
        time_step, chan_step = x.strides if self._by_time else x.strides[::-1]
        meeting, windows = Meeting(), [0] * len(program.threads)

        def part(i: int) -> None:
            windows[i] = run_nb(
                *self._specs, address(x), time_step, chan_step, self._n_chan, n, program.block,
                self._window, program.window, program.by_channel, *program.threads[i],
                address(out), out.strides[0], large, meeting.place, len(windows))

        self._crew.run([partial(part, i) for i in range(len(windows))], meeting.stop)
        self._window = windows[0]


def _rows(x: np.ndarray) -> np.ndarray:
    """Return an array whose last axis is contiguous."""
    return x if _is_ready(x) else np.ascontiguousarray(x)


def _is_ready(x: np.ndarray) -> bool:
    return x.strides[1] == x.itemsize and x.flags.aligned
