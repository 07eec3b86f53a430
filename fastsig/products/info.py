"""What files are: ``fastsig info``."""

from __future__ import annotations

import warnings
from typing import Any

from fastsig.axes.time import DUBIOUS_YEAR
from fastsig.io.files.scan import Paths
from fastsig.io.opening import Detected, describe, detect_files, open_detected
from fastsig.products.handlers import handler_of

__all__ = ["HANDLERS", "info"]

#: What is said of every file; null where it is not known, or has no meaning.
_FIELDS = ("path", "format", "kind", "n_time", "n_pol", "n_chan", "n_bits", "complex",
           "sample_rate_hz", "tsamp_s", "start_time", "duration_s", "frequency_mhz", "telescope",
           "source", "ra_deg", "dec_deg", "valid_fraction")


def info(path: Paths, *, deep: bool = False, cards: bool = False, **overrides: Any
         ) -> dict[str, Any]:
    """What a file is, as the fields of ``fastsig info --json``.

    Parameters
    ----------
    path : path or iterable of path
        File, or folder of a format that is one, or the files of one scan.
    deep : bool
        Read all of the file where the headers alone do not tell.
    cards : bool
        Add ``cards``: the header cards of the file by section, all those of a FITS file.
    overrides
        As for `fastsig.open`.

    Raises
    ------
    FormatError
        Where the file cannot be understood.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        detected = detect_files(path)
        handler = handler_of(HANDLERS, detected, "info", _by_format)
        fields = handler(detected, deep, overrides)
        if cards:
            from fastsig.products.cards import cards_of

            fields["cards"] = cards_of(detected, overrides)
    fields["warnings"] = [*fields.pop("warnings", ()), *(str(item.message) for item in caught)]
    return fields


def _stream(detected: Detected, deep: bool, overrides: dict[str, Any]) -> dict[str, Any]:
    """Of voltages and spectra: what their stream says."""
    stream = open_detected(detected, **overrides)
    try:
        return describe(stream, detected.name, deep=deep)
    finally:
        stream.close()


def _by_format(detected: Detected, deep: bool, overrides: dict[str, Any]) -> dict[str, Any]:
    """What the format's own `info` says of a file; other fields are null."""
    path = detected.files[0]
    found = dict(detected.module.info(path, deep=deep, **overrides))
    fields = {"path": path, "format": detected.name, "kind": detected.kinds[0]} | found
    return fields | {name: None for name in _FIELDS if name not in fields}


#: By the kind of product.
HANDLERS = {"voltage": _stream, "spectra": _stream, "cube": _by_format, "table": _by_format}
