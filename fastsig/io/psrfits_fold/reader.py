"""Reader of PSRFITS in fold mode: pulse profiles by subintegration, product, channel and phase.

Values are ``DATA DAT_SCL + DAT_OFFS``, with each operation in float32; those of channels with the
weight 0 are NaN.

References
----------
A. W. Hotan, W. van Straten and R. N. Manchester, PASA 21, 302 (2004); PSRFITS definition, version
5.4 (2014), ATNF.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import TimeDelta
from numpy.typing import NDArray

from fastsig.axes.dispersion import dm_of
from fastsig.axes.time import DUBIOUS_YEAR, day_and_seconds, later, time_from_mjd
from fastsig.axes.units import exact
from fastsig.errors import DoubtWarning, FastsigWarning, FormatError, UsageError
from fastsig.io.fits.checksums import check_units
from fastsig.io.fits.layout import read_column, tables
from fastsig.io.probe import Probe
from fastsig.io.psrfits import headers as search
from fastsig.io.psrfits.headers import Doubt
from fastsig.io.psrfits.reader import is_folded, is_psrfits
from fastsig.io.psrfits_fold import headers as files_
from fastsig.io.psrfits_fold.description import describe
from fastsig.io.psrfits_fold.headers import FoldFile
from fastsig.io.psrfits_fold.predictor import nearest_row, read_polyco, turns
from fastsig.pulsar.profiles import Profiles
from fastsig.stream.header import split_overrides

__all__ = ["KINDS", "NAME", "NO_STREAM", "OPTIONS", "info", "read_profiles", "sniff", "verify"]

NAME, KINDS = "psrfits_fold", ("profiles",)

#: The error where a stream in time is needed.
NO_STREAM = ("PSRFITS of folded profiles; allowed here: a stream in time. For profiles use fastsig "
             "info, validate, view, convert and cut, and fastsig.open_profiles")

#: Overrides of this format.
OPTIONS = ("period", "dm", "label")

_LABELS = ("center", "lower", "upper")
_LONGEST_S = 1e9

F8 = NDArray[np.float64]


def sniff(probe: Probe) -> bool:
    """Whether a PSRFITS file states in its first header that it contains folded profiles."""
    return is_psrfits(probe) and is_folded(probe)


def read_profiles(path: str | os.PathLike[str], **overrides: Any) -> Profiles:
    """Read an archive of profiles.

    Parameters
    ----------
    path : path
        The file.
    **overrides
        The common overrides of `fastsig.open`, and those of the format:

        - ``period=0.7s``: the folding period, for a file that does not state it;
        - ``dm=30``: the dispersion measure, pc cm^-3, instead of that of the file;
        - ``label=center | lower | upper``: the part of a channel to which DAT_FREQ refers.

    Raises
    ------
    FormatError
        If the file is no such archive, or contradicts itself.
    DataError
        If it cannot be read.
    UsageError
        If an override is not allowed.
    """
    name = os.fspath(path)
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        found = _read(files_.opened(name), notes, overrides)
    for note in notes:
        kind = DoubtWarning if isinstance(note, Doubt) else FastsigWarning
        warnings.warn(note, kind, stacklevel=2)
    return found


def _read(file: FoldFile, notes: list[str], overrides: Mapping[str, Any]) -> Profiles:
    common, special = split_overrides(dict(overrides), OPTIONS, NAME)
    label = str(special.get("label", "center"))
    if label not in _LABELS:
        raise UsageError(f"label = {label!r}; allowed: {', '.join(_LABELS)}")
    shape = files_.shape_of(file)
    history, last = files_.history_of(file)
    axis, descending, centers = files_.channels_of(file, label, common, notes)
    reference = search.start_of(file.primary, file.path, common)
    offsets, durations = _times(file, notes)
    rows = read_polyco(file.path, file.others["POLYCO"]) if "POLYCO" in file.others else ()
    if rows and (file.table.cards.text("EPOCHS") or "").upper() != "VALID":
        offsets = _at_phase_zero(file, rows, reference, offsets, notes)
    periods = _periods(file, rows, reference, offsets, special, notes)
    header = files_.header_of(file, axis, _rate(file, shape, periods, durations), reference, notes)
    header = header.replace(start_time=later(
        time_from_mjd(*reference), TimeDelta(offsets[0] - durations[0] / 2, format="sec",
                                             scale="tai")))
    spread = files_.dispersion_of(file, last)
    if "dm" in special:
        spread = spread._replace(dm=float(dm_of(special["dm"], allow_negative=True)))
    if spread.dm_removed and spread.dm is not None:
        header = header.replace(dm=spread.dm, dm_reference_hz=None if spread.reference_mhz is None
                                else spread.reference_mhz * 10**6)
    data, weights = _values(file, shape, descending, notes)
    if "start_time" in common:
        given = header.overridden({"start_time": common["start_time"]}).start_time
        reference, offsets = _moved(given, reference, offsets, durations)
    return Profiles(
        data, weights, reference, offsets, durations, periods, header.overridden(common),
        dm=spread.dm, rm=spread.rm, rm_removed=spread.rm_removed,
        reference_mhz=None if spread.reference_mhz is None else float(spread.reference_mhz),
        centers_mhz=centers, predictor=rows, ephemeris=_ephemeris(file), history=tuple(history),
        provenance=_provenance(file), path=file.path)


def _column(file: FoldFile, name: str) -> F8 | None:
    if name not in file.table.columns:
        return None
    return np.asarray(read_column(file.path, file.table, name), np.float64).reshape(
        file.table.n_row, -1)


def _times(file: FoldFile, notes: list[str]) -> tuple[F8, F8]:
    """Return epochs after STT_* and durations, s."""
    found, lengths = _column(file, "OFFS_SUB"), _column(file, "TSUBINT")
    n = file.table.n_row
    durations = np.zeros(n) if lengths is None else lengths[:, 0]
    if not (np.isfinite(durations) & (durations >= 0) & (durations < _LONGEST_S)).all():
        raise FormatError(file.path, "TSUBINT is not a time in some rows; allowed: 0 to 1e9 s")
    if found is None:
        notes.append(f"{file.path}: no column OFFS_SUB; subintegrations follow one another")
        return np.cumsum(durations) - durations / 2, durations
    offsets = found[:, 0]
    if not (np.isfinite(offsets) & (np.abs(offsets) < _LONGEST_S)).all():
        raise FormatError(file.path, "OFFS_SUB is not a time in some rows; allowed: up to 1e9 s")
    return offsets, durations


def _at_phase_zero(file: FoldFile, rows: Any, reference: tuple[int, Fraction], offsets: F8,
                   notes: list[str]) -> F8:
    """Return epochs moved to the nearest phase 0 of the polyco, where the file has other times."""
    moved = offsets.copy()
    for k, offset in enumerate(offsets):
        at = day_and_seconds(reference[0], reference[1] + Fraction(float(offset)))
        row = nearest_row(rows, *at)
        if row is not None:
            phase, frequency = turns(row, *at)
            moved[k] -= float(phase - round(phase)) / frequency
    notes.append(Doubt(f"{file.path}: EPOCHS = {file.table.cards.text('EPOCHS')!r}: the epochs are "
                       "not times of phase 0; the nearest ones by POLYCO are used"))
    return moved


def _periods(file: FoldFile, rows: Any, reference: tuple[int, Fraction], offsets: F8,
             special: Mapping[str, Any], notes: list[str]) -> F8:
    """Return the folding period at each epoch, s: by POLYCO, PERIOD or CAL_FREQ, or by F0."""
    if "period" in special:
        period = float(exact(special["period"], "s", "period"))
        if not 0 < period < _LONGEST_S:
            raise UsageError(f"period = {special['period']}; allowed: above 0 s")
        return np.full(len(offsets), period)
    column = _column(file, "PERIOD")
    found = np.full(len(offsets), np.nan) if column is None else column[:, 0].copy()
    found[~((found > 0) & (found < _LONGEST_S))] = np.nan
    for k, offset in enumerate(offsets if rows else ()):
        at = day_and_seconds(reference[0], reference[1] + Fraction(float(offset)))
        row = nearest_row(rows, *at)
        frequency = 0.0 if row is None else turns(row, *at)[1]
        if frequency > 0:
            found[k] = 1 / frequency
    calibration = file.primary.number("CAL_FREQ") or 0
    if np.isnan(found).any() and calibration > 0 and "CAL" in (file.primary.text("OBS_MODE") or ""):
        found[np.isnan(found)] = 1 / calibration
    lost = np.isnan(found)
    if lost.any():
        own, words = _spin(file), "not known; --set period=0.7s supplies it"
        if own is not None:
            found[lost] = own
            words = "taken from the pulsar's parameters, without the Doppler shift"
        where = "T2PREDICT is not evaluated" if "T2PREDICT" in file.others else (
            "POLYCO does not cover all epochs" if rows else "no POLYCO")
        notes.append(Doubt(f"{file.path}: {where}; the folding period is {words}"))
    return found


def _spin(file: FoldFile) -> float | None:
    """Return the period by F0 or P0 of PSRPARAM, s."""
    for line in _ephemeris(file).splitlines():
        key, *rest = line.split()
        if key.upper() in ("F0", "F", "P0", "P", "PERIOD") and rest:
            try:
                value = float(rest[0].upper().replace("D", "E"))
            except ValueError:
                continue
            if 1e-6 < value < 1e6:
                return 1 / value if key.upper() in ("F0", "F") else value
    return None


def _rate(file: FoldFile, shape: tuple[int, ...], periods: F8, durations: F8) -> Fraction:
    """Return the rate of the folded samples from TBIN, else that of the bins."""
    interval = file.table.cards.number("TBIN")
    if interval is not None and 1e-12 < interval < 1e6:
        return 1 / file.table.cards.exact("TBIN")
    period = periods[0] if np.isfinite(periods[0]) else float(durations[0]) or 1.0
    return Fraction(shape[3]) / Fraction(repr(float(period)))


def _moved(given: Any, reference: tuple[int, Fraction], offsets: F8, durations: F8
           ) -> tuple[tuple[int, Fraction], F8]:
    """Return reference and offsets for a start of the first subintegration given by the user."""
    from fastsig.axes.time import mjd_and_seconds

    return mjd_and_seconds(given), offsets - (offsets[0] - durations[0] / 2)


def _values(file: FoldFile, shape: tuple[int, ...], descending: bool, notes: list[str]
            ) -> tuple[NDArray[np.float32], F8]:
    """Return profiles (subint, product, chan, bin) and weights (subint, 1, chan, 1)."""
    n_subint, n_pol, n_chan, _ = shape
    raw = read_column(file.path, file.table, "DATA").reshape(shape)
    data = raw.astype(np.float32)
    for name, apply in (("DAT_SCL", np.multiply), ("DAT_OFFS", np.add)):
        if name in file.table.columns:
            each = read_column(file.path, file.table, name).astype(np.float32)
            with np.errstate(all="ignore"):
                apply(data, each.reshape(n_subint, n_pol, n_chan, 1), out=data)
    weights = _column(file, "DAT_WTS")
    weights = np.ones((n_subint, n_chan)) if weights is None else weights
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        notes.append(f"{file.path}: {int(wrong.sum())} of DAT_WTS are negative or not numbers; "
                     "taken as 0")
    lost = wrong | ~np.isfinite(data).all(axis=(1, 3))
    if (lost & ~wrong & (weights > 0)).any():
        notes.append(f"{file.path}: {int((lost & ~wrong & (weights > 0)).sum())} channels of "
                     "subintegrations have values that are not finite; their weight is set to 0")
    weights = np.where(lost, 0.0, weights)
    data[np.broadcast_to((weights == 0)[:, None, :, None], shape)] = np.nan
    weights = weights[:, None, :, None]
    if descending:
        data, weights = np.ascontiguousarray(data[:, :, ::-1]), weights[:, :, ::-1].copy()
    return data, weights


def _ephemeris(file: FoldFile) -> str:
    table = file.others.get("PSRPARAM")
    if table is None or "PARAM" not in table.columns or table.columns["PARAM"].code != "A":
        return ""
    lines = [bytes(each).decode("ascii", "replace").strip("\0 ") for each in
             read_column(file.path, table, "PARAM", 0, 10**4)]
    return "\n".join(filter(None, lines))


def _provenance(file: FoldFile) -> dict[str, Any]:
    """Return the provenance that fastsig wrote; empty for files of other programs."""
    table = file.others.get("FASTSIG")
    if table is None or "JSON" not in table.columns or table.columns["JSON"].code != "A":
        return {}
    text = b"".join(bytes(each).ljust(table.columns["JSON"].n_byte) for each in
                    read_column(file.path, table, "JSON", 0, 10**5))
    try:
        found = json.loads(text.decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json``.

    Raises
    ------
    FormatError, DataError, UsageError
        As for `read_profiles`.
    """
    return describe(read_profiles(path, **overrides), NAME)


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a whole archive and check its checksums; return whether all units have one.

    Raises
    ------
    FormatError, UsageError
        As for `read_profiles`.
    DataError
        If a checksum is wrong, or the file cannot be read.
    """
    read_profiles(path, **overrides)
    return check_units(os.fspath(path), tables(os.fspath(path)))
