"""Coherent dedispersion: a filter bank whose channels undo the dispersion within them.

References
----------
T. H. Hankins and B. J. Rickett, Pulsar signal processing, Methods in Computational Physics 14
(1975) 55; W. van Straten and M. Bailes, DSPSR: digital signal processing software for pulsar
astronomy, PASA 28 (2011) 1, for the filter bank.
"""

from typing import Any

import numpy as np

from . import _check
from ._order import address, aligned
from ._plan import Plan
from ._validity import Validity, arrays_of
from .fft import FFTPlan
from .layout import Layout, checked_layout, numbers_of

__all__ = ["CoherentDedispersion"]

#: Longest transform that is chosen, in complex points of the band.
_LONGEST = 2**26
#: Points of the band that are possible at all: 8 GB each in tables, spectrum and samples.
_MOST_POINTS = 2**30
_BATCH_BYTES = 2**21  # of channels that are transformed together


class CoherentDedispersion(Plan):
    """Plan that divides a band into channels and removes the dispersion within each of them.

    The voltages of a block are transformed, each channel's part of the spectrum is multiplied by
    a chirp, and transformed back: a convolution by overlap-save. Channels are critically sampled,
    with rectangular pass bands, and the delays between them remain. Sample n of a channel has the
    time of input sample ``n n_chan`` (complex), ``2 n n_chan`` (real).

    Parameters
    ----------
    n_chan : int
        Number of channels.
    start : float
        Frequency of the lower edge of the band, in units of the bandwidth; above 0.
    dispersion : float
        Delay at one bandwidth of frequency, in samples of the bandwidth: the delay at u bandwidths
        is ``dispersion / u^2``. For a band of B MHz it is ``1e6 K DM / B``.
    layout : Layout, optional
        Format of the voltages, int8 by default.
    n_pol : int
        Number of polarisations.
    lower_sideband : bool
        Whether sky frequency decreases as the frequency of the voltages increases.
    n_point : int, optional
        Points of a channel's transform; an even number. By default the power of two that takes the
        least time.
    margin : float
        Samples that are discarded at either end of a transform beyond the dispersion within a
        channel, as a fraction of these.
    min_valid : float
        Least fraction of valid samples in the dispersed pulse of a sample that is not NaN.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed, or the dispersion within a channel is too large.

    Notes
    -----
    The chirp of a channel with centre u0 is ``exp(-2 pi i D (u - u0)^2 / (u u0^2))``, with phases
    in float64; for a lower sideband, spectra are conjugated, and channels are in ascending order of
    sky frequency. A channel needs `before` earlier and `after` later samples, in which the upper
    and the lower half of its band are dispersed. Samples before the stream are not valid.

    Losses are blanked. `weight` is the fraction of the samples of a dispersed pulse that are
    valid, since all times within it have the same share of its energy.

    The bits do not depend on how a stream is split into calls. A plan is used by one thread at a
    time; it can be pickled and copied, with an empty state.
    """

    def __init__(
        self,
        n_chan: int,
        *,
        start: float,
        dispersion: float,
        layout: Layout | None = None,
        n_pol: int = 1,
        lower_sideband: bool = False,
        n_point: int | None = None,
        margin: float = 0.1,
        min_valid: float = 0.9,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, maximum=_MOST_POINTS // 2)
        self._start = _positive("start", start)
        self._dispersion = _check.number("dispersion", dispersion)
        if not np.isfinite(self._dispersion):
            raise ValueError(f"dispersion: found {dispersion}, allowed a finite number")
        self._layout = checked_layout(layout)
        if self._layout.kind == "packed":
            raise ValueError("layout: found packed, allowed others; unpack the numbers first")
        self._n_pol = _check.count("n_pol", n_pol, maximum=2)
        self._lower_sideband = _check.flag("lower_sideband", lower_sideband)
        self._margin = _check.number("margin", margin)
        if not 0 <= self._margin <= 10:
            raise ValueError(f"margin: found {margin}, allowed 0 to 10")
        self._min_valid = _check.number("min_valid", min_valid)
        if not 0 < self._min_valid <= 1:
            raise ValueError(f"min_valid: found {min_valid}, allowed above 0, at most 1")
        self._smears = self._smear()
        self._before, self._after = (int(np.ceil((1 + self._margin) * each.max()))
                                     for each in self._smears)
        self._n_point = self._choose(n_point)
        self._make_chirps()
        self._own_state()

    def _smear(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the dispersion in the upper and the lower half of each channel, in its samples.

        The dispersed pulse of a sample lasts from the first of these before it to the second after.
        """
        edges = self._start + np.arange(2 * self._n_chan + 1) / (2 * self._n_chan)
        delays = np.abs(self._dispersion) / self._n_chan * np.diff(-(edges**-2.0))
        upper, lower = delays[1::2], delays[::2]
        return (upper, lower) if self._dispersion >= 0 else (lower, upper)

    def _choose(self, n_point: int | None) -> int:
        """Return the points of a channel's transform."""
        lost = self._before + self._after
        if n_point is not None:
            n_point = _check.count("n_point", n_point, 2, _MOST_POINTS // self._n_chan)
            if n_point % 2 or n_point - lost < 2:
                raise ValueError(f"n_point: found {n_point}, allowed even numbers of {lost + 2} "
                                 "or more for this dispersion")
            return n_point
        sizes = [2**k for k in range(8, 31) if 2**k * self._n_chan <= max(_LONGEST, 2**8)
                 and 2**k > 1.05 * lost]
        if not sizes:
            raise ValueError(f"dispersion: found {lost} samples within a channel, allowed at most "
                             f"{_LONGEST // self._n_chan}; use more channels, or give n_point")
        return min(sizes, key=lambda n: np.log2(float(n) ** 2 * self._n_chan) / (1 - lost / n))

    def _make_chirps(self) -> None:
        from ._coherent_loops import chirp_nb

        n, count = self._n_point, self._n_chan
        self._hop = (n - self._before - self._after) // 2 * 2
        table = aligned(8 * n * count).view(np.complex64).reshape(count, n)
        # As the power of noise in a bank whose prototype has the sum of squares of one.
        scale = 1 / np.sqrt(count if self._layout.is_complex else 2 * count)
        sign = -1 if self._lower_sideband else 1
        first = self._start + (1 if self._lower_sideband else 0)
        for chan in range(count):  # in the order of the frequency of the voltages
            low = first + sign * chan / count
            chirp_nb(low, sign / (n * count), low + sign / (2 * count), sign * self._dispersion,
                     scale, table[chan])
        table.flags.writeable = False
        self._chirps = table

    def _own_state(self) -> None:
        from ._simd import Spec, host_lanes

        points = self._n_point * self._n_chan
        real = not self._layout.is_complex
        self._forward = FFTPlan(2 * points if real else points, direction="forward",
                                kind="real" if real else "complex", dtype="complex64")
        self._back = FFTPlan(self._n_point, kind="complex", direction="inverse", dtype="complex64")
        self._batch = max(1, min(self._n_chan, _BATCH_BYTES // (8 * self._n_point)))
        self._specs = Spec(lanes=host_lanes()), Spec(lanes=1)
        n_in, kind = self._forward.input_shape
        self._row = aligned(n_in * kind.itemsize).view(kind)
        self._spectrum = aligned(8 * (self._forward.output_shape[0])).view(np.complex64)
        self._parts = aligned(8 * self._batch * self._n_point).view(np.complex64).reshape(
            self._batch, self._n_point)
        pair = (2,) if self._layout.is_complex else ()
        self._held = np.zeros((self._n_pol, n_in, *pair), self._layout.dtype)
        self._reset()

    def reset(self) -> None:
        """Discard the state; the next sample is the first of a stream."""
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset()
        self._unfinished = False

    def _reset(self) -> None:
        self._validity = Validity(self._n_pol, np.zeros(1), 1, self._min_valid)
        # What the first block needs of the time before the stream.
        self._n_held = self._before * self._unit
        self._held[:] = 128 if self._layout.kind == "uint8" else 0
        self._done = 0
        self._weight = np.empty((self._n_pol, self._n_chan, 0), np.float32)

    @property
    def _unit(self) -> int:
        """Number of input samples in the time of one sample of a channel."""
        return self._n_chan if self._layout.is_complex else 2 * self._n_chan

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self._n_chan

    @property
    def layout(self) -> Layout:
        """Format of the voltages."""
        return self._layout

    @property
    def n_point(self) -> int:
        """Points of a channel's transform."""
        return self._n_point

    @property
    def hop(self) -> int:
        """Samples of a channel that each block gives."""
        return self._hop

    @property
    def before(self) -> int:
        """Samples of a channel that are discarded at the beginning of a transform."""
        return self._before

    @property
    def after(self) -> int:
        """Samples of a channel, at least, that are discarded at the end of a transform."""
        return self._after

    @property
    def latency(self) -> int:
        """Number of input samples that the first output needs."""
        return (self._n_point - self._before) * self._unit

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes."""
        arrays = (self._chirps, self._row, self._spectrum, self._parts, self._held)
        return int(sum(each.nbytes for each in arrays) + self._forward.memory_bytes
                   + self._back.memory_bytes)

    @property
    def weight(self) -> np.ndarray:
        """Weights of the last call's samples: (n_pol, n_chan, n_output) float32, from 0 to 1."""
        return self._weight

    def n_output(self, n_sample: int) -> int:
        """Return the number of samples of each channel that `n_sample` further samples give."""
        n = self._n_held + _check.count("n_sample", n_sample, 0) - self._n_point * self._unit
        return (n // (self._hop * self._unit) + 1) * self._hop if n >= 0 else 0

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        twin = CoherentDedispersion(2, start=1.0, dispersion=0.0, layout=self._layout,
                                    n_pol=self._n_pol, n_point=64)
        shape = self._held[:, : 130].shape
        twin.process(np.zeros(shape, self._layout.dtype), valid=np.array([[0, 100]]))
        self._forward.compile()
        self._back.compile()

    def process(self, x: np.ndarray, *, valid: Any = None, out: np.ndarray | None = None
                ) -> np.ndarray:
        """Process the next voltages of the stream; return the samples that they complete.

        Parameters
        ----------
        x : ndarray, shape (n_pol, n_time), any unit, or as specified by the layout
            Any number of samples. The first axis may be missing for one polarisation.
        valid : ndarray (n_span, 2) of int64, or a list of one for each polarisation
            Runs of valid samples, counted from the first sample of this call; all by default.
        out : ndarray, shape (n_pol, n_chan, n_output), complex64, optional
            Receives the voltages; contiguous along the last axis. Must not overlap x.

        Returns
        -------
        ndarray, shape (n_pol, n_chan, n_output), complex64, unit of x
            `out`, or a new array: voltages of channels in ascending order of sky frequency, with
            the frequency of their middle at zero; NaN where the weight is below `min_valid`. Noise
            has the same mean power as in `Spectrometer`.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape; the state is then unchanged.
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            numbers = numbers_of(x, self._layout, self._n_pol)[0]
            n_new = self._layout.n_time(numbers.shape)
            spans = self._validity.checked(valid, n_new)
            shape = self._n_pol, self._n_chan, self.n_output(n_new)
            out = _check.output("out", out, shape, "complex64", x, *arrays_of(valid))
            if out.size and out.strides[2] != out.itemsize:
                raise ValueError("out: found strides along the last axis, allowed a contiguous one")
            self._unfinished = True
            self._process(numbers, n_new, spans, out)
        self._unfinished = False
        return out

    def _process(self, x: np.ndarray, n_new: int, spans: Any, out: np.ndarray) -> None:
        stream = self._n_held - self._before * self._unit + self._done * self._unit
        self._validity.append(spans, stream, n_new)
        weights = np.ones(out.shape, np.float32) if out.size else np.empty(out.shape, np.float32)
        room, step, used, made = self._n_point * self._unit, self._hop * self._unit, 0, 0
        zero = 128 if self._layout.kind == "uint8" else 0
        while used < n_new or self._n_held >= room:
            n = min(room - self._n_held, n_new - used)
            self._held[:, self._n_held : self._n_held + n] = x[:, used : used + n]
            if spans is not None:
                self._blank(spans, used, n, zero)
            self._n_held += n
            used += n
            if self._n_held == room:
                place = slice(made, made + self._hop)
                self._block(out[:, :, place], weights[:, :, place])
                made += self._hop
                self._held[:, : room - step] = self._held[:, step:].copy()
                self._n_held -= step
                self._done += self._hop
        self._validity.discard((self._done - self._before) * self._unit)
        self._weight = weights

    def _blank(self, spans: Any, used: int, n: int, zero: int) -> None:
        """Set the lost samples among the `n` that were just held, from `used` of the call on."""
        for pol, each in enumerate(spans):
            at = used
            inside = np.clip(each, used, used + n)
            for first, stop in [*inside.tolist(), [used + n, used + n]]:
                self._held[pol, self._n_held + at - used : self._n_held + first - used] = zero
                at = max(at, stop)

    def _block(self, out: np.ndarray, weight: np.ndarray) -> None:
        """Dedisperse what is held."""
        from ._coherent_loops import channel_spectra_nb

        half = self._n_point // 2
        total = 2 * half * self._n_chan
        shift = total // 2 if self._layout.is_complex else 0
        kept = slice(self._before, self._before + self._hop)
        for pol in range(self._n_pol):
            row = self._row.view(np.float32)
            row[:] = self._held[pol].reshape(-1)
            if self._layout.kind == "uint8":
                row -= 128
            self._forward.process(self._row, out=self._spectrum)
            for first in range(0, self._n_chan, self._batch):
                stop = min(first + self._batch, self._n_chan)
                parts = self._parts[: stop - first]
                channel_spectra_nb(*self._specs, half, total, shift, first, stop,
                                   address(self._spectrum), address(self._chirps), address(parts))
                self._back.process(parts, out=parts)
                if self._lower_sideband:
                    target = out[pol, self._n_chan - stop : self._n_chan - first][::-1]
                    np.conjugate(parts[:, kept], out=target)
                else:
                    out[pol, first:stop] = parts[:, kept]
        self._lose(out, weight)

    def _lose(self, out: np.ndarray, weight: np.ndarray) -> None:
        """Set the weights of a block, and what has too little weight."""
        upper, lower = (np.rint(each * self._unit).astype(np.int64)[:, np.newaxis]
                        for each in self._smears)
        at = (self._done + np.arange(self._hop)) * self._unit
        found = self._validity.fraction(at - upper, at + self._unit + lower)
        if found is not None:
            weight[:] = np.where(found < self._min_valid, 0, found)
            out[weight == 0] = np.nan


def _positive(name: str, value: Any) -> float:
    number = _check.number(name, value)
    if not 0 < number < np.inf:
        raise ValueError(f"{name}: found {value}, allowed a finite number above 0")
    return number
