"""Headers and small tables of archives that are written: cards, HISTORY, PSRPARAM, POLYCO.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fastsig._version import __version__
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import elapsed, iso, time_from_mjd
from fastsig.errors import PlanError
from fastsig.io.psrfits.written_header import decimal, fitted, pol_type
from fastsig.io.psrfits_fold.predictor import COLUMNS
from fastsig.io.psrfits_fold.units import Column, dtype_of, table_unit
from fastsig.pulsar.profiles import Profiles

__all__ = ["check", "history_unit", "parameter_unit", "polyco_unit", "primary_changes",
           "subint_cards"]

_MOST_BINS_OF_HISTORY = 32767
#: PSRCHIVE's name for a calibration of gain, differential gain and differential phase.
_SINGLE_AXIS = b"SingleAxis"
_LONGEST_COMMAND = 256

#: Columns of HISTORY as PSRCHIVE writes them: TFORM, type, unit.
_HISTORY: dict[str, tuple[str, str, str]] = {
    "DATE_PRO": ("24A", "S24", ""), "PROC_CMD": ("256A", "S256", ""), "SCALE": ("8A", "S8", ""),
    "POL_TYPE": ("8A", "S8", ""), "NSUB": ("1J", ">i4", ""), "NPOL": ("1I", ">i2", ""),
    "NBIN": ("1I", ">i2", ""), "NBIN_PRD": ("1I", ">i2", ""), "TBIN": ("1D", ">f8", "s"),
    "CTR_FREQ": ("1D", ">f8", "MHz"), "NCHAN": ("1J", ">i4", ""), "CHAN_BW": ("1D", ">f8", "MHz"),
    "DM": ("1D", ">f8", "CM-3"), "RM": ("1D", ">f8", "RAD"), "PR_CORR": ("1I", ">i2", ""),
    "FD_CORR": ("1I", ">i2", ""), "BE_CORR": ("1I", ">i2", ""), "RM_CORR": ("1I", ">i2", ""),
    "DEDISP": ("1I", ">i2", ""),
    **dict.fromkeys(("DDS_MTHD", "SC_MTHD", "CAL_MTHD"), ("32A", "S32", "")),
    "CAL_FILE": ("256A", "S256", ""),
    **dict.fromkeys(("RFI_MTHD", "RM_MODEL"), ("32A", "S32", "")),
    "AUX_RM_C": ("1I", ">i2", ""), "DM_MODEL": ("32A", "S32", ""), "AUX_DM_C": ("1I", ">i2", ""),
}


def check(profiles: Profiles) -> None:
    """Refuse profiles that PSRFITS cannot contain.

    Raises
    ------
    PlanError
        If there are no subintegrations, the products are not known to PSRFITS, or the reference
        frequency is infinite.
    """
    path, names = profiles.path, profiles.names
    if not profiles.n_subint:
        raise PlanError(f"{path}: no subintegrations; allowed: 1 or more")
    if names not in PRODUCTS.values() and any(len(name) != 2 for name in names):
        raise PlanError(f"{path}: psrfits does not know the products {', '.join(names)}; allowed: "
                        f"{'; '.join(', '.join(each) for each in PRODUCTS.values())}")
    if profiles.dedispersed and profiles.header.dm_reference_hz is None:
        raise PlanError(f"{path}: psrfits has no place for an infinite reference frequency; "
                        "allowed: profiles aligned at another one, by dedisperse(ref='top')")
    for row in profiles.predictor:
        for key in ("REF_MJD", "REF_PHS", "REF_F0"):
            if Fraction(row[key]) != Fraction(float(row[key])):
                raise PlanError(f"{path}: {key} = {row[key]} of the polyco is not a number that "
                                "double precision holds exactly, as psrfits requires")


def primary_changes(profiles: Profiles) -> dict[str, object]:
    """Return the cards of the primary header that differ from those of search mode."""
    day, seconds = profiles.reference
    return {**_diode(profiles), "OBS_MODE": "PSR", "STT_IMJD": day, "STT_SMJD": int(seconds // 1),
            "STT_OFFS": decimal(seconds % 1), "DATE-OBS": iso(profiles.header.start_time)[:23],
            "SCANLEN": decimal(Fraction(repr(profiles.duration)))}


def _diode(profiles: Profiles) -> dict[str, object]:
    """Return the cards for the noise diode, if its schedule is known.

    Without a polyco, PSRCHIVE would take CAL_FREQ for the folding frequency.
    """
    diode = profiles.header.diode
    if diode is None or not profiles.predictor:
        return {}
    period = Fraction(diode.period_ticks, diode.ticks_per_second)
    return {"CAL_MODE": "EXT1", "CAL_FREQ": decimal(1 / period),
            "CAL_DCYC": decimal(Fraction(diode.on_ticks, diode.period_ticks)),
            "CAL_PHS": decimal(Fraction(diode.first_tick % diode.period_ticks,
                                        diode.period_ticks)), "CAL_NPHS": 2}


def subint_cards(profiles: Profiles) -> dict[str, object]:
    """Return the cards of SUBINT beyond those of its columns."""
    header = profiles.header
    axis = header.require_channels(profiles.path)
    basis = header.polarization
    return {
        "INT_TYPE": "TIME", "INT_UNIT": "SEC", "SCALE": _scale(profiles),
        "POL_TYPE": _pol_type(basis), "NPOL": profiles.n_product,
        "TBIN": decimal(1 / header.sample_rate), "NBIN": profiles.n_bin,
        "NBIN_PRD": profiles.n_bin, "PHS_OFFS": 0.0, "NBITS": 1, "ZERO_OFF": 0.0, "SIGNINT": 0,
        "NSUBOFFS": 0, "NCHAN": axis.n_chan, "CHAN_BW": decimal(axis.step_hz / 10**6),
        "NCHNOFFS": 0, "NSBLK": 1, "NSTOT": 1, **_dispersion(profiles), "EPOCHS": "VALID",
        **_own(profiles),
    }


def _scale(profiles: Profiles) -> str:
    return "Jansky" if profiles.header.unit == "Jy" else "FluxDen"


def _pol_type(basis: PolBasis) -> str:
    known = {PRODUCTS["I"]: "INTEN", PRODUCTS["IQUV"]: "STOKE"}
    return known.get(basis.names) or pol_type(basis)


def _dispersion(profiles: Profiles) -> dict[str, object]:
    """Return DM, RM and the frequency to which both refer."""
    reference = profiles.dispersion_reference_hz
    dm = profiles.header.dm if profiles.dedispersed else profiles.dm
    return {"DM": _number(dm), "RM": _number(profiles.rm),
            **({} if reference is None else {"REFFREQ": decimal(reference / 10**6)})}


def _number(value: float | None) -> str:
    return decimal(Fraction(repr(float(value or 0))))


def _own(profiles: Profiles) -> dict[str, object]:
    """Return cards for what PSRFITS has no place for, which fastsig reads and others ignore."""
    header, basis = profiles.header, profiles.header.polarization
    out: dict[str, object] = {}
    if header.unit not in (None, "Jy"):
        out["UNIT"] = fitted(header.unit)
    if (basis.sign_q, basis.sign_v) != (1, 1):
        out |= {"SIGN_Q": basis.sign_q, "SIGN_V": basis.sign_v}
    if basis.n_recorded != PolBasis().n_recorded:
        out["NRECPOL"] = basis.n_recorded
    if basis.frame != "receiver":
        out["POLFRAME"] = basis.frame
    if basis.handedness != PolBasis().handedness:
        out["POLHAND"] = fitted(basis.handedness)
    out["SUBSTART"] = decimal(_first_start(profiles))
    if profiles.folded_mhz is not None:
        out["FOLDBW"] = decimal(Fraction(repr(profiles.folded_mhz)))
    if header.dispersion_constant != DISPERSION_CONSTANT:
        out["DISPCNST"] = decimal(header.dispersion_constant)
    return out


def _first_start(profiles: Profiles) -> Fraction:
    """Return the start of the first subintegration, s after STT_*, to 1e-12 s."""
    exact = elapsed(time_from_mjd(*profiles.reference), profiles.header.start_time)
    return Fraction(round(exact * 10**12), 10**12)


def history_unit(profiles: Profiles) -> bytes:
    """Return HISTORY: the steps of the profiles, and a last row with what holds now."""
    steps = list(profiles.history)
    own = ("", f"fastsig {__version__}")
    if steps[-1:] != [own]:
        steps.append(own)
    columns = [Column(name, form, dtype, 1, unit) for name, (form, dtype, unit) in
               _HISTORY.items()]
    rows = np.zeros(len(steps), dtype_of(columns))
    for column in columns:
        if column.dtype.startswith("S"):
            rows[column.name] = b"NONE"
    for row, (date, command) in zip(rows, steps, strict=True):
        row["DATE_PRO"], row["PROC_CMD"] = _ascii(date), _ascii(command)
    for name, value in _now(profiles).items():
        rows[name][-1] = value
    for row in rows[:-1]:
        row["SCALE"], row["POL_TYPE"] = b"", b""
    return table_unit("HISTORY", columns, rows)


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")[:_LONGEST_COMMAND]


def _now(profiles: Profiles) -> dict[str, Any]:
    header = profiles.header
    axis = header.require_channels(profiles.path)
    reference = profiles.dispersion_reference_hz
    n_bin = profiles.n_bin if profiles.n_bin <= _MOST_BINS_OF_HISTORY else 0
    return {
        "SCALE": _scale(profiles).encode(), "POL_TYPE": _pol_type(header.polarization).encode(),
        "NSUB": profiles.n_subint, "NPOL": profiles.n_product, "NBIN": n_bin, "NBIN_PRD": n_bin,
        "TBIN": np.nan_to_num(profiles.period / profiles.n_bin),
        "CTR_FREQ": 0.0 if reference is None else float(reference / 10**6),
        "NCHAN": profiles.n_chan, "CHAN_BW": float(axis.step_hz / 10**6),
        "DM": header.dm or 0.0, "RM": (profiles.rm or 0.0) if profiles.rm_removed else 0.0,
        "RM_CORR": int(profiles.rm_removed), "DEDISP": int(profiles.dedispersed),
        **dict.fromkeys(("FD_CORR", "PR_CORR"), int(header.polarization.frame == "sky")),
        "CAL_MTHD": _SINGLE_AXIS if header.polarization.calibrated else b"NONE",
    }


def parameter_unit(profiles: Profiles) -> bytes:
    """Return PSRPARAM, the lines of the par file; nothing if there is none."""
    lines = [line.encode("ascii", "replace")[:128] for line in profiles.ephemeris.splitlines()
             if line.strip()]
    if not lines:
        return b""
    column = Column("PARAM", "128A", "S128")
    rows = np.zeros(len(lines), dtype_of([column]))
    rows["PARAM"] = lines
    return table_unit("PSRPARAM", [column], rows)


def polyco_unit(profiles: Profiles) -> bytes:
    """Return POLYCO; nothing if there is none."""
    if not profiles.predictor:
        return b""
    terms = max(15, *(len(row["COEFF"]) for row in profiles.predictor))
    columns = [Column(name, form or f"{terms}D", dtype, 1 if form else terms, unit)
               for name, (form, dtype, unit) in COLUMNS.items()]
    rows = np.zeros(len(profiles.predictor), dtype_of(columns))
    usual = {"NPBLK": len(rows), "NSITE": "", "REF_FREQ": 0.0, "PRED_PHS": 0.0, "LGFITERR": 0.0,
             "DATE_PRO": "", "POLYVER": ""}
    for target, row in zip(rows, profiles.predictor, strict=True):
        values = {**usual, "NCOEF": len(row["COEFF"]), **row}
        for name in COLUMNS:
            value = values[name]
            if name == "COEFF":
                target[name][: len(value)] = value
            else:
                target[name] = value.encode("ascii", "replace") if isinstance(value, str) else value
    return table_unit("POLYCO", columns, rows)
