"""Check the arguments of public functions against their signature: names and plain types.

Conditions on a value beyond its type are checked by the function itself.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import operator
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fastsig.errors import UsageError

__all__ = ["bound", "check_options", "check_types", "checked", "nearest", "shown"]

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST = 80


def bound(name: str, signature: inspect.Signature, args: tuple[Any, ...],
          options: Mapping[str, Any]) -> inspect.BoundArguments:
    """Return the arguments of a call by name, after checking them against the signature.

    Raises
    ------
    UsageError
        If an argument is unknown, missing, or of another type than its annotation.
    """
    parameters = signature.parameters
    variable = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    own = [key for key in parameters if key != "self"]
    for key in options:
        if key not in parameters and not variable:
            raise UsageError(f"{name} has no parameter {key!r}; {nearest(key, own)}allowed: "
                             f"{', '.join(own) or 'none'}")
    try:
        found = signature.bind(*args, **options)
    except TypeError as error:
        raise UsageError(f"{name}: {error}; allowed: {name}{_readable(signature)}") from error
    check_types(name, signature, found.arguments)
    return found


def nearest(key: str, names: Iterable[str]) -> str:
    """Return ``did you mean NAME? `` for an unknown name, or nothing if no name is similar."""
    near = difflib.get_close_matches(key, names, 1, 0.5)
    return f"did you mean {near[0]}? " if near else ""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Make a public function check its arguments against its signature, as `bound` does."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        bound(function.__name__, signature, args, options)
        return function(*args, **options)

    return call


def check_options(name: str, work: Callable[..., Any], options: Mapping[str, Any],
                  without: Collection[str] = ()) -> None:
    """Check the options with which `work` will be called against its signature.

    Parameters named in `without` are not options: the caller supplies them.

    Raises
    ------
    UsageError
        If an option is unknown or of another type than its annotation.
    """
    own = inspect.signature(work)
    named = {key: each.replace(kind=each.KEYWORD_ONLY) for key, each in own.parameters.items()
             if each.kind is each.KEYWORD_ONLY and key not in without}
    bound(name, inspect.Signature(list(named.values())), (), options)


def check_types(name: str, signature: inspect.Signature, values: Mapping[str, Any]) -> None:
    """Refuse values of another type than a plain annotation states.

    Raises
    ------
    UsageError
        If a value has the wrong type; the message names the parameter.
    """
    for key, value in values.items():
        parameter = signature.parameters[key]
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        kinds = [part.strip() for part in _text_of(parameter.annotation).split("|")]
        if value is None and ("None" in kinds or parameter.default is None):
            continue
        plain = [kind for kind in kinds if kind != "None"]
        if plain and all(kind in _CHECKS for kind in plain) and not any(
                _CHECKS[kind][0](value) for kind in plain):
            allowed = " or ".join(_CHECKS[kind][1] for kind in plain)
            raise UsageError(f"{name}: {key} = {shown(value)}; allowed: {allowed}")


def shown(value: Any) -> str:
    """Format a value for an error message, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class _Plain(str):
    """Text that a signature shows without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _readable(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature for error messages: annotations without quotes, nothing of the result."""
    return inspect.Signature([
        each if each.annotation is each.empty
        else each.replace(annotation=_Plain(_text_of(each.annotation)))
        for each in signature.parameters.values() if each.name != "self"])


def _text_of(annotation: Any) -> str:
    """Return an annotation as it is written, whether or not it is kept as text."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_)) and np.ndim(value) == 0


def _is_real(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, (float, np.floating))


def _is_a(name: str) -> Callable[[Any], bool]:
    """Return a check whether a value is of the class with this name, without loading the class."""
    return lambda value: any(kind.__name__ == name for kind in type(value).__mro__)


_CLASSES = ("CabinTrack", "Cube", "DiodeMeasurement", "DiodeSchedule", "EarthLocation",
            "MuellerTable", "Receiver", "Refraction", "SkySpectrum")
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_real, "a number"),
    "str": (lambda value: isinstance(value, str), "text"),
    "os.PathLike[str]": (lambda value: isinstance(value, os.PathLike), "a path"),
    "Progress": (callable, "a function"),
    "Mapping[str, Any]": (lambda value: isinstance(value, Mapping), "a mapping"),
    **{name: (_is_a(name), f"a {name}") for name in _CLASSES},
    "bool": (lambda value: isinstance(value, (bool, np.bool_)), "True or False"),
}
