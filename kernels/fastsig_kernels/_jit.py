"""The numba options of every kernel, in one place, and how a compiled one is loaded."""

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.extending import is_jitted

#: Rewrites that keep NaN and Inf: ``nnan`` and ``ninf`` are left out because
#: they let the compiler delete NaN checks.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, which loads machine code without what only compiling needs.

    Before its first kernel numba readies the compiler, also where the kernel is in the cache: it
    imports 250 modules, `scipy.linalg` and `numpy.f2py` among them, in 0.3 s. Machine code needs
    its run time alone, whose functions it calls. What is not in the cache is compiled after, and
    the compiler makes itself ready.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function of a signature; None where it is not in the cache."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _decorator(fastmath: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles with these rewrites and keeps the result in the cache."""
    options = numba.njit(fastmath=fastmath, nogil=True, error_model="numpy")

    def decorate(function: Callable[..., Any]) -> Any:
        kernel: Any = options(function)
        if is_jitted(kernel):  # not with NUMBA_DISABLE_JIT
            kernel._cache = _Cache(kernel.py_func)  # type: ignore[attr-defined]
        return kernel

    return decorate


#: For work where the last bit is free: conversions, tables, statistics.
jit = _decorator(FASTMATH)

#: For sums whose bits are part of the contract: each operation rounds once, in
#: the order written, so a result depends neither on the length of a call, nor
#: on strides, nor on whether the host has fused multiply-add.
jit_strict = _decorator(False)
