"""PlaneFile: the sink that writes DM-time planes, as one HDF5 file or as many time series."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.files.outputs import output_names
from fastsig.io.files.provenance import input_files, provenance
from fastsig.io.files.safe import check_name, check_output
from fastsig.io.planes.chunks import SEGMENT, plane_bytes
from fastsig.io.presto.many import SeriesWriter, series_names
from fastsig.io.presto.writer import PrestoWriter
from fastsig.stream import Block, PlaneStream, Sink, Stream

if TYPE_CHECKING:
    from fastsig.io.planes.writer import PlaneWriter

__all__ = ["PlaneFile"]

_FORMATS = {".h5": "planes", ".hdf5": "planes", ".dat": "presto"}

_SERIES_BYTES = 2**18  # memory of the writer of a series


class PlaneFile(Sink):
    """A file of a DM-time plane, or a time series for each of its dispersion measures.

    Parameters
    ----------
    stream : PlaneStream
        The chain.
    path : path
        Name of the file, with the extension .h5 or .hdf5; or a name such as ``scan.dat``, from
        which the names of the series are made, such as ``scan_DM12.50.dat`` and ``.inf``.
    to : {"planes", "presto"}, optional
        The format; by default, that of the extension.
    bits, scale, file_bytes : optional
        Only their defaults are allowed: floats of 32 bits.
    lossy : bool
        Whether to write even if the format cannot store everything.
    overwrite : bool
        Whether an existing file may be replaced.
    hash_inputs : bool
        Whether to hash every input completely for the provenance, instead of only its ends.
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
    n_bits, n_clipped = 32, 0

    def __init__(self, stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
                 bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
                 lossy: bool = False, overwrite: bool = False, hash_inputs: bool = False,
                 surveyed: None = None) -> None:
        super().__init__(stream)
        if not isinstance(stream, PlaneStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: planes")
        self.planes = stream
        self._given = check_name(output_names(os.fspath(path), 1)[0])
        #: Name of the file, or of the first of several.
        self.path = self._given
        found = self.format_of(path, to)
        if found not in self.formats():
            raise UsageError(f"{self.path}: planes are written as HDF5 or as PRESTO's series; "
                             "allowed: a name that ends in .h5 or .dat")
        if bits not in (None, 32) or scale != 1 or file_bytes is not None:
            raise UsageError("bits, scale and file-size are not options of planes; allowed: floats "
                             "of 32 bits")
        self.format = str(found)
        if self.format == "presto":
            self.path = series_names(self._given, stream.dms)[0]
        self.lossy, self._overwrite, self._hash_inputs = lossy, overwrite, hash_inputs
        #: Descriptions of the information that the files cannot store.
        self.losses = self._losses()
        #: Descriptions of what other programs will misinterpret: nothing.
        self.cautions: list[str] = []
        self._writer: PlaneWriter | SeriesWriter | None = None

    def _losses(self) -> list[str]:
        stream, (n_time, n_product, _) = self.planes, self.planes.shape
        if self.format == "planes":
            return []
        return PrestoWriter.losses(stream.header.replace(dm=float(stream.dms[0])),
                                   (n_time, n_product, 1), stream.all_valid() is not True)

    @staticmethod
    def formats() -> tuple[str, ...]:
        """Return the names of the formats."""
        return ("planes", "presto")

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
        """Raise `PlanError` if something would be lost and the user has not allowed it."""
        if self.losses and not self.lossy:
            raise PlanError(f"{self.path}: {'; '.join(self.losses)}. --lossy writes it "
                            "nevertheless; HDF5 keeps everything")

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory needed for the writer, a segment in the order of the file, and the sums."""
        series = 0 if self.format == "planes" else len(self.planes.dms) * _SERIES_BYTES
        return 2 * SEGMENT * self.planes.row_bytes + series + self.planes.held_bytes

    @property
    def least_held_bytes(self) -> int:  # type: ignore[override]
        """A lower limit of `held_bytes`, without making the plans of the sums."""
        return self.planes.least_held_bytes

    @property
    def bytes(self) -> list[tuple[str, int]]:
        """Names of the files, and the largest size of each in bytes."""
        if self.format == "planes":
            return [(self.path, plane_bytes(self.planes.shape))]
        return [(name, 4 * self.planes.shape[0]) for name in series_names(
            self._given, self.planes.dms)]

    @property
    def files(self) -> list[str]:
        """Names of the files."""
        names = [name for name, _ in self.bytes]
        return names if self.format == "planes" else [
            each for name in names for each in (name, f"{name[:-4]}.inf")]

    def check(self) -> None:
        """Raise `OutputError` if a file may not be written, or would replace an input."""
        inputs = input_files(self.planes)
        for name in self.files:
            check_output(name, overwrite=self._overwrite, inputs=inputs)

    def __enter__(self) -> Self:
        self.check()
        self.refuse_losses()
        stream = self.planes
        if self.format == "planes":
            from fastsig.io.planes.writer import PlaneWriter  # loads HDF5

            record = provenance(stream, hash_inputs=self._hash_inputs)
            self._writer = PlaneWriter(self.path, stream.header, stream.shape, stream.dms,
                                       provenance=record, overwrite=self._overwrite)
        else:
            self._writer = SeriesWriter(self._given, stream.header, stream.shape[0], stream.dms,
                                        overwrite=self._overwrite)
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
    def _begun(self) -> PlaneWriter | SeriesWriter:
        if self._writer is None:
            raise OutputError(self.path, "can only be written within a pass")
        return self._writer
