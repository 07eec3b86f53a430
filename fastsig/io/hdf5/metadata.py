"""JSON records in HDF5 files: checksummed bytes, fixed-length strings, headers as plain data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.gain_noise import GainNoise, Noises
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, format_rate, iso, parse_rate, parse_time, sample_time
from fastsig.axes.units import fraction
from fastsig.errors import FormatError, OutputError, UsageError
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5.opening import declared_size, numbers, reading
from fastsig.stream.header import FilterBank, Header

MAX_JSON = 2**26  # a record larger than this is not one that the project wrote


def creation() -> dict[str, Any]:
    """Return the creation options of a dataset with checksums."""
    return {"fletcher32": True, "track_times": False}


def reserve(output: SafeOutput, size: int) -> None:
    """Reserve disk space again, since HDF5 released it when it created its file in `output`."""
    try:
        output.reserve(size)
    except OutputError as error:
        text = str(error).partition(": ")[2]
        raise OutputError(output.path, text, poisoned=True) from error


def commit(output: SafeOutput) -> None:
    """Commit a file that HDF5 has closed, without the space reserved beyond its end."""
    output.commit(declared_size(os.pread(output.descriptor, 96, 0)))


def create(
    file: h5py.Group, name: str, data: NDArray[Any], chunks: tuple[int, ...], *,
    extendable: bool = True,
) -> h5py.Dataset:
    """Create a small dataset with checksums, which is flushed to disk at once.

    HDF5 assigns chunks their places when it flushes them. If this were left to the end, the order
    would depend on the addresses of objects in memory, and equal products would differ in bytes.
    """
    maxshape = (None if extendable else data.shape[0], *data.shape[1:])
    dataset = file.create_dataset(name, data=data, chunks=chunks, maxshape=maxshape, **creation())
    dataset.flush()
    return dataset


def write_json(file: h5py.Group, name: str, record: Any) -> None:
    """Store a record as UTF-8 JSON bytes with a checksum; equal records give equal bytes."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    data = np.frombuffer(text.encode(), np.uint8)
    create(file, name, data, data.shape, extendable=False)


def read_json(file: h5py.Group, name: str, path: str) -> Any:
    """Return a record that `write_json` stored.

    Raises
    ------
    FormatError
        Where it is missing, fails its checksum or is not JSON.
    """
    with reading(path, f"/{name}"):
        dataset = numbers(file, name, path, kinds="u")
        if dataset.dtype != np.uint8 or dataset.ndim != 1 or dataset.size > MAX_JSON:
            raise FormatError(path, f"/{name} is not a JSON record")
        return json.loads(dataset[()].tobytes().decode())


def read_optional_json(file: h5py.File, name: str, path: str) -> Any:
    """Return a record like `read_json`, but None where the file has no member of this name."""
    with reading(path, "its root group"):
        # Not `name in file`, which is also False for a member with a corrupt header.
        there = name in set(file)
    return read_json(file, name, path) if there else None


_STEPS = 10**11  # a two-part day number has steps of 5 ps, so finer digits would be noise


def exact_start(time: Time) -> tuple[str, str]:
    """Return ISO text with nine decimal places, and the remainder as text of seconds to 10 ps."""
    text = iso(time)
    rest = Fraction(round(elapsed(parse_time(text), time) * _STEPS), _STEPS)
    return text, str(rest)


def start_from_text(text: str, rest: str = "0") -> Time:
    """Return the time from the texts of `exact_start`."""
    time, seconds = parse_time(text), fraction(rest)
    return sample_time(time, 1, 1 / seconds) if seconds else time


def _same(value: Any) -> Any:
    return value


def _noise_record(noises: Noises) -> dict[str, Any]:
    return {name: each._asdict() for name, each in noises.items()}


def _noises(record: Mapping[str, Any]) -> Noises:
    return {str(name): GainNoise.of(each) for name, each in record.items()}


#: Fields that are written unless they have their defaults, with functions to JSON and back. The
#: filter bank is not among them, because the stages of the provenance contain it.
_FACTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "unit": (_same, _same), "specsys": (_same, _same), "rest_hz": (_same, _same),
    "n_eff": (_same, _same), "gain_noise": (_noise_record, _noises), "dm": (_same, _same),
    "dispersion_constant": (str, fraction), "dm_reference_hz": (str, fraction),
    "coherent_dm": (_same, _same), "zero_dm": (_same, _same)}
_DEFAULTS = {field.name: field.default for field in fields(Header)}


def header_record(header: Header) -> dict[str, Any]:
    """Return a header as plain data, with exact numbers as texts."""
    start, rest = exact_start(header.start_time)
    axis = header.channels
    return {
        "start_time": start,
        "start_time_rest_s": rest,
        "sample_rate_hz": format_rate(header.sample_rate),
        "channels": None if axis is None else {
            "first_hz": str(axis.first_hz), "step_hz": str(axis.step_hz),
            "n_chan": axis.n_chan, "half_channel": axis.half_channel,
        },
        "sideband": header.sideband,
        "polarization": _basis_record(header.polarization),
        "n_bits": header.n_bits,
        "is_complex": header.is_complex,
        "telescope": header.telescope,
        "receiver": header.receiver,
        "backend": header.backend,
        "source": header.source,
        "beam": header.beam,
        "ra_deg": header.ra_deg,
        "dec_deg": header.dec_deg,
        "diode": None if header.diode is None else asdict(header.diode),
        "n_sum": header.n_sum,
        "extra": dict(header.extra),
        **{name: write(getattr(header, name)) for name, (write, _) in _FACTS.items()
           if getattr(header, name) != _DEFAULTS[name]},
    }


def _basis_record(basis: PolBasis) -> dict[str, Any]:
    """Return a basis as plain data; `calibrated` and `n_recorded` only if they are not usual."""
    record = asdict(basis)
    usual = PolBasis()
    for name in ("calibrated", "n_recorded"):
        if record[name] == getattr(usual, name):
            del record[name]
    return record


def _known(kind: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record that this release knows; later minor versions may add some."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in record.items() if key in names}


def header_from_record(record: dict[str, Any], path: str) -> Header:
    """Return the header from a record that `header_record` made."""
    try:
        return _from_record(record, path)
    except UsageError as error:  # about a value of the file, not of the user
        raise FormatError(path, f"cannot read the header record: {error}") from error


def _from_record(record: dict[str, Any], path: str) -> Header:
    with reading(path, "the header record"):
        axis = record["channels"]
        channels = axis and ChannelAxis(
            fraction(axis["first_hz"]), fraction(axis["step_hz"]), int(axis["n_chan"]),
            axis["half_channel"],
        )
        pol = _known(PolBasis, record["polarization"])
        pol["names"] = tuple(pol["names"])
        known = ("sideband", "n_bits", "is_complex", "telescope", "receiver", "backend", "source",
                 "beam", "ra_deg", "dec_deg", "n_sum")
        origin = {field.name: f"header:{field.name}" for field in fields(Header)
                  if field.name in record}
        origin["sample_rate"] = "header:sample_rate_hz"
        return Header(
            start_time=start_from_text(record["start_time"], record["start_time_rest_s"]),
            sample_rate=parse_rate(record["sample_rate_hz"]),
            channels=channels,
            polarization=PolBasis(**pol),
            diode=record["diode"] and DiodeSchedule(**_known(DiodeSchedule, record["diode"])),
            origin=origin,
            extra=dict(record["extra"]),
            **{key: record[key] for key in known},
            **{name: read(record[name]) for name, (_, read) in _FACTS.items() if name in record},
        )


def bank_of(provenance: Any) -> FilterBank | None:
    """Return the filter bank of spectra, from their provenance or that of their inputs."""
    for stage in _stages(provenance):
        if stage.get("stage") == "channelize":
            bank = stage["parameters"]
            return FilterBank(int(bank["n_tap"]), str(bank["window"]),
                              Fraction(str(bank.get("oversample", "1"))))
    return None


def _stages(provenance: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the stages of a product, then the stages of its inputs."""
    if isinstance(provenance, dict):
        yield from provenance.get("stages", ())
        for source in provenance.get("inputs", ()):
            yield from _stages(source.get("made_by"))
