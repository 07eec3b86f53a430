"""The gain by which the flux density of a burst is computed."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import number, quantity
from fastsig.errors import UsageError
from fastsig.stages.flux import receiver_of
from fastsig.stream import SpectrumStream

__all__ = ["gain_of"]


def gain_of(stream: SpectrumStream, gain: Any, zenith_angle: Any, beam: int | None, tsys: Any
            ) -> NDArray[np.float64] | None:
    """Return the gain of one polarisation in each channel, K/Jy; None if no flux can be computed.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra in recorded units, K or Jy.
    gain : Quantity or str, optional
        The same for all channels.
    zenith_angle : Quantity or str, optional
        With it, the gain is that of the telescope's receiver; NaN outside its table.
    beam : int, optional
        By default that of the header.
    tsys : Quantity or str, optional
        System temperature, by which spectra in recorded units are calibrated.

    Raises
    ------
    UsageError
        If both gain and zenith angle are given or neither is although there is a system
        temperature, or the telescope or the beam is not known.
    """
    axis = stream.header.require_channels(stream.path)
    for name, value, unit in (("tsys", tsys, "K"), ("gain", gain, "K / Jy")):
        if value is not None and not number(value, unit, name) > 0:
            raise UsageError(f"{name} = {value}; allowed: above 0 {unit.replace(' ', '')}")
    if gain is not None and zenith_angle is not None:
        raise UsageError("gain and zenith_angle are both given; allowed: one of them")
    if gain is not None:
        return np.full(axis.n_chan, number(gain, "K / Jy", "gain"))
    if zenith_angle is None:
        if tsys is not None:
            raise UsageError("tsys is given without a gain; allowed: with gain, the gain of one "
                             "polarisation, or with zenith_angle if the telescope has a table")
        return None
    beam = stream.header.beam if beam is None else beam
    if beam is None:
        raise UsageError(f"{stream.path}: the file does not state the beam; give beam")
    found = receiver_of(stream).gain(beam, axis.centers, quantity(zenith_angle, "deg",
                                                                  "zenith_angle"), outside="nan")
    return np.asarray(found.to_value(u.K / u.Jy), np.float64)
