"""Headers of PSRFITS files in fold mode: shape, products, frequencies, dispersion.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF. PSRCHIVE: FITSArchive.C, whose rules of precedence
are followed: cards of SUBINT, then the last row of HISTORY, then cards of the primary unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.dispersion import constant_of
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import FormatError
from fastsig.io.files.cards import Cards
from fastsig.io.fits.layout import Table, read_column, tables
from fastsig.io.psrfits import headers as search
from fastsig.io.psrfits.headers import Doubt, SearchFile
from fastsig.stream.header import Header

__all__ = ["Dispersion", "FoldFile", "channels_of", "dispersion_of", "folded_width", "header_of",
           "history_of", "number_of", "opened", "shape_of"]

_EVEN = 0.01  # of a channel; a label may be this far from its place
_CODES = "BIJEDK"
_SIGNS = {"1": 1, "-1": -1}
_UNCALIBRATED = ("", "NONE")


class FoldFile(NamedTuple):
    """A file: its name, primary header, table of subintegrations, and other tables by name."""

    path: str
    primary: Cards
    table: Table
    others: Mapping[str, Table]


class Dispersion(NamedTuple):
    """Dispersion and Faraday rotation of a file.

    Parameters
    ----------
    dm, rm : float or None
        Measures, pc cm^-3 and rad m^-2.
    dm_removed, rm_removed : bool
        Whether their effects between channels were removed.
    reference_mhz : Fraction or None
        Frequency to which they refer.
    """

    dm: float | None
    rm: float | None
    dm_removed: bool
    rm_removed: bool
    reference_mhz: Fraction | None


def opened(path: str) -> FoldFile:
    """Read the headers of a file in fold mode.

    Raises
    ------
    FormatError
        If there is no table SUBINT, or it contains spectra in search mode, or no profiles.
    """
    units = tables(path)
    found = [unit for unit in units if unit.kind == "BINTABLE" and unit.name == "SUBINT"]
    if not found:
        raise FormatError(path, "PSRFITS without a table SUBINT; it contains "
                          f"{', '.join(unit.name for unit in units)}")
    primary, table = units[0].cards, found[0]
    mode = (primary.text("OBS_MODE") or "SEARCH").upper()
    n_bin = table.cards.number("NBIN") or 1
    if mode not in search.FOLDED and n_bin <= 1:
        raise FormatError(path, f"PSRFITS in search mode (OBS_MODE = {mode!r}); allowed here: "
                          "folded profiles, OBS_MODE = 'PSR'")
    table.require(path, "DATA")
    if not table.n_row:
        raise FormatError(path, "contains no complete subintegration")
    others = {unit.name: unit for unit in reversed(units) if unit.kind == "BINTABLE"}
    return FoldFile(path, primary, table, others)


def shape_of(file: FoldFile) -> tuple[int, int, int, int]:
    """Return the shape of the profiles: (subint, product, chan, bin).

    Raises
    ------
    FormatError
        If the header contradicts itself, or the numbers are not profiles.
    """
    path, cards, column = file.path, file.table.cards, file.table.columns["DATA"]
    n_bin = cards.integer("NBIN", least=1, most=2**31 - 1)
    n_chan = cards.integer("NCHAN", least=1, most=2**28)
    n_pol = cards.integer("NPOL", least=1, most=4)
    if column.code not in _CODES or column.count != n_bin * n_chan * n_pol:
        raise FormatError(path, f"a row of DATA has {column.count} numbers of TFORM code "
                          f"{column.code}; NBIN x NCHAN x NPOL = {n_bin} x {n_chan} x {n_pol}, and "
                          f"codes are {', '.join(_CODES)}")
    order = [n for n in map(int, re.findall(r"\d{1,12}", column.dim)) if n != 1]
    wanted = [n for n in (n_bin, n_chan, n_pol) if n != 1]
    if order and order != wanted:
        raise FormatError(path, f"TDIM of DATA is {column.dim}; allowed: ({n_bin},{n_chan},"
                          f"{n_pol}), as NBIN, NCHAN and NPOL state")
    for name, count in (("DAT_SCL", n_chan * n_pol), ("DAT_OFFS", n_chan * n_pol),
                        ("DAT_WTS", n_chan), ("OFFS_SUB", 1), ("TSUBINT", 1), ("PERIOD", 1)):
        other = file.table.columns.get(name)
        if other is not None and (other.count != count or other.code not in _CODES):
            raise FormatError(path, f"a row of {name} has {other.count} values of TFORM code "
                              f"{other.code}; allowed: {count}")
    return file.table.n_row, n_pol, n_chan, n_bin


def history_of(file: FoldFile) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return dates and commands of HISTORY, and the values of its last row by column."""
    table = file.others.get("HISTORY")
    if table is None or not table.n_row:
        return [], {}
    last: dict[str, Any] = {}
    for name in ("DEDISP", "RM_CORR", "CTR_FREQ", "DM", "RM", "PR_CORR"):
        column = table.columns.get(name)
        if column is not None and column.count == 1 and column.code in _CODES:
            last[name] = float(read_column(file.path, table, name, table.n_row - 1).reshape(-1)[0])
    texts = [[_text(each) for each in read_column(file.path, table, name)]
             if name in table.columns and table.columns[name].code == "A" else [""] * table.n_row
             for name in ("DATE_PRO", "PROC_CMD", "CAL_MTHD")]
    last["CAL_MTHD"] = texts[2][-1]
    return list(zip(*texts[:2], strict=True)), last


def _text(value: Any) -> str:
    raw = bytes(value) if isinstance(value, (bytes, np.bytes_)) else b""
    return raw.decode("ascii", "replace").strip("\0 ")


def number_of(file: FoldFile, key: str, last: Mapping[str, Any] | None = None) -> float | None:
    """Return a number of SUBINT, else of the last row of HISTORY, else of the primary header."""
    for value in (file.table.cards.number(key), (last or {}).get(key), file.primary.number(key)):
        if value is not None and np.isfinite(value):
            return float(value)
    return None


def folded_width(file: FoldFile) -> float | None:
    """Return the width of the channels that were folded, MHz, as fastsig writes it."""
    found = file.table.cards.number("FOLDBW")
    return float(found) if found is not None and 0 < found < 1e6 else None


def dispersion_of(file: FoldFile, last: Mapping[str, Any]) -> Dispersion:
    """Return dispersion and Faraday rotation; `last` is the last row of HISTORY."""
    dm = number_of(file, "DM", last)
    mhz: Fraction | None = None
    if (file.table.cards.number("REFFREQ") or 0) > 0:
        mhz = file.table.cards.exact("REFFREQ")
    elif 0 < (last.get("CTR_FREQ") or 0) < 1e9:
        mhz = Fraction(repr(last["CTR_FREQ"]))
    elif (file.primary.number("OBSFREQ") or 0) > 0:
        mhz = file.primary.exact("OBSFREQ")
    return Dispersion(dm if dm is not None and abs(dm) <= 1e6 else None,
                      number_of(file, "RM", last), last.get("DEDISP") == 1,
                      last.get("RM_CORR") == 1, mhz)


def channels_of(file: FoldFile, label: str, common: Mapping[str, Any], notes: list[str]
                ) -> tuple[ChannelAxis, bool, NDArray[np.float64] | None]:
    """Return the channels, whether the file has them in descending order, and uneven centres.

    Parameters
    ----------
    file : FoldFile
    label : {"center", "lower", "upper"}
        The part of a channel to which DAT_FREQ refers.
    common : mapping
        Overrides, which may include the centre of the band.
    notes : list of str
        Faults are appended to it.
    """
    plain = SearchFile(file.path, file.primary, file.table)
    labels = search.frequencies(plain)
    if labels is None or len(labels[0]) == 1 or _even(labels[0]):
        axis, descending = search.channel_axis(plain, label, common, notes)
        return axis, descending, None
    found, descending = labels[0], bool(labels[0][-1] < labels[0][0])
    centers = found[::-1].copy() if descending else found
    if not (np.diff(centers) > 0).all():
        raise FormatError(file.path, "DAT_FREQ neither ascends nor descends throughout")
    step = Fraction(float((centers[-1] - centers[0]) / (len(centers) - 1)))
    shift = {"center": 0.0, "lower": 0.5, "upper": -0.5}[label] * float(step)
    middle = (Fraction(float(centers[0])) + Fraction(float(centers[-1]))) / 2 + Fraction(shift)
    notes.append(Doubt(f"{file.path}: DAT_FREQ is not evenly spaced, as after weighted means over "
                       "channels; each channel keeps its own frequency"))
    axis = ChannelAxis.around(middle * 10**6, step * 10**6, len(centers))
    return axis, descending, centers + shift


def _even(labels: NDArray[np.float64]) -> bool:
    step = (labels[-1] - labels[0]) / (len(labels) - 1)
    off = np.abs(labels - (labels[0] + np.arange(len(labels)) * step)).max()
    return bool(off <= _EVEN * abs(step) + 2 * np.spacing(np.float32(np.abs(labels).max())))


def header_of(file: FoldFile, axis: ChannelAxis, rate: Fraction, start: tuple[int, Fraction],
              last: Mapping[str, Any], notes: list[str]) -> Header:
    """Return the typed header, without the dispersion that was removed.

    `last` is the last row of HISTORY.
    """
    cards = file.table.cards
    names, known = search.products_of(cards, cards.integer("NPOL"), file.path, notes)
    n_bits = 8 * file.table.columns["DATA"].dtype.itemsize
    layout = search.Layout(1, len(names), axis.n_chan, n_bits, names, known, 0.0, 0.0, None)
    plain = SearchFile(file.path, file.primary, file.table)
    header = search.header_of(plain, layout, axis, rate, start)
    scale = (cards.text("SCALE") or "").upper()
    unit = "Jy" if scale == "JANSKY" else cards.text("UNIT")
    extra = {key: value for key, value in header.extra.items() if value not in ("*", "")}
    constant = cards.number("DISPCNST")
    known_k = {"dispersion_constant": constant_of(cards.exact("DISPCNST"))} if constant else {}
    return header.replace(unit=unit, dm=None, dm_reference_hz=None, extra=extra, **known_k,
                          polarization=_signed(header.polarization, cards, last))


def _signed(basis: PolBasis, cards: Cards, last: Mapping[str, Any]) -> PolBasis:
    """Return a basis with its frame and calibration, and the signs that fastsig writes."""
    signs = {name: _SIGNS.get((cards.text(key) or "").strip(), 1)
             for name, key in (("sign_q", "SIGN_Q"), ("sign_v", "SIGN_V"))}
    on_sky = last.get("PR_CORR") == 1 or (cards.text("POLFRAME") or "").lower() == "sky"
    return replace(
        basis, frame="sky" if on_sky else "receiver",
        handedness=cards.text("POLHAND") or basis.handedness,
        calibrated=last.get("CAL_MTHD", "").upper() not in _UNCALIBRATED,
        n_recorded=1 if cards.number("NRECPOL") == 1 else 2,
        **signs)  # type: ignore[arg-type]
