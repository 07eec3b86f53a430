"""Provenance: all that determines the numbers of a product, but no host, path, clock or workers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

from fastsig._version import __version__
from fastsig.stream import Stage, Stream

__all__ = ["bytes_record", "chain_record", "file_record", "input_files", "input_record",
           "provenance", "voltage_provenance"]

_ENDS = 2**20


def file_record(path: str, *, whole: bool = False) -> dict[str, Any]:
    """Record name, size and SHA-256 of a file: of its first and last MiB, or of all (`whole`)."""
    size = os.path.getsize(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if whole or size <= 2 * _ENDS:
            while chunk := file.read(_ENDS):
                digest.update(chunk)
        else:
            digest.update(file.read(_ENDS))
            file.seek(size - _ENDS)
            digest.update(file.read(_ENDS))
    # The number of a descriptor says nothing about the input: standard input is named "-".
    name = "-" if path.startswith("/proc/self/fd/") else os.path.basename(path)
    return _record(name, size, digest.hexdigest(), whole=whole)


def bytes_record(name: str, size: int, read: Callable[[int, int], bytes], *, whole: bool = False
                 ) -> dict[str, Any]:
    """Record bytes like a file, given a function that returns a number of them from a place on."""
    digest = hashlib.sha256()
    if whole or size <= 2 * _ENDS:
        for place in range(0, size, _ENDS):
            digest.update(read(min(_ENDS, size - place), place))
    else:
        digest.update(read(_ENDS, 0))
        digest.update(read(_ENDS, size - _ENDS))
    return _record(name, size, digest.hexdigest(), whole=whole)


def _record(name: str, size: int, digest: str, *, whole: bool) -> dict[str, Any]:
    return {"name": name, "size": size, "sha256": digest,
            "sha256_of": "all" if whole or size <= 2 * _ENDS else "first and last MiB"}


def input_record(source: Stream, *, whole: bool = False) -> dict[str, Any]:
    """Record an input: its files, the user's overrides, and its own provenance if it has one."""
    came = source.content_records(whole=whole)
    record = {
        "name": os.path.basename(os.path.abspath(source.path)),
        "files": [file_record(path, whole=whole) for path in source.files] if came is None
        else came,
        "overrides": dict(source.overrides),
    }
    made = getattr(source, "provenance", None) or {}
    if made:
        record["made_by"] = {key: value for key, value in made.items() if key != "header"}
    return record


def chain_record(stream: Stream) -> list[dict[str, Any]]:
    """List the stages from the file on, with the parameters of each."""
    before = [step for source in stream.inputs() for step in chain_record(source)]
    if not isinstance(stream, Stage) or not stream.recorded:
        return before
    return [*before, {"stage": stream.name, "parameters": dict(stream.parameters())}]


def input_files(stream: Stream) -> list[str]:
    """Return the paths of all files that a chain reads."""
    return [path for source in _files(stream) for path in source.files]


def _files(stream: Stream) -> list[Stream]:
    inputs = stream.inputs()
    return [stream] if not inputs else [file for source in inputs for file in _files(source)]


def voltage_provenance(stream: Stream, losses: list[str], *, hash_inputs: bool = False
                       ) -> dict[str, Any]:
    """Record the provenance of copied voltages: inputs, selection and losses."""
    return {
        "fastsig": __version__,
        "inputs": [input_record(source, whole=hash_inputs) for source in _files(stream)],
        "stages": chain_record(stream),
        "losses": losses,
    }


def provenance(stream: Stream, *, hash_inputs: bool = False) -> dict[str, Any]:
    """Record the provenance of a product: versions, inputs, stages, conventions."""
    import numpy

    return {
        "fastsig": __version__,
        "numpy": numpy.__version__,
        "inputs": [input_record(source, whole=hash_inputs) for source in _files(stream)],
        "stages": chain_record(stream),
        "conventions": {
            "cross_products": "CR + i CI = <A* B>",
            "stokes": "I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI (linear feeds)",
            "scale": "white noise of variance s^2 gives a mean power of s^2",
            "time": "of a spectrum: the centre of its window less half a hop",
        },
    }
