"""Rotation frequency and its derivative at a time, as period and derivative with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastsig.errors import UsageError

__all__ = ["Spin"]


@dataclass(frozen=True)
class Spin:
    """Frequency and derivative at a time.

    Parameters
    ----------
    frequency_hz, derivative_hz_s : float
        Frequency and its derivative.
    time_s : float
        Time to which the frequency refers, after an epoch that the caller knows, s.
    frequency_error_hz, derivative_error_hz_s : float
        Standard errors.
    covariance : float
        Covariance of the two, Hz^2/s.
    """

    frequency_hz: float
    derivative_hz_s: float = 0.0
    time_s: float = 0.0
    frequency_error_hz: float = 0.0
    derivative_error_hz_s: float = 0.0
    covariance: float = 0.0

    @classmethod
    def of_period(cls, period_s: float, derivative: float = 0.0, time_s: float = 0.0) -> Spin:
        """Return the spin of a period and its derivative, s/s.

        Raises
        ------
        UsageError
            If the period is not above 0, or a value is not finite.
        """
        if not (np.isfinite(period_s) and period_s > 0):
            raise UsageError(f"period_s = {period_s}; allowed: above 0 s")
        if not (np.isfinite(derivative) and np.isfinite(time_s)):
            raise UsageError(f"derivative = {derivative}, time_s = {time_s}; allowed: finite")
        return cls(1 / period_s, -derivative / period_s**2, time_s)

    @property
    def period_s(self) -> float:
        """Period, s."""
        return 1 / self.frequency_hz

    @property
    def period_error_s(self) -> float:
        """Error of the period, s."""
        return self.frequency_error_hz / self.frequency_hz**2

    @property
    def period_derivative(self) -> float:
        """Derivative of the period, s/s: ``-f1 / f0^2``."""
        return -self.derivative_hz_s / self.frequency_hz**2

    @property
    def period_derivative_error(self) -> float:
        """Error of the derivative of the period; that due to the frequency is negligible."""
        return self.derivative_error_hz_s / self.frequency_hz**2

    def at(self, time_s: float) -> Spin:
        """Return the same rotation with its frequency at another time, with its error."""
        dt = time_s - self.time_s
        first, second = self.frequency_error_hz**2, self.derivative_error_hz_s**2
        variance = first + 2 * dt * self.covariance + dt**2 * second
        return Spin(self.frequency_hz + dt * self.derivative_hz_s, self.derivative_hz_s, time_s,
                    float(np.sqrt(max(0.0, variance))), self.derivative_error_hz_s,
                    self.covariance + dt * second)
