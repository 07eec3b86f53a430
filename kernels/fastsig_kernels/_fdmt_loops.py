"""Loops of the fast dispersion measure transform over the steps of `_fdmt_program`.

Memory is specified by address (int64), and nothing is checked here. Rows are added in whole cache
lines, with room for them after each row. Every sum has one order, so that its bits do not depend on
how a stream is divided into blocks.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._fdmt_reading import (
    SPARE,
    above_item_of,
    bytes_of,
    copy_item,
    copy_line,
    item_of,
    put,
    read_channels_nb,
    read_times_nb,
    read_wide_nb,
    vector,
)
from ._fdmt_steps import ADD, CHANNELS, LOAD, READ, WIDE
from ._jit import jit_strict, jit_strict_inner, one_form
from ._meeting import meet_nb
from ._simd import Emitter, Vector, address_of, finish_stores

_I16, _I32, _I64 = (ir.IntType(n) for n in (16, 32, 64))
_FLOAT = ir.FloatType()
_i = types.int64
_rows = types.UniTuple(_i, 4)


def _total(add: Any, terms: list[Any]) -> Any:
    """Return the sum of two terms, or the sum of two sums of two."""
    if len(terms) == 2:
        return add(*terms)
    return add(add(*terms[:2]), add(*terms[2:]))


@intrinsic(prefer_literal=True)
def _add_lines(typingctx, spec, n_term, n, out, terms, at):
    """Add `n` cache lines of sums below the cut, `at` bytes from the addresses of the rows.

    `terms` is a tuple of addresses, of which the first `n_term` are used: 2 or 4.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (n_term, n)):
        return None

    def codegen(context, builder, signature, args):
        integer = spec.items["item"] == 2
        kind = ir.VectorType(_I16, 32) if integer else ir.VectorType(_FLOAT, 16)
        add = builder.add if integer else builder.fadd
        out, terms, at = args[3:]
        rows = [builder.add(builder.extract_value(terms, i), at)
                for i in range(n_term.literal_value)]
        for line in range(n.literal_value):
            total = _total(add, [vector(builder, row, kind, 64 * line) for row in rows])
            put(builder, total, builder.add(out, at), 64 * line)
        return context.get_dummy_value()

    return types.void(spec, n_term, n, _i, _rows, _i), codegen


@intrinsic(prefer_literal=True)
def _add_channels(typingctx, spec, n_term, n, out, terms, t):
    """Add `n` cache lines of sums of channels as they are kept, from sample `t` of the rows on.

    `terms` is a tuple of addresses, of which the first `n_term` are used: 1, 2 or 4.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (n_term, n)):
        return None

    def codegen(context, builder, signature, args):
        integer = spec.items["item"] == 2
        kind = ir.VectorType(ir.IntType(8), 32) if integer else ir.VectorType(_FLOAT, 16)
        size = 1 if integer else 4
        out, terms, t = args[3:]
        at = builder.mul(t, ir.Constant(_I64, size))
        rows = [builder.add(builder.extract_value(terms, i), at)
                for i in range(n_term.literal_value)]
        out = builder.add(out, builder.mul(t, ir.Constant(_I64, 2 if integer else 4)))
        for line in range(n.literal_value):
            values = [vector(builder, row, kind, size * kind.count * line) for row in rows]
            if integer:
                values = [builder.sext(x, ir.VectorType(_I16, 32)) for x in values]
            add = builder.add if integer else builder.fadd
            put(builder, values[0] if len(values) == 1 else _total(add, values), out, 64 * line)
        return context.get_dummy_value()

    return types.void(spec, n_term, n, _i, _rows, _i), codegen


@intrinsic(prefer_literal=True)
def _add_across(typingctx, spec, is_cut, stream, n_term, n, out, terms, t, offset):
    """Add `n` times 16 sums to float32: of rows below the cut if `is_cut`, otherwise above it.

    `t` is the number of sums before. With `stream`, results bypass the cache; they then lie on
    cache lines.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (is_cut, stream, n_term, n)):
        return None

    def codegen(context, builder, signature, args):
        out, terms, t, offset = args[5:]
        emit = Emitter(builder, 16)
        floats = ir.VectorType(_FLOAT, 16)
        integer = spec.items["item" if is_cut.literal_value else "above_item"] == 2
        kind, size = (ir.VectorType(_I16, 16), 2) if integer else (floats, 4)

        def read(i: int, term: int) -> Any:
            at = builder.mul(t, ir.Constant(_I64, size))
            at = builder.add(builder.extract_value(terms, term), at)
            x = vector(builder, at, kind, 16 * size * i)
            return builder.sext(x, ir.VectorType(_I32, 16)) if integer else x

        out = builder.add(out, builder.mul(t, ir.Constant(_I64, 4)))
        for i in range(n.literal_value):
            add = builder.add if integer else builder.fadd
            total = _total(add, [read(i, term) for term in range(n_term.literal_value)])
            if integer:
                total = builder.fadd(builder.sitofp(total, floats), emit.broadcast(offset).value)
            if stream.literal_value:
                emit.store_past_cache(Vector(emit, total), out, 64 * i)
            else:
                put(builder, total, out, 64 * i)
        return context.get_dummy_value()

    return types.void(spec, is_cut, stream, n_term, n, _i, _rows, _i, types.float32), codegen


@jit_strict_inner
def _terms_nb(ops, i, move):
    """Return the addresses of the terms of an operation, moved by `move` bytes."""
    return ops[i, 1] + move, ops[i, 2] + move, ops[i, 3] + move, ops[i, 4] + move


@jit_strict_inner
def _add_pairs_nb(spec, ops, size, move):
    """Add two rows of `size` bytes, which may go over by less than a cache line.

    Results are `move` bytes after their places.
    """
    for i in range(ops.shape[0]):
        out, terms = ops[i, 0] + move, _terms_nb(ops, i, 0)
        at = 0
        while at + 256 <= size:
            _add_lines(spec, 2, 4, out, terms, at)
            at += 256
        while at < size:
            _add_lines(spec, 2, 1, out, terms, at)
            at += 64


@jit_strict_inner
def _add_fours_nb(spec, ops, size, move):
    """Add four rows of `size` bytes, as `_add_pairs_nb`."""
    for i in range(ops.shape[0]):
        out, terms = ops[i, 0] + move, _terms_nb(ops, i, 0)
        at = 0
        while at + 128 <= size:
            _add_lines(spec, 4, 2, out, terms, at)
            at += 128
        while at < size:
            _add_lines(spec, 4, 1, out, terms, at)
            at += 64


@jit_strict_inner
def _add_channels_nb(spec, n_term, ops, n, move):
    """Add `n` samples of rows of channels, `move` bytes after their places, as `_add_pairs_nb`."""
    line = 64 // item_of(spec)
    for i in range(ops.shape[0]):
        out, terms = ops[i, 0], _terms_nb(ops, i, move)
        t = 0
        while n_term == 4 and t + 2 * line <= n:
            _add_channels(spec, 4, 2, out, terms, t)
            t += 2 * line
        while t < n:
            if n_term == 4:
                _add_channels(spec, 4, 1, out, terms, t)
            elif n_term == 2:
                _add_channels(spec, 2, 1, out, terms, t)
            else:
                _add_channels(spec, 1, 1, out, terms, t)
            t += line


@jit_strict_inner
def _copy_rows_nb(source, source_step, target, target_step, size, n_row):
    """Copy rows of whole cache lines, forward."""
    for row in range(n_row):
        for at in range(0, size, 64):
            copy_line(source + row * source_step + at, target + row * target_step + at)


@jit_strict_inner
def _below_nb(samples, sums, source, time_step, chan_step, n_chan, n, window, steps, ops, targets,
              spare):
    """Compute the nodes at the cut for a block of `n` samples, which begins at `source`.

    `window` is the place of the block in the rows that keep the past, in samples.
    """
    item, sample = item_of(sums), bytes_of(samples)
    for i in range(steps.shape[0]):
        kind, a, b, c, d, e, _ = steps[i]
        if kind == READ:
            rows, move = targets[b : b + c], d * window * item_of(samples)
            if chan_step != sample:
                read_channels_nb(samples, source + a * chan_step, chan_step, n_chan, n, rows, move,
                                 spare)
            elif c == WIDE:
                read_wide_nb(samples, source + a, time_step, n, address_of(rows), move, spare)
            else:
                read_times_nb(samples, source + a * sample, time_step, n_chan, n, address_of(rows),
                              move, spare)
        elif kind == ADD:
            size, move = (n + e) * item, d * window * item
            if c == 4:
                _add_fours_nb(sums, ops[a:b], size, move)
            else:
                _add_pairs_nb(sums, ops[a:b], size, move)
        elif kind == CHANNELS:
            _add_channels_nb(sums, c, ops[a:b], n + e, window * item_of(samples))
        elif kind == LOAD:
            _copy_rows_nb(c, d, a - d, b, d, e)
        else:
            _copy_rows_nb(a + n * item - d, b, c, d, d, e)


@jit_strict_inner
def _sum_cut_nb(spec, n_term, out, terms, n, offset):
    """Add `n` sums of rows below the cut, which may go over by less than a cache line."""
    if n_term == 4:
        for t in range(0, n, 16):
            _add_across(spec, 1, 0, 4, 1, out, terms, t, offset)
    else:
        for t in range(0, n, 16):
            _add_across(spec, 1, 0, 2, 1, out, terms, t, offset)


@jit_strict_inner
def _sum_floats_nb(spec, n_term, out, terms, n, offset):
    """Add `n` sums of rows above the cut, which may go over by less than a cache line."""
    if n_term == 4:
        for t in range(0, n, 16):
            _add_across(spec, 0, 0, 4, 1, out, terms, t, offset)
    else:
        for t in range(0, n, 16):
            _add_across(spec, 0, 0, 2, 1, out, terms, t, offset)


@jit_strict_inner
def _stream_floats_nb(spec, n_term, out, terms, n, offset):
    """Do as `_sum_floats_nb`, past the cache, for whole cache lines."""
    if n_term == 4:
        for t in range(0, n, 16):
            _add_across(spec, 0, 1, 4, 1, out, terms, t, offset)
    else:
        for t in range(0, n, 16):
            _add_across(spec, 0, 1, 2, 1, out, terms, t, offset)


@jit_strict_inner
def _sum_narrow_nb(spec, n_term, out, terms, n):
    """Add `n` sums of 16 bits to sums of 16 bits."""
    if n_term == 4:
        for at in range(0, 2 * n, 64):
            _add_lines(spec, 4, 1, out, terms, at)
    else:
        for at in range(0, 2 * n, 64):
            _add_lines(spec, 2, 1, out, terms, at)


@jit_strict_inner
def _sum_above_nb(spec, is_cut, n_term, out, terms, n, offset):
    """Add `n` sums of a node above the cut that is not the root."""
    if above_item_of(spec) == 2:
        _sum_narrow_nb(spec, n_term, out, terms, n)
    else:
        _sum_run_nb(spec, is_cut, False, n_term, out, terms, n, offset)


@one_form
@jit_strict_inner
def _sum_run_nb(spec, is_cut, stream, n_term, out, terms, n, offset):
    """Add `n` sums."""
    if is_cut:
        _sum_cut_nb(spec, n_term, out, terms, n, offset)
    elif stream:
        _stream_floats_nb(spec, n_term, out, terms, n, offset)
    else:
        _sum_floats_nb(spec, n_term, out, terms, n, offset)


@jit_strict_inner
def _above_nb(spec, n, window, steps, ops, out, out_step, large, spare):
    """Compute rows above the cut for a block of `n` samples.

    `window` is the place of the block in rows at the cut, in samples. `large` is whether the output
    does not fit into a cache.
    """
    item, above_item, local = item_of(spec), above_item_of(spec), address_of(spare)
    whole = n // 16 * 16
    # Whole lines of a large output are not read before they are written.
    stream = large and (out | out_step) % 64 == 0
    for i in range(steps.shape[0]):
        is_cut, start, stop, n_term, is_root, more, total = steps[i]
        offset = np.float32(total)
        move = window * item if is_cut else 0
        for j in range(start, stop):
            terms = _terms_nb(ops, j, move)
            if not is_root:
                _sum_above_nb(spec, is_cut, n_term, ops[j, 0], terms, n + more, offset)
                continue
            to = out + ops[j, 0] * out_step
            _sum_run_nb(spec, is_cut, stream, n_term, to, terms, whole, offset)
            if whole < n:
                left = _terms_nb(ops, j, move + whole * (item if is_cut else above_item))
                _sum_run_nb(spec, is_cut, False, n_term, local, left, 16, offset)
                for t in range(n - whole):
                    copy_item(4, local + 4 * t, to + 4 * (whole + t))
    if stream:
        finish_stores(spec)


@jit_strict_inner
def _move_rows_nb(moves, n_byte):
    """Move what rows need of the past to their beginning, after `n_byte` bytes of new samples."""
    for i in range(moves.shape[0]):
        place, step, size, n_row = moves[i]
        _copy_rows_nb(place + n_byte - size, step, place - size, step, size, n_row)


@jit_strict
def run_nb(samples, sums, source, time_step, chan_step, n_chan, n, block, window, n_window,
           by_channel, below, below_ops, targets, above, above_ops, moves, out, out_step, large,
           meeting, n_thread):
    """Do the steps of one thread for `n` samples, block by block; return the next `window`.

    `window` is the place of the next samples in the rows that keep the past, which have room for
    `n_window` samples after it: those of channels if `by_channel`, otherwise those at the cut. Each
    thread moves the rows that it computes: threads meet before rows at the cut, which others read,
    move or are computed anew, and before rows are read that others compute.
    """
    met, spare = 0, np.zeros(SPARE, np.uint8)  # in use in the loop, so numba frees it afterwards
    for first in range(0, n, block):
        count = min(block, n - first)
        is_full = window + count > n_window
        if is_full or by_channel:
            met = meet_nb(meeting, n_thread, met)
        if is_full:
            _move_rows_nb(moves, item_of(samples) * window)
            window = 0
        _below_nb(samples, sums, source + first * time_step, time_step, chan_step, n_chan, count,
                  window, below, below_ops, targets, spare)
        met = meet_nb(meeting, n_thread, met)
        _above_nb(sums, count, 0 if by_channel else window, above, above_ops, out + 4 * first,
                  out_step, large, spare)
        window += count
    return window
