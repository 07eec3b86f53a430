"""DADA: a text header, then voltages sample by sample; an observation may have several files.

The place of a file is OBS_OFFSET, in bytes from the start of the observation, so files may be
missing. MeerKAT's beam former writes heaps of 256 samples (pol, channel, time) without stating it.

References
----------
PSRDADA, https://psrdada.sourceforge.net; DSPSR user documentation, "Describing data using the
PSRDADA ASCII header" and "Write time series data" (order TFP, 32 bits are floats, PICOSECONDS after
UTC_START), and MeerKATUnpacker.C for heaps.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time, sample_time, time_from_mjd
from fastsig.errors import DoubtWarning, FormatError, UsageError, unreadable, users_line
from fastsig.io.dada.order import better_heap
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY, Cards, lines, same_cards
from fastsig.io.probe import Probe
from fastsig.io.voltages.interleaved import ORDERS, InterleavedVoltages, Interleaving
from fastsig.io.voltages.segments import disjoint, from_first, incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["IN_HEAPS", "KINDS", "MANY", "NAME", "UNKNOWN", "open", "sniff"]

NAME, KINDS = "dada", ("voltage",)

#: The value of an unknown name.
UNKNOWN = "unknown"

#: Whether `open` accepts several files of one observation.
MANY = True

#: Values of `order`: PFT is in heaps, in which time varies fastest.
_ORDERS = (*ORDERS, "PFT")

#: Values of INSTRUMENT that imply heaps if there is no ORDER.
IN_HEAPS = ("MKBF", "MeerKAT")

_HEAP, _LONGEST_HEAP = 256, 2**20

_BAND = ("FREQ", "BW", "TSAMP", "PICOSECONDS")
_KEYS = {"HDR_VERSION", "HDR_SIZE", "DADA_VERSION", "OBS_OFFSET", "UTC_START", "NBIT", "NDIM"}
_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("i1"), 16: np.dtype("<i2"), 32: np.dtype("<f4")}


def sniff(probe: Probe) -> bool:
    """Whether a file begins with lines of KEY VALUE, including keys of DADA."""
    text = probe.head.partition(b"\0")[0]
    keys = {line.split(maxsplit=1)[0].decode("ascii", "replace")
            for line in text.splitlines() if line.split()}
    return len(keys & _KEYS) >= 3 and b"\n" in text


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> InterleavedVoltages:
    """Open the files of one DADA observation as a stream.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    order : {"TFP", "TPF", "PFT"}, optional
        Whether polarisation or channel varies faster, or that there are heaps in which time does;
        by default, ORDER in the header. Without ORDER, INSTRUMENT = MKBF means heaps, and any other
        file of several channels is refused (DSPSR writes "TFP", `baseband` assumes "TPF").
    heap : int, optional
        Samples of a heap, if the order is "PFT"; 256 by default.
    **overrides
        The common options of `fastsig.open`.

    Raises
    ------
    FormatError
        If a header lacks a required value, or files do not belong together.
    UsageError
        If an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("order", "heap"), NAME)
    order, heap = own.get("order"), _heap(own)
    rows, first, geometry = [], None, None
    for number, each in enumerate(paths):
        cards, offset, size = _cards(each)
        found = _geometry(cards, order, heap)
        if first is None or geometry is None:
            first, geometry = cards, found
            header = _header(first, geometry, each)
        elif found != geometry or cards.get("UTC_START") != first.get("UTC_START"):
            raise FormatError(each, f"differs in observation or shape from {paths[0]}")
        same_cards(cards, first, _BAND, each, paths[0])
        at = _position(cards, geometry)
        n, rest = divmod(size - offset, geometry.row_bytes * geometry.heap)
        n *= geometry.heap
        if rest:
            incomplete(each, f"the last {rest} bytes are not a whole "
                       f"{'sample' if geometry.heap == 1 else 'heap'}")
        rows.append((at, at + n, number, offset))
    if first is None or geometry is None or not any(stop > start for start, stop, *_ in rows):
        raise FormatError(paths[0], "contains no samples")
    if order is None:
        _doubt_order(paths[rows[0][2]], rows[0][3], geometry)
    table, begin = from_first(rows, header.sample_rate, paths[0])
    header = header.replace(start_time=sample_time(header.start_time, begin, header.sample_rate))
    return InterleavedVoltages(header.overridden(common), geometry, paths, disjoint(table))


def _cards(path: str) -> tuple[Cards, int, int]:
    """Return the header, the byte at which samples begin, and the size of the file."""
    try:
        with _reader(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(4096)
            cards = lines(head, path, "the header")
            length = cards.integer("HDR_SIZE", 4096, least=1, most=2**24)
            if length > len(head):
                cards = lines(head + file.read(length - len(head)), path, "the header")
    except OSError as error:
        raise unreadable(path, error) from error
    if size < length:
        raise FormatError(path, f"truncated: {size} bytes, but its header alone has {length}")
    return cards, length, size


def _reader(path: str) -> Any:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb")


def _heap(own: Mapping[str, Any]) -> int:
    """Return the samples of a heap according to the options."""
    order, text = own.get("order"), str(own.get("heap", _HEAP))
    if order is not None and order not in _ORDERS:
        raise UsageError(f"order = {order!r}; allowed: {', '.join(_ORDERS)}")
    if "heap" in own and order != "PFT":
        raise UsageError(f"heap = {text}; allowed: with order = PFT")
    if not (text.isascii() and text.isdigit() and len(text) < 10) or not (
            1 < int(text) <= _LONGEST_HEAP):
        raise UsageError(f"heap = {text!r}; allowed: a whole number of samples, 2 to "
                         f"{_LONGEST_HEAP}")
    return int(text)


def _geometry(cards: Cards, order: str | None, heap: int) -> Interleaving:
    n_bits = cards.integer("NBIT")
    if n_bits not in _DTYPES:
        raise cards.error("NBIT", "8, 16 (integers), 32 (floats)")
    n_chan = cards.integer("NCHAN", 1, least=1, most=2**20)
    chosen = order or _order(cards, n_chan)
    return Interleaving(
        n_chan, cards.integer("NPOL", 1, least=1, most=2),
        cards.integer("NDIM", 1, least=1, most=2), _DTYPES[n_bits], chosen,
        heap if chosen == "PFT" else 1,
    )


def _order(cards: Cards, n_chan: int) -> str:
    """Return the order stated in the header, or else the known order of its instrument."""
    stated = (cards.text("ORDER") or "").upper()
    if not stated and cards.text("INSTRUMENT") in IN_HEAPS:
        return "PFT"
    if n_chan == 1 and stated.replace("F", "") in ("", "TP"):
        return "TFP"  # the place of the only channel makes no difference
    if stated not in ORDERS:
        raise cards.error("ORDER", f"{', '.join(ORDERS)}; give --set order=TFP (DSPSR's), TPF, or "
                          "PFT for heaps")
    return stated


def _doubt_order(path: str, offset: int, geometry: Interleaving) -> None:
    """Warn if samples appear to be in another order than assumed."""
    heap = better_heap(path, offset, geometry)
    if heap is not None:
        other = "TFP or TPF" if heap == 1 else f"PFT --set heap={heap}"
        warnings.warn(DoubtWarning(
            f"{path}: samples are read in the order {geometry.order}, but the power of channels is "
            f"steadier in another; try --set order={other}"), stacklevel=users_line())


def _position(cards: Cards, g: Interleaving) -> int:
    offset, step = cards.integer("OBS_OFFSET", 0), g.row_bytes * g.heap
    if offset % step:
        raise cards.error("OBS_OFFSET", f"a multiple of {step} bytes, one "
                          f"{'sample' if g.heap == 1 else 'heap'}")
    return offset // g.row_bytes


def _start_time(cards: Cards) -> Time:
    text = cards.text("UTC_START")
    if text is not None:
        day, _, clock = text.rpartition("-")
        try:
            if not 1970 <= int(text[:4]) < 2100:
                raise ValueError
            start = parse_time(f"{day}T{clock}" if day.count("-") == 2 else text)
        except ValueError:
            raise cards.error("UTC_START", "yyyy-mm-dd-hh:mm:ss, 1970 to 2099") from None
        late = cards.integer("PICOSECONDS", 0, most=10**12)
        return sample_time(start, late, Fraction(10**12)) if late else start
    mjd = cards.exact("MJD_START")
    if not FIRST_DAY <= mjd <= LAST_DAY:
        raise cards.error("MJD_START", f"{FIRST_DAY} to {LAST_DAY}")
    return time_from_mjd(int(mjd // 1), mjd % 1 * 86400)


def _header(cards: Cards, g: Interleaving, path: str) -> Header:
    interval = cards.exact("TSAMP")  # us
    if interval <= 0:
        raise cards.error("TSAMP", "above 0")
    axis, sideband = None, "upper"
    rate = 10**6 / interval
    if cards.text("BW") is not None and cards.text("FREQ") is not None:
        width, center = cards.exact("BW") * 10**6, cards.exact("FREQ") * 10**6
        if not width:
            raise cards.error("BW", "a number other than 0")
        step = abs(width) / g.n_chan
        sideband = "upper" if width > 0 else "lower"
        axis = ChannelAxis(center - abs(width) / 2 + step / 2, step, g.n_chan)
        exact = step * (1 if g.n_dim == 2 else 2)
        if abs(exact / rate - 1) < Fraction(1, 10**6):
            rate = exact  # TSAMP is often rounded
    circular = (cards.text("BASIS") or "").lower().startswith("circ")
    linear = (cards.text("BASIS") or "").lower().startswith("lin")
    kind = "circular" if circular else "linear" if linear else "unknown"
    names = {"circular": ("L", "R"), "linear": ("X", "Y"), "unknown": ("0", "1")}[kind]
    return Header(
        start_time=_start_time(cards), sample_rate=rate, channels=axis,
        sideband=sideband,  # type: ignore[arg-type]
        polarization=PolBasis(kind, names[: g.n_pol]),  # type: ignore[arg-type]
        n_bits=8 * g.dtype.itemsize, is_complex=g.n_dim == 2, telescope=_name(cards, "TELESCOPE"),
        receiver=cards.text("RECEIVER"), backend=_name(cards, "INSTRUMENT"),
        source=_name(cards, "SOURCE"), beam=cards.index("BEAM"),
        ra_deg=cards.angle("RA", "hourangle"), dec_deg=cards.angle("DEC", "deg"),
        extra={**cards, "order": g.order}, origin=_origins(os.path.basename(path)),
    )


def _name(cards: Cards, key: str) -> str | None:
    """Return a text, or None if it means unknown."""
    text = cards.text(key)
    return None if text == UNKNOWN else text


def _origins(name: str) -> dict[str, str]:
    keys = {"start_time": "UTC_START", "sample_rate": "TSAMP", "channels": "FREQ",
            "sideband": "BW", "n_bits": "NBIT", "is_complex": "NDIM", "telescope": "TELESCOPE",
            "source": "SOURCE"}
    return {field: f"{name}:{key}" for field, key in keys.items()}
