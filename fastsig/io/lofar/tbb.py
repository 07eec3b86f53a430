"""LOFAR transient buffer boards: raw dipole voltages in HDF5, after ICD 1.

The dipoles of a station are the polarisations of one `TBBStream`. The stream starts with the
earliest dipole and ends with the latest; outside its own range a dipole is invalid.

References
----------
L. Baehren et al., "LOFAR Data Format ICD: TBB Time-Series Data" (LOFAR-USG-ICD-001), to version
2.5. M. van Haarlem et al. 2013, A&A 556, A2, for clocks, filters and Nyquist zones. In a pair of
receiver units the even one is X and the odd one is Y:
http://kaira.sgo.fi/2014/03/mapping-rcu-number-to-lbahba-number.html.
"""

from __future__ import annotations

import math
import os
import threading
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis, Sideband
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_unix
from fastsig.axes.validity import Spans, clip, count, shift
from fastsig.errors import DataError, FormatError
from fastsig.io.hdf5.external import read_external
from fastsig.io.hdf5.opening import cards_of, open_file, reading
from fastsig.io.lofar.tbb_dipoles import Dipole, dipoles_of, members, read_dipole, station_of
from fastsig.io.probe import Probe
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "TBBStream", "open", "sniff"]

NAME, KINDS = "lofar_tbb", ("voltage",)

_OWN = ("station", "dipole")
_MAX_SPREAD = 60  # s between the first samples of dipoles; a buffer holds 5 s
_ONE_POLARIZATION = ("LBA_X", "LBA_Y")  # both units of a pair have the same polarisation


class TBBStream(VoltageStream):
    """Voltages of the dipoles of one station.

    Blocks are (time, dipole), int8 and int16 as recorded, other types as float32. Samples outside
    a dipole's range, flagged samples, and samples that a truncated raw file lacks are invalid.

    Parameters
    ----------
    header : Header
        Header, with the dipoles as polarisations.
    path : str
        The HDF5 file.
    group : str
        Name of the station's group.
    dipoles : list of Dipole
        Dipoles with the same rate and type.
    """

    def __init__(self, header: Header, path: str, group: str, dipoles: list[Dipole]) -> None:
        self._dipoles, self._group = dipoles, group
        start, rate = min(d.start for d in dipoles), dipoles[0].rate
        self._first = [_whole(d, start, rate, path) for d in dipoles]
        self._valid = tuple(
            shift(d.valid, first) for d, first in zip(dipoles, self._first, strict=True))
        self._absolute = os.path.abspath(path)
        self._file: h5py.File | None = None
        self._lock = threading.Lock()
        n = max(first + d.n for d, first in zip(dipoles, self._first, strict=True))
        super().__init__(header, (n, len(dipoles)), _stream_dtype(dipoles[0].dtype), path)

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        for pol, (dipole, first) in enumerate(zip(self._dipoles, self._first, strict=True)):
            low, high = max(start, first), min(start + n, first + dipole.held)
            if low < high:
                samples = self._samples(dipole, low - first, high - first)
                with np.errstate(over="ignore", invalid="ignore"):  # becomes inf, so invalid
                    out[low - start : high - start, pol] = samples
        return tuple(clip(spans, start, start + n) for spans in self._valid)

    def _samples(self, dipole: Dipole, low: int, high: int) -> NDArray[Any]:
        if dipole.pieces is not None:
            return read_external(dipole.pieces, dipole.dtype, low, high - low, self.path)
        what = f"samples {low} to {high} of {self._group}/{dipole.name}"
        with self._lock, reading(self.path, what, DataError):
            if self._file is None:
                self._file = open_file(self._absolute)
            return np.asarray(self._file[self._group][dipole.name][low:high])

    def valid_fraction(self) -> float | None:
        """Return the fraction of valid samples; None for float samples, which may be non-finite."""
        if self.dtype.kind == "f":
            return None
        return sum(count(spans) for spans in self._valid) / (self.shape[0] * self.shape[1])

    @property
    def files(self) -> list[str]:
        """The HDF5 file and the raw files that contain the samples."""
        raw = {piece.path for dipole in self._dipoles for piece in dipole.pieces or ()}
        return [self.path, *sorted(raw)]

    def close(self) -> None:
        """Close the HDF5 file; reading opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None


def _whole(dipole: Dipole, start: Fraction, rate: Fraction, path: str) -> int:
    """Return the position of a dipole's first sample in the stream."""
    offset = (dipole.start - start) * rate
    if offset.denominator != 1 or dipole.start - start > _MAX_SPREAD:
        raise FormatError(path, f"{dipole.name} starts {float(offset)} samples after the first "
                          f"dipole; allowed: a whole number within {_MAX_SPREAD} s. Choose with "
                          "dipole=NAME")
    return int(offset)


def _stream_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    kept = dtype.kind == "i" and dtype.itemsize <= 2
    return dtype.newbyteorder("=") if kept else np.dtype(np.float32)


def _same(dipoles: list[Dipole], field: str, path: str) -> Any:
    """Return the value of a field that all dipoles have in common."""
    values = {getattr(dipole, field) for dipole in dipoles}
    if len(values) > 1:
        found = ", ".join(f"{d.name}: {getattr(d, field)}" for d in dipoles)
        raise FormatError(path, f"dipoles differ in {field} ({found}); choose with dipole=NAME")
    return values.pop()


def _band(zone: int | None, rate: Fraction) -> tuple[ChannelAxis | None, Sideband]:
    """Return the sky band and sideband of a Nyquist zone; even zones reverse the frequencies."""
    if zone is None:
        return None, "upper"
    axis = ChannelAxis.band((2 * zone - 1) * rate / 4, rate / 2)
    return axis, "upper" if zone % 2 else "lower"


def _basis(dipoles: list[Dipole], antenna_set: str | None) -> PolBasis:
    """Return a linear basis if the dipoles are X and Y of one pair of receiver units, in order."""
    names = tuple(dipole.name for dipole in dipoles)
    rcus = [dipole.rcu for dipole in dipoles]
    pair = len(rcus) == 2 and rcus[0] is not None and rcus[0] % 2 == 0 and rcus[1] == rcus[0] + 1
    linear = pair and antenna_set not in _ONE_POLARIZATION
    return PolBasis(kind="linear" if linear else "unknown", names=names)


def _direction(cards: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return right ascension and declination of a station's beam (J2000, degrees).

    Files state the unit m, but the values are radians (in L59640 they are those of B0329+54).
    """
    pair = cards.get("BEAM_DIRECTION")
    if cards.get("BEAM_DIRECTION_FRAME") != "J2000" or not isinstance(pair, list):
        return None, None
    if cards.get("BEAM_DIRECTION_UNIT", "rad") not in ("m", "rad") or len(pair) != 2:
        return None, None
    if any(type(value) is not float for value in pair) or abs(pair[1]) > math.pi / 2:
        return None, None
    return math.degrees(pair[0]) % 360, math.degrees(pair[1])


def _text(value: Any) -> str | None:
    """Return the text of a card; several values are joined with commas."""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or None
    return None if value is None else str(value)


def _header(path: str, group: str, root: dict[str, Any], station: dict[str, Any],
            dipoles: list[Dipole]) -> Header:
    rate = _same(dipoles, "rate", path)
    dtype = _same(dipoles, "dtype", path)
    axis, sideband = _band(_same(dipoles, "zone", path), rate)
    ra_deg, dec_deg = _direction(station)
    extra = {**root, **{f"{group}/{key}": value for key, value in station.items()}}
    for dipole in dipoles:
        extra |= {f"{group}/{dipole.name}/{key}": value for key, value in dipole.cards.items()}
    header = Header(
        start_time=time_from_unix(min(dipole.start for dipole in dipoles)),
        sample_rate=rate,
        channels=axis,
        sideband=sideband,
        polarization=_basis(dipoles, _text(root.get("ANTENNA_SET"))),
        n_bits=dtype.itemsize * 8,
        telescope=_text(root.get("TELESCOPE")),
        receiver=_text(root.get("ANTENNA_SET")),
        backend="TBB",
        source=_text(root.get("TARGETS")),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        extra=extra,
    )
    origins = _origins(os.path.basename(path), group, dipoles[0].name)
    stated = {key: text for key, text in origins.items() if getattr(header, key) is not None}
    return header.replace(origin=stated)


def _origins(name: str, group: str, dipole: str) -> dict[str, str]:
    keys = {
        "start_time": f"{group}/{dipole}/TIME, SAMPLE_NUMBER",
        "sample_rate": f"{group}/{dipole}/SAMPLE_FREQUENCY",
        "channels": f"{group}/{dipole}/NYQUIST_ZONE",
        "sideband": f"{group}/{dipole}/NYQUIST_ZONE",
        "polarization": f"{group}/{dipole}/RCU_ID",
        "telescope": "TELESCOPE",
        "receiver": "ANTENNA_SET",
        "source": "TARGETS",
        "ra_deg": f"{group}/BEAM_DIRECTION (radians, whatever its unit says)",
        "dec_deg": f"{group}/BEAM_DIRECTION (radians, whatever its unit says)",
    }
    return {field: f"{name}:{key}" for field, key in keys.items()}


def sniff(probe: Probe) -> bool:
    """Whether a file claims to contain LOFAR TBB data."""
    if probe.is_folder or not probe.is_hdf5:
        return False
    return str(probe.root[0].get("FILETYPE")).strip().lower() == "tbb"


def open(path: str | os.PathLike[str], **overrides: Any) -> TBBStream:
    """Open the dipoles of a station of a LOFAR TBB file as one stream.

    Parameters
    ----------
    path : path
        The HDF5 file; its raw files lie in the same folder.
    station : str, optional
        Station, by its name or the end of its name; needed where the file has several.
    dipole : str or list of str, optional
        Dipoles, by their names or unique endings, separated by commas; all by default.
    **overrides
        The common overrides of `fastsig.open`.

    Returns
    -------
    TBBStream
        Shape (time, dipole).

    Raises
    ------
    FormatError
        Where an attribute is missing or has no meaning, dipoles do not share a clock, or a raw
        file is missing or lies outside the folder. A truncated raw file causes a `FastsigWarning`.
    UsageError
        Where an override is unknown or matches nothing, or a station must be chosen.
    """
    path = os.fspath(path)
    common, own = split_overrides(overrides, _OWN, NAME)
    given = _given_rate(common)
    with open_file(path) as file:
        with reading(path, "its root attributes"):
            root = cards_of(file.attrs)
        if str(root.get("FILETYPE")).strip().lower() != "tbb":
            raise FormatError(path, f"FILETYPE is {root.get('FILETYPE')!r}; allowed: 'tbb'")
        group = station_of(own.get("station"), members(file, "STATION_", h5py.Group, path))
        with reading(path, f"the attributes of {group}"):
            station, folder = cards_of(file[group].attrs), file[group]
        names = dipoles_of(own.get("dipole"), members(folder, "DIPOLE_", h5py.Dataset, path))
        with reading(path, f"the dipoles of {group}"):
            dipoles = [read_dipole(folder[name], path, given) for name in names]
    header = _header(path, group, root, station, dipoles).overridden(common)
    return TBBStream(header, path, group, dipoles)


def _given_rate(common: dict[str, Any]) -> Fraction | None:
    if "sample_rate" not in common:
        return None
    rate = {"sample_rate": common["sample_rate"]}
    return Header(time_from_unix(0), Fraction(1)).overridden(rate).sample_rate
