"""Spectra that a map is made of: which rows take part, where they lie, one band at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.stages.select import SelectSpectra
from fastsig.stream import SpectrumStream, Stream

__all__ = ["KEPT", "PRODUCTS", "Rows", "as_streams", "check_alike", "rows_of"]

F4, F8 = NDArray[np.float32], NDArray[np.float64]

#: Kinds of rows that are left out unless they are asked for.
KEPT = ("extrapolated", "diode")
#: Products of a map, and what each may be made of; the first that is there.
PRODUCTS = {"I": (("I",), ("AA", "BB"), ("mean",)), "IQUV": (("I", "Q", "U", "V"),),
            "V": (("V",),)}
_MARKS = {"extrapolated": ("extrapolated", "is_extrapo"), "diode": ("diode_on", "is_on")}
_PIECE_BYTES = 2**24


@dataclass(frozen=True)
class Rows:
    """Rows of a stream that take part.

    Parameters
    ----------
    stream : SpectrumStream
    kept : ndarray, shape (n,), int64
        Their numbers, ascending.
    ra, dec : ndarray, shape (n,), float64, deg
        ICRS.
    left_out : dict of str to int
        Why others do not, and how many.
    """

    stream: SpectrumStream
    kept: NDArray[np.int64]
    ra: F8
    dec: F8
    left_out: dict[str, int] = field(default_factory=dict)

    def only(self, mask: NDArray[np.bool_], why: str) -> Rows:
        """Those of a mask alone."""
        lost = int((~mask).sum())
        left = {**self.left_out, **({why: lost} if lost else {})}
        return Rows(self.stream, self.kept[mask], self.ra[mask], self.dec[mask], left)

    def pieces(self) -> list[tuple[int, int]]:
        """Spans of `kept` that are read together: about 16 MiB of the stream's rows."""
        most = max(1, _PIECE_BYTES // max(1, self.stream.row_bytes))
        out, first = [], 0
        while first < len(self.kept):
            stop = int(np.searchsorted(self.kept, self.kept[first] + most))
            out.append((first, stop))
            first = stop
        return out

    def piece_bytes(self, n_chan: int) -> int:
        """Memory that a thread takes to read a piece of a band."""
        most = max(1, _PIECE_BYTES // max(1, self.stream.row_bytes))
        rows = min(most, self.stream.shape[0])
        whole = self.stream.narrowed(0, 1) is None
        share = 1.0 if whole else min(1.0, n_chan / self.stream.shape[2])
        return int(2 * share * self.stream.work_bytes(rows)) + 24 * rows * n_chan

    def read(self, piece: tuple[int, int], channels: tuple[int, int], product: str, data: F4,
             weight: F4, scale: float = 1.0) -> None:
        """Fill `data` (product, n, chan) and `weight` (product, n, 1 or chan; s) with a piece.

        Values are multiplied by `scale`, and weights, inverse variances, divided by its square.
        """
        kept = self.kept[slice(*piece)]
        first, n = int(kept[0]), int(kept[-1] - kept[0]) + 1
        part = self.stream if channels == (0, self.stream.shape[2]) else SelectSpectra(
            self.stream, (0, self.stream.shape[0]), channels)
        block = part.read_block(first, n)
        seconds = np.float32(1 / self.stream.header.sample_rate)
        values, valid = block.data[kept - first], np.asarray(block.valid)[kept - first]
        valid = np.broadcast_to(valid, (len(kept), values.shape[1], valid.shape[2]))
        source, names = _source(self.stream, product), self.stream.polarization.names
        _combine(values, valid * seconds, source, self.stream.header.unit,
                 names[source[0]] == "mean", data, weight)
        if scale != 1:
            data *= np.float32(scale)
            weight *= np.float32(1 / scale**2)


def _source(stream: SpectrumStream, product: str) -> tuple[int, ...]:
    """Places of the products that those of a map are made of, in the stream."""
    names = stream.polarization.names
    for wanted in PRODUCTS[product]:
        if all(name in names for name in wanted):
            return tuple(names.index(name) for name in wanted)
    allowed = " or ".join(", ".join(each) for each in PRODUCTS[product])
    raise PlanError(f"{stream.path}: the products are {', '.join(names)}; a map of {product} "
                    f"needs {allowed}")


def _combine(values: F4, weight: F4, source: tuple[int, ...], unit: str | None, mean: bool,
             data: F4, out_weight: F4) -> None:
    """Products of a map of those of spectra.

    I is the mean of AA and BB, in Jy and in K. I, Q, U and V are sums of two polarisations in K:
    they are halved, unless they are a mean. In Jy they are what they are.
    """
    if len(source) == 2:
        a, b = (weight[:, each] for each in source)
        np.add(values[:, source[0]], values[:, source[1]], out=data[0])
        data[0] *= np.float32(0.5)
        with np.errstate(divide="ignore", invalid="ignore"):
            out_weight[0] = np.where((a > 0) & (b > 0), 2 / (1 / a + 1 / b), np.float32(0))
        return
    factor = np.float32(0.5 if unit == "K" and not mean else 1)
    for place, each in enumerate(source):
        np.multiply(values[:, each], factor, out=data[place])
        out_weight[place] = weight[:, each]


def as_streams(inputs: Sequence[Any]) -> list[SpectrumStream]:
    """Streams of chains, streams, and paths of files.

    Raises
    ------
    UsageError
        Where there are none.
    PlanError
        Where one holds no spectra.
    """
    from fastsig.io import open_stream

    out: list[SpectrumStream] = []
    for each in inputs:
        stream = getattr(each, "stream", each)
        if not isinstance(stream, Stream):
            stream = open_stream(stream)
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: holds {stream.kind}; a map is made of spectra")
        out.append(stream)
    if not out:
        raise UsageError("no spectra; allowed: 1 file or more")
    return out


def check_alike(streams: Sequence[SpectrumStream], product: str) -> None:
    """Refuse streams that do not go into one map.

    Raises
    ------
    PlanError
        Where units differ or are those of the recorder, or products lack.
    """
    first = streams[0]
    for stream in streams:
        unit = stream.header.unit
        if unit not in ("K", "Jy"):
            raise PlanError(f"{stream.path}: is in {unit or 'the units of the recorder'}; allowed: "
                            "K or Jy, of fastsig calibrate")
        if unit != first.header.unit:
            raise PlanError(f"{stream.path}: is in {unit}, {first.path} in {first.header.unit}; "
                            "allowed: one unit for all")
        _source(stream, product)
        stream.header.require_channels(stream.path)
    if product == "IQUV":
        frames = {stream.polarization.frame for stream in streams}
        if len(frames) > 1:
            raise PlanError(f"Q and U are of the sky in some spectra and of the receiver in "
                            f"others, as {first.path}; allowed: one frame for all")


def rows_of(stream: SpectrumStream, keep: Sequence[str] = ()) -> Rows:
    """The rows of a stream that take part: those of which the position is known.

    Parameters
    ----------
    stream : SpectrumStream
        With the columns ``ra_deg`` and ``dec_deg``.
    keep : sequence of {"extrapolated", "diode"}
        Rows to take in that are left out by default: with positions beyond the track, and with the
        noise diode on.

    Raises
    ------
    PlanError
        Where positions are not known.
    """
    for each in keep:
        if each not in KEPT:
            raise UsageError(f"keep = {each!r}; allowed: {', '.join(KEPT)}")
    if not {"ra_deg", "dec_deg"} <= set(stream.columns):
        raise PlanError(f"{stream.path}: where its spectra point is not known; give the track to "
                        "fastsig calibrate (--ky)")
    n = stream.shape[0]
    columns = stream.read_columns(0, n)
    ra, dec = columns["ra_deg"], columns["dec_deg"]
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    rows = Rows(stream, np.arange(n), ra, dec).only(known, "no position")
    for name, (column, field_name) in _MARKS.items():
        mark = columns[column] if column in columns else _field(stream, field_name)
        if mark is not None and name not in keep:
            rows = rows.only(~(mark[rows.kept] > 0), _WHY[name])
    return rows


_WHY = {"extrapolated": "position extrapolated", "diode": "noise diode on"}


def _field(stream: SpectrumStream, name: str) -> F8 | None:
    """What a HiFAST file marks rows with; 0 where no row is."""
    root: Any = stream
    first = 0
    while root.inputs():
        if len(root.inputs()) != 1 or root.inputs()[0].shape[0] < root.shape[0]:
            return None
        first += root.rows[0] if isinstance(root, SelectSpectra) else 0
        root = root.inputs()[0]
    slots = getattr(root, "slots", None)
    if slots is None or getattr(root, "fields", {}).get(name) != (len(slots),):
        return None
    out = np.zeros(root.shape[0])
    out[slots] = root.read_field(name)
    return out[first : first + stream.shape[0]]
