"""The ring: the packets of the last seconds in shared memory, from one writer to many readers.

A slot holds the packets of one step of time: those of all polarisations, or the parts of a
spectrum. Slot 0 holds the first packet that was accepted, whose counter and time are in the header;
the packet of slot `s` lies in place ``s % n_slot``. For each packet there is the number of its slot
(-1 while it is written). A reader copies packets and then looks at these numbers: a packet whose
number is not that of the slot, before or after, was lost or overwritten, and its rows are invalid.
So there are no locks, and readers never hold up the writer.

Slots below ``head`` may be read. A receiver of packets moves `head` when packets that come later
can no longer belong to those slots; a writer of a pipe moves it at once. A writer that can wait,
like that of a pipe, asks
`RingWriter.space`, which leaves out what readers still need.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Self

import numpy as np
from fastsig_kernels._ring_words import COUNTER_AT, REASONS, STATE_AT
from numpy.typing import NDArray

from fastsig.axes.time import sample_time
from fastsig.errors import DataError, FastsigError, UsageError
from fastsig.io.hdf5.metadata import header_from_record
from fastsig.io.live.memory import SharedMemory
from fastsig.io.live.ring_layout import RingLayout
from fastsig.stream.header import Header

__all__ = ["Ring"]

_PAUSE_S = 0.002


class Ring:
    """A ring of packets that another process writes, or this one (`fastsig.io.live.writer`).

    Parameters
    ----------
    memory : SharedMemory
        Its memory.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self.memory, record = memory, memory.read()
        fields: dict[str, Any] = dict(record["layout"])
        self.n_slot = int(fields.pop("n_slot"))
        self.layout = RingLayout(**{**fields, "levels": tuple(fields["levels"]),
                                    "signed": tuple(fields["signed"])})
        #: What messages and products name as the source, such as ``udp://127.0.0.1:60000``.
        self.label = str(record["label"])
        #: Rows per second.
        self.rate = self._header().sample_rate

    @classmethod
    def attach(cls, name: str, *, timeout: float = 0) -> Self:
        """Attach to a ring that another process writes.

        Parameters
        ----------
        name : str
        timeout : float, optional
            Seconds to wait for the ring to be created.

        Raises
        ------
        FormatError, DataError
            If there is no such ring, or it is not complete.
        """
        until = time.monotonic() + timeout
        while True:
            try:
                return cls(SharedMemory.attach(name))
            except UsageError:
                raise
            except FastsigError:
                if time.monotonic() >= until:
                    raise
            time.sleep(_PAUSE_S)

    @property
    def name(self) -> str:
        """The name by which readers attach."""
        return self.memory.path.rsplit("fastsig-ring-", 1)[1]

    def state(self, name: str) -> int:
        """Return a number of the state (`fastsig_kernels._ring_words.STATE`)."""
        return int(self.memory.words[STATE_AT[name]])

    def counters(self) -> dict[str, int]:
        """Return the counters by name: ``received``, ``placed``, ``lost`` and so on."""
        return {name: int(self.memory.words[at]) for name, at in COUNTER_AT.items()}

    @property
    def started(self) -> bool:
        """Whether a packet was accepted, and the start time is known."""
        return self.state("started") == 1

    @property
    def ended(self) -> bool:
        """Whether nothing more will come, also because the writer is dead."""
        return self.state("ended") != 0 or not self.memory.writer_lives()

    @property
    def reason(self) -> str:
        """Why the stream ended: "ended", "stopped", "restarted", "writer died"; or empty."""
        if self.state("ended"):
            return REASONS[self.state("reason")]
        return "" if self.memory.writer_lives() else "writer died"

    @property
    def head(self) -> int:
        """The number of slots that may be read or are already overwritten."""
        return self.state("highest") if self.ended else self.state("head")

    @property
    def rows(self) -> int:
        """The number of rows that may be read or are already overwritten."""
        rows, end = self.head * self.layout.slot_rows, self.state("end_rows")
        return min(rows, end) if end else rows

    @property
    def oldest(self) -> int:
        """The first slot that is not overwritten yet."""
        return max(0, self.state("highest") - self.n_slot)

    def silent_s(self) -> float:
        """Seconds since the last packet; before the first, since the writer last looked for one."""
        return (time.monotonic_ns() - (self.state("last") or self.state("beat"))) / 1e9

    @property
    def header(self) -> Header:
        """Description of the rows, with the start time of row 0.

        Raises
        ------
        DataError
            If no packet has come yet.
        """
        if not self.started:
            raise DataError(self.label, "nothing has been received: the start time is not known")
        header = self._header()
        if self.memory.read().get("timed"):
            return header
        seconds = Fraction(self.state("first") * self.layout.slot_rows) / header.sample_rate
        start = sample_time(header.start_time, 1, 1 / seconds) if seconds else header.start_time
        return header.later(start, seconds)

    def _header(self) -> Header:
        return header_from_record(self.memory.read()["header"], self.label)

    def about(self) -> Mapping[str, Any]:
        """Return what `describe` stored."""
        found: dict[str, Any] = self.memory.read().get("about", {})
        return found

    def close(self) -> None:
        """Detach."""
        self.memory.close(unlink=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def wait_started(self, timeout: float = np.inf) -> bool:
        """Wait for the first packet; return whether it has come."""
        until = time.monotonic() + timeout
        while not self.started and not self.ended and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        return self.started

    def pieces(self, start: int, n: int) -> Iterator[tuple[int, slice, slice, int]]:
        """Yield the pieces of `n` rows: first row, places, rows in each slot, first slot.

        A piece consists of the same rows of slots that are consecutive in memory.
        """
        rows, row, stop = self.layout.slot_rows, start, start + n
        while row < stop:
            slot, skip = divmod(row, rows)
            whole = (stop - row) // rows if not skip else 0
            at = slot % self.n_slot
            count = min(max(1, whole), self.n_slot - at)
            last = rows if whole else min(rows, skip + stop - row)
            yield row, slice(at, at + count), slice(skip, last), slot
            row += count * rows - skip if whole or last == rows else last - skip

    def came(self, places: slice, slot: int) -> NDArray[np.bool_]:
        """Whether packets are those of the slots from `slot` on, (slot, part)."""
        numbers = self.memory.numbers[places]
        expected: NDArray[np.bool_] = numbers == np.arange(slot, slot + len(numbers))[:, np.newaxis]
        return expected

    def overwritten(self, places: slice, slot: int) -> int:
        """Count the packets of the slots from `slot` on that later ones have replaced."""
        numbers = self.memory.numbers[places]
        return int((numbers > np.arange(slot, slot + len(numbers))[:, np.newaxis]).sum())
