"""SpectraFile: the sink that writes spectra, in FBH5 or another format.

The sink is created before any file, with the class and the options of the writer, the sizes of the
files, and the information that they cannot store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from fastsig import registry
from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.files.outputs import check_file_bytes, output_names
from fastsig.io.files.provenance import input_files, provenance
from fastsig.io.files.safe import check_name, check_output
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.run.surveys import SpectraSurvey, Surveyed
from fastsig.stages.dedisperse import DedisperseSpectra
from fastsig.stages.piece import finished
from fastsig.stages.select import SelectProducts, SelectSpectra
from fastsig.stages.series import Series
from fastsig.stages.stokes import Stokes
from fastsig.stages.to_barycenter import BarycentricSpectra
from fastsig.stream import ENDLESS, Block, Sink, SpectrumStream, Stream, spectra_of

__all__ = ["SpectraFile", "spectra_format"]

_SUFFIXES = {".h5": "fbh5", ".hdf5": "fbh5", ".fil": "sigproc", ".tim": "sigproc",
             ".fits": "psrfits", ".sf": "psrfits", ".dat": "presto"}
_FIRST_BYTES = 2**22  # of spectra that may be all
_MANY_ROWS = 2**16  # enough for buffers of full length


class SpectraFile(Sink):
    """Files of spectra, with sizes and losses that are known before they are begun.

    Parameters
    ----------
    stream : SpectrumStream
        The chain.
    path : path
        Name of the file; ``{file}`` in it is replaced by the number of the file if there are
        several.
    to : {"fbh5", "sigproc", "psrfits", "presto", "hifast"}, optional
        The format; by default, that indicated by the extension of `path` (.h5, .fil, .fits, .dat),
        otherwise FBH5.
    bits : int, optional
        Number of bits of a value; by default, 32 for FBH5, and for other formats the fewest that
        preserve all values.
    scale : float
        Factor by which values are multiplied before they become SIGPROC codes.
    file_bytes : int, optional
        Largest size of the table in a PSRFITS file, bytes.
    compression, blank : str, optional
        As for the writers of FBH5, SIGPROC and PSRFITS.
    lossy : bool
        Whether to write even if the format cannot store everything.
    overwrite : bool
        Whether an existing file may be replaced.
    hash_inputs : bool
        Whether to hash every input completely for the provenance, instead of only its ends.
    surveyed : Surveyed, optional
        Result of `survey`, for formats in which the number of bits depends on the values.

    Raises
    ------
    UsageError
        If an option is not allowed for the format.
    PlanError
        If the format cannot store these spectra.
    FormatError
        If the frequencies of the channels are not known.
    """

    name = "write"
    ordered = True

    def __init__(
        self, stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
        bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
        compression: str | None = None, blank: str | None = None, lossy: bool = False,
        overwrite: bool = False, hash_inputs: bool = False, surveyed: Surveyed | None = None,
    ) -> None:
        super().__init__(stream)
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
        self.spectra = stream
        check_name(output_names(os.fspath(path), 1)[0])
        check_file_bytes(file_bytes)
        if not 1e-30 < scale < 1e30:  # NaN too
            raise UsageError(f"scale = {scale:g}; allowed: above 1e-30, below 1e30")
        _check_ending(os.fspath(path), to, stream.shape[2])
        stream.header.require_channels(stream.path)
        self.format = spectra_format(path, to) or "fbh5"
        self._kind: type[SpectraWriter] = registry.spectra_writer(self.format)
        _check_options(self._kind, bits, {"scale": scale != 1, "compression": compression,
                                          "blank": blank, "file-size": file_bytes})
        # Of the rows that come, if their number is not known.
        self._shape = (ENDLESS if stream.most_rows is None else stream.shape[0], *stream.shape[1:])
        self.lossy, self._overwrite, self._hash_inputs = lossy, overwrite, hash_inputs
        known = surveyed or Surveyed(weights_vary=True, codes=None)
        self.n_bits = bits or (
            32 if self.format == "fbh5" else self._kind.exact_bits(known.codes))
        exact = known.codes is not None and self.n_bits >= self._kind.exact_bits(known.codes)
        self.options = _options(self.format, stream, self.n_bits, scale, file_bytes, compression,
                                blank, exact=exact)
        self.takes_endless = self._kind.open_end(**self.options)
        if self.format == "psrfits" and known.codes and exact and self.n_bits < 32:
            from fastsig.io.psrfits.written_rows import level_of

            self.options["level"] = level_of(known.codes, self.n_bits)
        #: Sizes of the files and memory of the writer.
        self.sizes: Sizes = _sizes(self._kind, self._shape, self.options)
        #: Descriptions of the information that the files cannot store.
        self.losses = self._losses(known, exact=exact)
        #: Descriptions of the values in the files that other programs will misinterpret.
        self.cautions = self._kind.cautions(stream.header, stream.shape, **self.options)
        #: Name of the file, or of the first of several.
        self.path = os.fspath(path) if self.format == "psrfits" else output_names(
            os.fspath(path), 1)[0]
        #: Number of spectra in the file, or in the stream as far as it is known.
        self.n_rows = stream.shape[0]
        self._writer: SpectraWriter | None = None
        self._first: list[Block] = []

    def __repr__(self) -> str:
        lost = f", {len(self.losses)} losses" if self.losses else ""
        return f"<{type(self).__name__} {self.path}, {self.format}, {self.n_bits} bits{lost}>"

    @staticmethod
    def formats() -> tuple[str, ...]:
        """Return the names of the formats."""
        return registry.spectra_writers()

    @staticmethod
    def format_of(path: str | os.PathLike[str], to: str | None = None) -> str | None:
        """Return the result of `spectra_format`."""
        return spectra_format(path, to)

    @staticmethod
    def takes_open_end(path: str | os.PathLike[str], to: str | None = None, bits: int = 32) -> bool:
        """Return whether spectra whose end is not known can be written to a file."""
        name = spectra_format(path, to) or "fbh5"
        return bool(registry.spectra_writer(name).open_end(bits=bits))

    @staticmethod
    def survey(stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
               bits: int | None = None, **_: Any) -> SpectraSurvey | None:
        """Return the sink that determines the bits and the losses; None if the headers suffice.

        A chain that copies a file, or forms products of its spectra, reads the file once if `bits`
        is not given and the file contains codes, or if the file may have weights that no header
        states. For a time series of such a chain, only the weights are examined. For other computed
        values, the worst case is assumed.
        """
        simple = (spectra_format(path, to) or "fbh5") == "fbh5"
        if simple or _copied_file(stream) is None or not isinstance(stream, SpectrumStream):
            return None
        plain = spectra_format(path, to) == "psrfits" and bits in (8, 16)
        summed = stream.source if isinstance(stream, BarycentricSpectra) else stream
        return SpectraSurvey(stream, whole=not isinstance(summed, Series) and (
            bits is None or plain))

    @classmethod
    def best_case(cls, stream: Stream, path: str | os.PathLike[str], **options: Any) -> Self:
        """Return the product as the headers alone describe it, with as few losses as they allow."""
        survey = cls.survey(stream, path, **options)
        known = None if survey is None else survey.from_headers or survey.best
        return cls(stream, path, surveyed=known, **options)

    def _losses(self, known: Surveyed, *, exact: bool) -> list[str]:
        stream, name = self.spectra, self.format
        losses = self._kind.losses(
            stream.header, stream.shape, known.weights_vary, **self.options,
            alike=_format_of(stream) == name, exact=exact)
        left = [column for column in stream.columns
                if column not in _CARRIED.get(name, stream.columns)]
        if left:
            losses.append(f"{name} has no place for these columns: {', '.join(left)}")
        if name not in _FRAMED and stream.header.specsys not in (None, "topocentric"):
            losses.append(f"{name} has no place for the frame of frequencies, "
                          f"{stream.header.specsys}")
        if name not in _FRAMED and stream.header.rest_hz is not None:
            losses.append(f"{name} has no place for a rest frequency")
        return losses + (_lost_fields(stream) if name == "hifast" else [])

    def refuse_losses(self) -> None:
        """Raise `PlanError` if something would be lost and the user has not allowed it."""
        if self.losses and not self.lossy:
            raise PlanError(f"{self.path}: {'; '.join(self.losses)}. --lossy writes "
                            "it nevertheless; FBH5 keeps everything")

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory needed for the writer, bytes."""
        return self.sizes.memory

    @property
    def bytes(self) -> list[tuple[str, int]]:
        """Names of files, and the largest size of each in bytes, as far as they are known."""
        return [(self.path, self.sizes.disk)]

    @property
    def files(self) -> list[str]:
        """Names of the files that were written."""
        return [self.path] if self._writer is None else self._writer.files

    @property
    def n_clipped(self) -> int:
        """Number of values outside the range of the codes."""
        return 0 if self._writer is None else self._writer.n_clipped

    def check(self) -> None:
        """Raise `OutputError` if the file may not be written, or would replace an input."""
        check_output(output_names(self.path, 1)[0], overwrite=self._overwrite,
                     inputs=input_files(self.spectra))

    def __enter__(self) -> Self:
        self.check()
        self.refuse_losses()
        if self._shape[0] < ENDLESS:
            self._begin(self._shape)
        return self

    def _begin(self, shape: tuple[int, ...]) -> None:
        more = {"provenance": provenance(self.spectra, hash_inputs=self._hash_inputs)} if (
            self.format in ("fbh5", "hifast")) else {}
        self._writer = self._kind(
            self.path, self.spectra.header, shape,  # type: ignore[call-arg]
            overwrite=self._overwrite, **self.options, **more)
        self._writer.__enter__()

    def merge(self, part: Block) -> None:
        """Write the next rows; the first few of a stream without a known end are held back."""
        if self._writer is None:
            self._first.append(part)
            if sum(each.data.nbytes for each in self._first) > _FIRST_BYTES:
                self._write_first(self._shape)
            return
        self._begun.append(part.data, part.valid)

    def _write_first(self, shape: tuple[int, ...]) -> None:
        self._begin(shape)
        while self._first:
            part = self._first.pop(0)
            self._begun.append(part.data, part.valid)

    def finish(self, n_rows: int) -> SpectraFile:
        """Write the further quantities of each row."""
        spectra = spectra_of(finished(self.spectra, n_rows))
        self.n_rows = n_rows
        if self._writer is None:
            self._write_first((n_rows, *self._shape[1:]))
        if spectra is not self.spectra:
            self._begun.end_at(n_rows)
        self._begun.add_columns(spectra)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    @property
    def _begun(self) -> SpectraWriter:
        if self._writer is None:
            raise OutputError(self.path, "can only be written within a pass")
        return self._writer


def spectra_format(path: str | os.PathLike[str], to: str | None = None) -> str | None:
    """Return the format for spectra: `to`, or that indicated by the extension, or None."""
    return to or _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


_WHOSE = {"scale": ("sigproc",), "compression": ("fbh5",), "blank": ("fbh5", "sigproc", "psrfits"),
          "file-size": ("psrfits",)}


# Formats that can store the frame of frequencies and the rest frequency.
_FRAMED = ("fbh5", "hifast")
# Columns that a format can store; FBH5 stores all.
_CARRIED: dict[str, dict[str, str]] = {
    "hifast": {"ra_deg": "ra", "dec_deg": "dec"}, "sigproc": {}, "psrfits": {}, "presto": {}}


# Extensions of names that indicate something other than spectra.
_OTHERS = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".html", ".raw", ".dada", ".vdif", ".npy",
           ".npz", ".txt", ".csv", ".ecsv", ".json", ".xlsx", ".toml")


def _check_ending(path: str, to: str | None, n_chan: int) -> None:
    if n_chan > 1 and path.lower().endswith(".tim") and spectra_format(path, to) == "sigproc":
        raise PlanError(f"{path}: a .tim file contains one time series, and the spectra have "
                        f"{n_chan} channels; allowed: .fil, or the mean of the channels by "
                        "to_series() or fastsig dedisperse")
    if to is None and path.lower().endswith(_OTHERS):
        raise UsageError(f"{path}: its extension indicates no format of spectra; give --to "
                         f"{'|'.join(registry.spectra_writers())}")


def _check_options(kind: type[SpectraWriter], bits: int | None, given: Mapping[str, Any]) -> None:
    if bits is not None and bits not in kind.OFFERS:
        raise UsageError(f"bits = {bits!r}; allowed for {kind.NAME}: "
                         f"{', '.join(map(str, kind.OFFERS))}")
    for option, value in given.items():
        if value and kind.NAME not in _WHOSE[option]:
            raise UsageError(f"{option} is not an option of {kind.NAME}; allowed for "
                             f"{', '.join(_WHOSE[option])}")


def _options(name: str, stream: SpectrumStream, n_bits: int, scale: float, file_bytes: int | None,
             compression: str | None, blank: str | None, *, exact: bool) -> dict[str, Any]:
    """Return the options of the writer of a format."""
    if name == "fbh5":
        return {"weight_channels": stream.weight_channels, "bits": n_bits,
                "compression": compression or "bitshuffle", "blank": blank or "nan"}
    options: dict[str, Any] = {"n_bits": n_bits}
    if name == "sigproc":
        options |= {"blank": blank or "mean"}
        if scale != 1 or not (exact or n_bits == 32):  # then values are rounded
            options["scale"] = 1 / scale
    if name == "psrfits":
        options["blank"] = blank or "mean"
    if name == "psrfits" and file_bytes is not None:
        from fastsig.io.psrfits.written_rows import row_bytes

        options["file_rows"] = max(1, file_bytes // row_bytes(stream.shape, n_bits))
    if name == "hifast":
        options["fields"] = _hifast_fields(stream) or _columns_of(stream, _CARRIED[name])
    return options


def _sizes(kind: type[SpectraWriter], shape: tuple[int, ...], options: dict[str, Any]) -> Sizes:
    """Return the sizes of files; that on disk is 0 if the number of rows is not known."""
    if shape[0] < ENDLESS:
        return kind.sizes(shape, **options)
    return Sizes(0, kind.sizes((_MANY_ROWS, *shape[1:]), **options).memory)


def _place(stream: Stream) -> tuple[Stream, tuple[int, int], tuple[int, int]] | None:
    """Return the file from which a chain copies rows and channels; None if it computes any."""
    rows, channels = (0, stream.shape[0]), (0, stream.shape[-1])
    while isinstance(stream, SelectSpectra):
        rows = stream.rows[0] + rows[0], stream.rows[0] + rows[1]
        channels = stream.channels[0] + channels[0], stream.channels[0] + channels[1]
        stream = stream.source
    return None if stream.inputs() else (stream, rows, channels)


def _copied_file(stream: Stream) -> Stream | None:
    """Return the file whose spectra a chain has; None for others.

    They may be aligned, be summed over all channels, be sampled at the barycentre, or have other
    products.
    """
    while isinstance(stream, (SelectSpectra, SelectProducts, Stokes, DedisperseSpectra, Series,
                              BarycentricSpectra)):
        stream = stream.source
    return None if stream.inputs() else stream


def _format_of(stream: Stream) -> str | None:
    """Return the name of the format of the file that a chain copies."""
    file = _copied_file(stream)
    return file.format_name if file else None


def _hifast_fields(stream: Stream) -> dict[str, Any] | None:
    """Return the further fields of a HiFAST file for the rows that a chain copies."""
    place = _place(stream)
    if place is None or place[0].format_name != "hifast":
        return None
    file: Any = place[0]
    fields: dict[str, Any] | None = file.fields_of(*place[1:])
    return fields


def _lost_fields(stream: SpectrumStream) -> list[str]:
    """Describe the further fields of a HiFAST file that are not copied with its spectra."""
    file: Any = _copied_file(stream)
    if file is None or file.format_name != "hifast" or _hifast_fields(stream) is not None:
        return []
    if _place(stream) is not None:
        return ["rows are missing: the file's other fields for rows are left out"]
    carried = {new for column, new in _CARRIED["hifast"].items() if column in stream.columns}
    left = [name for name in file.fields if name not in {"mjd", "freq", *carried}]
    return [f"the file's other fields are left out: {', '.join(left)}"] if left else []


def _columns_of(stream: SpectrumStream, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the columns of all rows with the names used in a format."""
    there = {name: new for name, new in names.items() if name in stream.columns}
    found = stream.read_columns(0, stream.shape[0]) if there else {}
    return {new: found[name] for name, new in there.items()} or None
