"""Spectra for searches at many dispersion measures: normalised, at the rates of all stretches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.search.filled import Filled

if TYPE_CHECKING:
    from fastsig_kernels import Normalizer

__all__ = ["LEVELS", "Octaves"]

_RUN = 2**12  # spectra that are processed at a time, few enough for the last cache
#: Segments after which a channel without samples is lost for long, and share of the channels that
#: may be lost for a shorter time without weights.
_LASTING, _MOST_PASSING = 80, 0.05
_LEAST_ALIVE = 0.8  # share of the channels below which another noise is expected
_SEGMENT_S = 0.2
LEVELS = 16  # standard deviation of normalised noise


class Octaves(ABC):
    """Normalises a stream of spectra, and halves its rate repeatedly for stretches that allow it.

    What the stretches receive does not depend on how the spectra are divided among calls, or on the
    number of threads.

    Parameters
    ----------
    recording : Recording
        Properties of the spectra.
    stretches : sequence of Stretch
        Stretches of dispersion measure.
    dtype : str
        Type of the spectra: uint8, int8, uint16, int16 or float32.
    threads : int
        Number of threads that share the work of a call.
    ahead : int, optional
        Number of segments after it from which a segment is normalised; by default, as many as
        before it.
    """

    def __init__(self, recording: Recording, stretches: Sequence[Stretch], *, dtype: str,
                 threads: int, ahead: int | None = None) -> None:
        self._stretches, self._recording, self._n_thread = stretches, recording, threads
        self._ahead = ahead
        self._normalizer = self._normalizer_of(dtype)
        self._filled = Filled()
        #: Numbers of the stretches of each octave, from the full rate on.
        self.members = _octaves(stretches)
        self._halvers = [_Halver(threads) for _ in self.members[1:]]
        #: Share of the samples of each segment of the normalisation that is valid, share of its
        #: spectra in which some are, and share that counts as valid in each octave.
        self._shares: list[float] = []
        self._live: list[float] = []
        self._counted: list[list[float]] = [[] for _ in self.members]
        #: Number of segments since the last sample of each channel.
        self._n_dead = np.zeros(recording.n_chan, np.int64)
        self.n_time = 0

    def _normalizer_of(self, dtype: Any) -> Normalizer:
        from fastsig_kernels import Normalizer

        recording, self._dtype = self._recording, np.dtype(dtype)
        return Normalizer(recording.n_chan, dtype=self._dtype.name, threads=self._n_thread,
                          segment=segment_of(recording.sample_s), ahead=self._ahead)

    @property
    def waiting_bytes(self) -> int:
        """Memory used by spectra that are waiting to be normalised, and by a segment of codes.

        The flags of valid samples are included, as are the codes at all lower rates, which need as
        much memory as this segment.
        """
        size = self._normalizer.segment
        waiting = (self._dtype.itemsize + 1) * (self._normalizer.latency + size)
        return int((waiting + 2 * 2 * size) * self._recording.n_chan)

    def process(self, x: NDArray[Any], valid: NDArray[np.bool_] | None = None,
                series: NDArray[np.float32] | None = None) -> None:
        """Accept the next spectra.

        Spectra that `Filled` identifies as filled in are not valid.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan)
            Values of any unit; they need not be finite where they are not valid.
        valid : ndarray of bool, shape (n_time, n_chan), optional
            Which samples are valid; all by default.
        series : ndarray of float32, shape (n_time,), optional
            Values that are first subtracted from all channels.
        """
        if not self.n_time and x.dtype != self._dtype:  # they are read in another form than planned
            self._normalizer = self._normalizer_of(x.dtype)
        self.n_time += len(x)
        filled = self._filled.rows(x)
        if filled.any():
            kept = np.broadcast_to(~filled[:, np.newaxis], x.shape)
            valid = kept if valid is None else valid & kept
        for first in range(0, len(x), _RUN):
            rows = slice(first, first + _RUN)
            self._normalised(*self._normalizer.process(
                x[rows], valid=None if valid is None else valid[rows],
                series=None if series is None else series[rows]))

    @property
    def live_share(self) -> float:
        """Fraction of the spectra that had valid samples."""
        return float(np.mean(self._live)) if self._live else 1.0

    @property
    def valid_share(self) -> float:
        """Fraction of valid samples in the spectra that contain any; 1 if no spectrum does."""
        return float(np.mean(self._shares)) / self.live_share if any(self._live) else 1.0

    def complete(self) -> None:
        """Pass the remaining spectra to the stretches."""
        self._normalised(*self._normalizer.finish())

    @abstractmethod
    def few_alive(self, share: float) -> None:
        """Prepare for spectra in which only a fraction `share` of the channels have samples.

        This method is called before the first call of `take`, if the fraction is below 0.8 in the
        first segment.
        """

    @abstractmethod
    def take(self, octave: int, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Accept the next spectra of the stretches of an octave, at their rate.

        Parameters
        ----------
        octave : int
            Number of the octave, which has one stretch or more.
        x : ndarray, shape (n_time, n_chan), int8
            Values with a level of 0 and a noise of `LEVELS`.
        valid : ndarray of bool, shape (n_time, n_chan), or None
            Which samples are valid; None if all are.
        """

    def _normalised(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Divide normalised spectra: whole segments, apart from the last of the stream."""
        size = self._normalizer.segment
        for first in range(0, len(x), size):
            rows = slice(first, first + size)
            self._divide(x[rows], None if valid is None else valid[rows])

    def _divide(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Give a segment to the stretches, octave by octave."""
        self._shares.append(_share(valid))
        self._live.append(1.0 if valid is None else _share(np.asarray(valid.any(axis=1))))
        if valid is None:
            self._n_dead.fill(0)
        else:
            valid = self._with_dead(valid)
        for level, members in enumerate(self.members):
            if level:
                x, valid = self._halvers[level - 1].process(x, valid)
            # A sum of two spectra is valid if one of them is.
            self._counted[level].append(_share(valid) if len(x) else self._counted[level - 1][-1])
            if members and len(x):
                self.take(level, x, valid)

    def _with_dead(self, valid: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Return what counts as valid in a segment; None if all does.

        Channels without any sample are 0, so that they add nothing to a sum, and the noise of sums
        is measured; they count as valid where a channel near them is. Sums then need no
        weights if all others are valid, and otherwise the weights are in proportion to the noise.
        Channels that are lost for a short time count so only if they are few, since the noise is
        measured over a longer time.
        """
        live = np.asarray(valid.any(axis=0))
        self._n_dead = np.where(live, 0, self._n_dead + 1)
        n_segment, alive = len(self._shares), float(live.mean())
        if n_segment == 1 and 0 < alive < _LEAST_ALIVE:
            self.few_alive(alive)
        dead = ~live
        lasting = self._n_dead >= min(n_segment, _LASTING)
        if (dead & ~lasting).mean() > _MOST_PASSING:
            dead = lasting
        if dead.all():
            return valid
        return None if (valid | dead).all() else valid[:, _neighbours(~dead)]

    def share_of(self, number: int, time: NDArray[np.int64], delay: NDArray[np.float64]
                 ) -> NDArray[np.float32]:
        """Return the factors that convert weights of a stretch to fractions of all samples.

        Parameters
        ----------
        number : int
            Number of the stretch.
        time, delay : ndarray
            Spectra of the stretch in which pulses arrive, and the number of spectra that they take
            to cross the band.
        """
        down, segment = self._stretches[number].downsampling, self._normalizer.segment
        last = len(self._shares) - 1
        first = np.clip(time * down // segment, 0, last).astype(np.int64)
        stop = np.clip((time + delay) * down // segment, first, last).astype(np.int64) + 1
        valid, counted = (np.concatenate([[0.0], np.cumsum(each)]) for each in (
            self._shares, self._counted[down.bit_length() - 1]))
        total = counted[stop] - counted[first]
        return np.asarray(np.divide(valid[stop] - valid[first], total, out=np.zeros(len(total)),
                                    where=total > 0), np.float32)


def _neighbours(live: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a live channel for each: itself or, in a gap, the mirror image below the gap.

    Channels that share one would make weights fluctuate more than the noise of sums.
    """
    number = np.arange(len(live))
    within = number - np.maximum.accumulate(np.where(live, number, -1))  # 1, 2 ... in a gap
    chosen: NDArray[np.int64] = np.cumsum(live) - np.maximum(within, 1)
    found: NDArray[np.int64] = np.flatnonzero(live)[np.where(live, np.cumsum(live) - 1,
                                                             np.abs(chosen) % live.sum())]
    return found


def _share(valid: NDArray[np.bool_] | None) -> float:
    """Return the fraction of samples that are valid."""
    return 1.0 if valid is None or not valid.size else float(valid.mean())


def segment_of(sample_s: float) -> int:
    """Return the number of spectra in a segment of the normalisation: 0.2 s, or at least 256."""
    return 256 * max(1, min(256, round(_SEGMENT_S / sample_s / 256)))


def _octaves(stretches: Sequence[Stretch]) -> list[list[int]]:
    """Return the numbers of the stretches of each octave, the full rate first."""
    levels = [int(each.downsampling).bit_length() - 1 for each in stretches]
    return [[number for number, each in enumerate(levels) if each == level]
            for level in range(max(levels) + 1)]


class _Halver:
    """Halves the rate of a stream; a last spectrum without a partner waits for it."""

    def __init__(self, threads: int) -> None:
        self._n_thread = threads
        self._left: tuple[NDArray[np.int8], NDArray[np.bool_] | None] | None = None

    def process(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None
                ) -> tuple[NDArray[np.int8], NDArray[np.bool_] | None]:
        """Return the sums of pairs of spectra."""
        from fastsig_kernels import halve

        if self._left is not None:
            x, valid = _joined(self._left, (x, valid))
        self._left = None
        if len(x) % 2:
            self._left = x[-1:].copy(), None if valid is None else valid[-1:].copy()
        n = len(x) // 2 * 2
        found: tuple[NDArray[np.int8], NDArray[np.bool_] | None] = halve(
            x[:n], None if valid is None else valid[:n], threads=self._n_thread)
        return found


def _joined(first: tuple[NDArray[np.int8], NDArray[np.bool_] | None],
            second: tuple[NDArray[np.int8], NDArray[np.bool_] | None]
            ) -> tuple[NDArray[np.int8], NDArray[np.bool_] | None]:
    """Return spectra followed by others, and which are valid; None if all are."""
    x = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return x, None
    return x, np.concatenate([np.ones(each.shape, bool) if valid is None else valid
                              for each, valid in (first, second)])

