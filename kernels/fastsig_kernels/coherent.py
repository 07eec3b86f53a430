"""Coherent dedispersion: a filter bank that removes the dispersion within its channels.

References
----------
T. H. Hankins and B. J. Rickett, Pulsar signal processing, Methods in Computational Physics 14
(1975) 55; W. van Straten and M. Bailes, DSPSR: digital signal processing software for pulsar
astronomy, PASA 28 (2011) 1, for the filter bank.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _check
from ._coherent_channels import Blocks, Chirps, specs_of
from ._coherent_products import Products
from ._order import address
from ._pages import aligned
from ._plan import Plan
from ._split_rows import divided
from ._validity import Validity, arrays_of
from .layout import Layout, checked_layout, numbers_of
from .products import product_codes

__all__ = ["CoherentDedispersion"]

#: Longest transform that is chosen if there is a choice, in complex points of the band.
_LONGEST = 2**25
#: Points of the band that are possible at all: 8 GB each in tables, spectrum and samples.
_MOST_POINTS = 2**30
_MOST_FRAMES = 2**53
#: Beyond these, delays would not be finite, or neighbouring channels would have the same frequency.
_MOST_START, _MOST_DISPERSION = 1e9, 1e30
_STRETCH, _SHORTEST = 512, 16  # points of a chirp with one polynomial
_PHASE_ERROR = 1e-7  # turns


class CoherentDedispersion(Plan):
    """Plan that divides a band into channels and removes the dispersion within each of them.

    The voltages of a block are transformed, and each channel's part of the spectrum is multiplied
    by a chirp and transformed back, which is a convolution by overlap-save. Channels are critically
    sampled, with rectangular passbands, and the delays between them remain. Sample n of a channel
    has the time of input sample ``n n_chan`` (complex) or ``2 n n_chan`` (real).

    Parameters
    ----------
    n_chan : int
        Number of channels.
    start : float
        Frequency of the lower edge of the band, in units of the bandwidth; 1e-9 to 1e9.
    dispersion : float
        Delay at a frequency of one bandwidth, in units of the inverse bandwidth: the delay at u
        bandwidths is ``dispersion / u^2``. For a band of B MHz it is ``1e6 K DM / B``; its
        magnitude is at most 1e30.
    layout : Layout, optional
        Format of the voltages, int8 by default.
    n_pol : int
        Number of polarisations.
    lower_sideband : bool
        Whether sky frequency decreases as the frequency of the voltages increases.
    n_point : int, optional
        Number of points of a channel's transform, which must be even. By default it is the power of
        two that takes the least time. If a plan with a single channel needs more than 2^25 points,
        it is the smallest number that is 3 or 5 times a power of two and leaves at least a fifth of
        the points, which needs less memory.
    margin : float
        Additional samples that are discarded at each end of a transform, as a fraction of the
        dispersion within a channel.
    discarded : tuple of int, optional
        Numbers of samples that are discarded at the beginning and at the end of a transform,
        instead of those that follow from `margin`. They must cover the dispersion within a channel.
        Plans for several bands return their samples at the same time if `discarded` and `n_point`
        are the same.
    min_valid : float
        A sample is used if at least this fraction of the input samples over which its pulse was
        dispersed is valid.
    products : str
        ``"V"`` for voltages, or a key of `PRODUCTS` for mean powers.
    n_int : int
        Number of samples of a channel in a mean power.
    basis, sign_q, sign_v
        As for `Spectrometer`.

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

    The bits do not depend on how a stream is split into calls. Only one thread may use a plan at a
    time. Plans can be pickled and copied; copies have an empty state.
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
        discarded: tuple[int, int] | None = None,
        min_valid: float = 0.9,
        products: str = "V",
        n_int: int = 1,
        basis: str = "linear",
        sign_q: int = 1,
        sign_v: int = 1,
    ) -> None:
        self._n_chan = _check.count("n_chan", n_chan, maximum=_MOST_POINTS // 2)
        self._start = _check.number("start", start)
        if not 1 / _MOST_START <= self._start <= _MOST_START:
            raise ValueError(f"start: found {start}, allowed {1 / _MOST_START:g} to "
                             f"{_MOST_START:g}")
        self._dispersion = _check.number("dispersion", dispersion)
        if not abs(self._dispersion) <= _MOST_DISPERSION:
            raise ValueError(f"dispersion: found {dispersion}, allowed {-_MOST_DISPERSION:g} to "
                             f"{_MOST_DISPERSION:g}")
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
        self._voltages = isinstance(products, str) and products == "V"
        self._n_int = _check.count("n_int", n_int, maximum=_MOST_FRAMES)
        if self._voltages and self._n_int > 1:
            raise ValueError(f"n_int: found {n_int}, allowed 1 for voltages")
        signs = _check.sign("sign_q", sign_q), _check.sign("sign_v", sign_v)
        # Voltages need no products, but the basis is checked nevertheless.
        codes = product_codes("I" if self._voltages else products, self._n_pol, basis)
        self._codes = codes[:0] if self._voltages else codes
        #: Products as sums of AA, BB, CR and CI.
        self._mixing = _mixing(signs, self._lower_sideband)[self._codes]
        self._smears = self._smear()
        self._before, self._after = self._ends(discarded)
        self._n_point = self._choose(n_point)
        self._make_chirps()
        self._own_state()

    def _smear(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the dispersion in the upper and the lower half of each channel, in its samples.

        A dispersed pulse begins earlier than its centre frequency by the first of these, and ends
        later by the second.
        """
        edges = self._start + np.arange(2 * self._n_chan + 1) / (2 * self._n_chan)
        delays = np.abs(self._dispersion) / self._n_chan * np.diff(-(edges**-2.0))
        upper, lower = delays[1::2], delays[::2]
        return (upper, lower) if self._dispersion >= 0 else (lower, upper)

    def _ends(self, discarded: tuple[int, int] | None) -> tuple[int, int]:
        """Return how many samples are discarded at both ends of a transform."""
        if discarded is None:
            before, after = (int(np.ceil((1 + self._margin) * each.max())) for each in self._smears)
            return before, after
        if not isinstance(discarded, tuple) or len(discarded) != 2:
            raise TypeError(f"discarded: found {discarded!r}, allowed a pair of numbers")
        least = tuple(int(np.ceil(each.max())) for each in self._smears)
        before, after = (_check.count("discarded", number, 0, _MOST_POINTS) for number in discarded)
        if before < least[0] or after < least[1]:
            raise ValueError(f"discarded: found {discarded}, allowed {least} or more")
        return before, after

    def _choose(self, n_point: int | None) -> int:
        """Return the points of a channel's transform."""
        lost = self._before + self._after
        if n_point is not None:
            n_point = _check.count("n_point", n_point, 2, _MOST_POINTS // self._n_chan)
            if n_point % 2 or n_point - lost < 2:
                raise ValueError(f"n_point: found {n_point}, allowed even numbers of {lost + 2} "
                                 "or more for this dispersion")
            return n_point
        most = _MOST_POINTS // self._n_chan
        possible = [2**k for k in range(8, 31) if 1.05 * lost < 2**k <= most]
        if not possible:
            raise ValueError(f"dispersion: found {lost} samples within a channel, allowed less "
                             f"than {most}; more channels have fewer")
        small = [n for n in possible if n * self._n_chan <= _LONGEST]

        def cost(n: int) -> float:
            """Return the time of a sample, with a preference for less memory."""
            time = np.log2(float(n) ** 2 * self._n_chan) / (1 - lost / n)
            return float(time * (1 + 0.02 * np.log2(n)))

        if self._n_chan == 1 and not small:
            # Memory matters most, as long as a fifth of the points of a block are kept.
            large = [n for n in divided(most) if 1.05 * lost < n]
            possible = [n for n in large if lost < 0.8 * n][:1] or large[-1:] or possible
        return min(small or possible[:2], key=cost)

    def _make_chirps(self) -> None:
        """Compute the phases of all chirps as polynomials of short stretches."""
        n, count = self._n_point, self._n_chan
        self._hop = (n - self._before - self._after) // 2 * 2
        # As the power of noise in a bank whose prototype has the sum of squares of one.
        self._scale = np.float32(1 / np.sqrt(count if self._layout.is_complex else 2 * count))
        # Phases refer to the first sample of the stream, not to that of a block. In a sample of its
        # channel, the middle of a channel makes half a turn, and whole ones; only whole ones if the
        # middle channel is at zero frequency.
        turns = not self._layout.is_complex or count % 2 == 0
        self._sign = np.float32(-1 if turns and self._before % 2 else 1)
        step, half = 1 / (n * count), n // 2
        # Stretches are so short that the term of fifth order is below a millionth of a turn, and
        # that their middles lie within the channel.
        length = _STRETCH
        fifth = abs(self._dispersion) / self._start**6
        while length > _SHORTEST and (length > half or fifth * (length / 2 * step) ** 5
                                      > _PHASE_ERROR):
            length //= 2
        self._length = length
        sign = -1 if self._lower_sideband else 1
        edge = self._start + (1 if self._lower_sideband else 0)
        # In the order of the frequency of the voltages: (half of a channel, stretch).
        parts = np.arange(2 * count)[:, np.newaxis]
        middle = np.arange(-(-half // length)) * length + length // 2
        centre = edge + sign * (parts // 2 + 0.5) / count
        self._chirps = _chirps(centre, sign * ((parts % 2 - 1) * half + middle) * step,
                               sign * step, -sign * self._dispersion)
        self._chirps.flags.writeable = False

    def _own_state(self) -> None:
        kept = slice(self._before, self._before + self._hop)
        chirps = Chirps(self._chirps, self._length, self._sign * self._scale)
        self._channels = Blocks(self._n_chan, self._n_point, self._n_pol, self._layout, kept,
                                chirps).channels()
        self._specs = specs_of(self._n_pol)
        self._sums = np.empty((self._n_chan, 4))
        self._counts = np.empty((self._n_chan, len(self._codes), 2))
        pair = (2,) if self._layout.is_complex else ()
        shape = self._n_pol, self._n_point * self._unit, *pair
        # On cache lines, which transforms read piece by piece.
        self._held = aligned(math.prod(shape) * self._layout.dtype.itemsize).view(
            self._layout.dtype).reshape(shape)
        self._reset()

    def reset(self, *, block: int = 0, first_sum: int = 0) -> int:
        """Discard the state, to continue at any block with the same bits.

        Parameters
        ----------
        block : int
            Number of the block that comes next; its first sample of a channel is
            ``block * hop``.
        first_sum : int
            A sample of a channel at which a mean power begins. The others begin at distances of
            `n_int` samples from it. The first mean may have begun before the block; it then lacks
            the samples before the block.

        Returns
        -------
        int
            Number of the input sample with which the next call of `process` begins, counted from
            the first one of the stream.
        """
        block = _check.count("block", block, 0, _MOST_FRAMES // self._hop)
        first_sum = _check.count("first_sum", first_sum, 0, _MOST_FRAMES)
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset(block, first_sum)
        self._unfinished = False
        return max(0, (self._done - self._before) * self._unit)

    def _reset(self, block: int = 0, first_sum: int = 0) -> None:
        self._validity = Validity(self._n_pol, np.zeros(1), 1, self._min_valid)
        self._done, self._first_sum = block * self._hop, first_sum
        # What the first blocks need of the time before the stream.
        self._n_held = max(0, self._before - self._done) * self._unit
        self._held[:] = 128 if self._layout.kind == "uint8" else 0
        self._sums[:] = 0
        self._counts[:] = 0
        self._products = Products(self._mixing, self._n_chan)
        self._weight = np.empty(self._shape(0), np.float32)

    def _shape(self, n: int) -> tuple[int, int, int]:
        """Return the shape of the output for `n` samples of each channel."""
        if self._voltages:
            return self._n_pol, self._n_chan, n
        return (self._phase + n) // self._n_int, len(self._codes), self._n_chan

    @property
    def _phase(self) -> int:
        """Number of samples of a channel in the mean power that is not finished."""
        return (self._done - self._first_sum) % self._n_int

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
        """Number of points of a channel's transform."""
        return self._n_point

    @property
    def hop(self) -> int:
        """Number of samples of a channel that each block yields."""
        return self._hop

    @property
    def before(self) -> int:
        """Number of samples of a channel discarded at the beginning of a transform."""
        return self._before

    @property
    def after(self) -> int:
        """Smallest number of samples of a channel that are discarded at the end of a transform."""
        return self._after

    @property
    def latency(self) -> int:
        """Number of input samples that the first output needs."""
        return (self._n_point - self._before) * self._unit

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes."""
        arrays = self._chirps, self._held, self._sums, self._counts
        return int(sum(each.nbytes for each in arrays) + self._channels.memory_bytes)

    @property
    def weight(self) -> np.ndarray:
        """Weights of what the last call returned, float32 of the same shape, from 0 to 1."""
        return self._weight

    def n_output(self, n_sample: int) -> int:
        """Return the number of samples or mean powers that `n_sample` further samples finish."""
        n = self._completed(_check.count("n_sample", n_sample, 0))
        return n if self._voltages else self._shape(n)[0]

    def _completed(self, n_sample: int) -> int:
        """Return the number of samples of a channel that further samples complete."""
        n = self._n_held + n_sample - self._n_point * self._unit
        return (n // (self._hop * self._unit) + 1) * self._hop if n >= 0 else 0

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        n_chan = min(self._n_chan, 2)
        n_point = self._channels.compiled_points // n_chan
        twin = CoherentDedispersion(**{**self._options, "n_chan": n_chan, "start": 1.0,
                                       "dispersion": 0.0, "n_point": n_point, "discarded": None,
                                       "n_int": 1})
        x = np.zeros((self._n_pol, n_point * twin._unit, *self._held.shape[2:]), self._layout.dtype)
        twin.process(x, valid=np.array([[0, 100]]))
        self._channels.compile()

    def process(self, x: np.ndarray, *, valid: Any = None, out: np.ndarray | None = None
                ) -> np.ndarray:
        """Process the next voltages of the stream; return the samples that they complete.

        Parameters
        ----------
        x : ndarray, shape (n_pol, n_time), any unit, or as specified by the layout
            Any number of samples. The first axis may be missing for one polarisation.
        valid : ndarray (n_span, 2) of int64, or a list of one for each polarisation
            First sample, and one past the last, of each run of valid samples, counted from the
            first sample of this call. By default, all samples are valid.
        out : ndarray, optional
            Receives the result; contiguous along the last axis. It must not overlap x.

        Returns
        -------
        ndarray, shape (n_pol, n_chan, n_output), complex64, unit of x
            `out`, or a new array: voltages of channels in ascending order of sky frequency, with
            their centre frequencies at zero; NaN where the weight is below `min_valid`. Noise has
            the same mean power as in `Spectrometer`.
        ndarray, shape (n_output, n_product, n_chan), float32, unit of x squared
            For products other than voltages: mean powers, NaN where no sample is used.

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
            shape = self._shape(self._completed(n_new))
            dtype = "complex64" if self._voltages else "float32"
            out = _check.output("out", out, shape, dtype, x, *arrays_of(valid))
            if out.size and out.strides[2] != out.itemsize:
                raise ValueError("out: found strides along the last axis, allowed a contiguous one")
            self._unfinished = True
            self._process(numbers, n_new, spans, out)
        self._unfinished = False
        return out

    def _process(self, x: np.ndarray, n_new: int, spans: Any, out: np.ndarray) -> None:
        stream = self._n_held + (self._done - self._before) * self._unit
        self._validity.append(spans, stream, n_new)
        self._weight = np.broadcast_to(np.float32(1), out.shape)  # until something is lost
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
                made = self._block(out, made)
                self._held[:, : room - step] = self._held[:, step:]
                self._n_held -= step
                self._done += self._hop
        self._validity.discard((self._done - self._before) * self._unit)

    def _blank(self, spans: Any, used: int, n: int, zero: int) -> None:
        """Set the lost samples among the `n` that were just held, from `used` of the call on."""
        for pol, each in enumerate(spans):
            at = used
            inside = np.clip(each, used, used + n)
            for first, stop in [*inside.tolist(), [used + n, used + n]]:
                self._held[pol, self._n_held + at - used : self._n_held + first - used] = zero
                at = max(at, stop)

    def _block(self, out: np.ndarray, made: int) -> int:
        """Dedisperse what is held; return how much of the output is made."""
        edges, whole = self._edges(), self._is_whole()
        # Where nothing is lost, also from sums that are not finished, all sums have one weight.
        simple = whole and bool((self._counts == self._phase).all())
        total = np.empty((2, len(self._codes), self._n_chan, 0 if simple else len(edges) - 1))
        for voltages, chans in self._batches():
            used = None if whole else self._used(chans)
            if self._voltages:
                here = slice(made, made + self._hop)
                self._put(voltages, used, out[:, chans, here])
                if used is not None:
                    self._own_weight()[:, chans, here] = used
            else:
                self._add(voltages, used, chans, out[made:])
                if not simple:
                    total[:, :, chans] = self._shares(used, edges)
        if self._voltages:
            return made + self._hop
        return self._finish_whole(out, made) if simple else self._finish(total, out, made)

    def _own_weight(self) -> np.ndarray:
        """Return the weights of this call, to write to."""
        if not self._weight.flags.writeable:
            self._weight = np.array(self._weight)
        return self._weight

    def _batches(self) -> Iterator[tuple[np.ndarray, slice]]:
        """Yield dedispersed voltages, and which channels they are in ascending order of the sky."""
        for voltages, first in self._channels.batches(self._held):
            stop = first + voltages.shape[1]
            if self._lower_sideband:
                yield voltages[:, ::-1], slice(self._n_chan - stop, self._n_chan - first)
            else:
                yield voltages, slice(first, stop)

    def _is_whole(self) -> bool:
        """Whether all input samples that a block's pulses were dispersed over are valid."""
        upper, lower = (int(np.rint(each.max() * self._unit)) for each in self._smears)
        start = self._done * self._unit
        return self._validity.whole(start - upper, start + self._hop * self._unit + lower)

    def _used(self, chans: slice) -> np.ndarray | None:
        """Return the weights of a block's samples, 0 if not used, or None if all are 1."""
        from ._coherent_losses import fractions_nb

        upper, lower = (np.rint(each[chans] * self._unit).astype(np.int64)
                        for each in self._smears)
        first = self._done * self._unit
        last = first + self._hop * self._unit
        if self._validity.whole(first - int(upper.max()), last + int(lower.max())):
            return None
        found = np.empty((self._n_pol, len(upper), self._hop))
        for spans, out in zip(self._validity.spans(last + int(lower.max())), found, strict=True):
            fractions_nb(spans, first, self._unit, upper, lower, self._min_valid, out)
        return found

    def _put(self, voltages: np.ndarray, used: np.ndarray | None, out: np.ndarray) -> None:
        """Write voltages; those of a lower sideband are conjugated, which reverses frequency."""
        if self._lower_sideband:
            np.conjugate(voltages, out=out)
        else:
            out[:] = voltages
        if used is not None:
            out[used == 0] = np.nan

    def _add(self, voltages: np.ndarray, used: np.ndarray | None, chans: slice, out: np.ndarray
             ) -> None:
        """Add powers to the sums, and write those that end to `out`, not yet divided."""
        from ._coherent_loops import add_powers_nb
        from ._coherent_losses import make_up_nb

        if used is not None:
            # Stokes parameters need both polarisations.
            make_up_nb(voltages, used, len(self._codes) != 2 and bool(self._codes[0] >= _STOKES))
        start = self._phase
        n_out = (start + self._hop) // self._n_int
        sums = self._sums[chans]
        made = np.empty((len(sums), 4, n_out))
        a, b = (address(each) for each in (voltages[0], voltages[-1]))
        add_powers_nb(self._specs[0], a, b, voltages.strides[1], self._hop, start, self._n_int,
                      sums, made)
        self._products.put(made, chans.start, out)

    def _edges(self) -> np.ndarray:
        """Return where sums begin or end in a block, in samples, and both ends of the block."""
        ends = np.arange(self._n_int - self._phase, self._hop + 1, self._n_int)
        return np.concatenate([[0], ends, [self._hop]])

    def _finish_whole(self, out: np.ndarray, made: int) -> int:
        """Divide the sums that end by the number of their samples, all of which are used."""
        count = self._phase + self._hop
        here = slice(made, made + count // self._n_int)
        # In float32 if it has this number, which rounds as float64 does, and is faster.
        exact = np.float32 if float(np.float32(self._n_int)) == self._n_int else np.float64
        out[here] /= exact(self._n_int)
        self._counts[:] = count % self._n_int
        return here.stop

    def _finish(self, total: np.ndarray, out: np.ndarray, made: int) -> int:
        """Divide the sums that end by the number of samples that are used; set weights.

        `total` has what `_shares` returns, for all channels.
        """
        total[..., 0] += self._counts.transpose(2, 1, 0)
        here = slice(made, made + total.shape[-1] - 1)
        count, energy = total[..., :-1]  # (product, chan, sum)
        count, energy = (np.moveaxis(each, -1, 0) for each in (count, energy))
        with np.errstate(invalid="ignore"):
            out[here] = np.where(count > 0, out[here] / np.where(count > 0, count, 1), np.nan)
        self._own_weight()[here] = energy / self._n_int
        self._counts[:] = total[..., -1].transpose(2, 1, 0)
        return here.stop

    def _shares(self, used: np.ndarray | None, edges: np.ndarray) -> np.ndarray:
        """Return how many samples each product uses between edges, and the sum of their weights.

        The shape is (2, product, chan, edge), the same for all of them if all samples are used.
        """
        if used is None:
            return np.diff(edges).astype(float)
        from ._coherent_losses import shares_nb

        total = np.empty((2, len(self._codes), used.shape[1], len(edges) - 1))
        shares_nb(used, self._codes.astype(np.int64), edges.astype(np.int64), total)
        return total


def _chirps(centre: np.ndarray, d: np.ndarray, step: float, dispersion: float) -> np.ndarray:
    """Return the phase ``D (u - u0)^2 / (u u0^2)`` in turns, in powers of points from a middle.

    Parameters
    ----------
    centre : ndarray, shape (n, 1), float64
        u0, the centres of channels.
    d : ndarray, shape (n, n_stretch), float64
        ``u - u0`` at the middle of stretches.
    step : float
        Distance of points in u.
    dispersion : float
        D.

    Returns
    -------
    ndarray, shape (n, n_stretch, 5), float64
        Coefficients of ascending powers; whole turns at integer points are left out.
    """
    u = centre + d
    scale = dispersion / centre**2
    out = np.empty((*d.shape, 5))
    out[..., 0] = scale * d**2 / u
    out[..., 1] = scale * d * (u + centre) / u**2 * step
    for power in (2, 3, 4):  # d^2 / u = u - 2 u0 + u0^2 / u
        out[..., power] = (-1) ** power * dispersion / u ** (power + 1) * step**power
    out[..., :2] -= np.rint(out[..., :2])
    return out


#: Code of the first product that combines both polarisations in each value.
_STOKES = 4


def _mixing(signs: tuple[int, int], lower_sideband: bool) -> np.ndarray:
    """Return each product, by its code, as a sum of AA, BB, CR and CI."""
    q, v = signs
    turned = -1 if lower_sideband else 1  # the voltages are not conjugated before detection
    return np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, turned], [1, 1, 0, 0],
                     [q, -q, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2 * v * turned]], float)
