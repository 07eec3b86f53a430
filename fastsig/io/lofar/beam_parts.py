"""The datasets of LOFAR's beam-formed files: their contents, and the places of their bytes.

References
----------
A. Alexov et al., "LOFAR Data Format ICD: Beam-Formed Data" (LOFAR-USG-ICD-003).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from fastsig.errors import FormatError, UsageError
from fastsig.io.hdf5.external import RawPiece, external_pieces
from fastsig.io.hdf5.opening import cards_of, member, numbers, reading

__all__ = ["COMPLEX", "MOST_CHANNELS", "PRODUCTS", "Part", "coordinates", "numbered", "parts_of"]

#: Parts of complex voltages, in the order of the datasets that contain them.
COMPLEX = ("Xr", "Xi", "Yr", "Yi")
#: Names of powers in a file, and the names of the products that they are.
PRODUCTS = {"I": "I", "Q": "Q", "U": "U", "V": "V", "XX": "AA", "YY": "BB"}
_SPELLINGS = {"XRE": "Xr", "XIM": "Xi", "YRE": "Yr", "YIM": "Yi",
              **{name.upper(): name for name in (*COMPLEX, *PRODUCTS)}}

MOST_CHANNELS = 2**22


@dataclass(frozen=True)
class Part:
    """The dataset of one Stokes parameter, or of one part of complex voltages, in one file.

    Parameters
    ----------
    path, name : str
        The HDF5 file, and the dataset in it.
    component : str
        Name of the component, as in `PRODUCTS` or `COMPLEX`.
    dtype : dtype
        The stored type, byte order included.
    n_row, n_chan : int
        Number of complete rows that are present, and of channels.
    pieces : tuple of RawPiece or None
        Places of the bytes, row after row; None where only HDF5 can read them, as with chunks.
    """

    path: str
    name: str
    component: str
    dtype: np.dtype[Any]
    n_row: int
    n_chan: int
    pieces: tuple[RawPiece, ...] | None


def numbered(group: h5py.Group, stem: str, key: str, choice: Mapping[str, Any], path: str
             ) -> tuple[h5py.Group, str]:
    """Return the group ``STEM_nnn`` that is chosen, or the only one, and its name."""
    with reading(path, f"the members of {group.name}"):
        names = sorted(name for name in group if re.fullmatch(rf"{stem}_\d+", name))
    wanted = choice.get(key)
    if wanted is not None:
        if not str(wanted).isdigit():
            raise UsageError(f"{key} = {wanted!r}; allowed: a number such as 0")
        found = [name for name in names if int(name.rpartition("_")[2]) == int(str(wanted))]
    else:
        found = names
    if len(found) != 1:
        listed = ", ".join(names) or "none"
        raise FormatError(path, f"{group.name} contains {len(found)} groups {stem}_* to choose "
                          f"from ({listed}); give --set {key}=NUMBER" if names else
                          f"{group.name} contains no group {stem}_*")
    item = member(group, found[0], path)
    if not isinstance(item, h5py.Group):
        raise FormatError(path, f"{found[0]} is a dataset; allowed: a group")
    return item, found[0]


def coordinates(beam: h5py.Group, path: str) -> dict[str, dict[str, Any]]:
    """Return the attributes of the axes by type, "Time" and "Spectral"; early files have none."""
    with reading(path, "the coordinates"):
        name = next((each for each in beam if each.upper() == "COORDINATES"), "")
    group = member(beam, name, path) if name else None
    out: dict[str, dict[str, Any]] = {}
    if not isinstance(group, h5py.Group):
        return out
    for number in range(2):
        item = member(group, f"COORDINATE_{number}", path)
        if item is not None:
            with reading(path, f"the attributes of COORDINATE_{number}"):
                cards = cards_of(item.attrs)
            kind = str(cards.get("COORDINATE_TYPE", ("Time", "Spectral")[number]))
            if kind != ("Time", "Spectral")[number]:
                raise FormatError(path, f"COORDINATE_{number} is {kind!r}; allowed: rows of Time, "
                                  "columns of Spectral")
            out[kind] = cards
    return out


def parts_of(beam: h5py.Group, cards: Mapping[str, Any], path: str, notes: list[str]
             ) -> dict[str, Part]:
    """Return the datasets ``STOKES_n`` by component; they have the same number of channels."""
    with reading(path, "the datasets"):
        names = sorted(name for name in beam if re.fullmatch(r"STOKES_\d+", name))
    if not names:
        raise FormatError(path, f"{beam.name} contains no dataset STOKES_*")
    out: dict[str, Part] = {}
    for name in names:
        dataset = numbers(beam, name, path, external=True)
        part = _part(dataset, name, _component(dataset, names, cards, path), path,
                     notes)
        if part.component in out:
            raise FormatError(path, f"{name} and {out[part.component].name} are both "
                              f"{part.component}")
        out[part.component] = part
    if len({part.n_chan for part in out.values()}) > 1:
        raise FormatError(path, "its datasets differ in their channels: "
                          + ", ".join(f"{part.name}: {part.n_chan}" for part in out.values()))
    return out


def _component(dataset: h5py.Dataset, names: list[str], cards: Mapping[str, Any], path: str) -> str:
    """Return the component of a dataset, from its own attribute or from the beam's list."""
    with reading(path, f"the attributes of {dataset.name}"):
        value = cards_of(dataset.attrs).get("STOKES_COMPONENT")
    listed = cards.get("STOKES_COMPONENTS")
    if value is None and isinstance(listed, list) and len(listed) == len(names):
        value = listed[names.index(str(dataset.name).rpartition("/")[2])]
    found = _SPELLINGS.get(str(value).strip().upper())
    if found is None:
        raise FormatError(path, f"STOKES_COMPONENT of {dataset.name} is {value!r}; allowed: "
                          f"{', '.join((*PRODUCTS, *COMPLEX))}")
    return found


def _part(dataset: h5py.Dataset, name: str, component: str, path: str, notes: list[str]) -> Part:
    dtype, shape = dataset.dtype, dataset.shape
    if len(shape) != 2 or not (1 <= shape[1] <= MOST_CHANNELS) or shape[0] < 1:
        raise FormatError(path, f"{name} has the shape {shape}; allowed: (time, chan), 1 row or "
                          f"more, 1 to {MOST_CHANNELS} channels")
    if dtype.itemsize > 8:
        raise FormatError(path, f"{name} is {dtype}; allowed: numbers of 8 to 64 bits")
    row = shape[1] * dtype.itemsize
    with reading(path, f"the storage of {name}"):
        pieces, found = _storage(dataset, shape[0] * row, path)
    n_row = min(shape[0], found // row)
    where = f" (in {os.path.basename(pieces[-1].path)})" if pieces else ""
    if not n_row:
        raise FormatError(path, f"{name}{where} contains no complete row: it has {found} bytes, "
                          f"and a row has {row}")
    if n_row < shape[0]:
        notes.append(f"{name}{where} is truncated: {shape[0]} rows are stated, {n_row} complete "
                     "rows are present")
    elif pieces and len(pieces) == 1 and (more := _beyond(dataset, pieces[0])):
        notes.append(f"{name}{where} continues for {more} bytes ({more // row} rows) after the "
                     f"{shape[0]} rows that are stated; they are not read")
    return Part(path, str(dataset.name), component, dtype, n_row, shape[1], pieces)


def _storage(dataset: h5py.Dataset, size: int, path: str
             ) -> tuple[tuple[RawPiece, ...] | None, int]:
    """Return where the bytes lie, if row after row, and how many are present."""
    if dataset.id.get_create_plist().get_external_count():
        return external_pieces(dataset, path)
    if dataset.chunks is None and dataset.id.get_offset() is not None:
        return _inside(dataset, path)
    return None, size if dataset.id.get_storage_size() else 0


def _beyond(dataset: h5py.Dataset, piece: RawPiece) -> int:
    """Return the number of bytes of a raw file after the stated ones."""
    if not dataset.id.get_create_plist().get_external_count():
        return 0
    return max(0, os.path.getsize(piece.path) - piece.offset - piece.size)


def _inside(dataset: h5py.Dataset, path: str) -> tuple[tuple[RawPiece, ...], int]:
    """Return the place of a contiguous dataset within the HDF5 file itself, and its size."""
    real, offset = os.path.realpath(path), int(dataset.id.get_offset())
    there = max(0, min(int(dataset.nbytes), os.path.getsize(real) - offset))
    return (RawPiece(real, offset, there),), there
