"""Describe files: ``fastsig info``."""

from __future__ import annotations

import warnings
from typing import Any

from fastsig.axes.time import DUBIOUS_YEAR
from fastsig.errors import FormatError
from fastsig.io.files.scan import Paths
from fastsig.io.opening import Detected, describe, detect_files, open_detected
from fastsig.io.raw import reader as raw
from fastsig.products.handlers import handler_of

__all__ = ["HANDLERS", "info"]

#: Fields that are reported for every file; null if a value is not known or has no meaning.
_FIELDS = ("path", "format", "kind", "n_time", "n_pol", "n_chan", "n_bits", "complex",
           "sample_rate_hz", "tsamp_s", "start_time", "duration_s", "frequency_mhz", "telescope",
           "source", "ra_deg", "dec_deg", "valid_fraction")
#: Fields of a state by which it is not selected.
_OF_STATES = ("n_chan", "source", "telescope")


def info(path: Paths, *, deep: bool = False, cards: bool = False, **overrides: Any
         ) -> dict[str, Any]:
    """Describe a file, with the fields of ``fastsig info --json``.

    Parameters
    ----------
    path : path or iterable of path
        A file, a folder if the format stores a recording as a folder, or the files of one scan.
    deep : bool
        Whether to read the whole file to compute the valid fraction and, for a cube, the noise. By
        default, at most 16 channels of a cube are read.
    cards : bool
        Whether to add ``cards``, the header cards of the file by section; for a FITS file, all
        cards.
    overrides
        As for `fastsig.open`.

    Raises
    ------
    FormatError
        If the file cannot be understood.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", DUBIOUS_YEAR)
        detected = detect_files(path)
        _refuse_a_pipe(detected)
        handler = handler_of(HANDLERS, detected, "info", _by_format)
        fields = handler(detected, deep, overrides)
        if cards:
            from fastsig.products.cards import cards_of

            fields["cards"] = cards_of(detected, overrides)
    fields["warnings"] = [*fields.pop("warnings", ()), *(str(item.message) for item in caught)]
    return fields


def _refuse_a_pipe(detected: Detected) -> None:
    """Refuse a pipe with a name: the samples that describe it could not be read again."""
    path = detected.files[0]
    if detected.name == raw.NAME and path != raw.STANDARD_INPUT:
        raise FormatError(path, "not a regular file; data from a pipe cannot be described and then "
                                "read")


def _stream(detected: Detected, deep: bool, overrides: dict[str, Any]) -> dict[str, Any]:
    """Describe voltages or spectra by their stream; for rows in several states, list the states."""
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
    """Describe a file with rows in several states, of which opening selects one.

    The fields are those that all states have in common.
    """
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
        f"rows in {len(states)} states: switch uses all, other commands one, selected by {advice}"]}


def _by_format(detected: Detected, deep: bool, overrides: dict[str, Any]) -> dict[str, Any]:
    """Describe a file by the `info` function of its format; other fields are null."""
    path = detected.files[0]
    found = dict(detected.module.info(path, deep=deep, **overrides))
    fields = {"path": path, "format": detected.name, "kind": detected.kinds[0]} | found
    return fields | {name: None for name in _FIELDS if name not in fields}


#: Handlers by kind of product.
HANDLERS = {"voltage": _stream, "spectra": _stream, "cube": _by_format, "table": _by_format,
            "planes": _by_format, "profiles": _by_format}
