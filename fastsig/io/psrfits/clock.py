"""The places of a PSRFITS scan's rows in time, and contradictions between their headers.

The length of a row follows from TBIN times NSBLK, from TSUBINT, and from the step of OFFS_SUB. The
start of a file follows from OFFS_SUB and from NSUBOFFS, counted from STT_*. These are compared with
one another. Disagreements are reported, and corrected only on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.errors import FormatError

__all__ = ["Piece", "PieceRows", "Rows", "rows_of_pieces"]

Rows = tuple[int, int, int, int]

_FAR = 2.0**40  # rows; a larger number is not a place
_NEAR = 0.25  # of a row; OFFS_SUB may differ from a whole row by this much
_KNOWN = (Fraction(4), Fraction(1, 4))  # errors in FAST's early headers


class Piece(NamedTuple):
    """The statements of a file on its rows.

    Parameters
    ----------
    path : str
        Name of the file, for messages.
    n_row : int
        Number of rows that are present.
    start : (int, Fraction)
        STT_IMJD, and STT_SMJD + STT_OFFS in s.
    n_before : float or None
        NSUBOFFS.
    centers : ndarray of float64 or None
        OFFS_SUB, s; None where the column is missing.
    length : float or None
        TSUBINT of the first row, s.
    """

    path: str
    n_row: int
    start: tuple[int, Fraction]
    n_before: float | None
    centers: NDArray[np.float64] | None
    length: float | None


class PieceRows(NamedTuple):
    """Rows on a common clock.

    Parameters
    ----------
    rows : list of (int, int, int, int)
        First spectrum, counted from the first file's STT_*; the spectrum after the last; the file;
        its first row.
    rate : Fraction
        Spectra per second.
    notes : list of str
        Faults of the headers.
    """

    rows: list[Rows]
    rate: Fraction
    notes: list[str]


def rows_of_pieces(pieces: Sequence[Piece], n_block: int, rate: Fraction, *, known: bool = False,
          repair: bool = False, rows: str = "auto", stt: str = "auto") -> PieceRows:
    """Place the rows of a scan on a common clock.

    Parameters
    ----------
    pieces : sequence of Piece
        The files.
    n_block : int
        Number of spectra in a row.
    rate : Fraction
        Spectra per second, from TBIN or from the user.
    known : bool
        Whether the user specified the rate, so that it is taken as right.
    repair : bool
        Whether a rate that two other values contradict is corrected, and files that all claim to
        be the first are placed end to end.
    rows : {"auto", "offs_sub", "count"}
        Whether rows are at the times in OFFS_SUB, or follow one another.
    stt : {"auto", "scan", "file"}
        Whether STT_* in every file is the start of the scan, or of that file.

    Raises
    ------
    FormatError
        Where files claim the same time.
    """
    notes: list[str] = []
    own, factor = _row_length(pieces, n_block / rate, n_block, notes)
    unit = {"auto": own, "offs_sub": float(n_block / rate), "count": None}[rows]
    if factor != 1 and repair and not known:
        rate /= factor
        notes.append(f"repaired: a spectrum lasts {float(1 / rate):.9g} s")
    inside = [_inside(piece, unit, n_block, notes) for piece in pieces]
    places = _origins(pieces, inside, n_block, notes)
    starts = _starts(pieces, places, rate, n_block, stt, notes)
    if len(pieces) > 1:
        starts = _apart(pieces, inside, starts, n_block, repair, notes)
    out = []
    for number, (counts, start) in enumerate(zip(inside, starts, strict=True)):
        out += _segments(counts.rows, start, n_block, number)
    return PieceRows(out, rate, notes)


class _Inside(NamedTuple):
    """Rows of a file counted from its first row, and the place of that row from OFFS_SUB."""

    rows: NDArray[np.int64]
    begin: float | None


def _row_length(pieces: Sequence[Piece], nominal: Fraction, n_block: int, notes: list[str]
                ) -> tuple[float, Fraction]:
    """Return the row length by which OFFS_SUB grows (s), and the nominal length's factor of error.

    The factor is 1 where the headers agree or give no clear verdict.
    """
    stated = float(nominal)
    near = min(0.5 / n_block, 1e-3)
    step = _step(pieces, near)
    length = next((p.length for p in pieces if p.length and p.length > 0), None)
    by_step = 1.0 if step is None else step / stated
    by_length = 1.0 if length is None else length / stated
    if abs(by_step - 1) <= near and abs(by_length - 1) <= near:
        return stated, Fraction(1)
    say = [f"NSBLK spectra last {stated:.9g} s"]
    say += [f"OFFS_SUB grows by {step:.9g} s"] if step is not None else []
    say += [f"TSUBINT is {length:.9g} s"] if length is not None else []
    verdict, factor = "", Fraction(1)
    if abs(by_step - 1) > near and abs(by_length / by_step - 1) <= near:
        factor = _ratio(by_step)
        verdict = "TBIN is"
    elif abs(by_step - 1) <= near and _ratio(by_length) in _KNOWN:
        factor = _ratio(by_length)
        verdict = "TBIN and OFFS_SUB, as in early files of FAST, are"
    if verdict:
        verdict = (f"; {verdict} apparently wrong by a factor of {factor}: repair=yes corrects it, "
                   "sample_rate=... sets it")
    notes.append(f"a row's length: {', '.join(say)}{verdict}")
    unit = stated if step is None or abs(by_step - 1) <= near else step
    return unit, factor


def _step(pieces: Sequence[Piece], near: float) -> float | None:
    """Return the step of OFFS_SUB between rows (s), if at least three in four steps agree."""
    steps = [np.diff(p.centers) for p in pieces if p.centers is not None]
    found = np.concatenate(steps) if steps else np.empty(0)
    found = found[np.isfinite(found) & (found > 0)]
    if len(found) < 2:
        return None
    middle = float(np.median(found))
    regular = np.abs(found / middle - 1) <= near
    return middle if regular.mean() >= 0.75 else None


def _ratio(value: float) -> Fraction:
    """Return a factor as a fraction, which is simple where the value is within 1e-6 of one."""
    if not 1e-6 < value < 1e6:
        return Fraction(1)
    simple = Fraction(value).limit_denominator(64)
    fits = simple and abs(float(simple) / value - 1) < 1e-6
    return simple if fits else Fraction(value).limit_denominator(10**6)


def _inside(piece: Piece, unit: float | None, n_block: int, notes: list[str]) -> _Inside:
    """Return the places of a file's rows: whole rows apart by OFFS_SUB, or consecutive."""
    count = np.arange(piece.n_row, dtype=np.int64)
    if unit is None:
        return _Inside(count, None)
    if piece.centers is None:
        notes.append(f"{piece.path}: no column OFFS_SUB; rows follow one another")
        return _Inside(count, None)
    with np.errstate(over="ignore", invalid="ignore"):
        at = piece.centers / unit - 0.5
    if not (np.isfinite(at).all() and (np.abs(at) < _FAR).all()):
        notes.append(f"{piece.path}: OFFS_SUB is not a time in some rows; rows follow one another")
        return _Inside(count, None)
    jumps = np.diff(at)
    whole = np.rint(jumps)
    if not piece.centers.any():
        notes.append(f"{piece.path}: OFFS_SUB is 0 in all rows; rows follow one another")
        return _Inside(count, None)
    if (whole < 1).any() or (np.abs(jumps - whole) > _NEAR).any():
        row = int(np.flatnonzero((whole < 1) | (np.abs(jumps - whole) > _NEAR))[0]) + 1
        notes.append(f"{piece.path}: OFFS_SUB grows from {piece.centers[row - 1]:.9g} to "
                     f"{piece.centers[row]:.9g} s at row {row}, not by whole rows of {unit:.9g} s; "
                     "rows follow one another")
        return _Inside(count, None)
    places = np.concatenate([[0], np.cumsum(whole)]).astype(np.int64)
    off = np.abs(at - at[0] - places).max(initial=0) * n_block
    if off > 1:
        notes.append(f"{piece.path}: OFFS_SUB differs by up to {off:.3g} spectra from the places "
                     "of its rows")
    return _Inside(places, float(at[0]))


def _origins(pieces: Sequence[Piece], inside: Sequence[_Inside], n_block: int, notes: list[str]
             ) -> list[int]:
    """Return the number of spectra from STT_* to the first row of each file."""
    near = 0.5 / n_block
    out = []
    for piece, (_, begin) in zip(pieces, inside, strict=True):
        stated = piece.n_before
        count = 0.0 if stated is None else stated
        off = 0.0 if begin is None else begin - count
        if abs(off + 0.5) <= near:
            notes.append(f"{piece.path}: OFFS_SUB contains the starts of rows, not their centres; "
                         "taken as starts")
        elif begin is not None and begin < -near:
            notes.append(f"{piece.path}: OFFS_SUB begins before STT_*; NSUBOFFS = {count:g} is "
                         "used")
        elif begin is not None and (stated is None or abs(off) > _NEAR):
            if stated is not None:
                notes.append(f"{piece.path}: NSUBOFFS = {stated:g}, but OFFS_SUB implies "
                             f"{begin:.6g} rows before the first; OFFS_SUB is used")
            # Round to whole rows where only rounding errors differ, so that files of a scan meet.
            whole = abs(begin - round(begin)) * n_block <= 2
            count = float(round(begin)) if whole else begin
        elif abs(off) * n_block > 1:
            notes.append(f"{piece.path}: OFFS_SUB differs by {off * n_block:.3g} spectra from "
                         "NSUBOFFS; NSUBOFFS is used")
        out.append(round(count * n_block))
    return out


def _starts(pieces: Sequence[Piece], places: list[int], rate: Fraction, n_block: int, stt: str,
            notes: list[str]) -> list[int]:
    """Return the first spectrum of each file, counted from the first file's STT_*."""
    zero = time_from_mjd(*pieces[0].start)
    seconds = [Fraction(0) if piece.start == pieces[0].start
               else elapsed(zero, time_from_mjd(*piece.start)) for piece in pieces]
    exact = [each * rate for each in seconds]
    apart = [round(each) for each in exact]
    if stt == "file":
        return apart
    if not any(seconds) or stt == "scan":
        return places
    off = max(abs(each - whole) for each, whole in zip(exact, apart, strict=True))
    far = max(map(abs, seconds))
    fault = f"STT_* differ by up to {float(far):.9g} s from that of {pieces[0].path}"
    if off > Fraction(1, 10):
        fault += f" (off a whole number of spectra by up to {float(off):.2g})"
    grown = [each - places[0] for each in places]
    if not any(grown):
        notes.append(f"{fault}; taken as the starts of the files")
        return [a + b for a, b in zip(apart, places, strict=True)]
    if all(abs(a - g) <= n_block for a, g in zip(apart, grown, strict=True)):
        notes.append(f"{fault}, as NSUBOFFS or OFFS_SUB do; taken as the starts of the files "
                     "(stt=scan: all are the first file's)")
        return [a + places[0] for a in apart]
    if max(map(abs, apart)) <= n_block:
        notes.append(f"{fault}; all files count from the first file's (stt=file: each file counts "
                     "from its own)")
        return places
    notes.append(f"{fault}, and NSUBOFFS or OFFS_SUB differ by other times; both are added "
                 "(stt=scan: only the first file's STT_* is used; stt=file: only STT_* are used)")
    return [a + b for a, b in zip(apart, places, strict=True)]


def _apart(pieces: Sequence[Piece], inside: Sequence[_Inside], starts: list[int], n_block: int,
           repair: bool, notes: list[str]) -> list[int]:
    """Return starts at which files do not overlap: by NSUBOFFS, or end to end as a repair."""
    if _together(inside, starts, n_block) is None:
        return starts
    counts = [round((piece.n_before or 0) * n_block) for piece in pieces]
    if _together(inside, counts, n_block) is None and len(set(counts)) == len(counts):
        notes.append("OFFS_SUB starts again in every file; NSUBOFFS is used")
        return counts
    first, second = _together(inside, starts, n_block) or (0, 0)
    if repair:
        lengths = [(int(each.rows[-1]) + 1) * n_block if len(each.rows) else 0 for each in inside]
        notes.append("files claim the same time (NSUBOFFS does not grow); repaired: placed end to "
                     "end in the order given")
        return [starts[0] + sum(lengths[:i]) for i in range(len(pieces))]
    raise FormatError(
        pieces[second].path, f"claims the time of {pieces[first].path}: STT_*, NSUBOFFS and "
        "OFFS_SUB are the same; allowed: another file, or --set repair=yes, "
        "which places files end to end in the order given")


def _together(inside: Sequence[_Inside], starts: Sequence[int], n_block: int
              ) -> tuple[int, int] | None:
    """Return two files, one of which lies entirely within the time of the other."""
    order = sorted((start, -int(each.rows[-1]), number) for number, (each, start)
                   in enumerate(zip(inside, starts, strict=True)) if len(each.rows))
    reach, holder = -(2**62), 0
    for start, minus, number in order:
        stop = start + (1 - minus) * n_block
        if stop <= reach:
            return (holder, number) if holder < number else (number, holder)
        reach, holder = stop, number
    return None


def _segments(rows: NDArray[np.int64], start: int, n_block: int, number: int) -> list[Rows]:
    """Return the runs of consecutive rows."""
    if not len(rows):
        return []
    begins = np.concatenate([[0], np.flatnonzero(np.diff(rows) != 1) + 1])
    stops = np.concatenate([begins[1:], [len(rows)]])
    return [(start + int(rows[b]) * n_block, start + (int(rows[e - 1]) + 1) * n_block, number,
             int(b)) for b, e in zip(begins.tolist(), stops.tolist(), strict=True)]
