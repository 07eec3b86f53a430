"""Layout of voltages in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._order import address
from ._transposing import ELEMENTS, TILE_BYTES, transpose_nb
from .unpacking import unpack

_BITS = {"int8": 8, "uint8": 8, "int16": 16, "float32": 32}
_PACKED = (1, 2, 4)
_AXES = tuple(range(1, 9))


@dataclass(frozen=True)
class Layout:
    """Format of voltages: the type of a number, and whether a sample has one or two numbers.

    Arrays have the shape (..., n_time) for real samples and for complex64. The shape is (...,
    n_time, 2) for complex samples of integers or float32, with the real part first, and (...,
    n_byte), of uint8, for packed samples. Leading axes and strides are arbitrary.

    Parameters
    ----------
    kind : {"int8", "uint8", "int16", "float32", "packed"}
        Type of numbers; uint8 is offset binary (128 is zero).
    bits : int
        Number of bits of a packed number: 1, 2 or 4; ignored for other kinds.
    is_complex : bool
        Whether samples are complex.
    order : {"lsb", "msb"}
        Whether the first packed number of a byte is in its lowest or its highest bits.
    levels : sequence of 2**bits float
        Values of packed codes, in the unit of the voltages. Packed numbers require them, since
        nothing else defines the codes.
    interleaved : bool
        Whether two polarisations alternate sample by sample. Arrays are then views with axes (pol,
        time) of memory in the order (time, pol). Packed numbers cannot be interleaved.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not allowed.
    """

    kind: str = "int8"
    bits: int = 0
    is_complex: bool = False
    order: str = "lsb"
    levels: tuple[float, ...] | None = None
    interleaved: bool = False

    def __post_init__(self) -> None:
        for name in ("is_complex", "interleaved"):
            object.__setattr__(self, name, _check.flag(name, getattr(self, name)))
        _check.choice("order", self.order, ("lsb", "msb"))
        if _check.choice("kind", self.kind, (*_BITS, "packed")) != "packed":
            if self.levels is not None:
                raise ValueError(f"levels: found a table for {self.kind}, allowed for packed")
            object.__setattr__(self, "bits", _BITS[self.kind])
            return
        if self.interleaved:
            raise ValueError("interleaved: found True, allowed False for packed")
        # Numbers of NumPy become those of Python, which do not overflow.
        object.__setattr__(self, "bits", _check.count("bits", self.bits, 0))
        if self.bits not in _PACKED:
            raise ValueError(f"bits: found {self.bits}, allowed 1, 2, 4 for packed")
        object.__setattr__(self, "levels", self._checked_levels())

    def _checked_levels(self) -> tuple[float, ...]:
        """Return the levels as numbers that float32 can represent."""
        given = () if self.levels is None else self.levels
        try:
            each = [_check.number("levels", value) for value in given]
        except TypeError:
            each = []
        levels = np.array(each, np.float32)
        if len(levels) != 2**self.bits or not np.isfinite(levels).all():
            raise ValueError(f"levels: found {self.levels!r}, allowed {2**self.bits} numbers")
        return tuple(levels.tolist())

    @property
    def sample_bits(self) -> int:
        """Number of bits of a sample."""
        return self.bits * self.pair

    @property
    def dtype(self) -> np.dtype:
        """Type of the array's elements; complex float32 may also be given as complex64."""
        return np.dtype("uint8" if self.kind == "packed" else self.kind)

    @property
    def pair(self) -> int:
        """Number of numbers in a sample: 2 for complex samples, otherwise 1."""
        return 2 if self.is_complex else 1

    def n_time(self, shape: tuple[int, ...]) -> int:
        """Return the number of samples along the time axis of an array with this shape."""
        if self.kind == "packed":
            return shape[-1] * 8 // self.sample_bits
        return shape[-2] if self.is_complex else shape[-1]

    def cut(self, x: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return samples from `start` to `stop` - 1 of such an array; whole bytes if packed."""
        if self.kind == "packed":
            return x[..., start * self.sample_bits // 8 : stop * self.sample_bits // 8]
        return x[..., start:stop, :] if self.is_complex and x.shape[-1:] == (2,) else (
            x[..., start:stop])

    def to_float(self, x: np.ndarray) -> np.ndarray:
        """Return voltages as float32, or as complex64 if they are complex.

        Parameters
        ----------
        x : ndarray, shape (..., n_time), (..., n_time, 2) or (..., n_byte)
            Voltages in this layout.

        Returns
        -------
        ndarray, shape (..., n_time), float32 or complex64
            A new array, or x itself if it is already float32 (or complex64).

        Raises
        ------
        TypeError, ValueError
            If x is not an array of this layout.
        """
        self._check_array(x)
        if self.kind == "packed":
            numbers = np.empty((*x.shape[:-1], x.shape[-1] * 8 // self.bits), np.float32)
            levels = np.array(self.levels, np.float32)
            for row in np.ndindex(x.shape[:-1]):
                unpack(x[row], self.bits, order=self.order, levels=levels, out=numbers[row])
            return numbers.view(np.complex64) if self.is_complex else numbers
        if x.dtype == np.complex64:
            return x
        offset = np.float32(128 if self.kind == "uint8" else 0)
        numbers = x.astype(np.float32, copy=self.kind == "uint8")
        if offset:
            numbers -= offset
        if not self.is_complex:
            return numbers
        return np.ascontiguousarray(numbers).view(np.complex64)[..., 0]

    def _check_array(self, x: Any) -> None:
        """Refuse anything except an array of this layout, with any leading axes."""
        pairs = self.is_complex and self.kind != "packed"
        whole = ("complex64",) if pairs and self.kind == "float32" else ()
        _check.array("x", x, (self.dtype.name, *whole), _AXES)
        if pairs and x.dtype.kind != "c" and (x.ndim < 2 or x.shape[-1] != 2):
            raise ValueError(f"x: found shape {x.shape}, allowed 2 (real, imaginary) as last axis")


def checked_layout(layout: Layout | None) -> Layout:
    """Return a layout after checking its type, or that of real int8 samples if it is None."""
    if layout is not None and not isinstance(layout, Layout):
        raise TypeError(f"layout: found {type(layout).__name__}, allowed Layout")
    return layout or Layout()


@dataclass(frozen=True)
class Samples:
    """Checked voltages of streams of one or two polarisations, as the filter requires them.

    Attributes
    ----------
    base : ndarray, shape (stream, pol), int64
        Address of the first sample; if interleaved, that of the first polarisation, twice.
    keep : object
        Owner of the memory.
    """

    base: np.ndarray
    keep: Any


def samples_of(x: np.ndarray, layout: Layout, n_pol: int) -> Samples:
    """Locate the numbers of streams in memory; copy them only if strides require it.

    `x` is (stream, pol, time or byte[, 2]), as from `numbers_of`.
    """
    size = x.itemsize * (1 if layout.kind == "packed" else layout.pair)
    good = x.flags.aligned and (x.ndim == 3 or x.strides[3] == x.itemsize)
    alternate = layout.interleaved and n_pol == 2
    if alternate and (not good or x.strides[1:3] != (size, 2 * size)):
        x = _copied(x.swapaxes(1, 2)).swapaxes(1, 2)
    elif not alternate and (not good or x.strides[2] != size):
        x = _copied(x)
    first, step = address(x), 0 if alternate else x.strides[1]
    return Samples(np.array([[first + stream * x.strides[0] + pol * step for pol in range(n_pol)]
                             for stream in range(len(x))], np.int64), x)


def _copied(x: np.ndarray) -> np.ndarray:
    """Return a contiguous copy of (stream, pol, time[, 2]), or with pol and time exchanged."""
    out = np.empty(x.shape, x.dtype)
    matrix = _as_matrix(x)
    if matrix is None:
        out[...] = x
    else:
        *numbers, size = matrix
        tile = np.empty(TILE_BYTES, np.uint8)
        transpose_nb(ELEMENTS[size], address(x), address(out), *numbers, address(tile))
    return out


def prepare_copies(layout: Layout, n_pol: int = 1) -> None:
    """Compile what `samples_of` needs where strides require a copy."""
    # A sample is one element; if polarisations alternate, they may also be one together.
    sample = layout.dtype.itemsize * (1 if layout.kind == "packed" else layout.pair)
    for size in (sample, 2 * sample) if layout.interleaved and n_pol == 2 else (sample,):
        transpose_nb(ELEMENTS[size], 0, 0, 0, 0, 0, 0, 0)


def _as_matrix(x: np.ndarray) -> tuple[int, int, int, int, int] | None:
    """Return rows, columns (time), their strides and the size of an element, in bytes, if possible.

    What lies together is one element: the parts of a complex sample, and the polarisations if these
    alternate.
    """
    shape, strides, size = list(x.shape), list(x.strides), x.itemsize
    while len(shape) > 2 and strides[-1] == size and shape[-1] == 2:
        size *= shape.pop()
        strides.pop()
    if len(shape) == 3 and (shape[0] == 1 or strides[0] == shape[1] * strides[1]):
        shape[:2], strides[:2] = [shape[0] * shape[1]], [strides[1]]
    if len(shape) != 2 or size not in (1, 2, 4, 8, 16):
        return None
    return (*shape, *strides, size)


def numbers_of(x: Any, layout: Layout, n_pol: int, n_stream: int | None = None) -> np.ndarray:
    """Check an array and return it as (stream, pol, time or byte[, 2]) of the layout's numbers.

    Without `n_stream` there is one stream, and the array has no axis for it. The axis of a single
    polarisation is optional.
    """
    names = (layout.dtype,)
    whole = layout.is_complex and layout.kind == "float32"
    axes = 2 if layout.is_complex and layout.kind != "packed" else 1
    if isinstance(x, np.ndarray) and whole and x.dtype == np.complex64:
        _check.array("x", x, ("complex64",), (1, 2) if n_stream is None else 3)
        # View it through its real part, which works for any stride.
        x = np.lib.stride_tricks.as_strided(
            x.real, (*x.shape, 2), (*x.strides, 4), writeable=False
        )
    _check.array("x", x, names, (axes, axes + 1) if n_stream is None else axes + 2)
    if axes == 2 and x.shape[-1] != 2:
        raise ValueError(f"x: found a last axis of {x.shape[-1]}, allowed 2 (real, imaginary)")
    if n_stream is None:
        x = x[np.newaxis] if x.ndim == axes + 1 else x[np.newaxis, np.newaxis]
    elif len(x) != n_stream:
        raise ValueError(f"x: found {len(x)} streams, allowed {n_stream}")
    if x.shape[1] != n_pol:
        raise ValueError(f"x: found {x.shape[1]} polarisations, allowed {n_pol}")
    return x

