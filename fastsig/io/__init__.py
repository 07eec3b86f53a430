"""Files as streams: detection by content, opening, description."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable
from typing import Any

from fastsig.errors import (
    DoubtWarning,
    FastsigError,
    FormatError,
    InputError,
    UsageError,
)
from fastsig.io import raw
from fastsig.io.probe import Probe
from fastsig.io.raw import STANDARD_INPUT
from fastsig.io.scan import Paths, scan_files
from fastsig.stream import Stream, VoltageStream
from fastsig.time import DUBIOUS_YEAR, iso, leap_seconds_known

_log = logging.getLogger(__name__)

__all__ = ["describe", "detect", "info", "is_cube", "is_ecsv", "open_stream", "verify"]


def detect(path: str | os.PathLike[str]) -> tuple[str, Any]:
    """Name and module of the format of a file, found by its content.

    Raises
    ------
    FormatError
        Where no format knows the file.
    """
    from fastsig.registry import formats, formats_for

    probe = Probe(path)
    for name, module in formats_for(probe.container):
        if module.sniff(probe):
            return name, module
    raise FormatError(probe.path, _unknown(probe.path, formats()))


def _unknown(path: str, known: Iterable[str]) -> str:
    """What a file is not."""
    if os.path.isdir(path):
        return "is a folder, of no format that is one; name the files in it"
    beside = ""
    if path.endswith(".dat") and not os.path.exists(f"{path[:-4]}.inf"):
        beside = f"; PRESTO's series have {os.path.basename(path)[:-4]}.inf beside them"
    return f"not a file of a known format ({', '.join(known)}){beside}"


def open_stream(paths: Paths, **overrides: Any) -> Stream:
    """Open a file, or the files of one scan, as a stream; overrides replace what headers say."""
    name, stream = _opened(paths, overrides)
    stream.format_name = name
    stream.overrides = {key: str(value) for key, value in overrides.items()}
    stream.reopening = _reopened, (paths, dict(overrides))
    _log.info("%s: %s, %s %s", stream.path, name, stream.kind, stream.shape)
    return stream


def _reopened(paths: Paths, overrides: dict[str, Any]) -> Stream:
    """The stream of files that another process opened."""
    return open_stream(paths, **overrides)


def _opened(paths: Paths, overrides: dict[str, Any]) -> tuple[str, Stream]:
    """Name of the format, and the stream; one warning where leap seconds are not known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        name, stream = _found(paths, overrides)
        year = None if leap_seconds_known(stream.start_time) else iso(stream.start_time)[:4]
    if year is not None:
        warnings.warn(f"{stream.path}: the leap seconds of {year} are not known: times may be off "
                      "by seconds", DoubtWarning, stacklevel=4)
    return name, stream


def _found(paths: Paths, overrides: dict[str, Any]) -> tuple[str, Stream]:
    if paths == STANDARD_INPUT or (isinstance(paths, (list, tuple)) and STANDARD_INPUT in paths):
        if not isinstance(paths, str) and len(paths) > 1:
            raise UsageError("- (standard input) stands alone; allowed: no other file beside it")
        return raw.NAME, raw.open(STANDARD_INPUT, **overrides)
    files = scan_files(paths)
    if not files:
        raise UsageError("no file; allowed: one, or those of a scan")
    name, module = detect(files[0])
    if len(files) == 1:
        return name, module.open(files[0], **overrides)
    if not getattr(module, "MANY", False):
        raise UsageError(f"{files[0]} and {len(files) - 1} more: files of {name} are recordings "
                         "of their own; open one")
    for other in files[1:]:
        if detect(other)[0] != name:
            raise FormatError(other, f"is no {name} file, unlike {files[0]}")
    return name, module.open(files, **overrides)


def describe(stream: Stream, format_name: str, *, deep: bool = False) -> dict[str, Any]:
    """The fields of ``fastsig info --json`` for an open stream."""
    header, axis = stream.header, stream.header.channels
    edges = [float(edge / 10**6) for edge in axis.edges_hz] if axis else None
    spectra = stream.kind == "spectra"
    rate = header.sample_rate
    return {
        "path": stream.path,
        "format": format_name,
        "kind": stream.kind,
        "n_time": stream.shape[0],
        "n_pol": stream.shape[1],
        "n_chan": axis.n_chan if axis else (stream.shape[2] if len(stream.shape) > 2 else 1),
        "n_bits": header.n_bits,
        "complex": header.is_complex,
        "sample_rate_hz": None if spectra else float(rate),
        "tsamp_s": float(1 / rate),
        "start_time": iso(header.start_time),
        "duration_s": float(stream.shape[0] / rate),
        "frequency_mhz": edges,
        "sideband": None if spectra else header.sideband,
        "polarization": list(header.polarization.names),
        "telescope": header.telescope,
        "receiver": header.receiver,
        "backend": header.backend,
        "beam": header.beam,
        "source": header.source,
        "unit": header.unit,
        "ra_deg": header.ra_deg,
        "dec_deg": header.dec_deg,
        "valid_fraction": valid_fraction(stream, deep=deep),
        "stages": _stages(stream),
    }


def _stages(stream: Stream) -> list[str] | None:
    """How a product was made, a text a stage; None for what the project did not make."""
    record = getattr(stream, "provenance", None) or {}
    steps = record.get("stages") if isinstance(record, dict) else None
    if not steps:
        return None
    return [
        f"{step['stage']}({', '.join(f'{k}={v}' for k, v in step['parameters'].items())})"
        for step in steps
    ]


def valid_fraction(stream: Stream, *, deep: bool) -> float | None:
    """Share of valid samples: from the headers where they tell, else by reading all (`deep`)."""
    told = stream.valid_fraction() if isinstance(stream, VoltageStream) else None
    if not deep:
        return told
    from fastsig import validity

    rows = max(1, 2**23 // stream.row_bytes)
    valid = 0.0
    for start in range(0, stream.shape[0], rows):
        n = min(rows, stream.shape[0] - start)
        block = stream.read_block(start, n)
        if isinstance(stream, VoltageStream):
            valid += sum(validity.count(spans) for spans in block.valid) / stream.shape[1]
        else:
            valid += float(block.valid.mean(dtype="f8")) * n
    return valid / stream.shape[0] if stream.shape[0] else None


def info(path: Paths, *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """What a file is, as the fields of ``fastsig info --json``.

    Parameters
    ----------
    path : path or iterable of path
        File, or folder of a format that is one, or the files of one scan.
    deep : bool
        Read all of the file where the headers alone do not tell.
    overrides
        As for `fastsig.open`.

    Raises
    ------
    FormatError
        Where the file cannot be understood.
    """
    if (cubes := _no_stream(path)) is not None:
        told: dict[str, Any] = cubes.info(path, deep=deep, **overrides)
        return told
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        name, stream = _opened(path, overrides)
        try:
            fields = describe(stream, name, deep=deep)
        finally:
            stream.close()
    fields["warnings"] = [str(item.message) for item in caught]
    return fields


def _no_stream(paths: Paths) -> Any:
    """The module of the format of a file that is no stream in time, which `info` asks; or None."""
    if not isinstance(paths, (str, os.PathLike)) or not os.path.isfile(paths):
        return None
    probe = Probe(paths)
    if probe.container != "fits":
        return None
    from fastsig.io import fits_cube

    return fits_cube if fits_cube.sniff(probe) else None


def is_cube(path: str) -> bool:
    """Whether a file is a cube of maps, or a map."""
    return _no_stream(path) is not None


def is_ecsv(path: str) -> bool:
    """Whether a file begins as astropy's tables in text do."""
    return os.path.isfile(path) and Probe(path).head.startswith(b"# %ECSV ")


def verify(path: str, **overrides: Any) -> bool:
    """Read all of a file and compare its checksums; whether there are any.

    Raises
    ------
    DataError
        Where the file cannot be read or a checksum fails.
    FormatError
        Where it cannot be understood.
    """
    if (cubes := _no_stream(path)) is not None:
        return bool(cubes.verify(path, **overrides))
    stream = open_stream(path, **overrides)
    try:
        stream.verify()
        return stream.checksummed
    finally:
        stream.close()


def failure(path: str | os.PathLike[str], error: FastsigError) -> dict[str, Any]:
    """What ``fastsig info --json`` says of a file that cannot be read."""
    name = os.fspath(path)
    return {"path": name, "error": str(error) if isinstance(error, InputError)
            else f"{name}: {error}"}
