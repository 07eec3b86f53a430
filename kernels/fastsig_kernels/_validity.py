"""Which samples of a stream are valid, as far as its frames still need them."""

from typing import Any

import numpy as np

from .energy import check_spans, frame_energy, intersect_spans, whole_energy


class Validity:
    """Spans of valid samples of each polarisation, counted from the beginning of a stream.

    Parameters
    ----------
    n_pol : int
    cumulative : ndarray
        `cumulative_energy` of the taps.
    hop : int
        Samples from one frame to the next.
    min_valid : float
        Energies below this become 0.
    """

    def __init__(self, n_pol: int, cumulative: np.ndarray, hop: int, min_valid: float) -> None:
        self._n_pol, self._cumulative = n_pol, cumulative
        self._hop, self._min_valid = hop, min_valid
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        #: None as long as all samples are valid.
        self._spans: list[np.ndarray] | None = None

    def checked(self, valid: Any, n_new: int) -> list[np.ndarray] | None:
        """Return the spans of each polarisation that a caller states; None for all samples."""
        if valid is None:
            return None
        try:
            each = [valid] * self._n_pol if isinstance(valid, np.ndarray) else list(valid)
        except TypeError:
            raise TypeError(f"valid: found {type(valid).__name__}, allowed an array of spans, or a "
                            "list of one for each polarisation") from None
        if len(each) != self._n_pol:
            raise ValueError(f"valid: found {len(each)} lists of spans, allowed {self._n_pol}")
        for spans in each:
            check_spans("valid", spans)
            if spans.size and (spans[0, 0] < 0 or spans[-1, 1] > n_new):
                raise ValueError(f"valid: found spans outside 0 to {n_new}")
        return [np.array(spans) for spans in each]

    def append(self, spans: list[np.ndarray] | None, begin: int, n_new: int) -> None:
        """Add the spans of `n_new` samples that follow the first `begin`."""
        if spans is None and self._spans is None:
            return
        before, after = ([_span(0, n)] * self._n_pol for n in (begin, n_new))
        self._spans = [_appended(old, new + begin) for old, new in zip(
            self._spans or before, spans or after, strict=True)]

    def discard(self, stop: int) -> None:
        """Forget the spans that end before a sample."""
        if self._spans is not None:
            self._spans = [spans[np.searchsorted(spans[:, 1], stop, side="right") :]
                           for spans in self._spans]

    def energy(self, frame: int, n: int) -> np.ndarray:
        """Return the energies of `n` frames: (n, 1), or (n, 3) for A, B and both."""
        start = frame * self._hop
        stop = start + (n - 1) * self._hop + len(self._cumulative) - 1
        sets = list(self._spans or ())
        if all(_covers(spans, start, stop) for spans in sets):
            return whole_energy(n, 2 * self._n_pol - 1)
        if len(sets) == 2:
            sets.append(sets[0] if np.array_equal(sets[0], sets[1]) else intersect_spans(*sets))
        energy = np.empty((n, len(sets)))
        for column, spans in enumerate(sets):
            energy[:, column] = frame_energy(spans, start, n, self._cumulative, self._hop)
        energy[energy < self._min_valid] = 0
        return energy

    def whole(self, first: int, last: int) -> bool:
        """Whether all samples ``[first, last)`` are valid; those before 0 are not."""
        return first >= 0 and all(_covers(spans, first, last) for spans in self._spans or ())

    def spans(self, stop: int) -> list[np.ndarray]:
        """Return the valid spans of each polarisation, at least those before a sample."""
        return self._spans or [_span(0, max(stop, 1))] * self._n_pol


def arrays_of(valid: Any) -> list[Any]:
    """Return the arrays of valid runs that a caller states."""
    return valid if isinstance(valid, list) else [valid]


def lost(spans: np.ndarray, n: int) -> bool:
    """Whether any of n samples is in no span."""
    return int((spans[:, 1] - spans[:, 0]).sum()) < n


def _span(first: int, stop: int) -> np.ndarray:
    """Return one span, or none if it is empty."""
    return np.array([[first, stop]], np.int64)[: int(first < stop)]


def _appended(spans: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Append later spans, merging them with earlier ones if they touch."""
    if spans.size and more.size and spans[-1, 1] == more[0, 0]:
        joined = np.array([[spans[-1, 0], more[0, 1]]])
        return np.concatenate([spans[:-1], joined, more[1:]])
    return np.concatenate([spans, more])


def _covers(spans: np.ndarray, start: int, stop: int) -> bool:
    """Whether one span contains samples `start` to `stop`."""
    after = int(np.searchsorted(spans[:, 1], stop, side="left"))
    return after < len(spans) and int(spans[after, 0]) <= start
