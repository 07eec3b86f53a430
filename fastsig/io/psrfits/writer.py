"""Writing of PSRFITS in search mode, in the layout of FAST: one file, or a scan of several.

A row contains NSBLK spectra, a number that leaves as little of the last row empty as possible:
programs that do not read NSTOT take its filling for data. At 8 and 16 bits a row has a scale and an
offset for each product and channel, so that the codes span the range of values in the row: a step
is 1/255 or 1/65535 of it, and nothing is clipped. Values that are all known to be codes are written
as they are, with the scale 1 and a single offset, 0 if possible, because digifil and TransientX
ignore scales and offsets.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF.
"""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.io.files.outputs import OutputFiles, no_position, output_names
from fastsig.io.fits.layout import BLOCK
from fastsig.io.psrfits.written_header import fields_of, lost_fields, primary_unit, table_unit
from fastsig.io.psrfits.written_rows import (
    BLANKS,
    block_length,
    fill_lost,
    plain_codes,
    row_bytes,
)
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.stream import Codes
from fastsig.stream.header import Header

__all__ = ["BITS", "PsrfitsWriter"]

BITS = (8, 16, 32)

F4 = NDArray[np.float32]

_UNKNOWN = ("LST_SUB", "RA_SUB", "DEC_SUB", "GLON_SUB", "GLAT_SUB", "FD_ANG", "POS_ANG", "PAR_ANG")


class PsrfitsWriter(SpectraWriter):
    """Write PSRFITS files row by row.

    Use it as a context manager: the files get their final names if the block ends without an
    error, and are removed otherwise.

    Parameters
    ----------
    path : path
        Name of the file; for several files it contains ``{file}``, which their numbers replace.
    header : Header
        Header of the spectra; its channels must be known.
    shape : tuple of int
        Shape (time, product, chan) of all spectra to come, with 1, 2 or 4 products.
    overwrite : bool
        Whether existing files may be replaced.
    n_bits : {8, 16, 32}
        Codes with scales at 8 and 16 bits, unscaled floats at 32.
    blank : {"mean", "zero", "nan"}
        Number written for a lost value, and for the spectra that fill up the last row: the mean of
        the others of its product and channel in the row or, if there are none, of the row before
        (in the first row code 0, or 0). For floats also 0, or NaN, which PRESTO and dspsr spread
        over whole spectra and time series.
    n_block : int, optional
        Number of spectra in a row, NSBLK, at most the number of all spectra. By default,
        `block_length`, up to 1024.
    descending : bool
        Whether the highest channel comes first.
    file_rows : int, optional
        Largest number of rows in a file; by default, all rows are in one file.
    first_file : int
        Number of the first file, in its name.
    axes : {4, 3}, optional
        Number of axes of DATA in TDIM: ``(1, NCHAN, NPOL, NSBLK)``, as in the definition and at
        FAST, or without the first axis, as sigpyproc reads it, which is the default for one
        product.
    level : int, optional
        For values that are whole numbers within the range of codes: the value of code 0. A step is
        then 1 in all rows. Without it every row has scales and offsets of its own.

    Raises
    ------
    OutputError
        Where a file exists or cannot be written, or the disk is too small.
    PlanError
        Where PSRFITS cannot contain these spectra.
    UsageError
        Where an option is not allowed.
    """

    NAME = "psrfits"
    OFFERS = BITS

    def __init__(
        self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
        overwrite: bool = False, n_bits: int = 8, n_block: int | None = None,
        descending: bool = False, file_rows: int | None = None, axes: int | None = None,
        first_file: int = 0, level: int | None = None, blank: str = "mean",
    ) -> None:
        _check(header, shape, n_bits, n_block, file_rows, blank)
        axes = (3 if shape[1] == 1 else 4) if axes is None else axes
        if axes not in (3, 4):
            raise UsageError(f"axes = {axes!r}; allowed: 4, 3")
        self._header, self._shape, self._n_bits = header, shape, n_bits
        self._n_block, self._level = block_length(shape[0], n_block), level
        self._descending, self._blank = descending, blank
        self._fields = fields_of(self._n_block, shape[1], shape[2], n_bits)
        self._row = np.zeros((), np.dtype([
            (field.name, field.dtype, (field.count,) if field.name.startswith("DAT") else ())
            for field in self._fields]))
        self._fill_constants()
        n_row = -(-shape[0] // self._n_block)
        per_file = min(file_rows or n_row, n_row)
        heads = self._heads(n_row, per_file, axes)
        names = output_names(os.fspath(path), len(heads), first_file)
        row_bytes = self._row.dtype.itemsize
        self._places = [len(head) for head, _ in heads]
        sizes = [-(-(len(head) + rows * row_bytes) // BLOCK) * BLOCK for head, rows in heads]
        self.files = names
        self._per_file, self._n_row = per_file, n_row
        self._done = self._held = 0
        self._buffer = np.empty((self._n_block, *shape[1:]), np.float32)
        self._weights = np.zeros(shape[2])
        self._output = OutputFiles(list(zip(names, sizes, strict=True)), overwrite=overwrite,
                                   pattern=os.fspath(path), first=first_file)
        for number, (head, rows) in enumerate(heads):
            end = len(head) + rows * row_bytes
            self._output.write(number, np.frombuffer(head, np.uint8), 0)
            self._output.write(number, np.zeros(sizes[number] - end, np.uint8), end)

    @classmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool, *,
               n_bits: int = 8, n_block: int | None = None, exact: bool = False,
               **options: Any) -> list[str]:
        """Describe in plain words the information that PSRFITS files of these spectra would lose.

        Parameters
        ----------
        header, shape, weights_vary, exact
            See `SpectraWriter.losses`.
        n_bits, n_block, **options
            Options of the writer.
        """
        blank = options.get("blank", "mean")
        _check(header, shape, n_bits, n_block, options.get("file_rows"), blank)
        n_block = block_length(shape[0], n_block)
        out = lost_fields(header)
        if n_bits < 32 and not exact:
            out.append(f"values are rounded to {n_bits} bits: by at most half of "
                       f"1/{2**n_bits - 1} of the range of {n_block} spectra of a product and "
                       "channel; whole numbers that fit are exact")
        if weights_vary:
            out.append(f"psrfits has one weight for {n_block} spectra of all products of a "
                       "channel: the mean is written; single values that are lost become "
                       f"{BLANKS[blank]}")
        return out

    @classmethod
    def cautions(cls, header: Header, shape: tuple[int, ...], *, n_block: int | None = None,
                 **options: Any) -> list[str]:
        """Describe an unknown position, and a last row that spectra do not fill."""
        out = no_position(header, "RA and DEC")
        empty = -shape[0] % block_length(shape[0], n_block)
        if empty:
            out.append(f"the last row is filled up with {empty} spectra, which digifil, PRESTO and "
                       "`your` take for data because they do not read NSTOT")
        return out

    @classmethod
    def sizes(cls, shape: tuple[int, ...], *, n_bits: int = 8, n_block: int | None = None,
              **options: Any) -> Sizes:
        """Return the size of the table, and of two rows in memory with the values of one."""
        n_block = block_length(shape[0], n_block)
        row = row_bytes(shape, n_bits, n_block)
        return Sizes(-(-shape[0] // n_block) * row + 2**16,
                     3 * row + 8 * n_block * shape[1] * shape[2])

    @classmethod
    def exact_bits(cls, codes: Codes | None) -> int:
        """Return 8 or 16 for whole numbers whose range fits the codes, otherwise 32."""
        return next((bits for bits in (8, 16)
                     if codes and codes.high - codes.low < 2**bits), 32)

    def append(self, data: F4, weight: F4) -> None:
        """Write the next spectra: means (n, product, chan), and weights that broadcast to them."""
        n, done = len(data), 0
        if self._done * self._n_block + self._held + n > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} that were announced")
        weight = np.broadcast_to(weight, (n, *np.shape(weight)[1:]))
        while done < n:
            count = min(n - done, self._n_block - self._held)
            part, rows = slice(done, done + count), slice(self._held, self._held + count)
            values = self._buffer[rows]
            values[...] = data[part]
            if (weight[part] == 0).any():
                values[np.broadcast_to(weight[part] == 0, values.shape)] = np.nan
            self._weights += weight[part].mean(axis=1, dtype=np.float64).sum(axis=0)
            self._held += count
            done += count
            if self._held == self._n_block:
                self._flush()

    def _flush(self) -> None:
        """Write a row of the table; any part that spectra do not fill is missing."""
        from fastsig_kernels import fit_scales

        row, values, n = self._row, self._buffer, self._held
        values[n:] = np.nan
        step = -1 if self._descending else 1
        shape = self._shape[1:]
        fill_lost(values, self._blank, self._n_bits, self._level, self._mean_before)
        if self._n_bits == 32:
            row["DATA"][...] = values[:, :, ::step].reshape(-1)
        elif self._level is not None:
            codes = plain_codes(values, self._level, self._n_bits, self.files[0])
            row["DATA"].reshape(self._n_block, *shape)[...] = codes[:, :, ::step]
        else:
            codes, scale, offset = fit_scales(values, self._n_bits)
            row["DAT_SCL"][...] = scale[:, ::step].reshape(-1)
            row["DAT_OFFS"][...] = offset[:, ::step].reshape(-1)
            # Directly into the row, in the file's byte order.
            row["DATA"].reshape(self._n_block, *shape)[...] = codes[:, :, ::step]
        row["DAT_WTS"][...] = (self._weights / n)[::step]
        seconds = (Fraction(2 * self._done + 1, 2) * self._n_block) / self._header.sample_rate
        row["OFFS_SUB"] = float(seconds)
        file, place = divmod(self._done, self._per_file)
        self._output.write(file, row.reshape(1).view(np.uint8),
                           self._places[file] + place * row.dtype.itemsize)
        self._done, self._held = self._done + 1, 0
        self._weights[:] = 0

    def _mean_before(self) -> NDArray[np.float64]:
        """Return the mean of each product and channel in the row written before; at first 0."""
        row, shape, step = self._row, self._shape[1:], -1 if self._descending else 1
        codes = row["DATA"].reshape(self._n_block, *shape).mean(axis=0, dtype=np.float64)
        scale, offset = (row[name].reshape(shape) for name in ("DAT_SCL", "DAT_OFFS"))
        return np.asarray(codes * scale + offset)[:, ::step]

    def _fill_constants(self) -> None:
        """Set the fields that all rows of the table have in common."""
        header, row = self._header, self._row
        axis = header.require_channels("the spectra")
        row["TSUBINT"] = float(self._n_block / header.sample_rate)
        row["DAT_SCL"][...], row["DAT_OFFS"][...] = 1, self._level or 0
        centers = np.array([float((axis.first_hz + i * axis.step_hz) / 10**6)
                            for i in range(axis.n_chan)])
        row["DAT_FREQ"][...] = centers[::-1] if self._descending else centers
        for name in _UNKNOWN:
            row[name] = np.nan
        # Programs copy these into their own headers, where NaN is an error.
        for name, key in (("TEL_AZ", "az_start"), ("TEL_ZEN", "za_start")):
            angle = header.extra.get(key)
            row[name] = angle if isinstance(angle, float) and np.isfinite(angle) else 0
        if header.ra_deg is not None and header.dec_deg is not None:
            from astropy.coordinates import SkyCoord

            at = SkyCoord(header.ra_deg, header.dec_deg, unit="deg")
            row["RA_SUB"], row["DEC_SUB"] = header.ra_deg, header.dec_deg
            row["GLON_SUB"], row["GLAT_SUB"] = at.galactic.l.deg, at.galactic.b.deg

    def _heads(self, n_row: int, per_file: int, axes: int) -> list[tuple[bytes, int]]:
        """Return the headers and the number of rows of each file."""
        out = []
        primary = primary_unit(self._header, self._shape[0], self._descending)
        for before in range(0, n_row, per_file):
            rows = min(per_file, n_row - before)
            n_time = min(rows * self._n_block, self._shape[0] - before * self._n_block)
            out.append((primary + table_unit(
                self._header, self._fields, self._n_block, self._n_bits, rows, before, n_time,
                self._descending, axes), rows))
        return out

    def close(self) -> None:
        """Finish the files and give them their final names."""
        if self._done * self._n_block + self._held != self._shape[0]:
            self.discard()
            raise UsageError(f"{self._done * self._n_block + self._held} of {self._shape[0]} "
                             "announced rows were written")
        if self._held:
            self._flush()
        self._output.commit()

    def discard(self) -> None:
        """Abandon the files; none is left under its final or any other name."""
        self._output.discard()


def _check(header: Header, shape: tuple[int, ...], n_bits: int, n_block: int | None,
           file_rows: int | None, blank: str) -> None:
    if blank not in BLANKS or (blank != "mean" and n_bits != 32):
        raise UsageError(f"blank = {blank!r} with {n_bits} bits; allowed for psrfits: mean, and "
                         "zero and nan with 32 bits")
    if n_bits not in BITS:
        raise UsageError(f"bits = {n_bits!r}; allowed for psrfits: {', '.join(map(str, BITS))}")
    if (n_block is not None and n_block < 1) or (file_rows is not None and file_rows < 1):
        raise UsageError(f"n_block = {n_block}, file_rows = {file_rows}; allowed: 1 or more")
    if header.channels is None:
        raise PlanError("psrfits needs the frequencies of channels; give --set frequency=1250MHz")
    if shape[1] not in (1, 2, 4) or shape[1] != header.polarization.n_pol:
        raise PlanError(f"psrfits files contain 1, 2 or 4 products, not {shape[1]}")
    if shape[0] < 1:
        raise PlanError("psrfits files contain at least one spectrum")
