"""PSRFITS in search mode: rows of spectra with scales, offsets and weights, in one or more files.

References
----------
A. W. Hotan, W. van Straten and R. N. Manchester, PASA 21, 302 (2004); PSRFITS definition, version
5.4 (2014), ATNF: main header, SUBINT.
"""

from __future__ import annotations

import builtins
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import sample_time
from fastsig.errors import DoubtWarning, FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.fits.layout import Table, read_column
from fastsig.io.probe import Probe
from fastsig.io.psrfits import headers as files_
from fastsig.io.psrfits.clock import Piece, Rows, rows_of_pieces
from fastsig.io.psrfits.headers import Doubt, Layout, SearchFile
from fastsig.io.psrfits.rows import check_tables
from fastsig.io.psrfits.stream import PsrfitsSpectra
from fastsig.io.voltages.segments import disjoint, from_first
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "OPTIONS", "PsrfitsSpectra", "is_folded", "is_psrfits", "open",
           "sniff"]

NAME, KINDS = "psrfits", ("spectra",)

#: Whether `open` accepts several files of one scan.
MANY = True

#: Overrides of this format and their allowed values; the first is the default.
OPTIONS = {
    "zero_off": ("signed", "absolute", "none"),
    "signed": ("header", "no", "yes", "cross"),
    "label": ("center", "lower", "upper"),
    "rows": ("auto", "offs_sub", "count"),
    "stt": ("auto", "scan", "file"),
    "padding": ("drop", "keep"),
    "repair": ("no", "yes"),
}

_MOST_NOTES = 6
_SNIFFED = 2**18


def sniff(probe: Probe) -> bool:
    """Whether the first cards of a FITS file declare PSRFITS, and not profiles."""
    return is_psrfits(probe) and not is_folded(probe)


def is_psrfits(probe: Probe) -> bool:
    """Whether the first cards of a FITS file declare PSRFITS."""
    return probe.container == "fits" and _value(probe.head, "FITSTYPE").startswith("PSRFITS")


def is_folded(probe: Probe) -> bool:
    """Whether the first header of a PSRFITS file states that it contains folded profiles."""
    head = probe.head
    if b"OBS_MODE=" not in head:
        with builtins.open(probe.path, "rb") as file:
            head = file.read(_SNIFFED)
    return _value(head, "OBS_MODE").upper() in files_.FOLDED


def _value(head: bytes, key: str) -> str:
    """Return the text of a card of the first header, or nothing if it has none."""
    for at in range(0, len(head) - 79, 80):
        card = head[at : at + 80].decode("ascii", "replace")
        if card[:9] == f"{key:<8}=":
            return card[10:].strip().lstrip("'").partition("'")[0].strip()
        if card.startswith("END     "):
            break
    return ""


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> PsrfitsSpectra:
    """Open the files of one PSRFITS scan as a stream of spectra.

    Parameters
    ----------
    path : path or sequence of path
        The files.
    **overrides
        The common overrides of `fastsig.open`, and those of the format, with the default first:

        - ``zero_off=signed | absolute | none``: use of ZERO_OFF as it is, its absolute value, or
          0;
        - ``signed=header | no | yes | cross``: whether codes are in two's complement: by SIGNINT,
          none, all, or those of all products but AA, BB and I;
        - ``label=center | lower | upper``: the part of a channel to which DAT_FREQ refers;
        - ``rows=auto | offs_sub | count``: rows are placed by OFFS_SUB in units of its own step,
          or of the row length NSBLK x TBIN; or they follow one another from NSUBOFFS on;
        - ``stt=auto | scan | file``: whether STT_* is the start of the scan or of each file;
        - ``padding=drop | keep``: whether spectra beyond NSTOT, which fill up a file's last row,
          are left out;
        - ``repair=no | yes``: whether a wrong TBIN is corrected, and files that all claim the same
          time are placed end to end.

    Raises
    ------
    FormatError
        Where a file cannot be read or contains folded profiles, or files are not of one scan.
    UsageError
        Where an override is not allowed.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, special = split_overrides(overrides, tuple(OPTIONS), NAME)
    chosen = _chosen(special)
    notes: list[str] = []
    files = [files_.opened(each) for each in paths]
    if chosen["repair"] != "yes":  # a repair keeps the order given
        files.sort(key=lambda file: _begin(files_.piece_of(file, common)))
        paths = [file.path for file in files]
    lead = next((file for file in files if file.table.n_row), files[0])
    layout = _layout(lead, files, notes)
    axis, descending = files_.channel_axis(lead, chosen["label"], common, notes)
    pieces = [files_.piece_of(file, common) for file in files]
    header = files_.header_of(lead, layout, axis, files_.rate_of(lead, common), pieces[0].start)
    header = _overridden(header, {key: value for key, value in common.items()
                                  if key == "sample_rate"})
    placed = rows_of_pieces(pieces, layout.n_block, header.sample_rate,
                            known="sample_rate" in common,
                   repair=chosen["repair"] == "yes", rows=chosen["rows"], stt=chosen["stt"])
    if not placed.rows:
        raise FormatError(paths[0], "contains no complete row")
    rows = placed.rows
    if chosen["padding"] == "drop":
        rows = _without_padding(rows, [file.table for file in files], layout.n_block)
    table, begin = from_first(rows, placed.rate, paths[0])
    parts = disjoint(table)
    notes += [*placed.notes, *_overlap(table, parts)]
    header = header.replace(
        sample_rate=placed.rate, start_time=sample_time(header.start_time, begin, placed.rate),
        extra={**header.extra, **chosen, "weights": _weights_stated(files)})
    header = _overridden(header, {key: value for key, value in common.items()
                                  if key != "sample_rate"})
    stream = PsrfitsSpectra(header, layout, files, parts, descending, chosen)
    _warn([*notes, *stream.padding()], paths)
    return stream


def _begin(piece: Piece) -> tuple[Any, ...]:
    """Return a sort key of files: their start, then the values that count earlier rows."""
    first = piece.centers[0] if piece.centers is not None and len(piece.centers) else 0.0
    return (*piece.start, piece.n_before or 0.0, float(np.nan_to_num(first)), piece.path)


def _chosen(special: Mapping[str, Any]) -> dict[str, str]:
    """Return the format's overrides, with defaults filled in."""
    out = {key: allowed[0] for key, allowed in OPTIONS.items()}
    for key, value in special.items():
        if value not in OPTIONS[key]:
            raise UsageError(f"{key} = {value!r}; allowed: {', '.join(OPTIONS[key])}")
        out[key] = str(value)
    return out


def _layout(lead: SearchFile, files: Sequence[SearchFile], notes: list[str]) -> Layout:
    """Return the layout of numbers, which all files share.

    Raises
    ------
    FormatError
        Where files differ in shape, rate or band.
    """
    layout = files_.layout_of(lead, notes)
    check_tables(lead.path, lead.table.columns, layout, notes)
    if not files_.same_band(lead, lead):
        raise FormatError(lead.path, "DAT_FREQ changes from the first row to the last; allowed: "
                          "one band")
    for file in files:
        if file is lead:
            continue
        found = files_.layout_of(file, [])
        check_tables(file.path, file.table.columns, found, [])
        wrong = [name for name, a, b in zip(layout._fields, layout, found, strict=True) if a != b]
        if file.table.cards.number("TBIN") != lead.table.cards.number("TBIN"):
            wrong.append("TBIN")
        if file.table.n_row and not files_.same_band(file, lead):
            wrong.append("DAT_FREQ")
        if wrong:
            raise FormatError(file.path, f"does not belong to the scan of {lead.path}: {wrong[0]} "
                              "differs")
    return layout


def _overridden(header: Header, common: Mapping[str, Any]) -> Header:
    """Return a header with the user's values; a single channel of spectra keeps its width."""
    axis, found = header.channels, header.overridden(common)
    if axis is not None and found.channels is not None and axis.n_chan == 1:
        center = found.channels.first_hz if "frequency" in common else axis.first_hz
        found = found.replace(channels=ChannelAxis(center, axis.step_hz, 1))
    return found


def _without_padding(rows: Sequence[Rows], tables: Sequence[Table], n_block: int) -> list[Rows]:
    """Return the rows without the spectra of each file's last row that are beyond NSTOT."""
    out = []
    for first, stop, file, row in rows:
        table = tables[file]
        total = table.cards.number("NSTOT")
        left = 0.0 if total is None else table.n_row * n_block - total
        last = row + (stop - first) // n_block == table.n_row
        out.append((first, stop - int(left) if last and 0 < left < n_block else stop, file, row))
    return out


def _overlap(table: NDArray[np.int64], parts: NDArray[np.int64]) -> list[str]:
    """Return a note on spectra that are in two rows, in a list."""
    twice = int((table[:, 1] - table[:, 0]).sum() - (parts[:, 1] - parts[:, 0]).sum())
    return [f"{twice} spectra are in two rows; the first row is used"] if twice else []


def _weights_stated(files: Sequence[SearchFile]) -> str:
    """Describe the range of DAT_WTS in the first row of every file, and the use of weights."""
    found = [read_column(file.path, file.table, "DAT_WTS", 0, 1) for file in files
             if file.table.n_row and "DAT_WTS" in file.table.columns]
    each = np.concatenate([values.reshape(-1) for values in found]) if found else np.ones(1)
    each = each[np.isfinite(each) & (each != 0)]
    low, high = (float(each.min()), float(each.max())) if len(each) else (0.0, 0.0)
    if low == high:
        return f"{low:g}, or 0"
    return f"{low:g} to {high:g}, or 0; not multiplied in"


def _warn(notes: Sequence[str], paths: Sequence[str]) -> None:
    """Warn of faults, once for a fault that is the same in several files."""
    alike: dict[tuple[str, type[FastsigWarning]], list[str]] = {}
    for note in notes:
        kind = DoubtWarning if isinstance(note, Doubt) else FastsigWarning
        path, begins = next(((path, begins) for path in paths for begins in (
            f"{path}: ", f"{os.path.abspath(path)}: ") if note.startswith(begins)), (paths[0], ""))
        alike.setdefault((note.removeprefix(begins), kind), []).append(path)
    listed = [(f"{where[0]}: {note}" + (f" (also in {len(where) - 1} more files)"
               * (len(where) > 1)), kind) for (note, kind), where in alike.items()]
    more = [(f"{paths[0]}: {len(listed) - _MOST_NOTES} more warnings like these", FastsigWarning)]
    for note, kind in listed[:_MOST_NOTES] + more * (len(listed) > _MOST_NOTES):
        warnings.warn(note, kind, stacklevel=users_line())
