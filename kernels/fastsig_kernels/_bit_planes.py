"""Sorting the bits of integers by position into planes, and back.

For `n` numbers of `size` bytes, with n a multiple of 8, plane 8 b + k contains bit k of byte b of
each number. A byte of a plane has the bits of eight numbers, the first in its lowest bit. This is
the order of bitshuffle.

Vectors are treated as independent lanes of 16 bytes, since that is how processors interleave
them. In 2^p vectors, the position of a byte (vector, then byte in the lane) is a number of p + 4
bits. Interleaving vector i with i + 2^(p - 1) into vectors 2 i and 2 i + 1 rotates that number
left by one bit. So p rotations put byte i of all vectors side by side, and 4 more restore the
original order.

References
----------
K. Masui et al. (2015), Astronomy and Computing 12, 181 (bitshuffle). H. S. Warren (2012), Hacker's
Delight, 2nd ed., section 7-3 (8 x 8 bits transposed in a word).
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._jit import jit_strict
from ._memory import get8, put8
from ._simd import Spec, address_of, host_lanes

_I8, _I32, _I64 = (ir.IntType(n) for n in (8, 32, 64))
_i = types.int64

#: Swaps that transpose 8 x 8 bits of a word: distance, and the lower one of the swapped bits.
_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


def spec_of(size: int) -> Spec:
    """Return the spec of this module's functions for numbers of `size` bytes: 1, 2, 4 or 8."""
    return Spec(size=size, parts=host_lanes() // 4)


@jit_strict
def gather_bits_nb(spec, planes, n, work, out, first):
    """Write `n` numbers, assembled from their planes, to `out` from byte `first` on.

    `planes` and `work` have the size of these numbers; `work` is scratch memory, which numbers of
    one byte do not use.
    """
    size = _constant(spec, "size")
    into, begin = address_of(work), 0
    if size == 1:
        into = address_of(out) + first
    row, step = n >> 3, _constant(spec, "columns")
    for b in range(size):
        source, target = address_of(planes) + b * n, into + b * n
        column = 0
        while column + step <= row:
            _from_rows(spec, source + column, row, target + 8 * column)
            column += step
        while column < row:
            _from_column(source + column, row, target + 8 * column)
            column += 1
    if size > 1:
        step = _constant(spec, "numbers")
        while begin + step <= n:
            _interleave(spec, into + begin, n, address_of(out) + first + begin * size)
            begin += step
        for i in range(begin, n):
            for b in range(size):
                put8(out, first + i * size + b, get8(work, b * n + i))


@jit_strict
def scatter_bits_nb(spec, source, first, n, work, planes):
    """Write the planes of the `n` numbers in `source` from byte `first` on.

    This is the inverse of `gather_bits_nb`.
    """
    size = _constant(spec, "size")
    start, begin = address_of(work), 0
    if size == 1:
        start = address_of(source) + first
    else:
        step = _constant(spec, "numbers")
        while begin + step <= n:
            _separate(spec, address_of(source) + first + begin * size, n, start + begin)
            begin += step
        for i in range(begin, n):
            for b in range(size):
                put8(work, b * n + i, get8(source, first + i * size + b))
    row, step = n >> 3, _constant(spec, "columns")
    for b in range(size):
        bytes_, target = start + b * n, address_of(planes) + b * n
        column = 0
        while column + step <= row:
            _to_rows(spec, bytes_ + 8 * column, row, target + column)
            column += step
        while column < row:
            _to_column(bytes_ + 8 * column, row, target + column)
            column += 1


@intrinsic(prefer_literal=True)
def _constant(typingctx, spec, name):
    """Return the size of a number, or the numbers or byte columns in a block of whole vectors."""
    if not isinstance(name, types.StringLiteral):
        return None

    def codegen(context, builder, signature, args):
        parts = spec.items["parts"]
        known = {"size": spec.items["size"], "numbers": 16 * parts, "columns": 16 * parts}
        return ir.Constant(_I64, known[name.literal_value])

    return _i(spec, name), codegen


class _Lanes:
    """Generates code for vectors of `parts` lanes of 16 bytes."""

    def __init__(self, builder: Any, parts: int) -> None:
        self.builder, self.parts = builder, parts
        self.type = ir.VectorType(_I8, 16 * parts)

    def _at(self, address: Any, offset: Any, kind: Any) -> Any:
        if isinstance(offset, int):
            offset = ir.Constant(_I64, offset)
        return self.builder.inttoptr(self.builder.add(address, offset), kind.as_pointer())

    def load(self, address: Any, offset: Any) -> Any:
        return self.builder.load(self._at(address, offset, self.type), align=1)

    def store(self, vector: Any, address: Any, offset: Any) -> None:
        self.builder.store(vector, self._at(address, offset, self.type), align=1)

    def _shuffle(self, a: Any, b: Any, mask: list[int]) -> Any:
        picked = ir.Constant(ir.VectorType(_I32, len(mask)), [ir.Constant(_I32, m) for m in mask])
        return self.builder.shuffle_vector(a, b, picked)

    def turn(self, vectors: list[Any], times: int) -> list[Any]:
        """Interleave the halves of `vectors` repeatedly."""
        for _ in range(times if len(vectors) > 1 else 0):
            half = len(vectors) // 2
            pairs = zip(vectors[:half], vectors[half:], strict=True)
            vectors = [self._interleave(a, b, 8 * upper) for a, b in pairs for upper in (0, 1)]
        return vectors

    def _interleave(self, a: Any, b: Any, begin: int) -> Any:
        whole = 16 * self.parts
        return self._shuffle(a, b, [16 * lane + begin + i + whole * other
                                    for lane in range(self.parts) for i in range(8)
                                    for other in (0, 1)])

    def rows(self, vectors: list[Any]) -> list[Any]:
        """Transpose the lanes of `parts` vectors: lane q of vector l from lane l of vector q."""
        n, result = self.parts, []
        while n > 1 and len(vectors) == self.parts:
            half = n // 2
            result = []
            for i, vector in enumerate(vectors):
                group, place = divmod(i, n)
                upper, low = divmod(place, half)
                other = vectors[group * n + (1 - upper) * half + low]
                a, b = (other, vector) if upper else (vector, other)
                result.append(self._exchange(a, b, half, upper))
            vectors, n = result, half
        return vectors

    def _exchange(self, a: Any, b: Any, half: int, upper: int) -> Any:
        """Merge the lanes of two vectors that have bit `half` in their index, or lack it.

        Lanes of `a` come first.
        """
        mask, whole = [], 16 * self.parts
        for lane in range(self.parts):
            from_b = lane & half
            source = (lane & ~half) | (half if upper else 0)
            mask += [16 * source + i + (whole if from_b else 0) for i in range(16)]
        return self._shuffle(a, b, mask)

    def transpose_bits(self, vector: Any) -> Any:
        """Transpose the 8 x 8 bits of each word of 8 bytes."""
        kind = ir.VectorType(_I64, 2 * self.parts)
        builder, x = self.builder, self.builder.bitcast(vector, kind)
        for distance, bits in _SWAPS:
            x = _swap(builder, x, *(ir.Constant(kind, [ir.Constant(_I64, v)] * (2 * self.parts))
                                    for v in (distance, bits)))
        return builder.bitcast(x, self.type)


def _swap(builder: Any, x: Any, distance: Any, bits: Any) -> Any:
    """Swap `bits` of x with the bits that are `distance` above them."""
    differ = builder.and_(builder.xor(x, builder.lshr(x, distance)), bits)
    return builder.xor(builder.xor(x, differ), builder.shl(differ, distance))


def _scattered(lanes: _Lanes, vectors: list[Any], address: Any, step: int) -> None:
    """Store lane l of vector q at ``l step + 16 q``, using vectors of full width."""
    parts = lanes.parts
    for first in range(0, len(vectors), parts):
        group = vectors[first : first + parts]
        if len(group) < parts:
            _store_parts(lanes, group, address, step, 16 * first)
            continue
        for lane, vector in enumerate(lanes.rows(group)):
            lanes.store(vector, address, lane * step + 16 * first)


def _store_parts(lanes: _Lanes, group: list[Any], address: Any, step: int, offset: int) -> None:
    """Store each lane separately."""
    part = _Lanes(lanes.builder, 1)
    for q, vector in enumerate(group):
        for lane in range(lanes.parts):
            piece = lanes._shuffle(vector, vector, list(range(16 * lane, 16 * lane + 16)))
            part.store(piece, address, lane * step + offset + 16 * q)


def _collected(lanes: _Lanes, n: int, address: Any, step: int) -> list[Any]:
    """Load the vectors that `_scattered` would store at this address."""
    parts, found = lanes.parts, []
    for first in range(0, n, parts):
        if n - first >= parts:
            group = [lanes.load(address, lane * step + 16 * first) for lane in range(parts)]
            found += lanes.rows(group)
        else:
            found += _load_parts(lanes, n - first, address, step, 16 * first)
    return found


def _load_parts(lanes: _Lanes, n: int, address: Any, step: int, offset: int) -> list[Any]:
    """Load each lane separately."""
    part, found = _Lanes(lanes.builder, 1), []
    for q in range(n):
        pieces = [part.load(address, lane * step + offset + 16 * q) for lane in range(lanes.parts)]
        while len(pieces) > 1:
            pieces = [lanes._shuffle(a, b, list(range(2 * a.type.count)))
                      for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
        found += pieces
    return found


def _times(builder: Any, value: Any, n: int) -> Any:
    return builder.mul(value, ir.Constant(_I64, n))


@intrinsic
def _from_rows(typingctx, spec, source, row, target):
    """Assemble one byte of each number from eight rows of bits, `row` bytes apart."""

    def codegen(context, builder, signature, args):
        _, source, row, target = args
        lanes = _Lanes(builder, spec.items["parts"])
        vectors = [lanes.load(source, _times(builder, row, k)) for k in range(8)]
        vectors = [lanes.transpose_bits(v) for v in lanes.turn(vectors, 3)]
        _scattered(lanes, vectors, target, 128)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@intrinsic
def _to_rows(typingctx, spec, source, row, target):
    """Split one byte of each number into eight rows of bits."""

    def codegen(context, builder, signature, args):
        _, source, row, target = args
        lanes = _Lanes(builder, spec.items["parts"])
        vectors = [lanes.transpose_bits(v) for v in _collected(lanes, 8, source, 128)]
        for k, vector in enumerate(lanes.turn(vectors, 4)):
            lanes.store(vector, target, _times(builder, row, k))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@intrinsic
def _interleave(typingctx, spec, source, n, target):
    """Assemble numbers from their bytes, which are `n` bytes apart."""

    def codegen(context, builder, signature, args):
        _, source, n, target = args
        lanes, size = _Lanes(builder, spec.items["parts"]), spec.items["size"]
        vectors = [lanes.load(source, _times(builder, n, b)) for b in range(size)]
        _scattered(lanes, lanes.turn(vectors, size.bit_length() - 1), target, 16 * size)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@intrinsic
def _separate(typingctx, spec, source, n, target):
    """Split numbers into their bytes, `n` bytes apart."""

    def codegen(context, builder, signature, args):
        _, source, n, target = args
        lanes, size = _Lanes(builder, spec.items["parts"]), spec.items["size"]
        vectors = _collected(lanes, size, source, 16 * size)
        for b, vector in enumerate(lanes.turn(vectors, 4)):
            lanes.store(vector, target, _times(builder, n, b))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


def _transposed(builder: Any, x: Any) -> Any:
    """Transpose the 8 x 8 bits of a word."""
    for distance, bits in _SWAPS:
        x = _swap(builder, x, ir.Constant(_I64, distance), ir.Constant(_I64, bits))
    return x


@intrinsic
def _from_column(typingctx, source, row, target):
    """Assemble one byte of each of eight numbers from one byte of each of eight rows."""

    def codegen(context, builder, signature, args):
        source, row, target = args
        word = ir.Constant(_I64, 0)
        for k in range(8):
            place = builder.inttoptr(builder.add(source, _times(builder, row, k)),
                                     _I8.as_pointer())
            byte = builder.zext(builder.load(place), _I64)
            word = builder.or_(word, builder.shl(byte, ir.Constant(_I64, 8 * k)))
        place = builder.inttoptr(target, _I64.as_pointer())
        builder.store(_transposed(builder, word), place, align=1)
        return context.get_dummy_value()

    return types.void(_i, _i, _i), codegen


@intrinsic
def _to_column(typingctx, source, row, target):
    """Split one byte of each of eight numbers into one byte of each of eight rows."""

    def codegen(context, builder, signature, args):
        source, row, target = args
        word = builder.load(builder.inttoptr(source, _I64.as_pointer()), align=1)
        word = _transposed(builder, word)
        for k in range(8):
            place = builder.inttoptr(builder.add(target, _times(builder, row, k)),
                                     _I8.as_pointer())
            byte = builder.trunc(builder.lshr(word, ir.Constant(_I64, 8 * k)), _I8)
            builder.store(byte, place)
        return context.get_dummy_value()

    return types.void(_i, _i, _i), codegen
