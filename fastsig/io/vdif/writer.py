"""The writer of VDIF: frames of one length, a whole number of them per second.

Each polarisation and channel is a thread, or all of them are the channels of one thread, the only
form that dspsr reads, with a header file of its own.

A frame without valid samples is marked invalid. The length of a frame is chosen, if possible, so
that gaps begin and end at frames, and the recording begins with a frame counted from a second.

References
----------
VLBI Data Interchange Format, release 1.1.1 (2014), sections 5, 6 and 10; extended data version 1:
https://vlbi.org/vdif.
"""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso, sample_time
from fastsig.axes.validity import as_spans
from fastsig.errors import PlanError
from fastsig.io.files.outputs import OutputFiles, output_names
from fastsig.io.vdif.dspsr import dspsr_header
from fastsig.io.vdif.reader import LEVELS, epoch_time
from fastsig.io.voltages.writing import (
    Recording,
    VoltageWriter,
    divisors,
    exact_rows,
    frame_length,
    frame_runs,
    lost_in_frames,
)
from fastsig.stream import Block

__all__ = ["VdifWriter"]

_HEADER, _MOST_PAYLOAD, _SHORT_PAYLOAD = 32, 8192, 1024
_USUAL_PAYLOAD, _LEAST_PAYLOAD = 64, 8  # shorter than usual if nothing else is exact
_MOST_NUMBER = 2**24
_LEAST_FRAMES = 4
_MOST_THREADS, _SYNC = 1024, 0xACABFEED
_MOST_RATE = 2**23


class VdifWriter(VoltageWriter):
    """Writer of voltages in VDIF of 1, 2, 4, 8 or 16 bits.

    Parameters
    ----------
    recording, path, **options
        As for `VoltageWriter`.
    one_thread : bool
        Whether all polarisations and channels are in one thread; by default, each has its own.
    dspsr_header : bool
        Whether to write dspsr's header file, ``PATH.hdr``, as well; this implies one thread.
    """

    NAME = "vdif"
    OPEN_END = True
    OFFERS: ClassVar = {1: LEVELS[1], 2: LEVELS[2], 4: None, 8: None, 16: None}
    OWN = ("one_thread", "dspsr_header")

    def __init__(self, recording: Recording, path: str | os.PathLike[str], *,
                 one_thread: bool = False, dspsr_header: bool = False, **options: Any) -> None:
        self._one, self._with_header = one_thread or dspsr_header, dspsr_header
        super().__init__(recording, path, **options)

    def _check(self) -> None:
        recording = self.recording
        rate, n_input = recording.header.sample_rate, recording.shape[1] * recording.n_chan
        self._n_thread, self._n_inside = (1, n_input) if self._one else (n_input, 1)
        if self._n_thread > _MOST_THREADS:
            raise PlanError(f"{recording.path}: VDIF has up to {_MOST_THREADS} threads, not "
                            f"{self._n_thread} polarisations and channels")
        if self._n_inside & (self._n_inside - 1):
            raise PlanError(f"{recording.path}: {self._n_inside} polarisations and channels; "
                            "allowed in one thread of VDIF: a power of two")
        if n_input > 1 and not self._one:
            self.cautions.append(f"it has {n_input} threads, which dspsr reads as one "
                                 "polarisation; --one-thread (one_thread=True) makes one")
        if rate.denominator != 1:
            raise PlanError(f"{recording.path}: VDIF needs a whole number of samples per second, "
                            f"not {rate}")
        if recording.n_chan > 1:
            what = "those of one thread" if self._one else "threads"
            self.losses.append(f"channels become {what}, without their frequencies")
        if recording.header.sideband == "lower":
            self.losses.append("vdif has no place for the sideband, which is lower")
        self._edv, self._rate_word = _rate_word(rate, recording.header.is_complex)
        if not self._edv:
            self.losses.append(f"vdif has no place for the sample rate of {rate} Hz")

    def _carried(self) -> frozenset[str]:
        header = self.recording.header
        station = header.extra.get("station")
        self._station = station if isinstance(station, int) else _letters(header.telescope)
        # The cards of a VDIF file describe its frames: they are determined anew.
        kept = {"telescope": self._station is not None, "cards": "ref_epoch" in header.extra}
        return frozenset(name for name, there in kept.items() if there)

    def _lay_out(self, file_bytes: int | None) -> None:
        recording = self.recording
        held = recording.any_valid
        if not len(held):
            raise PlanError(f"{recording.path}: contains no valid sample")
        self._parts_bits = self.n_bits * recording.parts * self._n_inside
        start, stop = int(held[0, 0]), int(held[-1, 1])
        self._place(start)
        self.frame = self._frame_length(start, stop)
        self.rows = self._rows(start, stop, self.frame)
        self._offset += self.rows[0] - start
        if self.rows[0] >= self.rows[1] and not recording.early:
            raise PlanError(f"{recording.path}: {stop - start} samples do not fill a VDIF frame of "
                            f"{self.frame}")
        self._note_frames(self.frame, "frame", together=self._one)
        self._frame_bytes = _HEADER + self.frame * self._parts_bits // 8
        self._set_bytes = set_bytes = self._frame_bytes * self._n_thread
        n_frame = (self.rows[1] - self.rows[0]) // self.frame
        self._per_file = max(1, (file_bytes or 2**62) // set_bytes)
        names = output_names(self.path, -(-n_frame // self._per_file))
        self.files = [(name, min(self._per_file, n_frame - i * self._per_file) * set_bytes)
                      for i, name in enumerate(names)]
        self._dspsr = b""
        if self._with_header:
            self._dspsr = dspsr_header(recording, names, self.n_bits)
            self.files.append((f"{names[0]}.hdr", len(self._dspsr)))
        self.piece = self.frame * max(1, 2**22 // set_bytes)

    def _place(self, start: int) -> None:
        """Determine the epoch of a row, its second, and its sample in that second."""
        header = self.recording.header
        first = sample_time(header.start_time, start, header.sample_rate)
        self._epoch = _half_years(first)
        if not 0 <= self._epoch < 64:
            raise PlanError(f"{self.recording.path}: begins at {iso(first)}; allowed in VDIF: from "
                            "2000 to 2031")
        seconds = Fraction(round(elapsed(epoch_time(self._epoch), first) * 10**11), 10**11)
        self._second, rate = int(seconds // 1), header.sample_rate
        rows = exact_rows(seconds % 1, rate)
        self._offset = round(seconds % 1 * rate) if rows is None else rows
        if rows is None:
            moved = float(Fraction(self._offset) / rate - seconds % 1)
            self.losses.append(f"samples lie between those of a clock of {rate} Hz that begins "
                               f"with a second: all are moved by {moved:.3g} s")

    def _frame_length(self, start: int, stop: int) -> int:
        """Choose the samples per frame: as in the source if they fit.

        In a recording that may end early, they fit the second alone, so that other recordings of
        the stream have frames of the same length.
        """
        bits, rate = self._parts_bits, int(self.recording.header.sample_rate)

        def usual(n: int) -> bool:
            return allowed(n) and n * bits // 8 >= _USUAL_PAYLOAD

        def allowed(n: int) -> bool:
            return n * bits % (8 * _LEAST_PAYLOAD) == 0 and rate // n <= _MOST_NUMBER

        given = self.recording.header.extra.get("frame_length")
        prefer = (given - _HEADER) * 8 // bits if isinstance(given, int) else None
        most = max(_MOST_PAYLOAD * 8 // bits, prefer or 0)
        lengths = [rate]
        if not self.recording.early:
            edges = [edge - start for edge in self.recording.edges(start, stop)]
            lengths += [self._offset, stop - start, *edges]
            # Some readers refuse files with three frames per thread or fewer.
            most = min(most, -(-(stop - start) // _LEAST_FRAMES))
        found = frame_length(lengths, most, prefer, usual) or frame_length(
            lengths, most, None, allowed)
        if found:
            return found
        inexact = [n for n in divisors(rate, max(_SHORT_PAYLOAD * 8 // bits, 1)) if usual(n)]
        if not inexact:
            raise PlanError(f"{self.recording.path}: no VDIF frame of whole 8 bytes fits into "
                            f"{rate} samples per second of {bits} bits")
        return min(inexact, key=lambda n: self._lost(start, stop, n))

    def _rows(self, start: int, stop: int, frame: int) -> tuple[int, int]:
        """Return the range of rows in whole frames."""
        first = start + -self._offset % frame
        return first, first + max(0, stop - first) // frame * frame

    def _lost(self, start: int, stop: int, frame: int) -> int:
        """Count the samples that frames of a length would leave out or treat as valid."""
        first, last = self._rows(start, stop, frame)
        n_pol = len(self.recording.valid)
        return (stop - start - (last - first)) * n_pol + lost_in_frames(
            self.recording, first, last, frame, together=self._one)

    def _begin(self, overwrite: bool) -> None:
        # With dspsr's header there is only one file of frames, so no following file is checked.
        pattern = None if self._with_header else self.path
        self._output = OutputFiles(self.files, overwrite=overwrite, pattern=pattern)
        if self._dspsr:
            self._output.write(1, np.frombuffer(self._dspsr, np.uint8), 0)

    def encode(self, block: Block) -> tuple[int, NDArray[np.uint8]]:
        """Return the number of the first frame, and the frames (time, thread, byte), of a piece."""
        first = (block.start - self.rows[0]) // self.frame
        n = block.n // self.frame  # only the end of the recording may be incomplete
        numbers = self.numbers(block)[: n * self.frame]
        parts = numbers.reshape(n, self.frame, self._n_thread,
                                self._n_inside * self.recording.parts)
        out = np.empty((n, self._n_thread, self._frame_bytes), np.uint8)
        out[:, :, :_HEADER] = self._headers(first, n, block)
        payload = self._packed(np.ascontiguousarray(parts.swapaxes(1, 2)))
        out[:, :, _HEADER:] = payload.reshape(n, self._n_thread, -1)
        return first, out

    def _packed(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """Pack numbers as offset binary, the first number in the lowest bits."""
        if self.n_bits == 8:
            return self.codes(numbers, "i1").view(np.uint8) ^ np.uint8(0x80)
        if self.n_bits == 16:
            return (self.codes(numbers, "<i2").view("<u2") ^ np.uint16(0x8000)).view(np.uint8)
        from fastsig_kernels import pack

        return pack(self.codes(numbers, np.uint8).reshape(-1), self.n_bits)

    def _headers(self, first: int, n: int, block: Block) -> NDArray[np.uint8]:
        """Return the headers of the `n` frames of every thread in a block, (n, thread, byte)."""
        recording = self.recording
        per_second = int(recording.header.sample_rate) // self.frame
        number = self._offset // self.frame + first + np.arange(n)
        words = np.zeros((n, self._n_thread, _HEADER // 4), "<u4")
        valid = (as_spans(np.concatenate(block.valid)),) if self._one else block.valid
        lost = np.ones((n, len(valid)), bool)
        for pol, spans in enumerate(valid):
            runs = frame_runs(spans, block.start, block.start + block.n, self.frame)
            for low, high in runs.tolist():
                lost[low:high, pol] = False
        lost = np.repeat(lost, self._n_thread // lost.shape[1], axis=1)
        words[:, :, 0] = (self._second + number // per_second)[:, np.newaxis] | lost.astype(
            np.int64) << 31
        words[:, :, 1] = (number % per_second | self._epoch << 24)[:, np.newaxis]
        words[:, :, 2] = self._frame_bytes // 8 | (self._n_inside.bit_length() - 1) << 24
        words[:, :, 3] = (np.arange(self._n_thread) << 16 | (self._station or 0)
                          | self.n_bits - 1 << 26 | recording.header.is_complex << 31)
        words[:, :, 4] = self._edv << 24 | self._rate_word
        words[:, :, 5] = _SYNC if self._edv else 0
        return words.view(np.uint8)

    def write(self, piece: tuple[int, NDArray[np.uint8]]) -> None:
        """Write frames at their places."""
        place, frames = piece
        while len(frames):
            file, slot = divmod(place, self._per_file)
            n = min(len(frames), self._per_file - slot)
            self._output.write(file, frames[:n], slot * self._set_bytes)
            place, frames = place + n, frames[n:]

    def end_at(self, n_row: int) -> None:
        """Let the files end with the last frame before row `n_row`; all rows have been written."""
        n_frame = max(0, n_row - self.rows[0]) // self.frame
        self.rows = self.rows[0], self.rows[0] + n_frame * self.frame
        n_file = len(self.files) - bool(self._dspsr)
        for file in range(n_file):
            size = min(max(0, n_frame - file * self._per_file), self._per_file) * self._set_bytes
            self.files[file] = self.files[file][0], size
            self._output.truncate(file, size)

    def close(self) -> None:
        """Give the files their names."""
        self._output.commit()

    def discard(self) -> None:
        """Remove the files."""
        self._output.discard()


def _half_years(time: Time) -> int:
    """Return the number of the half-year since 2000 that contains a time."""
    year, month = time.utc.ymdhms["year"], time.utc.ymdhms["month"]
    return int(2 * (year - 2000) + (month > 6))


def _letters(telescope: str | None) -> int | None:
    """Return the number of a station with a name of two letters, else None."""
    if telescope is None or len(telescope) != 2 or not telescope.isascii():
        return None
    return int.from_bytes(telescope.encode(), "big") if telescope.isalnum() else None


def _rate_word(rate: Fraction, is_complex: bool) -> tuple[int, int]:
    """Return extended data version 1 and its word for a rate in whole kHz; else 0 and 0."""
    kilohertz = rate / (1000 if is_complex else 2000)
    if kilohertz.denominator != 1:
        return 0, 0
    if kilohertz < _MOST_RATE:
        return 1, int(kilohertz)
    if kilohertz % 1000 == 0 and kilohertz // 1000 < _MOST_RATE:
        return 1, 1 << 23 | int(kilohertz) // 1000
    return 0, 0
