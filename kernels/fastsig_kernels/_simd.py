"""Explicit SIMD for numba: float32 vectors as wide as the host's registers.

numba leaves straight-line butterflies scalar and cannot guarantee that arrays do not
overlap, so its own vectoriser misses the loops that matter. Here a kernel specifies its
vector instructions, at two levels:

`Emitter` and `Vector` generate LLVM instructions while an intrinsic is compiled. The
codelets of `_codelets` are Python functions of these, so the same functions also run
on NumPy arrays in tests.

`VectorType` is the numba type of such a vector. It has ``+ - *`` and the functions
`load`, `store`, `splat`, `fma` and `reverse`, so njit code can keep a vector in a variable
across a loop. Memory is specified by address, as from `address_of`. Nothing is checked, and
the caller keeps the array alive.
"""

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.extending import (
    NativeValue,
    intrinsic,
    lower_builtin,
    models,
    register_model,
    type_callable,
    typeof_impl,
    unbox,
)

WIDTHS = (16, 8, 4)

_FLOAT = ir.FloatType()
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


@lru_cache(maxsize=1)
def host_lanes() -> int:
    """Return the number of float32 lanes in a register: 16, 8 or 4.

    The number is determined from the registers of an addition that LLVM compiles for numba's
    target processor (``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` are respected).
    """
    return _register_lanes(_FLOAT)


def _register_lanes(element: Any) -> int:
    """Return how many 32-bit numbers fit into a register for additions."""
    name = config.CPU_NAME
    features = config.CPU_FEATURES
    if features is None:
        features = "" if name else llvm.get_host_cpu_features().flatten()
    assembly = _addition(name or llvm.get_host_cpu_name(), features, element)
    # Arguments may be passed in wider registers, so only additions are examined.
    added = "".join(line for line in assembly.splitlines() if "add" in line)
    return 16 if "zmm" in added else 8 if "ymm" in added else 4


@lru_cache(maxsize=1)
def host_permutes() -> bool:
    """Whether the host is an x86 processor with AVX2; AVX alone has wide vectors only of floats."""
    return _is_x86() and _register_lanes(_I32) >= 8


def host_has_fma() -> bool:
    """Whether the host is an x86 processor with fused multiply-add."""
    return _is_x86() and host_lanes() >= 8


def _is_x86() -> bool:
    """Whether the host is x86, with AVX2 and AVX-512 instructions if registers are wide enough."""
    return str(llvm.get_process_triple()).startswith("x86_64")


def _addition(name: str, features: str, element: Any) -> str:
    module = ir.Module()
    vector = ir.VectorType(element, 16)
    function = ir.Function(module, ir.FunctionType(vector, [vector, vector]), "add")
    builder = ir.IRBuilder(function.append_basic_block())
    add = builder.fadd if element == _FLOAT else builder.add
    builder.ret(add(*function.args))
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(cpu=name, features=features)
    return str(machine.emit_assembly(llvm.parse_assembly(str(module))))


class Vector:
    """A value of type ``<lanes x float>`` during code generation."""

    __slots__ = ("emit", "value")

    def __init__(self, emit: "Emitter", value: Any) -> None:
        self.emit = emit
        self.value = value

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.emit, self.emit.builder.fadd(self.value, other.value))

    def __sub__(self, other: "Vector") -> "Vector":
        if self.emit.one is not None:
            return (-other).fma(self.emit.one, self)
        return Vector(self.emit, self.emit.builder.fsub(self.value, other.value))

    def __mul__(self, other: "Vector | float") -> "Vector":
        right = self.emit.splat(other) if isinstance(other, float) else other
        return Vector(self.emit, self.emit.builder.fmul(self.value, right.value))

    def __truediv__(self, other: "Vector") -> "Vector":
        return Vector(self.emit, self.emit.builder.fdiv(self.value, other.value))

    def __neg__(self) -> "Vector":
        return Vector(self.emit, self.emit.builder.fneg(self.value))

    def fma(self, factor: "Vector | float", addend: "Vector") -> "Vector":
        """Return ``self * factor + addend``, rounded once if the host supports it."""
        right = self.emit.splat(factor) if isinstance(factor, float) else factor
        return self.emit.call("llvm.fmuladd", self, right, addend)


class Emitter:
    """Generates vector instructions of one width at the end of a builder's block.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Builder that receives the instructions.
    lanes : int
        Lanes of every vector, a power of two.
    balanced : bool
        Whether to subtract with fused multiply-adds, for code that is mostly additions.
        Processors have separate units for both operations, and this keeps both busy. The bits of
        results are the same.
    """

    def __init__(self, builder: Any, lanes: int, *, balanced: bool = False) -> None:
        self.builder = builder
        self.lanes = lanes
        self.type = ir.VectorType(_FLOAT, lanes)
        self.one: Vector | None = None
        if balanced and host_has_fma() and 8 <= lanes <= host_lanes():
            self.one = self._opaque(1.0)

    def align_stack(self) -> None:
        """Align the function's stack to cache lines, for code that spills registers.

        LLVM aligns the stack only for variables, not for spilled registers. Depending on the
        depth of the caller, each of these would lie across two cache lines, which takes up to
        twice the time. So create a variable that is used by code without effect.
        """
        with self.builder.goto_entry_block():
            place = self.builder.alloca(self.type)
            place.align = 4 * self.lanes
            kind = ir.FunctionType(ir.VoidType(), [place.type])
            self.builder.asm(kind, "", "r", [place], side_effect=True)

    def _opaque(self, value: float) -> Vector:
        """Return a constant that the optimiser treats as a variable, so that it keeps x * 1."""
        kind = ir.FunctionType(self.type, [self.type])
        code = ir.InlineAsm(kind, "", "=v,0")
        return Vector(self, self.builder.call(code, [self.splat(value).value]))

    def constant(self, values: Sequence[float]) -> Vector:
        """Return constants, one per lane."""
        return Vector(self, ir.Constant(self.type, [ir.Constant(_FLOAT, v) for v in values]))

    def splat(self, value: float) -> Vector:
        """Return a constant in every lane."""
        return self.constant([value] * self.lanes)

    def broadcast(self, scalar: Any) -> Vector:
        """Return an LLVM float in every lane."""
        first = self.builder.insert_element(
            ir.Constant(self.type, ir.Undefined), scalar, ir.Constant(_I32, 0)
        )
        return self.shuffle(Vector(self, first), Vector(self, first), [0] * self.lanes)

    def at(self, address: Any, offset: int = 0) -> Any:
        """Return an address (an LLVM i64) moved by a constant number of bytes."""
        return self.builder.add(address, ir.Constant(_I64, offset)) if offset else address

    def pointer(self, address: Any, kind: Any, offset: int = 0) -> Any:
        """Return an address as a pointer to `kind`."""
        return self.builder.inttoptr(self.at(address, offset), kind.as_pointer())

    def load(self, address: Any, offset: int = 0) -> Vector:
        """Return the float32 vector at an address of any alignment."""
        return Vector(
            self, self.builder.load(self.pointer(address, self.type, offset), align=4)
        )

    def load_scalar(self, address: Any, offset: int = 0) -> Vector:
        """Return one float32 in every lane."""
        return self.broadcast(
            self.builder.load(self.pointer(address, _FLOAT, offset), align=4)
        )

    def store(self, vector: Vector, address: Any, offset: int = 0) -> None:
        """Write a float32 vector to an address of any alignment."""
        self.builder.store(vector.value, self.pointer(address, self.type, offset), align=4)

    def store_past_cache(self, vector: Vector, address: Any, offset: int = 0) -> None:
        """Write a float32 vector to an address, a multiple of its size, bypassing the cache.

        This is for results larger than the cache: memory is then not read before it is written.
        """
        store = self.builder.store(vector.value, self.pointer(address, self.type, offset),
                                   align=4 * self.lanes)
        store.set_metadata("nontemporal",
                           self.builder.module.add_metadata([ir.Constant(_I32, 1)]))

    def finish_stores(self) -> None:
        """Make stores that bypassed the cache, which are unordered, visible to other processors."""
        if _is_x86():
            kind = ir.FunctionType(ir.VoidType(), [])
            function = cgutils.get_or_insert_function(
                self.builder.module, kind, "llvm.x86.sse.sfence")
            self.builder.call(function, [])

    def load_integers(self, address: Any, offset: int, n: int, bits: int) -> Any:
        """Return `n` integers of `bits` bits, at any alignment, as an LLVM vector."""
        kind = ir.VectorType(ir.IntType(bits), n)
        return self.builder.load(self.pointer(address, kind, offset), align=1)

    def to_float(self, integers: Any, signed: bool = True) -> Vector:
        """Return integers of up to 32 bits as float32."""
        if integers.type.element.width < 32:
            wide = ir.VectorType(_I32, self.lanes)
            extend = self.builder.sext if signed else self.builder.zext
            integers = extend(integers, wide)
        return Vector(self, self.builder.sitofp(integers, self.type))

    def shuffle(self, a: Vector, b: Vector, mask: Sequence[int]) -> Vector:
        """Return lanes selected from a (0 ... lanes - 1) and b (lanes ...)."""
        picked = ir.Constant(ir.VectorType(_I32, len(mask)), [ir.Constant(_I32, m) for m in mask])
        return Vector(self, self.builder.shuffle_vector(a.value, b.value, picked))

    def select(self, condition: Any, a: Vector, b: Vector) -> Vector:
        """Return a if an LLVM bit is set, else b."""
        return Vector(self, self.builder.select(condition, a.value, b.value))

    def lookup(self, table: Any, index: Any, size: int) -> Vector:
        """Return entries, selected lane by lane, of a table of up to 16 float32 at an address."""
        n = self.lanes
        if not 8 <= n <= host_lanes() or not host_permutes():
            return self._lookup_by_lane(table, index)
        name = "llvm.x86.avx512.permvar.sf.512" if n == 16 else "llvm.x86.avx2.permps"
        index_type = ir.VectorType(_I32, n)
        kind = ir.FunctionType(self.type, [self.type, index_type])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        low = self.builder.call(function, [self.load(table).value, index])
        if size <= n:
            return Vector(self, low)
        high = self.builder.call(function, [self.load(table, 4 * n).value, index])
        bound = ir.Constant(index_type, [ir.Constant(_I32, n)] * n)
        is_low = self.builder.icmp_unsigned("<", index, bound)
        return Vector(self, self.builder.select(is_low, low, high))

    def _lookup_by_lane(self, table: Any, index: Any) -> Vector:
        start = self.builder.inttoptr(table, _FLOAT.as_pointer())
        value = ir.Constant(self.type, ir.Undefined)
        for lane in range(self.lanes):
            at = ir.Constant(_I32, lane)
            entry = self.builder.load(
                self.builder.gep(start, [self.builder.extract_element(index, at)])
            )
            value = self.builder.insert_element(value, entry, at)
        return Vector(self, value)

    def call(self, name: str, *args: Vector) -> Vector:
        """Call an LLVM intrinsic for this vector type.

        It is declared by name, since the method of llvmlite for this refuses vectors.
        """
        kind = ir.FunctionType(self.type, [self.type] * len(args))
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"{name}.v{self.lanes}f32"
        )
        return Vector(self, self.builder.call(function, [arg.value for arg in args]))


class VectorType(types.Type):  # type: ignore[misc]
    """numba's type of a vector of `lanes` float32."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"float32x{lanes}")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, ir.VectorType(_FLOAT, kind.lanes))


class Spec:
    """Compile-time parameters of a kernel, as an argument with the values in its *type*.

    numba compiles and caches a version of a function for each type of its arguments,
    so one function in the source serves every radix, width and input format.

    Parameters
    ----------
    items : hashable
        Names and values, as keyword arguments.
    """

    __slots__ = ("numba_type",)

    def __init__(self, **items: Any) -> None:
        self.numba_type = SpecType(tuple(sorted(items.items())))


class SpecType(types.Type):  # type: ignore[misc]
    """numba's type of a `Spec`; its items are attributes of `items`."""

    def __init__(self, key: tuple[tuple[str, Any], ...]) -> None:
        self.key_items = key
        super().__init__(name="spec(" + ", ".join(f"{k}={v!r}" for k, v in key) + ")")

    @property
    def items(self) -> dict[str, Any]:
        """Names and values."""
        return dict(self.key_items)


@typeof_impl.register(Spec)
def _typeof_spec(value: Spec, context: Any) -> SpecType:
    return value.numba_type


register_model(SpecType)(models.OpaqueModel)


@unbox(SpecType)
def _unbox_spec(kind: SpecType, value: Any, c: Any) -> NativeValue:
    return NativeValue(c.context.get_dummy_value())


def _vector_operator(function: Any, name: str) -> None:
    @type_callable(function)
    def _typer(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return a if isinstance(a, VectorType) and a == b else None

        return typer

    @lower_builtin(function, VectorType, VectorType)
    def _lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)


for _function, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _vector_operator(_function, _name)


@intrinsic
def address_of(typingctx, array):
    """Return the address of an array's first element, in bytes."""

    def codegen(context, builder, signature, args):
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, _I64)

    return types.int64(array), codegen


@intrinsic
def load(typingctx, spec, address):
    """Load a vector of float32 from an address."""

    def codegen(context, builder, signature, args):
        return Emitter(builder, spec.items["lanes"]).load(args[1]).value

    return VectorType(spec.items["lanes"])(spec, types.int64), codegen


@intrinsic
def store(typingctx, vector, address):
    """Write a vector of float32 to an address."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, vector.lanes)
        emit.store(Vector(emit, args[0]), args[1])
        return context.get_dummy_value()

    return types.void(vector, types.int64), codegen


@intrinsic
def finish_stores(typingctx, spec):
    """Wait until stores that bypassed the cache are visible to all processors."""

    def codegen(context, builder, signature, args):
        Emitter(builder, spec.items["lanes"]).finish_stores()
        return context.get_dummy_value()

    return types.void(spec), codegen


@intrinsic
def splat(typingctx, spec, value):
    """Return a vector with the same float32 in every lane."""

    def codegen(context, builder, signature, args):
        return Emitter(builder, spec.items["lanes"]).broadcast(args[1]).value

    return VectorType(spec.items["lanes"])(spec, types.float32), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c``, rounded once if the host supports it."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, a.lanes)
        x, y, z = (Vector(emit, arg) for arg in args)
        return x.fma(y, z).value

    return a(a, b, c), codegen


@intrinsic
def reverse(typingctx, vector):
    """Return the lanes in reverse order."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, vector.lanes)
        value = Vector(emit, args[0])
        return emit.shuffle(value, value, range(vector.lanes - 1, -1, -1)).value

    return vector(vector), codegen
