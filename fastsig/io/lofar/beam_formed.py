"""LOFAR beam-formed data: spectra or complex voltages of a beam in HDF5, after ICD 3.

A file usually contains one Stokes parameter of one beam, with the samples in a raw file beside it.
Other parameters of the beam, and other parts of its band, are in files of their own. All files that
are given form one stream: ``I, Q, U, V`` are its products, ``Xr, Xi, Yr, Yi`` its two
polarisations.

A table lists the centre of each channel. Sub-bands need not be adjacent: spectra then have channels
of weight 0 between them. Units are often wrong, so quantities that a file states twice are
compared. Blocks that were lost during recording are zeros. The format does not mark them, so they
are returned as recorded.

References
----------
A. Alexov et al., "LOFAR Data Format ICD: Beam-Formed Data" (LOFAR-USG-ICD-003), to version 2.5;
https://lofar-sun-tools.readthedocs.io; the public source code of the correlator for how files are
filled, and for V = 2 Im(X Y*), the opposite of the sign that V has here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, time_from_unix
from fastsig.errors import FormatError
from fastsig.io.fits.single_dish import choice
from fastsig.io.lofar.beam_files import BeamFile, read_file
from fastsig.io.lofar.beam_parts import COMPLEX, PRODUCTS
from fastsig.io.lofar.beam_streams import BeamSpectra, BeamVoltages, Column, columns_of
from fastsig.io.probe import Probe
from fastsig.io.voltages.segments import incomplete
from fastsig.stream.header import OVERRIDES, Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "open", "sniff"]

NAME, KINDS = "lofar_bf", ("voltage", "spectra")

#: Whether `open` accepts several files of one beam.
MANY = True

_OWN = ("sap", "beam", "subband", "zeros")
_ZEROS = {"keep": False, "weight": True}


def sniff(probe: Probe) -> bool:
    """Whether a file claims to contain LOFAR beam-formed data."""
    if probe.is_folder or not probe.is_hdf5:
        return False
    return str(probe.root[0].get("FILETYPE")).strip().lower() == "bf"


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any
         ) -> BeamSpectra | BeamVoltages:
    """Open files of one beam as a stream.

    Parameters
    ----------
    path : path or sequence of path
        The HDF5 files, in any order; their raw files lie in the same folder.
    sap, beam : int, optional
        Sub-array pointing and beam, needed where a file contains several.
    subband : int or str, optional
        Sub-bands to read, such as ``"0-9"``, counted in ascending frequency; all by default.
    zeros : {"keep", "weight"}
        Whether values of spectra that are exactly 0, as in lost blocks, are kept (the default) or
        get the weight 0.
    **overrides
        The common overrides of `fastsig.open`.

    Returns
    -------
    BeamSpectra or BeamVoltages
        Shape (time, product, chan), or (time, pol[, chan]) for complex voltages. Channels are in
        ascending order of frequency.

    Raises
    ------
    FormatError
        Where a file lacks required attributes, files do not belong together, or a raw file is
        missing or lies outside the folder. A truncated raw file causes a `FastsigWarning`.
    UsageError
        Where an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, _OWN, NAME)
    zeros = _ZEROS[choice(own, "zeros", _ZEROS)]
    files = [read_file(each, own, _given(common)) for each in paths]
    for file in files[1:]:
        _check_same(file, files[0])
    columns, first = columns_of(files, own.get("subband"))
    names = _names(columns, files[0].path)
    notes = list(dict.fromkeys(note for file in files for note in file.notes))
    header = _header(files[0], columns, first, names, common)
    if header.channels is None:
        notes.append("does not state its sky frequency; give --set frequency=150MHz (centre of the "
                     "band)")
    if notes:
        incomplete(files[0].path, "; ".join(notes))
    if notes:
        header = header.replace(extra={**header.extra, "doubtful": notes})
    if header.is_complex:
        return BeamVoltages(header, columns, names)
    return BeamSpectra(header, columns, names, zeros)


def _given(common: dict[str, Any]) -> dict[str, Any]:
    """Return the header fields that the user sets, with rate and start time parsed."""
    bare = Header(time_from_unix(0), Fraction(1))
    given = {key: OVERRIDES[key](bare, common[key]) for key in ("sample_rate", "start_time")
             if key in common}
    return {**common, **{key: getattr(header, key) for key, header in given.items()}}


def _check_same(file: BeamFile, first: BeamFile) -> None:
    for what in ("identity", "rate", "width", "n_sub"):
        found, wanted = getattr(file, what), getattr(first, what)
        if found != wanted:
            shown = (found, wanted) if what != "identity" else (
                "/".join(found), "/".join(wanted))
            raise FormatError(file.path, f"differs from {first.path} in {what} ({shown[0]}, not "
                              f"{shown[1]}); allowed: files of one beam")
    apart = elapsed(first.start, file.start)
    if abs(apart) > Fraction(1, 10**9):
        raise FormatError(file.path, f"starts {float(apart):.9g} s after {first.path}; allowed: "
                          "files of one recording, which start together")


# Streams from components


def _names(columns: dict[str, list[Column]], path: str) -> tuple[str, ...]:
    """Return the components of spectra in the order of products, or the voltages' polarisations."""
    if not set(columns) & set(COMPLEX):
        return tuple(name for name in PRODUCTS if name in columns)
    if not set(columns) <= set(COMPLEX):
        raise FormatError(path, f"components {', '.join(columns)}; allowed: powers, or parts of "
                          "complex voltages, not both")
    lacking = [f"{pol}{other}" for pol in "XY" for part, other in ("ri", "ir")
               if f"{pol}{part}" in columns and f"{pol}{other}" not in columns]
    if lacking:
        raise FormatError(path, f"complex voltages {', '.join(columns)} only; give the file of "
                          f"{' and of '.join(lacking)} of the same beam too")
    return tuple(pol for pol in "XY" if f"{pol}r" in columns)


def _header(file: BeamFile, columns: dict[str, list[Column]], first: Fraction | None,
            names: tuple[str, ...], common: dict[str, Any]) -> Header:
    part = next(iter(file.parts.values()))
    is_complex = part.component in COMPLEX
    names = names if is_complex else tuple(PRODUCTS[name] for name in names)
    n_chan = 1 + max(int(each.slots[-1]) for column in columns.values() for each in column)
    axis = ChannelAxis(file.width if first is None else first, file.width, n_chan)
    ra_deg, dec_deg = _direction(file.beam, file.sap)
    stated = Header(
        start_time=file.start, sample_rate=file.rate,
        channels=None if first is None and "frequency" not in common else axis,
        polarization=PolBasis("linear", names, sign_v=-1 if "V" in names else 1),
        n_bits=part.dtype.itemsize * 8, is_complex=is_complex,
        telescope=_text(file.root.get("TELESCOPE")), receiver=_text(file.root.get("ANTENNA_SET")),
        source=_text(file.beam.get("TARGETS")) or _text(file.root.get("TARGETS")),
        beam=int(file.identity[2].rpartition("_")[2]), ra_deg=ra_deg, dec_deg=dec_deg,
        extra=file.cards,
    )
    header = stated.replace(origin=_origins(stated, file)).overridden(common)
    if header.channels is not None and header.channels.n_chan == 1:
        return header.replace(channels=replace(header.channels, step_hz=file.width))
    return header


def _origins(header: Header, file: BeamFile) -> dict[str, str]:
    base, (_, sap, beam) = os.path.basename(file.path), file.identity
    keys = {
        "start_time": f"{sap}/EXPTIME_START_UTC", "sample_rate": f"{sap}/{beam}/SAMPLING_RATE",
        "channels": f"{sap}/{beam}/COORDINATES", "polarization": "STOKES_COMPONENT",
        "telescope": "TELESCOPE", "receiver": "ANTENNA_SET", "source": "TARGETS",
        "ra_deg": f"{sap}/{beam}/POINT_RA", "dec_deg": f"{sap}/{beam}/POINT_DEC",
    }
    return {key: f"{base}:{place}" for key, place in keys.items()
            if getattr(header, key) is not None}


def _text(value: Any) -> str | None:
    """Return the text of a card; several values are joined with commas."""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or None
    return value.strip() or None if isinstance(value, str) else None


def _direction(beam: dict[str, Any], sap: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return right ascension and declination of the beam (J2000, degrees), offset included."""
    cards = {**sap, **beam}
    pair = [cards.get(key) for key in ("POINT_RA", "POINT_DEC")]
    units = {str(cards.get(f"{key}_UNIT", "deg")).strip().lower() for key in
             ("POINT_RA", "POINT_DEC")}
    if str(cards.get("TRACKING", "J2000")).strip() != "J2000" or len(units) > 1:
        return None, None
    scale = {"deg": 1.0, "degrees": 1.0, "rad": 180 / math.pi}.get(units.pop())
    if scale is None or any(type(value) not in (int, float) for value in pair):
        return None, None
    ra_deg, dec_deg = (float(value) * scale for value in pair if value is not None)
    if not abs(ra_deg) <= 720 or not abs(dec_deg) <= 90:
        return None, None
    return ra_deg % 360, dec_deg
