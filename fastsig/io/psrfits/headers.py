"""Headers of PSRFITS files in search mode: shape, codes, products, frequencies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import FormatError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY, Cards
from fastsig.io.fits.layout import Table, read_column, tables
from fastsig.io.fits.pulsar_cards import to_sigproc
from fastsig.io.fits.single_dish import exact_float, kept
from fastsig.io.psrfits.clock import Piece
from fastsig.stream.header import Header

__all__ = ["FOLDED", "Doubt", "Layout", "SearchFile", "channel_axis", "frequencies", "header_of",
           "layout_of", "opened", "piece_of", "products_of", "rate_of", "same_band", "start_of"]

_BITS = {1: "B", 2: "B", 4: "B", 8: "B", 16: "I", 32: "E"}
#: Values of OBS_MODE of files with folded profiles.
FOLDED = ("PSR", "CAL", "LEVCAL", "FOLD", "PCM")
_STOKES = {"AA+BB": "I", "INTEN": "I", "I": "I", "STOKE": "IQUV", "STOKES": "IQUV"}
_EVEN = 0.01  # of a channel; a label may be this far from its place


class Doubt(str):
    """A note on something that a header leaves open; other notes state what is wrong."""


class Layout(NamedTuple):
    """The layout of numbers in the rows of a scan.

    Parameters
    ----------
    n_block, n_pol, n_chan, n_bits : int
        NSBLK, NPOL, NCHAN, NBITS.
    names : tuple of str
        Names of the products.
    known : bool
        Whether POL_TYPE specifies the products.
    zero_off : float
        ZERO_OFF of the header.
    shift : float
        TZERO of DATA.
    signed : bool or None
        SIGNINT; None where it is missing.
    """

    n_block: int
    n_pol: int
    n_chan: int
    n_bits: int
    names: tuple[str, ...]
    known: bool
    zero_off: float
    shift: float
    signed: bool | None

    @property
    def row_bits(self) -> int:
        """Number of bits of a spectrum."""
        return self.n_pol * self.n_chan * self.n_bits


class SearchFile(NamedTuple):
    """A file: its name, primary header and table of rows."""

    path: str
    primary: Cards
    table: Table


def opened(path: str) -> SearchFile:
    """Read the headers of a file in search mode.

    Raises
    ------
    FormatError
        Where there is no table SUBINT, or it contains folded data.
    """
    units = tables(path)
    found = [unit for unit in units if unit.kind == "BINTABLE" and unit.name == "SUBINT"]
    if not found:
        raise FormatError(path, "PSRFITS without a table SUBINT; it contains "
                          f"{', '.join(unit.name for unit in units)}")
    primary, table = units[0].cards, found[0]
    mode = (primary.text("OBS_MODE") or "SEARCH").upper()
    n_bin = table.cards.number("NBIN") or 1
    if mode in FOLDED or n_bin > 1:
        raise FormatError(path, f"PSRFITS of folded profiles (OBS_MODE = {mode!r}, NBIN = "
                          f"{n_bin:g}); allowed here: search mode, OBS_MODE = 'SEARCH'")
    table.require(path, "DATA")
    return SearchFile(path, primary, table)


def layout_of(file: SearchFile, notes: list[str]) -> Layout:
    """Return the layout of numbers in the rows of a file.

    Raises
    ------
    FormatError
        Where the header contradicts itself, or cannot be honoured.
    """
    path, cards, column = file.path, file.table.cards, file.table.columns["DATA"]
    n_bits = cards.integer("NBITS", 8)
    if n_bits not in _BITS:
        raise cards.error("NBITS", ", ".join(map(str, _BITS)))
    n_pol = cards.integer("NPOL", least=1, most=4)
    n_chan = cards.integer("NCHAN", least=1, most=2**28)
    n_block = cards.integer("NSBLK", least=1, most=2**32)
    n_byte = -(-n_block * n_pol * n_chan * n_bits // 8)
    if column.code not in (_BITS[n_bits], "X") or column.n_byte != n_byte:
        raise FormatError(path, f"a row of DATA has {column.n_byte} bytes of TFORM code "
                          f"{column.code}; NSBLK x NPOL x NCHAN = {n_block} x {n_pol} x {n_chan} "
                          f"of NBITS = {n_bits} need {n_byte} of {_BITS[n_bits]}")
    if column.scale != 1:
        raise FormatError(path, f"TSCAL of DATA is {column.scale:g}; allowed: 1, since DAT_SCL "
                          "is the scale")
    _check_order(file, (n_block, n_pol, n_chan), n_bits, notes)
    names, known = products_of(cards, n_pol, path, notes)
    sign = cards.number("SIGNINT")
    if sign is None and n_bits <= 8 and set(names) - {"AA", "BB", "I"}:
        notes.append(Doubt(
            f"{path}: no SIGNINT states whether {', '.join(names)} are signed; taken as unsigned "
            "(signed=yes: all are signed; signed=cross: all but AA, BB and I are)"))
    zero_off = cards.number("ZERO_OFF") or 0.0
    if abs(zero_off) > 2**32 or abs(column.zero) > 2**32:
        raise cards.error("ZERO_OFF", "a number up to 2^32, as for TZERO of DATA")
    return Layout(n_block, n_pol, n_chan, n_bits, names, known, zero_off, column.zero,
                  None if sign is None else sign != 0)


def _check_order(file: SearchFile, shape: tuple[int, int, int], n_bits: int, notes: list[str]
                 ) -> None:
    """Compare TDIM with (channel, polarisation, time), the first of which varies fastest."""
    dim = file.table.columns["DATA"].dim
    found = [int(each) for each in re.findall(r"\d{1,12}", dim) if int(each) != 1]
    n_block, n_pol, n_chan = shape
    # For codes below 8 bits, bytes are counted along the channels or along time.
    allowed = [[n for n in (chan, n_pol, time) if n != 1] for chan, time in (
        (n_chan, n_block), (n_chan * n_bits // 8, n_block), (n_chan, n_block * n_bits // 8))]
    if not found or found in allowed:
        return
    said = f"TDIM of DATA is {dim}, NCHAN, NPOL and NSBLK are {n_chan}, {n_pol} and {n_block}"
    if any(sorted(found) == sorted(each) for each in allowed):
        raise FormatError(file.path, f"{said}: another order; allowed: (1, NCHAN, NPOL, NSBLK)")
    notes.append(f"{file.path}: {said}; TDIM is ignored")


def products_of(cards: Cards, n_pol: int, path: str, notes: list[str]
              ) -> tuple[tuple[str, ...], bool]:
    """Return the names of the products, and whether POL_TYPE specifies them."""
    stated = (cards.text("POL_TYPE") or "").upper()
    names = PRODUCTS.get(_STOKES.get(stated, stated))
    if names is not None and len(names) == n_pol:
        return names, True
    if stated and len(stated) == 2 * n_pol and stated.isalnum():
        return tuple(stated[i : i + 2] for i in range(0, len(stated), 2)), False
    guess = {1: "I", 2: "AABB", 4: "AABBCRCI"}.get(n_pol)
    if not stated and guess is not None:
        notes.append(Doubt(f"{path}: no POL_TYPE names its {n_pol} products; taken as "
                           f"{', '.join(PRODUCTS[guess])}"))
        return PRODUCTS[guess], False
    notes.append(Doubt(f"{path}: POL_TYPE = {stated!r} with NPOL = {n_pol} is not known; products "
                       "are named by their numbers"))
    return tuple(f"P{i}" for i in range(n_pol)), False


def rate_of(file: SearchFile, common: Mapping[str, Any]) -> Fraction:
    """Return the spectra per second from TBIN; 1 where the user specifies the rate."""
    cards = file.table.cards
    if "sample_rate" in common:
        return Fraction(1)
    if "TBIN" not in cards:
        raise FormatError(file.path, "SUBINT has no TBIN; give --set sample_rate=20345.05 "
                          "(spectra per second)")
    interval = cards.exact("TBIN")
    if not Fraction(1, 10**15) < interval < 10**9:
        raise cards.error("TBIN", "above 0 s; --set sample_rate=... replaces it")
    return 1 / interval


def piece_of(file: SearchFile, common: Mapping[str, Any]) -> Piece:
    """Return the statements of a file on its place in time."""
    primary, table, path = file.primary, file.table, file.path
    columns = table.columns

    def numbers(name: str, stop: int | None = None) -> NDArray[np.float64] | None:
        column = columns.get(name)
        if column is None or column.count != 1 or column.code not in "EDIJK":
            return None
        return np.asarray(read_column(path, table, name, 0, stop), np.float64).reshape(-1)

    start = start_of(primary, path, common)
    before = table.cards.number("NSUBOFFS")
    if before is not None and not 0 <= before < 2**40:
        raise table.cards.error("NSUBOFFS", "0 to 2^40")
    length = numbers("TSUBINT", 1)
    return Piece(path, table.n_row, start, before, numbers("OFFS_SUB"),
                 float(length[0]) if length is not None and len(length) else None)


def start_of(primary: Cards, path: str, common: Mapping[str, Any]) -> tuple[int, Fraction]:
    """Return STT_IMJD, and STT_SMJD + STT_OFFS in s; any day where the user specifies the start."""
    if "STT_IMJD" not in primary and "start_time" in common:
        return FIRST_DAY, Fraction(0)
    if "STT_IMJD" not in primary:
        raise FormatError(path, "the primary header has no STT_IMJD; give "
                          "--set start_time=2021-03-04T05:06:07.5")
    seconds = primary.exact("STT_SMJD") + primary.exact("STT_OFFS", "0")
    if not 0 <= seconds < 86402:
        raise primary.error("STT_SMJD", "0 to 86401 s, STT_OFFS included")
    return primary.integer("STT_IMJD", least=FIRST_DAY, most=LAST_DAY), seconds


def frequencies(file: SearchFile, row: int = 0) -> tuple[NDArray[np.float64], bool] | None:
    """Return the labels of the channels (MHz) in the file's order, and whether they are float32.

    Returns None where there are no usable labels.
    """
    column = file.table.columns.get("DAT_FREQ")
    n_chan = file.table.cards.integer("NCHAN")
    if column is None or column.count != n_chan or column.code not in "ED" or (
            row >= file.table.n_row):
        return None
    labels = read_column(file.path, file.table, "DAT_FREQ", row, row + 1).reshape(-1)
    if not np.isfinite(labels).all() or not labels.any() or np.abs(labels).max() > 1e9:
        return None
    return labels.astype(np.float64), column.code == "E"


def same_band(one: SearchFile, other: SearchFile) -> bool:
    """Whether two files label their channels identically, in their first and last rows."""
    a, b, c = frequencies(one), frequencies(other), frequencies(one, max(0, one.table.n_row - 1))
    if a is None or b is None or c is None:
        return a is b is c
    near = 2e-7 if a[1] or b[1] else 1e-12  # the rounding of their numbers
    return bool(np.allclose(a[0], b[0], rtol=near, atol=0)
                and np.allclose(a[0], c[0], rtol=near, atol=0))


def channel_axis(file: SearchFile, label: str, common: Mapping[str, Any], notes: list[str]
                 ) -> tuple[ChannelAxis, bool]:
    """Return the channels, and whether they are in descending order in the file.

    Parameters
    ----------
    file : SearchFile
    label : {"center", "lower", "upper"}
        The part of a channel to which DAT_FREQ refers.
    common : mapping
        Overrides, which may include a centre that the user specifies.
    notes : list of str
        Faults are appended to it.
    """
    cards, path = file.table.cards, file.path
    n_chan = cards.integer("NCHAN")
    width = cards.exact("CHAN_BW") if cards.number("CHAN_BW") else Fraction(0)
    found = frequencies(file)
    if found is None:
        return _nominal_axis(file, width * 10**6, n_chan, common, notes)
    labels, single = found
    if n_chan == 1 and not width:
        raise FormatError(path, "one channel and no CHAN_BW; allowed: a header that states its "
                          "width")
    descending = bool(n_chan > 1 and labels[-1] < labels[0])
    ascending = labels[::-1] if descending else labels
    first, last = _exact(ascending[0], single), _exact(ascending[-1], single)
    ulp = float(np.spacing(np.float32(last)) if single else np.spacing(float(last)))
    step = (last - first) / (n_chan - 1) if n_chan > 1 else abs(width)
    # CHAN_BW, if it agrees, is free of the rounding of labels.
    if width and abs(abs(width) - step) * (n_chan - 1) <= 2 * Fraction(ulp) + abs(width) / 1000:
        step = abs(width)
    if step <= 0:
        raise FormatError(path, f"DAT_FREQ goes from {labels[0]:g} to {labels[-1]:g} MHz")
    off = np.abs(ascending - (float(first) + np.arange(n_chan) * float(step)))
    worst = int(off.argmax())
    if off[worst] > _EVEN * float(step) + 2 * ulp:
        raise FormatError(path, f"DAT_FREQ is not evenly spaced: {ascending[worst]:.9g} MHz is "
                          f"{off[worst]:.3g} MHz from the expected frequency; allowed: "
                          f"{_EVEN:.0%} of a channel, {_EVEN * float(step):.3g} MHz")
    shift = {"center": Fraction(0), "lower": step / 2, "upper": -step / 2}[label]
    return ChannelAxis((first + shift) * 10**6, step * 10**6, n_chan), descending


def _exact(value: float, single: bool) -> Fraction:
    """Return a label exactly; a float32 of at most six digits is read as its decimals."""
    if not single:
        return exact_float(value)
    text = str(np.float32(value))
    return Fraction(text) if sum(map(str.isdigit, text.rstrip("0"))) <= 6 else Fraction(value)


def _nominal_axis(file: SearchFile, width: Fraction, n_chan: int, common: Mapping[str, Any],
                  notes: list[str]) -> tuple[ChannelAxis, bool]:
    """Return the channels of a file without labels, from OBSFREQ and CHAN_BW."""
    whole = file.primary.number("OBSNCHAN") in (None, float(n_chan))
    center = file.primary.number("OBSFREQ") if whole else None
    if not width or (not center and "frequency" not in common):
        raise FormatError(file.path, "DAT_FREQ contains no frequencies; give "
                          "--set frequency=1250MHz (centre of the band)"
                          + ("" if width else "; CHAN_BW must state the width of a channel"))
    middle = file.primary.exact("OBSFREQ") * 10**6 if center else Fraction(0)
    notes.append(Doubt(f"{file.path}: DAT_FREQ contains no frequencies; they are taken from "
                       "OBSFREQ and CHAN_BW"))
    first = middle - abs(width) * (n_chan - 1) / 2
    return ChannelAxis(first, abs(width), n_chan), width < 0


def header_of(file: SearchFile, layout: Layout, axis: ChannelAxis, rate: Fraction,
              start: tuple[int, Fraction]) -> Header:
    """Return the typed header of a scan, from its first file."""
    primary, cards = file.primary, file.table.cards
    feed = (primary.text("FD_POLN") or "").upper()
    kind = next((each for each in ("linear", "circular") if feed.startswith(each[:3].upper())),
                "unknown")
    beam = primary.index("IBEAM")
    keys = {"start_time": "STT_IMJD", "sample_rate": "SUBINT:TBIN", "channels": "SUBINT:DAT_FREQ",
            "polarization": "SUBINT:POL_TYPE", "n_bits": "SUBINT:NBITS", "telescope": "TELESCOP",
            "source": "SRC_NAME"}
    ra, dec = _angle(primary, "RA", "hourangle"), _angle(primary, "DEC", "deg")
    if ra == dec == 0:  # written by programs that know no position
        ra = dec = None
    return Header(
        start_time=time_from_mjd(*start), sample_rate=rate, channels=axis,
        polarization=PolBasis(kind if layout.known else "unknown",  # type: ignore[arg-type]
                              layout.names),
        n_bits=layout.n_bits, telescope=primary.text("TELESCOP"),
        receiver=primary.text("FRONTEND"), backend=primary.text("BACKEND"),
        source=primary.text("SRC_NAME"), beam=primary.index("BEAM") if beam is None else beam,
        ra_deg=ra, dec_deg=dec, extra=to_sigproc(kept(primary, cards)), origin=keys,
        **_dispersion(primary, cards),
    )


def _dispersion(primary: Cards, cards: Cards) -> dict[str, Any]:
    """Return the dispersion that was removed, if the table states its reference frequency too.

    A DM alone may be that of a source, with nothing removed. CHAN_DM was removed within channels,
    between which delays remain.
    """
    dm, reference = cards.number("DM"), cards.number("REFFREQ")
    within = primary.number("CHAN_DM")
    found: dict[str, Any] = {"coherent_dm": within} if within else {}
    if not dm or reference is None or reference <= 0:
        return found
    return {**found, "dm": dm, "dm_reference_hz": cards.exact("REFFREQ") * 10**6}


def _angle(cards: Cards, key: str, unit: str) -> float | None:
    """Return degrees from sexagesimal text, or from a plain number, which is in degrees."""
    number = cards.number(key)
    return cards.angle(key, unit) if number is None and cards.text(key) else number
