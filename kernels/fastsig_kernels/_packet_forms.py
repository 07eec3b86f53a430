"""The form of packets as numbers that compiled code reads, and the memory of packets held back."""

from typing import NamedTuple

import numpy as np

#: Kinds of header: fields of a word of 64 bits, or a VDIF header.
WORD, VDIF = 0, 1

#: Positions in the table of a form.
(KIND, PACKET_BYTES, HEADER_BYTES, N_PART, REORDER, CONFIRM, MOST_JUMP, ONE_SENDER, STARTED_AS,
 PERIOD, MASK, VALUE, BEAM_MASK, BEAM, COUNT_MASK, SPLIT_BITS, PART_SHIFT, MASK_2, VALUE_2,
 PER_SECOND, MOST_FIRST) = range(21)
#: Position of the parts of all VDIF threads; -1 for those that are left out.
THREADS = 32
N_THREAD = 1024

#: Positions in the table of packets held back: how many, their sender, and the number of other
#: packets since the last one. Then, about the last jump: the slots between which nothing can come,
#: and the slot before which nothing more may be read until it has come. Then the slots that may be
#: read after the packets of `todo` are copied, and how many these are. Then follow pairs of counter
#: and part.
N_HELD, HELD_SENDER, AGE, GAP_FROM, GAP_TO, UNTIL, PLANNED, N_TODO, PAIRS = range(9)
#: Packets that are copied together, and the numbers of each: whether it was held back, its first
#: byte, its place, and its slot.
MOST_TODO, TODO_WORDS = 64, 4

_MOST_CONFIRM = 64


class PacketForm(NamedTuple):
    """What a packet of a stream is, and when its counter is believed.

    A header of the kind `WORD` consists of 8 bytes, lowest byte first. The lowest bits of its
    counter are the lowest bits of the number of the part, and the others are the number of the
    slot.

    Parameters
    ----------
    kind : {WORD, VDIF}
    packet_bytes, header_bytes : int
    n_part : int
        Packets of a slot.
    reorder : int
        Slots by which a packet may be late or early.
    confirm : int
        Packets in succession that make a start or a jump credible.
    most_jump : int
        Largest jump of the counter, in slots, after which the stream goes on.
    most_first : int
        Largest slot of a counter at which the stream may begin.
    one_sender : bool
        Whether packets of any other sender than that of the first ones are left out.
    started_as : int
        State of a ring after its start: 1, or 2 if its start time must still be written.
    mask, value : int
        Bits of the header that have fixed values, and the values. For VDIF, those of words 0, 1.
    beam_mask, beam : int
        Bits that identify the beam, and those of this one.
    count_bits, split_bits : int
        Bits of the counter, and those of them that are part of the number of the part.
    part_bit : int
        The bit that is the highest bit of the number of the part; -1 if there is none.
    mask_2, value_2 : int
        Bits of words 2 and 3 of VDIF that have fixed values, and the values.
    per_second : int
        VDIF frames of a thread in a second.
    threads : tuple of int
        VDIF threads of the parts, in order.
    """

    kind: int
    packet_bytes: int
    header_bytes: int
    n_part: int
    reorder: int = 256
    confirm: int = 8
    most_jump: int = 2**40
    most_first: int = 2**62
    one_sender: bool = True
    started_as: int = 1
    mask: int = 0
    value: int = 0
    beam_mask: int = 0
    beam: int = 0
    count_bits: int = 56
    split_bits: int = 0
    part_bit: int = -1
    mask_2: int = 0
    value_2: int = 0
    per_second: int = 1
    threads: tuple[int, ...] = ()

    def table(self) -> np.ndarray:
        """Return the form as numbers, for `place_packets_nb`.

        Raises
        ------
        ValueError
            If a number is not possible.
        """
        if not 1 <= self.confirm <= _MOST_CONFIRM or self.reorder < 1 or self.n_part < 1:
            raise ValueError(f"form: found {self}, allowed 1 to {_MOST_CONFIRM} packets that "
                             "confirm, and 1 or more slots and parts")
        table = np.zeros(THREADS + N_THREAD, np.int64)
        words = {
            KIND: self.kind, PACKET_BYTES: self.packet_bytes, HEADER_BYTES: self.header_bytes,
            N_PART: self.n_part, REORDER: self.reorder, CONFIRM: self.confirm,
            MOST_JUMP: self.most_jump, ONE_SENDER: self.one_sender, STARTED_AS: self.started_as,
            PERIOD: 2**62 if self.kind == VDIF else 2 ** (self.count_bits - self.split_bits),
            MASK: self.mask, VALUE: self.value, BEAM_MASK: self.beam_mask, BEAM: self.beam,
            COUNT_MASK: 2**self.count_bits - 1, SPLIT_BITS: self.split_bits,
            PART_SHIFT: self.part_bit, MASK_2: self.mask_2, VALUE_2: self.value_2,
            PER_SECOND: self.per_second, MOST_FIRST: self.most_first}
        for at, number in words.items():
            table[at] = np.uint64(number).astype(np.int64) if number >= 2**63 else number
        table[THREADS:] = -1
        for part, thread in enumerate(self.threads):
            table[THREADS + thread] = part
        return table

    def held(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return memory for packets that are held back until their counters are confirmed.

        The third array lists those that are about to be copied.
        """
        return (np.zeros(PAIRS + 2 * self.confirm, np.int64),
                np.zeros(self.confirm * self.packet_bytes, np.uint8),
                np.zeros((MOST_TODO, TODO_WORDS), np.int64))
