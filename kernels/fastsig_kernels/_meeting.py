"""A place where threads that run the same compiled loop wait for each other.

Waking a thread takes as long as many short runs of a loop. Threads therefore stay in compiled code
for a whole call, and wait by reading a number in memory that all of them add to.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._jit import jit_strict
from ._order import address

_I64 = ir.IntType(64)
#: Reads of the number before the processor is offered to other threads: about 20 us.
_READS = 20_000
_yield = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def _arrive(typingctx, place):
    """Add 1 to the number at an address; what was written before can be read by other threads."""

    def codegen(context, builder, signature, args):
        at = builder.inttoptr(args[0], _I64.as_pointer())
        builder.atomic_rmw("add", at, ir.Constant(_I64, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def _arrived(typingctx, place):
    """Return the number at an address, as it is in memory now."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(builder.inttoptr(args[0], _I64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), codegen


class Meeting:
    """The number that the threads of one call share."""

    def __init__(self) -> None:
        self._number = np.zeros(1, np.int64)
        #: Its address, for `meet_nb`.
        self.place = address(self._number)

    def stop(self) -> None:
        """Let no thread wait any longer."""
        self._number[0] = 2**62


@jit_strict
def meet_nb(place, n_thread, n_before):
    """Wait until all threads have come here; return the number of meetings so far.

    `place` is that of their `Meeting`; `n_before` is the result of the previous meeting, or 0.
    """
    if n_thread > 1:
        _arrive(place)
        n_read = 0
        while _arrived(place) < (n_before + 1) * n_thread:
            n_read += 1
            if n_read > _READS:
                _yield()
    return n_before + 1
