"""Transforms of rows of one length: tables, work space and the order of the steps."""

from typing import Any, NamedTuple

import numpy as np

from ._order import (
    LINE,
    PAD,
    STREAMED_BYTES,
    address,
    block_starts,
    even_radices,
    pass_twiddles,
    roots,
    scalar_levels,
    scalar_twiddles,
    shape,
)
from ._pages import aligned

_SHORTEST, _LONGEST = 2**3, 2**30  # complex points of a power of two
_FEWEST, _MOST = 5, 2**17  # complex points of other lengths, of which a stack has eight
_STACKED = 8

# From here on, two passes over memory take less time than several over the third-level cache.
LONG = 2**21
# From this many columns on, rows have at least two passes over whole parts.
_EVEN = 2**9
_LINES_AHEAD = 2  # prefetched by the passes of long transforms
# Roots of real transforms are products of two factors; shorter tables fit into the first cache.
_FINE_ROOTS = 2**10


def has_code(n_point: int) -> bool:
    """Whether `RowTransforms` supports this number of complex points."""
    if n_point & (n_point - 1) == 0:
        return _SHORTEST <= n_point <= _LONGEST
    return _FEWEST <= n_point <= _MOST and _has_small_factors(n_point)


def _has_small_factors(n: int) -> bool:
    """Whether there is no prime factor above 7."""
    for factor in (2, 3, 5, 7):
        while n % factor == 0:
            n //= factor
    return n == 1


class RowTransforms:
    """Transforms of rows of one length, complex or real.

    Parameters
    ----------
    n_point : int
        Complex points of a transform, see `has_code`; half the samples of a real signal.
    inverse, real : bool
    """

    def __init__(self, n_point: int, *, inverse: bool, real: bool) -> None:
        self._inverse = inverse
        kind: Any = StackedRows
        if n_point & (n_point - 1) == 0:
            kind = LongRows if n_point >= LONG else ShortRows
        self._rows = kind(n_point, inverse=inverse)
        self._halves = Halves(n_point, inverse=inverse) if real else None

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        halves = self._halves.memory_bytes if self._halves else 0
        return int(self._rows.memory_bytes) + halves

    def copy(self) -> "RowTransforms":
        """Return a copy with its own work space."""
        other = object.__new__(RowTransforms)
        other.__dict__.update(self.__dict__)
        other._rows = self._rows.copy()
        return other

    @property
    def takes_numbers(self) -> bool:
        """Whether `run_numbers` may be used."""
        return isinstance(self._rows, LongRows) and not self._inverse

    def run_numbers(self, x: np.ndarray, kind: str, out: np.ndarray) -> None:
        """Transform one row of numbers of a kind of `_sources`, complex or in pairs.

        The spectrum of a real signal lacks the last step, see `_real_loops`.
        """
        self._rows.run_numbers(x, kind, out)

    def join(self, x: np.ndarray) -> None:
        """Do the last step of the spectrum of a real signal, in place."""
        assert self._halves is not None
        self._halves.join(x[np.newaxis])

    @property
    def real_step(self) -> "tuple[Any, np.ndarray, np.ndarray]":
        """The spec and roots of the last step of real signals, see `_real_loops.halves_nb`."""
        assert self._halves is not None
        return self._halves.tables

    def run(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Transform rows of `x` into `out`."""
        rows_in, rows_out = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
        if self._halves and self._inverse:
            # The half-length spectrum is computed in the memory of the output.
            half = rows_out.view(np.complex64)
            self._halves.split(rows_in, half)
            rows_in = half
        joined = self._halves is not None and not self._inverse
        self._rows.run(rows_in, rows_out, keep=joined)
        if self._halves and joined:
            self._halves.join(rows_out)
        return out


class ShortTables(NamedTuple):
    """What `_fft_loops.transform_rows` needs for one length, with the address of the twiddles."""

    lanes: int
    n_inner: int
    levels: np.ndarray
    last: int
    starts: np.ndarray
    first: int
    work_bytes: int


class ShortRows:
    """Transforms of rows that fit into a cache, see `_fft_loops`."""

    def __init__(self, n_point: int, *, inverse: bool) -> None:
        from ._simd import Spec, host_lanes

        self.lanes = lanes = shape(n_point, host_lanes()).lanes
        self.n_inner = n_point // lanes
        if self.n_inner >= _EVEN:
            middle, self._last = even_radices(self.n_inner // 8), 8
        else:
            # The small one comes first, so that the parts of its pass consist of whole columns.
            *middle, self._last = shape(self.n_inner, 1).radices[::-1]
        self._levels, self._tables = scalar_levels(self.n_inner, middle)
        self._first = pass_twiddles(n_point, lanes, lanes)
        self._starts = block_starts(self.n_inner, (*middle, self._last), 8 * lanes)
        self._n_part = middle[0] if middle else 1
        # 16 x 16 points form a single group of columns.
        self._short = self.n_inner == self.lanes == self._last == 16
        self._spec = Spec(lanes=lanes, inverse=inverse, columns=not self._short)
        self._scale = np.float32(1.0 / n_point if inverse else 1.0)
        self._own_memory()

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        tables = (*self._tables, self._first, self._starts, self._work)
        return sum(table.nbytes for table in tables)

    @property
    def tables(self) -> ShortTables:
        """Return the tables, for loops that have other first and last passes."""
        return ShortTables(self.lanes, self.n_inner, self._levels, self._last, self._starts,
                           address(self._first), self._work.nbytes)

    def copy(self) -> "ShortRows":
        """Return a copy with its own work space."""
        other = object.__new__(ShortRows)
        other.__dict__.update(self.__dict__)
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        self._work = aligned(8 * self.lanes * self.n_inner + self._n_part * PAD)
        self._places = address(self._first), address(self._work)

    def run(self, x: np.ndarray, out: np.ndarray, *, keep: bool) -> None:
        """Transform rows of `x` into `out`; `keep` in the cache what is read again soon."""
        from ._fft_loops import short_rows_nb, transform_rows

        places = address(x), x.strides[0], address(out), out.strides[0], len(x)
        stream = int(not keep and self.lanes >= 8 and _streamed(out, out.nbytes))
        if self._short:
            short_rows_nb(self._spec, *places, *self._places, stream, self._scale)
        else:
            transform_rows(self._spec, *places, self.n_inner, self._levels, self._last,
                           self._starts, *self._places, stream, self._scale)


class LongRows:
    """Transforms of rows that do not fit into a cache, see `_long_loops`."""

    def __init__(self, n_point: int, *, inverse: bool) -> None:
        from ._simd import Spec, host_lanes

        self.lanes = lanes = host_lanes()
        # The second pass begins and ends with radices of 16.
        self._n_line = n_line = 2**8 if n_point <= 2**21 else 2**12
        self._n_column = n_column = n_point // n_line
        self.n_inner = n_column // lanes
        middle = even_radices(self.n_inner // 16)
        self._levels, self._tables = scalar_levels(self.n_inner, middle)
        self._starts = block_starts(self.n_inner, (*middle, 16), 8 * lanes)
        self._twiddles = scalar_twiddles(n_column, lanes)
        self._column_bytes = 8 * n_column + (middle[0] if middle else 1) * PAD + PAD
        radices = [16, *even_radices(n_line // 256), 16]
        levels, tables = scalar_levels(n_line, radices[:-1])
        self._tables += tables
        self._line_twiddles, self._line_levels = tables[0], levels[1:]
        self._line_starts = block_starts(n_line, tuple(radices), 8 * lanes)
        self._shift = n_point.bit_length() // 2
        self._fine = roots(n_point, np.arange(2**self._shift))
        self._coarse = roots(n_point, np.arange(0, n_point, 2**self._shift))
        self._inverse = inverse
        self._spec = Spec(lanes=lanes, inverse=inverse)
        self._scale = np.float32(1.0 / n_point if inverse else 1.0)
        self._own_memory()

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        tables = (*self._tables, self._starts, self._line_starts, self._twiddles, self._fine,
                  self._coarse, self._work)
        return sum(table.nbytes for table in tables)

    def copy(self) -> "LongRows":
        """Return a copy with its own work space."""
        other = object.__new__(LongRows)
        other.__dict__.update(self.__dict__)
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        self._work = aligned(max(self.lanes * self._column_bytes,
                                 8 * self.lanes * self._n_line + 16 * PAD))

    def run(self, x: np.ndarray, out: np.ndarray, *, keep: bool) -> None:
        """Transform rows of `x` into `out`; in place, this allocates the memory of one row."""
        between = np.empty_like(out[0]) if len(out) and address(x) == address(out) else None
        for row, result in zip(x, out, strict=True):
            self._run(row, result, result if between is None else between)

    def run_numbers(self, x: np.ndarray, kind: str, out: np.ndarray) -> None:
        """Transform a row of numbers that are not float32, without a copy of them."""
        self._run(x, out, out, kind)

    def _run(self, x: np.ndarray, out: np.ndarray, between: np.ndarray, kind: str = "float32"
             ) -> None:
        """Transform one row; the first pass writes to `between`, which may be `out`."""
        from ._long_loops import first_pass, point_bytes, second_pass
        from ._simd import Spec

        numbers = Spec(lanes=self.lanes, inverse=self._inverse, kind=kind)
        line, turned = point_bytes(kind) * self._n_line, 8 * self._n_column
        place, work = address(between), address(self._work)
        stream = int(self.lanes >= 8 and _streamed(between, between.nbytes))
        first_pass(self._spec, numbers, address(x), line, _LINES_AHEAD * line, place, turned,
                   0, self._n_line // self.lanes, self.n_inner, address(self._twiddles),
                   self._levels, self._starts, work, self._column_bytes, stream, self._coarse,
                   self._fine, self._shift)
        second_pass(self._spec, place, turned, _LINES_AHEAD * turned, address(out), turned,
                    0, self._n_column // self.lanes, self._n_line, address(self._line_twiddles),
                    self._line_levels, self._line_starts, work, self._scale)


class StackedRows:
    """Transforms of rows of other lengths, `_STACKED` at a time, see `_stack_rows`."""

    def __init__(self, n_point: int, *, inverse: bool) -> None:
        from ._simd import Spec, host_lanes
        from ._stack_order import StackOrder

        self._order = StackOrder(n_point, min(_STACKED, host_lanes()))
        self._offsets, self._levels = self._order.offsets(), self._order.levels()
        self._spec = Spec(lanes=self._order.lanes, inverse=inverse)
        self._scale = np.float32(1.0 / n_point if inverse else 1.0)
        self._own_memory()

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return self._order.memory_bytes + self._offsets.nbytes + self._work.nbytes

    def copy(self) -> "StackedRows":
        """Return a copy with its own work space."""
        other = object.__new__(StackedRows)
        other.__dict__.update(self.__dict__)
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        lanes, stack = self._order.lanes, self._order.stack_bytes
        table, tile = 8 * lanes, 4 * lanes**2
        self._work = aligned(stack + tile + table)
        place = address(self._work)
        self._places = place + stack + tile, place + stack, place

    def run(self, x: np.ndarray, out: np.ndarray, *, keep: bool) -> None:
        """Transform rows of `x` into `out`."""
        from ._stack_rows import stacked_rows_nb

        stacked_rows_nb(self._spec, address(x), x.strides[0], address(out), out.strides[0], len(x),
                        self._order.part, self._order.pad, self._levels, self._offsets,
                        *self._places, self._scale)


def _streamed(out: np.ndarray, n_byte: int) -> bool:
    """Whether results bypass the cache: large, on whole lines."""
    return n_byte >= STREAMED_BYTES and address(out) % LINE == 0 and (
        out.ndim < 2 or out.strides[0] % LINE == 0)


class Halves:
    """Steps between a real signal and the complex signal of its even and odd samples."""

    def __init__(self, n_point: int, *, inverse: bool) -> None:
        from ._simd import Spec, host_lanes

        self._fine = (-0.5j * roots(2 * n_point, 1 + np.arange(min(_FINE_ROOTS, n_point // 2)))
                      ).astype(np.complex64)
        self._coarse = roots(2 * n_point, np.arange(0, n_point // 2, _FINE_ROOTS)).astype(
            np.complex64)
        self._spec = Spec(lanes=host_lanes(), inverse=inverse)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self._fine.nbytes + self._coarse.nbytes

    @property
    def tables(self) -> "tuple[Any, np.ndarray, np.ndarray]":
        """The spec, and both factors of the roots."""
        return self._spec, self._fine, self._coarse

    def join(self, x: np.ndarray) -> None:
        """Convert rows of transforms to those of real signals, in place; the last point is new."""
        self._run(x, x, x.shape[1] - 1)

    def split(self, x: np.ndarray, out: np.ndarray) -> None:
        """Convert spectra of real signals to rows of one point less."""
        self._run(x, out, out.shape[1])

    def _run(self, x: np.ndarray, out: np.ndarray, n: int) -> None:
        from ._real_loops import halves_nb

        halves_nb(self._spec, address(x), x.strides[0], address(out), out.strides[0], len(out), n,
                  self._fine, self._coarse)
