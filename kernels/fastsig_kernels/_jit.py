"""The numba options of every kernel, in one place."""

from collections.abc import Callable
from typing import Any

import numba
from numba.extending import is_jitted

from ._cache import KernelCache

#: Rewrites that keep NaN and Inf: ``nnan`` and ``ninf`` are left out because
#: they let the compiler delete NaN checks.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


def _decorator(fastmath: Any, *, inner: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles with these rewrites and keeps the result in the cache.

    A sixth of compiling goes into ways of calling that nothing uses: C's, and, of an `inner`
    function, which kernels alone call, Python's.
    """
    options = numba.njit(fastmath=fastmath, nogil=True, error_model="numpy",
                         no_cfunc_wrapper=True, no_cpython_wrapper=inner)

    def decorate(function: Callable[..., Any]) -> Any:
        kernel: Any = options(function)
        if is_jitted(kernel):  # not with NUMBA_DISABLE_JIT
            kernel._cache = KernelCache(kernel.py_func)  # type: ignore[attr-defined]
        return kernel

    return decorate


#: For work where the last bit is free: conversions, tables, statistics.
jit = _decorator(FASTMATH)

#: For sums whose bits are part of the contract: each operation rounds once, in
#: the order written, so a result depends neither on the length of a call, nor
#: on strides, nor on whether the host has fused multiply-add.
jit_strict = _decorator(False)

#: As `jit` and `jit_strict`, for what kernels alone call, and Python never.
jit_inner = _decorator(FASTMATH, inner=True)
jit_strict_inner = _decorator(False, inner=True)
