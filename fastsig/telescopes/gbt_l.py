"""The L-band receiver of the Green Bank Telescope.

References
----------
GBT documentation, https://gbtdocs.readthedocs.io, tables of the telescope and its receivers.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from fastsig.telescopes.receiver import Outside, Receiver, read_table

__all__ = ["GbtL"]


class GbtL(Receiver):
    """The GBT's single beam from 1.15 to 1.73 GHz."""

    def __init__(self) -> None:
        self._table = read_table("gbt_l.toml")
        super().__init__(self._table)

    def hpbw(self, beam: Any, frequency: Any, *, outside: Outside = "raise") -> u.Quantity:
        """Return the half-power beam width: 12.6 arcmin divided by the frequency in GHz.

        See `Receiver.hpbw`.
        """
        low, high = self.band.value
        mhz = self._megahertz(frequency, low, high, "beam width", outside)
        wide = self._table["hpbw"]["arcmin_ghz"] * 1000 / mhz
        return np.broadcast_to(wide, np.broadcast(self.index(beam), wide).shape) << u.arcmin

    def gain(self, beam: Any, frequency: Any, zenith_angle: Any, temperature: Any = None, *,
             outside: Outside = "raise") -> u.Quantity:
        """Return the gain of one polarisation; see `Receiver.gain`.

        The gain is one value for the whole band; no dependence on elevation or temperature is
        known.
        """
        low, high = self.band.value
        mhz = self._megahertz(frequency, low, high, "gain", outside)
        angle = self._zenith_angle(zenith_angle, self._table["gain"]["zenith_angle_max_deg"])
        known = np.broadcast_arrays(self.index(beam), mhz, angle)
        flat = np.where(np.isnan(known[1] + known[2]), np.nan, self._table["gain"]["k_per_jy"])
        return flat << u.K / u.Jy
