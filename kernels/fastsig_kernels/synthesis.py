"""Synthesis banks: complex spectra of a polyphase filter bank to voltages.

A synthesis prototype g inverts the analysis prototype h by overlap and add,

``x[n] = sum_m g[n - m H] v[m, n mod N]``, ``v[m, r] = (1/N) sum_k X[m, k] exp(2 pi i k r / N)``

where N is the length of the transform and H is the hop. The voltage folded with h is
``v[m, r] = sum_{n = r mod N} h[n - m H] x[n]``. For all n and l, g must therefore satisfy

``sum_m g[n - m H] h[n + l N - m H] = 1 if l = 0 else 0``   (1)

which is a small set of equations for each n mod H.
"""

from fractions import Fraction

import numpy as np

from . import _check
from ._bank_setup import float32_taps, oversample_ratio
from ._jit import jit
from ._overlap import overlap_add, padded_rows
from ._plan import Plan
from .fft import fft_plan
from .filters import prototype
from .layout import Layout, checked_layout

#: Default noise-to-signal ratios.
_NOISE_OVERSAMPLED = 1e-10
_NOISE_CRITICAL = 1e-3
_NOISE_RANGE = (1e-12, 1.0)
#: Trial lengths: number of hops by which g extends beyond h at either end.
_EXTENSIONS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_MIN_POWER = 1e-50
#: Frames that are transformed before their sums are made.
_PIECE = 32


class Synthesizer(Plan):
    """Plan of a synthesis bank: spectra of `Channelizer` in, voltages out.

    ``x[n] = (1/N) sum_m g[n - m H] sum_k X[m, k] exp(2 pi i k n / N)``

    inverts ``X[m, k] = sum_i h[i] x[m H + i] exp(-2 pi i k (m H + i) / N)``, with
    N = n_fft and H = n_fft / oversample. The phase is absolute: n = 0 and m = 0
    are the start of the stream. The order of channels and the sideband are those of
    `Channelizer`; all arguments except `noise` must be those of the analysis.

    Parameters
    ----------
    n_chan : int
        Number of channels, an even number.
    oversample : Fraction, str, int or tuple of two ints
        n_fft / hop, as ``Fraction(32, 27)``, ``"32/27"``, ``2`` or ``(32, 27)``;
        1 to 16. n_fft must be a multiple of the numerator.
    n_tap : int
        Length of the analysis prototype in transforms; ignored if `taps` is given.
    window : str
        Window, as for `fastsig_kernels.filters.prototype`; ignored if `taps` is given.
    taps : ndarray, shape (n_tap, n_fft), float32 or float64, dimensionless, optional
        Another analysis prototype.
    layout : Layout
        Format of the voltages of the analysis, real int8 by default. Synthesised voltages are
        float32, or complex64 if the layout is complex.
    lower_sideband : bool
        Whether sky frequency decreases as the frequency of the voltages increases.
    noise : float, optional
        Ratio of noise power to signal power in a channel for which g is optimal, 1e-12 to 1. The
        default is 1e-3 for critical sampling, and 1e-10 otherwise.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed, or the taps are all 0.

    Notes
    -----
    *Design.* g minimises the mean square error for white voltages plus white noise in the spectra:
    for each n mod H, it is the solution of ``(A^T A + noise) g = A^T e``, with A the matrix of the
    equations (1) of this module for h of unit mean power, and e their right-hand side. g is centred
    on h, and long enough that this error is within 5 % of its limit. `residual` and `noise_gain`
    are the values achieved; single precision adds an error of -130 dB.

    *Oversampled* banks are near-perfect. At ratios from 8/7 to 2 and with 4 to 16 taps, all windows
    give a residual of -118 dB or less; `condition` is 2 to 2.7, the noise gain is below 1, and g is
    two to three times as long as h.

    *Critical* sampling (oversample 1) has no exact inverse. With prototypes whose cutoff is half a
    channel from the centre, the samples halfway between two frames lose the frequencies halfway
    between two channels. The result is the Wiener estimate: a smaller `noise` gives a smaller
    residual, a larger noise gain and a longer g. For 8 taps and a Hamming window:

    ======  ========  ==========  ============  ==========
    noise   residual  noise_gain  worst branch  n_lag
    ======  ========  ==========  ============  ==========
    1e-1    -16 dB    0.84        -0.3 dB       10
    1e-2    -26 dB    1.20        3.1 dB        32
    1e-3    -37 dB    1.45        7.2 dB        104 to 136
    1e-4    -49 dB    1.73        12 dB         392
    ======  ========  ==========  ============  ==========

    *Real voltages* lack the Nyquist channel, which the analysis drops and which is replaced by 0
    here. The upper half channel of the band is therefore lost, and the next half channel is partly
    lost; signals there leave residues in the rest of the band at about -40 to -60 dB. A tone d
    channels below the edge has an error of about the sidelobe ``|H(d)|`` of h: for 8 taps and a
    Hamming window, -64 dB at d = 1 and -84 dB at d = 2.3. `residual` applies to voltages that are
    limited to a band a few channels below the edge, and never to the window "none". The imaginary
    part of channel 0 is not used.

    The tables have ``n_lag H`` floats. The work space does not grow with the number of frames of a
    call beyond a few times `n_lag`. Each thread needs a `copy`, which shares the tables; a call
    while another call of the same plan is in progress raises `RuntimeError`. There is no state, and
    a plan can be pickled. Set-up takes half a second for 2^16 oversampled channels, and four
    seconds for critical sampling. NaN and Inf spread to the samples that depend on their frame. The
    transform and the sum release the GIL. The bits of a sample depend neither on how a stream is
    split into calls nor on strides.

    References
    ----------
    J. Wexler and S. Raz, Discrete Gabor expansions, Signal Processing 21 (1990) 207,
    for (1); H. Bolcskei, F. Hlawatsch and H. G. Feichtinger, Frame-theoretic analysis
    of oversampled filter banks, IEEE Trans. Signal Processing 46 (1998) 3256, for the
    condition and the noise gain.
    """

    def __init__(
        self,
        n_chan: int,
        *,
        oversample: Fraction | str | int | tuple[int, int] = 1,
        n_tap: int = 8,
        window: str = "hamming",
        taps: np.ndarray | None = None,
        layout: Layout | None = None,
        lower_sideband: bool = False,
        noise: float | None = None,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, 2)
        if self._n_chan % 2:
            raise ValueError(f"n_chan: found {n_chan}, allowed an even number")
        self._layout = checked_layout(layout)
        self._lower_sideband = _check.flag("lower_sideband", lower_sideband)
        self._n_fft = self._n_chan if self._layout.is_complex else 2 * self._n_chan
        self._oversample = oversample_ratio(oversample, self._n_fft)
        self._hop = int(self._n_fft / self._oversample)
        self._noise = _noise_ratio(noise, self._oversample)
        if taps is None:
            taps = prototype(self._n_fft, n_tap, window)
        self._taps = float32_taps(taps, self._n_fft)
        self._own_argument("taps", self._taps)
        power, unit = _unit_taps(self._taps)
        sizes = unit, self._n_fft, self._hop, self._noise
        self._extension = _shortest(*sizes)
        dual = _dual(*sizes, self._extension, np.arange(self._hop))
        table, self._error, self._gain = dual
        self._table = _table(table / np.float32(np.sqrt(power)), self._layout.is_complex)
        kind = "complex" if self._layout.is_complex else "real"
        self._transform = fft_plan(self._n_fft, kind=kind, direction="inverse")
        self._own_state()

    def _own_state(self) -> None:
        self._transform = self._transform.copy()
        self._make_room(0)

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self._n_chan

    @property
    def n_fft(self) -> int:
        """Length of the transform, in samples."""
        return self._n_fft

    @property
    def hop(self) -> int:
        """Number of samples from one frame to the next: ``n_fft / oversample``."""
        return self._hop

    @property
    def oversample(self) -> Fraction:
        """Oversampling ratio, 1 or more."""
        return self._oversample

    @property
    def n_tap(self) -> int:
        """Length of the analysis prototype, in transforms."""
        return self._taps.shape[0]

    @property
    def taps(self) -> np.ndarray:
        """Analysis prototype: read-only, shape (n_tap, n_fft), float32, dimensionless."""
        return self._taps

    @property
    def layout(self) -> Layout:
        """Format of the voltages of the analysis."""
        return self._layout

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes; it grows in the first calls."""
        held = (self._taps, self._table, self._error, self._gain, self._spectrum, self._folded)
        return sum(each.nbytes for each in held) + self._transform.memory_bytes

    @property
    def lower_sideband(self) -> bool:
        """Whether the spectra are reversed and conjugated."""
        return self._lower_sideband

    @property
    def noise(self) -> float:
        """Noise-to-signal power ratio for which the plan is optimal."""
        return self._noise

    @property
    def n_lag(self) -> int:
        """Number of frames that a sample depends on, and so the length of g in hops."""
        return self._table.shape[0]

    @property
    def history(self) -> int:
        """Number of frames that neighbouring calls share: ``n_lag - 1``."""
        return self.n_lag - 1

    @property
    def first_sample(self) -> int:
        """First sample that a call returns, counted from the start of its first frame.

        If the first frame of a call is m, the returned voltages begin at sample
        ``m hop + first_sample`` of the stream.
        """
        return (self.history - self._extension) * self._hop

    @property
    def latency(self) -> int:
        """Number of input samples of the analysis after the last sample that is returned.

        It is ``n_tap n_fft + (e - 1) hop``, where e is the number of hops by which g begins before
        h.
        """
        return self._taps.size + (self._extension - 1) * self._hop

    @property
    def residual(self) -> float:
        """Relative rms error of the design, for white voltages and spectra without noise.

        It is calculated for exact arithmetic, with the Nyquist channel, and is dimensionless.
        """
        return float(np.sqrt(self._error.mean()))

    @property
    def noise_gain(self) -> float:
        """Noise-to-signal power ratio of the voltages, divided by that of the spectra.

        It is calculated for white noise that is independent in all channels and frames, as the mean
        over branches of ``sum_t g^2``, which is the mean of ``|G|^2``. It is dimensionless: 1 for
        an ideal orthogonal bank, and 1 / oversample for a tight oversampled bank. With real
        voltages it is lower by the fraction ``1.5 / n_fft``, because the Nyquist channel is
        missing.
        """
        return float(self._gain.mean())

    @property
    def noise_gain_worst(self) -> float:
        """Noise gain of the worst branch (sample index modulo `hop`), in dB."""
        return float(10 * np.log10(self._gain.max()))

    @property
    def condition(self) -> float:
        """Ratio of the frame bounds of the analysis bank, 1 or more; computed on access.

        This is the largest power that voltages of unit power can have in the spectra, divided by
        the smallest, and is computed from a sample of branches and frequencies. It is 1 for a tight
        frame, and thousands for critical sampling.
        """
        _, unit = _unit_taps(self._taps)
        low, high = _frame_bounds(unit, self._n_fft, self._oversample)
        return high / low if low > 0 else float("inf")

    def n_sample(self, n_frame: int) -> int:
        """Return the number of samples that `n_frame` frames yield, 0 if these are too few."""
        n_frame = _check.count("n_frame", n_frame, 0)
        return max(0, n_frame - self.history) * self._hop

    def n_frame(self, n_sample: int) -> int:
        """Return the number of frames needed for `n_sample` samples or more."""
        n_sample = _check.count("n_sample", n_sample, 0)
        return -(-n_sample // self._hop) + self.history if n_sample else 0

    def frames(self, start: int, stop: int) -> range:
        """Return the frames of the stream that samples `start` to `stop` - 1 depend on.

        These are ``start // hop - history + e`` to ``(stop - 1) // hop + e``, with e as for
        `latency`. A negative frame is before the stream; the sample is then undetermined.
        """
        start = _check.count("start", start, 0)
        stop = _check.count("stop", stop, start + 1)
        first = start // self._hop + self._extension - self.history
        return range(first, (stop - 1) // self._hop + self._extension + 1)

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        self._transform.compile()
        frames = self._folded[:0]
        overlap_add(frames, self._table, 1, 0, np.empty(0, frames.dtype))

    @property
    def _room(self) -> int:
        """Number of frames that are in memory at most: pieces, and those that come before them."""
        return self.history + max(2 * _PIECE, 4 * self.history // _PIECE * _PIECE)

    def process(
        self,
        spectra: np.ndarray,
        *,
        first_frame: int = 0,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the samples that the frames of `spectra` determine.

        ``x[n] = (1/N) sum_m g[n - m H] sum_k X[m, k] exp(2 pi i k n / N)``

        If a stream is split into blocks that share `history` frames, their samples
        follow one another without gaps or overlap.

        Parameters
        ----------
        spectra : ndarray, shape (n_frame, n_chan), complex64, any unit
            Consecutive frames, with any strides.
        first_frame : int
            Index of the first of these frames in the stream, which determines the phase; arbitrary
            for critical sampling.
        out : ndarray, shape (n_sample,), float32 or complex64, unit of spectra, optional
            Receives the result, with any stride; must not overlap spectra.
            ``n_sample = (n_frame - history) hop``.

        Returns
        -------
        ndarray, shape (n_sample,), float32 or complex64, unit of spectra
            `out`, or a new array. The first is sample
            ``first_frame hop + first_sample`` of the stream.

        Raises
        ------
        TypeError
            If an argument is an ndarray subclass or has the wrong type.
        ValueError
            If a shape is wrong, there are fewer than `n_lag` frames, or `out` overlaps spectra.
        RuntimeError
            If another call of this plan is in progress.

        Notes
        -----
        If `out` is given, no array of the data's size is allocated, except work space in the first
        calls.
        """
        _check.array("spectra", spectra, ("complex64",), 2)
        n_frame = spectra.shape[0]
        if n_frame < self.n_lag:
            raise ValueError(f"spectra: found {n_frame} frames, allowed {self.n_lag} or more")
        _check.shape("spectra", spectra, (n_frame, self._n_chan))
        first_frame = _check.count("first_frame", first_frame, 0)
        kind = "complex64" if self._layout.is_complex else "float32"
        out = _check.output("out", out, (self.n_sample(n_frame),), kind, spectra)
        with self._alone():
            if len(self._folded) < min(n_frame, self._room):
                self._make_room(min(n_frame, self._room))
            self._process(spectra, first_frame, out)
        return out

    def _process(self, spectra: np.ndarray, first_frame: int, out: np.ndarray) -> None:
        """Transform and add, a piece of the frames at a time."""
        room, held, done = len(self._folded), 0, 0
        for start in range(0, len(spectra), _PIECE):
            piece = spectra[start : start + _PIECE]
            if held + len(piece) > room:
                self._folded[: self.history] = self._folded[held - self.history : held]
                held = self.history
            self._order(piece, self._spectrum[: len(piece)])
            self._invert(held, len(piece))
            held += len(piece)
            n_hop = start + len(piece) - self.history - done
            if n_hop > 0:
                frames = self._folded[held - n_hop - self.history : held]
                part = out[done * self._hop : (done + n_hop) * self._hop]
                column = (first_frame + done) * self._hop + self.first_sample
                overlap_add(frames, self._table, self._oversample.numerator,
                            column % self._n_fft, part)
                done += n_hop

    def _make_room(self, n_frame: int) -> None:
        """Allocate the input of the inverse transforms, in their own order, and their output.

        Rows of the output are apart, since rows at distances of a power of two map to the same few
        sets of a cache.
        """
        (n_bin, _), (n, dtype) = self._transform.input_shape, self._transform.output_shape
        self._spectrum = np.empty((min(n_frame, _PIECE), n_bin), np.complex64)
        self._folded = padded_rows((n_frame, n), dtype)

    def _invert(self, first: int, n: int) -> None:
        """Transform `n` spectra to `_folded`, from row `first` on."""
        # Inf in the spectra is data and must not raise a warning in lengths of NumPy.
        with np.errstate(all="ignore"):
            self._transform.process(self._spectrum[:n], out=self._folded[first : first + n])

    def _order(self, spectra: np.ndarray, spectrum: np.ndarray) -> None:
        half = self._n_chan // 2
        view = spectra[:, ::-1] if self._lower_sideband else spectra
        if self._layout.is_complex:
            self._copy(view[:, :half], spectrum[:, half:])
            self._copy(view[:, half:], spectrum[:, :half])
        else:
            self._copy(view, spectrum[:, : self._n_chan])
            spectrum[:, self._n_chan] = 0

    def _copy(self, spectra: np.ndarray, spectrum: np.ndarray) -> None:
        if self._lower_sideband:
            np.conjugate(spectra, out=spectrum)
        else:
            np.copyto(spectrum, spectra)


def _table(g: np.ndarray, is_complex: bool) -> np.ndarray:
    """Return weights of numbers, read-only: those of complex samples are there twice."""
    weights = np.repeat(g, 2, axis=1) if is_complex else g
    out = padded_rows(weights.shape, np.dtype(np.float32))
    out[...] = weights
    out.flags.writeable = False
    return out


def _noise_ratio(noise: float | None, oversample: Fraction) -> float:
    if noise is None:
        return _NOISE_CRITICAL if oversample == 1 else _NOISE_OVERSAMPLED
    if isinstance(noise, (bool, str)) or not isinstance(noise, (int, float, np.number)):
        raise TypeError(f"noise: found {type(noise).__name__}, allowed a number")
    low, high = _NOISE_RANGE
    if not low <= noise <= high:
        raise ValueError(f"noise: found {noise}, allowed {low:g} to {high:g}")
    return float(noise)


def _unit_taps(taps: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a prototype's mean power in a branch, and its samples divided by the root of it."""
    h = taps.astype(np.float64).reshape(-1)
    power = float(h @ h) / taps.shape[1]
    if not power > _MIN_POWER:
        raise ValueError(f"taps: found a mean power of {power:g}, allowed above {_MIN_POWER:g}")
    return power, h / np.sqrt(power)


def _shortest(h: np.ndarray, n_fft: int, hop: int, noise: float) -> int:
    """Return the extension of the shortest good g, from a sample of branches.

    A g is good if its mean square error, including noise, is within 5 % of that of the longest.
    """
    # Include the middle branch, which is the worst for a symmetric prototype.
    branches = np.union1d(np.linspace(0, hop - 1, min(hop, 64)).astype(int), hop // 2)
    costs = []
    for extension in _EXTENSIONS:
        _, error, gain = _dual(h, n_fft, hop, noise, extension, branches)
        costs.append(float((error + noise * gain).mean()))
    return next(e for e, x in zip(_EXTENSIONS, costs, strict=True) if x <= 1.05 * costs[-1])


def _dual(
    h: np.ndarray, n_fft: int, hop: int, noise: float, extension: int, branches: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return g, shape (n_lag, n_branch) float32, and the error and gain of each branch.

    Element (j, b) is ``g[(j - extension) hop + branches[b]]``, for h of unit mean power. The
    error of a branch is the sum of squared residuals of (1).
    """
    n_lag = -(-h.size // hop) + 2 * extension
    g = np.empty((n_lag, branches.size), dtype=np.float32)
    error, gain = np.empty(branches.size), np.empty(branches.size)
    dual_nb(h, n_fft, hop, noise, extension, branches, g, error, gain)
    return g, error, gain


@jit
def dual_nb(h, n_fft, hop, noise, extension, branches, g, error, gain):
    """Fill `g`, `error` and `gain` as `_dual` does.

    Each branch solves ``(A^T A + noise) g = A^T e``. The matrix is banded, since columns of A that
    are a prototype's length apart do not overlap, and its Cholesky factor has the same band.
    """
    n_lag = g.shape[0]
    band = min(n_lag, -(-h.size // hop))
    factor = np.empty((n_lag, band))  # [j, d] is the element of row j, column j - d
    right = np.empty(n_lag)
    x = np.empty(n_lag)
    for b in range(branches.size):
        for j in range(n_lag):
            # Column j of A contains every n_fft-th sample of h, including this one.
            at = branches[b] + (j - extension) * hop
            right[j] = h[at] if 0 <= at < h.size else 0.0
            x[j] = right[j]
            for d in range(min(band, j + 1)):
                total = noise if d == 0 else 0.0
                # The sample of the other column is d hops earlier.
                for i in range(d * hop + (at - d * hop) % n_fft, h.size, n_fft):
                    total += h[i] * h[i - d * hop]
                factor[j, d] = total
        solve_band_nb(factor, x)
        found, power = 0.0, 0.0
        for j in range(n_lag):
            g[j, b] = x[j]
            found += x[j] * right[j]
            power += x[j] * x[j]
        gain[b] = power
        # |A g - e|^2, from the solved equation; rounding must not make it negative.
        error[b] = max(1.0 - found - noise * power, 0.0)


@jit
def solve_band_nb(factor, x):
    """Solve a positive definite band system in place, by Cholesky's method.

    `factor` (n, band) float64 has the element of row j, column j - d at [j, d]; it is replaced
    by the factor. `x` (n,) float64 is the right-hand side and is replaced by the solution.
    """
    n, band = factor.shape
    for j in range(n):
        first = max(0, j - band + 1)
        for i in range(first, j + 1):
            total = factor[j, j - i]
            for k in range(max(first, i - band + 1), i):
                total -= factor[j, j - k] * factor[i, i - k]
            factor[j, j - i] = np.sqrt(total) if i == j else total / factor[i, 0]
        for i in range(first, j):
            x[j] -= factor[j, j - i] * x[i]
        x[j] /= factor[j, 0]
    for j in range(n - 1, -1, -1):
        x[j] /= factor[j, 0]
        for i in range(max(0, j - band + 1), j):
            x[i] -= factor[j, j - i] * x[j]


def _frame_bounds(h: np.ndarray, n_fft: int, oversample: Fraction) -> tuple[float, float]:
    """Return the least and greatest power in the spectra per power of the voltages.

    With n_fft = p M and hop = q M, samples n = b mod M have separate spectra. q of their phases
    and p phases of the frames are related by a p x q matrix for each frequency. Here 16
    frequencies are sampled for 17 values of b, or fewer if the matrices are large.
    """
    p, q = oversample.numerator, oversample.denominator
    stride = n_fft // p
    n = 16 if p <= 128 else 2
    phase = p * np.arange(q) - q * np.arange(p)[:, None]
    lags = range(-int(phase.max()) // (p * q), (h.size // stride - int(phase.min())) // (p * q) + 1)
    turns = np.exp(2j * np.pi / n * np.arange(n))[:, None, None]
    low, high = np.inf, 0.0
    branches = np.union1d(np.linspace(0, stride - 1, min(stride, n)).astype(int), stride // 2)
    for b in branches:
        taps = h[b::stride]
        matrix = np.zeros((n, p, q), dtype=complex)
        for lag in lags:
            where = phase + lag * p * q
            inside = (where >= 0) & (where < taps.size)
            matrix += np.where(inside, taps[np.where(inside, where, 0)], 0) * turns**lag
        singular = np.linalg.svd(matrix, compute_uv=False) ** 2
        low, high = min(low, float(singular.min())), max(high, float(singular.max()))
    return low, high
