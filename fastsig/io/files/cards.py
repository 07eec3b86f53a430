"""Text headers: cards of 80 characters (GUPPI) and lines of KEY VALUE (DADA), and their values."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import astropy.units as u
from astropy.time import Time

from fastsig.axes.time import iso, mjd_and_seconds
from fastsig.errors import FormatError, PlanError

__all__ = ["FIRST_DAY", "LAST_DAY", "Cards", "card_80", "cards_80", "decimal_text", "header_unit",
           "hms_text", "is_plain", "kept_cards", "lines", "same_cards", "start_day"]

#: Days (MJD) on which a recording may begin: from 1970 up to 2100.
FIRST_DAY, LAST_DAY = 40587, 88069

_LARGEST = 2**62
_LEAST_TEXT = "1e-30"
_LEAST = Fraction(_LEAST_TEXT)
_FAR = re.compile(r"[eE][+-]?[\d_]{4}")
_SEXAGESIMAL = re.compile(r" *([+-]?)(\d{1,3}):(\d{1,2}):(\d{1,2}(?:\.\d*)?) *", re.ASCII)
_MANY_DIGITS, _SIMPLE = 25, 10**9


# Keys of GUPPI, DADA and VDIF that typed fields of a header cover, or that describe the structure
# of the files that were read. A writer has its own values for these, or does not need them.
_STRUCTURE = frozenset((  # noqa: SIM905 - a list of 70 quoted names is harder to read
    "BACKEND BASIS BEAM BLOCSIZE BW BYTES_PER_SECOND CONTINUE DADA_VERSION DEC DEC_STR DIRECTIO "
    "DROPAVG DROPBLK DROPTOT END FD_POLN FILE_NAME FILE_NUMBER FILE_SIZE FREQ FRONTEND HDR_SIZE "
    "HDR_VERSION HEADER IBEAM INSTRUMENT MJD_EPOCH MJD_START NBIT NBITS NCHAN NDIM NDROP NPOL "
    "OBSBW OBSFREQ OBSNCHAN OBS_OFFSET OBS_OVERLAP OBS_XFER ORDER OVERLAP PICOSECONDS PIPERBLK "
    "PKTFMT PKTIDX PKTSIZE PKTSTART PKTSTOP RA RA_STR RECEIVER RESOLUTION SOURCE SRC_NAME "
    "STT_IMJD STT_OFFS STT_SMJD TBIN TELESCOP TELESCOPE TRANSFER_SIZE TSAMP UTC_START "
    "edv encoding frame_length levels order ref_epoch station threads").split())


class Cards(Mapping[str, str]):
    """The values of a text header by key: as text, or converted by a method for each type.

    Parameters
    ----------
    values : mapping
        Text by key, without quotes.
    path, where : str
        The file and the place in it, for errors.
    """

    def __init__(self, values: Mapping[str, str], path: str, where: str = "header") -> None:
        self._values, self._path, self._where = dict(values), path, where

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def error(self, key: str, allowed: str) -> FormatError:
        """Return the error for a value that is not allowed."""
        return FormatError(self._path, f"{self._where}: {key} = {self.get(key)!r}; "
                           f"allowed: {allowed}")

    def exact(self, key: str, default: str | None = None) -> Fraction:
        """Return a decimal number, exactly as written.

        A number of 25 digits or more is taken as the simple fraction of which it is the rounded
        value, as written by `decimal_text`.
        """
        text = self.get(key, default)
        if text is None:
            raise FormatError(self._path, f"{self._where} has no {key}")
        try:
            # An exponent of four digits or more would take minutes to evaluate.
            value = None if _FAR.search(text) else Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise self.error(key, "a number") from None
        if value is None or abs(value) > _LARGEST or 0 < abs(value) < _LEAST:
            raise self.error(key, f"0, or a number of size {_LEAST_TEXT} to {_LARGEST}")
        if sum(map(str.isdigit, text)) >= _MANY_DIGITS:
            simple = value.limit_denominator(_SIMPLE)
            if abs(simple - value) < abs(value) / 10 ** (_MANY_DIGITS - 1):
                return simple
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0,
                most: int = _LARGEST) -> int:
        """Return a whole number within limits; ``128.0`` is accepted."""
        value = self.exact(key, None if default is None else str(default))
        if value.denominator != 1 or not least <= value <= most:
            raise self.error(key, f"a whole number from {least} to {most}")
        return int(value)

    def index(self, key: str) -> int | None:
        """Return a whole number from 0 up, or None if there is none that can be read."""
        text = self.get(key, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def number(self, key: str) -> float | None:
        """Return a finite number, or None if there is none that can be read."""
        try:
            value = float(self[key])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def angle(self, key: str, unit: str) -> float | None:
        """Return degrees from ``18:10:37.28`` or similar, or None if the text cannot be read."""
        text = self.get(key, "")
        plain = _sexagesimal(text, unit)
        if plain is not None or not text:
            return plain
        from astropy.coordinates import Angle  # takes as long to import as everything else together

        try:
            return float(Angle(text, unit=unit).deg)
        except (ValueError, OverflowError):
            return None

    def text(self, key: str) -> str | None:
        """Return the text of a key, or None if it is empty."""
        return self.get(key, "").strip() or None


def _sexagesimal(text: str, unit: str) -> float | None:
    """Return degrees from ``18:10:37.28``, bit for bit those of astropy's `Angle`; else None."""
    match = _SEXAGESIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, minutes, seconds = match[1], int(match[2]), int(match[3]), float(match[4])
    if minutes >= 60 or seconds >= 60 or (unit == "hourangle" and whole >= 24):
        return None
    value = whole + minutes / 60
    value += seconds / 3600
    return math.copysign(value * u.Unit(unit).to(u.deg), -1 if sign == "-" else 1)


def cards_80(raw: bytes, path: str, where: str) -> Cards:
    """Parse FITS-like cards, ``KEY     = VALUE``; numbers may be quoted; the first of a key counts.

    Bytes that are not ASCII are escaped.
    """
    values: dict[str, str] = {}
    for at in range(0, len(raw) - len(raw) % 80, 80):
        card = raw[at : at + 80].decode("ascii", "backslashreplace")
        key, equals, value = card[:8].strip(), card[8:9], card[9:].strip()
        if equals != "=" or not key:
            continue
        quoted = value.startswith("'")
        values.setdefault(key, (value[1:].partition("'") if quoted else value.partition(" /"))[0]
                          .strip())
    return Cards(values, path, where)


def lines(raw: bytes, path: str, where: str) -> Cards:
    """Parse lines ``KEY VALUE  # comment``; the first of a key counts."""
    values: dict[str, str] = {}
    for line in raw.partition(b"\0")[0].decode("ascii", "backslashreplace").splitlines():
        key, _, value = line.partition("#")[0].strip().replace("\t", " ").partition(" ")
        if key:
            values.setdefault(key, value.strip())
    return Cards(values, path, where)


def same_cards(cards: Cards, first: Cards, keys: tuple[str, ...], path: str, other: str) -> None:
    """Refuse headers of one recording that differ in keys that all its files must share.

    Raises
    ------
    FormatError
        If one of the keys has another value.
    """
    for key in keys:
        if cards.get(key) != first.get(key):
            raise FormatError(path, f"{key} = {cards.get(key)}; in {other} it is {first.get(key)}: "
                              "they are not files of one recording")


def decimal_text(value: Fraction | int) -> str:
    """Format a number as decimal text: exact if 30 digits suffice, else rounded to 30 digits.

    Numbers beyond 10^30, and below 10^-30, have an exponent, so that the text fits a card.
    """
    number = Decimal(value.numerator)
    found = Context(prec=30).divide(number, Decimal(value.denominator))
    return format(found, "f" if not found or abs(found.adjusted()) <= 30 else "E")


def start_day(time: Time, path: str) -> tuple[int, Fraction]:
    """Return the day (MJD) and the seconds of a start time that text headers can record.

    Raises
    ------
    PlanError
        If the time lies before 1970 or after 2099.
    """
    day, seconds = mjd_and_seconds(time)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise PlanError(f"{path}: begins at {iso(time)}; allowed: from 1970 to 2099")
    return day, seconds


def hms_text(degrees: float, per_unit: int) -> str:
    """Format degrees as ``hh:mm:ss.sssssssss`` (`per_unit` 15) or ``dd:mm:ss.ssssssss`` (1)."""
    digits = 9 if per_unit == 15 else 8
    whole = round(abs(degrees) / per_unit * 3600 * 10**digits)
    seconds, rest = divmod(whole, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if degrees < 0 else ""
    return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:0{digits}d}"


def card_80(key: str, value: object) -> bytes:
    """Format a FITS-like card: text in quotes, numbers aligned right."""
    text = f"'{value:<8}'" if isinstance(value, str) and not _NUMBER.fullmatch(value) else (
        f"{value!s:>20}")
    return f"{key:<8}= {text}".ljust(80).encode("ascii")


def header_unit(cards: Mapping[str, object], comments: Mapping[str, str] | None = None,
                texts: Container[str] = ()) -> bytes:
    """Format the header unit of a FITS file: cards, END, and blanks up to a whole block.

    Parameters
    ----------
    cards : mapping
        Values by key: text, numbers or truth values.
    comments : mapping, optional
        Comments by key, written if they fit.
    texts : container
        Keys of texts that are quoted even if they look like numbers.
    """
    comments = comments or {}
    raw = b"".join(_fits_card(key, value, comments.get(key, ""), key in texts)
                   for key, value in cards.items()) + b"END".ljust(80)
    return raw + b" " * (-len(raw) % _FITS_BLOCK)


def _fits_card(key: str, value: object, comment: str, is_text: bool) -> bytes:
    if isinstance(value, bool):
        raw = f"{key:<8}= {'TF'[not value]:>20}".encode("ascii")
    elif isinstance(value, str) and is_text:
        raw = f"{key:<8}= '{value:<8}'".encode("ascii")
    else:
        raw = card_80(key, value).rstrip()
    commented = raw + b" / " + comment.encode() if comment else raw
    return (commented if len(commented) <= 80 else raw).ljust(80)


_FITS_BLOCK = 2880
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eEdD][-+]?[0-9]+)?")


def is_plain(text: str, most: int) -> bool:
    """Whether a text header can store a text: ASCII on one line, without quotes or `#`."""
    return (bool(text.strip()) and text == text.strip() and len(text) <= most and text.isascii()
            and text.isprintable() and not set("'#") & set(text))


def kept_cards(extra: Mapping[str, Any], longest: int, most: int
               ) -> tuple[dict[str, str], list[str]]:
    """Return the values of another header that fit into a text header, and the keys of the rest.

    Parameters
    ----------
    extra : mapping
        The other header.
    longest, most : int
        Greatest number of characters of a key and of a value.
    """
    kept, left = {}, []
    for key, value in extra.items():
        text = str(value)
        if key in _STRUCTURE:
            continue
        fits = (re.fullmatch(r"[A-Z][A-Z0-9_-]*", key) and len(key) <= longest
                and isinstance(value, (str, int, float)) and (not text or is_plain(text, most)))
        if fits:
            kept[key] = text
        else:
            left.append(key)
    return kept, left
