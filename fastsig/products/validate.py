"""Check whether files are complete and undamaged: ``fastsig validate``."""

from __future__ import annotations

import os
import warnings
from typing import Any

from fastsig.errors import DoubtWarning, FastsigWarning, InputError
from fastsig.io.files.scan import Paths
from fastsig.io.opening import Detected, detect_files, open_detected
from fastsig.products.handlers import handler_of

__all__ = ["HANDLERS", "validate", "verify"]


def verify(path: Paths, **overrides: Any) -> bool:
    """Read a whole file and verify its checksums; return whether it has any.

    Raises
    ------
    DataError
        If the file cannot be read or a checksum fails.
    FormatError
        If the file cannot be understood.
    """
    detected = detect_files(path)
    return handler_of(HANDLERS, detected, "verify", _by_format)(detected, overrides)


def validate(path: str | os.PathLike[str], **overrides: Any) -> dict[str, Any]:
    """Return the record of ``fastsig validate --json``: whether a file is good, and its faults.

    Raises
    ------
    UsageError
        If an override is given that the format does not have.
    """
    name = os.fspath(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            checksums = verify(path, **overrides)
        except InputError as error:
            return {"path": name, "valid": False, "error": str(error)}
    found = [item for item in caught if issubclass(item.category, FastsigWarning)]
    doubts, faults = ([str(item.message) for item in found
                       if issubclass(item.category, DoubtWarning) == doubt]
                      for doubt in (True, False))
    if faults:
        return {"path": name, "valid": False, "error": "; ".join(faults)}
    return {"path": name, "valid": True, "checksums": checksums, "doubts": doubts}


def _stream(detected: Detected, overrides: dict[str, Any]) -> bool:
    """Verify a file by its stream; if a stream has rows of one state alone, verify all rows."""
    module, path = detected.module, detected.files[0]
    if hasattr(module, "states") and module.states(path, **overrides):
        module.verify_rows(path, **overrides)
        return False
    stream = open_detected(detected, **overrides)
    try:
        stream.verify()
        return stream.checksummed
    finally:
        stream.close()


def _by_format(detected: Detected, overrides: dict[str, Any]) -> bool:
    """Verify a file by the `verify` function of its format."""
    return bool(detected.module.verify(detected.files[0], **overrides))


#: Handlers by kind of product.
HANDLERS = {"voltage": _stream, "spectra": _stream, "cube": _by_format, "table": _by_format,
            "planes": _by_format, "profiles": _by_format}
