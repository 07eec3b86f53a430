"""Kept: rows of a stream that are made once and kept for a while, for the next who reads them.

Neighbouring blocks of a stage with an overlap, and several chains on one stream, read the same
rows. A `Kept` in between reads its source in pages, each once, and gives whoever asks what the
source would. Pages are dropped from the earliest on when there are more than its capacity.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError
from fastsig.stream.base import Block, Stream
from fastsig.stream.frames import FrameStream
from fastsig.stream.spectra import SpectrumStream, Sums
from fastsig.stream.stage import FrameStage, PassedSpectra, SameSamples, Stage
from fastsig.stream.voltages import VoltageStream

__all__ = ["Kept", "Pages", "keep"]

_PAGE_BYTES = 2**22


class Pages:
    """Pieces of rows by number: each made by the first thread that asks, awaited by the others.

    Parameters
    ----------
    load : callable
        Makes a piece of its number.
    """

    def __init__(self, load: Callable[[int], Any]) -> None:
        self._load, self._made = load, dict[int, Future[Any]]()
        self._lock = threading.Lock()
        #: Most pieces that are kept.
        self.most = 16
        #: Pieces that were made so far; more than there are where some were dropped too early.
        self.loads = 0

    def get(self, number: int) -> Any:
        """A piece from memory, or made now."""
        with self._lock:
            piece = self._made.get(number)
            mine = piece is None
            if piece is None:
                piece = self._made[number] = Future()
                self.loads += 1
                # Chains go forward: the earliest pieces are done with first.
                for old in sorted(self._made)[: max(0, len(self._made) - max(1, self.most))]:
                    del self._made[old]
        if mine:
            try:
                piece.set_result(self._load(number))
            except BaseException as error:
                with self._lock:
                    self._made.pop(number, None)
                piece.set_exception(error)
        return piece.result()

    def forget(self) -> None:
        """Drop all pieces."""
        with self._lock:
            self._made.clear()


class Kept(Stage):
    """Rows of its source, each read once while those who read it go through it side by side."""

    name = "kept"
    recorded = False
    source: Any

    def __init__(self, source: Stream, page_rows: int | None = None, **changes: Any) -> None:
        super().__init__(source, dtype=source.dtype, **changes)
        step = max(source.align, getattr(source, "row_step", 1))
        rows = max(1, _PAGE_BYTES // max(1, source.row_bytes))
        rows = rows if page_rows is None else min(page_rows, rows)
        self.page_rows = max(step, rows // step * step)
        self._set_up()

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._set_up()

    def _set_up(self) -> None:
        self.pages = Pages(self._page)

    def on(self, *sources: Stream) -> Stream:
        """The same on another source, nothing kept yet."""
        other = keep(sources[0], self.page_rows)
        other.pages.most = self.pages.most
        return other

    @property
    def kept_row_bytes(self) -> int:
        """Memory of a row as it is kept."""
        return int(self.source.row_bytes)

    @property
    def page_bytes(self) -> int:
        """Memory of a page."""
        return self.page_rows * self.kept_row_bytes

    def hold(self, n_bytes: int) -> None:
        """Keep at most so many bytes, a page at the least."""
        self.pages.most = max(1, n_bytes // max(1, self.page_bytes))

    @property
    def rows_read(self) -> int:
        """Rows of the source that were read so far, whole pages counted."""
        return self.pages.loads * self.page_rows

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """The rows themselves; pages that reach beyond them are in what a plan keeps."""
        return start, n

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` rows, what is kept for others apart."""
        return n * self.row_bytes + int(self.source.work_bytes(self.page_rows))

    def forget(self) -> None:
        """Give the memory of all pages back."""
        self.pages.forget()

    def _page(self, number: int) -> Any:
        first = number * self.page_rows
        return self._load(first, min(self.page_rows, self.shape[0] - first))

    def _load(self, start: int, n: int) -> Any:
        return self.source.read_block(start, n)

    def _pieces(self, start: int, n: int, pages: Pages) -> Iterator[tuple[slice, slice, Any]]:
        """Where rows go, which of a page they are, and the page."""
        for number in range(start // self.page_rows, -(-(start + n) // self.page_rows)):
            begin = number * self.page_rows
            first, stop = max(start, begin), min(start + n, begin + self.page_rows)
            yield slice(first - start, stop - start), slice(first - begin, stop - begin), (
                pages.get(number))


class KeptVoltages(Kept, SameSamples):
    """Voltages in the memory order of their source; as recorded where all readers can take that."""

    def __init__(self, source: VoltageStream, page_rows: int | None = None) -> None:
        super().__init__(source, page_rows)
        self.recorded_form: KeptVoltages | None = None

    @property
    def kept_row_bytes(self) -> int:
        """Memory of a row in the form that is read most."""
        return super().kept_row_bytes if self.recorded_form is None else (
            self.recorded_form.kept_row_bytes)

    def hold(self, n_bytes: int) -> None:
        """Keep at most so many bytes, a page at the least; as recorded too, where that is read."""
        super().hold(n_bytes)
        if self.recorded_form is not None:
            self.recorded_form.hold(n_bytes)

    def forget(self) -> None:
        """Give the memory of all pages back."""
        super().forget()
        if self.recorded_form is not None:
            self.recorded_form.forget()

    def as_recorded(self) -> VoltageStream:
        """The kept voltages as recorded, where a plan keeps these."""
        return self if self.recorded_form is None else self.recorded_form

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Rows and valid spans, from pages."""
        self._check_range(start, n)
        step = self.row_step
        data = self.empty(n) if out is None else out[: n // step]
        spans: list[list[Spans]] = [[validity.full(0, 0)] for _ in range(self.n_pol)]
        for to, rows, page in self._pieces(start, n, self.pages):
            data[_scaled(to, step)] = page.data[_scaled(rows, step)]
            for parts, valid in zip(spans, page.valid, strict=True):
                parts.append(validity.clip(valid, start + to.start, start + to.stop))
        view = data.view()
        view.flags.writeable = False
        return Block(view, tuple(validity.as_spans(np.concatenate(parts)) for parts in spans),
                     start, n)


def _scaled(rows: slice, step: int) -> slice:
    """Rows as places on an axis of bytes that hold several."""
    return slice(rows.start // step, rows.stop // step)


class KeptFrames(Kept, FrameStage):
    """Frames, and what their bank says of them."""

    def correlation(self) -> NDArray[np.float64]:
        """As of the source."""
        return cast("NDArray[np.float64]", self.source.correlation())

    def gamma_shape(self) -> NDArray[np.float64]:
        """As of the source."""
        return cast("NDArray[np.float64]", self.source.gamma_shape())

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Frames and energies, from pages."""
        self._check_range(start, n)
        return _joined(self, [(to, page.data[rows], page.valid[rows])
                              for to, rows, page in self._pieces(start, n, self.pages)],
                       start, n, out)


class KeptSpectra(Kept, PassedSpectra):
    """Spectra as means with weights, or as sums: each is kept in the form in which it is asked."""

    #: Whether all who read it take means alone.
    means_alone = False

    @property
    def kept_row_bytes(self) -> int:
        """Memory of a row: of its mean, its weights, and its sums where these are asked for."""
        mean = 4 * self.shape[1] * (self.shape[2] + self.weight_channels)
        return mean if self.means_alone else mean + super().kept_row_bytes

    def _set_up(self) -> None:
        super()._set_up()
        self._sums = Pages(self._page_of_sums)

    def hold(self, n_bytes: int) -> None:
        """Keep at most so many bytes in each form, a page at the least."""
        super().hold(n_bytes)
        self._sums.most = self.pages.most

    def forget(self) -> None:
        """Give the memory of all pages back."""
        super().forget()
        self._sums.forget()

    @property
    def rows_read(self) -> int:
        """Rows of the source that were read so far, whole pages counted."""
        return (self.pages.loads + self._sums.loads) * self.page_rows

    def _page_of_sums(self, number: int) -> Sums:
        first = number * self.page_rows
        rows = self.source.read_sums(first, min(self.page_rows, self.shape[0] - first))
        return cast(Sums, rows)

    @property
    def columns(self) -> Any:
        """As of the source."""
        return self.source.columns

    @property
    def least_flagged(self) -> int | None:  # type: ignore[override]
        """As of the source."""
        return cast("int | None", self.source.least_flagged)

    def check_flag(self, sigma: float) -> None:
        """As of the source."""
        self.source.check_flag(sigma)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Means and weights, from pages."""
        self._check_range(start, n)
        return _joined(self, [(to, page.data[rows], page.valid[rows])
                              for to, rows, page in self._pieces(start, n, self.pages)],
                       start, n, out)

    def read_sums(self, start: int, n: int) -> Sums:
        """Sums, from pages."""
        self._check_range(start, n)
        parts = [(page.total[rows], page.weight[rows])
                 for _, rows, page in self._pieces(start, n, self._sums)]
        if not parts:
            return cast(Sums, self.source.read_sums(start, 0))
        return Sums(*(np.concatenate(column) if len(column) > 1 else column[0]
                      for column in zip(*parts, strict=True)))

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Sums of groups: the source's own where it has a way to make them, else of pages."""
        if type(self.source).group_sums is SpectrumStream.group_sums:
            return super().group_sums(start, n, n_each, flag_sigma)
        return cast(Sums, self.source.group_sums(start, n, n_each, flag_sigma))

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread takes for `group_sums` of `n` rows."""
        return max(super().group_bytes(n, flag_sigma), int(self.source.group_bytes(n, flag_sigma)))


def _joined(stream: Stream, parts: list[tuple[slice, NDArray[Any], NDArray[Any]]], start: int,
            n: int, out: NDArray[Any] | None) -> Block:
    """One block of pieces of pages; one piece is given as it is."""
    if len(parts) == 1 and out is None:
        return Block(parts[0][1], parts[0][2], start, n)
    if not parts:
        return stream.inputs()[0].read_block(start, 0)
    data = np.empty((n, *stream.shape[1:]), parts[0][1].dtype) if out is None else out[:n]
    wide = [max(part[2].shape[axis] for part in parts) for axis in range(1, parts[0][2].ndim)]
    valid = np.empty((n, *wide), parts[0][2].dtype)
    for to, values, weights in parts:
        data[to] = values
        valid[to] = weights
    view = data.view()
    view.flags.writeable = valid.flags.writeable = False
    return Block(view, valid, start, n)


def keep(source: Stream, page_rows: int | None = None, *, recorded: bool = False,
         means_alone: bool = False) -> Kept:
    """The stage that keeps rows of a stream.

    Voltages are kept as `recorded` where all readers take that, spectra as means alone likewise.

    Raises
    ------
    PlanError
        Where the stream is of a kind that cannot be kept.
    """
    if isinstance(source, VoltageStream):
        form = source.as_recorded()
        decoded = KeptVoltages(source, page_rows)
        if recorded and form is not source:
            decoded.recorded_form = KeptVoltages(form, page_rows)
        return decoded
    if isinstance(source, FrameStream):
        return KeptFrames(source, page_rows)
    if isinstance(source, SpectrumStream):
        made = KeptSpectra(source, page_rows)
        made.means_alone = means_alone
        return made
    raise PlanError(f"{source.path}: {source.kind} cannot be kept for several readers")
