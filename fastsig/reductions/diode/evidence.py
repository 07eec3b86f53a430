"""Decide whether a signal that switches in a scan is a noise diode.

Pulsars, interference and drifts also look like switching.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.errors import DataError, DoubtWarning, users_line

__all__ = ["Evidence", "check_cycles"]

F8 = NDArray[np.float64]

_SEEN = 0.5  # least share of channels that show a diode: it is as wide as the receiver's band
_NEGATIVE = 0.25  # share of the channels that interference may make negative
_NOISE = 3.0  # times the radiometer equation's; more if the zero level of the powers was moved
_SIGMA = 3.0
_UNEVEN = 0.07  # fraction of the step: a diode is steady while it is on
_ADVICE = ("if there is one, specify when it is on by --diode (mode=pulsar,first=0s, or period=, "
           "on= and first=)")


def check_cycles(cycle: DiodeCycle, n_good: int, *, given: bool, path: str) -> None:
    """Doubt a diode that was seen to switch on only once: a burst or a gain drift looks the same.

    Parameters
    ----------
    cycle : DiodeCycle
        Times at which the diode is on.
    n_good : int
        Number of cycles seen.
    given : bool
        Whether the header or the user states that cycle.
    path : str
        Path with which messages begin.

    Raises
    ------
    DataError
        If there are fewer than two cycles, and the cycle was found from the data alone.

    Warns
    -----
    DoubtWarning
        Instead of the error, if the cycle is given.
    """
    if n_good < 2:
        _doubt(cycle, [f"only {n_good} of its cycles can be used"], given=given, path=path)


@dataclass(frozen=True)
class Evidence:
    """Evidence for and against a diode.

    Parameters
    ----------
    power, error : ndarray, shape (pol, chan)
        Power of the diode, smoothed, and its standard error.
    narrow : (ndarray, ndarray)
        The power and error used for the calibration, which may be smoothed less or not at all.
    level : ndarray, shape (pol, chan)
        Power of the receiver without the diode; channels where it is not above 0 do not count.
    noise_ratio : sequence of float
        Measured noise over that of the radiometer equation for each polarisation.
    uneven : float
        Unevenness of the power while the diode is on, from `unevenness`.
    """

    power: F8
    error: F8
    narrow: tuple[F8, F8]
    level: F8
    noise_ratio: Sequence[float]
    uneven: float

    def doubts(self) -> list[str]:
        """Return the reasons to doubt the diode."""
        live = (np.isfinite(self.level) & (self.level > 0)).all(axis=0)
        n_live = int(live.sum())
        seen, single = (int((live & (power > _SIGMA * error).all(axis=0)).sum())
                        for power, error in ((self.power, self.error), self.narrow))
        negative = int((live & (self.power < -_SIGMA * self.error).any(axis=0)).sum())
        noise = max((ratio for ratio in self.noise_ratio if np.isfinite(ratio)), default=0.0)
        return [text for text, is_doubtful in (
            (f"it is seen in {seen} of {n_live} channels", seen < _SEEN * n_live),
            # These are the channels where noise adds to the diode's power; their temperatures
            # would be too low.
            (f"with so little smoothing it is seen in {single} of {n_live} channels; specify a "
             "larger --smooth", single < _SEEN * n_live <= seen),
            (f"its power is negative in {negative} of {n_live} channels",
             negative > _NEGATIVE * n_live),
            (f"the noise is {noise:.3g} times that of the radiometer equation", noise > _NOISE),
            ("it rises and falls gradually, like a pulsar's pulse (by "
             f"{self.uneven:.0%} of its power while it is on)", self.uneven > _UNEVEN),
        ) if is_doubtful]

    def check(self, cycle: DiodeCycle, *, given: bool, path: str) -> None:
        """Raise or warn like `check_cycles`, based on the diode's spectrum and the noise."""
        doubts = self.doubts()
        if doubts:
            _doubt(cycle, doubts, given=given, path=path)


def _doubt(cycle: DiodeCycle, doubts: list[str], *, given: bool, path: str) -> None:
    pattern = f"{cycle}, {cycle.significance:.3g} sigma"
    if given:
        warnings.warn(f"{path}: the noise diode ({pattern}) is doubtful: {'; '.join(doubts)}",
                      DoubtWarning, stacklevel=users_line())
        return
    raise DataError(path, f"no noise diode is evident: the switching signal in the data "
                          f"({pattern}) does not look like one, since {'; '.join(doubts)}; "
                          f"{_ADVICE}")
