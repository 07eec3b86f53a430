"""Cards of PSRFITS headers: their values where nothing is known, and cards for SIGPROC's fields.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from fastsig.io.files.cards import decimal_text

__all__ = ["FAST_ANTENNA", "OF_THE_FILE", "SIGPROC", "USUAL", "from_sigproc", "says_nothing",
           "to_sigproc"]

#: Position of the 500-m telescope for timing, m: ITRF, NAOC-pulsar/FAST_ClockFile.
FAST_ANTENNA = {"ANT_X": -1668557.2070983793, "ANT_Y": 5506838.5266271923,
                "ANT_Z": 2744934.9655897617}

#: Cards that the definition requires, with values for unknowns; a recorder's values replace these.
USUAL: dict[str, object] = {
    "OBSERVER": "", "PROJID": "", "ANT_X": 0.0, "ANT_Y": 0.0, "ANT_Z": 0.0, "NRCVR": 2,
    "FD_HAND": 1, "FD_SANG": 0.0, "FD_XYPH": 0.0, "BECONFIG": "N/A", "BE_PHASE": 0,
    "BE_DCC": 0, "BE_DELAY": 0.0, "TCYCLE": 0.0, "CHAN_DM": 0.0,
    "PNT_ID": "", "COORD_MD": "J2000", "EQUINOX": 2000.0, "BMAJ": 0.0, "BMIN": 0.0, "BPA": 0.0,
    "TRK_MODE": "TRACK", "FD_MODE": "FA", "FA_REQ": 0.0, "CAL_MODE": "OFF", "CAL_FREQ": 0.0,
    "CAL_DCYC": 0.0, "CAL_PHS": 0.0, "CAL_NPHS": 0,
}

#: Cards of a PSRFITS table and of its file, which every new file sets itself.
OF_THE_FILE = frozenset((  # noqa: SIM905 - as in fastsig.io.files.cards
    "INT_TYPE INT_UNIT SCALE POL_TYPE NBIN NBIN_PRD PHS_OFFS ZERO_OFF SIGNINT NSUBOFFS CHAN_BW "
    "NCHNOFFS NSBLK NSTOT DM RM REFFREQ HDRVER FITSTYPE DATE DATE-OBS OBS_MODE SCANLEN EXTVER "
    "EXTLEVEL EPOCHS UNIT SIGN_Q SIGN_V POLFRAME POLHAND DISPCNST FOLDBW SUBSTART").split())

#: Cards for further fields of SIGPROC's headers, by SIGPROC's keyword, and their types.
SIGPROC: dict[str, tuple[str, type]] = {
    "rawdatafile": ("RAWFILE", str), "machine_id": ("MACHINE", int),
    "az_start": ("AZ_START", float), "za_start": ("ZA_START", float),
    "barycentric": ("BARYCENT", int), "pulsarcentric": ("PULSCENT", int),
    "nbeams": ("NBEAMS", int), "refdm": ("REFDM", float),
}

# Cards whose values are in typed header fields, and keys under which the reader records options.
_TYPED = frozenset((  # noqa: SIM905
    "BACKEND BEAM DEC FD_POLN FRONTEND IBEAM NBITS NCHAN NPOL OBSBW OBSFREQ OBSNCHAN RA SRC_NAME "
    "STT_CRD1 STT_CRD2 STP_CRD1 STP_CRD2 STT_IMJD STT_OFFS STT_SMJD TBIN TELESCOP label padding "
    "repair rows signed stt weights zero_off").split())


def from_sigproc(extra: Mapping[str, Any]) -> dict[str, object]:
    """Return the cards for SIGPROC's keywords, for values of the right type."""
    found = {card: extra[key] for key, (card, kind) in SIGPROC.items()
             if isinstance(extra.get(key), kind)}
    return {card: _decimal(value) if isinstance(value, float) else value
            for card, value in found.items()}


def _decimal(value: float) -> str:
    text = decimal_text(Fraction(repr(value)))
    return text if "." in text else f"{text}.0"


def to_sigproc(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header's other values, with the cards of `from_sigproc` under SIGPROC's keywords."""
    keys = {card: (key, kind) for key, (card, kind) in SIGPROC.items()}
    return dict(_restored(name, value, *keys[name]) if name in keys else (name, value)
                for name, value in extra.items())


def _restored(card: str, value: Any, key: str, kind: type) -> tuple[str, Any]:
    try:
        return key, kind(value)
    except ValueError:  # another program's card of this name
        return card, value


def says_nothing(key: str, value: Any) -> bool:
    """Whether a card from a PSRFITS file adds nothing to the fields of a header.

    These are the cards of its table, and cards with the value for an unknown quantity.
    """
    if key in _TYPED or key in OF_THE_FILE:
        return key not in ("DM", "RM", "REFFREQ") or _is_zero(value)
    usual = [cards[key] for cards in (USUAL, FAST_ANTENNA) if key in cards]
    return any(str(value) == str(each) or (each == 0 and _is_zero(value)) or
               (isinstance(each, (int, float)) and _number(value) == each) for each in usual)


def _is_zero(value: Any) -> bool:
    return _number(value) == 0


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
