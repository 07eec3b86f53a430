"""What spectra are written as: the format, its options, what it would lose.

A `Target` is made before any file is: it knows the writer's class and options, what the files will
take, and what they cannot carry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastsig import registry
from fastsig.errors import PlanError, UsageError
from fastsig.io.hifast import HiFASTSpectra
from fastsig.io.outputs import check_file_bytes, output_names
from fastsig.io.psrfits_writer import row_bytes
from fastsig.io.safe import check_name
from fastsig.io.spectra_writing import Sizes, SpectraWriter
from fastsig.stages.select import SelectSpectra
from fastsig.stream import Codes, SpectrumStream, Stream

__all__ = ["Target", "refuse_losses", "spectra_format", "target"]

_SUFFIXES = {".h5": "fbh5", ".hdf5": "fbh5", ".fil": "sigproc", ".fits": "psrfits",
             ".sf": "psrfits", ".dat": "presto"}
_SURVEY_BYTES = 2**23


@dataclass(frozen=True)
class Target:
    """Files of spectra that are ready to be begun.

    Parameters
    ----------
    name : str
        The format.
    path : str
        Of the file, or of the first of several.
    n_bits : int
    options : mapping
        Of the writer.
    losses : list of str
        What the files cannot carry.
    sizes : Sizes
    """

    name: str
    path: str
    n_bits: int
    options: Mapping[str, Any]
    losses: list[str] = field(default_factory=list)
    sizes: Sizes = Sizes(0, 0)

    def writer(self, stream: SpectrumStream, provenance: Mapping[str, Any], overwrite: bool
               ) -> SpectraWriter:
        """Begin the files of a planned stream."""
        more = {"provenance": provenance} if self.name in ("fbh5", "hifast") else {}
        made: SpectraWriter = registry.spectra_writer(self.name)(
            self.path, stream.header, stream.shape, overwrite=overwrite, **self.options, **more)
        return made


def spectra_format(path: str | os.PathLike[str], to: str | None = None) -> str | None:
    """The format to write spectra in: `to`, or what the name's ending stands for, or None."""
    return to or _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


def target(
    stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
    bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
    compression: str | None = None, blank: str | None = None,
) -> Target:
    """What to write the spectra of a chain as.

    Where `bits` is not given and the input holds codes, or may have weights that no header tells,
    a chain that copies a file reads it once, to know what would be lost.

    Parameters
    ----------
    stream : SpectrumStream
        The chain.
    path : path
        Name of the file; ``{file}`` in it stands for numbers, where there are several.
    to : {"fbh5", "sigproc", "psrfits", "presto", "hifast"}, optional
        The format; by default what the ending of `path` stands for (.h5, .fil, .fits, .dat), else
        FBH5.
    bits : int, optional
        Of a number; 32 for FBH5 by default, for others the fewest that carry all values.
    scale : float
        What values are multiplied by before they become SIGPROC's codes.
    file_bytes : int, optional
        Most bytes of a PSRFITS file's table.
    compression, blank : str, optional
        As of the writers of FBH5 and SIGPROC.

    Raises
    ------
    UsageError
        Where an option is not allowed for the format.
    PlanError
        Where the format cannot hold such spectra.
    FormatError
        Where the frequencies of the channels are not known.
    """
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: holds {stream.kind}; allowed: spectra")
    check_name(output_names(os.fspath(path), 1)[0])
    check_file_bytes(file_bytes)
    if not 1e-30 < scale < 1e30:  # NaN too
        raise UsageError(f"scale = {scale:g}; allowed: above 1e-30, below 1e30")
    _check_ending(os.fspath(path), to)
    stream.header.require_channels(stream.path)
    name = spectra_format(path, to) or "fbh5"
    kind: type[SpectraWriter] = registry.spectra_writer(name)
    _check_options(kind, bits, {"scale": scale != 1, "compression": compression,
                                "blank": blank, "file-size": file_bytes})
    simple = name == "fbh5"
    weights_vary, codes = (True, None) if simple else _survey(stream, whole=bits is None)
    n_bits = bits or (32 if simple else kind.exact_bits(codes))
    exact = codes is not None and n_bits >= kind.exact_bits(codes)
    options = _options(name, stream, n_bits, scale, file_bytes, compression, blank, exact=exact)
    sizes = kind.sizes(stream.shape, **options)
    losses = kind.losses(stream.header, stream.shape, weights_vary, **options, alike=(
        _format_of(stream) == name), exact=exact)
    left = [each for each in stream.columns if each not in _CARRIED.get(name, stream.columns)]
    if left:
        losses.append(f"{name} has no place for what is known of each row: {', '.join(left)}")
    if name not in _FRAMED and stream.header.specsys not in (None, "topocentric"):
        losses.append(f"{name} has no place for the frame of frequencies, {stream.header.specsys}")
    if name not in _FRAMED and stream.header.rest_hz is not None:
        losses.append(f"{name} has no place for a rest frequency")
    if name == "hifast" and _hifast_fields(stream) is None and _of_hifast(stream):
        losses.append("rows are missing: what else the file holds of rows is left out")
    return Target(name, output_names(os.fspath(path), 1)[0] if name != "psrfits"
                  else os.fspath(path), n_bits, options, losses, sizes)


def refuse_losses(made: Target, lossy: bool) -> None:
    """Raise `PlanError` where something would be lost and the user did not say that it may."""
    if made.losses and not lossy:
        raise PlanError(f"{made.path}: {'; '.join(made.losses)}. --lossy (lossy=True) writes it "
                        "all the same; FBH5 keeps everything")


_WHOSE = {"scale": ("sigproc",), "compression": ("fbh5",), "blank": ("fbh5", "sigproc"),
          "file-size": ("psrfits",)}


# Columns that a format has a place for; FBH5 has one for all.
# Formats that tell the frame of frequencies and the rest frequency.
_FRAMED = ("fbh5", "hifast")
_CARRIED: dict[str, dict[str, str]] = {
    "hifast": {"ra_deg": "ra", "dec_deg": "dec"}, "sigproc": {}, "psrfits": {}, "presto": {}}


# What a name ends in that stands for something else than spectra.
_OTHERS = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".html", ".raw", ".dada", ".vdif", ".npy",
           ".npz", ".txt", ".csv", ".json", ".xlsx", ".toml")


def _check_ending(path: str, to: str | None) -> None:
    if to is None and path.lower().endswith(_OTHERS):
        raise UsageError(f"{path}: its ending stands for no format of spectra; give --to "
                         f"{'|'.join(registry.spectra_writers())}")


def _check_options(kind: type[SpectraWriter], bits: int | None, given: Mapping[str, Any]) -> None:
    if bits is not None and bits not in kind.OFFERS:
        raise UsageError(f"bits = {bits!r}; allowed for {kind.NAME}: "
                         f"{', '.join(map(str, kind.OFFERS))}")
    for option, value in given.items():
        if value and kind.NAME not in _WHOSE[option]:
            raise UsageError(f"{option} is no option of {kind.NAME}; allowed for "
                             f"{', '.join(_WHOSE[option])}")


def _options(name: str, stream: SpectrumStream, n_bits: int, scale: float, file_bytes: int | None,
             compression: str | None, blank: str | None, *, exact: bool) -> dict[str, Any]:
    """Options of the format's writer."""
    if name == "fbh5":
        return {"weight_channels": stream.weight_channels, "bits": n_bits,
                "compression": compression or "bitshuffle", "blank": blank or "nan"}
    options: dict[str, Any] = {"n_bits": n_bits}
    if name == "sigproc":
        options |= {"blank": blank or "mean"}
        if scale != 1 or not (exact or n_bits == 32):  # then values are rounded
            options["scale"] = 1 / scale
    if name == "psrfits" and file_bytes is not None:
        options["file_rows"] = max(1, file_bytes // row_bytes(stream.shape, n_bits))
    if name == "hifast":
        options["fields"] = _hifast_fields(stream) or _columns_of(stream, _CARRIED[name])
    return options


def _place(stream: Stream) -> tuple[Stream, tuple[int, int], tuple[int, int]] | None:
    """The file that a chain copies rows and channels of; None where it computes anything."""
    rows, channels = (0, stream.shape[0]), (0, stream.shape[-1])
    while isinstance(stream, SelectSpectra):
        rows = stream.rows[0] + rows[0], stream.rows[0] + rows[1]
        channels = stream.channels[0] + channels[0], stream.channels[0] + channels[1]
        stream = stream.source
    return None if stream.inputs() else (stream, rows, channels)


def _format_of(stream: Stream) -> str | None:
    """Name of the format of the file that a chain copies."""
    place = _place(stream)
    return place[0].format_name if place else None


def _of_hifast(stream: Stream) -> bool:
    place = _place(stream)
    return place is not None and isinstance(place[0], HiFASTSpectra)


def _hifast_fields(stream: Stream) -> dict[str, Any] | None:
    """What else a HiFAST file tells of the rows that a chain copies."""
    place = _place(stream)
    if place is None or not isinstance(place[0], HiFASTSpectra):
        return None
    return place[0].fields_of(*place[1:])


def _columns_of(stream: SpectrumStream, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Columns of all rows under the names that a format has for them."""
    there = {name: new for name, new in names.items() if name in stream.columns}
    found = stream.read_columns(0, stream.shape[0]) if there else {}
    return {new: found[name] for name, new in there.items()} or None


def _survey(stream: SpectrumStream, *, whole: bool) -> tuple[bool, Codes | None]:
    """Whether weights vary, and the range of values where all are whole numbers.

    Headers tell, or all of a file is read; of what is computed the worst is taken.
    """
    if _place(stream) is None:
        return True, None
    full, codes = stream.all_valid(), stream.codes()
    asked = whole and codes is None
    if full is not None and not asked:
        return not full, codes
    low, high, varies = np.inf, -np.inf, full is False  # a block of floats mostly ends it
    rows = max(1, _SURVEY_BYTES // max(1, stream.row_bytes))
    for start in range(0, stream.shape[0], rows):
        block = stream.read_block(start, min(rows, stream.shape[0] - start))
        varies = varies or bool((block.valid != 1).any())
        values = block.data[np.isfinite(block.data)] if varies else block.data
        asked = asked and bool((values == np.rint(values)).all())
        if asked:
            low, high = min(low, values.min(initial=low)), max(high, values.max(initial=high))
        elif varies or full:
            break
    found = Codes(int(low), int(high)) if asked and low <= high else None
    return varies, codes or found
