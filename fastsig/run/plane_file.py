"""PlaneFile: the sink that writes DM-time planes, as one HDF5 file or as many time series."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.files.provenance import input_files, provenance
from fastsig.io.files.safe import check_name, check_output
from fastsig.io.hdf5.planes import SEGMENT, PlaneWriter, plane_bytes
from fastsig.stream import Block, PlaneStream, Sink, Stream

__all__ = ["PlaneFile"]

_FORMATS = {".h5": "planes", ".hdf5": "planes"}


class PlaneFile(Sink):
    """A file of a DM-time plane.

    Parameters
    ----------
    stream : PlaneStream
        The chain.
    path : path
        Name of the file, with the extension .h5 or .hdf5.
    to : {"planes"}, optional
        The format; by default that of the extension.
    lossy : bool
        Has no effect, since nothing is lost.
    overwrite : bool
        Whether an existing file may be replaced.
    hash_inputs : bool
        Hash every input completely for the provenance, not only its ends.
    surveyed : None
        Not used.

    Raises
    ------
    PlanError
        If the stream contains no planes.
    UsageError
        If an option is not allowed.
    """

    name = "write"
    ordered = True
    segment = SEGMENT
    format, n_bits, n_clipped = "planes", 32, 0

    def __init__(self, stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
                 lossy: bool = False, overwrite: bool = False, hash_inputs: bool = False,
                 surveyed: None = None) -> None:
        super().__init__(stream)
        if not isinstance(stream, PlaneStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: planes")
        self.planes, self.path = stream, check_name(os.fspath(path))
        if self.format_of(path, to) != "planes":
            raise UsageError(f"{self.path}: planes are written as HDF5; allowed: a name that ends "
                             "in .h5")
        self.lossy, self._overwrite, self._hash_inputs = lossy, overwrite, hash_inputs
        #: What the file cannot store, and what other programs will misinterpret: nothing.
        self.losses: list[str] = []
        self.cautions: list[str] = []
        self._writer: PlaneWriter | None = None

    @staticmethod
    def formats() -> tuple[str, ...]:
        """Return the names of the formats."""
        return ("planes",)

    @staticmethod
    def format_of(path: str | os.PathLike[str], to: str | None = None) -> str | None:
        """Return the format: `to`, or that which the extension indicates, or None."""
        return to or _FORMATS.get(os.path.splitext(os.fspath(path))[1].lower())

    @staticmethod
    def survey(stream: Stream, path: str | os.PathLike[str], **options: Any) -> None:
        """Return None: nothing has to be read before."""
        return

    @classmethod
    def best_case(cls, stream: Stream, path: str | os.PathLike[str], **options: Any) -> Self:
        """Return the product."""
        return cls(stream, path, **options)

    def refuse_losses(self) -> None:
        """Do nothing, since nothing is lost."""

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory of the writer: a segment in the order of the file."""
        return 2 * SEGMENT * self.planes.row_bytes

    @property
    def bytes(self) -> list[tuple[str, int]]:
        """Name of the file, and its largest size in bytes."""
        return [(self.path, plane_bytes(self.planes.shape))]

    @property
    def files(self) -> list[str]:
        """Name of the file."""
        return [self.path]

    def check(self) -> None:
        """Raise `OutputError` if the file may not be written, or would replace an input."""
        check_output(self.path, overwrite=self._overwrite, inputs=input_files(self.planes))

    def __enter__(self) -> Self:
        self.check()
        record = provenance(self.planes, hash_inputs=self._hash_inputs)
        self._writer = PlaneWriter(self.path, self.planes.header, self.planes.shape,
                                   self.planes.dms, provenance=record, overwrite=self._overwrite)
        self._writer.__enter__()
        return self

    def merge(self, part: Block) -> None:
        """Write the next rows."""
        self._begun.append(part.data, part.valid)

    def finish(self, n_rows: int) -> PlaneFile:
        """Return the product."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._begun.__exit__(kind, error, trace)

    @property
    def _begun(self) -> PlaneWriter:
        if self._writer is None:
            raise OutputError(self.path, "can only be written within a pass")
        return self._writer
