"""The numba options of every kernel, in one place."""

from typing import Any

import numba

#: Rewrites that keep NaN and Inf: ``nnan`` and ``ninf`` are left out because
#: they let the compiler delete NaN checks.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

_COMMON: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}

#: For work where the last bit is free: conversions, tables, statistics.
jit = numba.njit(fastmath=FASTMATH, **_COMMON)

#: For sums whose bits are part of the contract: each operation rounds once, in
#: the order written, so a result depends neither on the length of a call, nor
#: on strides, nor on whether the host has fused multiply-add.
jit_strict = numba.njit(fastmath=False, **_COMMON)
