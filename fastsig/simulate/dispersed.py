"""Pulsars and bursts, dispersed coherently: by one transform, or by subbands."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from fastsig.simulate import components as parts
from fastsig.simulate import filters
from fastsig.simulate.filters import Band
from fastsig.simulate.layers import HALO, MAX_FFT, SEGMENT
from fastsig.simulate.pulses import PulseLayer, dispersion_delay
from fastsig.simulate.rotation import Rotation
from fastsig.simulate.subbands import SubbandLayer

__all__ = ["DispersedLayer", "dispersed"]

F4 = NDArray[np.float32]

#: Delays from which on subbands take less time (of a pulsar), or memory (of a burst), in samples.
LONGEST_OF_PULSAR = 2**25
LONGEST_OF_BURST = 2**22


def dispersed(
    band: Band, response: str, gain: float, seed: int, dm_constant: Fraction,
    pulse: parts.Pulsar | parts.Burst, rotation: Rotation | None = None,
) -> PulseLayer:
    """Return the layer of a pulsar or burst: by subbands if one transform would be too long."""
    left = ceil(dispersion_delay(band, dm_constant * pulse.dm) * band.rate) + HALO
    longest = LONGEST_OF_BURST if isinstance(pulse, parts.Burst) else LONGEST_OF_PULSAR
    if left > min(longest, MAX_FFT - SEGMENT - HALO):
        return SubbandLayer(band, response, gain, seed, dm_constant, pulse, MAX_FFT, rotation)
    return DispersedLayer(band, response, gain, seed, dm_constant, pulse, rotation)


class DispersedLayer(PulseLayer):
    """Polarised noise under a pulse envelope, dispersed by the phase of cold plasma."""

    def __init__(
        self, band: Band, response: str, gain: float, seed: int, dm_constant: Fraction,
        pulse: parts.Pulsar | parts.Burst, rotation: Rotation | None = None,
    ) -> None:
        delay = dispersion_delay(band, dm_constant * pulse.dm)
        left = ceil(delay * band.rate) + HALO
        super().__init__(band, seed, pulse, _size(left), left, rotation=rotation)
        offset = band.offsets(self._n_fft)
        phase = filters.chirp(offset, float(band.low_hz), float(band.high_hz),
                              float(dm_constant * pulse.dm * 10**12))
        power = filters.bandpass(offset / float(band.width_hz), response)
        phase *= (gain * np.sqrt(power)).astype(np.float32)
        self._chirp = band.recorded(phase)
        self._mixing = self.factor(offset) if self.is_rotated else None

    def segment(self, first: int) -> F4 | None:
        """See `Layer`."""
        if self.envelope_is_zero(first - self._left, self._n_fft):
            return None
        if self._mixing is not None:
            return self._mix(first, *(self._chirp * each for each in self._mixing))
        l21 = None if self._l21 == 0 else self._chirp * self._l21
        return self._mix(first, self._chirp * self._l11, l21, self._chirp * self._l22)


def _size(left: int) -> int:
    """Return a segment of about the length of the delay, for a left halo that leaves room."""
    size = SEGMENT
    while size < left:
        size *= 2
    while size > SEGMENT and size + left + HALO > MAX_FFT:
        size //= 2
    return size
