"""The numba options of all kernels."""

from collections.abc import Callable
from typing import Any

import numba
from numba.core import types
from numba.extending import is_jitted

from ._cache import KernelCache

#: Optimisations that preserve NaN and Inf: ``nnan`` and ``ninf`` are left out because
#: they let the compiler delete NaN checks.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


def _decorator(fastmath: Any, *, inner: bool = False, counts: bool = True
               ) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles with `fastmath` and keeps the result in the cache.

    A sixth of the compile time would be spent on entry points that nothing uses: the one for C
    and, for an `inner` function, which only kernels call, the one for Python.

    numba counts the references to an array at each call to which it is passed and at each slice,
    with atomic operations of 20 or more cycles. Functions that make no arrays do not need these
    counts, because their callers hold the arrays.
    """
    options = numba.njit(fastmath=fastmath, nogil=True, error_model="numpy",
                         no_cfunc_wrapper=True, no_cpython_wrapper=inner, _nrt=counts)

    def decorate(function: Callable[..., Any]) -> Any:
        kernel: Any = options(function)
        if is_jitted(kernel):  # not with NUMBA_DISABLE_JIT
            kernel._cache = KernelCache(kernel.py_func)  # type: ignore[attr-defined]
        return kernel

    return decorate


#: For code where the last bit does not matter: conversions, tables, statistics.
jit = _decorator(FASTMATH)

#: For sums with bits that are part of the contract: each operation rounds once, in
#: the order written, so a result depends neither on the length of a call, nor
#: on strides, nor on whether the host has fused multiply-add.
jit_strict = _decorator(False)

#: As `jit` and `jit_strict`, for functions that only kernels call, never Python. They make no
#: arrays: neither `carray` nor `np.empty`.
jit_inner = _decorator(FASTMATH, inner=True, counts=False)
jit_strict_inner = _decorator(False, inner=True, counts=False)

#: As `jit_inner` and `jit_strict_inner`, for functions that make arrays.
jit_inner_arrays = _decorator(FASTMATH, inner=True)
jit_strict_inner_arrays = _decorator(False, inner=True)


def one_form(kernel: Any) -> Any:
    """Let calls with constants use the form that calls with variables use.

    numba compiles a function once more for each constant that another kernel passes to it. The
    result is the same, and faster only if the function is short and the constant shapes its loops.

    Parameters
    ----------
    kernel : function
        What a decorator of this module returns.

    Returns
    -------
    function
        `kernel`.
    """
    if is_jitted(kernel):
        template = kernel.get_call_template

        def get_call_template(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
            return template(tuple(map(types.unliteral, args)),
                            {name: types.unliteral(kind) for name, kind in kws.items()})

        kernel.get_call_template = get_call_template  # type: ignore[method-assign, assignment]
    return kernel
