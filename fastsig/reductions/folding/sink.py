"""Fold: a sink that folds spectra with predictors into the profiles of subintegrations."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DoubtWarning, PlanError, UsageError, users_line
from fastsig.io.files.provenance import provenance
from fastsig.pulsar.predictors import Predictor, check_sampling
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.folding.archives import archive_of
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.reductions.folding.places import check_place
from fastsig.reductions.folding.subintegrations import MOST_JUMP, edges_of_times, edges_of_turns
from fastsig.stages.delay_sums import kind_of
from fastsig.stages.piece import finished
from fastsig.stream import Block, Sink, SpectrumStream, Stream

__all__ = ["Fold", "usual_bins"]

F8 = NDArray[np.float64]

_SEGMENT = 2**23  # least number of values in a segment
# A segment has at least 4 rows per bin, and 16 if it then has at most `_MOST_SEGMENT` values: its
# profiles then take little time and memory compared with its rows.
_ROWS_PER_BIN, _MOST_PER_BIN, _MOST_SEGMENT = 4, 16, 2**24
# Largest number of channels that are folded at a time, and of values of their profiles.
_BAND, _BAND_VALUES = 2048, 2**21
_MOST_BINS = 2**15
_USUAL_BINS = 256
_USUAL_CHANNELS = 128


class _Part(NamedTuple):
    """Sums and weights of the rows of one subintegration in a block, (ephemeris, bin, ...).

    The axes of weights for products and channels may have length 1.
    """

    number: int
    sums: F8
    weights: F8


class Fold(Sink):
    """A sink that folds spectra; its product is a list of `Profiles`, one for each predictor.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra with a known end, or a piece of a stream that may end early; the last subintegration
        then ends where the piece ends.
    predictors : sequence of Predictor
        Predictors of the phase.
    n_bin : int, optional
        Number of bins in a turn; by default, the largest power of two that is at most 256 and does
        not exceed the number of samples in a turn.
    n_chan : int, optional
        Number of channels of the profiles, a divisor of the number of channels of the stream; by
        default, the largest divisor that does not exceed 128.
    subint : Quantity or str, optional
        Duration of a subintegration; None makes a single subintegration.
    single : bool
        Whether each complete turn is a subintegration.
    dm, constant : optional
        Dispersion measure, instead of those of the predictors, and dispersion constant.
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.

    Raises
    ------
    PlanError
        If the stream does not contain spectra with a known band, or `single` is not possible.
    UsageError
        If an argument is not allowed, a period is shorter than two samples, or a predictor does not
        cover the stream.
    """

    name = "fold"
    takes_endless = True
    stream: SpectrumStream

    def __init__(self, stream: Stream, predictors: Sequence[Predictor], *,
                 n_bin: int | None = None, n_chan: int | None = None, subint: Any = "10s",
                 single: bool = False, dm: Any = None, constant: Any = None,
                 hash_inputs: bool = False) -> None:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
        if not stream.most_rows:
            raise PlanError(f"{stream.path}: " + (
                "the end of the data is not known; allowed: recordings, and pieces of a given "
                "length" if stream.shape[0] else "contains no spectra"))
        if stream.endless and single:
            raise PlanError(f"{stream.path}: single turns need data with a known end")
        super().__init__(stream)
        if not predictors:
            raise UsageError("no predictor is given; allowed: one or more predictors")
        for each in predictors:
            check_place(stream, each)
            _check_span(stream, each)
        self.phases = [ChannelPhases(stream, each, dm, constant) for each in predictors]
        if not single:  # for single turns, jumps are refused
            for phases in self.phases:
                _warn_of_jump(stream, phases)
        self.n_bin = _bins(n_bin, stream, self.phases)
        self.n_chan = _channels(n_chan, stream.shape[2])
        self.edges = self._edges(subint, single)
        self.segment = _segment(int(np.prod(stream.shape[1:])), self.n_bin)
        self._shifted = any(each.shifted for each in self.phases)
        self._stretch = min(each.stretch(stream.shape[0]) for each in self.phases)
        self._hash_inputs = hash_inputs
        #: Type in which values are folded: codes of 8 bits take a quarter of the time of floats.
        self._kind = kind_of(stream)
        self._free: list[Any] = []
        self._current: _Part | None = None
        self._weights: list[F8] = []

    def _edges(self, subint: Any, single: bool) -> NDArray[np.int64]:
        if not single:
            return np.array([0, self.stream.shape[0]]) if subint is None else edges_of_times(
                self.stream, subint)
        if len(self.phases) > 1:
            raise UsageError(f"single turns of {len(self.phases)} predictors; allowed: of one")
        return edges_of_turns(self.stream, self.phases[0])

    def archive_bytes(self, n_bits: int = 16) -> int:
        """Return the size of the archive of one predictor with numbers of some bits, bytes."""
        return (len(self.edges) - 1) * int(np.prod(self._shape[1:])) * n_bits // 8

    @property
    def _shape(self) -> tuple[int, ...]:
        """(ephemeris, bin, product, channel) of the profiles."""
        return len(self.phases), self.n_bin, self.stream.shape[1], self.n_chan

    @property
    def _band(self) -> int:
        """Channels that are folded at a time: whole channels of the profiles."""
        each = self.stream.shape[2] // self.n_chan
        most = min(_BAND, _BAND_VALUES // int(np.prod(self._shape[:3])))
        fit = max(1, most // each)
        return each * max(k for k in range(1, min(fit, self.n_chan) + 1) if self.n_chan % k == 0)

    def work_bytes(self, n: int) -> int:
        """Memory needed for the profiles of a band of channels, and for the kernel's work space."""
        size = int(np.prod(self._shape[:3])) * self._band
        return 32 * size + 2**22 + 16 * n * len(self.phases)

    def part_bytes(self, n: int) -> int:
        """Memory needed for the profiles of all subintegrations in `n` rows."""
        shortest = int(np.diff(self.edges).min())
        return (8 * int(np.prod(self._shape)) + 8 * self._n_weight) * (2 + n // max(1, shortest))

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory needed for all profiles."""
        n_subint = len(self.edges) - 1
        return (4 * n_subint + 8) * int(np.prod(self._shape)) + 8 * n_subint * self._n_weight

    @property
    def _n_weight(self) -> int:
        """Largest number of weights of a subintegration; channels with equal weights share them."""
        own = self._shifted or self.stream.weight_channels > 1
        return int(np.prod(self._shape[:3])) * (self.n_chan if own else 1)

    def partial(self, block: Block) -> list[_Part]:
        """Fold a block, separately for each subintegration."""
        stop = block.start + block.n
        first = max(0, int(np.searchsorted(self.edges, block.start, "right")) - 1)
        last = int(np.searchsorted(self.edges, stop, "left"))
        parts = []
        for number in range(first, min(last, len(self.edges) - 1)):
            low, high = max(self.edges[number], block.start), min(self.edges[number + 1], stop)
            if low < high:
                parts.append(_Part(number, *self._in_stretches(block, int(low), int(high))))
        return parts

    @cached_property
    def _means(self) -> NDArray[np.float32]:
        """The profiles of all subintegrations, (ephemeris, subint, product, channel, bin)."""
        n_ephemeris, n_bin, n_product, n_chan = self._shape
        return np.empty((n_ephemeris, len(self.edges) - 1, n_product, n_chan, n_bin), np.float32)

    def _in_stretches(self, block: Block, first: int, stop: int) -> tuple[F8, F8]:
        """Return the sums and weights of some rows, by stretches in which the offsets hold."""
        sums, weights = self._folded(block, first, min(stop, first + self._stretch))
        for start in range(first + self._stretch, stop, self._stretch):
            more, of_more = self._folded(block, start, min(stop, start + self._stretch))
            sums += more
            weights += of_more
        return sums, weights

    def _folded(self, block: Block, first: int, stop: int) -> tuple[F8, F8]:
        """Return the sums and weights of some rows of a block."""
        made = [each.pieces(first, stop - first) for each in self.phases]
        phase, piece = np.stack([pieces for pieces, _ in made]), made[0][1]
        offset = None if not self._shifted else np.stack(
            [each.offset((first + stop - 1) / 2) for each in self.phases])
        rows = slice(first - block.start, stop - block.start)
        weight = None if (block.valid == 1).all() else np.broadcast_to(
            block.valid, (block.n, *block.valid.shape[1:]))[rows]
        return self._by_bands(block.data[rows], phase, piece, offset, weight)

    def _by_bands(self, x: NDArray[np.float32], phase: Any, piece: int, offset: Any, weight: Any
                  ) -> tuple[F8, F8]:
        sums, weights = np.empty(self._shape), []
        band, each = self._band, self.stream.shape[2] // self.n_chan
        plan, out = self._plan()
        own = offset is not None or (weight is not None and weight.shape[2] > 1)
        for start in range(0, self.stream.shape[2], band):
            some = slice(start, start + band)
            given = weight if weight is None or weight.shape[2] == 1 else weight[:, :, some]
            _, total = plan.process(self._as_folded(x[:, :, some]), phase, piece, weight=given,
                                    offset=None if offset is None else offset[:, some].copy(),
                                    out=out)
            place = slice(start // each, (start + band) // each)
            sums[..., place] = _grouped(out, each)
            weights.append(_grouped(total, each) if own else total * each)
        self._free.append((plan, out))
        return sums, np.concatenate(weights, axis=3) if own else weights[0]

    def _as_folded(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """Return values in the type in which they are folded; lost ones have the weight 0."""
        if self._kind == "float32":
            return x
        with np.errstate(invalid="ignore"):  # NaN where values are lost
            return x.astype(self._kind)

    def _plan(self) -> tuple[Any, F8]:
        """Return a plan that no other thread uses, and memory for its sums."""
        from fastsig_kernels import Folder

        try:
            found: tuple[Any, F8] = self._free.pop()
        except IndexError:
            n_ephemeris, n_bin, n_product, _ = self._shape
            found = (Folder(n_bin, self._band, n_product=n_product, n_ephemeris=n_ephemeris,
                            dtype=self._kind), np.empty((*self._shape[:3], self._band)))
        return found

    def merge(self, part: list[_Part]) -> None:
        """Add the profiles of the next rows."""
        for each in part:
            if self._current is not None and self._current.number == each.number:
                sums = np.add(self._current.sums, each.sums, out=self._current.sums)
                weights = self._current.weights + each.weights
                self._current = _Part(each.number, sums, weights)
            else:
                self._end()
                self._current = each

    def _end(self) -> None:
        """Keep the means of the subintegration that is complete."""
        if self._current is None:
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(self._current.weights > 0, self._current.sums / self._current.weights,
                            np.nan)
        # (ephemeris, bin, product, channel) -> (ephemeris, product, channel, bin)
        self._means[:, self._current.number] = np.moveaxis(mean, 1, 3)
        self._weights.append(_shortest(np.moveaxis(self._current.weights, 1, 3)))
        self._current = None

    def finish(self, n_rows: int) -> list[Profiles]:
        """Return the profiles of each predictor."""
        self._end()
        stream = finished(self.stream, n_rows)
        if not self._weights:
            raise PlanError(f"{stream.path}: contains no spectra")
        if n_rows < self.edges[-1] and stream is not self.stream:  # it ended early
            self.edges = np.append(self.edges[self.edges < n_rows], n_rows)
        data, weights = self._means[:, : len(self.edges) - 1], _stacked(self._weights)
        origin = provenance(stream, hash_inputs=self._hash_inputs)
        return [archive_of(stream, phases, self.edges, data[k], weights[k],
                           {**origin, "fold": self._record(phases)})
                for k, phases in enumerate(self.phases)]

    def record(self) -> Mapping[str, Any]:
        """Return the parameters that determine the profiles of each predictor."""
        return {"folds": [self._record(each) for each in self.phases]}

    def _record(self, phases: ChannelPhases) -> dict[str, Any]:
        return {"n_bin": self.n_bin, "n_chan": self.n_chan, "n_subint": len(self.edges) - 1,
                "dm": phases.dm, "predictor": dict(phases.predictor.parameters())}


def _grouped(sums: F8, n: int) -> F8:
    """Return sums over groups of `n` channels."""
    return sums if n == 1 else sums.reshape(*sums.shape[:3], -1, n).sum(axis=4)


def _shortest(weights: F8) -> F8:
    """Return weights with axes of length 1 where they do not vary: products, channels, bins."""
    for axis in (1, 2, 3):
        first = weights.take([0], axis)
        if (weights == first).all():
            weights = first
    return np.array(weights)


def _stacked(weights: list[F8]) -> F8:
    """Return the weights of subintegrations as one array, (ephemeris, subint, product, ...).

    The list is emptied in the process, so that there are never two copies of all weights.
    """
    shape = np.max([each.shape for each in weights], axis=0)
    out = np.empty((shape[0], len(weights), *shape[1:]))
    for k in reversed(range(len(weights))):
        out[:, k] = weights.pop()
    return out


def _check_span(stream: Stream, predictor: Predictor) -> None:
    header = stream.header
    duration = float(stream.shape[0] / header.sample_rate)
    check_sampling(predictor, header.start_time, duration, float(1 / header.sample_rate))


def _warn_of_jump(stream: Stream, phases: ChannelPhases) -> None:
    """Warn if the phase jumps by a part of a turn that moves the pulse."""
    jump, seconds = phases.jump(stream.shape[0])
    part = jump - round(jump)
    if abs(part) > MOST_JUMP:
        warnings.warn(DoubtWarning(
            f"{stream.path}: the predicted phase jumps by {part:+.3g} turn at {seconds:.4g} s, "
            "where blocks of the polyco meet, and the profiles with it"), stacklevel=users_line())


def _segment(row: int, n_bin: int) -> int:
    """Return the number of rows of a segment, given the number of values in a row."""
    return max(_SEGMENT // row, _ROWS_PER_BIN * n_bin,
               min(_MOST_PER_BIN * n_bin, _MOST_SEGMENT // row))


def _bins(n_bin: int | None, stream: Stream, phases: Sequence[ChannelPhases]) -> int:
    """Return the number of bins, or the usual one."""
    if n_bin is not None:
        if not 2 <= n_bin <= _MOST_BINS:
            raise UsageError(f"n_bin = {n_bin}; allowed: 2 to {_MOST_BINS}")
        return n_bin
    fastest = max(float(each.frequency(np.zeros(1))[0]) for each in phases)
    return usual_bins(float(stream.header.sample_rate) / fastest)


def usual_bins(samples: float) -> int:
    """Return the default number of bins, a power of two, for a number of samples in a turn."""
    return int(min(_USUAL_BINS, 2 ** int(np.log2(max(2.0, samples)))))


def _channels(n_chan: int | None, full: int) -> int:
    """Return the number of channels of the profiles, or the usual one."""
    if n_chan is None:
        return max(k for k in range(1, min(full, _USUAL_CHANNELS) + 1) if full % k == 0)
    if n_chan < 1 or full % n_chan:
        raise UsageError(f"n_chan = {n_chan}; allowed: a divisor of {full}, the number of channels")
    return n_chan
