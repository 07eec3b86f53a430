"""Fast Fourier transforms in explicit vector code.

The same plan uses `numpy.fft` for lengths with large prime factors and for float64.
"""

from typing import Any

import numpy as np

from . import _check
from ._fft_rows import RowTransforms, has_code
from ._odd_rows import OddRows, odd_factor
from ._order import on_lines
from ._plan import Plan

__all__ = ["FFTPlan", "fft_plan"]

_KINDS = ("complex", "real")
_DIRECTIONS = ("forward", "inverse")
_DTYPES = ("complex64", "complex128")
_AXES = tuple(range(1, 9))


def fft_plan(
    n: int, *, kind: str = "complex", direction: str = "forward", dtype: str = "complex64"
) -> "FFTPlan":
    """Return a plan for many transforms of one length.

    The forward transform is ``X[k] = sum_j x[j] exp(-2 pi i j k / n)``; the inverse transform
    inverts it, with the factor ``1 / n``.

    Parameters
    ----------
    n : int
        Number of points of the transform; for real signals, the number of real samples.
    kind : {"complex", "real"}
        Real signals have spectra of ``n // 2 + 1`` points (including channel n / 2).
    direction : {"forward", "inverse"}
        From signal to spectrum, or from spectrum to signal.
    dtype : {"complex64", "complex128"}
        Type of the spectrum; real signals are float32 or float64.

    Returns
    -------
    FFTPlan
        A plan that is not yet compiled; see `FFTPlan.compile`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    return FFTPlan(n, kind=kind, direction=direction, dtype=dtype)


class FFTPlan(Plan):
    """Plan for many transforms of one length, created and described by `fft_plan`.

    Raises
    ------
    TypeError, ValueError
        If an argument of `fft_plan` is not allowed.

    Notes
    -----
    Transforms with spectra of type complex64 use the code of this package if their length is a
    power of two from 2^3 to 2^30, or another number from 5 to 2^17 without a prime factor above 7.
    Real signals may have twice as many samples, if the number of samples is even; in forward
    transforms, longer real signals are also allowed if their number of samples is a power of two
    times an odd number up to 15. The relative L2 error is then at most u sqrt(log2 n) with u =
    2^-24 (u sqrt(1 + log2 n) for lengths that are not powers of two), the GIL is released, and NaN
    spreads only over its own transform. The bits of a transform do not depend on the other
    transforms of a call. Tables do not change after construction, but the work space does: give
    each thread its own `copy`, which shares the tables. A call while another call of the same plan
    is in progress raises `RuntimeError`. Plans can be pickled.
    """

    def __init__(self, n: int, *, kind: str, direction: str, dtype: str) -> None:
        self._n = _check.count("n", n)
        self._real = _check.choice("kind", kind, _KINDS) == "real"
        self._inverse = _check.choice("direction", direction, _DIRECTIONS) == "inverse"
        self._dtype = np.dtype(_check.choice("dtype", dtype, _DTYPES))
        sides = self._signal(), self._spectrum()
        self._input, self._output = sides[::-1] if self._inverse else sides
        points = self._n // 2 if self._real and self._n % 2 == 0 else self._n
        self._core: Any = None
        own = has_code(points) and not (self._real and self._n % 2)
        if own and self._dtype == np.complex64:
            self._core = RowTransforms(points, inverse=self._inverse, real=self._real)
        elif self._real and not self._inverse and odd_factor(self._n) and (
                self._dtype == np.complex64):
            self._core = OddRows(self._n)

    @property
    def n(self) -> int:
        """Number of points of a transform."""
        return self._n

    @property
    def input_shape(self) -> tuple[int, np.dtype]:
        """Length of the input's last axis, and its dtype."""
        return self._input

    @property
    def output_shape(self) -> tuple[int, np.dtype]:
        """Length of the output's last axis, and its dtype."""
        return self._output

    @property
    def own_code(self) -> bool:
        """Whether the transform uses the code of this package; otherwise it uses `numpy.fft`."""
        return self._core is not None

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return self._core.memory_bytes if self._core else 0

    def _spectrum(self) -> tuple[int, np.dtype]:
        return (self._n // 2 + 1 if self._real else self._n), self._dtype

    def _signal(self) -> tuple[int, np.dtype]:
        single = self._dtype == np.complex64
        return self._n, np.dtype("f4" if single else "f8") if self._real else self._dtype

    def _own_state(self) -> None:
        """Give a copy its own work space; the constructor makes that of a new plan."""
        self._core = self._core and self._core.copy()

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        n, dtype = self.input_shape
        self.process(np.zeros((1, n), dtype=dtype))

    def process(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        """Transform along the last axis.

        Parameters
        ----------
        x : ndarray, shape (..., n_in), of the plan's input dtype, any unit
            Input; copied row by row if it is not contiguous along the last axis.
        out : ndarray, shape (..., n_out), of the plan's output dtype, optional
            Receives the result; may be x itself if shape and dtype are the same, but must not
            overlap it otherwise.

        Returns
        -------
        ndarray, shape (..., n_out), unit of x
            `out`, or a new array.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape, or `out` overlaps x.
        RuntimeError
            If another call of this plan is in progress.

        Notes
        -----
        A call allocates nothing of the data's size when `out` is given and rows are contiguous,
        with one exception: from 2^21 complex points on, transforms in place and those from spectra
        to real signals allocate the memory of one result. Writing bypasses the cache if `out` has
        16 MiB or more and its rows begin on cache lines (64 bytes), as those of a new array do.
        """
        (n_in, kind_in), (n_out, kind_out) = self._input, self._output
        _check.array("x", x, (kind_in,), _AXES)
        if x.shape[-1] != n_in:
            raise ValueError(f"x: found {x.shape[-1]} points, allowed {n_in}")
        shape = (*x.shape[:-1], n_out)
        with self._alone():
            if out is None:
                out = on_lines(shape, kind_out)
            else:
                _check.target("out", out, shape, kind_out)
                _check.apart_or_same("out", out, x)
            self._run(x, out)
        return out

    def _run(self, x: np.ndarray, out: np.ndarray) -> None:
        if self._core is None:
            out[...] = self._numpy(x)
            return
        if not _rows_ok(x):
            x = np.ascontiguousarray(x)
        if _rows_ok(out):
            self._core.run(x, out)
        else:
            out[...] = self._core.run(x, np.empty(out.shape, out.dtype))

    def _numpy(self, x: np.ndarray) -> np.ndarray:
        if self._real:
            return np.fft.irfft(x, self._n) if self._inverse else np.fft.rfft(x)
        return np.fft.ifft(x) if self._inverse else np.fft.fft(x)


def _rows_ok(x: np.ndarray) -> bool:
    """Whether rows are contiguous, aligned, and equally spaced."""
    one_stride = x.ndim <= 2 or x.flags.c_contiguous
    return one_stride and x.strides[-1] == x.itemsize and x.flags.aligned
