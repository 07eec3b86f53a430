"""Validity of frames: spans of valid samples and the filter energy that falls on them."""

from functools import lru_cache

import numpy as np

from . import _check
from ._jit import jit_strict

_FEW = 256  # frames whose energies are kept for calls without losses


def cumulative_energy(taps: np.ndarray) -> np.ndarray:
    """Return the prefix sums of a prototype's squared coefficients.

    ``C[i] = sum_{l < i} h[l]^2``, so samples a to b of a frame have the energy C[b] - C[a].

    Parameters
    ----------
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless
        Coefficients, as from `prototype`.

    Returns
    -------
    ndarray, shape (n_tap n_fft + 1,), float64, dimensionless
        C, from C[0] = 0 to the total energy.

    Raises
    ------
    TypeError, ValueError
        If the taps are not a plain 2-D float array, or have no finite energy.

    Notes
    -----
    A call allocates its result; the function is intended for set-up.
    """
    _check.array("taps", taps, ("float32", "float64"), 2)
    sums = np.zeros(taps.size + 1)
    np.cumsum(taps.astype(np.float64).reshape(-1) ** 2, out=sums[1:])
    _check_cumulative("taps", sums)
    return sums


def whole_energy(n: int, width: int) -> np.ndarray:
    """Return the energies of frames without losses; they are read-only, since calls share them."""
    return _ones(width)[:n] if n <= _FEW else np.broadcast_to(np.float64(1), (n, width))


@lru_cache(maxsize=4)
def _ones(width: int) -> np.ndarray:
    """Return the energies of some frames without losses."""
    ones = np.ones((_FEW, width))
    ones.flags.writeable = False
    return ones


def is_whole(energy: np.ndarray) -> bool:
    """Return whether no sample of any frame is lost, which is nearly always the case."""
    return not energy.flags.writeable or bool((energy == 1).all())


def frame_energy(
    spans: np.ndarray,
    start: int,
    n_frame: int,
    taps_cumulative: np.ndarray,
    hop: int,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the fraction of the prototype's energy that falls on valid samples, per frame.

    ``e[m] = 1 - sum(h^2 lost) / sum(h^2)``; frame m covers the samples from
    ``start + m hop`` up to, not including, ``start + m hop + L``.

    Parameters
    ----------
    spans : ndarray, shape (n_span, 2), int64, samples
        First absolute sample, and one past the last, of each run of valid samples. Spans are in
        order, and are neither empty nor overlapping; they may touch.
    start : int
        Absolute sample at which frame 0 begins.
    n_frame : int
        Number of frames.
    taps_cumulative : ndarray, shape (L + 1,), float64, dimensionless
        From `cumulative_energy`.
    hop : int
        Number of samples from one frame to the next.
    out : ndarray, shape (n_frame,), float64, dimensionless, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (n_frame,), float64, dimensionless
        e: exactly 1 for a completely valid frame, and exactly 0 for a completely lost one.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or order.

    Notes
    -----
    A call allocates nothing large when `out` is given; the GIL is released. The bits of a frame
    depend only on the validity of its own samples: neither on `start`, nor on how spans are split
    where they touch or outside the frame.
    """
    check_spans("spans", spans)
    _check.array("taps_cumulative", taps_cumulative, ("float64",), 1)
    _check_cumulative("taps_cumulative", taps_cumulative)
    n_frame = _check.count("n_frame", n_frame, 0)
    hop = _check.count("hop", hop)
    length = taps_cumulative.size - 1
    start = _check.count("start", start, -(2**62))
    if start + n_frame * hop + length >= 2**63:
        raise ValueError(f"start: found {start}, allowed frames that end before 2**63")
    out = _check.output("out", out, (n_frame,), "float64", spans, taps_cumulative)
    frame_energy_nb(spans, start, taps_cumulative, hop, out)
    return out


@jit_strict
def frame_energy_nb(spans, start, taps_cumulative, hop, out):
    """Fill `out` as `frame_energy` does; arguments are not checked."""
    length = taps_cumulative.size - 1
    # Bisection; NumPy's own search would import scipy when this is loaded, in 0.1 s.
    k, stop = 0, spans.shape[0]
    while k < stop:
        middle = (k + stop) // 2
        if spans[middle, 1] <= start:
            k = middle + 1
        else:
            stop = middle
    for m in range(out.size):
        first = start + m * hop
        while k < spans.shape[0] and spans[k, 1] <= first:
            k += 1
        # Positions are relative to the frame, so equal gaps give equal bits anywhere.
        lost = 0.0
        position = 0
        span = k
        while position < length:
            begin = length
            end = length
            if span < spans.shape[0]:
                # Clamp before the subtraction, since a span may reach the limits of int64.
                begin = _clamp(spans[span, 0], first + position, first + length) - first
                end = _clamp(spans[span, 1], first + position, first + length) - first
            lost += taps_cumulative[begin] - taps_cumulative[position]
            position = end if end > begin else begin
            span += 1
        energy = 1.0 - lost / taps_cumulative[length]
        out[m] = energy if energy > 0.0 else 0.0


@jit_strict
def _clamp(value, least, most):
    if value < least:
        return least
    return value if value < most else most


def intersect_spans(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection of two lists of spans: the samples valid in both.

    ``{n : n in a and n in b}``

    Parameters
    ----------
    a, b : ndarray, shape (n_span, 2), int64, samples
        Half-open spans in order, neither empty nor overlapping.

    Returns
    -------
    ndarray, shape (n_common, 2), int64, samples
        Half-open spans in order, none of them empty.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or order.

    Notes
    -----
    A call allocates its result (its length is not known in advance); the GIL is released.
    """
    check_spans("a", a)
    check_spans("b", b)
    out = np.empty((a.shape[0] + b.shape[0], 2), dtype=np.int64)
    n_common = intersect_spans_nb(a, b, out)
    return out[:n_common].copy()


@jit_strict
def intersect_spans_nb(a, b, out):
    """Write the spans to `out`, of at least ``len(a) + len(b)`` rows, and return their number."""
    i = 0
    j = 0
    n_common = 0
    while i < a.shape[0] and j < b.shape[0]:
        first = a[i, 0] if a[i, 0] > b[j, 0] else b[j, 0]
        stop = a[i, 1] if a[i, 1] < b[j, 1] else b[j, 1]
        if first < stop:
            out[n_common, 0] = first
            out[n_common, 1] = stop
            n_common += 1
        if a[i, 1] < b[j, 1]:
            i += 1
        else:
            j += 1
    return n_common


def check_spans(name: str, spans: np.ndarray) -> None:
    """Refuse spans that are empty, overlapping or out of order."""
    _check.array(name, spans, ("int64",), 2)
    _check.shape(name, spans, (spans.shape[0], 2))
    if not (spans[:, 0] < spans[:, 1]).all():
        raise ValueError(f"{name}: found an empty span, allowed first < stop in every row")
    if not (spans[:-1, 1] <= spans[1:, 0]).all():
        raise ValueError(f"{name}: found spans out of order, allowed sorted, not overlapping")


def _check_cumulative(name: str, sums: np.ndarray) -> None:
    if sums.size < 2 or not 0 < sums[-1] < np.inf:
        raise ValueError(f"{name}: found no finite energy, allowed sum(h^2) > 0")
