"""Verbs of chains: the stages and measurements of the registry as methods.

Each verb has the signature and the docstring of its stage or function, without the stream, which
the chain supplies. The verbs of fastsig are in `fastsig.own_verbs`, which has a stub for type
checkers and editors; the verb of a plug-in is made when it is needed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from fastsig import registry
from fastsig.work.arguments import bound

__all__ = ["Verb", "described", "verb", "without_stream", "work_of"]


class Verb:
    """A method of chains, named after its stage or measurement, which is loaded on first use."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, chain: Any, owner: type) -> Callable[..., Any]:
        if chain is None:
            return _of_class(self.name, owner)
        return verb(self.name, chain)


def work_of(name: str) -> tuple[Callable[..., Any], bool]:
    """Return the stage or function of a verb, and whether the verb returns a chain."""
    lazy = name not in registry.measurements()
    return (registry.stage(name) if lazy else registry.measurement(name)), lazy


def verb(name: str, chain: Any) -> Callable[..., Any]:
    """Return a stage or a measurement as a method of a chain."""
    work, lazy = work_of(name)
    signature = described(work, type(chain) if lazy else None)

    def call(*args: Any, **options: Any) -> Any:
        given = bound(name, signature, args, options)
        made = work(chain.stream, *given.args, **given.kwargs)
        return type(chain)(made) if lazy else made

    return _dressed(call, name, signature, work)


def _of_class(name: str, owner: type) -> Callable[..., Any]:
    """Return the method of the class, for help."""
    work, lazy = work_of(name)
    signature = described(work, owner if lazy else None)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)

    def call(self: Any, /, *args: Any, **options: Any) -> Any:
        return verb(name, self)(*args, **options)

    return _dressed(call, name,
                    signature.replace(parameters=[own, *signature.parameters.values()]), work)


def described(work: Callable[..., Any], made: type | None) -> inspect.Signature:
    """Return the signature of a stage or function without its stream; a stage returns a chain."""
    own = inspect.signature(work)
    return own.replace(parameters=list(own.parameters.values())[1:],
                       return_annotation=own.return_annotation if made is None else made)


def _with_types(signature: inspect.Signature, work: Callable[..., Any]) -> inspect.Signature:
    """Return a signature with the types that text in annotations names, as completion shows them.

    A name that a module imports only for type checkers remains text.
    """
    function: Any = work.__init__ if inspect.isclass(work) else work  # type: ignore[misc]
    names = inspect.unwrap(function).__globals__
    return signature.replace(
        parameters=[each.replace(annotation=_type_of(each.annotation, names))
                    for each in signature.parameters.values()],
        return_annotation=_type_of(signature.return_annotation, names))


def _type_of(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)
    except NameError:
        return annotation


def _dressed(call: Callable[..., Any], name: str, signature: inspect.Signature,
             work: Callable[..., Any]) -> Callable[..., Any]:
    call.__signature__ = _with_types(signature, work)  # type: ignore[attr-defined]
    call.__name__, call.__qualname__ = name, f"Chain.{name}"
    call.__doc__ = without_stream(inspect.getdoc(work) or "")
    return call


def without_stream(text: str) -> str:
    """Return a docstring without its first parameter, which is the stream."""
    rest = re.sub(r"(Parameters\n-+\n)\S[^\n]*\n(?: +[^\n]*\n|\n(?= ))*", r"\1", text + "\n",
                  count=1)
    return re.sub(r"Parameters\n-+\n(\n|\Z)", "", rest, count=1).rstrip("\n")
