"""Mean coherencies of the simulated sky in spectra: Stokes parameters by spectrum and channel."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.simulate import components as parts
from fastsig.simulate import envelopes, filters, receiver
from fastsig.simulate.faraday import faraday
from fastsig.simulate.filters import Band
from fastsig.simulate.pulses import dispersion_delay, stokes
from fastsig.simulate.rotation import Rotation

__all__ = ["Powers", "Stokes"]

F8 = NDArray[np.float64]
SUB = 16  # positions in a channel over which the bandpass is averaged


class Stokes(NamedTuple):
    """Stokes parameters in K, each broadcastable to (n, chan)."""

    i: F8
    q: F8
    u: F8
    v: F8


class Powers:
    """The power of the components in each spectrum and channel, before the bandpass and noise.

    Parameters
    ----------
    band : Band
    axis : ChannelAxis
    step : Fraction
        Time of a spectrum, s.
    response : str
        The bandpass.
    kelvin : float
        Receiver noise of a polarisation.
    dm_constant : Fraction
        Dispersion constant, MHz^2 cm^3 s / pc.
    components : mapping
        Components, or None, by name.
    rotation : Rotation, optional
        Of a pulsar that is not steady.
    seed : int
        Seed of the recording.
    """

    def __init__(self, band: Band, axis: ChannelAxis, step: Fraction, response: str, *,
                 kelvin: float, dm_constant: Fraction, components: Mapping[str, Any],
                 rotation: Rotation | None = None, seed: int = 1) -> None:
        self._rotation, self._seed = rotation, seed
        self._band, self._step, self._given = band, step, components
        self._dm_constant = dm_constant
        width = float(axis.step_hz)
        self.hertz = float(axis.first_hz) + np.arange(axis.n_chan) * width
        # Offsets from the band's lower edge, which preserve digits.
        first = float(axis.first_hz - axis.step_hz / 2 - band.low_hz)
        edges = first + np.arange(axis.n_chan + 1, dtype=np.float64) * width
        self._low, self._high = edges[:-1], edges[1:]
        self.place = (self._low + self._high) / (2 * float(band.width_hz))
        self.bandpass = self._mean_bandpass(width, response)
        self._steady = self._of_all_time(kelvin)
        self._pulses = [self.delays(components[name]) for name in ("pulsar", "burst")
                        if components[name]]
        self._scene = components["scene"] and components["scene"].bound(self)
        diode = components["diode"]
        self._diode = diode and receiver.diode_stokes(
            components["tcal"], float(diode.temperature), self.place)

    def _mean_bandpass(self, width: float, response: str) -> F8:
        total = np.zeros(len(self._low))
        for sub in range(SUB):
            place = (self._low + (sub + 0.5) / SUB * width) / float(self._band.width_hz)
            total += filters.bandpass(place, response)
        return total / SUB

    def _of_all_time(self, kelvin: float) -> Stokes:
        """Return the sum of receiver noise, source and line."""
        source, line = self._given["source"], self._given["line"]
        i, q, u, v = (float(getattr(source, name)) if source else 0.0 for name in "iquv")
        total = np.full(len(self._low), 2 * kelvin + i, np.float64)
        if line:
            center = float(line.sky_hz - self._band.low_hz)
            total += 2 * float(line.peak) * envelopes.line_profile(
                self._low, self._high, center, float(line.fwhm))
        return Stokes(total, np.array(q), np.array(u), np.array(v))

    def delays(self, pulse: parts.Pulsar | parts.Burst) -> tuple[Any, F8, F8]:
        """Return a pulse, the delay of each channel and the delay across it, s."""
        dispersion = self._dm_constant * pulse.dm
        dispersion_delay(self._band, dispersion)  # refuses a band that starts at 0 Hz
        if not dispersion:
            return pulse, np.zeros(len(self._low)), np.zeros(len(self._low))
        low, high = float(self._band.low_hz), float(self._band.high_hz)
        # Channels may extend half a channel below the band, but not to 0 Hz.
        edges = [np.maximum(low + each, low / 2) for each in (self._low, self._high)]
        late, early = (float(dispersion * 10**12) * (high - edge) * (high + edge)
                       / (edge * high) ** 2 for edge in edges)
        return pulse, (late + early) / 2, late - early

    def stokes(self, start: int, n: int) -> Stokes:
        """Return the sum of everything except carriers, spectra `start` to ``start + n - 1``."""
        out = [*self._steady]
        for pulse in self._pulses:
            power = self.pulses(pulse, start, n)
            out = [a + power * b for a, b in zip(out, self._peak(pulse[0]), strict=True)]
        if self._diode:
            on = self._on(start, n)[:, np.newaxis]
            out = [a + on * b if np.any(b) else a for a, b in zip(out, self._diode, strict=True)]
        for burst in self._given["rfi"]:
            out[0] = out[0] + 2 * float(burst.temperature) * self._rfi(burst, start, n)
        for ripple in self._given["ripples"]:
            middle: F8 = (start + np.arange(n, dtype=np.float64) + 0.5) * float(self._step)
            a, b = receiver.ripple_power(ripple, middle, self._on(start, n), self._low, self._high)
            out[0], out[1] = out[0] + a + b, out[1] + a - b
        if self._scene:
            out = [a + b for a, b in zip(out, self._scene.stokes(start, n), strict=True)]
        return Stokes(*out)

    def pulses(self, pulse: tuple[Any, F8, F8], start: int, n: int) -> F8:
        """Return the power of a pulse of `delays` relative to its peak, (n, chan)."""
        if self._rotation is not None and pulse[0] is self._given["pulsar"]:
            return envelopes.rotation_envelope(pulse[0], self._rotation, self._seed, start, n,
                                               self._step, *pulse[1:])
        make: Any = (envelopes.burst_envelope if isinstance(pulse[0], parts.Burst)
                     else envelopes.pulsar_envelope)
        return np.asarray(make(pulse[0], start, n, self._step, *pulse[1:]))

    def _peak(self, pulse: parts.Pulsar | parts.Burst) -> tuple[Any, Any, Any, Any]:
        """Return the Stokes parameters at the peak; Q and U of each channel if they rotate."""
        i, q, u, v = stokes(pulse)
        if isinstance(pulse, parts.Burst) or not pulse.rm:
            return i, q, u, v
        turned = (q + 1j * u) * faraday(pulse, self._band, (self._low + self._high) / 2,
                                        float(self._high[0] - self._low[0]))
        return i, turned.real, turned.imag, v

    def edges(self) -> tuple[F8, F8]:
        """Return lower and upper edges of the channels above the lower edge of the band, Hz."""
        return self._low, self._high

    def _on(self, start: int, n: int) -> F8:
        """Return the share of each spectrum in which the diode is on, (n,)."""
        if not self._given["diode"]:
            return np.zeros(n)
        return envelopes.diode_share(self._given["diode"], start, n, self._step,
                                     DiodeSchedule(1, 1).ticks_per_second)

    def _rfi(self, burst: parts.RfiBurst, start: int, n: int) -> F8:
        rows = [row * self._step - burst.start for row in range(start, start + n + 1)]
        edges = np.array([float(row) for row in rows])
        time = envelopes.overlap(edges[:-1], edges[1:], 0.0, float(burst.duration))
        low, high = (float(each - self._band.low_hz) for each in (burst.low, burst.high))
        share = envelopes.overlap(self._low, self._high, low, high)
        return np.asarray(time[:, np.newaxis] * share)

    def carrier(self, carrier: parts.Carrier, start: int, n: int) -> F8:
        """Return the share of a carrier's power in each spectrum and channel, (n, chan)."""
        offset, per_row = carrier.frequency - self._band.low_hz, carrier.drift * self._step
        ends = np.array([float(offset + row * per_row) for row in range(start, start + n + 1)])
        low, high = np.minimum(ends[:-1], ends[1:]), np.maximum(ends[:-1], ends[1:])
        span = np.maximum(high - low, 1e-6)[:, np.newaxis]
        edges = np.append(self._low, self._high[-1])
        passed = np.clip((edges - low[:, np.newaxis]) / span, 0, 1)
        return np.asarray(np.diff(passed, axis=1))
