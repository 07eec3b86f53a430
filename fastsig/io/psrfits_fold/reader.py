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
from typing import Any

from fastsig.axes.dispersion import dm_of
from fastsig.axes.time import DUBIOUS_YEAR
from fastsig.errors import DoubtWarning, FastsigWarning, UsageError, users_line
from fastsig.io.fits.checksums import check_units
from fastsig.io.fits.layout import read_column, tables
from fastsig.io.probe import Probe
from fastsig.io.psrfits.headers import Doubt
from fastsig.io.psrfits.reader import is_folded, is_psrfits
from fastsig.io.psrfits_fold import headers as files_
from fastsig.io.psrfits_fold.description import describe
from fastsig.io.psrfits_fold.epochs import clock_of, ephemeris
from fastsig.io.psrfits_fold.headers import Dispersion, FoldFile
from fastsig.io.psrfits_fold.values import read_values, unread_values
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
        If the file is not such an archive, or contradicts itself.
    DataError
        If the archive cannot be read.
    UsageError
        If an override is not allowed.
    """
    return _opened(path, overrides)


def _opened(path: str | os.PathLike[str], overrides: Mapping[str, Any], values: Any = read_values
            ) -> Profiles:
    name = os.fspath(path)
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        found = _read(files_.opened(name), notes, overrides, values)
    for note in notes:
        kind = DoubtWarning if isinstance(note, Doubt) else FastsigWarning
        warnings.warn(note, kind, stacklevel=users_line())
    return found


def _read(file: FoldFile, notes: list[str], overrides: Mapping[str, Any], values: Any
          ) -> Profiles:
    common, special = split_overrides(dict(overrides), OPTIONS, NAME)
    label = str(special.get("label", "center"))
    if label not in _LABELS:
        raise UsageError(f"label = {label!r}; allowed: {', '.join(_LABELS)}")
    shape = files_.shape_of(file)
    history, last = files_.history_of(file)
    axis, descending, centers = files_.channels_of(file, label, common, notes)
    spread = files_.dispersion_of(file, last)
    clock = clock_of(file, common, special, spread.reference_mhz, notes)
    if "dm" in special:
        spread = spread._replace(dm=float(dm_of(special["dm"], allow_negative=True)))
    header = files_.header_of(file, axis, clock.rate(shape[3]), clock.reference, last, notes)
    header = header.replace(start_time=clock.start, **_removed(spread)).overridden(common)
    data, weights = values(file, shape, descending, notes)
    if "start_time" in common:
        clock = clock.starting(header.start_time)
    return Profiles(
        data, weights, clock.reference, clock.offsets, clock.durations, clock.periods, header,
        dm=spread.dm, rm=spread.rm, rm_removed=spread.rm_removed,
        reference_mhz=None if spread.reference_mhz is None else float(spread.reference_mhz),
        centers_mhz=centers, folded_mhz=files_.folded_width(file), predictor=clock.rows,
        ephemeris=ephemeris(file), history=tuple(history), provenance=_provenance(file),
        path=file.path)


def _removed(spread: Dispersion) -> dict[str, Any]:
    """Return the fields of a header for dispersion that was removed between channels."""
    if not spread.dm_removed or spread.dm is None:
        return {}
    mhz = spread.reference_mhz
    return {"dm": spread.dm, "dm_reference_hz": None if mhz is None else mhz * 10**6}


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
    """Return the fields of ``fastsig info --json``; `deep` reads the values, too.

    Raises
    ------
    FormatError, DataError, UsageError
        As for `read_profiles`.
    """
    return describe(_opened(path, overrides, read_values if deep else unread_values), NAME)


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
