"""The solution that converts recorded powers to antenna temperatures, from a measured diode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.gain_noise import Noises
from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.errors import UsageError
from fastsig.work.shown import Shown

__all__ = ["PARTS", "DiodeSolution", "pairs_of"]

F8 = NDArray[np.float64]

#: The two polarisations whose amplitudes are multiplied in each product, by product names.
PARTS: dict[tuple[str, ...], tuple[tuple[int, int], ...]] = {
    ("AA", "BB", "CR", "CI"): ((0, 0), (1, 1), (0, 1), (0, 1)),
    ("AA", "BB"): ((0, 0), (1, 1)),
    ("AA",): ((0, 0),),
    ("I",): ((0, 0),),
}


def pairs_of(names: tuple[str, ...], path: str = "spectra") -> tuple[tuple[int, int], ...]:
    """Return the two polarisations of each product.

    Raises
    ------
    UsageError
        If the products cannot be calibrated one by one.
    """
    if names not in PARTS:
        raise UsageError(f"{path}: products {', '.join(names)} cannot be calibrated with a diode; "
                         f"allowed: {'; '.join(', '.join(each) for each in PARTS)}")
    return PARTS[names]


@dataclass(frozen=True, repr=False)
class DiodeSolution(Shown):
    r"""Gains and the diode, ready to be applied.

    .. math:: T_p(t, \nu) = k_p(\nu) P_p(t, \nu) / g_p(t) - s(t) D_p(\nu)

    with s = 1 in rows with the diode on. For cross products, g is the geometric mean of the gains
    of both polarisations, and CR + i CI is rotated back by the phase of the diode if requested.

    Parameters
    ----------
    cycle : DiodeCycle
        Times at which the diode is on, from the start of row 0.
    names : tuple of str
        Products.
    times_s : ndarray, shape (k,)
        Times of the gain, seconds from the start of row 0, ascending.
    gain : ndarray, shape (k, pol)
        Relative gain, about 1; linear between the times, constant beyond the first and last.
    kelvin : ndarray, shape (product, chan), K per recorded unit
        Scale at gain 1; NaN where no diode was seen.
    diode : ndarray, shape (product, chan), K
        Temperature that the diode adds.
    phase : ndarray, shape (chan,), rad, or None
        Angle by which CR + i CI = <A* B> is rotated back.
    gain_error : ndarray, shape (k, pol)
        Standard errors of `gain`.
    facts : mapping
        Values of the measurement for the record of the product; ready for JSON.
    noise : mapping of str to mapping, or None
        Noise of the scale in each product, if the temperature of the diode is subtracted from rows
        with the diode on ("subtract"), and if these are left out ("blank").
    start_time : Time, optional
        Start of row 0 of the spectra in which the diode was measured.
    channels : ChannelAxis, optional
        Channels of these spectra.
    """

    cycle: DiodeCycle
    names: tuple[str, ...]
    times_s: F8
    gain: F8
    kelvin: F8
    diode: F8
    phase: F8 | None = None
    gain_error: F8 | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Noises] | None = None
    start_time: Time | None = None
    channels: ChannelAxis | None = None

    def gain_at(self, times_s: F8) -> F8:
        """Return the gain of every product at given times, shape (n, product)."""
        each = np.stack([np.interp(times_s, self.times_s, column) for column in self.gain.T], 1)
        pairs = pairs_of(self.names)
        return np.stack([np.sqrt(each[:, a] * each[:, b]) if a != b else each[:, a]
                         for a, b in pairs], 1)
