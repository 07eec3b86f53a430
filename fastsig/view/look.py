"""How values become colours and heights: colour maps, limits, scales, units of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import SIGNED
from fastsig.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.colors import Normalize

__all__ = ["SCALES", "Look", "Shades", "decibels", "has_outliers", "in_powers",
           "powers", "value_label"]

F8 = NDArray[np.float64]

SCALES = ("linear", "asinh", "db")

_PERCENT = (1.0, 99.5)  # percentiles of the values: the default limits
_OUTLIER = 10.0  # half widths of the middle two thirds; values beyond hide others on a linear scale
_BEND = 2.0  # where asinh turns from linear to logarithmic, in the same unit
_REACH = 300.0  # how far asinh reaches, in the same unit: noise has a third of the colours
_TICKS = 6
_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Look:
    """The user's choices for the colours of a picture; None for those left to the defaults.

    Parameters
    ----------
    cmap : str or Colormap, optional
        A colour map of matplotlib; by default, viridis, or RdBu_r for products of either sign.
    vmin, vmax : float or Quantity, optional
        Limits in the unit of the values. On the scale db, a number or a Quantity in dB is in dB of
        this unit, and a Quantity in another unit is converted to dB.
    scale : {"linear", "asinh", "db"}, optional
        By default linear, or asinh if few values are far above the others.
    percent : float, optional
        Share of the values, about the middle, that lies within the limits.
    """

    cmap: Any = None
    vmin: Any = None
    vmax: Any = None
    scale: str | None = None
    percent: float | None = None

    def __post_init__(self) -> None:
        if self.scale not in (None, *SCALES):
            raise UsageError(f"scale = {self.scale!r}; allowed: {', '.join(SCALES)}")
        if self.percent is not None and not 0 < self.percent <= 100:
            raise UsageError(f"percent = {self.percent}; allowed: above 0 and up to 100")
        self._check_map()

    def _check_map(self) -> None:
        if isinstance(self.cmap, str):
            from matplotlib import colormaps

            if self.cmap not in colormaps:
                raise UsageError(f"cmap = {self.cmap!r}; allowed: matplotlib's, such as viridis, "
                                 "magma, cividis, gray, RdBu_r")

    def ends(self, unit: str | None) -> tuple[float | None, float | None]:
        """`vmin` and `vmax` as numbers in a unit, or in dB of it on the scale db."""
        low, high = (_number(name, value, unit, self.scale == "db")
                     for name, value in (("vmin", self.vmin), ("vmax", self.vmax)))
        if low is not None and high is not None and not low < high:
            raise UsageError(f"vmin = {low:g}, vmax = {high:g}; allowed: vmin below vmax")
        return low, high

    def scale_of(self, *names: str) -> str | None:
        """Return the scale for products; refuse db if the values of one have either sign."""
        signed = next((name for name in names if name in SIGNED), None)
        if self.scale == "db" and signed is not None:
            raise UsageError(f"scale = 'db' for {signed}, which has either sign; allowed: linear, "
                             "asinh")
        return self.scale


def _number(name: str, value: Any, unit: str | None, in_db: bool) -> float | None:
    if value is None:
        return None
    is_in_db = in_db and str(getattr(value, "unit", "dB")) == "dB"  # as are plain numbers
    wanted = "dB" if is_in_db else unit or ""
    try:
        number = float(value.to_value(wanted)) if hasattr(value, "to_value") else float(value)
    except (TypeError, ValueError) as error:  # or their subclass UnitConversionError
        raise UsageError(f"{name} = {value}; allowed: a number, or a Quantity in "
                         f"{'dB or ' if in_db else ''}"
                         f"{unit or 'recorded units, which have no name'}") from error
    if not np.isfinite(number):
        raise UsageError(f"{name} = {value}; allowed: finite")
    if not in_db or is_in_db:
        return number
    if number <= 0:
        raise UsageError(f"{name} = {value}; allowed on the scale db: above 0")
    return 10 * float(np.log10(number))


class Shades(NamedTuple):
    """Values in the form that `imshow` draws.

    Parameters
    ----------
    values : ndarray
        In dB if requested.
    norm : Normalize
    cmap : str or Colormap
    extend : {"neither", "min", "max", "both"}
        The ends at which values lie beyond the limits.
    ticks : list of float or None
        Ticks of the colour bar; None for those of matplotlib.
    label : str
        Name and unit.
    power : int
        The ticks of the bar are multiples of this power of ten.
    """

    values: F8
    norm: Normalize
    cmap: Any
    extend: str
    ticks: list[float] | None
    label: str
    power: int

    @classmethod
    def of(cls, values: NDArray[Any], look: Look, name: str, unit: str | None) -> Shades:
        """Return the shades of the values of a product."""
        signed, scale = name in SIGNED, look.scale_of(name)
        if scale == "db":
            values = decibels(values)
        shown, finite = np.asarray(values, np.float64), values[np.isfinite(values)]
        asked = look.ends(unit)
        limits = _limits(finite, look, asked, signed)
        free = asked == (None, None) and look.percent is None
        if scale is None and free:
            scale = "asinh" if has_outliers(finite, limits) else "linear"
        if scale == "asinh":
            norm, ticks = _asinh(finite, limits, signed, free)
        else:
            from matplotlib.colors import Normalize

            norm, ticks = Normalize(*limits), None
        power, text = (0, "") if scale == "db" else powers(np.array([norm.vmin, norm.vmax]))
        extend = _extend(finite, float(norm.vmin or 0), float(norm.vmax or 0))
        return cls(shown, norm, look.cmap or ("RdBu_r" if signed else "viridis"), extend, ticks,
                   value_label(name, unit, scale, text), power)


def decibels(values: NDArray[Any]) -> F8:
    """Return ``10 log10(value)``, the lowest result for values up to 0, and NaN for NaN."""
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 10 * np.log10(np.where(values > 0, values, np.nan))
    least = float(np.nanmin(found)) if np.isfinite(found).any() else 0.0
    return np.where(np.isfinite(values) & ~np.isfinite(found), least, found)


def has_outliers(values: NDArray[Any], limits: tuple[float, float] | None = None) -> bool:
    """Whether finite values, or limits, reach far beyond the middle two thirds of the values."""
    if values.size < 3:
        return False
    low, middle, high = np.percentile(values, (16, 50, 84))
    first, last = (values.min(), values.max()) if limits is None else limits
    return bool(max(last - middle, middle - first) > _OUTLIER * (high - low) / 2 > 0)


def value_label(name: str, unit: str | None, scale: str | None = None, power: str = "") -> str:
    """Return text such as ``I (K)``, ``I (dB of K)`` or ``I (10⁶ recorded units)``."""
    words = unit or "recorded units"
    if scale == "db":
        return f"{name} (dB of {words})" if unit else f"{name} (dB)"
    return f"{name} ({power}{words}){', asinh scale' if scale == 'asinh' else ''}"


def powers(*values: NDArray[Any]) -> tuple[int, str]:
    """Return the power of ten for large or tiny values, and its text: ``6, "10⁶ "``."""
    finite = [np.abs(each[np.isfinite(each)]) for each in values]
    most = max((float(each.max()) for each in finite if each.size), default=0.0)
    if most == 0 or 1e-2 <= most < 1e5:
        return 0, ""
    power = int(np.floor(np.log10(most) / 3)) * 3
    return power, f"10{str(power).translate(_DIGITS)} "


def in_powers(axis: Any, power: int) -> None:
    """Label the ticks of an axis as multiples of a power of ten, which its label states."""
    from matplotlib.ticker import ScalarFormatter

    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(power != 0)
    formatter.set_powerlimits((power, power))
    axis.set_major_formatter(formatter)
    axis.get_offset_text().set_visible(False)


def _limits(finite: NDArray[Any], look: Look, asked: tuple[float | None, float | None],
            signed: bool) -> tuple[float, float]:
    """Return the limits requested, or those of a share of the values; symmetric if signed."""
    share = _PERCENT if look.percent is None else (50 - look.percent / 2, 50 + look.percent / 2)
    low, high = (float(each) for each in np.percentile(finite, share)) if finite.size else (0., 1.)
    if high <= low and finite.size:  # all but a few values are equal
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        low, high = low - 0.5, low + 0.5
    if signed and asked == (None, None):
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    low, high = (own if given is None else given
                 for own, given in zip((low, high), asked, strict=True))
    if high <= low:  # one end was specified, and all values are beyond it
        width = abs(low) or 1.0
        low, high = (low, low + width) if asked[1] is None else (high - width, high)
    return low, high


def _asinh(finite: NDArray[Any], limits: tuple[float, float], signed: bool, free: bool
           ) -> tuple[Normalize, list[float]]:
    """Return a scale linear about the middle and logarithmic beyond, and evenly spaced ticks.

    If the limits are `free`, the scale extends to the highest value within reach.
    """
    from matplotlib.colors import FuncNorm

    bottom, middle, top = (np.percentile(finite, (16, 50, 84)) if finite.size else (0, 0, 1))
    center = 0.0 if signed else float(middle)
    spread = float(top - bottom) / 2 or (limits[1] - limits[0]) / 10
    width, (low, high) = _BEND * spread, limits
    if finite.size and free:
        low, high = float(max(low, center - _REACH * spread)), float(
            min(finite.max(), center + _REACH * spread))
        high = max(high, low + spread)
        if signed:
            high = min(float(np.abs(finite).max()), _REACH * spread)
            low = -high
    bend = _Bend(center, width)
    shares = np.linspace(float(bend.forward(low)), float(bend.forward(high)), _TICKS)
    ticks = bend.inverse(shares)
    gaps = np.diff(ticks)
    decimals = -np.floor(np.log10(np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))))
    rounded = [round(float(tick), int(digits))
               for tick, digits in zip(ticks, decimals, strict=True)]
    return FuncNorm((bend.forward, bend.inverse), vmin=low, vmax=high), [
        tick for tick in rounded if low <= tick <= high]


class _Bend(NamedTuple):
    """``asinh((value - center) / width)`` and its inverse, as methods that can be pickled."""

    center: float
    width: float

    def forward(self, values: Any) -> Any:
        return np.arcsinh((np.asarray(values) - self.center) / self.width)

    def inverse(self, shares: Any) -> Any:
        return self.center + self.width * np.sinh(np.asarray(shares))


def _extend(finite: NDArray[Any], low: float, high: float) -> str:
    below, above = bool((finite < low).any()), bool((finite > high).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
        (below, above), "both")
