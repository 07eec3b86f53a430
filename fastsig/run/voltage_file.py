"""VoltageFile: the sink that writes voltages, in the native or another format."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from fastsig import registry
from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.files.outputs import check_file_bytes, output_names
from fastsig.io.files.provenance import chain_record, input_files, voltage_provenance
from fastsig.io.files.room import free_bytes, has_room, margin
from fastsig.io.files.safe import check_name, check_output
from fastsig.io.voltages.writing import Recording, VoltageWriter
from fastsig.run.surveys import ValidSpans
from fastsig.stages.piece import finished
from fastsig.stream import Block, Sink, Stream, VoltageStream

__all__ = ["VoltageFile", "voltage_format"]

_SUFFIXES = {".h5": "native", ".hdf5": "native", ".raw": "guppi", ".dada": "dada", ".vdif": "vdif"}


class VoltageFile(Sink):
    """Files of voltages, with sizes and losses that are known before they are begun.

    Parameters
    ----------
    stream : VoltageStream
        A file, or a span of rows and channels of one.
    path : path
        Name of the file; ``{file}`` in it is replaced by the number of the file if there are
        several.
    to : {"native", "guppi", "dada", "vdif"}, optional
        The format; by default, that indicated by the extension of `path` (.h5, .raw, .dada, .vdif).
    bits : int, optional
        Number of bits of a value in the file; by default, as recorded, or the fewest that preserve
        all values.
    scale : float
        Factor by which samples are multiplied before they are rounded.
    file_bytes : int, optional
        Largest size of a file in bytes, if the recording may be split.
    lossy : bool
        Whether to write even if the format cannot store everything.
    overwrite : bool
        Whether existing files may be replaced.
    hash_inputs : bool
        Whether to hash every input completely for the provenance, instead of only its ends.
    one_thread, dspsr_header : bool
        As for `fastsig.io.vdif.writer.VdifWriter`; only for VDIF.
    surveyed : tuple of Spans, optional
        Valid spans of each polarisation, as found by `survey`, if no header states them.

    Raises
    ------
    UsageError, PlanError
        If the format is unknown, or cannot store these voltages at all.
    """

    name = "copy"
    ordered = True
    as_recorded = True
    sparse = True

    def __init__(
        self, stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
        bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
        lossy: bool = False, overwrite: bool = False, hash_inputs: bool = False,
        one_thread: bool = False, dspsr_header: bool = False,
        surveyed: tuple[Spans, ...] | None = None,
    ) -> None:
        super().__init__(stream)
        if not isinstance(stream, VoltageStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: voltages")
        check_name(output_names(os.fspath(path), 1)[0])
        check_file_bytes(file_bytes)
        name = voltage_format(path, to)
        if name is None:
            raise UsageError(f"{os.fspath(path)}: its extension indicates no format; give --to "
                             f"{'|'.join(registry.writers())}")
        kind: type[VoltageWriter] = registry.writer(name)
        self.takes_endless = kind.OPEN_END and stream.most_rows is not None
        if stream.endless:  # what is valid will be known when it has come
            self.sparse = False
            surveyed = tuple(validity.full(0, stream.shape[0]) for _ in range(stream.n_pol))
        valid = stream.valid_spans() if surveyed is None else surveyed
        if valid is None:
            raise PlanError(f"{stream.path}: it is not known which samples are valid; survey first")
        recording = Recording(stream.header, stream.shape, valid, stream.levels, stream.path,
                              _records(stream, hash_inputs), stream.endless)
        own = {key: True for key, value in (("one_thread", one_thread),
                                            ("dspsr_header", dspsr_header)) if value}
        if wrong := next((key for key in own if key not in kind.OWN), None):
            raise UsageError(f"{wrong.replace('_', '-')} is not an option of {name}; allowed for "
                             "vdif")
        self.writer = kind(recording, path, n_bits=bits, scale=scale, file_bytes=file_bytes, **own)
        if recording.records is not None:  # the losses are known only now
            recording.records["provenance"]["losses"][:] = self.losses  # type: ignore[index]
        self.lossy, self._overwrite = lossy, overwrite
        self.format, self.path, self.segment = name, self.writer.path, self.writer.piece

    def __repr__(self) -> str:
        lost = f", {len(self.losses)} losses" if self.losses else ""
        return f"<{type(self).__name__} {self.path}, {self.format}, {self.n_bits} bits{lost}>"

    @staticmethod
    def formats() -> tuple[str, ...]:
        """Return the names of the formats."""
        return registry.writers()

    @staticmethod
    def format_of(path: str | os.PathLike[str], to: str | None = None) -> str | None:
        """Return the result of `voltage_format`."""
        return voltage_format(path, to)

    @staticmethod
    def survey(stream: Stream, path: str | os.PathLike[str], **_: Any) -> ValidSpans | None:
        """Return the sink that finds the valid spans; None if the headers state them."""
        if not isinstance(stream, VoltageStream) or stream.valid_spans() is not None:
            return None
        return ValidSpans(stream)

    @classmethod
    def best_case(cls, stream: Stream, path: str | os.PathLike[str], **options: Any) -> Self:
        """Return the product as the headers alone describe it, with as few losses as they allow."""
        known = None
        if isinstance(stream, VoltageStream) and stream.valid_spans() is None:
            known = tuple(validity.full(0, stream.shape[0]) for _ in range(stream.n_pol))
        return cls(stream, path, surveyed=known, **options)

    @property
    def losses(self) -> list[str]:
        """Descriptions of the information that the files cannot store."""
        return self.writer.losses

    @property
    def cautions(self) -> list[str]:
        """Descriptions of the values in the files that other programs will misinterpret."""
        return self.writer.cautions

    @property
    def n_bits(self) -> int:
        """Number of bits of a value in the files."""
        return self.writer.n_bits

    @property
    def n_clipped(self) -> int:
        """Number of values outside the range of the format."""
        return self.writer.n_clipped

    @property
    def n_inexact(self) -> int:
        """Number of values that were rounded."""
        return self.writer.n_inexact

    @property
    def rows(self) -> tuple[int, int]:
        """First row that is written, and the row after the last."""
        return self.writer.rows

    @property
    def frame(self) -> int:
        """Number of rows in the smallest unit of the format; only whole units are written."""
        return self.writer.frame

    @property
    def bytes(self) -> list[tuple[str, int]]:
        """Names of the files, and their sizes in bytes."""
        return self.writer.files

    @property
    def files(self) -> list[str]:
        """Names of the files."""
        return [name for name, _ in self.writer.files]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Return the rows of the pieces of the format; a long gap contains no pieces."""
        return ((start, start + n) for start, n in self.writer.pieces())

    def work_bytes(self, n: int) -> int:
        """Memory needed to encode a piece, bytes."""
        return self.writer.work_bytes

    def part_bytes(self, n: int) -> int:
        """Memory needed for an encoded piece that waits to be written, bytes."""
        return self.writer.work_bytes

    def refuse_losses(self) -> None:
        """Raise `PlanError` if something would be lost and the user has not allowed it."""
        if self.losses and not self.lossy:
            whole = "" if self.format == "native" else "; native files keep everything"
            raise PlanError(f"{self.path}: {'; '.join(self.losses)}. --lossy writes "
                            f"it nevertheless{whole}")

    def check(self) -> None:
        """Raise `OutputError` if a file may not be written, or would replace an input."""
        inputs = input_files(self.stream)
        for name in self.files:
            check_output(name, overwrite=self._overwrite, inputs=inputs)

    def __enter__(self) -> Self:
        self.check()
        self.refuse_losses()
        if self.stream.endless and not self.writer.ENDS_WHEN_FULL:
            self._leave_room()
        self.writer.create(overwrite=self._overwrite).__enter__()
        return self

    def _leave_room(self) -> None:
        """Refuse a recording that would not leave other products their margin on the disk."""
        folder = os.path.dirname(self.path) or "."
        size, spare = sum(size for _, size in self.writer.files), margin(folder)
        if not has_room(folder, size + spare):
            raise OutputError(self.path, f"the disk is full: {size} bytes are needed, and {spare} "
                              f"for other products; {free_bytes(folder)} are free")

    def partial(self, block: Block) -> Any:
        """Encode a piece as it will be stored in the file."""
        return self.writer.encode(block)

    def merge(self, part: Any) -> None:
        """Write the next piece."""
        self.writer.write(part)
        self.satisfied = self.satisfied or self.writer.is_full

    def finish(self, n_rows: int) -> VoltageFile:
        """Return the files, which are complete when the pass ends."""
        if self.stream.endless:
            records = self.writer.recording.records
            if records is not None:
                records["provenance"]["stages"][:] = chain_record(finished(self.stream, n_rows))
            self.writer.end_at(n_rows)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.writer.__exit__(kind, error, trace)


def voltage_format(path: str | os.PathLike[str], to: str | None = None) -> str | None:
    """Return the format to write: `to`, or that indicated by the extension of the name, or None."""
    return to or _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


def _records(stream: VoltageStream, hash_inputs: bool) -> dict[str, Any]:
    records: dict[str, Any] = {
        "provenance": voltage_provenance(stream, [], hash_inputs=hash_inputs)}
    truth = getattr(stream, "truth", None)  # of a complete file: that of a cut would be misleading
    return records | ({"truth": truth} if truth is not None else {})
