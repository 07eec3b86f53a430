"""Predictors of the phase of a pulsar: their common interface, and the check of the sampling.

A predictor returns the phase of a pulsar at times measured at a telescope. `Polyco` computes it
from TEMPO's polynomials, `from_par` makes these from an ephemeris, and `ConstantPeriod` needs only
a period.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["Predictor", "check_sampling"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]

_FEWEST_SAMPLES = 2


class Predictor(Protocol):
    """The phase of a pulsar at a telescope."""

    @property
    def source(self) -> str:
        """Name of the pulsar; empty if unknown."""

    @property
    def dm(self) -> float | None:
        """Dispersion measure, pc cm^-3; None if unknown."""

    @property
    def reference_mhz(self) -> float | None:
        """Frequency at which the phases are those of the pulse, MHz.

        ``inf`` is infinite frequency. None means that the phases are valid at the frequency to
        which the data are dedispersed, whichever this is.
        """

    @property
    def span(self) -> tuple[Time, Time] | None:
        """First and last time for which the predictor is valid; None if it is always valid."""

    def phase(self, start: Time, seconds: Array) -> Turns:
        """Return the phase at given numbers of SI seconds after `start`.

        Parameters
        ----------
        start : Time
            UTC at the telescope.
        seconds : ndarray, float64
            SI seconds since `start`. Their values are exact, and may be negative.

        Returns
        -------
        turns : ndarray, int64
            Whole turns.
        fraction : ndarray, float64
            The remainder, in [0, 1), accurate to 1e-9 turn.

        Raises
        ------
        UsageError
            If the predictor does not cover the times.
        """

    def frequency(self, start: Time, seconds: Array) -> Array:
        """Return the frequency of the pulses at the telescope, Hz, at the times of `phase`."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that determine the phases, for the provenance."""


def check_sampling(predictor: Predictor, start: Time, duration_s: float, sample_s: float) -> None:
    """Refuse to fold where a turn is shorter than two samples.

    Raises
    ------
    UsageError
        If the period is below two samples anywhere in the scan, or the predictor does not cover it.
    """
    fastest = float(predictor.frequency(start, np.linspace(0, duration_s, 17)).max())
    if fastest * sample_s * _FEWEST_SAMPLES > 1:
        raise UsageError(f"period {1 / fastest:.9g} s is below two samples of {sample_s:.9g} s")
