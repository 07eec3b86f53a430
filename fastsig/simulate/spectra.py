"""Simulated spectra of one beam of FAST, made spectrum by spectrum; their contents are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time
from fastsig_kernels.noise import gamma, gaussian, uniform
from numpy.typing import NDArray

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate import receiver, spectra_truth
from fastsig.simulate.checks import (
    MAX_BANDWIDTH,
    band_of,
    check_band,
    check_times,
    positive,
    seed_of,
)
from fastsig.simulate.engine import check_range, in_order
from fastsig.simulate.filters import BANDPASSES, coherency_factor
from fastsig.simulate.powers import Powers
from fastsig.simulate.rotation import rotation_of
from fastsig.simulate.values import scalar, whole
from fastsig.stream.header import Header

__all__ = ["FastSpectra", "MadeSpectra"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

# Spectra and their weights.
MadeSpectra = tuple[F4, F4]

MAX_CHAN = 2**20
MAX_NUMBERS = 2**58  # per product, so that a file of floats is below 2**63 bytes
BLOCK = 2**17  # numbers of a product that are made together
# Numbers of the noise streams; each carrier uses four.
STREAM_LOSS, STREAM_POWER, STREAM_CROSS, STREAM_CARRIER = 0, 0, 0, 16


class FastSpectra:
    """Simulated integrated spectra of one beam: AA, BB, CR and CI of X and Y.

    Each channel of a spectrum represents ``integration x channel width`` independent complex
    samples of X and Y. The four products of a channel therefore follow the Wishart distribution for
    this number of samples, about the mean coherency at this time and in this channel, with all
    correlations among the products.
    Carriers are coherent within a spectrum: each is added to one of the samples, and beats with the
    noise. If the power changes within a spectrum, the mean is exact and the scatter is that of
    steady noise with this mean.

    Channels have sharp edges: they contain only the power between their edges, and neighbouring
    channels are not correlated. A spectrum depends only on the parameters and on its number. A part
    of the recording is therefore the same regardless of which other parts are made, and of the
    thread that makes it.

    Parameters
    ----------
    duration : value, s
        Duration, rounded to whole spectra.
    n_chan : int
        Number of channels of the band, up to 2**20.
    integration : value, s
        Exact integration time of a spectrum; its product with the width of a channel must be an
        integer, at least 1.
    fstart, bandwidth : value, Hz
        Lower edge of the band on the sky and its width, up to 500 MHz.
    shift : value, Hz
        Offset that is added to the frequencies of all channels; without it, the channels fill the
        band from edge to edge.
    level : value
        Receiver noise in the units of the products, averaged over the band; this determines the
        gain.
    beam : int
        Number of the beam, 1 to 19.
    name : str
        Name of the target: letters, digits and ``+ - _ .``.
    start_time, seed, tsys, noise, bandpass, dispersion_constant
        As for `FastVoltage`; the time is that at which spectrum 0 begins.
    diode, source, line, pulsar, burst, carriers, rfi
        As for `FastVoltage`; the phase of a carrier makes no difference.
    loss : LostSpectra, optional
        Spectra that are lost.
    tcal : Tcal, optional
        Deviations of the diode from an ideal one.
    drift : GainDrift, optional
        Drift of the gain, which applies to all signals and to the noise.
    ripples : sequence of Ripple
        Standing waves, whose sum must not exceed the receiver noise.
    jones : Jones, optional
        Differences between the two receiver chains.
    scene : optional
        The signal from the sky in the beam, as made by `FastScan`.

    Raises
    ------
    UsageError
        If a parameter is out of range.

    References
    ----------
    N. R. Goodman 1963, Ann. Math. Statist. 34, 152 (complex Wishart distribution).
    """

    def __init__(
        self, *, duration: Any, n_chan: Any = 4096, integration: Any = Fraction("0.000049152"),
        fstart: Any = Fraction(10**9), bandwidth: Any = MAX_BANDWIDTH, shift: Any = 0,
        start_time: Time | str = "2026-01-01T00:00:00", seed: int = 1, level: Any = 40,
        tsys: Any = "20K", noise: bool = True, bandpass: str = "fast",
        dispersion_constant: Any = DISPERSION_CONSTANT, beam: Any = 1, name: str = "SIMULATED",
        diode: parts.Diode | None = None, source: parts.Source | None = None,
        line: parts.Line | None = None, pulsar: parts.Pulsar | None = None,
        burst: parts.Burst | None = None, carriers: Sequence[parts.Carrier] = (),
        rfi: Sequence[parts.RfiBurst] = (), loss: parts.LostSpectra | None = None,
        tcal: receiver.Tcal | None = None, drift: receiver.GainDrift | None = None,
        ripples: Sequence[receiver.Ripple] = (), jones: receiver.Jones | None = None,
        scene: Any = None,
    ) -> None:
        self.band = band_of(fstart, bandwidth)
        self.n_chan = whole(n_chan, "n_chan", 1)
        if self.n_chan > MAX_CHAN:
            raise UsageError(f"n_chan = {n_chan!r}; allowed: up to {MAX_CHAN}")
        width = self.band.width_hz / self.n_chan
        self.axis = ChannelAxis(self.band.low_hz + width / 2 + scalar(shift, "Hz", "shift"),
                                width, self.n_chan)
        self._step = positive(integration, "s", "integration")
        self.n_time = max(0, round(scalar(duration, "s", "duration") / self._step))
        if not self.n_time:
            raise UsageError(f"duration = {duration!r} is less than one spectrum of "
                             f"{float(self._step):g} s")
        if self.n_time * self.n_chan > MAX_NUMBERS:
            raise UsageError(f"duration = {duration!r} makes {self.n_time} spectra of "
                             f"{self.n_chan} channels; allowed: up to {MAX_NUMBERS} numbers per "
                             "product")
        self._seed = seed_of(seed)
        self._level, self._tsys = positive(level, "", "level"), positive(tsys, "K", "tsys")
        if bandpass not in BANDPASSES:
            raise UsageError(f"bandpass = {bandpass!r}; allowed: {', '.join(BANDPASSES)}")
        self._components: dict[str, Any] = {
            "diode": diode, "source": source, "line": line, "pulsar": pulsar, "burst": burst,
            "carriers": tuple(carriers), "rfi": tuple(rfi), "loss": loss,
            "tcal": tcal, "drift": drift, "ripples": tuple(ripples), "jones": jones,
            "scene": scene,
        }
        receiver.check_ripples(tuple(ripples), float(self._tsys) if noise else 0.0,
                               float(self.n_time * self._step))
        check_band(self.band, self._components)
        self.n_sum = _samples(self._step * width, len(carriers))
        constant = positive(dispersion_constant, "", "dispersion_constant")
        start = start_time if isinstance(start_time, Time) else parse_time(start_time)
        check_times(self.band, self.n_time * self._step, constant, self._components)
        self._powers = Powers(
            self.band, self.axis, self._step, bandpass, dm_constant=constant,
            kelvin=float(self._tsys) if noise else 0.0, components=self._components,
            rotation=rotation_of(pulsar, start.utc, self.n_time * self._step),
            seed=self._seed)
        self.header = _header(self.axis, start.utc, 1 / self._step, diode,
                              _beam(beam), _name(name))
        self.truth = spectra_truth.record(
            band=self.band, axis=self.axis, n_time=self.n_time, step=self._step,
            n_sum=self.n_sum, seed=self._seed, tsys=self._tsys, level=self._level, noise=noise,
            response=bandpass, dm_constant=constant, components=self._components)

    @property
    def components(self) -> dict[str, Any]:
        """Components by name; None for each component that is absent."""
        return self._components

    @property
    def place(self) -> F8:
        """Positions of channel centres in the band, 0 at its lower and 1 at its upper edge."""
        return self._powers.place

    @property
    def block(self) -> int:
        """Number of spectra that are made together."""
        return max(1, BLOCK // self.n_chan)

    def kept(self, start: int, n: int) -> NDArray[np.bool_]:
        """Whether spectra `start` to ``start + n - 1`` are not lost, (n,)."""
        loss = self._components["loss"]
        if loss is None:
            return np.ones(n, bool)
        kept = uniform(start, n, seed=self._seed, stream=STREAM_LOSS) >= float(loss.fraction)
        for first, last in loss.rows:
            kept[max(0, first - start) : max(0, last + 1 - start)] = False
        return kept

    def n_lost(self) -> int:
        """Return the number of lost spectra."""
        return sum(int((~self.kept(first, min(BLOCK, self.n_time - first))).sum())
                   for first in range(0, self.n_time, BLOCK) if self._components["loss"])

    def generate(self, start: int, n: int) -> MadeSpectra:
        """Make spectra `start` to ``start + n - 1``.

        Returns
        -------
        data : ndarray, shape (n, 4, n_chan), float32
            AA, BB, CR, CI with ``CR + i CI = <A* B>``, averaged over the samples; NaN where lost.
        weight : ndarray, shape (n, 1, 1), float32
            1, or 0 where lost.

        Raises
        ------
        UsageError
            If the spectra are not in the recording.
        """
        check_range(start, n, self.n_time)
        data = np.empty((n, 4, self.n_chan), np.float32)
        for first in range(0, n, self.block):
            part = data[first : first + self.block]
            self._fill(start + first, part)
        kept = self.kept(start, n)
        data[~kept] = np.nan
        return data, kept.astype(np.float32)[:, np.newaxis, np.newaxis]

    def blocks(self, workers: int = 1) -> Iterator[MadeSpectra]:
        """Yield all spectra in order, made in `workers` threads."""
        return in_order(self.generate, self.n_time, self.block, workers)

    def _fill(self, start: int, out: F4) -> None:
        """Compute the products of spectra from `start` on, (n, 4, chan)."""
        n, powers = len(out), self._powers
        l11, l21, l22 = coherency_factor(*powers.stokes(start, n))
        total = self._wishart(start, n, l11, l21.real, l21.imag, l22)
        for index, carrier in enumerate(self._components["carriers"]):
            power = powers.carrier(carrier, start, n) / powers.bandpass
            self._add_carrier(total, start, carrier, index, power, (l11, l21.real, l21.imag, l22))
        self._receive(total, start)
        gain = float(self._level / self._tsys) / self.n_sum
        for product in range(4):
            out[:, product] = total[product] * (gain * powers.bandpass)

    def _receive(self, total: list[F8], start: int) -> None:
        """Pass products through the receiver behind the feed: unequal channels, drifting gain."""
        if jones := self._components["jones"]:
            a, b, cosine, sine = receiver.jones_factors(
                jones, self._powers.place, float(self.band.width_hz))
            aa, bb, cr, ci = total
            total[:] = [aa * a, bb * b, cr * cosine - ci * sine, cr * sine + ci * cosine]
        if drift := self._components["drift"]:
            gain = receiver.drift_gain(drift, start, len(total[0]), self._step)[:, np.newaxis]
            total[:] = [each * gain for each in total]

    def _draw(self, start: int, n: int, stream: int) -> F8:
        """Return normal numbers of variance 1/2, as for a part of a complex number, (n, chan)."""
        flat = gaussian(start * self.n_chan, n * self.n_chan, seed=self._seed, stream=stream)
        return flat.reshape(n, self.n_chan) * np.float64(0.5**0.5)

    def _gamma(self, start: int, n: int, shape: int, stream: int) -> F8:
        """Return the power of `shape` complex samples of power 1, (n, chan)."""
        if shape < 1:
            return np.zeros((n, self.n_chan))
        flat = gamma(start * self.n_chan, n * self.n_chan, shape, seed=self._seed, stream=stream)
        return flat.reshape(n, self.n_chan)

    def _wishart(self, start: int, n: int, l11: F8, re: F8, im: F8, l22: F8) -> list[F8]:
        """Return sums of products over all samples except one per carrier, by triangular factors.

        For m samples ``n1, n2`` of power 1 the factor is ``[[sqrt g1, 0], [z, sqrt g2]]``, with g1
        and g2 gamma-distributed with the shapes m and m - 1, and z complex normal.
        """
        count = self.n_sum - len(self._components["carriers"])
        one = np.sqrt(self._gamma(start, n, count, STREAM_POWER))
        two = self._gamma(start, n, count - 1, STREAM_POWER + 1)
        a = l11 * one
        b_re, b_im = re * one, im * one
        if count:
            b_re += l22 * self._draw(start, n, STREAM_CROSS)
            b_im += l22 * self._draw(start, n, STREAM_CROSS + 1)
        return [a * a, b_re * b_re + b_im * b_im + l22 * l22 * two, a * b_re, a * b_im]

    def _add_carrier(self, total: list[F8], start: int, carrier: parts.Carrier, index: int,
                     power: F8, factor: tuple[F8, F8, F8, F8]) -> None:
        """Add the products of the one sample that contains the carrier, and noise."""
        l11, re, im, l22 = factor
        density = float(carrier.level**2 * self._tsys * self.band.width_hz / self.axis.step_hz)
        strength = np.sqrt(power * (density * self.n_sum))
        angle = np.deg2rad(float(carrier.angle))
        n, stream = len(power), STREAM_CARRIER + 4 * index
        x1, y1, x2, y2 = (self._draw(start, n, stream + part) for part in range(4))
        a_re, a_im = strength * np.cos(angle) + l11 * x1, l11 * y1
        b_re = strength * np.sin(angle) + re * x1 - im * y1 + l22 * x2
        b_im = re * y1 + im * x1 + l22 * y2
        total[0] += a_re * a_re + a_im * a_im
        total[1] += b_re * b_re + b_im * b_im
        total[2] += a_re * b_re + a_im * b_im
        total[3] += a_re * b_im - a_im * b_re


def _samples(count: Fraction, n_carrier: int) -> int:
    if count.denominator != 1 or count < 1:
        raise UsageError(f"integration x channel width = {float(count):g} samples; allowed: whole "
                         "numbers from 1, such as 6 of 49.152us x 122070.3125Hz")
    if n_carrier > count:
        raise UsageError(f"{n_carrier} carriers; allowed: up to the {count} samples of a spectrum "
                         "and channel")
    return int(count)


def _beam(value: Any) -> int:
    beam = whole(value, "beam", 1)
    if beam > 19:
        raise UsageError(f"beam = {value!r}; allowed: 1 to 19")
    return beam


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,31}", text):
        raise UsageError(f"name = {text!r}; allowed: up to 32 letters, digits and + - _ . , the "
                         "first a letter or digit")
    return text


def _header(axis: ChannelAxis, start: Time, rate: Fraction, diode: parts.Diode | None, beam: int,
            name: str) -> Header:
    schedule = None if diode is None else DiodeSchedule(diode.period, diode.on, diode.first)
    return Header(
        start_time=start, sample_rate=rate, channels=axis, n_bits=32,
        polarization=PolBasis("linear", PRODUCTS["AABBCRCI"]), telescope="FAST",
        receiver="19-beam L-band (simulated)", backend="fastsig simulate", beam=beam,
        source=name, diode=schedule)
