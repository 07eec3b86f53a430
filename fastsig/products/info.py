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
#: What is no part of what a state is picked by.
_OF_STATES = ("n_chan", "source", "telescope")


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
    """Of voltages and spectra: what their stream says; of rows of several states, these states."""
    several = getattr(detected.module, "states", None)
    states = several(detected.files[0], **overrides) if several and len(
        detected.files) == 1 else []
    if states:
        return _of_states(detected, states)
    stream = open_detected(detected, **overrides)
    try:
        return describe(stream, detected.name, deep=deep)
    finally:
        stream.close()


def _of_states(detected: Detected, states: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a file from which opening takes one state of several: what all of them have in common."""
    common = {key: states[0][key] for key in _OF_STATES
              if len({state[key] for state in states}) == 1}
    states = [{key: value for key, value in state.items() if key != "telescope"}
              for state in states]
    known = {"path": detected.files[0], "format": detected.name, "kind": detected.kinds[0],
             **common, "states": states}
    many = [key for key in states[0] if key not in ("scan", "n_time", *_OF_STATES)
            and len({state.get(key) for state in states}) > 1]
    advice = " ".join(f"--set {key}={states[0][key]}" for key in many)
    return {**dict.fromkeys(_FIELDS), **known, "warnings": [
        f"rows of {len(states)} states: switch takes all, other commands one, as by {advice}"]}


def _by_format(detected: Detected, deep: bool, overrides: dict[str, Any]) -> dict[str, Any]:
    """What the format's own `info` says of a file; other fields are null."""
    path = detected.files[0]
    found = dict(detected.module.info(path, deep=deep, **overrides))
    fields = {"path": path, "format": detected.name, "kind": detected.kinds[0]} | found
    return fields | {name: None for name in _FIELDS if name not in fields}


#: By the kind of product.
HANDLERS = {"voltage": _stream, "spectra": _stream, "cube": _by_format, "table": _by_format}
