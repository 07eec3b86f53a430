"""LZ4 blocks: runs of literal bytes, and copies of earlier bytes.

A block is a list of sequences. Each begins with one byte: its upper four bits are the number of
literal bytes, its lower four bits the length of a copy, minus 4. A value of 15 means that further
bytes follow, up to the first that is not 255, which are added to the value. Then come the
literals, and two bytes that specify how far back the copied bytes begin, at least 1. The last
sequence has only literals, 5 or more, and no copy begins within the last 12 bytes.

References
----------
Y. Collet, LZ4 Block Format Description (2022).
"""

import numpy as np

from ._jit import jit_strict
from ._memory import (
    copy,
    copy16,
    copy32,
    get8,
    get16,
    get32,
    get64,
    put8,
    put16,
    trailing_zeros,
)

#: Number of bytes beyond the end of its result that `expand_nb` may overwrite.
SLACK = 32

#: Number of entries in the table of `compress_nb`.
TABLE = 2**12

_SHIFT = 20  # from 32 bits to the index of an entry
_LAST_LITERALS, _LAST_START = 5, 12
_PATIENCE = 6  # the step grows by 1 for every 2^6 positions without a match


def bound(n: int) -> int:
    """Return the largest packed size of `n` bytes, plus what `compress_nb` may overwrite."""
    return n + n // 255 + 16 + SLACK


@jit_strict
def expand_nb(source, i, n_source, target, n_target):
    """Expand the block in bytes `i` to ``i + n_source - 1``.

    Returns whether it expands to exactly `n_target` bytes. `target` must be larger than that by
    `SLACK`. Whatever the block contains, the result depends on no byte outside of it, and nothing
    outside of the arrays is read or written.
    """
    stop, o = i + n_source, 0
    while i < stop:
        token = get8(source, i)
        i += 1
        n = token >> 4
        if n == 15:
            more = 255
            while more == 255:
                if i == stop:
                    return False
                more = get8(source, i)
                n += more
                i += 1
        if n > stop - i or n > n_target - o:
            return False
        if n <= 32 and i + 32 <= source.size:
            copy32(source, i, target, o)
        else:
            copy(source, i, target, o, n)
        i += n
        o += n
        if i == stop:
            return o == n_target
        if stop - i < 2:
            return False
        back = get16(source, i)
        i += 2
        n = 4 + (token & 15)
        if n == 19:
            more = 255
            while more == 255:
                if i == stop:
                    return False
                more = get8(source, i)
                n += more
                i += 1
        if back == 0 or back > o or n > n_target - o:
            return False
        _repeat_nb(target, o, back, n)
        o += n
    return False


@jit_strict
def _repeat_nb(target, o, back, n):
    """Copy `n` bytes that begin `back` bytes before `o`, some of which this call may write."""
    k = 0
    if back < 16:
        # Use a multiple of the period that is 16 or more: that many bytes exist after 16 more.
        while k < n and k < 16:
            put8(target, o + k, get8(target, o + k - back))
            k += 1
        back *= (15 + back) // back
    while k < n:
        copy16(target, o + k - back, target, o + k)
        k += 16


@jit_strict
def compress_nb(source, first, n, target, o, table):
    """Pack `n` bytes, at most 65535, of `source` from `first` on into `target` from `o` on.

    Returns the end of the packed bytes. `table` has `TABLE` uint16 entries; `target` has `bound`
    bytes from `o` on.
    """
    anchor = 0
    if n > _LAST_START:
        table[:] = 0
        place, last = 1, n - _LAST_START
        while place <= last:
            place, match = _find_nb(source, first, place, last, table)
            if place > last:
                break
            while place > anchor and match > 0 and (
                get8(source, first + place - 1) == get8(source, first + match - 1)
            ):
                place -= 1
                match -= 1
            length = _length_nb(source, first + match, first + place, first + n - _LAST_LITERALS)
            o = _sequence_nb(source, first + anchor, place - anchor, target, o, length - 4)
            put16(target, o, place - match)
            o = _lengths_nb(target, o + 2, length - 4)
            place += length
            anchor = place
            if place <= last:
                table[_hash_nb(get32(source, first + place - 2))] = place - 2
    return _sequence_nb(source, first + anchor, n - anchor, target, o, 0)


@jit_strict
def _hash_nb(word):
    return np.uint64((word * 2654435761 & 0xFFFFFFFF) >> _SHIFT)


@jit_strict
def _find_nb(source, first, place, last, table):
    """Find a position where four bytes repeat earlier ones; return it and the earlier position.

    The returned position is beyond `last` if there is none.
    """
    tries = 1 << _PATIENCE
    while place <= last:
        word = get32(source, first + place)
        entry = _hash_nb(word)
        match = np.int64(table[entry])
        table[entry] = place
        if get32(source, first + match) == word:
            return place, match
        place += tries >> _PATIENCE
        tries += 1
    return place, 0


@jit_strict
def _length_nb(source, a, b, stop):
    """Return how many bytes from `a` and from `b` on are equal, up to `stop` for `b`."""
    n = 4
    while b + n + 8 <= stop:
        differ = get64(source, a + n) ^ get64(source, b + n)
        if differ != 0:
            return n + (trailing_zeros(differ) >> 3)
        n += 8
    while b + n < stop and get8(source, a + n) == get8(source, b + n):
        n += 1
    return n


@jit_strict
def _sequence_nb(source, i, n, target, o, length):
    """Write the beginning of a sequence: its first byte and its literals."""
    put8(target, o, (min(n, 15) << 4) + min(length, 15))
    o = _lengths_nb(target, o + 1, n)
    if n <= 32 and i + 32 <= source.size:
        copy32(source, i, target, o)
    else:
        copy(source, i, target, o, n)
    return o + n


@jit_strict
def _lengths_nb(target, o, n):
    """Write the part of a length that does not fit in four bits."""
    if n < 15:
        return o
    n -= 15
    while n >= 255:
        put8(target, o, 255)
        o += 1
        n -= 255
    put8(target, o, n)
    return o + 1
