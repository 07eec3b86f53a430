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


# What typed fields of a header hold, or what only the files that were read are made of: GUPPI's,
# DADA's and VDIF's. A writer has values of its own for these, or no use.
_STRUCTURE = frozenset((  # noqa: SIM905 - a list of 70 quoted names is harder to read
    "BACKEND BASIS BEAM BLOCSIZE BW BYTES_PER_SECOND CONTINUE DADA_VERSION DEC DEC_STR DIRECTIO "
    "DROPAVG DROPBLK DROPTOT END FD_POLN FILE_NAME FILE_NUMBER FILE_SIZE FREQ FRONTEND HDR_SIZE "
    "HDR_VERSION HEADER IBEAM INSTRUMENT MJD_EPOCH MJD_START NBIT NBITS NCHAN NDIM NDROP NPOL "
    "OBSBW OBSFREQ OBSNCHAN OBS_OFFSET OBS_OVERLAP OBS_XFER ORDER OVERLAP PICOSECONDS PIPERBLK "
    "PKTFMT PKTIDX PKTSIZE PKTSTART PKTSTOP RA RA_STR RECEIVER RESOLUTION SOURCE SRC_NAME "
    "STT_IMJD STT_OFFS STT_SMJD TBIN TELESCOP TELESCOPE TRANSFER_SIZE TSAMP UTC_START "
    "edv encoding frame_length levels order ref_epoch station threads").split())


class Cards(Mapping[str, str]):
    """Values of a text header by key, as text; typed where asked for.

    Parameters
    ----------
    values : mapping
        Text by key; quotes are gone.
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
        """The error of a value that is not allowed."""
        return FormatError(self._path, f"{self._where}: {key} = {self.get(key)!r}; "
                           f"allowed: {allowed}")

    def exact(self, key: str, default: str | None = None) -> Fraction:
        """A decimal number, exactly as written.

        With 25 digits and more it is the simple fraction that it is the rounding of, as
        `decimal_text` writes one.
        """
        text = self.get(key, default)
        if text is None:
            raise FormatError(self._path, f"{self._where} has no {key}")
        try:
            # A power with four digits or more would take minutes to raise.
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
        """A whole number within limits; ``128.0`` is one."""
        value = self.exact(key, None if default is None else str(default))
        if value.denominator != 1 or not least <= value <= most:
            raise self.error(key, f"a whole number from {least} to {most}")
        return int(value)

    def index(self, key: str) -> int | None:
        """A whole number from 0, or None where there is none to be read."""
        text = self.get(key, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def number(self, key: str) -> float | None:
        """A finite number, or None where there is none to be read."""
        try:
            value = float(self[key])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def angle(self, key: str, unit: str) -> float | None:
        """Degrees from ``18:10:37.28`` and the like, or None where that cannot be read."""
        text = self.get(key, "")
        plain = _sexagesimal(text, unit)
        if plain is not None or not text:
            return plain
        from astropy.coordinates import Angle  # takes as long to load as all else together

        try:
            return float(Angle(text, unit=unit).deg)
        except (ValueError, OverflowError):
            return None

    def text(self, key: str) -> str | None:
        """Text that is not empty, or None."""
        return self.get(key, "").strip() or None


def _sexagesimal(text: str, unit: str) -> float | None:
    """Degrees from ``18:10:37.28``, to the bit as astropy's `Angle`; None for all other forms."""
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
    """Values of FITS-like cards, ``KEY     = VALUE``, numbers quoted or not; the first one counts.

    Text that is no ASCII comes with its odd bytes escaped.
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
    """Values of lines ``KEY VALUE  # comment``; the first one of a key counts."""
    values: dict[str, str] = {}
    for line in raw.partition(b"\0")[0].decode("ascii", "backslashreplace").splitlines():
        key, _, value = line.partition("#")[0].strip().replace("\t", " ").partition(" ")
        if key:
            values.setdefault(key, value.strip())
    return Cards(values, path, where)


def same_cards(cards: Cards, first: Cards, keys: tuple[str, ...], path: str, other: str) -> None:
    """Refuse headers of one recording that differ in what all of it has in common.

    Raises
    ------
    FormatError
        Where one of the keys has another value.
    """
    for key in keys:
        if cards.get(key) != first.get(key):
            raise FormatError(path, f"{key} = {cards.get(key)}; in {other} it is {first.get(key)}: "
                              "they are no files of one recording")


def decimal_text(value: Fraction | int) -> str:
    """A number as decimal text: exact where 30 digits are enough, else rounded to these."""
    number = Decimal(value.numerator)
    found = Context(prec=30).divide(number, Decimal(value.denominator))
    return format(found, "f")


def start_day(time: Time, path: str) -> tuple[int, Fraction]:
    """Day number and seconds of a start that readers of text headers take.

    Raises
    ------
    PlanError
        Where it lies before 1970 or after 2099.
    """
    day, seconds = mjd_and_seconds(time)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise PlanError(f"{path}: begins at {iso(time)}; allowed: from 1970 to 2099")
    return day, seconds


def hms_text(degrees: float, per_unit: int) -> str:
    """Degrees as ``hh:mm:ss.sssssssss`` (`per_unit` 15) or ``dd:mm:ss.ssssssss`` (1)."""
    digits = 9 if per_unit == 15 else 8
    whole = round(abs(degrees) / per_unit * 3600 * 10**digits)
    seconds, rest = divmod(whole, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if degrees < 0 else ""
    return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:0{digits}d}"


def card_80(key: str, value: object) -> bytes:
    """A FITS-like card: text in quotes, numbers to the right."""
    text = f"'{value:<8}'" if isinstance(value, str) and not _NUMBER.fullmatch(value) else (
        f"{value!s:>20}")
    return f"{key:<8}= {text}".ljust(80).encode("ascii")


def header_unit(cards: Mapping[str, object], comments: Mapping[str, str] | None = None,
                texts: Container[str] = ()) -> bytes:
    """Header unit of a FITS file: cards, END and the blanks that fill up a block.

    Parameters
    ----------
    cards : mapping
        Values by key: text, numbers or truth values.
    comments : mapping, optional
        Comments by key, written where they fit.
    texts : container
        Keys whose texts stay texts though they look like numbers.
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
    told = raw + b" / " + comment.encode() if comment else raw
    return (told if len(told) <= 80 else raw).ljust(80)


_FITS_BLOCK = 2880
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eEdD][-+]?[0-9]+)?")


def is_plain(text: str, most: int) -> bool:
    """Whether a text header can hold a text: ASCII on one line, no quotes and no comment."""
    return (bool(text.strip()) and text == text.strip() and len(text) <= most and text.isascii()
            and text.isprintable() and not set("'#") & set(text))


def kept_cards(extra: Mapping[str, Any], longest: int, most: int
               ) -> tuple[dict[str, str], list[str]]:
    """Values of another header that fit into a text header, and the names of those that do not.

    Parameters
    ----------
    extra : mapping
        The other header.
    longest, most : int
        Characters of a key and of a value.
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
