"""The 19-beam L-band receiver of FAST.

References
----------
P. Jiang et al. (2020), The fundamental performance of FAST with 19-beam receiver at L band, RAA
20, 64, arXiv:2002.01786; Z. Liu et al. (2024), arXiv:2406.08278, for the temperature term.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.telescopes.receiver import Outside, Receiver, read_table

__all__ = ["FastL19"]

_ROW = np.array([1.0, np.sqrt(0.75)])  # spacing of the hexagon in pitches, along X and Y


class FastL19(Receiver):
    """FAST's 19 beams from 1.05 to 1.45 GHz.

    Parameters
    ----------
    full_gain : Quantity or str
        Gain of a fully efficient aperture: 25.6 K/Jy (Jiang et al. 2020); others use 25.2.
    """

    def __init__(self, full_gain: Any = 25.6 * u.K / u.Jy) -> None:
        table = read_table("fast_l19.toml")
        super().__init__(table)
        self.full_gain = float(exact(full_gain, "K / Jy", "full_gain"))  # K/Jy
        if not 0 < self.full_gain < 100:
            raise UsageError(f"full_gain = {full_gain}; allowed: above 0 and below 100 K/Jy, such "
                             "as 25.6 or 25.2 K/Jy")
        self._table = table
        self._hpbw = np.array(table["hpbw"]["arcmin"], float)
        self._hpbw_mhz = np.array(table["hpbw"]["frequency_mhz"], float)
        gain = table["gain"]
        self._gain_mhz = np.array(gain["frequency_mhz"], float)
        self._abc = np.stack([np.array(gain[k], float) * gain[f"{k}_scale"] for k in "abc"])

    @property
    def feeds(self) -> u.Quantity:
        """Positions of the horns in the feed plane, metres, X and Y, shape (beam, 2)."""
        feeds = self._table["feeds"]
        return np.array(feeds["lattice"], float) * _ROW * feeds["pitch_m"] << u.m

    def hpbw(self, beam: Any, frequency: Any, *, outside: Outside = "raise") -> u.Quantity:
        """Return the half-power beam width, linear between the table's frequencies.

        See `Receiver.hpbw`.
        """
        grid = self._hpbw_mhz
        mhz = self._megahertz(frequency, grid[0], grid[-1], "beam width", outside)
        return _between(grid, self._hpbw, self.index(beam), mhz) << u.arcmin

    def efficiency(self, beam: Any, frequency: Any, zenith_angle: Any, *,
                   outside: Outside = "raise") -> NDArray[np.float64]:
        r"""Return the aperture efficiency.

        .. math:: \eta = a z + b \; (z \le 26.4), \quad c z + b + 26.4 (a - c) \; (z > 26.4)

        with z the zenith angle in degrees. It is linear between the table's frequencies. Parameters
        and errors are those of `Receiver.gain`.
        """
        table, grid = self._table["gain"], self._gain_mhz
        mhz = self._megahertz(frequency, grid[0], grid[-1], "gain", outside)
        angle = self._zenith_angle(zenith_angle, table["zenith_angle_max_deg"])
        rows, knee = self.index(beam), float(table["knee_deg"])
        a, b, c = (_between(grid, part, rows, mhz) for part in self._abc)
        return np.asarray(a * np.minimum(angle, knee) + b + c * np.maximum(angle - knee, 0))

    def gain(self, beam: Any, frequency: Any, zenith_angle: Any, temperature: Any = None, *,
             outside: Outside = "raise") -> u.Quantity:
        r"""Return the gain of one polarisation; see `Receiver.gain`.

        .. math:: G = G_{full} \eta + (4.7 \cdot 10^{-5} \nu_{MHz} - 1.4 \cdot 10^{-3}) (T - 15)

        The temperature term, K/Jy with T in degrees Celsius, was measured at a zenith angle of
        10.15 degrees.
        """
        gain = self.full_gain * self.efficiency(beam, frequency, zenith_angle, outside=outside)
        if temperature is not None:
            table = self._table["gain"]
            slope, at_zero = table["temperature_slope"]
            warmer = _celsius(temperature) - table["temperature_reference_c"]
            gain = gain + (slope * u.Quantity(frequency, u.MHz).value + at_zero) * warmer
        return gain << u.K / u.Jy


def _celsius(temperature: Any) -> NDArray[np.float64]:
    """Return a temperature in degrees Celsius, which is also the unit of plain numbers."""
    try:
        value = u.Quantity(temperature)
        if value.unit == u.dimensionless_unscaled:
            value = value.value << u.deg_C
        return np.asarray(value.to_value(u.deg_C, u.temperature()))
    except (TypeError, ValueError) as error:
        raise UsageError(f"temperature = {temperature!r} is not a temperature") from error


def _between(grid: NDArray[np.float64], values: NDArray[np.float64], rows: NDArray[np.intp],
             mhz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate rows of `values` (row, grid) linearly between grid points; NaN stays NaN."""
    right = np.clip(np.searchsorted(grid, mhz), 1, len(grid) - 1)
    part = (mhz - grid[right - 1]) / (grid[right] - grid[right - 1])
    return np.asarray((1 - part) * values[rows, right - 1] + part * values[rows, right])
