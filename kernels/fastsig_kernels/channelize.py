"""Critically sampled polyphase filter banks."""

import numpy as np

from . import _check
from .filters import prototype
from .fir import polyphase_fir

_REAL = ("int8", "int16", "float32")
_COMPLEX = ("complex64",)
_MAX_TAP = 1e30


class ChannelizerScratch:
    """Work space of one worker: filtered frames and their transforms.

    Its size is ``n_frame (n_fft + 2 n_bin)`` floats, with n_bin the number of
    bins of the transform, twice the first term for complex input.

    Attributes
    ----------
    filtered : ndarray, shape (n_frame, n_fft), float32 or complex64, unit of x
        Output of the polyphase filter, times n_fft.
    spectrum : ndarray, shape (n_frame, n_bin), complex64, unit of x
        Output of the transform, in its own order.
    """

    __slots__ = ("filtered", "spectrum")

    def __init__(self, n_frame: int, n_fft: int, complex_input: bool) -> None:
        dtype = np.complex64 if complex_input else np.float32
        n_bin = n_fft if complex_input else n_fft // 2 + 1
        self.filtered = np.empty((n_frame, n_fft), dtype=dtype)
        self.spectrum = np.empty((n_frame, n_bin), dtype=np.complex64)


class Channelizer:
    """Plan of a polyphase filter bank: voltages in, complex spectra out.

    ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)``

    Real input has ``n_fft = 2 n_chan``; channel k is centred k fs / n_fft from
    the band's edge, channel 0 (half a channel wide) is kept, the Nyquist bin
    dropped. Complex input has ``n_fft = n_chan``; zero frequency is at channel
    ``n_chan // 2``. Output ascends in sky frequency: a lower sideband comes out
    reversed, channel k at ``n_chan - 1 - k``, and conjugated, so products of two
    polarisations keep the sign that they have in an upper sideband.

    Parameters
    ----------
    n_chan : int
        Number of output channels, even.
    n_tap : int
        Length of the prototype in transforms. Not used when `taps` is given.
    window : str
        See `fastsig_kernels.filters.prototype`. Not used when `taps` is given.
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless, optional
        Another prototype; used as it is, not normalised. Copied.
    complex_input : bool
        Whether samples are complex.
    lower_sideband : bool
        Whether sky frequency falls as the input's frequency rises.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    The tables do not change after construction: threads may share a plan, each
    with its own scratch. NaN and Inf spread over the frames that hold them. The
    filter and the transform release the GIL. A frame's bits do not depend on the
    other frames of a call, nor on strides. Computed in single precision: relative
    L2 error near 0.6 u sqrt(log2 n_fft), u = 2^-24, if n_fft has small factors, and
    twice that with a factor above some 100.
    """

    __slots__ = ("_complex_input", "_lower_sideband", "_n_chan", "_n_fft", "_scaled", "_taps")

    def __init__(
        self,
        n_chan: int,
        *,
        n_tap: int = 8,
        window: str = "hamming",
        taps: np.ndarray | None = None,
        complex_input: bool = False,
        lower_sideband: bool = False,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, 2)
        if self._n_chan % 2:
            raise ValueError(f"n_chan: found {n_chan}, allowed an even number")
        self._complex_input = _check.flag("complex_input", complex_input)
        self._lower_sideband = _check.flag("lower_sideband", lower_sideband)
        self._n_fft = self._n_chan if self._complex_input else 2 * self._n_chan
        if taps is None:
            taps = prototype(self._n_fft, n_tap, window)
        self._taps = _float32_table(taps, self._n_fft)
        self._scaled = _scaled_table(self._taps)

    @property
    def n_chan(self) -> int:
        """Number of output channels."""
        return self._n_chan

    @property
    def n_fft(self) -> int:
        """Length of the transform and hop of a frame, in samples."""
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
        """Samples that neighbouring frames share: ``(n_tap - 1) n_fft``."""
        return (self.n_tap - 1) * self._n_fft

    @property
    def complex_input(self) -> bool:
        """Whether samples are complex."""
        return self._complex_input

    @property
    def lower_sideband(self) -> bool:
        """Whether the output is reversed and conjugated."""
        return self._lower_sideband

    def n_frame(self, n_sample: int) -> int:
        """Return how many frames `n_sample` samples give, 0 if too few."""
        n_sample = _check.count("n_sample", n_sample, 0)
        return max(0, n_sample // self._n_fft - self.n_tap + 1)

    def n_sample(self, n_frame: int) -> int:
        """Return how many samples `n_frame` frames need."""
        n_frame = _check.count("n_frame", n_frame, 0)
        return n_frame * self._n_fft + self.history if n_frame else 0

    def scratch(self, n_frame: int) -> ChannelizerScratch:
        """Return work space for calls of up to `n_frame` frames; one a worker."""
        n_frame = _check.count("n_frame", n_frame)
        return ChannelizerScratch(n_frame, self._n_fft, self._complex_input)

    def process(
        self,
        x: np.ndarray,
        *,
        out: np.ndarray | None = None,
        scratch: ChannelizerScratch | None = None,
    ) -> np.ndarray:
        """Return the spectra of all whole frames of `x`.

        ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)``

        Parameters
        ----------
        x : ndarray, shape (n_sample,), any unit
            int8, int16 or float32, or complex64 for a plan of complex input; any
            stride. Samples after the last whole frame are not used.
        out : ndarray, shape (n_frame, n_chan), complex64, unit of x, optional
            Receives the result; any strides.
        scratch : ChannelizerScratch, optional
            From `scratch`, for as many frames or more.

        Returns
        -------
        ndarray, shape (n_frame, n_chan), complex64, unit of x
            `out`, or a new array.

        Raises
        ------
        TypeError
            If an argument is an ndarray subclass or of another type.
        ValueError
            If a shape is wrong or x is too short for one frame.

        Notes
        -----
        With `out` and `scratch` given, no array of the data's size is allocated.
        """
        _check.array("x", x, _COMPLEX if self._complex_input else _REAL, 1)
        n_frame = self.n_frame(x.size)
        if n_frame == 0:
            raise ValueError(f"x: found {x.size} samples, allowed {self.n_sample(1)} or more")
        out = _check.output("out", out, (n_frame, self._n_chan), "complex64")
        filtered, spectrum = self._work_space(scratch, n_frame)
        polyphase_fir(x, self._scaled, out=filtered)
        transform = np.fft.fft if self._complex_input else np.fft.rfft
        # Inf in the samples is data; it must not become a warning here.
        with np.errstate(all="ignore"):
            transform(filtered, axis=-1, norm="forward", out=spectrum)
            self._store(spectrum, out)
        return out

    def _work_space(
        self, scratch: ChannelizerScratch | None, n_frame: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if scratch is None:
            scratch = self.scratch(n_frame)
        if not isinstance(scratch, ChannelizerScratch):
            found = type(scratch).__name__
            raise TypeError(f"scratch: found {found}, allowed ChannelizerScratch")
        kind = np.complex64 if self._complex_input else np.float32
        room, n_fft = scratch.filtered.shape
        if scratch.filtered.dtype != kind or n_fft != self._n_fft or room < n_frame:
            raise ValueError(
                f"scratch: found {scratch.filtered.dtype} of shape {(room, n_fft)}, "
                f"allowed {np.dtype(kind)} of shape ({n_frame} or more, {self._n_fft})"
            )
        return scratch.filtered[:n_frame], scratch.spectrum[:n_frame]

    def _store(self, spectrum: np.ndarray, out: np.ndarray) -> None:
        half = self._n_chan // 2
        view = out[:, ::-1] if self._lower_sideband else out
        if self._complex_input:
            self._copy(spectrum[:, half:], view[:, :half])
            self._copy(spectrum[:, :half], view[:, half:])
        else:
            self._copy(spectrum[:, : self._n_chan], view)

    def _copy(self, spectrum: np.ndarray, out: np.ndarray) -> None:
        if self._lower_sideband:
            np.conjugate(spectrum, out=out)
        else:
            np.copyto(out, spectrum)  # a tenth of the time that np.positive takes


def _float32_table(taps: np.ndarray, n_fft: int) -> np.ndarray:
    _check.array("taps", taps, ("float32", "float64"), 2)
    if taps.shape[0] < 1 or taps.shape[1] != n_fft:
        raise ValueError(f"taps: found shape {taps.shape}, allowed (1 or more, {n_fft})")
    if not (np.abs(taps) < _MAX_TAP).all():
        raise ValueError(f"taps: found a value that is not allowed: finite, below {_MAX_TAP:g}")
    table = np.array(taps, dtype=np.float32, order="C")
    table.flags.writeable = False
    return table


def _scaled_table(taps: np.ndarray) -> np.ndarray:
    # NumPy's forward transform runs in single precision, without temporaries, only
    # when it scales: by 1 / n_fft rounded, undone here (exactly for powers of 2).
    factor = np.reciprocal(np.float32(taps.shape[1]))
    return _float32_table(taps / np.float64(factor), taps.shape[1])
