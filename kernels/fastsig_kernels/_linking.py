"""Parts of kernels that are compiled separately and called by their addresses.

A loop over frames runs a filter, passes, detection and a reordering. If these were one function,
every combination of their forms would have to be compiled, in a second or two each. Compiled
separately, one form of a part serves all combinations. A call takes a few nanoseconds, and a part
works for tens of nanoseconds or more.
"""

from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import Spec, SpecType

#: The numba types of arguments that parts accept after their specs.
INTEGER = types.int64
FLOAT = types.float32
ROW = types.Array(types.int64, 1, "C")
TABLE = types.Array(types.int64, 2, "C")


class Part:
    """The signature of functions that accept specs and then `plain` types, and return nothing.

    Parameters
    ----------
    n_spec : int
        Number of specs.
    plain : tuple of numba types
        Types of the arguments that follow, as compiled code passes them.
    """

    def __init__(self, n_spec: int, *plain: Any) -> None:
        self._plain = plain
        #: For compiled code: ``call(address, *arguments)`` runs the function at an address.
        self.call = _call_of(n_spec, plain)

    def address(self, function: Any, *specs: Spec) -> int:
        """Return the address of a function compiled for these specs; it is compiled only once."""
        return _address(function, (*(spec.numba_type for spec in specs), *self._plain))


@cache
def _address(function: Any, signature: tuple[Any, ...]) -> int:
    function.compile(signature)
    made = function.overloads[signature]
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


def _call_of(n_spec: int, plain: tuple[Any, ...]) -> Any:
    """Return an intrinsic that calls as numba does, and checks the types when it is compiled."""
    blank = SpecType(())  # a spec has no value: the code at the address is that of the spec
    kinds = (*[blank] * n_spec, *plain)

    @intrinsic
    def call(typingctx, address, *arguments):  # type: ignore[no-untyped-def]
        given = tuple(types.unliteral(each) for each in arguments)
        if given != plain:
            raise TypeError(f"a part takes {plain}, not {given}")

        def codegen(context, builder, signature, values):  # type: ignore[no-untyped-def]
            convention = context.call_conv
            packer = context.get_arg_packer(kinds)
            kind = convention.get_function_type(types.none, kinds)
            function = builder.inttoptr(values[0], kind.as_pointer())
            specs = [context.get_dummy_value()] * n_spec
            passed = packer.as_arguments(
                builder, [*specs, *cgutils.unpack_tuple(builder, values[1], len(plain))])
            # Parts neither return nor raise anything, but numba passes room for both.
            nothing, error = (cgutils.alloca_once(builder, each.pointee) for each in kind.args[:2])
            builder.call(function, [nothing, error, *passed])
            return context.get_dummy_value()

        return types.void(types.int64, types.StarArgTuple(plain)), codegen

    return call


class Linked:
    """A bank whose loop calls parts by address; plans that are pickled construct theirs anew."""

    _addresses: Any = None

    def parts(self) -> Any:
        """Return what `_link` returns."""
        if self._addresses is None:
            self._addresses = self._link()
        return self._addresses

    def _link(self) -> Any:
        """Return the addresses of the parts, as the loop takes them."""
        raise NotImplementedError
