"""The writer of DADA: a text header, then samples; one file for each stretch without a gap.

The place of a file is OBS_OFFSET, in bytes from UTC_START, so gaps are exact to the sample. Floats
do not need a second file: lost samples are NaN.

References
----------
PSRDADA, https://psrdada.sourceforge.net; DSPSR user documentation, "Describing data using the
PSRDADA ASCII header".
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.time import elapsed, iso, sample_time, time_from_mjd
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError
from fastsig.io.dada.reader import IN_HEAPS, UNKNOWN
from fastsig.io.files.cards import decimal_text, hms_text, kept_cards, start_day
from fastsig.io.files.outputs import OutputFiles, output_names
from fastsig.io.voltages.writing import VoltageWriter, exact_rows, listed
from fastsig.stream import Block

__all__ = ["DadaWriter"]

_HEADER = 4096
_BACK_S = 3600  # seconds by which UTC_START may precede the first sample, to be a whole second
_MOST_STRETCHES = 64  # largest number of files into which gaps may split a recording


class DadaWriter(VoltageWriter):
    """Writer of voltages of one or two polarisations in DADA of 8, 16 or 32 bits (floats)."""

    NAME = "dada"
    OPEN_END = True
    OFFERS: ClassVar = {8: None, 16: None, 32: None}

    def _carried(self) -> frozenset[str]:
        return frozenset(("channels", "telescope", "receiver", "backend", "source", "ra_deg",
                          "beam", "feed", "cards"))

    def _check(self) -> None:
        recording = self.recording
        if recording.shape[1] > 2:
            raise PlanError(f"{recording.path}: fastsig writes DADA of one or two polarisations, "
                            f"not {recording.shape[1]}; select one or two")
        self._text = self._names(200)
        if self._text["backend"] in IN_HEAPS:
            self.losses.append(f"backend {self._text['backend']}: with this INSTRUMENT programs "
                               "expect heaps, whatever the ORDER")
            self._text["backend"] = None
        self._cards, left = kept_cards(recording.header.extra, 32, 200)
        if left:
            self.losses.append(f"dada has no line for {listed(left)}")

    def _lay_out(self, file_bytes: int | None) -> None:
        recording = self.recording
        held = recording.any_valid
        if not len(held):
            raise PlanError(f"{recording.path}: contains no valid sample")
        self._row = int(np.prod(recording.shape[1:])) * recording.parts * self.n_bits // 8
        self.rows = int(held[0, 0]), int(held[-1, 1])
        if self.n_bits == 32:  # NaN marks lost samples
            held = validity.full(*self.rows)
        elif len(held) > _MOST_STRETCHES:
            held = validity.full(*self.rows)
            self._note_lost(held, f"in {len(recording.any_valid) - 1} gaps, too many to split the "
                            "recording at (32 bits would keep them)")
        else:
            self._note_lost(held, "in only one polarisation")
        self.kept, most = held, max(1, (file_bytes or 2**62) // self._row)
        names = output_names(self.path, int((-(-(held[:, 1] - held[:, 0]) // most)).sum()))
        self._stretches = _parted(held, most)
        self.files = [(name, _HEADER + int(stop - start) * self._row)
                      for name, (start, stop) in zip(names, self._stretches, strict=True)]
        self.piece = max(1, 2**22 // self._row)
        self._utc, self._mjd, self._before = self._start()
        for file in range(len(self.files)):
            self.header(file)

    def _note_lost(self, held: Spans, where: str) -> None:
        lost = sum(validity.count(held) - validity.count(each) for each in self.recording.valid)
        if lost:
            self.losses.append(f"{lost} samples are lost {where}: they become 0 and count as valid")

    def _start(self) -> tuple[str, str | None, int]:
        """Return UTC_START, MJD_START, and the samples between them and the first one written."""
        header = self.recording.header
        day, seconds = start_day(
            sample_time(header.start_time, self.rows[0], header.sample_rate), self.recording.path)
        for back in range(min(_BACK_S, int(seconds // 1)) + 1):
            whole = seconds // 1 - back
            rows = exact_rows(seconds - whole, header.sample_rate)
            if rows is not None:
                return _utc(day, Fraction(whole)), _mjd(day, Fraction(whole)), rows
        # No sample nearby begins on a whole second: the text gets a fraction.
        return _utc(day, seconds), _mjd(day, seconds), 0

    def header(self, file: int) -> bytes:
        """Return the header of a file."""
        header, recording, names = self.recording.header, self.recording, self._text
        axis = header.channels
        values: dict[str, object] = {
            "HEADER": "DADA", "HDR_VERSION": "1.0", "HDR_SIZE": _HEADER, "DADA_VERSION": "1.0",
            # dspsr refuses headers without a telescope, an instrument or a source.
            "TELESCOPE": names["telescope"] or UNKNOWN, "RECEIVER": names["receiver"],
            "INSTRUMENT": names["backend"] or UNKNOWN, "SOURCE": names["source"] or UNKNOWN,
            "BEAM": header.beam,
            "RA": None if header.ra_deg is None else hms_text(header.ra_deg, 15),
            "DEC": None if header.dec_deg is None else hms_text(header.dec_deg, 1),
        }
        if axis is not None:
            lower, upper = axis.edges_hz
            sign = 1 if header.sideband == "upper" else -1
            values |= {"FREQ": decimal_text((lower + upper) / 2 / 10**6),
                       "BW": decimal_text(sign * (upper - lower) / 10**6)}
        kind = header.polarization.kind
        values |= {
            "NCHAN": recording.n_chan, "NPOL": recording.shape[1], "NDIM": recording.parts,
            "NBIT": self.n_bits, "TSAMP": decimal_text(10**6 / header.sample_rate),
            "ORDER": "TFP", "BASIS": {"linear": "Linear", "circular": "Circular"}.get(kind),
            "UTC_START": self._utc, "MJD_START": self._mjd, "FILE_NUMBER": file,
            "FILE_SIZE": self.files[file][1] - _HEADER,
            "OBS_OFFSET": (self._before + int(self._stretches[file][0]) - self.rows[0]) * self._row,
            **self._cards,
        }
        text = "".join(f"{key} {value}\n" for key, value in values.items() if value is not None)
        if len(text) > _HEADER:
            raise PlanError(f"{recording.path}: its header needs {len(text)} characters; allowed "
                            f"in DADA: {_HEADER}")
        return text.encode("ascii", "replace").ljust(_HEADER, b"\0")

    def _begin(self, overwrite: bool) -> None:
        self._output = OutputFiles(self.files, overwrite=overwrite, pattern=self.path)
        for file in range(len(self.files)):
            self._output.write(file, np.frombuffer(self.header(file), np.uint8), 0)

    def encode(self, block: Block) -> tuple[int, NDArray[Any]]:
        """Return the first row, and the numbers in the order of time, channel, polarisation."""
        numbers = self.numbers(block)
        kind = {8: "i1", 16: "<i2", 32: "<f4"}[self.n_bits]
        codes = self.codes(numbers, kind)
        if self.n_bits == 32:
            codes = np.array(codes)
            for pol, spans in enumerate(block.valid):
                for first, stop in validity.complement(spans, block.start, block.start + block.n):
                    codes[first - block.start : stop - block.start, pol] = np.nan
        ordered = codes.swapaxes(1, 2)
        if self.recording.header.sideband == "lower":
            ordered = ordered[:, ::-1]
        return block.start, np.ascontiguousarray(ordered)

    def write(self, piece: tuple[int, NDArray[Any]]) -> None:
        """Write rows into the files to which they belong; rows in gaps are dropped."""
        start, rows = piece
        stop = start + len(rows)
        file = int(np.searchsorted(self._stretches[:, 1], start, side="right"))
        for first, last in self._stretches[file:].tolist():
            if first >= stop:
                return
            low, high = max(start, first), min(stop, last)
            self._output.write(file, rows[low - start : high - start],
                               _HEADER + (low - first) * self._row)
            file += 1

    def end_at(self, n_row: int) -> None:
        """Let the files end with `n_row` rows, all of which have been written."""
        if n_row == self.recording.shape[0]:
            return
        stops = np.minimum(self._stretches[:, 1], self.rows[0] + n_row)
        self._stretches = np.stack([np.minimum(self._stretches[:, 0], stops), stops], axis=1)
        self.files = [(name, _HEADER + int(stop - start) * self._row) for (name, _), (start, stop)
                      in zip(self.files, self._stretches, strict=True)]
        for file, (_, size) in enumerate(self.files):
            self._output.write(file, np.frombuffer(self.header(file), np.uint8), 0)
            self._output.truncate(file, size)

    def close(self) -> None:
        """Give the files their names."""
        self._output.commit()

    def discard(self) -> None:
        """Remove the files."""
        self._output.discard()


def _utc(day: int, seconds: Fraction) -> str:
    text = iso(time_from_mjd(day, seconds // 1))[:19].replace("T", "-")
    return text + (decimal_text(seconds % 1)[1:] if seconds % 1 else "")


def _mjd(day: int, seconds: Fraction) -> str | None:
    """Return the MJD with its fraction; None on days with leap seconds, where programs disagree."""
    if round(elapsed(time_from_mjd(day), time_from_mjd(day + 1))) != 86400:
        return None
    fraction = decimal_text(seconds / 86400)
    return f"{day}.{fraction.partition('.')[2] or '0'}"


def _parted(spans: Spans, most: int) -> Spans:
    """Split spans into pieces of up to `most` samples."""
    return np.array([(low, min(low + most, stop)) for start, stop in spans.tolist()
                     for low in range(start, stop, most)], np.int64)
