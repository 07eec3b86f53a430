"""The Earth's orientation: UT1 and the pole from installed tables, never from the network.

References
----------
IERS Bulletin A, for the accuracy of its predictions; P. T. Wallace, ERFA/SOFA.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
from astropy.time import Time
from astropy.utils import iers
from numpy.typing import NDArray

from fastsig.errors import FastsigWarning, users_line

__all__ = ["Orientation", "accuracy", "offline", "orientation"]

_ARCSEC_PER_S = 15.0
_WARN_ARCSEC = 0.05
_UNKNOWN_S = 0.9  # largest difference of UTC and UT1
_UNKNOWN_POLE_ARCSEC = 0.6


class Orientation(NamedTuple):
    """UT1 - UTC, s, and x and y of the pole, arcsec: float64, with one value per time."""

    dut1: NDArray[np.float64]
    xp: NDArray[np.float64]
    yp: NDArray[np.float64]


@contextmanager
def offline() -> Iterator[None]:
    """Return a context in which astropy reads its tables from the disk, however old they are.

    The context applies to the whole process while any thread is in it.
    """
    _SETTINGS.enter()
    try:
        yield
    finally:
        _SETTINGS.leave()


class _Settings:
    """astropy's settings, changed by the first thread that enters and restored by the last."""

    def __init__(self) -> None:
        self._lock, self._inside, self._stack = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._stack.enter_context(iers.conf.set_temp("auto_download", False))
                self._stack.enter_context(iers.conf.set_temp("auto_max_age", None))
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._stack.close()


_SETTINGS = _Settings()


def orientation(times: Time, *, warn: bool = True) -> Orientation:
    """Return UT1 and the pole at given times, from the tables installed with astropy.

    Outside the tables, the nearest values are used.

    Parameters
    ----------
    times : Time
        Times of any shape.
    warn : bool
        Whether to state the remaining accuracy in one warning, if it is worse than 0.05 arcsec.
    """
    if warn:
        _warn_of(times)
    with offline():
        table = iers.earth_orientation_table.get()
        # With `return_status`, times outside the table do not raise an error.
        dut1, _ = table.ut1_utc(times.utc, return_status=True)
        xp, yp, _ = table.pm_xy(times.utc, return_status=True)
    pole = (each.to_value("arcsec") for each in (xp, yp))
    return Orientation(np.asarray(dut1.to_value("s")), *map(np.asarray, pole))


def accuracy(time: Time) -> tuple[float, str]:
    """Return the accuracy of directions at a time, arcsec, and the reason as text.

    For predictions of Bulletin A, the accuracy after d days is 0.00025 d^0.75 s for UT1 and
    0.00068 d^0.8 arcsec for the pole, as the bulletin itself states.
    """
    with offline():
        table = iers.earth_orientation_table.get()
    first, last = (float(table["MJD"][i].value) for i in (0, -1))
    measured = float(table.meta.get("predictive_mjd", last))
    mjd = float(np.max(time.utc.mjd))
    if mjd < first:
        return _UNKNOWN_S * _ARCSEC_PER_S, f"the IERS tables begin on {_date(first)}"
    if mjd <= measured:
        return 0.001, "UT1 and the pole are measured"
    days = mjd - measured
    left = np.hypot(0.00025 * days**0.75 * _ARCSEC_PER_S, 0.00068 * days**0.8)
    if mjd <= last:
        return float(left), f"the IERS tables are measured until {_date(measured)}, then predicted"
    most = np.hypot(_UNKNOWN_S * _ARCSEC_PER_S, _UNKNOWN_POLE_ARCSEC)
    return float(min(left, most)), f"the IERS tables end on {_date(last)}"


def _warn_of(times: Time) -> None:
    if times.size == 0:
        return
    worst, why = max(accuracy(times.min()), accuracy(times.max()))
    if worst > _WARN_ARCSEC:
        warnings.warn(FastsigWarning(
            f"{why}; directions are good to {worst:.2g} arcsec. Newer tables: "
            "pip install -U astropy-iers-data"), stacklevel=users_line())


def _date(mjd: float) -> Any:
    return Time(mjd, format="mjd").strftime("%Y-%m-%d")
