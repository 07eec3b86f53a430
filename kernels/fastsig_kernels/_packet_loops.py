"""Received packets are put into their places in a ring, and those that have none are counted.

Nothing in a packet is used as an address or a size. Its counter becomes the number of a slot
relative to the first one, and only if that lies in a window around the highest slot is the packet
put into the ring, at the remainder modulo the number of slots. A counter outside of this window is
believed only if several packets in succession agree with it; they are held back until then.

Packets are copied past the cache, several together, because each wait for such copies takes as long
as a quarter of a copy. Until then the number in a place is that of no slot (`_coming`).
"""

from ._jit import jit_strict, jit_strict_inner
from ._memory import copy, copy_past_cache, finish_copies, get64
from ._packet_forms import (
    AGE,
    BEAM,
    BEAM_MASK,
    CONFIRM,
    COUNT_MASK,
    GAP_FROM,
    GAP_TO,
    HEADER_BYTES,
    HELD_SENDER,
    KIND,
    MASK,
    MASK_2,
    MOST_FIRST,
    MOST_JUMP,
    MOST_TODO,
    N_HELD,
    N_PART,
    N_TODO,
    ONE_SENDER,
    PACKET_BYTES,
    PAIRS,
    PART_SHIFT,
    PER_SECOND,
    PERIOD,
    PLANNED,
    REORDER,
    SPLIT_BITS,
    STARTED_AS,
    THREADS,
    UNTIL,
    VALUE,
    VALUE_2,
    WORD,
)
from ._ring_words import COUNTER_AT, STATE_AT

_STARTED, _FIRST, _SENDER = STATE_AT["started"], STATE_AT["first"], STATE_AT["sender"]
_HIGHEST, _HEAD = STATE_AT["highest"], STATE_AT["head"]
_RECEIVED, _PLACED, _LATE = (COUNTER_AT[name] for name in ("received", "placed", "late"))
_DUPLICATE, _LOST, _JUMPS = (COUNTER_AT[name] for name in ("duplicate", "lost", "jumps"))
_LENGTH, _HEADER = COUNTER_AT["bad_length"], COUNTER_AT["bad_header"]
_OTHER_BEAM, _OTHER_SENDER = COUNTER_AT["other_beam"], COUNTER_AT["other_sender"]
_UNCONFIRMED = COUNTER_AT["unconfirmed"]

_SECONDS, _FRAME, _THREAD = 2**30 - 1, 2**24 - 1, 2**10 - 1
#: Packets of others, in units of those that confirm, after which held packets are given up.
_PATIENCE = 16

#: What `place_packets_nb` returns if the counter has gone back or too far ahead.
RESTARTED = 1


@jit_strict_inner
def _parsed(form, raw, at, size):
    """Return the counter that a packet belongs to (0 if none), its slot and its part."""
    if size != form[PACKET_BYTES]:
        return _LENGTH, 0, 0
    word = get64(raw, at)
    if word & form[MASK] != form[VALUE]:
        return _HEADER, 0, 0
    if form[KIND] != WORD:
        return _parsed_vdif(form, word, get64(raw, at + 8))
    count = word & form[COUNT_MASK]
    split = form[SPLIT_BITS]
    part = count & ((1 << split) - 1)
    if form[PART_SHIFT] >= 0:
        part |= ((word >> form[PART_SHIFT]) & 1) << split
    if word & form[BEAM_MASK] != form[BEAM] or part >= form[N_PART]:
        return _OTHER_BEAM, 0, 0
    return 0, count >> split, part


@jit_strict_inner
def _parsed_vdif(form, word, second):
    frame = (word >> 32) & _FRAME
    if second & form[MASK_2] != form[VALUE_2] or frame >= form[PER_SECOND]:
        return _HEADER, 0, 0
    part = form[THREADS + ((second >> 48) & _THREAD)]
    if part < 0:
        return _OTHER_BEAM, 0, 0
    return 0, (word & _SECONDS) * form[PER_SECOND] + frame, part


@jit_strict_inner
def _relative(form, difference):
    """Return the difference of two counters, which begin again at 0 after the largest one."""
    turned = difference % form[PERIOD]
    return turned - form[PERIOD] if turned >= form[PERIOD] // 2 else turned


@jit_strict_inner
def _coming(slot):
    """Return the number in the place of a packet of this slot that is about to be copied."""
    return -2 - slot


@jit_strict_inner
def _has(numbers, slot, part):
    """Whether a packet is in its place, or about to be copied there."""
    number = numbers[slot % len(numbers), part]
    return number == slot or number == _coming(slot)


@jit_strict_inner
def _publish(words, numbers, held, head):
    """Plan to let readers read the slots before `head`; count the packets that are missing."""
    slot = held[PLANNED]
    if head <= slot:
        return
    held[PLANNED] = head
    while slot < head:
        if held[GAP_FROM] <= slot < held[GAP_TO]:
            after = min(head, held[GAP_TO])
            words[_LOST] += (after - slot) * numbers.shape[1]
            slot = after
            continue
        for part in range(numbers.shape[1]):
            if not _has(numbers, slot, part):
                words[_LOST] += 1
        slot += 1


@jit_strict_inner
def _put(form, was_held, at, slot, part, held, todo, words, numbers):
    """Note that a packet is to be copied to its place, unless it is already there."""
    if _has(numbers, slot, part):
        words[_DUPLICATE] += 1
        return
    place = slot % len(numbers)
    numbers[place, part] = _coming(slot)
    n = held[N_TODO]
    todo[n, 0], todo[n, 1] = was_held, at + form[HEADER_BYTES]
    todo[n, 2], todo[n, 3] = place * numbers.shape[1] + part, slot
    held[N_TODO] = n + 1
    words[_PLACED] += 1
    if slot >= words[_HIGHEST]:
        words[_HIGHEST] = slot + 1
        if slot >= held[UNTIL]:
            _publish(words, numbers, held, slot + 1 - form[REORDER])


@jit_strict_inner
def _copy_all(form, raw, held, held_raw, todo, words, numbers, payload):
    """Copy the packets that are to be copied, and let readers read what was planned."""
    n = form[PACKET_BYTES] - form[HEADER_BYTES]
    finish_copies()
    for k in range(held[N_TODO]):
        copy_past_cache(held_raw if todo[k, 0] else raw, todo[k, 1], payload, todo[k, 2] * n, n)
    finish_copies()
    flat = numbers.reshape(-1)
    for k in range(held[N_TODO]):
        if flat[todo[k, 2]] == _coming(todo[k, 3]):  # not replaced since
            flat[todo[k, 2]] = todo[k, 3]
    held[N_TODO] = 0
    finish_copies()
    words[_HEAD] = held[PLANNED]


@jit_strict_inner
def _is_expected(form, slot, held, words):
    """Whether a packet of this slot may come now."""
    inside = held[PLANNED] <= slot < words[_HIGHEST] + form[REORDER]
    return inside and not held[GAP_FROM] <= slot < held[GAP_TO]


@jit_strict_inner
def _give_up(held, words):
    """Count the packets that are held back as not confirmed."""
    words[_UNCONFIRMED] += held[N_HELD]
    held[N_HELD] = 0


@jit_strict_inner
def _hold(form, raw, at, slot, part, sender, held, held_raw, words):
    """Hold a packet back; return whether enough packets in succession agree."""
    n = held[N_HELD]
    if n > 0 and sender != held[HELD_SENDER] and form[ONE_SENDER] != 0:
        held[AGE] += 1
        if held[AGE] < _PATIENCE * form[CONFIRM]:
            words[_OTHER_SENDER] += 1
            return False
        _give_up(held, words)
    elif n > 0 and abs(_relative(form, slot - held[PAIRS])) > form[REORDER]:
        _give_up(held, words)
    n = held[N_HELD]
    for k in range(n):
        if held[PAIRS + 2 * k] == slot and held[PAIRS + 2 * k + 1] == part:
            words[_DUPLICATE] += 1
            return False
    held[HELD_SENDER], held[AGE] = sender, 0
    held[PAIRS + 2 * n], held[PAIRS + 2 * n + 1] = slot, part
    copy(raw, at, held_raw, n * form[PACKET_BYTES], form[PACKET_BYTES])
    held[N_HELD] = n + 1
    return n + 1 == form[CONFIRM]


@jit_strict_inner
def _lowest(form, held):
    """Return the lowest slot of the packets that are held back."""
    low = 0
    for k in range(held[N_HELD]):
        low = min(low, _relative(form, held[PAIRS + 2 * k] - held[PAIRS]))
    return (held[PAIRS] + low) % form[PERIOD]


@jit_strict_inner
def _jump(form, slot, held, words, numbers):
    """Go on at `slot`; packets from before the jump may still come for as long as others."""
    _publish(words, numbers, held, words[_HIGHEST] - form[REORDER])
    came, words[_HIGHEST] = words[_HIGHEST], max(words[_HIGHEST], slot)
    words[_JUMPS] += 1
    held[GAP_FROM], held[GAP_TO] = came + form[REORDER], slot - form[REORDER]
    if slot + 2 * form[REORDER] - held[PLANNED] < len(numbers):
        held[UNTIL] = slot + form[REORDER]
    else:  # those packets would be overwritten
        _publish(words, numbers, held, slot - form[REORDER])


@jit_strict_inner
def _believe(form, raw, held, held_raw, todo, words, numbers, payload):
    """Begin, or go on, with the packets that are held back; return 0 or `RESTARTED`."""
    lowest = _lowest(form, held)
    if words[_STARTED] == 0 and lowest > form[MOST_FIRST]:
        _give_up(held, words)
        return 0
    if words[_STARTED] == 0:
        words[_FIRST], words[_SENDER] = lowest, held[HELD_SENDER]
        finish_copies()
        words[_STARTED] = form[STARTED_AS]
    else:
        slot = _relative(form, lowest - words[_FIRST])
        if slot < held[PLANNED] or slot - words[_HIGHEST] > form[MOST_JUMP]:
            return RESTARTED
        _jump(form, slot, held, words, numbers)
    for k in range(held[N_HELD]):
        slot = _relative(form, held[PAIRS + 2 * k] - words[_FIRST])
        if held[N_TODO] == MOST_TODO:
            _copy_all(form, raw, held, held_raw, todo, words, numbers, payload)
        _put(form, 1, k * form[PACKET_BYTES], slot, held[PAIRS + 2 * k + 1], held, todo, words,
             numbers)
    _copy_all(form, raw, held, held_raw, todo, words, numbers, payload)
    held[N_HELD] = 0
    return 0


@jit_strict
def place_packets_nb(form, raw, stride, sizes, senders, n, held, held_raw, todo, words, numbers,
                     payload):
    """Put `n` packets into a ring; return 0, or `RESTARTED` if the rest belongs to a new stream.

    Parameters
    ----------
    form : ndarray, int64
        As returned by `PacketForm.table`.
    raw : ndarray, uint8
        The packets, at multiples of `stride` bytes.
    sizes, senders : ndarray, (n,), int64
        Their lengths, in bytes (-1 if one was longer than its memory), and numbers that identify
        their senders.
    held, held_raw, todo : ndarray
        As returned by `PacketForm.held`.
    words : ndarray, (64,), int64
        State and counters of the ring.
    numbers : ndarray, (slot, part), int64
    payload : ndarray, (slot * part * byte,), uint8
    """
    for i in range(n):
        words[_RECEIVED] += 1
        code, count, part = _parsed(form, raw, i * stride, sizes[i])
        if code != 0:
            words[code] += 1
            continue
        if words[_STARTED] != 0:
            if form[ONE_SENDER] != 0 and senders[i] != words[_SENDER]:
                words[_OTHER_SENDER] += 1
                continue
            slot = _relative(form, count - words[_FIRST])
            if _is_expected(form, slot, held, words):
                held[AGE] += 1
                if held[AGE] > form[REORDER] * form[N_PART]:
                    _give_up(held, words)
                if held[N_TODO] == MOST_TODO:
                    _copy_all(form, raw, held, held_raw, todo, words, numbers, payload)
                _put(form, 0, i * stride, slot, part, held, todo, words, numbers)
                continue
            if held[PLANNED] - len(numbers) <= slot < held[PLANNED]:
                again = slot >= 0 and _has(numbers, slot, part)
                words[_DUPLICATE if again else _LATE] += 1
                continue
        if _hold(form, raw, i * stride, count, part, senders[i], held, held_raw, words) and (
                _believe(form, raw, held, held_raw, todo, words, numbers, payload) != 0):
            _copy_all(form, raw, held, held_raw, todo, words, numbers, payload)
            return RESTARTED
    _copy_all(form, raw, held, held_raw, todo, words, numbers, payload)
    return 0


@jit_strict
def flush_packets_nb(words, numbers, held, at_end):
    """Let readers read all that has come, when nothing has come for some time.

    Unless `at_end`, the newest slot is kept back if packets of it are missing: a sender may pause
    anywhere.
    """
    head = words[_HIGHEST]
    if at_end == 0 and head > held[PLANNED]:
        for part in range(numbers.shape[1]):
            if not _has(numbers, head - 1, part):
                head -= 1
                break
    _publish(words, numbers, held, head)
    words[_HEAD] = held[PLANNED]
