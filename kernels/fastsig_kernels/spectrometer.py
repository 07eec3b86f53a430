"""Spectrometer: voltages to integrated spectra in one pass, for streams in pieces of any length."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from . import _check
from ._bank_setup import float32_taps, oversample_ratio
from ._generic_bank import GenericBank, GenericIntegrator
from ._order import STREAMED_BYTES, on_lines
from ._plan import Plan
from ._team import Team
from ._validity import Validity, arrays_of, lost
from ._voltage_engine import VoltageEngine
from .channelize import Channelizer
from .energy import cumulative_energy, is_whole
from .filters import prototype
from .integrate import add_kept_nb, close_sums_nb, outer_means_nb, sum_weights_nb
from .layout import Layout, checked_layout, numbers_of, prepare_copies
from .products import PRODUCTS, product_codes
from .spectral_kurtosis import (
    checked_sigma,
    frame_correlation,
    keep_noise_nb,
    kurtosis_thresholds,
    least_frames,
)

_ROWS_BYTES = 2**22  # sums computed at a time, unless they are computed in their place
_CHUNK_BYTES, _CHUNK_FRAMES = 2**24, 2**16  # samples, and frames with their energies
_MOST_TABLED = 256  # numbers of frames whose thresholds are computed in advance
_MOST_THREADS = 1024
_MOST_STREAMS = 2**20
_MOST_FRAMES = 2**62  # in an integration; their number still fits into 64 bits
_MOST_SAMPLES = 2**62  # sums of which have 64 bits

_PACKED_LOST = ("found lost samples of packed numbers, which have no zero; unpack them to int8 or "
                "float32 first")


class Spectrometer(Plan):
    """Plan and state of a spectrometer: voltages in, mean power spectra out.

    ``P[i, k] = sum_m |X[m, k]|^2 / sum_m e[m]`` over the `n_int` frames of integration i, with X as
    for `Channelizer`. This is the product I of one polarisation; the other products are those of
    `detect`.

    Lost samples count as 0. The energy of a frame is ``e = sum(h^2 valid) / sum(h^2)``, and
    frames with energies below `min_valid` are excluded. The weight of a mean is
    ``sum(e) / n_int``.

    Parameters
    ----------
    n_chan : int
        Number of channels, an even number; fastest if it has no prime factor above 7.
    n_tap, window, taps, lower_sideband, oversample
        As for `Channelizer`.
    layout : Layout
        Format of the voltages; real int8 by default.
    n_pol : int
        1 or 2 polarisations.
    products : str
        A key of `PRODUCTS` (one polarisation allows only "I"), or "voltages" for the complex
        spectra of every frame and polarisation, unchanged, with NaN where the weight is 0.
    basis, sign_q, sign_v
        As for `detect`.
    n_int : int
        Number of frames in an integration.
    n_inner : int
        Number of frames in an inner sum, which is in float32; inner sums are added in float64. Each
        inner sum is also the unit in which data are excluded by their spectral kurtosis.
    flag_sigma : float, optional
        Exclude an inner sum of a channel if its spectral kurtosis lies outside this many
        Gaussian sigmas in any polarisation. Weights are then per channel. Inner sums with
        fewer than 16 frames, or fewer than 16 equivalent independent frames, are kept.
    min_valid : float
        Minimum energy of a frame, above 0 and at most 1.
    channels : pair of int, optional
        First channel to return, and one past the last. The values have the same bits as those for
        the whole band. By default, all channels are returned.
    scale : {"mean", "sum"}
        Whether to return means, or numerators and weights that can be added to others.
    threads : int
        Number of threads that share the work of a call; the bits do not depend on it. Calls that
        take at least a few milliseconds benefit from several threads, if sums of `n_int` or
        `n_inner` frames are shorter than the call.
    n_stream : int, optional
        Number of streams with the same losses, such as the coarse channels of one receiver, which
        each call processes together: arrays then have an axis for them. By default there is one
        stream, and arrays have no axis for it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *State.* Unfinished samples and sums are kept from call to call, so the bits do not depend on
    the pieces in which a stream is passed. `reset` discards them, and accepts the number of the
    first frame for streams that are entered in the middle. If an exception interrupts the
    computation itself, the state is lost: until `reset` is called, further calls raise
    `RuntimeError`. *Threads.* Only one thread may use a plan at a time; a call while another is in
    progress raises `RuntimeError`. `copy` returns a plan for another thread, with its own empty
    state and work space and the same tables. The GIL is released in all long loops, and nothing is
    compiled after `compile`. *Processes.* A plan is pickled as the arguments of its constructor,
    without its state. *Memory.* A plan occupies `memory_bytes` in total. If `out` is given, a call
    allocates a few MB at most, independent of the length of x. x is copied only if its strides are
    irregular or invalid samples must be blanked. *NaN* in floating-point voltages spreads over the
    frames that contain it, unless it is marked as not valid.

    References
    ----------
    D. C. Price, Spectrometers and polyphase filterbanks in radio astronomy (2016),
    arXiv:1607.03579; G. M. Nita and D. E. Gary, MNRAS 406, L60 (2010).
    """

    def __init__(
        self,
        n_chan: int,
        *,
        n_tap: int = 8,
        window: str = "hamming",
        taps: np.ndarray | None = None,
        layout: Layout | None = None,
        n_pol: int = 1,
        products: str = "I",
        basis: str = "linear",
        sign_q: int = 1,
        sign_v: int = 1,
        n_int: int = 1,
        n_inner: int = 128,
        flag_sigma: float | None = None,
        min_valid: float = 0.9,
        lower_sideband: bool = False,
        oversample: Fraction | str | int | tuple[int, int] = 1,
        channels: tuple[int, int] | None = None,
        scale: str = "mean",
        n_stream: int | None = None,
        threads: int = 1,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, 2)
        if self._n_chan % 2:
            raise ValueError(f"n_chan: found {n_chan}, allowed an even number")
        self._layout = checked_layout(layout)
        self._channels = _band(channels, self._n_chan)
        self._width = self._channels[1] - self._channels[0]
        self._n_pol = _check.count("n_pol", n_pol)
        self._n_stream = None if n_stream is None else _check.count(
            "n_stream", n_stream, maximum=_MOST_STREAMS)
        self._streams = self._n_stream or 1
        self._threads = _check.count("threads", threads, maximum=_MOST_THREADS)
        if self._n_pol == 1:
            # A single polarisation is not interleaved with another.
            self._layout = replace(self._layout, interleaved=False)
        self._n_fft = self._n_chan if self._layout.is_complex else 2 * self._n_chan
        self._oversample = oversample_ratio(oversample, self._n_fft)
        self._hop = int(self._n_fft / self._oversample)
        if self._hop * self._layout.sample_bits % 8:
            raise ValueError(f"oversample: found a hop of {self._hop} samples, allowed whole bytes")
        taps = prototype(self._n_fft, n_tap, window) if taps is None else taps
        self._taps = float32_taps(taps, self._n_fft)
        self._own_argument("taps", self._taps)
        self._voltages = isinstance(products, str) and products == "voltages"
        if self._voltages and (n_int != 1 or flag_sigma is not None or scale != "mean"):
            raise ValueError("products: found voltages with an integration, allowed n_int = 1, "
                             "no flag_sigma and scale 'mean'")
        # Voltages have the weights of AA and BB, one per polarisation.
        self._codes = (np.arange(self._n_pol) if self._voltages
                       else product_codes(products, n_pol, basis))
        self._signs = _check.sign("sign_q", sign_q), _check.sign("sign_v", sign_v)
        self._n_int = _check.count("n_int", n_int, maximum=_MOST_FRAMES)
        self._n_inner = _check.count("n_inner", n_inner, maximum=_MOST_FRAMES)
        self._min_valid = _check.number("min_valid", min_valid)
        if not 0 < self._min_valid <= 1:
            raise ValueError(f"min_valid: found {min_valid}, allowed above 0, at most 1")
        self._sums = _check.choice("scale", scale, ("mean", "sum")) == "sum"
        self._products = products
        self._sigma = None if flag_sigma is None else checked_sigma("flag_sigma", flag_sigma)
        if self._sigma is not None:
            self._correlation = frame_correlation(self._taps, self._hop)
            self._least = least_frames(self._correlation)
            #: Thresholds by the number of frames; where frames are lost, many numbers occur.
            self._limits: dict[int, list[tuple[float, float]]] = {}
        self._lower_sideband = _check.flag("lower_sideband", lower_sideband)
        self._cumulative = cumulative_energy(self._taps)
        self._shape = np.ones(self._n_chan)
        if not self._layout.is_complex:
            # Channel 0 of real input is real: the square of one number, not of two.
            self._shape[-1 if self._lower_sideband else 0] = 0.5
        self._shape = self._shape[slice(*self._channels)].copy()
        self._engine = self._make_engine()
        # The engine may compute a wider range of channels.
        begin = self._channels[0] - self._engine.first
        self._cut = slice(begin, begin + self._width)
        self._own_state()

    def _make_engine(self) -> Any:
        from ._bank import Bank, Integrator, serves
        from ._stack_bank import Stack, StackIntegrator, stacks

        if self._voltages:
            return VoltageEngine(Channelizer(
                self._n_chan, taps=self._taps, layout=self._layout,
                lower_sideband=self._lower_sideband, oversample=self._oversample,
            ), self._n_pol, self._channels)
        options: dict[str, Any] = {"hop": self._hop, "lower_sideband": self._lower_sideband}
        unit = 0 if self._hop == self._n_fft else self._n_fft // self._oversample.numerator
        flag, layout = self._sigma is not None, self._layout
        names = ("AA",) if self._n_pol == 1 else PRODUCTS[self._products]
        if layout.interleaved and 2 * layout.sample_bits > 64:
            layout = replace(layout, interleaved=False)  # separated by a copy, block by block
        if serves(self._n_fft, unit, layout):
            bank = Bank(self._taps, layout, n_pol=self._n_pol, **options)
            return Integrator(bank, self._n_pol, names, flag, self._channels)
        if stacks(self._n_fft, self._hop, layout):
            stack = Stack(self._taps, layout, n_pol=self._n_pol, **options)
            return StackIntegrator(stack, self._n_pol, names, flag, self._channels)
        generic = GenericBank(self._taps, is_complex=self._layout.is_complex,
                              band=self._channels, **options)
        return GenericIntegrator(generic, self._layout, self._n_pol, self._products, flag)

    def _own_state(self) -> None:
        """Create the work space and an empty state, which copies do not share."""
        last = self._n_int % self._n_inner or self._n_inner
        self._validity = Validity(self._n_pol, self._cumulative, self._hop, self._min_valid)
        least = min(self._n_int, self._n_inner, last)
        self._work = self._engine.work(least, self._streams)
        alone = self._threads == 1 or self._voltages
        self._team = None if alone else Team(self._engine, self._threads, self._work, least,
                                             self._streams)
        self._held = self._zeros(self._taps.size)
        self._bridge = self._zeros(2 * self._taps.size)
        self._outer = np.zeros((self._streams, len(self._codes), self._width))
        self._reset()

    def reset(self, first_frame: int = 0) -> None:
        """Discard all samples and sums; the next sample is the first of a frame.

        Parameters
        ----------
        first_frame : int
            Number of that frame in its stream, as for `Channelizer.process`. In an oversampled
            bank it determines the rotation of frames. Integrations begin with that frame,
            regardless of its number.

        Raises
        ------
        TypeError, ValueError
            If `first_frame` is not an integer or is below 0; the state is then unchanged.
        RuntimeError
            If another call is in progress.
        """
        first_frame = _check.count("first_frame", first_frame, 0)
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset(first_frame)
        self._unfinished = False

    def _reset(self, first_frame: int = 0) -> None:
        # The rotation of frames repeats after as many frames as the numerator of the ratio.
        self._turned = first_frame % self._oversample.numerator
        self._n_held = 0
        self._first = 0  # sample of the stream at which the held samples begin
        self._frame = 0
        self._validity.reset()
        self._work.reset()
        self._outer[:] = 0
        self._inner_weight = np.zeros(len(self._codes))
        self._inner_count = np.zeros(self._n_pol, np.int64)
        # Streams have the same losses, and so the same weights unless kurtosis decides.
        streams = 1 if self._sigma is None else self._streams
        self._outer_weight: np.ndarray = np.zeros((streams, len(self._codes), self.weight_width))
        self._weight = np.empty((0, *self._outer_weight.shape), np.float32)

    def copy(self, *, n_int: int | None = None) -> "Spectrometer":
        """Return a plan with the same tables, its own empty state, and optionally another `n_int`.

        Its frames are numbered from 0, until `reset` is called.
        """
        if n_int is None:
            return self._twin()
        return self._twin(n_int=_check.count("n_int", n_int, maximum=_MOST_FRAMES))

    @property
    def n_chan(self) -> int:
        """Number of channels in the bank."""
        return self._n_chan

    @property
    def channels(self) -> tuple[int, int]:
        """First channel of the spectra, and one past the last."""
        return self._channels

    @property
    def n_fft(self) -> int:
        """Length of the transform, in samples."""
        return self._n_fft

    @property
    def hop(self) -> int:
        """Number of samples from one frame to the next."""
        return self._hop

    @property
    def n_int(self) -> int:
        """Number of frames in an integration."""
        return self._n_int

    @property
    def taps(self) -> np.ndarray:
        """Prototype: read-only, shape (n_tap, n_fft), float32, dimensionless."""
        return self._taps

    @property
    def layout(self) -> Layout:
        """Format of the voltages."""
        return self._layout

    @property
    def history(self) -> int:
        """Number of samples that neighbouring frames share: ``n_tap n_fft - hop``."""
        return self._taps.size - self._hop

    @property
    def latency(self) -> int:
        """Number of samples that the first spectrum needs: ``history + n_int hop``."""
        return self.history + self._n_int * self._hop

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes."""
        return int(self._engine.memory_bytes + self._work.memory_bytes + self._held.nbytes
                   + self._bridge.nbytes + self._outer.nbytes + self._taps.nbytes
                   + self._cumulative.nbytes
                   + (0 if self._team is None else self._team.memory_bytes))

    @property
    def weight(self) -> np.ndarray:
        """Weights of the last call's spectra: (n_output, n_product, `weight_width`).

        Weights of means are float32 from 0 to 1; those of sums are float64 sums of energies. With
        both spectral kurtosis and `n_stream`, the shape is (n_output, n_stream, n_product,
        n_channel).
        """
        own = self._n_stream is not None and self._sigma is not None
        return self._weight if own else self._weight[:, 0]

    @property
    def weight_width(self) -> int:
        """Length of the last axis of `weight`: 1, or n_channel if spectral kurtosis is used."""
        return 1 if self._sigma is None else self._width

    def n_frame(self, n_sample: int) -> int:
        """Return the number of frames that `n_sample` further samples complete."""
        n = self._n_held + _check.count("n_sample", n_sample, 0)
        return max(0, (n - self._taps.size) // self._hop + 1)

    def n_output(self, n_sample: int) -> int:
        """Return the number of spectra that `n_sample` further samples finish."""
        return (self._frame % self._n_int + self.n_frame(n_sample)) // self._n_int

    def compile(self) -> None:
        """Compile everything that `process` and `flush` need; this takes seconds, once per machine.

        With `flag_sigma` the thresholds are computed as well, for as many frames as an inner sum
        has and up to 256 fewer, so that later calls need not compute them.
        """
        prepare_copies(self._layout, self._n_pol)
        if self._sigma is not None:
            most = min(self._n_int, self._n_inner)
            for count in range(max(self._least, most - _MOST_TABLED), most + 1):
                self._thresholds(count)
        twin = self._twin(n_int=1, n_inner=1)
        n = twin.history + 6 * twin._hop
        part = np.array([[0, n - 1]])
        # The losses of the polarisations differ, so that they are intersected.
        spectra = np.empty(twin._shape_of(twin.n_output(n)), twin.out_dtype)
        twin._process(twin._zeros(n), [part, part - [0, 1]][: self._n_pol], True,
                      twin._with_streams(spectra))
        if not self._single:
            twin._inner_count[:] = 128
            rows = np.ones((1, self._streams, self._engine.n_out, self._width), np.float32)
            twin._close_inner(rows[0], np.ones(len(self._codes)))
            out = np.empty((1, *twin._outer.shape), self.out_dtype)
            twin._weight = np.empty((1, *twin._outer_weight.shape), out.dtype)
            twin._close_outer(out, 0)
            if self._sigma is None:
                twin._close_all(rows, np.ones((1, len(self._codes))), np.ones(1, bool), out, 0)

    def _zeros(self, n: int) -> np.ndarray:
        """Return zeroed memory for `n` samples in the layout."""
        layout = self._layout
        streams = self._streams
        if layout.kind == "packed":
            return np.zeros((streams, self._n_pol, n * layout.sample_bits // 8), np.uint8)
        tail = (2,) if layout.is_complex else ()
        if layout.interleaved:
            return np.zeros((streams, n, self._n_pol, *tail), layout.dtype).swapaxes(1, 2)
        return np.zeros((streams, self._n_pol, n, *tail), layout.dtype)

    def process(
        self,
        x: np.ndarray,
        *,
        valid: Any = None,
        zeroed: bool = False,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Process the next voltages of the stream; return the spectra that they finish.

        Parameters
        ----------
        x : ndarray, shape (n_pol, n_time), any unit, or as specified by the layout
            Any number of samples. The first axis may be missing for one polarisation. With
            `n_stream`, the shape is (n_stream, n_pol, n_time).
        valid : ndarray (n_span, 2) of int64, or a list of one for each polarisation
            First sample, and one past the last, of each run of valid samples, in order, counted
            from the first sample of this call. By default, all samples are valid.
        zeroed : bool
            Whether invalid samples are already 0, so that none must be blanked.
        out : ndarray, shape (n_output or more, n_product, n_channel), float32, optional
            Receives the spectra; must not overlap x.

        Returns
        -------
        ndarray, shape (n_output, n_product, n_channel), float32, unit of x squared
            A view of `out`, or a new array: means, which are NaN where the weight is 0, or sums.
            Sums of more than `n_inner` frames are float64. n_channel is n_chan, or the number of
            `channels`. With `n_stream`, the shape is (n_output, n_stream, n_product, n_channel).

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape, or `out` overlaps x; the state is then
            unchanged.
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            made = self._checked(x, valid, zeroed, out)
        self._unfinished = False  # last, so that Ctrl-C never loses spectra unnoticed
        return made

    def _checked(self, x: np.ndarray, valid: Any, zeroed: bool, out: np.ndarray | None
                 ) -> np.ndarray:
        """Do `process`; the state changes only when nothing can be refused any more."""
        numbers = numbers_of(x, self._layout, self._n_pol, self._n_stream)
        zeroed = _check.flag("zeroed", zeroed)
        n_new = self._layout.n_time(numbers.shape)
        spans = self._validity.checked(valid, n_new)
        n_out = self.n_output(n_new)
        out = self._target(out, n_out, x, *arrays_of(valid))
        if self._skips and spans is not None and not any(map(len, spans)):
            self._skip(n_new, self._with_streams(out))
        else:
            self._process(numbers, spans, zeroed, self._with_streams(out))
        return out

    #: Whether `process` skips calls without valid samples.
    _skips = True

    def skip(self, n: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Continue after `n` lost samples, as `process` does if none of them is valid.

        The call takes as long as processing a few frames and finishing the spectra that the lost
        samples complete.

        Parameters
        ----------
        n : int
            Number of lost samples; a stream may have up to 2^62 samples.
        out : ndarray, optional
            As for `process`.

        Returns
        -------
        ndarray, shape (n_output, n_product, n_channel), float32
            As for `process`. Spectra without a valid sample are NaN, or 0 for sums.

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed, or the samples are packed numbers, which have no zero.
        RuntimeError
            As for `process`.
        """
        with self._alone():
            n = _check.count("n", n, 0, _MOST_SAMPLES - self._first - self._n_held)
            if self._layout.kind == "packed":
                raise ValueError(f"n: {_PACKED_LOST}")
            out = self._target(out, self.n_output(n))
            self._skip(n, self._with_streams(out))
        self._unfinished = False
        return out

    def _skip(self, n: int, out: np.ndarray) -> None:
        """Process `n` lost samples: whole frames between the ends of sums change nothing."""
        weights: list[np.ndarray] = []
        done = 0

        def process(count: int) -> None:
            nonlocal done
            part = out[done : done + self.n_output(count)]
            none = [np.empty((0, 2), np.int64)] * self._n_pol
            self._process(self._zeros(count), none, True, part)
            weights.append(self._weight)
            done += len(part)

        first = min(n, self._taps.size)  # then no sample that is held is valid
        process(first)
        left = n - first
        while left:
            n_frame, place = left // self._hop, self._frame % self._n_int
            whole = 0 if place else n_frame // self._n_int
            if whole:
                out[done : done + whole] = 0 if self._sums else np.nan
                weights.append(np.zeros((whole, *self._outer_weight.shape), weights[0].dtype))
                done += whole
            # Inner sums add nothing if they begin and end within the lost samples.
            within = place % self._n_inner
            inner = 0 if within else min(n_frame, self._n_int - 1 - place) // self._n_inner
            # The end of a sum is processed, as it also ends what was summed before.
            to_end = min(self._n_int - place, self._n_inner - within)
            jump = whole * self._n_int or inner * self._n_inner or min(n_frame, to_end - 1)
            self._frame += jump
            self._first += jump * self._hop
            left -= jump * self._hop
            if not jump:
                process(min(left, self._hop))
                left -= min(left, self._hop)
        self._weight = np.concatenate(weights)

    def _target(self, out: np.ndarray | None, n_out: int, *others: Any) -> np.ndarray:
        """Return memory for `n_out` spectra: a part of `out`, or a new array."""
        shape = self._shape_of(n_out)
        if out is None:
            return on_lines(shape, self.out_dtype)
        _check.array("out", out, (self.out_dtype,), len(shape))
        if out.shape[0] < n_out or out.shape[1:] != shape[1:]:
            raise ValueError(f"out: found shape {out.shape}, allowed {shape}")
        out = out[:n_out]
        _check.target("out", out, shape, self.out_dtype, *others)
        return out

    def _shape_of(self, n_out: int) -> tuple[int, ...]:
        """Return the shape of spectra as callers see them."""
        streams = () if self._n_stream is None else (self._n_stream,)
        return (n_out, *streams, len(self._codes), self._width)

    def _with_streams(self, out: np.ndarray) -> np.ndarray:
        """Return spectra as (n_output, stream, product, channel)."""
        return out[:, np.newaxis] if self._n_stream is None else out

    @property
    def out_dtype(self) -> np.dtype:
        """Type of the spectra: float32, or float64 for sums over several inner sums."""
        if self._voltages:
            return np.dtype("c8")
        wide = self._sums and (self._n_int > self._n_inner or self._sigma is not None)
        return np.dtype("f8" if wide else "f4")

    def _process(self, x: np.ndarray, spans: list[np.ndarray] | None, zeroed: bool,
                 out: np.ndarray) -> None:
        layout = self._layout
        n_new = layout.n_time(x.shape)
        n_frame = self.n_frame(n_new)
        if not zeroed and spans is not None and any(lost(s, n_new) for s in spans):
            x = self._blanked(x, spans)
        kind = np.float64 if self._sums else np.float32
        weight = np.empty((len(out), *self._outer_weight.shape), kind)
        self._unfinished = True
        self._validity.append(spans, self._first + self._n_held, n_new)
        self._weight, done = weight, 0
        n_bridge = min(n_frame, -(-self._n_held // self._hop))
        if n_bridge:
            need = (n_bridge - 1) * self._hop + self._taps.size - self._n_held
            done = self._frames(self._joined(x, need), 0, n_bridge, out, done)
        if n_frame > n_bridge:
            start = n_bridge * self._hop - self._n_held
            self._frames(x, start, n_frame - n_bridge, out, done)
        self._keep(x, n_new, n_frame)

    def _blanked(self, x: np.ndarray, spans: list[np.ndarray]) -> np.ndarray:
        if self._layout.kind == "packed":
            raise ValueError(f"valid: {_PACKED_LOST}")
        zero = 128 if self._layout.kind == "uint8" else 0
        x = x.copy() if not self._layout.interleaved else (
            x.swapaxes(1, 2).copy().swapaxes(1, 2))
        for pol, each in enumerate(spans):
            position = 0
            for first, stop in [*each.tolist(), [x.shape[2], x.shape[2]]]:
                x[:, pol, position:first] = zero
                position = stop
        return x

    def _joined(self, x: np.ndarray, n: int) -> np.ndarray:
        """Return the held samples followed by `n` samples of x."""
        held = self._layout.cut(self._held, 0, self._n_held)
        new = self._layout.cut(x, 0, n)
        joined = self._bridge[:, :, : held.shape[2] + new.shape[2]]
        joined[:, :, : held.shape[2]], joined[:, :, held.shape[2] :] = held, new
        return joined

    def _keep(self, x: np.ndarray, n_new: int, n_frame: int) -> None:
        """Hold the samples that later frames need."""
        total, used = self._n_held + n_new, n_frame * self._hop
        if used >= self._n_held:
            rest = self._layout.cut(x, used - self._n_held, n_new)
            self._held[:, :, : rest.shape[2]] = rest
        else:
            old = self._layout.cut(self._held, used, self._n_held).copy()
            new = self._layout.cut(x, 0, n_new)
            self._held[:, :, : old.shape[2]] = old
            self._held[:, :, old.shape[2] : old.shape[2] + new.shape[2]] = new
        self._n_held = total - used
        self._first += used
        self._validity.discard(self._first)

    @property
    def _single(self) -> bool:
        """Whether every inner sum is a whole integration and is kept unconditionally."""
        return self._n_int <= self._n_inner and self._sigma is None

    def _frames(self, x: np.ndarray, start: int, n: int, out: np.ndarray, done: int) -> int:
        """Integrate `n` frames of x from sample `start` on; finish integrations that end."""
        row = self._engine.n_out * self._engine.width * 4 / min(self._n_int, self._n_inner)
        direct = self._single and not self._voltages and self._takes_rows(out)
        most = min(np.inf if direct else _ROWS_BYTES / row, _CHUNK_BYTES / self._hop)
        most *= self._threads / self._streams
        chunk = max(1, int(min(most, _CHUNK_FRAMES)))
        chunk -= chunk % 8 if chunk > 8 else 0  # the bank processes 8 frames, or 4, at a time
        for first in range(0, n, chunk):
            count = min(chunk, n - first)
            energy = self._validity.energy(self._frame, count)
            if self._voltages:
                place = slice(done, done + count)
                self._engine.run(x, self._layout, start + first * self._hop,
                                 self._turned + self._frame, self._work, out[place])
                out[place].swapaxes(1, 2)[energy[:, : self._n_pol] == 0] = np.nan
                self._weight[place, 0, :, 0] = energy[:, : self._n_pol]
                done += count
                self._frame += count
                continue
            ends = self._ends(count)
            n_row = int(np.count_nonzero(ends))
            options = {}
            if direct:
                rows = out[done : done + n_row]
                if self._engine.streams:
                    options["streamed"] = out.nbytes >= STREAMED_BYTES
            else:
                rows = np.empty((n_row, self._streams, self._engine.n_out, self._engine.width),
                                np.float32)
            sums = self._inner_weights(energy, ends)
            divisors, final = self._divisors(sums)
            begin, number = start + first * self._hop, self._turned + self._frame
            if self._team is None:
                self._engine.call(x, begin, number, ends, energy, self._signs, divisors,
                                  self._work, rows, **options)()
            else:
                self._work = self._team.run(self._work, x, begin, number, ends, energy,
                                            self._signs, divisors, self._hop, rows, **options)
            rows = rows[..., self._cut]
            if self._single:
                done = self._finish_single(rows, sums, final, out, done)
            else:
                done = self._finish(rows, sums, energy, ends, out, done)
            self._frame += count
        return done

    def _takes_rows(self, out: np.ndarray) -> bool:
        """Whether the engine can write its rows directly to `out`."""
        whole = self._engine.width == self._width
        return whole and out.flags.c_contiguous and out.flags.aligned

    def _divisors(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the divisors of inner sums, (sum, product), and whether these give the means."""
        divisors = np.ones((len(sums), self._engine.n_out), np.float32)
        if not len(sums) or not self._single or self._sums:
            return divisors, np.zeros(sums.shape, bool)
        single = sums.astype(np.float32)
        # Weights that float32 cannot represent are divided by later, in double precision.
        final = (single == sums) & (sums > 0)
        divisors[final] = single[final]
        return divisors, final

    def _finish_single(self, rows: np.ndarray, sums: np.ndarray, final: np.ndarray,
                       out: np.ndarray, done: int) -> int:
        """Do `_finish` where each inner sum is an integration; there may be many short ones."""
        if not len(rows):
            return done
        place = slice(done, done + len(rows))
        if self._sums:
            self._weight[place, 0, :, 0] = sums
        else:
            for i, p in () if final.all() else np.argwhere(~final):
                rows[i, :, p] = rows[i, :, p] / sums[i, p] if sums[i, p] else np.nan
            self._weight[place, 0, :, 0] = sums / self._n_int
        if not np.may_share_memory(rows, out[place]):
            out[place] = rows
        return done + len(rows)

    def _ends(self, n: int) -> np.ndarray:
        """Return 1 for each frame where an inner sum ends, else 0."""
        if n < min(self._n_int - self._frame % self._n_int, self._n_inner - (
                self._frame % self._n_int) % self._n_inner):
            return np.zeros(n, np.uint8)
        place = (self._frame + np.arange(n)) % self._n_int
        last = (place + 1 == self._n_int) | ((place + 1) % self._n_inner == 0)
        return last.astype(np.uint8)

    def _finish(self, rows: np.ndarray, sums: np.ndarray, energy: np.ndarray, ends: np.ndarray,
                out: np.ndarray, done: int) -> int:
        """Convert inner sums, and the energies of their frames, to spectra."""
        rows = np.ascontiguousarray(rows)  # kernels are compiled only for contiguous rows
        stops = np.flatnonzero(ends) + 1
        if self._sigma is None:
            return self._close_all(rows, sums, (self._frame + stops) % self._n_int == 0, out, done)
        for i, (first, stop) in enumerate(zip([0, *stops], [*stops, len(ends)], strict=True)):
            self._inner_count += (energy[first:stop, : self._n_pol] > 0).sum(axis=0)
            if i == len(stops):
                break
            self._close_inner(rows[i], sums[i])
            if (self._frame + stop) % self._n_int == 0:
                self._close_outer(out, done)
                done += 1
        return done

    def _close_all(self, rows: np.ndarray, sums: np.ndarray, closes: np.ndarray, out: np.ndarray,
                   done: int) -> int:
        """Do `_finish` where every inner sum is kept; there may be many short ones."""
        place = slice(done, done + int(closes.sum()))
        # `out` may have strides that kernels are not compiled for.
        target = np.empty((place.stop - done, *self._outer.shape),
                          np.float64 if self._sums else np.float32)
        weight = np.empty((len(target), *self._outer_weight.shape), target.dtype)
        close_sums_nb(rows, sums, closes, self._n_int, not self._sums, self._outer,
                      self._outer_weight[0], target, weight[:, 0])
        out[place], self._weight[place] = target, weight
        return place.stop

    def _inner_weights(self, energy: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the sums of the frames' weights, (inner sum, product).

        The remainder begins the next sum. Weights are added one by one in the order of the
        stream, so the bits do not depend on its pieces.
        """
        if not ends.any() and is_whole(energy):
            self._inner_weight += len(ends)  # exactly what adding ones gives
            return np.empty((0, len(self._codes)))
        weights = _weights(energy, self._codes)
        sums = np.empty((int(ends.sum()), len(self._codes)))
        sum_weights_nb(weights, ends, self._inner_weight, sums)
        return sums

    def _close_inner(self, rows: np.ndarray, weight: np.ndarray) -> None:
        """Add an inner sum (stream, product and moments, chan) to the outer one."""
        n = len(self._codes)
        if self._sigma is None:
            self._outer += rows[:, :n]
            self._outer_weight[0, :, 0] += weight
        else:
            for row, outer, outer_weight in zip(rows, self._outer, self._outer_weight, strict=True):
                add_kept_nb(row[:n], weight, self._decide(row[n:]), outer, outer_weight)
        self._inner_count[:] = 0

    def _decide(self, moments: np.ndarray) -> np.ndarray:
        """Return for each channel of an inner sum whether all its polarisations are noise."""
        kept = np.ones(self._width, bool)
        for pol in range(self._n_pol):
            count = int(self._inner_count[pol])
            if count >= self._least:
                low, high = self._thresholds(count)
                keep_noise_nb(moments[2 * pol], moments[2 * pol + 1], count, self._shape, low,
                              high, kept)
        return kept

    def _thresholds(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and largest kurtosis of noise for each channel."""
        if count not in self._limits:
            sigma = 3.0 if self._sigma is None else self._sigma
            self._limits[count] = [
                kurtosis_thresholds(count, shape, sigma, correlation=self._correlation)
                for shape in (1.0, 0.5)
            ]
        whole, half = self._limits[count]
        is_half = self._shape == 0.5
        return np.where(is_half, half[0], whole[0]), np.where(is_half, half[1], whole[1])

    def _close_outer(self, out: np.ndarray, place: int) -> None:
        if self._sums:
            out[place] = self._outer
            self._weight[place] = self._outer_weight
        else:
            # Use a separate array, since `out` may have strides that kernels are not compiled for.
            means, last = np.empty(self._outer.shape, np.float32), len(self._outer_weight) - 1
            for s, outer in enumerate(self._outer):
                outer_means_nb(outer, self._outer_weight[min(s, last)], self._n_int, means[s],
                               self._weight[place, min(s, last)])
            out[place] = means
        self._outer[:] = 0
        self._outer_weight[:] = 0

    def flush(self) -> np.ndarray:
        """End the stream: return the unfinished integration, if it has frames, and `reset()`.

        Returns
        -------
        ndarray, shape (0 or 1, n_product, n_channel), float32 (float64 as for `process`)
            The unfinished integration; `weight` contains its weight. Samples of an incomplete frame
            are discarded. With `n_stream`, the shape is (0 or 1, n_stream, n_product, n_channel).

        Raises
        ------
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            self._unfinished = True
            out = self._rest()
            weight = self._weight
            self._reset()
            self._weight = weight
        self._unfinished = False
        return out

    def _rest(self) -> np.ndarray:
        """Return the unfinished integration, if it has frames, and set its weight."""
        if self._frame % self._n_int == 0:
            self._weight = self._weight[:0]
            return np.empty(self._shape_of(0), self.out_dtype)
        out = np.empty(self._shape_of(1), self.out_dtype)
        if self._single or self._frame % self._n_int % self._n_inner:
            rows = np.ascontiguousarray(self._engine.unfinished(self._work)[..., self._cut])
            self._close_inner(rows, self._inner_weight)
        self._weight = np.empty((1, *self._outer_weight.shape), self._weight.dtype)
        self._close_outer(self._with_streams(out), 0)
        return out


def _band(channels: tuple[int, int] | None, n_chan: int) -> tuple[int, int]:
    """Check and return the first channel and stop."""
    if channels is None:
        return 0, n_chan
    try:
        first, stop = channels
    except (TypeError, ValueError):
        raise TypeError(f"channels: found {channels!r}, allowed a pair of ints") from None
    first, stop = _check.count("channels", first, 0), _check.count("channels", stop, 1)
    if not first < stop <= n_chan:
        raise ValueError(f"channels: found {first} to {stop}, allowed a range in 0 to {n_chan}")
    return first, stop


def _weights(energy: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the weight of each frame in each product: e_A, e_B or, for both, e_AB."""
    if is_whole(energy):
        return np.ones((len(energy), len(codes)))
    both = energy[:, -1] * (energy.min(axis=1) > 0)
    columns = [energy[:, code] if code < 2 else both for code in codes.tolist()]
    return np.stack(columns, axis=1)
