"""Whether what switches in a scan is a noise diode: pulsars, interference and drifts do so too."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.errors import DataError, DoubtWarning

__all__ = ["Evidence", "check_cycles"]

F8 = NDArray[np.float64]

_SEEN = 0.5  # share of the channels that a diode is seen in: it is as wide as the receiver
_NEGATIVE = 0.25  # share of the channels that interference may make negative
_NOISE = 3.0  # times the radiometer equation's: powers whose zero level was moved are not powers
_SIGMA = 3.0
_UNEVEN = 0.07  # of the step: a diode is steady while it is on
_ADVICE = "if there is one, specify when it is on by --diode"


def check_cycles(cycle: DiodeCycle, n_good: int, *, given: bool, path: str) -> None:
    """Doubt a diode that was seen to go on once: a burst and a drift of the gain do so too.

    Parameters
    ----------
    cycle : DiodeCycle
        When it is on.
    n_good : int
        Cycles seen.
    given : bool
        Whether the header or the user states that cycle.
    path : str
        What messages begin with.

    Raises
    ------
    DataError
        Where there are fewer than two, and the data alone state the cycle.

    Warns
    -----
    DoubtWarning
        In place of the error, where the cycle is given.
    """
    if n_good < 2:
        _doubt(cycle, [f"{n_good} cycle is seen"], given=given, path=path)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a diode.

    Parameters
    ----------
    power, error : ndarray, shape (pol, chan)
        Power of the diode, smoothed, and its standard error.
    narrow : (ndarray, ndarray)
        The same as it calibrates, which may be smoothed less or not at all.
    level : ndarray, shape (pol, chan)
        Power of the receiver without it; channels where it is not above 0 do not count.
    noise_ratio : sequence of float
        Measured noise over that of the radiometer equation, of each polarisation.
    uneven : float
        How uneven the power is while it is on, of `unevenness`.
    """

    power: F8
    error: F8
    narrow: tuple[F8, F8]
    level: F8
    noise_ratio: Sequence[float]
    uneven: float

    def doubts(self) -> list[str]:
        """What speaks against it."""
        live = (np.isfinite(self.level) & (self.level > 0)).all(axis=0)
        n_live = int(live.sum())
        seen, single = (int((live & (power > _SIGMA * error).all(axis=0)).sum())
                        for power, error in ((self.power, self.error), self.narrow))
        negative = int((live & (self.power < -_SIGMA * self.error).any(axis=0)).sum())
        noise = max((ratio for ratio in self.noise_ratio if np.isfinite(ratio)), default=0.0)
        return [text for text, is_doubtful in (
            (f"it is seen in {seen} of {n_live} channels", seen < _SEEN * n_live),
            # Those where noise adds to it: they would have too low temperatures.
            (f"with so little smoothing it is seen in {single} of {n_live} channels; specify a "
             "larger --smooth", single < _SEEN * n_live <= seen),
            (f"its power is negative in {negative} of {n_live} channels",
             negative > _NEGATIVE * n_live),
            (f"the noise is {noise:.3g} times that of the radiometer equation", noise > _NOISE),
            ("it rises and falls as a pulsar's pulse does, not all at once (by "
             f"{self.uneven:.0%} of its power while it is on)", self.uneven > _UNEVEN),
        ) if is_doubtful]

    def check(self, cycle: DiodeCycle, *, given: bool, path: str) -> None:
        """As `check_cycles`, by the spectrum of the diode and by the noise."""
        doubts = self.doubts()
        if doubts:
            _doubt(cycle, doubts, given=given, path=path)


def _doubt(cycle: DiodeCycle, doubts: list[str], *, given: bool, path: str) -> None:
    pattern = f"{cycle}, {cycle.significance:.3g} sigma"
    if given:
        warnings.warn(f"{path}: the noise diode ({pattern}) is doubtful: {'; '.join(doubts)}",
                      DoubtWarning, stacklevel=4)
        return
    raise DataError(path, f"no noise diode is evident: what switches in the data ({pattern}) is "
                          f"taken for something else, since {'; '.join(doubts)}; {_ADVICE}")
