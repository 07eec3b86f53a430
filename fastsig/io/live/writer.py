"""The writer of a ring: it creates the ring, puts packets or bytes into it, and ends the stream."""

from __future__ import annotations

import time
from dataclasses import asdict
from fractions import Fraction
from typing import Any, Self

import numpy as np
from astropy.time import Time
from fastsig_kernels._ring_words import COUNTER_AT, REASONS, STATE_AT
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.hdf5.metadata import header_record
from fastsig.io.live.memory import SharedMemory
from fastsig.io.live.reader_state import positions
from fastsig.io.live.ring import Ring
from fastsig.io.live.ring_layout import RingLayout
from fastsig.stream.header import Header

__all__ = ["RingWriter"]

_LEAST_SLOTS = 8


class RingWriter(Ring):
    """A ring that this process writes; `create` makes it."""

    def __init__(self, memory: SharedMemory) -> None:
        super().__init__(memory)
        self._skipped = 0  # bytes of an incomplete slot, written by `advance`

    @classmethod
    def create(cls, layout: RingLayout, header: Header, n_bytes: int, *, label: str,
               name: str | None = None, n_readers: int = 0, huge: bool = True) -> Self:
        """Create a ring, and become its writer.

        Parameters
        ----------
        layout : RingLayout
        header : Header
            Description of the rows. Its start time is that of counter 0, not of row 0.
        n_bytes : int
            Bytes of samples that the ring holds.
        label : str
            Name of the source.
        name : str, optional
            Name by which readers attach; by default, one that no other ring has.
        n_readers : int, optional
            Number of readers for which `space` waits until they have attached.
        huge : bool
            Whether to use huge pages where possible: packets are put into many pages at a time.

        Raises
        ------
        UsageError
            If `n_bytes` is too small, or the name is not valid.
        OutputError
            If a ring of this name exists, or there is not enough memory.
        """
        n_slot = n_bytes // layout.slot_bytes
        if n_slot < _LEAST_SLOTS:
            raise UsageError(f"a ring of {n_bytes} bytes has {n_slot} slots of "
                             f"{layout.slot_bytes} bytes; allowed: {_LEAST_SLOTS} or more")
        record = {"layout": {**asdict(layout), "n_slot": n_slot}, "label": label,
                  "header": header_record(header)}
        shape = n_slot, layout.n_part, layout.part_bytes
        ring = cls(SharedMemory.create(name, shape, record, huge=huge))
        ring._set("n_expected", n_readers)
        ring.beat()
        return ring

    def _set(self, name: str, value: int) -> None:
        self.memory.words[STATE_AT[name]] = value

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter."""
        self.memory.words[COUNTER_AT[name]] += n

    def beat(self) -> None:
        """Note that the writer is alive; a receiver does so several times a second."""
        self._set("beat", time.monotonic_ns())

    def start(self, first: int = 0, *, start_time: Time | None = None) -> None:
        """Let the stream begin: slot 0 is that of counter `first`.

        Parameters
        ----------
        first : int
        start_time : Time, optional
            Time of row 0, if that of counter 0 is not known.
        """
        if start_time is not None:
            record = self.memory.read()
            record["header"] = header_record(self._header().replace(start_time=start_time))
            self.memory.write({**record, "timed": True})
        self._set("first", first)
        self._set("started", 1)

    def describe(self, **about: Any) -> None:
        """Store further facts, which `about` returns in every process."""
        self.memory.write({**self.memory.read(), "about": {**self.about(), **about}})

    def put(self, slot: int, part: int, payload: NDArray[np.uint8]) -> None:
        """Put a packet into its place; compiled receivers do the same."""
        at = slot % self.n_slot
        self.memory.numbers[at, part] = -1
        self.memory.payload[at, part] = payload
        self.memory.numbers[at, part] = slot
        self._set("highest", max(self.state("highest"), slot + 1))
        self._set("last", time.monotonic_ns())

    def publish(self, head: int) -> None:
        """Let readers read the slots before `head`, which then no longer change."""
        self._set("head", max(self.state("head"), head))

    def space(self, *, wait: bool = True) -> NDArray[np.uint8]:
        """Return memory for the next bytes of a stream that comes in order; it may be empty.

        Only for layouts of one packet in a slot. After writing some bytes at its beginning, call
        `advance`. If `wait` is true, what readers still need is left out, so that a pipe waits for
        them; the memory is then empty until they have read more (`time.sleep`, and call again).
        """
        head = self.state("highest")
        free = self._free(head) if wait else self.n_slot
        at = head % self.n_slot
        n = min(free, self.n_slot - at, max(1, self.n_slot // 8))
        self.memory.numbers[at : at + n] = -1
        return self.memory.payload[at : at + n].reshape(-1)[self._skipped :]

    def advance(self, n_bytes: int) -> None:
        """Note that bytes were written to `space`; whole slots may be read at once."""
        n, self._skipped = divmod(self._skipped + n_bytes, self.layout.slot_bytes)
        head = self.state("highest")
        at = head % self.n_slot
        self.memory.numbers[at : at + n, 0] = np.arange(head, head + n)
        self._set("highest", head + n)
        self._set("last", time.monotonic_ns())
        self.publish(head + n)
        self.count("received", n)
        self.count("placed", n)

    def _free(self, head: int) -> int:
        """Return the slots that can be written without overwriting what a reader needs.

        A quarter of the ring stays behind each reader: stages read some rows twice.
        """
        done = positions(self.memory)
        if self.state("n_attached") < self.state("n_expected"):
            done.append(0)
        needed = max(0, min(done, default=head) - self.n_slot // 4)
        return max(0, needed + self.n_slot - head)

    def end(self, reason: str = "ended") -> None:
        """Note that nothing more will come; the last slot may be incomplete (`advance`)."""
        if self.state("ended"):
            return
        if self._skipped:
            head = self.state("highest")
            row_bytes = Fraction(self.layout.slot_bytes, self.layout.slot_rows)
            self._set("end_rows", head * self.layout.slot_rows + int(self._skipped / row_bytes))
            self.advance(self.layout.slot_bytes - self._skipped)
        self._set("reason", REASONS.index(reason))
        self._set("head", self.state("highest"))
        self._set("ended", 1)

    def close(self) -> None:
        """End the stream, detach, and remove the name of the ring."""
        self.end()
        self.memory.close(unlink=True)
