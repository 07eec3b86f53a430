"""Other attributes and members of HDF5 files, and where their structure lies, for `hostile`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hostile_text import VALUES
from writers import NONSENSE


def structure(path: Path) -> list[list[int]]:
    """Bytes of a file that are not in large datasets, as ranges."""
    edges, size = [0], path.stat().st_size

    def add(_: str, item: Any) -> None:
        place = item.id.get_offset() if isinstance(item, h5py.Dataset) else None
        if place is not None and item.nbytes > 512:
            edges.extend((place, place + item.nbytes))

    with h5py.File(path) as file:
        file.visititems(add)
    edges = sorted((*edges, size))
    return [[low, high] for low, high in zip(edges[::2], edges[1::2], strict=True) if high > low]


def change_hdf5(path: Path, rng: np.random.Generator) -> str:
    """Another attribute or member of an HDF5 file."""
    with h5py.File(path, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        attrs = [(item, key) for item in items for key in item.attrs]
        if attrs and (len(items) == 1 or rng.random() < 0.5):
            item, key = attrs[rng.integers(len(attrs))]
            return f"attribute {key} of {item.name} {_change_attribute(item.attrs, key, rng)}"
        item = items[1 + rng.integers(len(items) - 1)]
        name = item.name
        return f"{name} {_change_member(file, item, rng)}"


_NUMBERS = (-1, 0, 1, 2, 3, 2**31, 2**62, np.uint64(2**63), np.inf, np.nan, 0.5, 1e18, 1e300)


def _change_attribute(attrs: Any, key: str, rng: np.random.Generator) -> str:
    value, kind = np.asarray(attrs[key]), rng.integers(4)
    if kind == 0:
        del attrs[key]
        return "is missing"
    if kind == 1:
        new: Any = list(NONSENSE.values())[rng.integers(len(NONSENSE))]
    elif value.dtype.kind in "iufb":
        new = _flipped(value, rng) if kind == 2 else _NUMBERS[rng.integers(len(_NUMBERS))]
    else:
        new = str(rng.choice(VALUES))
    del attrs[key]
    attrs[key] = new
    return f"is {new!r:.60}"


def _flipped(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers one to three bytes of which are others."""
    raw = bytearray(values.tobytes())
    for _ in range(rng.integers(1, 4) if raw else 0):
        raw[rng.integers(len(raw))] = rng.integers(256)
    return np.frombuffer(bytes(raw), values.dtype).reshape(values.shape)


def _change_member(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    name, kind = item.name, int(rng.integers(8))
    if kind == 0 or (isinstance(item, h5py.Group) and kind < 6):
        del file[name]
        return "is missing"
    if kind == 1:
        new = [h5py.SoftLink("/nowhere"), h5py.SoftLink("/"), h5py.SoftLink(name),
               h5py.ExternalLink("/dev/zero", "/x"), h5py.ExternalLink(file.filename, "/")][
            rng.integers(5)]
        del file[name]
        file[name] = new
        return f"is {new!r}"
    if isinstance(item, h5py.Group):
        kind = 7
    elif item.external is not None:
        return _change_external(file, item, rng)
    elif kind < 5 and item.dtype == np.uint8 and item.ndim == 1 and item.size and (
            item[0] == ord("{")):
        return _change_json(file, item, rng)
    elif kind in (2, 3, 4) and item.dtype.kind in "iufcV" and item.size:
        item[...] = _flipped(item[()], rng)
        return "has other values"
    made = _other_array(item, kind, rng)
    attrs = dict(item.attrs)
    del file[name]
    file[name] = made
    file[name].attrs.update(attrs)
    return f"is {made!r:.60}"


def _other_array(item: Any, kind: int, rng: np.random.Generator) -> Any:
    """Values of another shape or type."""
    if kind < 7 and item.shape:
        data = item[()]
        if kind == 5:
            return [data[: len(data) // 2], np.concatenate([data, data]), data[..., np.newaxis],
                    data[:0], data[0]][rng.integers(5)]
        if data.dtype.kind in "iuf":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return data.astype(str(rng.choice(["<i1", ">i2", "<u8", "<f8", ">c8", "S4"])))
    return list(NONSENSE.values())[rng.integers(len(NONSENSE))]


def _change_external(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    """Other places in raw files for a dataset."""
    name, shape, dtype, attrs = item.name, item.shape, item.dtype, dict(item.attrs)
    size = int(rng.choice([1, 100, 600, 2**40, 2**62]))
    place = (str(rng.choice([item.external[0][0], "missing", "../x", "/dev/zero", "."])),
             int(rng.choice([0, 1, 500, 600, 2**40, 2**62])), size)
    n = max(1, size // dtype.itemsize) if rng.random() < 0.5 else shape[0]
    unlimited = place[1] == 0 and n > size // dtype.itemsize
    del file[name]
    file.create_dataset(name, (n,), dtype, external=[
        (*place[:2], h5py.h5f.UNLIMITED if unlimited else max(size, n * dtype.itemsize))])
    file[name].attrs.update(attrs)
    return f"lies in {place}, {n} samples"


_JSON = (None, -1, 0, 1, 2, 3, 4, 0.5, 10**30, float("inf"), float("nan"), True, [], {}, [0], "x")


def _change_json(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    """Another value in a record of JSON."""
    record, found, name = json.loads(item[()].tobytes()), [], item.name

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(record)
    node, key = found[rng.integers(len(found))]
    values = (*_JSON, *VALUES)
    node[key] = new = values[rng.integers(len(values))]
    if isinstance(node, dict) and rng.random() < 0.1:
        del node[key]
        new = "missing"
    del file[name]
    file[name] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    return f"has {key} = {new!r:.60}"
