"""Safe access to HiFAST's files: plain datasets, links to neighbouring files, axes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import FormatError
from fastsig.io.fast.spectral import F_WIDTH
from fastsig.io.fits.single_dish import exact_float
from fastsig.io.hdf5.external import resolve_beside
from fastsig.io.hdf5.opening import reading

__all__ = ["FIELDS", "UNITS", "axis_of", "group_of", "other_shapes", "plain_dataset", "spectra_of",
           "vector"]

#: Names of the spectra, in the order in which HiFAST searches for them.
FIELDS = ("T", "Ta", "Power", "flux")
#: Units of the spectra whose unit is known: ``hifast.flux`` converts K to Jy.
UNITS = {"T": "K", "Ta": "K", "flux": "Jy"}

_MOST_LINKS, _MOST_FIELD = 8, 2**32
#: Fraction of a channel by which labels may deviate from even spacing.
_UNEVEN = 0.01


def spectra_of(group: h5py.Group, field: str | None, path: str,
               keep: Callable[[str], h5py.File]) -> tuple[h5py.Dataset, str]:
    """Return the spectra of a group, in its own or a linked neighbouring file, and their name.

    Parameters
    ----------
    group : h5py.Group
        The group S.
    field : str or None
        Name of the spectra; by default, the first of `FIELDS` in the group.
    path : str
        The file of `group`.
    keep : callable
        Function that opens another file and keeps it open.
    """
    with reading(path, "the group S"):
        names = set(group)
    there = [name for name in FIELDS if name in names]
    name = field or next(iter(there), None)
    if name not in there or name is None:
        raise FormatError(path, f"S has no spectra {name or ''}; there are "
                          f"{', '.join(there) or 'none'}; allowed: {', '.join(FIELDS)}")
    at, where = name, path
    for _ in range(_MOST_LINKS):
        with reading(where, f"S/{at}"):
            link = group.get(at, getlink=True) if at in set(group) else None
        if not isinstance(link, h5py.ExternalLink):
            return plain_dataset(group, at, where, 3, "(pol, time, chan)"), name
        if link.path.strip("/") not in {f"S/{each}" for each in FIELDS}:
            raise FormatError(where, f"S/{at} links to {link.path!r}; allowed: spectra of S")
        where = resolve_beside(path, link.filename)
        group, at = group_of(keep(where), where), link.path.rpartition("/")[2]
    raise FormatError(path, f"S/{name} leads through more than {_MOST_LINKS} files")


def vector(group: h5py.Group, name: str, n: int, path: str) -> NDArray[np.float64]:
    """Read a dataset of `n` numbers."""
    dataset = plain_dataset(group, name, path, 1, f"({n},)")
    if dataset.shape != (n,):
        raise FormatError(path, f"S/{name} has the shape {dataset.shape}; the spectra need ({n},)")
    with reading(path, f"S/{name}"):
        return np.asarray(dataset[()], np.float64)


def other_shapes(group: h5py.Group, spectra: str, path: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the other plain datasets; links and objects are left out."""
    out = {}
    with reading(path, "the group S"):
        for name in group:
            link = group.get(name, getlink=True)
            if name == spectra or not isinstance(link, h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset) and _is_plain(item) and (
                    item.size * item.dtype.itemsize <= _MOST_FIELD):
                out[name] = tuple(item.shape)
    return out


def group_of(file: h5py.File, path: str) -> h5py.Group:
    """Return the group S of a file, which must not be a link."""
    with reading(path, "the group S"):
        link = file.get("S", getlink=True) if "S" in set(file) else None
        group = file["S"] if isinstance(link, h5py.HardLink) else None
    if not isinstance(group, h5py.Group):
        raise FormatError(path, "has no group S")
    return group


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Whether numbers or texts are stored in the file itself, not in objects or other files."""
    return dataset.dtype.kind in "biufS" and not dataset.is_virtual and not dataset.external


def plain_dataset(group: h5py.Group, name: str, path: str, n_axis: int, axes: str) -> h5py.Dataset:
    """Return a dataset of numbers with `n_axis` axes that is stored in the file itself."""
    with reading(path, f"S/{name}"):
        there = name in set(group)
        link = group.get(name, getlink=True) if there else None
        item = group[name] if isinstance(link, h5py.HardLink) else None
        good = isinstance(item, h5py.Dataset) and item.ndim == n_axis and (
            item.dtype.kind in "biuf" and _is_plain(item))
    if not there:
        raise FormatError(path, f"S has no {name}")
    if not good:
        found = type(link).__name__ if item is None else f"{getattr(item, 'dtype', 'a group')}"
        raise FormatError(path, f"S/{name} is {found}; allowed: numbers {axes} in the file itself")
    return item


def axis_of(freq: NDArray[np.float64], path: str) -> tuple[ChannelAxis, bool]:
    """Return the channels, and whether they are descending in the file."""
    n = len(freq)
    if n < 2:
        raise FormatError(path, "S/freq has one channel, whose width is not known; allowed: two "
                          "or more")
    if not (np.isfinite(freq).all() and freq.min() > 0 and freq.max() < 1e9):
        raise FormatError(path, "S/freq; allowed: MHz above 0")
    step = float(freq[-1] - freq[0]) / (n - 1)
    even = freq[0] + step * np.arange(n)
    if not step or float(np.abs(freq - even).max()) > _UNEVEN * abs(step):
        raise FormatError(path, f"S/freq is not evenly spaced to {_UNEVEN} of {step:.9g} MHz")
    first = exact_float(freq[0] if step > 0 else freq[-1]) * 10**6
    return ChannelAxis(first, _width(abs(step), float(freq.max()), n), n), step < 0


def _width(step: float, highest: float, n: int) -> Fraction:
    """Return the width of a channel, Hz; that of FAST if labels agree to float precision."""
    error = 4 * np.spacing(highest) / (n - 1) + 4 * np.spacing(step)
    for width in (F_WIDTH, 16 * F_WIDTH):
        if abs(float(width / 10**6) - step) <= error:
            return width
    return Fraction(round(step * 10**15), 10**9)
