"""What all plans have in common: how they are copied and pickled, and that one call runs at a time.

The tables of a plan hold addresses of memory and of compiled code, which are wrong in a copy and in
another process. So a plan is pickled as the arguments of its constructor, which computes the tables
again.
"""

import threading
from functools import partial
from typing import Any, Self

import numpy as np


class Plan:
    """A plan that does not change after construction: threads share it, and it is its own copy."""

    __slots__ = ()

    def copy(self) -> Self:
        """Return the plan itself, since it does not change."""
        return self

    def __copy__(self) -> Self:
        """Return `copy()`."""
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        """Return `copy()`."""
        return self.copy()


class RebuiltPlan(Plan):
    """A plan that is pickled as the arguments of its constructor."""

    __slots__ = ("_arguments", "_options")
    _arguments: tuple[Any, ...]
    _options: dict[str, Any]

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Record the arguments."""
        plan = super().__new__(cls)
        plan._arguments = tuple(_kept(value) for value in arguments)
        plan._options = {name: _kept(value) for name, value in options.items()}
        return plan

    def __reduce__(self) -> Any:
        """Return the constructor and its arguments."""
        return partial(type(self), **self._options), self._arguments

    def _own_argument(self, name: str, table: np.ndarray) -> None:
        """Record a table of the plan instead of the equal array that was given, if any."""
        if self._options.get(name) is not None:
            self._options[name] = table


class WorkingPlan(RebuiltPlan):
    """A plan with work space or state: only one call may use it at a time."""

    __slots__ = ("_lock", "_unfinished")
    _lock: threading.Lock
    _unfinished: bool

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Record the arguments; nothing is in progress."""
        plan = super().__new__(cls, *arguments, **options)
        plan._lock = threading.Lock()
        plan._unfinished = False
        return plan

    def copy(self) -> Self:
        """Return a plan that was constructed in the same way, with its own work space."""
        return type(self)(*self._arguments, **self._options)

    def _sibling(self, **changed: Any) -> Self:
        """Return a plan with some arguments changed that has neither tables nor work space yet."""
        return type(self).__new__(type(self), *self._arguments, **{**self._options, **changed})

    def _alone(self, *, renewing: bool = False) -> threading.Lock:
        """Return the lock under which a call works; refuse the call if another is in progress.

        A call sets `_unfinished` before it changes the state, and clears it when nothing is left to
        do. If it is interrupted in between, all further calls are refused except those that are
        `renewing`.
        If two threads pass the check in the same instant, one waits for the other.
        """
        name = type(self).__name__
        if self._lock.locked():
            raise RuntimeError(f"{name}: found in use by another call, allowed one call at a time; "
                               "use a copy() for each thread")
        if self._unfinished and not renewing:
            raise RuntimeError(f"{name}: found the state of a call that an exception interrupted; "
                               "call reset() first")
        return self._lock


def _kept(value: Any) -> Any:
    """Return an argument as it will remain: a copy if it is an array or a list."""
    if isinstance(value, list):
        return tuple(value)
    return value.copy() if isinstance(value, np.ndarray) else value
