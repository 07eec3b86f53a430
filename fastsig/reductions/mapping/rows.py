"""The spectra of a map: which rows are used and where they lie, read one band at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.reductions.mapping.bands import Band, input_channels, levelled
from fastsig.reductions.mapping.closed_files import ClosedFile
from fastsig.stream import Block, Sink, SpectrumStream, Stream

__all__ = ["KEPT", "PRODUCTS", "MapRows", "Rows", "as_streams", "check_alike", "rows_of"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: Kinds of rows that are left out unless they are requested.
KEPT = ("extrapolated", "diode")
#: Products of a map, and the spectral products it may be computed from; the first set present.
PRODUCTS = {"I": (("I",), ("AA", "BB"), ("mean",)), "IQUV": (("I", "Q", "U", "V"),),
            "V": (("V",),)}
_MARKS = {"extrapolated": "extrapolated", "diode": "diode_on"}
_PIECE_BYTES = 2**24


@dataclass(frozen=True)
class Rows:
    """Rows of a stream that are used for a map.

    Parameters
    ----------
    stream : SpectrumStream
    kept : ndarray, shape (n,), int64
        Row numbers, ascending.
    ra, dec : ndarray, shape (n,), float64, deg
        ICRS.
    left_out : dict of str to int
        Number of rows left out, for each reason.
    level : ndarray, shape (m,), int64, optional
        Row numbers, ascending, which include `kept`; the median of these rows is subtracted from
        each product and channel. By default, nothing is subtracted.
    """

    stream: SpectrumStream
    kept: NDArray[np.int64]
    ra: F8
    dec: F8
    left_out: dict[str, int] = field(default_factory=dict)
    level: NDArray[np.int64] | None = None

    def only(self, mask: NDArray[np.bool_], why: str) -> Rows:
        """Return only the rows in a mask."""
        lost = int((~mask).sum())
        left = {**self.left_out, **({why: lost} if lost else {})}
        return replace(self, kept=self.kept[mask], ra=self.ra[mask], dec=self.dec[mask],
                       left_out=left)

    def pieces(self) -> list[tuple[int, int]]:
        """Return spans of `kept` that are read together: about 16 MiB of the stream's rows.

        All rows are one span if a median is subtracted.
        """
        most = self.most
        out, first = [], 0
        while first < len(self.kept):
            stop = int(np.searchsorted(self.kept, self.kept[first] + most))
            out.append((first, stop))
            first = stop
        return out

    @property
    def most(self) -> int:
        """Largest number of rows in a piece."""
        if self.level is not None:
            return self.stream.shape[0]
        return max(1, _PIECE_BYTES // max(1, self.stream.row_bytes))

    def piece_bytes(self, n_chan: int) -> int:
        """Memory that a thread needs to read a piece of a band."""
        rows = min(self.most, self.stream.shape[0])
        source, wide = input_channels(self.stream, n_chan)
        whole = source.narrowed(0, 1) is None
        share = 1.0 if whole else min(1.0, wide / source.shape[2])
        return int(2 * share * source.work_bytes(rows)) + self.made_bytes(rows, n_chan + wide)

    def made_bytes(self, n: int, n_chan: int) -> int:
        """Memory for computing a band of `n` rows; `n_chan` counts channels read and computed."""
        return (12 if self.level is None else 20) * n * self.stream.shape[1] * n_chan


class MapRows(Sink):
    """A sink that stores some channels of one input's rows as products of a map.

    Parameters
    ----------
    rows : Rows
    channels : (int, int)
        Channels of the input: the first, and the one after the last.
    product : str
        Product of the map.
    data : ndarray, shape (product, n, chan)
        Receives the values of `rows.kept`.
    weight : ndarray, shape (product, n, 1 or chan), s
        Receives their weights.
    scale : float
        Factor for the values; weights, which are inverse variances, are divided by its square.
    """

    name = "store"
    sparse = True

    def __init__(self, rows: Rows, channels: tuple[int, int], product: str, data: F4, weight: F4,
                 scale: float = 1.0) -> None:
        self._band = Band(rows.stream, channels, rows.kept)
        super().__init__(self._band.source)
        self._rows, self._product, self._scale = rows, product, scale
        self._data, self._weight = data, weight
        self._wide = channels[1] - channels[0] + self._band.source.shape[2]
        self.segment, self.held_bytes = rows.most, data.nbytes + weight.nbytes

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the span of rows of each piece."""
        kept, level = self._rows.kept, self._rows.level
        if level is not None:
            return iter([(int(level[0]), int(level[-1]) + 1)])
        return ((int(kept[first]), int(kept[stop - 1]) + 1) for first, stop in self._rows.pieces())

    def work_bytes(self, n: int) -> int:
        """Memory for computing a band of rows."""
        return self._rows.made_bytes(min(n, self._rows.most), self._wide)

    def part_bytes(self, n: int) -> int:
        """Return 0: each thread stores its rows itself."""
        return 0

    def partial(self, block: Block) -> None:
        """Store the rows of a block that are used."""
        first, stop = np.searchsorted(self._rows.kept, (block.start, block.start + block.n))
        kept = self._rows.kept[first:stop]
        if self._rows.level is not None:
            block = levelled(block, self._rows.level - block.start, int(kept[0]), int(kept[-1]) + 1)
        made, here = self._band.made(block), kept - block.start
        self._store(made.data[here], np.asarray(made.valid)[here], slice(first, stop))

    def _store(self, values: F4, valid: F4, where: slice) -> None:
        stream = self._rows.stream
        seconds = np.float32(1 / stream.header.sample_rate)
        valid = np.broadcast_to(valid, (*values.shape[:2], valid.shape[2]))
        source, basis = _source(stream, self._product), stream.polarization
        added = basis.n_added(basis.names[source[0]]) if stream.header.unit == "K" else 1
        data, weight = self._data[:, where], self._weight[:, where]
        _combine(values, valid * seconds, source, added, data, weight)
        if self._scale != 1:
            data *= np.float32(self._scale)
            weight *= np.float32(1 / self._scale**2)

    def merge(self, part: None) -> None:
        """Do nothing: the rows are already stored."""


def _source(stream: SpectrumStream, product: str) -> tuple[int, ...]:
    """Return the indices in the stream of the products from which those of a map are computed."""
    names = stream.polarization.names
    for wanted in PRODUCTS[product]:
        if all(name in names for name in wanted):
            return tuple(names.index(name) for name in wanted)
    allowed = " or ".join(", ".join(each) for each in PRODUCTS[product])
    raise PlanError(f"{stream.path}: the products are {', '.join(names)}; a map of {product} "
                    f"needs {allowed}")


def _combine(values: F4, weight: F4, source: tuple[int, ...], added: int, data: F4, out_weight: F4
             ) -> None:
    """Compute the products of a map from those of spectra.

    I is the mean of AA and BB, in Jy and in K. In K, products are divided by the number `added` of
    polarisations that they combine.
    """
    if len(source) == 2:
        a, b = (weight[:, each] for each in source)
        np.add(values[:, source[0]], values[:, source[1]], out=data[0])
        data[0] *= np.float32(0.5)
        with np.errstate(divide="ignore", invalid="ignore"):
            out_weight[0] = np.where((a > 0) & (b > 0), 2 / (1 / a + 1 / b), np.float32(0))
        return
    factor = np.float32(1 / added)
    for place, each in enumerate(source):
        np.multiply(values[:, each], factor, out=data[place])
        out_weight[place] = weight[:, each]


def as_streams(inputs: Sequence[Any]) -> list[SpectrumStream]:
    """Return the streams of chains, streams, and paths of files.

    Raises
    ------
    UsageError
        If there are none.
    PlanError
        If one of them does not contain spectra.
    """
    out: list[SpectrumStream] = []
    for each in inputs:
        stream = getattr(each, "stream", each)
        if not isinstance(stream, Stream):
            stream = ClosedFile(stream)
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; a map needs spectra")
        out.append(stream)
    if not out:
        raise UsageError("no spectra; allowed: 1 file or more")
    return out


def check_alike(streams: Sequence[SpectrumStream], product: str) -> None:
    """Refuse streams that cannot be combined in one map.

    Raises
    ------
    PlanError
        If units differ or are those of the recorder, or if products are missing.
    """
    first = streams[0]
    for stream in streams:
        unit = stream.header.unit
        if unit not in ("K", "Jy"):
            raise PlanError(f"{stream.path}: is in {unit or 'the units of the recorder'}; allowed: "
                            "K or Jy, as fastsig calibrate writes them")
        if unit != first.header.unit:
            raise PlanError(f"{stream.path}: is in {unit}, {first.path} in {first.header.unit}; "
                            "allowed: one unit for all")
        _source(stream, product)
        stream.header.require_channels(stream.path)
    if product == "IQUV":
        frames = {stream.polarization.frame for stream in streams}
        if len(frames) > 1:
            raise PlanError(f"Q and U refer to the sky in some spectra and to the receiver in "
                            f"others, as in {first.path}; allowed: one frame for all")


def rows_of(stream: SpectrumStream, keep: Sequence[str] = ()) -> Rows:
    """Return the rows of a stream that can be used: those with a known position.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra with the columns ``ra_deg`` and ``dec_deg``.
    keep : sequence of {"extrapolated", "diode"}
        Rows to include that are left out by default: rows that are more than 1 s from any row
        of the track of the feed cabin (``"extrapolated"``), and rows with the noise diode on.

    Raises
    ------
    PlanError
        If positions are not known.
    """
    for each in keep:
        if each not in KEPT:
            raise UsageError(f"keep = {each!r}; allowed: {', '.join(KEPT)}")
    if not {"ra_deg", "dec_deg"} <= set(stream.columns):
        raise PlanError(f"{stream.path}: the positions of its spectra are not known; give the "
                        "track to fastsig calibrate (--ky)")
    n = stream.shape[0]
    columns = stream.read_columns(0, n)
    ra, dec = columns["ra_deg"], columns["dec_deg"]
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    rows = Rows(stream, np.arange(n), ra, dec).only(known, "no position")
    for name, column in _MARKS.items():
        if column in columns and name not in keep:
            rows = rows.only(~(columns[column][rows.kept] > 0), _WHY[name])
    return rows


_WHY = {"extrapolated": "position extrapolated", "diode": "noise diode on"}
