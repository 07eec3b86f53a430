"""The methods that fit a baseline or a ripple to be removed from spectra, with their options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration import baseline, ripple
from fastsig.calibration.lines import Windows
from fastsig.errors import UsageError
from fastsig.work.arguments import nearest

__all__ = ["METHODS", "Method", "check_names", "method_of"]

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Rows to fit, and the rows beside them.

    Parameters
    ----------
    values : ndarray, shape (row, product, chan)
    weight : ndarray
        Broadcasts against `values`.
    frequency : ndarray, shape (chan,), MHz
    protect : windows, MHz
    groups : ndarray, shape (row,)
        Labels of rows that belong together.
    wanted : slice
        Rows for which to return a model.
    """

    values: NDArray[Any]
    weight: NDArray[Any]
    frequency: F8
    protect: Windows
    groups: NDArray[np.int64]
    wanted: slice


class Method:
    """A method: its options are the fields of a frozen dataclass, with frequencies in MHz."""

    NAME: ClassVar[str]
    REMOVES_LEVEL: ClassVar[bool] = False  # of the receiver, beside what ripples round it
    n_rows: int = 1

    def model(self, rows: Rows) -> tuple[F8, NDArray[np.bool_] | None]:
        """Return the model of the wanted rows, and whether each fit converged.

        The latter is None for methods that always converge.
        """
        raise NotImplementedError

    def parameters(self) -> Mapping[str, Any]:
        """Return all options, ready for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Polynomial(Method):
    """`fastsig.calibration.baseline.polynomial`."""

    NAME: ClassVar[str] = "polynomial"
    REMOVES_LEVEL: ClassVar[bool] = True
    order: int = 3
    include: Windows = ()

    def model(self, rows: Rows) -> tuple[F8, None]:
        """Return the polynomial of each spectrum."""
        return baseline.polynomial(rows.values[rows.wanted], rows.frequency,
                                   rows.weight[rows.wanted], self.order, self.include,
                                   rows.protect), None


@dataclass(frozen=True)
class ArPLS(Method):
    """`fastsig.calibration.baseline.arpls`."""

    NAME: ClassVar[str] = "arpls"
    REMOVES_LEVEL: ClassVar[bool] = True
    lam: float = 1e8
    ratio: float = 0.01
    max_iter: int = 100

    def model(self, rows: Rows) -> tuple[F8, NDArray[np.bool_]]:
        """Return the smooth baseline of each spectrum."""
        return baseline.arpls(rows.values[rows.wanted], rows.weight[rows.wanted], lam=self.lam,
                              ratio=self.ratio, max_iter=self.max_iter, x=rows.frequency,
                              protect=rows.protect)


@dataclass(frozen=True)
class RippleFourier(Method):
    """`fastsig.calibration.ripple.fourier`."""

    NAME: ClassVar[str] = "ripple-fourier"
    period: tuple[float, ...] = (ripple.PERIOD_MHZ,)
    width: float = 0.2
    trend: int = 5
    n_rows: int = 1

    def model(self, rows: Rows) -> tuple[F8, None]:
        """Return the ripple of each spectrum."""
        return ripple.fourier(rows.values, rows.frequency, rows.weight, period=self.period,
                              width=self.width, trend=self.trend, protect=rows.protect,
                              groups=rows.groups, n_rows=self.n_rows, rows=rows.wanted), None


@dataclass(frozen=True)
class RippleSine(Method):
    """`fastsig.calibration.ripple.sine`."""

    NAME: ClassVar[str] = "ripple-sine"
    period: tuple[float, ...] = (ripple.PERIOD_MHZ,)
    width: float = 0.2
    harmonics: int = 1
    trend: int = 5
    n_rows: int = 1

    def model(self, rows: Rows) -> tuple[F8, None]:
        """Return the sine waves of each spectrum."""
        return ripple.sine(rows.values, rows.frequency, rows.weight, period=self.period,
                           width=self.width, harmonics=self.harmonics, trend=self.trend,
                           protect=rows.protect, groups=rows.groups, n_rows=self.n_rows,
                           rows=rows.wanted).model, None


METHODS: dict[str, type[Method]] = {
    kind.NAME: kind for kind in (Polynomial, ArPLS, RippleFourier, RippleSine)
}


def check_names(name: str, options: Iterable[str], beside: Sequence[str] = ()) -> None:
    """Check the name of a method and the names of its options.

    Parameters
    ----------
    name : str
        Name of the method.
    options : iterable of str
        Names of its options.
    beside : sequence of str
        Names that the caller accepts too, for the hint at a mistyped one.

    Raises
    ------
    UsageError
        If there is no such method, or it has no such option.
    """
    if name not in METHODS:
        raise UsageError(f"method = {name!r}; allowed: {', '.join(METHODS)}")
    kind: Any = METHODS[name]
    allowed = [field.name for field in fields(kind)]
    unknown = [key for key in options if key not in allowed]
    if unknown:
        raise UsageError(f"{unknown[0]} is not an option of {name}; "
                         f"{nearest(unknown[0], [*beside, *allowed])}allowed: "
                         f"{', '.join(allowed)}")


def method_of(name: str, options: Mapping[str, Any]) -> Method:
    """Return a method with its options.

    Raises
    ------
    UsageError
        As for `check_names`, or if an option is not allowed.
    """
    check_names(name, options)
    made: Method = METHODS[name](**options)
    return made
