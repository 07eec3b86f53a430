"""Detection of files by content, and the opening and description of streams."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any, NamedTuple

from fastsig.axes.time import DUBIOUS_YEAR, iso, leap_seconds_known
from fastsig.errors import DoubtWarning, FormatError, UsageError, users_line
from fastsig.io.detection import detect, recording_of
from fastsig.io.files.scan import Paths, scan_files
from fastsig.io.raw import reader as raw
from fastsig.io.raw.reader import STANDARD_INPUT
from fastsig.registry import STREAMS, kinds
from fastsig.stream import Stream, VoltageStream
from fastsig.stream.header import override_text

_log = logging.getLogger(__name__)

__all__ = ["Detected", "describe", "detect", "detect_files", "is_cube", "open_detected",
           "open_stream", "valid_fraction"]


class Detected(NamedTuple):
    """Files whose format has been detected from their content.

    Parameters
    ----------
    name : str
        Name of the format.
    module : module
        Module of the format.
    files : list of str
        One file, or the files of a scan.
    kinds : tuple of str
        Kind of data in such a file; several kinds of streams if only opening distinguishes them.
    """

    name: str
    module: Any
    files: list[str]
    kinds: tuple[str, ...]


def open_stream(paths: Paths, **overrides: Any) -> Stream:
    """Open a file, or the files of one scan, as a stream; overrides replace header values."""
    detected = detect_files(paths)
    name, stream = detected.name, open_detected(detected, **overrides)
    stream.format_name = stream.format_name or name
    stream.overrides = {key: override_text(key, value) for key, value in overrides.items()}
    stream.reopening = _reopened, (paths, dict(overrides))
    _log.info("%s: %s, %s %s", stream.path, name, stream.kind, stream.shape)
    return stream


def _reopened(paths: Paths, overrides: dict[str, Any]) -> Stream:
    """Open again the files of a stream that was opened in another process."""
    return open_stream(paths, **overrides)


def open_detected(detected: Detected, **overrides: Any) -> Stream:
    """Open files of a known format as a stream; warn once if leap seconds are not known.

    Raises
    ------
    FormatError
        If the files contain no stream, or cannot be understood.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        stream = _stream(detected, overrides)
        year = None if leap_seconds_known(stream.start_time) else iso(stream.start_time)[:4]
    if year is not None:
        warnings.warn(f"{stream.path}: the leap seconds of {year} are not known: times may be off "
                      "by seconds", DoubtWarning, stacklevel=users_line())
    return stream


def _stream(detected: Detected, overrides: dict[str, Any]) -> Stream:
    files, module = detected.files, detected.module
    holds = set(detected.kinds) & set(STREAMS)
    opening = module.open if holds else getattr(module, "open_spectrum", None)
    if opening is None:
        raise FormatError(files[0], getattr(
            module, "NO_STREAM", f"contains {' or '.join(detected.kinds)} ({detected.name}); "
            f"allowed here: a stream in time, {' or '.join(STREAMS)}"))
    opened: Stream = opening(files if len(files) > 1 else files[0], **overrides)
    return opened


def detect_files(paths: Paths) -> Detected:
    """Detect the format of a file, or of the files of one scan; ``-`` means raw samples.

    Raises
    ------
    FormatError
        If no format recognises a file, or the files have different formats.
    UsageError
        If no file is named, or several are named that are separate recordings.
    """
    listed = paths if isinstance(paths, (list, tuple)) else [paths]
    if any(isinstance(each, str) and each == STANDARD_INPUT for each in listed):
        if len(listed) > 1:
            raise UsageError("- (standard input) cannot be combined with files; allowed: - alone")
        return Detected(raw.NAME, raw, [STANDARD_INPUT], raw.KINDS)
    if len(listed) == 1 and raw.is_pipe(listed[0]):
        return Detected(raw.NAME, raw, [str(listed[0])], raw.KINDS)
    files = scan_files(paths, recording_of)
    if not files:
        raise UsageError("no file; allowed: one, or those of a scan")
    name, module = detect(files[0])
    if len(files) > 1 and not getattr(module, "MANY", False):
        raise UsageError(f"{files[0]} and {len(files) - 1} more: files of {name} are separate "
                         "recordings; open one")
    for other in files[1:]:
        if detect(other)[0] != name:
            raise FormatError(other, f"is not a {name} file, unlike {files[0]}")
    return Detected(name, module, files, kinds(module))


def describe(stream: Stream, format_name: str, *, deep: bool = False) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json`` for an open stream."""
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
        **_dispersion(stream),
        "valid_fraction": valid_fraction(stream, deep=deep),
        "stages": _stages(stream),
    }


def _dispersion(stream: Stream) -> dict[str, Any]:
    """Return the fields for dispersion that was removed; none if none was."""
    header = stream.header
    within: dict[str, Any] = {} if header.zero_dm is None else {"zero_dm": header.zero_dm}
    if header.coherent_dm is not None:
        within["coherent_dm"] = header.coherent_dm
    if header.dm is None:
        return within
    reference = header.dm_reference_hz
    return {**within, "dm": header.dm, "dm_constant": float(header.dispersion_constant),
            "dm_reference_mhz": "infinity" if reference is None else float(reference / 10**6)}


def _stages(stream: Stream) -> list[str] | None:
    """List the stages that made a product, one text for each; None if fastsig did not make it."""
    record = getattr(stream, "provenance", None) or {}
    steps = record.get("stages") if isinstance(record, dict) else None
    if not steps:
        return None
    return [
        f"{step['stage']}({', '.join(f'{k}={v}' for k, v in step['parameters'].items())})"
        for step in steps
    ]


def valid_fraction(stream: Stream, *, deep: bool) -> float | None:
    """Return the share of valid samples, from the headers if they record it; `deep` reads all."""
    recorded = stream.valid_fraction() if isinstance(stream, VoltageStream) else None
    if not deep:
        return recorded
    from fastsig.axes import validity

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


def is_cube(path: str) -> bool:
    """Return whether a file is a cube of maps, or a map."""
    if not os.path.isfile(path):
        return False
    try:
        return "cube" in kinds(detect(path)[1])
    except FormatError:
        return False
