"""Kept: rows of a stream that are computed once and kept for a while, for further readers.

Neighbouring blocks of a stage with an overlap, and several chains on one stream, read the same
rows. A `Kept` between them reads its source in pages, each once, and returns to every reader what
the source would return. If there are more pages than its capacity, the earliest are dropped.
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
    """Numbered pages of rows, each made by the first thread that needs it; other threads wait.

    Parameters
    ----------
    load : callable
        Makes the page with a given number.
    """

    def __init__(self, load: Callable[[int], Any]) -> None:
        self._load, self._made = load, dict[int, Future[Any]]()
        self._lock = threading.Lock()
        #: Largest number of pages that are kept.
        self.most = 16
        #: Number of pages made so far; a page that was dropped too early is counted again.
        self.loads = 0

    def get(self, number: int) -> Any:
        """Return a page from memory, or make it."""
        with self._lock:
            piece = self._made.get(number)
            mine = piece is None
            if piece is None:
                piece = self._made[number] = Future()
                self.loads += 1
                # Chains read rows in ascending order: the earliest pages are finished first.
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
        """Drop all pages."""
        with self._lock:
            self._made.clear()


class Kept(Stage):
    """Rows of a source, each read once while several readers go through them together."""

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
        """Return the same stage on another source, with nothing kept yet."""
        other = keep(sources[0], self.page_rows)
        other.pages.most = self.pages.most
        return other

    @property
    def kept_row_bytes(self) -> int:
        """Memory used by a row in the form in which it is kept."""
        return int(self.source.row_bytes)

    @property
    def page_bytes(self) -> int:
        """Memory used by a page."""
        return self.page_rows * self.kept_row_bytes

    def hold(self, n_bytes: int) -> None:
        """Keep at most `n_bytes`, but at least one page."""
        self.pages.most = max(1, n_bytes // max(1, self.page_bytes))

    @property
    def rows_read(self) -> int:
        """Number of rows of the source that were read so far, in whole pages."""
        return self.pages.loads * self.page_rows

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the rows themselves; pages beyond them are part of what a plan keeps.

        Without a known end, all rows of the pages must have come before these can be read.
        """
        if not (n and self.endless):
            return start, n
        first = start // self.page_rows * self.page_rows
        return first, -(-(start + n - first) // self.page_rows) * self.page_rows

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to read `n` rows, except for the rows kept for others."""
        return n * self.row_bytes + int(self.source.work_bytes(self.page_rows))

    def forget(self) -> None:
        """Release the memory of all pages."""
        self.pages.forget()

    def _page(self, number: int) -> Any:
        first = number * self.page_rows
        return self._load(first, min(self.page_rows, self.shape[0] - first))

    def _load(self, start: int, n: int) -> Any:
        return self.source.read_block(start, n)

    def _pieces(self, start: int, n: int, pages: Pages) -> Iterator[tuple[slice, slice, Any]]:
        """Yield where rows go in the result, where they are in a page, and the page."""
        for number in range(start // self.page_rows, -(-(start + n) // self.page_rows)):
            begin = number * self.page_rows
            first, stop = max(start, begin), min(start + n, begin + self.page_rows)
            yield slice(first - start, stop - start), slice(first - begin, stop - begin), (
                pages.get(number))


class KeptVoltages(Kept, SameSamples):
    """Voltages in the memory order of their source; as recorded if all readers accept that."""

    def __init__(self, source: VoltageStream, page_rows: int | None = None) -> None:
        super().__init__(source, page_rows)
        self.recorded_form: KeptVoltages | None = None

    @property
    def kept_row_bytes(self) -> int:
        """Memory used by a row in the form that is mostly read."""
        return super().kept_row_bytes if self.recorded_form is None else (
            self.recorded_form.kept_row_bytes)

    def hold(self, n_bytes: int) -> None:
        """Keep at most `n_bytes`, but at least one page, in each form that is read."""
        super().hold(n_bytes)
        if self.recorded_form is not None:
            self.recorded_form.hold(n_bytes)

    def forget(self) -> None:
        """Release the memory of all pages."""
        super().forget()
        if self.recorded_form is not None:
            self.recorded_form.forget()

    def as_recorded(self) -> VoltageStream:
        """Return the kept voltages as recorded, if a plan keeps these."""
        return self if self.recorded_form is None else self.recorded_form

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows and valid spans, from pages."""
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
    """Convert rows to positions on an axis of bytes, each with several rows."""
    return slice(rows.start // step, rows.stop // step)


class KeptFrames(Kept, FrameStage):
    """Frames, with the properties of their filter bank."""

    def correlation(self) -> NDArray[np.float64]:
        """Same as for the source."""
        return cast("NDArray[np.float64]", self.source.correlation())

    def gamma_shape(self) -> NDArray[np.float64]:
        """Same as for the source."""
        return cast("NDArray[np.float64]", self.source.gamma_shape())

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return frames and energies, from pages."""
        self._check_range(start, n)
        return _joined(self, [(to, page.data[rows], page.valid[rows])
                              for to, rows, page in self._pieces(start, n, self.pages)],
                       start, n, out)


class KeptSpectra(Kept, PassedSpectra):
    """Spectra as means with weights, or as sums; they are kept in the form that is requested."""

    #: Whether all readers use only means.
    means_alone = False

    @property
    def kept_row_bytes(self) -> int:
        """Memory used by a row: its mean, its weights, and its sums if they are requested."""
        mean = 4 * self.shape[1] * (self.shape[2] + self.weight_channels)
        return mean if self.means_alone else mean + super().kept_row_bytes

    def _set_up(self) -> None:
        super()._set_up()
        self._sums = Pages(self._page_of_sums)

    def hold(self, n_bytes: int) -> None:
        """Keep at most `n_bytes` in each form, but at least one page."""
        super().hold(n_bytes)
        self._sums.most = self.pages.most

    def forget(self) -> None:
        """Release the memory of all pages."""
        super().forget()
        self._sums.forget()

    @property
    def rows_read(self) -> int:
        """Number of rows of the source that were read so far, in whole pages."""
        return (self.pages.loads + self._sums.loads) * self.page_rows

    def _page_of_sums(self, number: int) -> Sums:
        first = number * self.page_rows
        rows = self.source.read_sums(first, min(self.page_rows, self.shape[0] - first))
        return cast(Sums, rows)

    @property
    def columns(self) -> Any:
        """Same as for the source."""
        return self.source.columns

    @property
    def sums_any_length(self) -> bool:  # type: ignore[override]
        """Same as for the source."""
        return bool(self.source.sums_any_length)

    @property
    def least_flagged(self) -> int | None:  # type: ignore[override]
        """Same as for the source."""
        return cast("int | None", self.source.least_flagged)

    def check_flag(self, sigma: float) -> None:
        """Same as for the source."""
        self.source.check_flag(sigma)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return means and weights, from pages."""
        self._check_range(start, n)
        return _joined(self, [(to, page.data[rows], page.valid[rows])
                              for to, rows, page in self._pieces(start, n, self.pages)],
                       start, n, out)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return sums, from pages."""
        self._check_range(start, n)
        parts = [(page.total[rows], page.weight[rows])
                 for _, rows, page in self._pieces(start, n, self._sums)]
        if not parts:
            return cast(Sums, self.source.read_sums(start, 0))
        return Sums(*(np.concatenate(column) if len(column) > 1 else column[0]
                      for column in zip(*parts, strict=True)))

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return sums of groups: by the source's own method if it has one, otherwise from pages."""
        if type(self.source).group_sums is SpectrumStream.group_sums:
            return super().group_sums(start, n, n_each, flag_sigma)
        return cast(Sums, self.source.group_sums(start, n, n_each, flag_sigma))

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread needs for `group_sums` of `n` rows."""
        return max(super().group_bytes(n, flag_sigma), int(self.source.group_bytes(n, flag_sigma)))


def _joined(stream: Stream, parts: list[tuple[slice, NDArray[Any], NDArray[Any]]], start: int,
            n: int, out: NDArray[Any] | None) -> Block:
    """Join parts of pages to one block; a single part is returned unchanged."""
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
    """Return the stage that keeps rows of a stream.

    `recorded` and `means_alone` state that all readers accept voltages as recorded, or spectra as
    means alone; rows are then kept in that form.

    Raises
    ------
    PlanError
        If streams of this kind cannot be kept.
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
