"""Small files of other projects' formats, written from scratch for the tests of their readers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# ---------------------------------------------------------------------------------------------
# Digital RF


def complex_int(real: Any, imag: Any, kind: str = "<i2") -> np.ndarray:
    """Digital RF's complex integers: fields r and i."""
    out = np.zeros(np.shape(real), [("r", kind), ("i", kind)])
    out["r"], out["i"] = real, imag
    return out


def drf_fill(dtype: np.dtype) -> Any:
    """The value of lost samples in continuous files."""
    if dtype.names:
        return complex_int(*(np.iinfo(dtype["r"]).min,) * 2, dtype["r"])
    return np.nan if dtype.kind in "fc" else np.iinfo(dtype).min


def write_digital_rf(
    folder: str | os.PathLike[str],
    samples: np.ndarray,
    rate: Fraction | int,
    start_sample: int,
    center_hz: float | Sequence[float] | None = None,
    *,
    cadence_ms: int = 1000,
    missing: Iterable[tuple[int, int]] = (),
    continuous: bool = False,
) -> list[Path]:
    """Write a Digital RF channel; returns its rf files in order.

    Parameters
    ----------
    folder : path
        The channel's folder, made where it is not there.
    samples : ndarray, shape (n,) or (n, subchannel)
        Complex or real floats, real integers, or the fields of `complex_int`.
    rate : Fraction or int
        Hz.
    start_sample : int
        Number of the first sample since 1970.
    center_hz : float or sequence of float, optional
        Centre frequencies for the digital metadata; none are written without.
    cadence_ms : int
        Length of a file.
    missing : pairs of int
        Spans of `samples` that are lost: left out, or filled in continuous files.
    continuous : bool
        Fill files from end to end.
    """
    folder, rate = Path(folder), Fraction(rate)
    folder.mkdir(parents=True, exist_ok=True)
    held = np.ones(len(samples), bool)
    for start, stop in missing:
        held[start:stop] = False
    attrs = _drf_attrs(samples, rate, cadence_ms, continuous)
    with h5py.File(folder / "drf_properties.h5", "w") as file:
        file.attrs.update(attrs)
    length = Fraction(cadence_ms, 1000) * rate
    first, last = start_sample // length, (start_sample + len(samples) - 1) // length
    paths = []
    for number in range(int(first), int(last) + 1):
        window = math.ceil(number * length), math.ceil((number + 1) * length)
        low = max(window[0] - start_sample, 0)
        high = min(window[1] - start_sample, len(samples))
        if not held[low:high].any():
            continue
        path = _stamped(folder, number * cadence_ms, "rf@{}.{:03d}.h5")
        data, rows = _drf_file(samples[low:high], held[low:high], start_sample + low)
        if continuous:
            data, rows = _drf_filled(samples[low:high], held[low:high], start_sample + low, window)
        with h5py.File(path, "w") as file:
            file["rf_data"], file["rf_data_index"] = data, np.array(rows, np.uint64)
            file["rf_data"].attrs.update(attrs | {"uuid_str": np.bytes_(b"0123")})
        paths.append(path)
    if center_hz is not None:
        write_digital_metadata(folder / "metadata", rate, {start_sample: center_hz})
    return paths


def _drf_attrs(samples: np.ndarray, rate: Fraction, cadence_ms: int, continuous: bool) -> dict:
    return {
        "digital_rf_version": np.bytes_(b"2.6.0"),
        "epoch": np.bytes_(b"1970-01-01T00:00:00Z"),
        "file_cadence_millisecs": np.uint64(cadence_ms),
        "subdir_cadence_secs": np.uint64(3600),
        "is_complex": np.int32(samples.dtype.kind in "cV"),
        "is_continuous": np.int32(continuous),
        "num_subchannels": np.int32(1 if samples.ndim == 1 else samples.shape[1]),
        "sample_rate_numerator": np.uint64(rate.numerator),
        "sample_rate_denominator": np.uint64(rate.denominator),
    }


def _stamped(folder: Path, milliseconds: int, name: str) -> Path:
    seconds, rest = divmod(milliseconds, 1000)
    stamp = datetime.fromtimestamp(seconds - seconds % 3600, UTC).strftime("%Y-%m-%dT%H-%M-%S")
    (folder / stamp).mkdir(parents=True, exist_ok=True)
    return folder / stamp / name.format(seconds, rest)


def _drf_file(samples: np.ndarray, held: np.ndarray, start: int) -> tuple[np.ndarray, list]:
    edges = np.flatnonzero(np.diff(held, prepend=False))
    starts = [int(edge) for edge in edges if held[edge]]
    return samples[held], [[start + low, int(held[:low].sum())] for low in starts]


def _drf_filled(
    samples: np.ndarray, held: np.ndarray, start: int, window: tuple[int, int]
) -> tuple[np.ndarray, list]:
    data = np.empty((window[1] - window[0], *samples.shape[1:]), samples.dtype)
    data[...] = drf_fill(samples.dtype)
    data[start - window[0] :][: len(samples)][held] = samples[held]
    return data, [[window[0], 0]]


def write_digital_metadata(
    folder: Path, rate: Fraction, records: dict[int, float | Sequence[float]]
) -> None:
    """Write digital metadata: sample number -> centre frequencies, Hz."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "dmd_properties.h5", "w") as file:
        file.attrs.update({
            "sample_rate_numerator": rate.numerator, "sample_rate_denominator": rate.denominator,
            "file_cadence_secs": 1, "subdir_cadence_secs": 3600,
            "file_name": np.bytes_(b"metadata"),
        })
    for sample, centers in records.items():
        path = _stamped(folder, int(sample // rate) * 1000, "metadata@{}.h5")
        with h5py.File(path, "a") as file:
            file[f"{sample}/center_frequencies"] = np.atleast_1d(np.asarray(centers, float))
            file[f"{sample}/receiver/description"] = "test receiver"


# ---------------------------------------------------------------------------------------------
# LOFAR TBB


def write_lofar_tbb(
    path: str | os.PathLike[str],
    samples: np.ndarray | Sequence[np.ndarray],
    rate_hz: float,
    nyquist_zone: int,
    *,
    time: int = 1311073541,
    sample_numbers: Sequence[int] | int = 0,
    flags: Sequence[Any] | None = None,
    external: bool = True,
    first_rcu: int = 10,
    stations: Sequence[str] = ("CS011",),
    raw_name: Callable[[str, int], str] = "{0}_{1:03d}.raw".format,
) -> list[Path]:
    """Write a LOFAR TBB file; returns its raw files in the order of the dipoles.

    Parameters
    ----------
    path : path
        The HDF5 file; raw files lie beside it.
    samples : ndarray, shape (n, dipole) or (n,), or one array a dipole
        Real samples, stored in their own type and byte order.
    rate_hz : float
        Sample clock, Hz.
    nyquist_zone : int
        1 is 0 to rate / 2 upright, 2 is rate / 2 to rate reversed, and so on.
    time, sample_numbers : int, int or one a dipole
        Unix second, and samples from there, of each dipole's first sample.
    flags : one array of pairs a dipole, optional
        FLAG_OFFSETS.
    external : bool
        Raw files, else the samples are in the HDF5 file.
    first_rcu : int
        Receiver unit of the first dipole.
    stations : sequence of str
        Each gets all dipoles.
    raw_name : callable
        Name of a raw file from station and receiver unit.
    """
    path = Path(path)
    if isinstance(samples, np.ndarray):
        samples = list(samples.reshape(len(samples), -1).T)
    numbers = np.broadcast_to(sample_numbers, len(samples)).tolist()
    raw = []
    with h5py.File(path, "w") as file:
        file.attrs.update({"FILETYPE": "tbb", "TELESCOPE": "LOFAR", "ANTENNA_SET": "LBA_INNER"})
        file.attrs["TARGETS"] = ["B0329+54"]
        for station in stations:
            group = file.create_group(f"STATION_{station}")
            group.attrs.update({"STATION_NAME": station, "BEAM_DIRECTION": [0.93, 0.95],
                                "BEAM_DIRECTION_FRAME": "J2000", "BEAM_DIRECTION_UNIT": "m"})
            for k, data in enumerate(samples):
                rcu, name = first_rcu + k, raw_name(station, first_rcu + k)
                options: dict[str, Any] = {"data": data}
                if external:
                    raw.append(path.parent / name)
                    raw[-1].write_bytes(np.ascontiguousarray(data).tobytes())
                    size = h5py.h5f.UNLIMITED
                    options = {"external": [(name, 0, size)], "dtype": data.dtype,
                               "shape": data.shape}
                dipole = group.create_dataset(f"DIPOLE_0110{rcu:05d}", **options)
                dipole.attrs.update({
                    "TIME": np.uint32(time), "SAMPLE_NUMBER": np.uint32(numbers[k]),
                    "SAMPLE_FREQUENCY": rate_hz / 1e6, "SAMPLE_FREQUENCY_UNIT": "MHz",
                    "NYQUIST_ZONE": np.uint32(nyquist_zone), "RCU_ID": np.uint32(rcu),
                    "DATA_LENGTH": np.uint64(len(data)),
                })
                if flags is not None:
                    dipole.attrs["FLAG_OFFSETS"] = np.asarray(flags[k], np.uint64).reshape(-1, 2)
    return raw


# ---------------------------------------------------------------------------------------------
# LOFAR, beam-formed


def write_lofar_bf(
    path: str | os.PathLike[str],
    samples: Mapping[str, np.ndarray],
    first_hz: float | None = 150e6,
    *,
    n_sub: int = 4,
    subbands: Sequence[int] | None = None,
    n_int: int = 8,
    storage: str = "external",
    observation: str = "L1",
    sap: int = 0,
    beam: int = 0,
    start: str = "2018-08-31T13:31:08.123456789Z",
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a LOFAR beam-formed file as its correlator does.

    Parameters
    ----------
    path : path
        The HDF5 file; raw files lie beside it.
    samples : mapping of str to ndarray, shape (time, chan)
        Values by component, stored in their own type and byte order.
    first_hz : float, optional
        Centre of channel 0 of sub-band 0, Hz; without it there is no table of frequencies.
    n_sub : int
        Channels of a sub-band of 195.3125 kHz.
    subbands : sequence of int, optional
        Numbers of the sub-bands, in the order of the file.
    n_int : int
        Spectra that were integrated.
    storage : {"external", "contiguous", "chunked"}
        Where the samples lie.
    observation, sap, beam, start
        What the stream is.
    changes : mapping, optional
        Other attributes, by ``"GROUP/KEY"`` with groups root, sap, beam, time, spectral and stokes;
        None deletes.
    """
    path, width = Path(path), 195312.5 / n_sub
    n_row, n_chan = next(iter(samples.values())).shape
    numbers = list(range(n_chan // n_sub)) if subbands is None else list(subbands)
    slots = np.concatenate([np.arange(n_sub) + n_sub * number for number in numbers])
    rate, is_complex = width / n_int, any(name[0] in "XY" for name in samples)
    centers = None if first_hz is None else first_hz + slots * width
    with h5py.File(path, "w") as file:
        group = file.create_group(f"SUB_ARRAY_POINTING_{sap:03d}/BEAM_{beam:03d}")
        axes = [group.create_group(f"COORDINATES/COORDINATE_{n}") for n in range(2)]
        attrs: dict[str, Any] = {"root": file.attrs, "sap": group.parent.attrs, "beam": group.attrs,
                                 "time": axes[0].attrs, "spectral": axes[1].attrs}
        attrs["root"].update({
            "FILETYPE": "bf", "TELESCOPE": "LOFAR", "OBSERVATION_ID": observation,
            "ANTENNA_SET": "HBA_DUAL", "CLOCK_FREQUENCY": 200.0, "CLOCK_FREQUENCY_UNIT": "MHz",
            "OBSERVATION_START_UTC": start})
        attrs["sap"].update({"EXPTIME_START_UTC": start, "POINT_RA": 1.0, "POINT_DEC": 2.0,
                             "TOTAL_INTEGRATION_TIME": n_row / rate,
                             "TOTAL_INTEGRATION_TIME_UNIT": "s"})
        attrs["beam"].update({
            "TARGETS": ["B0809+74"], "TRACKING": "J2000", "POINT_RA": 123.75, "POINT_DEC": 74.5,
            "POINT_RA_UNIT": "deg", "POINT_DEC_UNIT": "deg", "NOF_SAMPLES": n_row,
            "SUBBAND_WIDTH": 195312.5, "SUBBAND_WIDTH_UNIT": "Hz", "CHANNELS_PER_SUBBAND": n_sub,
            "CHANNEL_WIDTH": width, "CHANNEL_WIDTH_UNIT": "Hz", "SAMPLING_RATE": rate,
            "SAMPLING_RATE_UNIT": "Hz", "SAMPLING_TIME": 1 / rate, "SAMPLING_TIME_UNIT": "s",
            "COMPLEX_VOLTAGE": int(is_complex), "FOLDED_DATA": 0})
        attrs["time"].update({"COORDINATE_TYPE": "Time", "INCREMENT": 1 / rate,
                              "AXIS_UNITS": ["s"]})
        attrs["spectral"].update({"COORDINATE_TYPE": "Spectral", "AXIS_UNITS": ["Hz"]})
        if centers is not None:
            attrs["beam"].update({"BEAM_FREQUENCY_CENTER": centers.mean() / 1e6,
                                  "BEAM_FREQUENCY_CENTER_UNIT": "MHz"})
            attrs["spectral"]["AXIS_VALUES_WORLD"] = centers
        for number, (name, data) in enumerate(samples.items()):
            options: dict[str, Any] = {"data": data}
            if storage == "chunked":
                options["chunks"] = (max(1, n_row // 3), max(1, n_chan // 2))
            elif storage == "external":
                raw = path.with_name(f"{path.stem}_{name}.raw")
                raw.write_bytes(np.ascontiguousarray(data).tobytes())
                options = {"external": [(raw.name, 0, h5py.h5f.UNLIMITED)], "dtype": data.dtype,
                           "shape": data.shape, "maxshape": (None, n_chan)}
            dataset = group.create_dataset(f"STOKES_{number}", **options)
            dataset.attrs["STOKES_COMPONENT"] = name
            attrs["stokes"] = dataset.attrs
        for place, value in (changes or {}).items():
            target, _, key = place.partition("/")
            if key in attrs[target]:
                del attrs[target][key]
            if value is not None:
                attrs[target][key] = value
    return path


# ---------------------------------------------------------------------------------------------
# Nonsense for attributes

NONSENSE: dict[str, Any] = {
    "text": "nonsense", "bytes": np.bytes_(b"\xff\xfe"), "negative": -1, "zero": 0,
    "half": 0.5, "huge": np.uint64(2**64 - 1), "nan": np.nan, "inf": np.inf,
    "array": np.arange(3), "rows": np.arange(6.0).reshape(3, 2), "empty": h5py.Empty("f8"),
    "none": np.zeros(0), "long": np.longdouble(1.5), "complex": 1 + 2j, "true": True,
}
