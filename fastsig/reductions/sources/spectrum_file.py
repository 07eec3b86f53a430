"""Spectra of positions as ECSV: astropy's tables as text, which other programs read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from fastsig._version import __version__
from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import read_table, seal, table_bytes
from fastsig.io.files.safe import write_bytes
from fastsig.reductions.sources.line_fit import LineFit
from fastsig.reductions.sources.sky_spectrum import SkySpectrum

__all__ = ["KIND", "read_spectrum", "write_spectrum"]

#: Name of this kind of table in its meta.
KIND = "spectrum of a place"


def write_spectrum(spectrum: SkySpectrum, path: str | os.PathLike[str], *,
                   fit: LineFit | None = None, convention: str = "radio",
                   overwrite: bool = False) -> None:
    """Write a spectrum, and its fit if one is given, as ECSV.

    The velocities are those of the fit. Without a fit, they are in `convention`.

    Raises
    ------
    UsageError
        If its position is not known.
    OutputError
        If the file exists or cannot be written.
    """
    at = spectrum.at
    if at is None:
        raise UsageError("a spectrum without a position cannot be written as that of a position")
    table = QTable({name: getattr(spectrum, name)
                    for name in ("frequency", "flux", "noise", "expected")})
    meta: dict[str, Any] = {
        "kind": KIND, "fastsig": __version__,
        "ra_deg": float(at.icrs.ra.deg), "dec_deg": float(at.icrs.dec.deg),
        "method": spectrum.method, "radius_deg": spectrum.radius_deg,
        "rest_frequency_hz": spectrum.rest_hz, "frame": spectrum.frame,
        "scatter": float(spectrum.scatter), "correlation": [float(x) for x in spectrum.correlation],
        "cube": os.path.basename(spectrum.path), "facts": dict(spectrum.facts)}
    if fit is not None:
        table["velocity"], table["fit"], table["baseline"] = fit.velocity, fit.model, fit.baseline
        meta["fit"] = fit.record()
    elif spectrum.rest_hz:
        table["velocity"] = spectrum.velocity(convention)
        meta["convention"] = convention
    table.meta.update({**meta, **seal(table)})
    write_bytes(table_bytes(table), path, overwrite=overwrite)


def read_spectrum(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a spectrum, and the fit in its file.

    The fit consists of ``velocity``, ``fit``, ``baseline`` and ``record``, as far as the file
    contains them. Without a record, ``convention`` is that of the velocities.

    Raises
    ------
    FormatError
        If the file was not written by `write_spectrum`.
    DataError
        If the file is truncated.
    """
    table = read_table(path, kind=KIND)
    try:
        return _spectrum(table, table.meta, os.fspath(path)), _fit(table, table.meta)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its columns or meta are invalid: {error}") from error


def _spectrum(table: QTable, meta: Mapping[str, Any], path: str) -> dict[str, Any]:
    columns = {name: _filled(table[name]) for name in ("frequency", "flux", "noise", "expected")}
    columns["frequency"] = columns["frequency"].to(u.Hz)
    radius, rest = meta["radius_deg"], meta["rest_frequency_hz"]
    if {len(column) for column in columns.values()} != {len(table)} or not len(table):
        raise ValueError("columns of different lengths")
    return dict(
        **columns, scatter=float(meta["scatter"]),
        at=SkyCoord(float(meta["ra_deg"]) * u.deg, float(meta["dec_deg"]) * u.deg),
        method=str(meta["method"]), radius_deg=None if radius is None else float(radius),
        rest_hz=None if rest is None else float(rest), frame=str(meta["frame"]),
        correlation=tuple(float(number) for number in meta["correlation"]),
        facts=dict(meta["facts"]), path=path)


def _filled(column: Any) -> u.Quantity:
    """Return a column as a Quantity; masked values are NaN."""
    if hasattr(column, "unmasked"):
        mask, column = np.asarray(column.mask), column.unmasked.copy()
        column[mask] = np.nan
    return u.Quantity(column)


def _fit(table: QTable, meta: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _filled(table[name])
                             for name in ("velocity", "fit", "baseline") if name in table.colnames}
    if "fit" in found:
        found["record"] = dict(meta["fit"])
    elif "velocity" in found:
        found["convention"] = str(meta["convention"])
    return found
