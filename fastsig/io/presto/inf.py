"""PRESTO's .inf files: lines of a label and a value, the only header that a .dat file has.

Labels are 40 characters wide and followed by an equals sign; some labels contain one themselves.
The set of lines depends on the kind of light.

References
----------
S. M. Ransom, PRESTO: ioinf.c (reading and writing) and prepdata.c (breaks: pairs of the first and
the last bin with data, and a final pair of only the last bin if the end is padding).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastsig.errors import FormatError, unreadable
from fastsig.io.files.cards import Cards, is_plain

__all__ = ["FIRST_LABEL", "MOST_PAIRS", "Inf", "is_inf", "note_lines", "parse_inf", "write_inf"]

FIRST_LABEL = "Data file name without suffix"

#: Greatest number of pairs of bins that PRESTO's programs read; with one more they stop.
MOST_PAIRS = 39

_WIDTH, _MOST_BYTES = 40, 2**20
# PRESTO's programs read notes in pieces of 99 characters, with the indentation, up to 500 in all.
_NOTE, _MOST_NOTES = 90, 5
_NOTES, _PAIR = "Any additional notes", "On/Off bin pair"
#: Keys, and labels as PRESTO writes them; the beginning of a label suffices to read it.
LABELS = {
    "name": FIRST_LABEL, "telescope": "Telescope used", "instrument": "Instrument used",
    "object": "Object being observed", "ra": "J2000 Right Ascension (hh:mm:ss.ssss)",
    "dec": "J2000 Declination     (dd:mm:ss.ssss)", "observer": "Data observed by",
    "epoch": "Epoch of observation (MJD)", "barycentered": "Barycentered?           (1 yes, 0 no)",
    "bins": "Number of bins in the time series", "width_s": "Width of each time series bin (sec)",
    "breaks": "Any breaks in the data? (1 yes, 0 no)", "band": "Type of observation (EM band)",
    "beam_arcsec": "Beam diameter (arcsec)", "DM": "Dispersion measure (cm-3 pc)",
    "low_mhz": "Central freq of low channel (MHz)", "bandwidth_mhz": "Total bandwidth (MHz)",
    "channels": "Number of channels", "channel_mhz": "Channel bandwidth (MHz)",
    "filter": "Photometric filter used", "view_arcsec": "Field-of-view diameter (arcsec)",
    "energy_kev": "Central energy (kev)", "energy_band_kev": "Energy bandpass (kev)",
    "wavelength_nm": "Central wavelength (nm)", "wavelength_band_nm": "Bandpass (nm)",
    "analyzer": "Data analyzed by", "deorbited": "Orbit removed?          (1 yes, 0 no)",
}
_LONGEST = {"name": 199, "telescope": 39, "band": 39}
_BEGIN = {key: label.split("(")[0].split("?")[0].strip() for key, label in LABELS.items()}


class Inf(NamedTuple):
    """A header: values by key, pairs of the first and last bin with data, and notes."""

    cards: Cards
    pairs: list[tuple[int, int]]
    notes: str


def is_inf(head: bytes) -> bool:
    """Whether a file begins with the line that names the data."""
    return head[:80].lstrip().startswith(FIRST_LABEL.encode()) and b"=" in head[:80]


def parse_inf(path: str) -> Inf:
    """Read the header in a .inf file.

    Raises
    ------
    FormatError
        If the file cannot be read or is not a header, or a pair of bins is not valid.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_MOST_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    if not is_inf(raw):
        raise FormatError(path, f"does not begin with the line {FIRST_LABEL!r} of a .inf file")
    values: dict[str, str] = {}
    pairs: list[tuple[int, int]] = []
    lines = iter(raw.decode("latin-1").splitlines())
    for line in lines:
        if line.strip().startswith(_NOTES):
            break
        label, equals, value = _parts(line)
        if equals and label.startswith(_PAIR):
            pairs.append(_pair(value, path))
        elif equals:
            values.setdefault(_key(label), value)
    notes = "\n".join(line.strip() for line in lines).strip()
    return Inf(Cards(values, path, "header"), pairs, notes)


def _parts(line: str) -> tuple[str, str, str]:
    """Split a line into label, equals sign and value, at the usual place or the last sign."""
    if line[_WIDTH : _WIDTH + 1] == "=":
        return line[:_WIDTH].strip(), "=", line[_WIDTH + 1 :].strip()
    label, equals, value = line.rpartition("=")
    return label.strip(), equals, value.strip()


def _key(label: str) -> str:
    """Return the key of a label, or else the label itself."""
    return next((key for key, begin in _BEGIN.items() if label.startswith(begin)), label)


def _pair(value: str, path: str) -> tuple[int, int]:
    parts = value.replace(",", " ").split()
    try:
        first, last = (int(float(part)) for part in parts)
    except (ValueError, OverflowError) as error:
        raise FormatError(path, f"header: {_PAIR} = {value!r}; allowed: two numbers of bins"
                          ) from error
    return first, last


def write_inf(values: Mapping[str, Any], pairs: Sequence[tuple[int, int]],
              notes: Iterable[str]) -> bytes:
    """Format a .inf file: lines in the order of `values`, pairs after `breaks`, and notes."""
    last = [f"    {note}" for note in notes]
    return "\n".join([*_lines(values, pairs), f" {_NOTES}:", *last, ""]).encode("ascii")


def note_lines(extra: Mapping[str, Any], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the lines of notes for values that have no line of their own.

    Parameters
    ----------
    extra : mapping
        Values of a header; its `notes` come first.
    others : iterable of str
        Keys of values that are written as `key = value`.

    Returns
    -------
    lines, missing : list of str
        Lines that PRESTO's programs can read, and the keys of values that these cannot hold.
    """
    notes = extra.get("notes")
    words = plain_text("notes", notes, _MOST_NOTES * _NOTE) if notes else ""
    lines = textwrap.wrap(words, _NOTE)
    missing = []
    for key in others:
        line = f"{key} = {extra[key]}"
        if len(lines) < _MOST_NOTES and is_plain(line, _NOTE):
            lines.append(line)
        else:
            missing.append(key)
    return lines[:_MOST_NOTES], missing


def _lines(values: Mapping[str, Any], pairs: Sequence[tuple[int, int]]) -> Iterator[str]:
    for key, value in values.items():
        yield f" {LABELS[key]:<{_WIDTH - 1}}=  {plain_text(key, value)}"
        if key == "breaks":
            for number, pair in enumerate(pairs, 1):
                label = f"{_PAIR} #{number:3d}"
                yield f" {label:<{_WIDTH - 1}}=  {pair[0]:<11d}, {pair[1]:<11d}"


def plain_text(key: str, value: Any, longest: int = 99) -> str:
    """Format a value for PRESTO's programs: a line of ASCII that is not too long, or Unknown."""
    text = " ".join(str(value).split()).encode("ascii", "replace").decode("ascii")
    return text[: _LONGEST.get(key, longest)] or "Unknown"
