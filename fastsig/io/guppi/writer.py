"""The writer of GUPPI RAW: blocks of one length, without those that have no valid samples.

The place of a block is its number, PKTIDX times PKTSIZE, so gaps of whole blocks are exact. The
length of a block is chosen, if possible, so that gaps begin and end at blocks, and that there are
at least two blocks: dspsr searches for the second header. It also requires names and a position; if
these are not known, UNKNOWN, and 0 and 0, are written.

References
----------
P. Demorest, GUPPI Raw Data Format, NRAO.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import sample_time
from fastsig.axes.validity import clip
from fastsig.errors import PlanError
from fastsig.io.files.cards import card_80, decimal_text, hms_text, kept_cards, start_day
from fastsig.io.files.outputs import OutputFiles, no_position, output_names
from fastsig.io.guppi.reader import LEVELS, UNKNOWN
from fastsig.io.voltages.writing import VoltageWriter, frame_length, frame_runs, listed
from fastsig.stream import Block

__all__ = ["GuppiWriter"]

_MOST_BLOCK, _LEAST_BLOCK, _USUAL_BLOCK = 2**24, 2**10, 2**16
_PACKET = 8192


class GuppiWriter(VoltageWriter):
    """Writer of complex voltages of one or two polarisations in GUPPI RAW of 2, 4, 8 or 16 bits."""

    NAME = "guppi"
    OFFERS: ClassVar = {2: LEVELS, 4: None, 8: None, 16: None}

    def _carried(self) -> frozenset[str]:
        return frozenset(("channels", "telescope", "receiver", "backend", "source", "ra_deg",
                          "beam", "feed", "cards"))

    def _check(self) -> None:
        header, shape, path = self.recording.header, self.recording.shape, self.recording.path
        if not header.is_complex:
            raise PlanError(f"{path}: real voltages do not fit into GUPPI RAW, which stores "
                            "complex ones; native, dada and vdif accept them")
        if shape[1] > 2:
            raise PlanError(f"{path}: GUPPI RAW stores one or two polarisations, not {shape[1]}")
        header.require_channels(path)
        self._text = self._names(68)
        self._cards, left = kept_cards(header.extra, 8, 68)
        if left:
            self.losses.append(f"guppi has no card for {listed(left)}")
        self.cautions += no_position(header, "RA_STR and DEC_STR")

    def _lay_out(self, file_bytes: int | None) -> None:
        recording = self.recording
        spans = recording.any_valid
        if not len(spans):
            raise PlanError(f"{recording.path}: contains no valid sample")
        start, stop = int(spans[0, 0]), int(spans[-1, 1])
        row_bits = int(np.prod(recording.shape[1:])) * 2 * self.n_bits
        most = min(_MOST_BLOCK, file_bytes or _MOST_BLOCK)
        self.n_time = self._block_length(start, stop, row_bits, most)
        n_block = (stop - start) // self.n_time
        self.rows = start, start + n_block * self.n_time
        self._note_frames(self.n_time, "block", together=True)
        self._bytes = self.n_time * row_bits // 8
        # Runs of kept blocks, and numbers of kept blocks before them: a long gap needs no memory.
        self._runs = frame_runs(spans, *self.rows, self.n_time)
        lengths = self._runs[:, 1] - self._runs[:, 0]
        self._before = np.cumsum(lengths) - lengths
        self.kept = self._runs * self.n_time + start
        self._head = self._header()
        slot = len(self._head) + self._bytes
        self._per_file = max(1, (file_bytes or 2**62) // slot)
        n_kept = int(lengths.sum())
        if n_kept == 1:
            self.cautions.append(f"it is one block, because {stop - start} samples do not make two "
                                 "equal ones: dspsr refuses it, as it searches for the second")
        names = output_names(self.path, -(-n_kept // self._per_file))
        self.files = [(name, min(self._per_file, n_kept - i * self._per_file) * slot)
                      for i, name in enumerate(names)]
        self.piece = self.n_time * max(1, 2**22 // self._bytes)

    def _block_length(self, start: int, stop: int, row_bits: int, most: int) -> int:
        """Choose the samples per block: as in the source if they fit."""
        length = stop - start

        def good(n: int) -> bool:
            size, rest = divmod(n * row_bits, 8)
            # Blocks of a short recording may be shorter than usual.
            return not rest and (size >= _LEAST_BLOCK or 4 * n >= length)

        extra = self.recording.header.extra
        given = str(extra.get("BLOCSIZE", "0"))
        prefer = int(given) * 8 // row_bits if given.isdigit() else 0
        lengths = [length, *(edge - start for edge in self.recording.edges(start, stop))]
        longest = max(1, most * 8 // row_bits)
        found = frame_length(lengths, min(longest, length // 2), prefer, good) or frame_length(
            lengths, longest, prefer, good)
        if found:
            return found
        # No length is exact: choose the length near the usual size that leaves fewest samples.
        usual = min(length, max(8, min(most, _USUAL_BLOCK) * 8 // row_bits))
        tried = np.arange(usual, usual // 2, -1)
        tried = tried[tried * row_bits % 8 == 0]
        if not len(tried):
            raise PlanError(f"{self.recording.path}: {length} samples of {row_bits} bits "
                            "do not fill whole bytes")
        return int(tried[np.argmin(length % tried)])

    def _header(self) -> bytes:
        """Return the header of the first block."""
        header, n_chan, text = self.recording.header, self.recording.n_chan, self._text
        axis = header.require_channels(self.recording.path)
        sign = 1 if header.sideband == "upper" else -1
        packet = _PACKET if self._bytes % _PACKET == 0 else self._bytes
        lower, upper = axis.edges_hz
        start = self._start_time()
        kind = {"linear": "LIN", "circular": "CIRC"}.get(header.polarization.kind, "UNKNOWN")
        known = header.ra_deg is not None and header.dec_deg is not None
        cards: dict[str, object] = {
            "BACKEND": text["backend"] or UNKNOWN, "TELESCOP": text["telescope"] or UNKNOWN,
            "FRONTEND": text["receiver"] or UNKNOWN, "SRC_NAME": text["source"] or UNKNOWN,
            "IBEAM": header.beam, "FD_POLN": kind,
            "RA_STR": hms_text((header.ra_deg or 0) if known else 0, 15),
            "DEC_STR": hms_text((header.dec_deg or 0) if known else 0, 1),
            "OBSFREQ": decimal_text((lower + upper) / 2 / 10**6),
            "OBSBW": decimal_text(sign * axis.step_hz * n_chan / 10**6), "OBSNCHAN": n_chan,
            "NPOL": {1: 1, 2: 4}[self.recording.shape[1]], "NBITS": self.n_bits,
            "TBIN": decimal_text(1 / header.sample_rate), "BLOCSIZE": self._bytes,
            "PKTFMT": "1SFA", "PKTSIZE": packet, "PIPERBLK": self._bytes // packet,
            "PKTIDX": 0, "OVERLAP": 0, "DIRECTIO": 0,
            "STT_IMJD": start[0], "STT_SMJD": int(start[1] // 1),
            "STT_OFFS": decimal_text(start[1] % 1), **self._cards,
        }
        return b"".join(card_80(key, value) for key, value in cards.items()
                        if value is not None) + b"END".ljust(80)

    def _header_of(self, block: int) -> NDArray[np.uint8]:
        """Return the header of a block, counted from the first."""
        packets = self._bytes // (_PACKET if self._bytes % _PACKET == 0 else self._bytes)
        card, zero = card_80("PKTIDX", block * packets), card_80("PKTIDX", 0)
        return np.frombuffer(self._head.replace(zero, card, 1), np.uint8)

    def _start_time(self) -> tuple[int, Fraction]:
        header = self.recording.header
        return start_day(sample_time(header.start_time, self.rows[0], header.sample_rate),
                         self.recording.path)

    def _begin(self, overwrite: bool) -> None:
        self._output = OutputFiles(self.files, overwrite=overwrite, pattern=self.path)

    def encode(self, block: Block) -> tuple[int, NDArray[np.uint8]]:
        """Return the place of the first block, and the blocks with their headers, of a piece."""
        first = (block.start - self.rows[0]) // self.n_time
        place, kept = self._kept_of(first, first + block.n // self.n_time)
        numbers = self.numbers(block)
        parts = numbers.reshape(-1, self.n_time, *numbers.shape[1:])[kept]
        if self.recording.header.sideband == "lower":
            parts = parts[:, :, :, ::-1]
        # (block, time, pol, chan, part) to (block, chan, time, pol, part)
        order = np.ascontiguousarray(parts.transpose(0, 3, 1, 2, 4))
        out = np.empty((len(kept), len(self._head) + self._bytes), np.uint8)
        for row, number in zip(out, first + kept, strict=True):
            row[: len(self._head)] = self._header_of(int(number))
        out[:, len(self._head) :] = self._packed(order).reshape(len(kept), self._bytes)
        return place, out

    def _kept_of(self, first: int, stop: int) -> tuple[int, NDArray[np.int64]]:
        """Return the place in the files of the first block that is kept, and the kept blocks."""
        inside = clip(self._runs, first, stop)
        kept = [np.arange(low - first, high - first) for low, high in inside.tolist()]
        if not kept:
            return 0, np.arange(0)
        run = int(np.searchsorted(self._runs[:, 1], inside[0, 0], side="right"))
        place = self._before[run] + inside[0, 0] - self._runs[run, 0]
        return int(place), np.concatenate(kept)

    def _packed(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        if self.n_bits >= 8:
            return self.codes(numbers, "<i2" if self.n_bits == 16 else "i1").view(np.uint8)
        from fastsig_kernels import pack

        codes = self.codes(numbers, np.uint8).reshape(-1)
        if self.n_bits == 4:
            codes = codes ^ np.uint8(8)  # offset binary to two's complement
        return pack(codes, self.n_bits, order="msb")

    def write(self, piece: tuple[int, NDArray[np.uint8]]) -> None:
        """Write blocks at their places."""
        place, blocks = piece
        while len(blocks):
            file, slot = divmod(place, self._per_file)
            n = min(len(blocks), self._per_file - slot)
            self._output.write(file, blocks[:n], slot * blocks.shape[1])
            place, blocks = place + n, blocks[n:]

    def close(self) -> None:
        """Give the files their names."""
        self._output.commit()

    def discard(self) -> None:
        """Remove the files."""
        self._output.discard()
