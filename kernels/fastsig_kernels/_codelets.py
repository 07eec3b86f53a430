"""Straight-line pieces of transforms, as Python functions of vectors.

They work on any values that have ``+ - *``, unary minus and ``fma``: with `_simd.Vector` they
generate instructions, with NumPy arrays that have an ``fma`` they compute. Lanes are independent
transforms, except in `transpose` and `interleave`.
"""

import cmath
import math
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

_HALF = math.sqrt(0.5)


class Complex(NamedTuple):
    """Real and imaginary parts, each a vector."""

    re: Any
    im: Any

    def plus(self, other: "Complex") -> "Complex":
        """Sum."""
        return Complex(self.re + other.re, self.im + other.im)

    def minus(self, other: "Complex") -> "Complex":
        """Difference."""
        return Complex(self.re - other.re, self.im - other.im)

    def turned(self) -> "Complex":
        """Product with -i."""
        return Complex(self.im, -self.re)

    def times(self, factor: Any) -> "Complex":
        """Product with a `Complex` of vectors or a Python complex number."""
        re, im = (factor.real, factor.imag) if isinstance(factor, complex) else factor
        return Complex(
            (-self.im).fma(im, self.re * re),
            self.im.fma(re, self.re * im),
        )


def butterfly(a: Complex, b: Complex) -> tuple[Complex, Complex]:
    """Return a + b and a - b."""
    return a.plus(b), a.minus(b)


def scaled_butterfly(a: Complex, b: Complex, scale: float) -> tuple[Complex, Complex]:
    """Return a + scale b and a - scale b, using one fused operation for each."""
    return (
        Complex(b.re.fma(scale, a.re), b.im.fma(scale, a.im)),
        Complex(b.re.fma(-scale, a.re), b.im.fma(-scale, a.im)),
    )


def _eighth(x: Complex) -> Complex:
    """Product with ``sqrt(2) exp(-i pi / 4)``."""
    return Complex(x.re + x.im, x.im - x.re)


def _minus_i_butterfly(a: Complex, b: Complex) -> tuple[Complex, Complex]:
    """Return a - i b and a + i b."""
    return Complex(a.re + b.im, a.im - b.re), Complex(a.re - b.im, a.im + b.re)


def dft2(x: Sequence[Complex]) -> list[Complex]:
    """Transform of 2 points."""
    return list(butterfly(*x))


def _finish4(t0: Complex, t1: Complex, t2: Complex, t3: Complex) -> list[Complex]:
    y0, y2 = butterfly(t0, t2)
    y1, y3 = _minus_i_butterfly(t1, t3)
    return [y0, y1, y2, y3]


def dft4(x: Sequence[Complex]) -> list[Complex]:
    """Transform of 4 points: 16 additions."""
    return _finish4(*butterfly(x[0], x[2]), *butterfly(x[1], x[3]))


def dft8(x: Sequence[Complex]) -> list[Complex]:
    """Transform of 8 points: 2 x 4, with rotations by 45 degrees fused into the last step."""
    even, odd = dft4(x[0::2]), dft4(x[1::2])
    pairs = [
        butterfly(even[0], odd[0]),
        scaled_butterfly(even[1], _eighth(odd[1]), _HALF),
        _minus_i_butterfly(even[2], odd[2]),
        scaled_butterfly(even[3], _eighth(odd[3]).turned(), _HALF),
    ]
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def dft16(x: Sequence[Complex]) -> list[Complex]:
    """Transform of 16 points: 4 x 4.

    Rotations by 45 degrees are part of the fused operations of the second step, the others are
    separate multiplications, so that additions and multiplications keep both kinds of unit busy.
    """
    return [y for _, y in sorted(dft16_in_steps(x), key=itemgetter(0))]


def dft16_in_steps(x: Sequence[Complex]) -> Iterator[tuple[int, Complex]]:
    """Yield the points of `dft16` with their numbers, four after each second step."""
    columns = [dft4(x[j::4]) for j in range(4)]
    for k in range(4):
        step = _second_step(k, [column[k] for column in columns])
        yield from zip(range(k, 16, 4), step, strict=True)


def in_steps(x: Sequence[Complex]) -> Iterator[tuple[int, Complex]]:
    """Yield the points of a transform with their numbers, in the order in which they are ready.

    Code that uses them in this order keeps fewer of them waiting in registers.
    """
    return dft16_in_steps(x) if len(x) == 16 else enumerate(DFT[len(x)](x))


def _second_step(k: int, b: Sequence[Complex]) -> list[Complex]:
    if k == 0:
        return dft4(b)
    if k == 2:
        t0, t1 = _minus_i_butterfly(b[0], b[2])
        plus, minus = butterfly(_eighth(b[1]), _eighth(b[3]).turned())
        y0, y2 = scaled_butterfly(t0, plus, _HALF)
        y1, y3 = scaled_butterfly(t1, minus.turned(), _HALF)
        return [y0, y1, y2, y3]
    half = _eighth(b[2]) if k == 1 else _eighth(b[2]).turned()
    t0, t1 = scaled_butterfly(b[0], half, _HALF)
    t2, t3 = butterfly(b[1].times(_root(16, k)), b[3].times(_root(16, 3 * k)))
    return _finish4(t0, t1, t2, t3)


def _root(n: int, k: int) -> complex:
    return cmath.exp(-2j * math.pi * k / n)


def _weighted(terms: Sequence[tuple[Any, float]], first: Any = None) -> Any:
    """Return ``first + sum(x w)``, by fused operations in the order of the terms."""
    total = first
    for x, weight in terms:
        total = x * weight if total is None else x.fma(weight, total)
    return total


def dft_odd(x: Sequence[Complex]) -> list[Complex]:
    """Transform of an odd prime number of points, from sums and differences of mirrored points.

    ``X[k] = x[0] + sum_j (a_j cos_jk - i b_j sin_jk)`` with a_j = x[j] + x[n-j] and
    b_j = x[j] - x[n-j]; X[n-k] has the other sign of the second term.
    """
    n = len(x)
    first, half = x[0], n // 2
    both = [butterfly(x[j], x[n - j]) for j in range(1, half + 1)]
    total = first
    for a, _ in both:
        total = total.plus(a)
    out = [total] * n
    for k in range(1, half + 1):
        angles = [2 * math.pi * (j * k % n) / n for j in range(1, half + 1)]
        cosines, sines = ([function(angle) for angle in angles]
                          for function in (math.cos, math.sin))
        even = Complex(*(
            _weighted([(a[part], c) for (a, _), c in zip(both, cosines, strict=True)], first[part])
            for part in (0, 1)))
        odd = Complex(*(
            _weighted([(b[part], c) for (_, b), c in zip(both, sines, strict=True)])
            for part in (0, 1)))
        out[k], out[n - k] = _minus_i_butterfly(even, odd)
    return out


def _product(n: int, m: int) -> Callable[[Sequence[Complex]], list[Complex]]:
    """Return the transform of ``n m`` points: m transforms of n points, then n of m points."""

    def transform(x: Sequence[Complex]) -> list[Complex]:
        columns = [DFT[n](x[j::m]) for j in range(m)]
        out: list[Complex] = [columns[0][0]] * (n * m)
        for k in range(n):
            row = [column[k] if j * k == 0 else column[k].times(_root(n * m, j * k))
                   for j, column in enumerate(columns)]
            out[k::n] = DFT[m](row)
        return out

    return transform


DFT: dict[int, Callable[[Sequence[Complex]], list[Complex]]] = {
    2: dft2, 3: dft_odd, 4: dft4, 5: dft_odd, 7: dft_odd, 8: dft8, 16: dft16}
DFT |= {n * m: _product(n, m) for n, m in ((3, 2), (3, 3), (5, 2), (3, 4), (5, 3))}


def transpose(emit: Any, x: Sequence[Any]) -> list[Any]:
    """Transpose a square matrix of vectors.

    Elements are moved within 128 bits first, where an unpack costs one cheap instruction, and
    then as whole 128-bit parts.
    """
    n = emit.lanes
    rows = list(x)
    for step in (1, 2):
        if step < n:
            rows = _unpack(emit, rows, step)
    # Now 128-bit part L of row 4 g + j contains column 4 L + j of rows 4 g ... 4 g + 3.
    if n <= 4:
        return rows
    out = [rows[0]] * n
    for j in range(4):
        for part, vector in enumerate(_gather_parts(emit, rows[j::4])):
            out[4 * part + j] = vector
    return out


def _unpack(emit: Any, rows: list[Any], step: int) -> list[Any]:
    n = emit.lanes
    width = min(4, n)
    low, high = [], []
    for first in range(0, n, width):
        for half, mask in ((0, low), (1, high)):
            base = first + half * (width // 2)
            for i in range(0, width // 2, step):
                mask += [base + i + s for s in range(step)]
                mask += [n + base + i + s for s in range(step)]
    out = list(rows)
    for first in range(0, n, 2 * step):
        for i in range(step):
            a, b = rows[first + i], rows[first + step + i]
            out[first + 2 * i] = emit.shuffle(a, b, low)
            out[first + 2 * i + 1] = emit.shuffle(a, b, high)
    return out


def _gather_parts(emit: Any, vectors: list[Any]) -> list[Any]:
    """Return, for each 128-bit part, a vector that collects this part of each of `vectors`."""
    n = emit.lanes
    if len(vectors) == 1:
        return vectors
    parts = n // 4
    even = [4 * p + s for p in range(0, 2 * parts, 2) for s in range(4)]
    odd = [4 * p + s for p in range(1, 2 * parts, 2) for s in range(4)]
    pairs = list(zip(vectors[0::2], vectors[1::2], strict=True))
    evens = _gather_parts(emit, [emit.shuffle(a, b, even) for a, b in pairs])
    odds = _gather_parts(emit, [emit.shuffle(a, b, odd) for a, b in pairs])
    return [vector for pair in zip(evens, odds, strict=True) for vector in pair]


def interleave(emit: Any, x: Sequence[Any]) -> list[Any]:
    """Return the sequence ``x[0][0], x[1][0], ... x[0][1], x[1][1], ...`` as vectors."""
    n, count = emit.lanes, len(x)
    if count == n and n > 2:
        return transpose(emit, x)
    if count == 1 or n == 1:
        return list(x)
    low = [i // 2 + (i % 2) * n for i in range(n)]
    high = [n // 2 + i for i in low]
    out = []
    for a, b in zip(interleave(emit, x[0::2]), interleave(emit, x[1::2]), strict=True):
        out += [emit.shuffle(a, b, low), emit.shuffle(a, b, high)]
    return out


def deinterleave(emit: Any, a: Any, b: Any) -> Complex:
    """Return the real and imaginary parts of the pairs in two vectors."""
    n = emit.lanes
    return Complex(
        emit.shuffle(a, b, range(0, 2 * n, 2)), emit.shuffle(a, b, range(1, 2 * n, 2))
    )
