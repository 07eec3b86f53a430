"""What all plans have in common: their interface, their copies, and that one call runs at a time.

The tables of a plan hold addresses of memory and of compiled code, which are wrong in another
process. So a plan is pickled as the arguments of its constructor, which computes the tables again.
"""

import threading
import time
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from .layout import Layout

_MOMENT = 1e-3  # s


@runtime_checkable
class PlanProtocol(Protocol):
    """The interface of all plans; a plan owns its work space, so each thread needs a copy."""

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes."""
        ...

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        ...

    def copy(self) -> Self:
        """Return a plan with the same tables, its own work space and an empty state."""
        ...

    def process(self, *arguments: Any, **options: Any) -> Any:
        """Compute the results; write them to `out` if this option is given."""
        ...


@runtime_checkable
class SamplePlan(PlanProtocol, Protocol):
    """The interface of plans that take or return voltages."""

    @property
    def layout(self) -> Layout:
        """Format of the voltages."""
        ...


class Plan(ABC):
    """A plan as `PlanProtocol` specifies it, with everything that is the same in all plans.

    A subclass computes its tables in the constructor, which never change after that, and calls
    `_own_state`, which creates everything else.
    """

    __slots__ = ("_arguments", "_lock", "_options", "_unfinished")
    _arguments: tuple[Any, ...]
    _options: dict[str, Any]
    _lock: threading.Lock
    _unfinished: bool

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Record the arguments; no call is in progress."""
        plan = super().__new__(cls)
        plan._record(arguments, options)
        plan._lock = threading.Lock()
        plan._unfinished = False
        return plan

    def _record(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Keep the arguments for copies and pickles."""
        self._arguments = tuple(_kept(value) for value in arguments)
        self._options = {name: _kept(value) for name, value in options.items()}

    def __reduce__(self) -> Any:
        """Return the constructor and its arguments."""
        return partial(type(self), **self._options), self._arguments

    def copy(self) -> Self:
        """Return a plan for another thread: the same tables, its own work space, an empty state."""
        return self._twin()

    def __copy__(self) -> Self:
        """Return `copy()`."""
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        """Return `copy()`."""
        return self.copy()

    def _twin(self, **changed: Any) -> Self:
        """Return a copy with some arguments changed, on which no table depends."""
        other = type(self).__new__(type(self), *self._arguments, **{**self._options, **changed})
        vars(other).update(vars(self))
        for name, value in changed.items():
            setattr(other, f"_{name}", value)
        other._own_state()
        return other

    @abstractmethod
    def _own_state(self) -> None:
        """Create the work space and an empty state, which copies do not share."""

    def _own_argument(self, name: str, table: np.ndarray) -> None:
        """Record a table of the plan instead of the equal array that was given, if any."""
        if self._options.get(name) is not None:
            self._options[name] = table

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
            # A call in another thread may have released the lock and be about to return.
            time.sleep(_MOMENT)
            if self._lock.locked() or not self._unfinished:
                return self._alone()
            raise RuntimeError(f"{name}: found the state of a call that an exception interrupted; "
                               "call reset() first")
        return self._lock


def _kept(value: Any) -> Any:
    """Return an argument as it will remain: a copy if it is an array or a list."""
    if isinstance(value, list):
        return tuple(value)
    return np.array(value) if isinstance(value, np.ndarray) else value
