"""Polyphase filter banks: voltages to complex spectra."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from . import _check
from ._bank_setup import float32_taps, oversample_ratio
from ._generic_bank import GenericBank, GenericTransformer
from ._plan import Plan
from .filters import prototype
from .layout import Layout, checked_layout, numbers_of, prepare_copies

_ROWS_BYTES = 2**18


class Channelizer(Plan):
    """Plan of a polyphase filter bank: voltages in, complex spectra out.

    ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)``

    With real input, ``n_fft = 2 n_chan``; channel k is centred k fs / n_fft from
    the edge of the band, channel 0 (half a channel wide) is kept, and the Nyquist bin
    is dropped. With complex input, ``n_fft = n_chan``, and zero frequency is at channel
    ``n_chan // 2``. The output is in ascending sky frequency: the spectra of a lower
    sideband are reversed, with channel k at ``n_chan - 1 - k``, and conjugated, so that
    products of two polarisations have the same sign as in an upper sideband.

    In a bank that is oversampled by n_fft / hop, frames m = 0, 1, ... begin at sample
    m hop. Phases are absolute, so the phase of a tone is continuous from frame to frame:
    ``X[m, k] = sum_i h[i] x[m hop + i] exp(-2 pi i k (m hop + i) / n_fft)``.

    Parameters
    ----------
    n_chan : int
        Number of output channels, an even number.
    n_tap : int
        Length of the prototype in transforms; ignored if `taps` is given.
    window : str
        Window, as for `fastsig_kernels.filters.prototype`; ignored if `taps` is given.
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless, optional
        Another prototype, which is copied and not normalised.
    lower_sideband : bool
        Whether sky frequency decreases as the frequency of the input increases.
    oversample : Fraction, str, int or pair of int
        n_fft / hop: 1, "4/3", "32/27", ...; the numerator must divide n_fft.
    layout : Layout
        Format of the samples; real int8 by default.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    A plan has work space, so each thread needs a `copy`, which shares the tables; a call while
    another call of the same plan is in progress raises `RuntimeError`. There is no state, and a
    plan can be pickled. NaN and Inf spread over the frames that contain them. The filter and the
    transform release the GIL. The bits of a frame depend neither on the other frames of a call nor
    on strides. The computation is in single precision, with a relative L2 error near 0.6 u
    sqrt(log2 n_fft), where u = 2^-24.

    Transforms of lengths with no prime factor above 7 use the vector code of this package, at
    similar rates whether or not the length is a power of two. Other lengths use `numpy.fft`, at
    about a fifth of the speed.
    """

    def __init__(
        self,
        n_chan: int,
        *,
        n_tap: int = 8,
        window: str = "hamming",
        taps: np.ndarray | None = None,
        lower_sideband: bool = False,
        oversample: Fraction | str | int | tuple[int, int] = 1,
        layout: Layout | None = None,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, 2)
        if self._n_chan % 2:
            raise ValueError(f"n_chan: found {n_chan}, allowed an even number")
        # A single polarisation is not interleaved with another.
        self._layout = replace(checked_layout(layout), interleaved=False)
        self._lower_sideband = _check.flag("lower_sideband", lower_sideband)
        self._n_fft = self._n_chan if self._layout.is_complex else 2 * self._n_chan
        self._oversample = oversample_ratio(oversample, self._n_fft)
        self._hop = int(self._n_fft / self._oversample)
        if taps is None:
            taps = prototype(self._n_fft, n_tap, window)
        self._taps = float32_taps(taps, self._n_fft)
        self._own_argument("taps", self._taps)
        self._engine: Any = None  # made when it is first needed: many plans only state lengths
        self._own_state()

    def _own_state(self) -> None:
        self._work: Any = None

    def copy(self) -> "Channelizer":
        """Return a plan for another thread, with the same tables and its own work space."""
        self._tables()
        return super().copy()

    @property
    def n_chan(self) -> int:
        """Number of output channels."""
        return self._n_chan

    @property
    def n_fft(self) -> int:
        """Length of the transform, in samples."""
        return self._n_fft

    @property
    def n_tap(self) -> int:
        """Length of the prototype, in transforms."""
        return self._taps.shape[0]

    @property
    def taps(self) -> np.ndarray:
        """Prototype: read-only, shape (n_tap, n_fft), float32, dimensionless."""
        return self._taps

    @property
    def history(self) -> int:
        """Number of samples that neighbouring frames share: ``n_tap n_fft - hop``."""
        return self._taps.size - self._hop

    @property
    def layout(self) -> Layout:
        """Format of the samples."""
        return self._layout

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        engine, work = self._ready()
        return int(self._taps.nbytes + engine.memory_bytes + work.memory_bytes)

    @property
    def lower_sideband(self) -> bool:
        """Whether spectra are reversed and conjugated."""
        return self._lower_sideband

    @property
    def oversample(self) -> Fraction:
        """Oversampling ratio, n_fft / hop."""
        return self._oversample

    @property
    def hop(self) -> int:
        """Number of samples from one frame to the next."""
        return self._hop

    def n_frame(self, n_sample: int) -> int:
        """Return the number of frames in `n_sample` samples, 0 if these are too few."""
        n_sample = _check.count("n_sample", n_sample, 0)
        return max(0, (n_sample - self._taps.size) // self._hop + 1)

    def n_sample(self, n_frame: int) -> int:
        """Return the number of samples that `n_frame` frames need."""
        n_frame = _check.count("n_frame", n_frame, 0)
        return (n_frame - 1) * self._hop + self._taps.size if n_frame else 0

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        prepare_copies(self._layout)
        n, layout = self.n_sample(6), self._layout
        if layout.kind == "packed":
            self.process(np.zeros(-(-n * layout.sample_bits // 8), np.uint8))
        else:
            self.process(np.zeros((n, 2) if layout.is_complex else n, layout.dtype))

    def process(
        self,
        x: np.ndarray,
        *,
        first_frame: int = 0,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the spectra of all whole frames of `x`.

        ``X[m, k] = sum_i h[i] x[m hop + i] exp(-2 pi i k (m hop + i) / n_fft)``

        Parameters
        ----------
        x : ndarray, shape (n_sample,), any unit, or as specified by the layout
            Samples, with any stride. Those after the last whole frame are ignored.
        first_frame : int
            Index of the first frame of x in its stream, which determines the phase of an
            oversampled bank.
        out : ndarray, shape (n_frame, n_chan), complex64, unit of x, optional
            Receives the result, with any strides; must not overlap x.

        Returns
        -------
        ndarray, shape (n_frame, n_chan), complex64, unit of x
            `out`, or a new array.

        Raises
        ------
        TypeError
            If an argument is an ndarray subclass or has the wrong type.
        ValueError
            If a shape is wrong, x is too short for one frame, or `out` overlaps x.
        RuntimeError
            If another call of this plan is in progress.

        Notes
        -----
        If `out` is given, no array of the data's size is allocated, unless the strides of x
        require a copy.
        """
        _check.plain("x", x)
        numbers = numbers_of(x[np.newaxis], self._layout, 1)
        first_frame = _check.count("first_frame", first_frame, 0)
        n_sample = self._layout.n_time(numbers.shape)
        n_frame = self.n_frame(n_sample)
        if n_frame == 0:
            raise ValueError(f"x: found {n_sample} samples, allowed {self.n_sample(1)} or more")
        out = _check.output("out", out, (n_frame, self._n_chan), "complex64", x)
        with self._alone():
            self._run(numbers, first_frame, out)
        return out

    def _run(self, x: np.ndarray, first_frame: int, out: np.ndarray) -> None:
        engine, work = self._ready()
        # Rows are computed in contiguous memory, and then copied if `out` has other strides.
        whole = out.strides[1] == out.itemsize and out.flags.aligned
        tile = len(out) if whole else max(1, _ROWS_BYTES // (8 * self._n_chan))
        for first in range(0, len(out), tile):
            part = out[first : first + tile]
            target = part if whole else np.empty(part.shape, np.complex64)
            engine.run(x, first * self._hop, first_frame + first, work, target)
            if not whole:
                part[...] = target

    def _ready(self) -> tuple[Any, Any]:
        """Return the engine and its work space, made when they are first needed."""
        engine = self._tables()
        if self._work is None:
            self._work = engine.work()
        return engine, self._work

    def _tables(self) -> Any:
        """Return the vector code for the layout if there is any, else the engine with NumPy."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _make_engine(self) -> Any:
        from ._bank import Bank, Transformer, serves
        from ._stack_bank import Stack, StackTransformer, stacks

        layout = self._layout
        options: dict[str, Any] = {"hop": self._hop, "lower_sideband": self._lower_sideband}
        unit = 0 if self._hop == self._n_fft else self._n_fft // self._oversample.numerator
        if serves(self._n_fft, unit, layout):
            return Transformer(Bank(self._taps, layout, **options))
        if stacks(self._n_fft, self._hop, layout):
            return StackTransformer(Stack(self._taps, layout, **options))
        generic = GenericBank(self._taps, is_complex=layout.is_complex, **options)
        return GenericTransformer(generic, layout)
