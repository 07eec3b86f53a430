"""Fast Fourier transforms of power-of-two lengths in explicit vector code.

Other lengths and float64 go through `numpy.fft` behind the same plan.
"""

from typing import Any

import numpy as np

from . import _check
from ._order import (
    Shape,
    address,
    aligned,
    inner_levels,
    leaf_numbers,
    leaf_offsets,
    leaf_twiddles,
    pass_twiddles,
    roots,
    shape,
)

__all__ = ["FFTPlan", "fft_plan"]

_KINDS = ("complex", "real")
_DIRECTIONS = ("forward", "inverse")
_SHORTEST, _LONGEST = 2**3, 2**22


def fft_plan(
    n: int, *, kind: str = "complex", direction: str = "forward", dtype: str = "complex64"
) -> "FFTPlan":
    """Plan of many transforms of one length.

    Forward: ``X[k] = sum_j x[j] exp(-2 pi i j k / n)``; inverse: its inverse, with the
    factor ``1 / n``.

    Parameters
    ----------
    n : int
        Points of the signal's transform; for real signals, real samples.
    kind : {"complex", "real"}
        Real signals have spectra of ``n // 2 + 1`` points (channel n / 2 included).
    direction : {"forward", "inverse"}
        From signal to spectrum or back.
    dtype : {"complex64", "complex128"}
        Of the spectrum; real signals are float32 or float64.

    Returns
    -------
    FFTPlan
        Set up, not yet compiled: see `FFTPlan.compile`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    return FFTPlan(n, kind=kind, direction=direction, dtype=dtype)


class FFTPlan:
    """Plan of many transforms of one length: made, and described, by `fft_plan`.

    Raises
    ------
    TypeError, ValueError
        If an argument of `fft_plan` is not allowed.

    Notes
    -----
    Lengths 2^3 to 2^22 (real: 2^4 to 2^23) in complex64 run in the project's own code:
    relative L2 error at most 1.0 u sqrt(log2 n) with u = 2^-24, GIL released, NaN
    spreads over its own transform only. A transform's bits do not depend on the others
    of a call. Tables do not change after construction; the work space does: give each
    thread its own `copy`, which shares the tables.
    """

    __slots__ = ("_core", "_dtype", "_inverse", "_n", "_real")

    def __init__(self, n: int, *, kind: str, direction: str, dtype: str) -> None:
        self._n = _check.count("n", n)
        if kind not in _KINDS:
            raise ValueError(f"kind: found {kind!r}, allowed {', '.join(_KINDS)}")
        if direction not in _DIRECTIONS:
            raise ValueError(f"direction: found {direction!r}, allowed {', '.join(_DIRECTIONS)}")
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.complex64, np.complex128):
            raise ValueError(f"dtype: found {dtype!r}, allowed complex64, complex128")
        self._real, self._inverse = kind == "real", direction == "inverse"
        points = self._n // 2 if self._real and self._n % 2 == 0 else self._n
        own = points & (points - 1) == 0 and _SHORTEST <= points <= _LONGEST
        if self._real and self._n % 2:
            own = False
        self._core: Any = None
        if own and self._dtype == np.complex64:
            self._core = Core(points, inverse=self._inverse, real=self._real)

    @property
    def n(self) -> int:
        """Points of a transform."""
        return self._n

    @property
    def input_shape(self) -> tuple[int, np.dtype]:
        """Length of the last axis of the input, and its dtype."""
        return self._signal() if not self._inverse else self._spectrum()

    @property
    def output_shape(self) -> tuple[int, np.dtype]:
        """Length of the last axis of the output, and its dtype."""
        return self._spectrum() if not self._inverse else self._signal()

    @property
    def own_code(self) -> bool:
        """Whether the transform runs in the project's own code, else in `numpy.fft`."""
        return self._core is not None

    @property
    def memory_bytes(self) -> int:
        """Bytes of tables and work space."""
        return self._core.memory_bytes if self._core else 0

    def _spectrum(self) -> tuple[int, np.dtype]:
        return (self._n // 2 + 1 if self._real else self._n), self._dtype

    def _signal(self) -> tuple[int, np.dtype]:
        single = self._dtype == np.complex64
        return self._n, np.dtype("f4" if single else "f8") if self._real else self._dtype

    def copy(self) -> "FFTPlan":
        """Return a plan for another thread: the same tables, its own work space."""
        other = object.__new__(FFTPlan)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        if self._core:
            other._core = self._core.copy()
        return other

    def compile(self) -> None:
        """Compile all that `process` needs."""
        n, dtype = self.input_shape
        self.process(np.zeros((1, n), dtype=dtype))

    def process(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        """Transform along the last axis.

        Parameters
        ----------
        x : ndarray, shape (..., n_in), of the plan's input dtype, any unit
            Contiguous along the last axis, or it is copied row by row.
        out : ndarray, shape (..., n_out), of the plan's output dtype, optional
            Receives the result; may be x itself where shape and dtype are the same.

        Returns
        -------
        ndarray, shape (..., n_out), unit of x
            `out`, or a new array.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type, dtype or shape.

        Notes
        -----
        Allocates nothing of the data's size when `out` is given and rows are contiguous.
        """
        (n_in, kind_in), (n_out, kind_out) = self.input_shape, self.output_shape
        axes = tuple(range(1, 9))
        _check.array("x", x, (kind_in.name,), axes)
        if x.shape[-1] != n_in:
            raise ValueError(f"x: found {x.shape[-1]} points, allowed {n_in}")
        out = _check.output("out", out, (*x.shape[:-1], n_out), kind_out.name)
        if self._core is None:
            out[...] = self._numpy(x)
            return out
        if not _rows_ok(x):
            x = np.ascontiguousarray(x)
        if _rows_ok(out):
            self._core.run(x, out)
        else:
            out[...] = self._core.run(x, np.empty(out.shape, out.dtype))
        return out

    def _numpy(self, x: np.ndarray) -> np.ndarray:
        if self._real:
            return np.fft.irfft(x, self._n) if self._inverse else np.fft.rfft(x)
        return np.fft.ifft(x) if self._inverse else np.fft.fft(x)


def _rows_ok(x: np.ndarray) -> bool:
    """Whether rows are contiguous, aligned and in the machine's byte order."""
    return x.strides[-1] == x.itemsize and x.flags.aligned and x.ndim <= 2


class Core:
    """Tables and work space of one power-of-two length."""

    def __init__(self, n_point: int, *, inverse: bool, real: bool) -> None:
        from ._simd import Spec, host_lanes

        self.shape: Shape = shape(n_point, host_lanes())
        self.inverse, self.real = inverse, real
        lanes = self.shape.lanes
        self._group = min(self.shape.n_leaf, lanes)
        self._inner, self._tables = inner_levels(self.shape)
        self._leaf_twiddles = leaf_twiddles(lanes)
        radices = self.shape.radices
        self._first = (pass_twiddles(n_point, radices[0], lanes)
                       if radices else self._leaf_twiddles)
        self._leaves = leaf_offsets(self.shape)
        self._offsets, self._flips = natural_order(self.shape)
        self._roots = half_roots(n_point) if real else np.empty(0, np.complex64)
        self._own_memory()
        self._spec = Spec(lanes=lanes)
        self._spec_in = Spec(lanes=lanes, from_pairs=True, inverse=inverse)
        self._scale = np.float32(1.0 / n_point if inverse else 1.0)
        self._spec_out = Spec(
            lanes=lanes, pairs=True, part_step=4 * lanes, conjugated=False, swapped=inverse,
        )

    @property
    def memory_bytes(self) -> int:
        """Bytes of tables and work space."""
        tables = (*self._tables, self._first, self._leaf_twiddles, self._offsets,
                  self._roots, self._work, self._stage)
        return sum(table.nbytes for table in tables)

    def copy(self) -> "Core":
        """Return a twin with work space of its own."""
        other = object.__new__(Core)
        other.__dict__.update(self.__dict__)
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        self._work = aligned(self.shape.work_bytes)
        self._stage = aligned(8 * self.shape.n_point if self.shape.radices else 0)

    def run(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Transform rows of `x` into `out`."""
        from ._fft_loops import join_real, split_real, transform_rows

        rows_in, rows_out = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
        if self.real and self.inverse:
            # The half-length spectrum is made in the output's own memory.
            rows_in = split_real(rows_in, self._roots, rows_out)
        transform_rows(
            self._spec_in, self._spec, self._spec_out,
            address(rows_in), rows_in.strides[0], address(rows_out), rows_out.strides[0],
            len(rows_in), self.shape.n_point, np.array(self.shape.radices[:1], np.int64),
            address(self._first), address(self._leaf_twiddles), self._inner, self._leaves,
            address(self._work), address(self._stage), self._group, address(self._offsets),
            address(self._flips), self._scale,
        )
        if self.real and not self.inverse:
            join_real(rows_out, self._roots)
        return out


def natural_order(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (k3, kb) and flips (kb) for `_passes.gather_nb` from the work space itself."""
    lanes = shape.lanes
    by_number = np.empty(shape.n_leaf, np.int64)
    by_number[leaf_numbers(shape)] = leaf_offsets(shape)
    k3 = np.arange(lanes)[:, np.newaxis] * 8 * lanes
    return np.ascontiguousarray(by_number + k3), np.zeros(shape.n_leaf, np.int64)


def half_roots(n_point: int) -> np.ndarray:
    """``-i/2 exp(-pi i k / n_point)``, k = 0 ... n_point / 2, complex64."""
    return (-0.5j * roots(2 * n_point, np.arange(n_point // 2 + 1))).astype(np.complex64)
