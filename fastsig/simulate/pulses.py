"""Pulsars and bursts: polarised noise under an envelope, before it is dispersed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate import filters
from fastsig.simulate.faraday import faraday
from fastsig.simulate.filters import Band
from fastsig.simulate.layers import BLOCK, HALO, STREAM_BURST, STREAM_PULSAR, FilteredLayer
from fastsig.simulate.rotation import Rotation

__all__ = ["CUT", "PulseLayer", "dispersion_delay", "stokes"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
CUT = 3.0  # an envelope ends this many FWHM from its peak, at 1.5e-11 of its height


class PulseLayer(FilteredLayer):
    """Polarised noise under a pulse envelope; subclasses disperse it.

    Parameters
    ----------
    band : Band
    seed : int
    pulse : Pulsar or Burst
    size, left, right : int
        Samples of a segment and of its halos.
    rotation : Rotation, optional
        Of a pulsar that is not steady.
    """

    def __init__(self, band: Band, seed: int, pulse: parts.Pulsar | parts.Burst, size: int,
                 left: int, right: int = HALO, *, rotation: Rotation | None = None) -> None:
        self._pulse, self._rate, self._rotation = pulse, band.rate, rotation
        stream = STREAM_PULSAR if isinstance(pulse, parts.Pulsar) else STREAM_BURST
        super().__init__(seed, stream, size, left, right)
        self._of_band = band
        l11, l21, l22 = self.factor(np.zeros(1))
        self._l11, self._l22, self._l21 = l11[0], l22[0], l21[0]

    def factor(self, offset: F8) -> tuple[F4, NDArray[np.complex64], F4]:
        """Return L11, L21 and L22 at frequencies above the lower edge of the band, Hz.

        They do not depend on frequency without Faraday rotation.
        """
        i, q, u, v = stokes(self._pulse)
        linear: NDArray[np.complex128] = np.full(len(offset), q + 1j * u)
        if isinstance(self._pulse, parts.Pulsar) and self.is_rotated:
            linear *= faraday(self._pulse, self._of_band, offset)
        l11, l21, l22 = filters.coherency_factor(
            np.full(len(offset), i), linear.real.astype(np.float64),
            linear.imag.astype(np.float64), v)
        return (l11.astype(np.float32),
                np.asarray(self._of_band.recorded(l21)).astype(np.complex64),
                l22.astype(np.float32))

    @property
    def is_rotated(self) -> bool:
        """Whether the polarisation depends on frequency."""
        return isinstance(self._pulse, parts.Pulsar) and self._pulse.rm != 0

    def envelope(self, start: int, n: int) -> F8 | None:
        """Return the undispersed pulse's power relative to its peak, (n,); None if all are 0."""
        if isinstance(self._pulse, parts.Burst):
            return self._burst(self._pulse, start, n)
        return self._pulses(self._pulse, start, n)

    def _burst(self, burst: parts.Burst, start: int, n: int) -> F8 | None:
        begin = float((start / self._rate - burst.time) / burst.fwhm)
        step = float(1 / self._rate / burst.fwhm)
        if begin > CUT or begin + n * step < -CUT:
            return None
        x = begin + step * np.arange(n, dtype=np.float64)
        return np.where(np.abs(x) < CUT, filters.gaussian(x, 0, 1), 0)

    def _pulses(self, pulsar: parts.Pulsar, start: int, n: int) -> F8:
        if self._rotation is not None:
            return self._turning(self._rotation, float(pulsar.duty), start, n)
        begin = float((start / self._rate - pulsar.time) / pulsar.period % 1)
        step = float(1 / self._rate / pulsar.period)
        phase = begin + step * np.arange(n, dtype=np.float64)
        phase -= np.rint(phase)
        duty = float(pulsar.duty)
        turns = int(CUT * duty + 0.5)  # neighbours that still reach into this turn
        near = [filters.gaussian(phase, turn, duty) for turn in range(-turns, turns + 1)]
        return np.asarray(sum(near))

    def _turning(self, rotation: Rotation, duty: float, start: int, n: int) -> F8:
        """Return the envelope of pulses of a rotation."""
        phase, number = rotation.phases(Fraction(start) / self._rate, 1 / self._rate, n)
        reach = int(CUT * duty + 0.5)
        return np.asarray(sum(
            filters.gaussian(phase, turn, duty) * rotation.shines(number + turn, self._seed)
            for turn in range(-reach, reach + 1)))

    def _fill(self, start: int, pol: int, out: F4) -> None:
        for first in range(0, len(out), BLOCK):
            block = out[first : first + BLOCK]
            power = self.envelope(start + first, len(block))
            if power is None:
                block[:] = 0
                continue
            super()._fill(start + first, pol, block)
            block *= np.sqrt(power).astype(np.float32)

    def envelope_is_zero(self, start: int, n: int) -> bool:
        """Whether samples `start` to ``start + n - 1`` lie outside a burst."""
        if isinstance(self._pulse, parts.Pulsar):
            return False
        low, high = (start / self._rate, (start + n) / self._rate)
        reach = Fraction(CUT) * self._pulse.fwhm
        return bool(low > self._pulse.time + reach or high < self._pulse.time - reach)


def stokes(pulse: parts.Pulsar | parts.Burst) -> tuple[float, float, float, float]:
    """Return I, Q, U, V at the peak of a pulse, K; I is twice the mean of the polarisations."""
    i = 2 * float(pulse.peak)
    angle = np.deg2rad(2 * float(pulse.angle))
    linear = i * float(pulse.linear)
    return i, float(linear * np.cos(angle)), float(linear * np.sin(angle)), i * float(
        pulse.circular)


def dispersion_delay(band: Band, dm_mhz: Fraction) -> Fraction:
    """Return the delay of the bottom of the band after the top, s.

    `dm_mhz` is the dispersion constant times DM, MHz^2 s.
    """
    if not dm_mhz:
        return Fraction(0)
    if band.low_hz <= 0:
        raise UsageError(f"fstart = {float(band.low_hz):g} Hz; allowed: above 0 with dispersion")
    return dm_mhz * 10**12 * (1 / band.low_hz**2 - 1 / band.high_hz**2)
