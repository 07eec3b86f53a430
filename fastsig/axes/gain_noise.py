"""Noise of the gain of calibrated spectra, which neighbouring channels and all rows share.

The gain is Tcal over the measured power of the diode, which is smoothed over frequency. Its
fractional error e(f) is therefore a smooth ripple, which is the same in all rows. It makes an error
of ``-e(f) T`` in the temperature T, of the receiver and of a line alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastsig.errors import UsageError

__all__ = ["GainNoise", "Noises", "differenced", "of_stokes", "scaled", "without_level"]


class GainNoise(NamedTuple):
    """Noise of the gain of one product.

    A value x has the error ``-e(f) (x + removed)``. The correlation of e at two frequencies is that
    of a running mean, ``1 - |f - f'| / width_hz``, and 0 beyond `width_hz`.

    Parameters
    ----------
    fraction : float
        Standard deviation of e.
    width_hz : float
        Width of the running mean that has the same noise as the smoothed power of the diode, Hz.
    level : float
        Temperature of the receiver in the values, which a baseline removes; in their unit.
    removed : float
        Temperature that was subtracted after the gain was applied; in the unit of the values.
    common : float
        Covariance of e(f) with the other noise of the mean value of a channel, which is at most
        half of `width_hz` away from f; in the unit of the values. If it is above 0, both partly
        cancel, since the value has the error ``-e(f) (x + removed)``.
    """

    fraction: float
    width_hz: float
    level: float
    removed: float
    common: float

    @classmethod
    def of(cls, record: Mapping[str, float]) -> GainNoise:
        """Return the noise from a record with these names.

        Raises
        ------
        UsageError
            If a number is missing or not allowed.
        """
        try:
            found = cls(*(float(record[name]) for name in cls._fields))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"gain_noise = {record!r}; allowed: the numbers "
                             f"{', '.join(cls._fields)}") from error
        if not (all(map(math.isfinite, found)) and found.fraction >= 0 and found.width_hz > 0):
            raise UsageError(f"gain_noise = {record!r}; allowed: finite numbers, fraction from 0, "
                             "width_hz above 0")
        return found


#: Noise of the gain by the names of products.
Noises = Mapping[str, GainNoise]


def without_level(noises: Noises | None) -> Noises | None:
    """Return the noise of values from which a baseline was subtracted."""
    return noises and {name: each._replace(level=0.0, removed=each.removed + each.level)
                       for name, each in noises.items()}


def differenced(noises: Noises | None) -> Noises | None:
    """Return the noise of differences of rows with one gain, in which the receiver cancels."""
    return noises and {name: each._replace(level=0.0, removed=0.0, common=0.0)
                       for name, each in noises.items()}


def scaled(noises: Noises | None, factors: Mapping[str, float]) -> Noises | None:
    """Return the noise of values that were multiplied by a factor for each product."""
    return noises and {
        name: each._replace(**{part: getattr(each, part) * factors[name]
                               for part in ("level", "removed", "common")})
        for name, each in noises.items() if name in factors}


def of_stokes(noises: Noises | None, products: Sequence[str]) -> Noises | None:
    """Return the noise of Stokes parameters, from those of AA and BB with independent noise.

    The error of Q is that of I, which is almost independent of Q: it is `removed`, as far as it is
    the receiver's. U and V have no level.
    """
    if not noises or not {"AA", "BB"} <= set(noises):
        return None
    a, b = noises["AA"], noises["BB"]
    both = GainNoise(math.hypot(a.fraction, b.fraction) / 2, (a.width_hz + b.width_hz) / 2,
                     a.level + b.level, a.removed + b.removed, (a.common + b.common) / 2)
    of = {"I": both, "Q": both._replace(level=0.0, removed=both.removed + both.level)}
    none = both._replace(level=0.0, removed=0.0, common=0.0)
    return {name: of.get(name, none) for name in products}
