"""All header cards of a file: ``fastsig info --cards``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastsig.io.files.containers import HDF5
from fastsig.io.opening import Detected, open_detected

if TYPE_CHECKING:
    import h5py

__all__ = ["cards_of"]

_FITS = b"SIMPLE  ="
_MOST_MEMBERS = 2000  # of an HDF5 file whose attributes are listed
_LINKS = ("DIMENSION_LIST", "REFERENCE_LIST")  # by which HDF5 connects axes and data

Cards = dict[str, dict[str, Any]]


def cards_of(detected: Detected, overrides: dict[str, Any]) -> Cards:
    """Return the cards of a file by section.

    These are the units of a FITS file, the header and the attributes of the members of an HDF5
    file, or the header of another format as its function `cards` reads it; of a format without this
    function, the values that a stream keeps. For a scan in several files, the cards are those of
    the first file.
    """
    path = detected.files[0]
    try:
        with open(path, "rb") as file:
            start = file.read(len(_FITS))
    except OSError:  # a folder, or standard input
        start = b""
    if start.startswith(_FITS):
        return _of_fits(path)
    if start.startswith(HDF5):
        return _of_hdf5(path)
    own = getattr(detected.module, "cards", None)
    return {"header": _flat(own(path) if own else _of_stream(detected, overrides))}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    from fastsig.view.page.html import flat

    return dict(flat(dict(values))) if values else {}


def _of_fits(path: str) -> Cards:
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


def _of_hdf5(path: str) -> Cards:
    """Return the header that fastsig wrote, if there is one, and the attributes of all members."""
    from fastsig.io.hdf5.opening import open_file, reading

    with open_file(path, locking=False) as file:
        header = _own_header(file, path)
        found = {"header": header} if header else {}
        with reading(path, "its attributes"):
            names: list[str] = []
            file.visit(lambda name: names.append(name) if len(names) < _MOST_MEMBERS else True)
            for name in ("/", *names):
                found |= _attributes(name, file[name])
    return found


def _own_header(file: h5py.File, path: str) -> dict[str, Any]:
    from fastsig.io.hdf5.metadata import read_optional_json

    record: Any = None
    if file.attrs.get("CLASS") in (b"FASTSIG_VOLTAGE", b"FILTERBANK"):
        record = read_optional_json(file, "header", path) or (
            read_optional_json(file, "provenance", path) or {}).get("header")
    return _flat(record) if isinstance(record, dict) else {}


def _attributes(name: str, member: Any) -> Cards:
    """Return the attributes of a member by its path; nothing if it has none."""
    from fastsig.io.hdf5.opening import cards_of as attributes_of

    cards = {key: value for key, value in attributes_of(member.attrs).items() if key not in _LINKS}
    return {f"/{name.strip('/')}": cards} if cards else {}


def _of_stream(detected: Detected, overrides: dict[str, Any]) -> Mapping[str, Any]:
    if not hasattr(detected.module, "open"):
        return {}
    stream = open_detected(detected, **overrides)
    try:
        return dict(stream.header.extra or {})
    finally:
        stream.close()
