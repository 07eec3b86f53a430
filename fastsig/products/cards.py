"""All header cards of a file: ``fastsig info --cards``."""

from __future__ import annotations

from typing import Any

from fastsig.io.opening import Detected, open_detected

__all__ = ["cards_of"]

_FITS = b"SIMPLE  ="


def cards_of(detected: Detected, overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the cards of a file by section: each HDU of a FITS file, or another format's header.

    For a scan in several files, the cards are those of the first file.
    """
    path = detected.files[0]
    try:
        with open(path, "rb") as file:
            fits = file.read(len(_FITS)) == _FITS
    except OSError:  # a folder, or standard input
        fits = False
    return _of_fits(path) if fits else {"header": _of_stream(detected, overrides)}


def _of_fits(path: str) -> dict[str, dict[str, Any]]:
    from astropy.io import fits

    found = {}
    with fits.open(path, memmap=True, lazy_load_hdus=True) as units:
        for number, unit in enumerate(units):
            section: dict[str, Any] = {}
            for key, value in unit.header.items():
                if key in ("COMMENT", "HISTORY", ""):
                    value = "\n".join(filter(None, (section.get(key), str(value))))
                section[key] = None if isinstance(value, fits.card.Undefined) else value
            found[f"unit {number} {unit.name}".rstrip()] = section
    return found


def _of_stream(detected: Detected, overrides: dict[str, Any]) -> dict[str, Any]:
    from fastsig.view.page.html import flat

    if not hasattr(detected.module, "open"):
        return {}
    stream = open_detected(detected, **overrides)
    try:
        return dict(flat(dict(stream.header.extra or {})))
    finally:
        stream.close()
