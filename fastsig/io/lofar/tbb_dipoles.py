"""The dipoles of a LOFAR TBB file: their names, clocks, flags and samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import h5py
import numpy as np

from fastsig.axes.validity import Spans, as_spans, clip, complement
from fastsig.errors import FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.hdf5.external import RawPiece, external_pieces
from fastsig.io.hdf5.opening import cards_of, reading

_UNITS = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_RATE_KEYS = ("SAMPLE_FREQUENCY", "SAMPLE_FREQUENCY_VALUE")  # writers use either
_MAX_ZONE = 8  # no receiver samples beyond its third zone
_MAX_SECONDS = 4102444800  # the year 2100


@dataclass(frozen=True)
class Dipole:
    """A dipole's dataset.

    Parameters
    ----------
    name : str
        Name within its station's group.
    dtype : dtype
        The stored type, byte order included.
    n : int
        Number of samples that the file states.
    held : int
        Number of samples that are present: fewer where a raw file is truncated.
    valid : Spans
        Valid samples, counted from the dipole's first.
    rate : Fraction
        Sample rate, Hz.
    start : Fraction
        Unix time of the first sample, s.
    zone : int or None
        Nyquist zone; zone 1 starts at 0 Hz.
    rcu : int or None
        Number of the receiver unit.
    pieces : tuple of RawPiece or None
        Raw files that contain the samples; None where the HDF5 file itself contains them.
    cards : dict
        All attributes.
    """

    name: str
    dtype: np.dtype[Any]
    n: int
    held: int
    valid: Spans
    rate: Fraction
    start: Fraction
    zone: int | None
    rcu: int | None
    pieces: tuple[RawPiece, ...] | None
    cards: dict[str, Any]


class _Cards:
    """Attributes of one object, with errors that name the attribute and the object."""

    def __init__(self, cards: dict[str, Any], name: str, path: str) -> None:
        self.cards, self.name, self.path = cards, name, path

    def fault(self, key: str, allowed: str) -> FormatError:
        """Return the error for an attribute without meaning."""
        found = repr(self.cards[key]) if key in self.cards else "missing"
        return FormatError(self.path, f"{self.name}: {key} is {found}; allowed: {allowed}")

    def whole(self, key: str, low: int, high: int, *, required: bool = False) -> int | None:
        """Return a whole number in [low, high]; None where it is missing and not required."""
        value: Any = self.cards.get(key)
        if value is None and not required:
            return None
        number = type(value) in (int, float) and float(value).is_integer()
        if not number or not low <= value <= high:
            raise self.fault(key, f"a whole number from {low} to {high}")
        return int(value)

    def rate(self) -> Fraction | None:
        """Return SAMPLE_FREQUENCY in Hz, exactly as its decimals."""
        key = next((key for key in _RATE_KEYS if key in self.cards), None)
        if key is None:
            return None
        value, unit = self.cards[key], self.cards.get("SAMPLE_FREQUENCY_UNIT")
        if unit not in _UNITS:
            raise self.fault("SAMPLE_FREQUENCY_UNIT", ", ".join(_UNITS))
        if type(value) not in (int, float) or not 0 < value * _UNITS[unit] < 1e12:
            raise self.fault(key, "a positive number below 1 THz")
        return Fraction(repr(value)) * _UNITS[unit]


def read_dipole(dataset: h5py.Dataset, path: str, override: Fraction | None) -> Dipole:
    """Interpret a dipole's dataset; `override` is the rate where the file states none.

    Raises
    ------
    FormatError
        Where an attribute is missing or has no meaning, or there are no samples.
    """
    name = str(dataset.name).rpartition("/")[2]
    with reading(path, f"the attributes of {dataset.name}"):
        cards = _Cards(cards_of(dataset.attrs), str(dataset.name), path)
    _check_type(dataset, path)
    rate = cards.rate() or override
    if rate is None:
        raise FormatError(path, f"{dataset.name} has no SAMPLE_FREQUENCY; give --set "
                          "sample_rate=200MHz")
    seconds = cards.whole("TIME", 0, _MAX_SECONDS, required=True) or 0
    sample = cards.whole("SAMPLE_NUMBER", 0, 2**40, required=True) or 0
    pieces, found = _storage(dataset, path)
    n = _declared(cards, int(dataset.size))
    held = min(n, found)
    return Dipole(
        name=name,
        dtype=dataset.dtype,
        n=n,
        held=held,
        valid=_unflagged(cards, held),
        rate=rate,
        start=seconds + sample / rate,
        zone=cards.whole("NYQUIST_ZONE", 1, _MAX_ZONE),
        rcu=cards.whole("RCU_ID", 0, 10**6),
        pieces=pieces,
        cards=cards.cards,
    )


def _check_type(dataset: h5py.Dataset, path: str) -> None:
    if dataset.dtype.kind not in "iuf" or dataset.ndim != 1 or not dataset.size:
        raise FormatError(path, f"{dataset.name} is {dataset.dtype} of shape {dataset.shape}; "
                          "allowed: real numbers of shape (sample,)")
    if dataset.is_virtual:
        raise FormatError(path, f"{dataset.name} is a virtual dataset, which ICD 1 does not allow")


def _storage(dataset: h5py.Dataset, path: str) -> tuple[tuple[RawPiece, ...] | None, int]:
    """Return the raw files and the number of complete samples that are present."""
    if dataset.id.get_create_plist().get_external_count() == 0:
        return None, int(dataset.size)
    pieces, found = external_pieces(dataset, path)
    size = dataset.dtype.itemsize
    if found < int(dataset.size) * size:
        warnings.warn(
            f"{path}: raw file {pieces[-1].path} of {dataset.name} is truncated: expected "
            f"{int(dataset.size) * size} bytes, found {found}; the rest is taken as missing",
            FastsigWarning, stacklevel=users_line())
    return pieces, found // size


def _declared(cards: _Cards, size: int) -> int:
    """Return the smaller of DATA_LENGTH and the dataset's size; warn where they differ."""
    declared = cards.whole("DATA_LENGTH", 1, 2**62)
    if declared is None or declared == size:
        return size
    warnings.warn(f"{cards.path}: {cards.name} contains {size} samples, but DATA_LENGTH is "
                  f"{declared}; the smaller is used", FastsigWarning, stacklevel=users_line())
    return min(declared, size)


def _unflagged(cards: _Cards, n: int) -> Spans:
    """Return the samples outside the half-open ranges of FLAG_OFFSETS."""
    rows = cards.cards.get("FLAG_OFFSETS") or []
    try:
        pairs = np.array(rows, None if rows else np.int64)
        if pairs.dtype.kind not in "iu":
            raise ValueError("not whole numbers")
        flags = as_spans(pairs.reshape(-1, 2).clip(0, n))
    except (TypeError, ValueError) as error:
        raise cards.fault("FLAG_OFFSETS", "ascending pairs of sample numbers") from error
    return complement(clip(flags, 0, n), 0, n)


def members(group: h5py.Group, prefix: str, kind: type, path: str) -> list[str]:
    """Return the names of the members that begin with `prefix`; links raise an error."""
    with reading(path, f"the members of {group.name}"):
        names = sorted(name for name in group if name.startswith(prefix))
        for name in names:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FormatError(path, f"{name} of {group.name} is a link; allowed: a member of "
                                  "its own")
        found = [name for name in names if group.get(name, getclass=True) is kind]
    if not found:
        raise FormatError(path, f"{group.name} contains no {prefix}* that is a {kind.__name__}")
    return found


def _pick(value: Any, names: list[str], key: str) -> str:
    """Return the one name that is `value` or ends with it."""
    text = str(value).strip()
    found = [text] if text in names else [name for name in names if text and name.endswith(text)]
    if len(found) != 1:
        raise UsageError(f"{key} = {text!r} matches {len(found)} names; allowed: "
                         f"{', '.join(names)}, or the end of one")
    return found[0]


def station_of(value: Any, names: list[str]) -> str:
    """Return the station that `value` names; without a value, the only station."""
    if value is not None:
        return _pick(value, names, "station")
    if len(names) > 1:
        raise UsageError(f"the file has {len(names)} stations; choose one with station=NAME: "
                         f"{', '.join(names)}")
    return names[0]


def dipoles_of(value: Any, names: list[str]) -> list[str]:
    """Return the dipoles that `value` names, in its order; without a value, all dipoles."""
    if value is None:
        return names
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    found = [_pick(item, names, "dipole") for item in items]
    if not found or len(set(found)) < len(found):
        raise UsageError(f"dipole = {value!r} names a dipole twice, or no dipole")
    return found
