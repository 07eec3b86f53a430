"""Headers of PSRFITS files that are written: the cards of the definition, and kept cards.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import iso, mjd_and_seconds
from fastsig.errors import UsageError
from fastsig.io.files.cards import decimal_text, header_unit, hms_text, kept_cards
from fastsig.io.fits.pulsar_cards import FAST_ANTENNA, OF_THE_FILE, SIGPROC, USUAL, from_sigproc
from fastsig.stream.header import Header

__all__ = ["Field", "card_unit", "decimal", "fields_of", "fitted", "lost_fields", "pol_type",
           "primary_unit", "start_of", "table_unit"]

Cards = dict[str, object]

_LONGEST = 68  # characters in the text of a card

# Comments of cards.
_COMMENTS = {
    "FITSTYPE": "FITS definition for pulsar data files", "TBIN": "[s] Time per sample",
    "NSBLK": "Samples of a row", "NBITS": "Bits of a number", "NSTOT": "Samples of this file",
    "NSUBOFFS": "Rows of the scan before this file", "CHAN_BW": "[MHz] Channel width",
    "STT_IMJD": "Start of the scan, MJD (UTC)", "STT_SMJD": "[s] after 0 h",
    "STT_OFFS": "[s] after STT_SMJD", "OBSFREQ": "[MHz] Centre of the band",
    "OBSBW": "[MHz] Width of the band", "DM": "[pc/cm3] Dispersion that was removed",
    "REFFREQ": "[MHz] Times are those at this frequency", "DAT_FREQ": "Centres of channels",
}


@dataclass(frozen=True)
class Field:
    """A column: name, letter of TFORM, type and number of its elements, unit."""

    name: str
    code: str
    dtype: str
    count: int
    unit: str = ""


def fields_of(n_block: int, n_pol: int, n_chan: int, n_bits: int) -> list[Field]:
    """Return the columns of a row, which are those of FAST."""
    n = n_pol * n_chan
    code, dtype = {8: ("B", "u1"), 16: ("I", ">i2"), 32: ("E", ">f4")}[n_bits]
    angles = ("RA_SUB", "DEC_SUB", "GLON_SUB", "GLAT_SUB")
    pointing = ("FD_ANG", "POS_ANG", "PAR_ANG", "TEL_AZ", "TEL_ZEN")
    return [
        *(Field(name, "D", ">f8", 1, "s") for name in ("TSUBINT", "OFFS_SUB", "LST_SUB")),
        *(Field(name, "D", ">f8", 1, "deg") for name in angles),
        *(Field(name, "E", ">f4", 1, "deg") for name in pointing),
        Field("DAT_FREQ", "D", ">f8", n_chan, "MHz"), Field("DAT_WTS", "E", ">f4", n_chan),
        Field("DAT_OFFS", "E", ">f4", n), Field("DAT_SCL", "E", ">f4", n),
        Field("DATA", code, dtype, n_block * n),
    ]


def pol_type(basis: PolBasis) -> str:
    """Return POL_TYPE for the products of a basis."""
    known = {names: name for name, names in PRODUCTS.items()}
    return {"I": "AA+BB"}.get(known.get(basis.names, ""), "".join(basis.names))


def start_of(header: Header) -> tuple[int, int, Fraction]:
    """Return STT_IMJD, STT_SMJD and STT_OFFS."""
    day, seconds = mjd_and_seconds(header.start_time)
    return day, int(seconds // 1), seconds % 1


def primary_unit(header: Header, n_time: int, descending: bool,
                 changes: Mapping[str, object] | None = None) -> bytes:
    """Return the primary header of a file in search mode, or with `changes` for another mode."""
    axis, kind = header.channels, header.polarization.kind
    if axis is None:
        raise UsageError("spectra need a frequency axis to be written")
    lower, upper = axis.edges_hz
    day, second, rest = start_of(header)
    sign = -1 if descending else 1
    # PRESTO, sigpyproc and `your` reject files without a position, so 0 is written for none.
    known = header.ra_deg is not None and header.dec_deg is not None
    ra = hms_text(header.ra_deg if known and header.ra_deg else 0, 15)
    dec = hms_text(header.dec_deg if known and header.dec_deg else 0, 1)
    own: Cards = {
        "HDRVER": "5.4", "FITSTYPE": "PSRFITS", "DATE": "", "TELESCOP": fitted(header.telescope),
        "FRONTEND": fitted(header.receiver), "BACKEND": fitted(header.backend),
        "FD_POLN": {"linear": "LIN", "circular": "CIRC"}.get(kind, ""), "OBS_MODE": "SEARCH",
        "DATE-OBS": iso(header.start_time)[:23],
        "OBSFREQ": decimal((lower + upper) / 2 / 10**6),
        "OBSBW": decimal(sign * (upper - lower) / 10**6), "OBSNCHAN": axis.n_chan,
        "SRC_NAME": fitted(header.source), "RA": ra, "DEC": dec, "STT_CRD1": ra, "STT_CRD2": dec,
        "STP_CRD1": ra, "STP_CRD2": dec,
        "SCANLEN": decimal(Fraction(n_time) / header.sample_rate),
        "STT_IMJD": day, "STT_SMJD": second, "STT_OFFS": decimal(rest),
    }
    if header.coherent_dm is not None:
        own["CHAN_DM"] = header.coherent_dm
    if header.beam is not None:
        own["IBEAM"] = str(header.beam)
    if header.telescope == "FAST":
        own |= FAST_ANTENNA
    kept, _ = _kept(header.extra)
    # Place FITSTYPE early, where readers look for it.
    head = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True, "HDRVER": "", "FITSTYPE": ""}
    return card_unit({**head, **USUAL, **kept, **own, **(changes or {})})


def table_unit(header: Header, fields: list[Field], n_block: int, n_bits: int, n_row: int,
               before: int, n_time: int, descending: bool, axes: int) -> bytes:
    """Return the header of SUBINT in a file of `n_row` rows, after `before` rows of the scan.

    `n_time` is the number of spectra in the rows without filling, `axes` the number of axes in
    TDIM.
    """
    axis = header.channels
    if axis is None:
        raise UsageError("spectra need a frequency axis to be written")
    n_pol = header.polarization.n_pol
    cards: Cards = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2,
        "NAXIS1": sum(np.dtype(field.dtype).itemsize * field.count for field in fields),
        "NAXIS2": n_row, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(fields), "EXTNAME": "SUBINT",
        "INT_TYPE": "TIME", "INT_UNIT": "SEC", "SCALE": "FluxDen", "NPOL": n_pol,
        "POL_TYPE": pol_type(header.polarization), "TBIN": decimal(1 / header.sample_rate),
        "NBIN": 1, "NBIN_PRD": 0, "PHS_OFFS": 0.0, "NBITS": n_bits, "ZERO_OFF": 0.0,
        "SIGNINT": int(n_bits == 16), "NSUBOFFS": before, "NCHAN": axis.n_chan,
        "CHAN_BW": decimal((-1 if descending else 1) * axis.step_hz / 10**6),
        "NCHNOFFS": 0, "NSBLK": n_block, "NSTOT": n_time,
        **{key: header.extra.get(key, 0.0) for key in ("DM", "RM")}, **_dispersion(header),
    }
    for number, field in enumerate(fields, 1):
        cards |= {f"TTYPE{number}": field.name, f"TFORM{number}": f"{field.count}{field.code}"}
        if field.unit:
            cards[f"TUNIT{number}"] = field.unit
    cards[f"TDIM{len(fields)}"] = f"({'1,' * (axes - 3)}{axis.n_chan},{n_pol},{n_block})"
    return card_unit(cards)


def _dispersion(header: Header) -> Cards:
    """Return the cards for the dispersion that was removed; without REFFREQ, none was."""
    if header.dm is None:
        return {}
    reference = header.dm_reference_hz
    return {"DM": header.dm, **({} if reference is None else {
        "REFFREQ": decimal(reference / Fraction(10**6))})}


def decimal(value: Fraction) -> str:
    """Return decimal text with a point or an exponent."""
    text = decimal_text(value)
    return text if "." in text or "E" in text else f"{text}.0"


def fitted(text: str | None) -> str:
    """Return a text that fits a card: other characters are replaced, and long texts cut off."""
    plain = (text or "").encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() and c != "'" else "?" for c in plain)[:_LONGEST]


def card_unit(cards: Mapping[str, object]) -> bytes:
    """Return a header unit with these cards, and comments where they fit."""
    return header_unit(cards, _COMMENTS, _TEXTS)


# Texts that may look like numbers but are not.
_TEXTS = frozenset(("HDRVER", "IBEAM", "SRC_NAME", "TELESCOP", "FRONTEND", "BACKEND", "OBSERVER",
                    "PROJID", "PNT_ID", "RAWFILE"))
_NUMBERS = frozenset(card for card, kind in SIGPROC.values() if kind is not str)


def _kept(extra: Mapping[str, Any]) -> tuple[Cards, list[str]]:
    """Return the cards of another header that have a place, and the names of the other cards."""
    kept, left = kept_cards(extra, 8, _LONGEST)
    own = {key: value if not isinstance(value, str) or key in _NUMBERS else fitted(value)
           for key, value in from_sigproc(extra).items()}
    return own | {key: value for key, value in kept.items()
                  if key not in OF_THE_FILE and not key.startswith(("STT_", "STP_"))}, left


def lost_fields(header: Header) -> list[str]:
    """Describe in plain words the parts of a header that PSRFITS cannot contain."""
    basis, axis, out = header.polarization, header.channels, []
    if pol_type(basis) != "AA+BB" and basis.names not in PRODUCTS.values() and (
            any(len(name) != 2 for name in basis.names)):
        out.append(f"psrfits does not know the products {', '.join(basis.names)}")
    if (basis.sign_q, basis.sign_v, basis.frame) != (1, 1, "receiver"):
        out.append("psrfits has no place for the signs of Q and V and their frame")
    if basis.n_recorded != 2:
        out.append("psrfits has no place for the number of polarisations in I")
    if header.diode is not None:
        out.append("psrfits has no place for the schedule of the noise diode")
    if axis is not None and axis.half_channel is not None:
        out.append("psrfits cannot record that a channel has half a channel's band")
    if header.n_sum != 1:
        out.append("psrfits has no place for the number of samples that a value averages")
    if header.unit is not None:
        out.append(f"psrfits has no place for the unit of values, {header.unit}")
    if header.zero_dm is not None:
        out.append("psrfits has no place for the removal of the mean over the band")
    if header.dm is not None and header.dm_reference_hz is None:
        out.append("psrfits has no place for an infinite reference frequency")
    removed = header.dm is not None or header.coherent_dm is not None
    if removed and header.dispersion_constant != DISPERSION_CONSTANT:
        out.append("psrfits has no place for the dispersion constant "
                   f"{float(header.dispersion_constant):.9g}")
    changed = [name for name in ("telescope", "receiver", "backend", "source")
               if getattr(header, name) and fitted(getattr(header, name)) != getattr(header, name)]
    raw = header.extra.get("rawdatafile")
    changed += ["rawdatafile"] if isinstance(raw, str) and fitted(raw) != raw else []
    if changed:
        out.append(f"text that a card cannot contain is changed: {', '.join(changed)}")
    _, left = _kept(header.extra)
    left = [key for key in left if not key.islower()]
    if left:
        out.append(f"psrfits has no card for {', '.join(left)}")
    return out
