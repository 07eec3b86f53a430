"""Spectra of places as ECSV: astropy's tables as text, which other programs read."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from fastsig._version import __version__
from fastsig.errors import FormatError
from fastsig.io._positioned import write_from
from fastsig.io.safe import SafeOutput
from fastsig.reductions.line_fit import LineFit
from fastsig.reductions.sky_spectrum import SkySpectrum

__all__ = ["read_spectrum", "write_bytes", "write_spectrum"]

_KIND = "spectrum of a place"
_LARGEST = 2**28


def write_spectrum(spectrum: SkySpectrum, path: str | os.PathLike[str], *,
                   fit: LineFit | None = None, overwrite: bool = False) -> None:
    """Write a spectrum, and its fit where there is one, as ECSV.

    Raises
    ------
    OutputError
        Where the file exists or cannot be written.
    """
    table = QTable({name: getattr(spectrum, name)
                    for name in ("frequency", "flux", "noise", "expected")})
    meta: dict[str, Any] = {
        "kind": _KIND, "fastsig": __version__,
        "ra_deg": float(spectrum.at.icrs.ra.deg), "dec_deg": float(spectrum.at.icrs.dec.deg),
        "method": spectrum.method, "radius_deg": spectrum.radius_deg,
        "rest_frequency_hz": spectrum.rest_hz, "frame": spectrum.frame,
        "scatter": float(spectrum.scatter), "correlation": [float(x) for x in spectrum.correlation],
        "cube": os.path.basename(spectrum.path), "facts": dict(spectrum.facts)}
    if fit is not None:
        table["velocity"], table["fit"], table["baseline"] = fit.velocity, fit.model, fit.baseline
        meta["fit"] = fit.record()
    elif spectrum.rest_hz:
        table["velocity"] = spectrum.velocity()
        meta["convention"] = "radio"
    table.meta.update(meta)
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    write_bytes(text.getvalue().encode(), path, overwrite=overwrite)


def write_bytes(content: bytes, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        Where the file exists or cannot be written.
    """
    with SafeOutput(path, overwrite=overwrite) as output:
        try:
            write_from(output.descriptor, np.frombuffer(content, np.uint8), 0)
        except OSError as error:
            raise output.error(error) from error


def read_spectrum(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a spectrum, and what its file tells of a fit.

    The latter are ``velocity``, ``fit``, ``baseline`` and ``record``, as far as they are there.

    Raises
    ------
    FormatError
        Where the file is none that `write_spectrum` wrote.
    """
    name = os.fspath(path)
    try:
        if os.path.getsize(path) > _LARGEST:
            raise ValueError("too large")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = QTable.read(name, format="ascii.ecsv")
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
    except Exception as error:  # whatever damaged YAML makes its parser raise
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(path, f"no ECSV that can be read: {text[:200]}") from error
    meta = table.meta
    if meta.get("kind") != _KIND:
        raise FormatError(path, f"a table of kind {str(meta.get('kind'))[:40]!r}; allowed: "
                          f"{_KIND!r}, as fastsig extract writes")
    try:
        return _spectrum(table, meta, name), _fit(table, meta)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its columns or meta make no sense: {error}") from error


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
    """A column as Quantity; what is masked is NaN."""
    if hasattr(column, "unmasked"):
        mask, column = np.asarray(column.mask), column.unmasked.copy()
        column[mask] = np.nan
    return u.Quantity(column)


def _fit(table: QTable, meta: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _filled(table[name])
                             for name in ("velocity", "fit", "baseline") if name in table.colnames}
    if "fit" in found:
        found["record"] = dict(meta["fit"])
    return found
