"""Checks of arguments, shared by all functions that check them. NumPy only."""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

_MOST_WORK = 10_000  # candidate solutions when overlaps are sought: a millisecond at most


def count(name: str, value: Any, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int no smaller than `minimum` and no larger than `maximum`.

    Without `maximum` there is no upper limit, and the caller must bound the value before it is
    passed to compiled code, where integers have 64 bits.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: found a bool, allowed an integer")
    try:
        number = operator.index(value)
    except TypeError:
        found = type(value).__name__
        raise TypeError(f"{name}: found {found}, allowed an integer") from None
    if number < minimum:
        raise ValueError(f"{name}: found {number}, allowed {minimum} or more")
    if maximum is not None and number > maximum:
        between = "or" if maximum == minimum + 1 else "to"
        raise ValueError(f"{name}: found {number}, allowed {minimum} {between} {maximum}")
    return number


def number(name: str, value: Any) -> float:
    """Return `value` as a float; refuse other types, a bool among them. NaN is not refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"{name}: found {type(value).__name__}, allowed a real number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: found an integer beyond the largest float") from None


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the allowed words; refuse anything else, of any type."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name}: found {value!r}, allowed {', '.join(words)}")
    return value


def sign(name: str, value: Any) -> int:
    """Return `value` as +1 or -1."""
    if count(name, value, -1, 1) == 0:
        raise ValueError(f"{name}: found 0, allowed 1 or -1")
    return operator.index(value)


def array(name: str, value: Any, dtypes: tuple[str | np.dtype, ...],
          ndim: int | tuple[int, ...]) -> None:
    """Refuse anything except a plain ndarray with one of `dtypes` and with `ndim` axes."""
    plain(name, value)
    if value.dtype not in dtypes:
        allowed_types = ", ".join(map(str, dtypes))
        raise TypeError(f"{name}: found dtype {value.dtype}, allowed {allowed_types}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if value.ndim not in allowed:
        axes = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{name}: found {value.ndim} axes, allowed {axes}")


def read_only(x: np.ndarray) -> np.ndarray:
    """Return a view that must not be written to: numba compiles such arrays in a form of their own.

    Spectra of streams are such arrays; with this view one form also serves all others.
    """
    view = x.view()
    view.flags.writeable = False
    return view


def plain(name: str, value: Any) -> None:
    """Refuse anything except a plain ndarray or a memmap; other subclasses are refused."""
    if type(value) is not np.ndarray and type(value) is not np.memmap:
        _refuse_type(name, value)


def _refuse_type(name: str, value: Any) -> None:
    hint = ""
    if isinstance(value, np.ndarray):
        hint = "; a subclass would lose its unit or mask here: pass a plain view of its values"
    found = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(f"{name}: found {found}, allowed numpy.ndarray{hint}")


def shape(name: str, value: np.ndarray, expected: tuple[int, ...]) -> None:
    """Refuse an array that does not have the shape `expected`."""
    if value.shape != expected:
        raise ValueError(f"{name}: found shape {value.shape}, allowed {expected}")


def target(name: str, value: Any, expected: tuple[int, ...], dtype: str | np.dtype,
           *others: Any) -> None:
    """Refuse an array that has another shape or dtype than expected, or must not be written to.

    It must be writable and share no memory with `others`.
    """
    array(name, value, (dtype,), len(expected))
    shape(name, value, expected)
    if not value.flags.writeable:
        raise ValueError(f"{name}: found a read-only array, allowed a writable one")
    apart(name, value, *others)


def output(name: str, out: Any, expected: tuple[int, ...], dtype: str | np.dtype,
           *others: Any) -> np.ndarray:
    """Return `out` after checking it as `target` does, or a new array if it is None."""
    if out is None:
        return np.empty(expected, dtype=dtype)
    target(name, out, expected, dtype, *others)
    return out


def apart(name: str, out: np.ndarray, *others: Any) -> None:
    """Refuse an output that shares memory with `others`, those of them that are arrays."""
    for other in others:
        if isinstance(other, np.ndarray) and _shares(out, other):
            raise ValueError(f"{name}: found memory of another array of this call, allowed memory "
                             "that nothing else uses")


def _shares(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether any element shares memory; also if that would take long to find out."""
    try:
        return np.may_share_memory(a, b) and np.shares_memory(a, b, max_work=_MOST_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def apart_or_same(name: str, out: np.ndarray, other: np.ndarray) -> None:
    """Refuse an output that shares memory with an array, unless both are the same elements."""
    if np.may_share_memory(out, other) and not (
        out.__array_interface__ == other.__array_interface__ and out.strides == other.strides
    ):
        apart(name, out, other)


def c_contiguous(name: str, value: np.ndarray) -> None:
    """Refuse an array that is not C-contiguous."""
    if not value.flags.c_contiguous:
        raise ValueError(f"{name}: found strides {value.strides}, allowed C-contiguous")


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; refuse other types, since their truth value may surprise."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: found {type(value).__name__}, allowed a bool")
    return bool(value)
