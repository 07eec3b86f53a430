"""The width of the host's registers as a constant of compiled code, so that no caller passes it."""

from numba.core.extending import intrinsic, overload

from ._simd import Spec, host_lanes


def host_spec() -> Spec:
    """Return the spec of vectors as wide as the host's registers; compiled code may call it."""
    return Spec(lanes=host_lanes())


@intrinsic
def _host_spec(typingctx):
    """Return the spec, which has its value in its type."""

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return host_spec().numba_type(), codegen


@overload(host_spec)
def _in_compiled_code():
    return lambda: _host_spec()
