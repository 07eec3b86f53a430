"""The writer of SIGPROC filterbanks: 32-bit floats, or codes of 8 and 16 bits.

SIGPROC has no place for weights. Lost values become the mean of their channel, which is known only
at the end; until then an unnamed file records which values are lost.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information and data
format.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.outputs import no_position
from fastsig.io.files.positioned import read_into, write_from
from fastsig.io.files.safe import SafeOutput
from fastsig.io.sigproc.header import encode
from fastsig.io.sigproc.written_header import (
    cards,
    is_series,
    lost_fields,
    lost_places,
    single_product,
)
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.stream import ENDLESS, Codes
from fastsig.stream.header import Header

__all__ = ["BITS", "BLANKS", "SigprocWriter"]

BITS = (8, 16, 32)
BLANKS = ("mean", "zero", "nan")

_DTYPES = {8: "u1", 16: "<u2", 32: "<f4"}
_SEGMENT = 128  # spectra summed in float32, counted from the first: independent of blocks


class SigprocWriter(SpectraWriter):
    """Write a SIGPROC filterbank row by row.

    A context manager: the file gets its name if the block ends without an error, and is removed
    otherwise.

    Parameters
    ----------
    path : path
        Final name.
    header : Header
        Header of the spectra; its channels must be known.
    shape : tuple of int
        (time, product, chan) of the spectra to be written. The first number is `ENDLESS` if it is
        not known; no space is then reserved.
    overwrite : bool
        Whether an existing file may be replaced.
    n_bits : {32, 8, 16}
        Floats, or unsigned codes.
    scale, offset : float or array (product, chan), optional
        For codes, ``value = offset + scale code``: values are then rounded and clipped, and counted
        in `n_inexact` and `n_clipped`. Without them, values must be codes already.
    descending : bool
        Whether the highest channel comes first, as SIGPROC's programs and PRESTO expect; `foff`
        records it.
    blank : {"mean", "zero", "nan"}
        Value written if the weight is 0: the weighted mean of the channel (0 if it has none), 0 or,
        for floats only, NaN. For codes it is the nearest code.
    reserve : bool
        Whether to claim the space before the work starts.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, the disk is too small, or a value is not a code.
    PlanError
        If SIGPROC cannot store such spectra.
    UsageError
        If an option is not allowed.
    """

    NAME = "sigproc"
    OFFERS = BITS

    def __init__(
        self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
        overwrite: bool = False, n_bits: int = 32, scale: ArrayLike | None = None,
        offset: ArrayLike | None = None, descending: bool = True, blank: str = "mean",
        reserve: bool = True,
    ) -> None:
        _check_options(n_bits, blank, scale, offset)
        self.files = [os.fspath(path)]
        self.n_clipped = self.n_inexact = 0
        self._shape, self._blank, self._step = shape, blank, -1 if descending else 1
        self._exact = scale is None and offset is None
        self._scale, self._offset = (_levels(value, usual, shape) for value, usual in (
            (scale, 1.0), (offset, 0.0)))
        self._dtype = np.dtype(_DTYPES[n_bits])
        head = encode(cards(header, shape, n_bits, descending))
        self._head, self._row = len(head), shape[1] * shape[2] * self._dtype.itemsize
        self._rows = 0
        self._sums = np.zeros((2, *shape[1:]))  # sums of weighted values, and of weights
        self._parts = np.zeros((2, *shape[1:]), np.float32)
        self._lost: list[tuple[int, int]] = []  # first row and number of rows of each mask
        self._masks: Any = None
        size = self._head + shape[0] * self._row if reserve and shape[0] < ENDLESS else 0
        self._output = SafeOutput(path, overwrite=overwrite, reserve=size)
        self._write(np.frombuffer(head, np.uint8), 0)

    @classmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool,
               **options: Any) -> list[str]:
        """Describe what a filterbank of these spectra would lose.

        Parameters
        ----------
        header, shape, weights_vary, **options
            As for `SpectraWriter.losses`.
        """
        _check_blank(options.get("n_bits", 32), options.get("blank", "mean"))
        found = [*lost_fields(header, shape),
                 *(() if options.get("alike") else lost_places(header, shape))]
        if weights_vary:
            blank = {"mean": "the channel's mean, or 0 if it has none", "zero": "0", "nan": "NaN"}[
                options.get("blank", "mean")]
            found.append(f"weights; values without valid samples are replaced by {blank}")
        if options.get("n_bits", 32) != 32 and options.get("scale") is not None:
            found.append(f"values become codes of {options['n_bits']} bits; SIGPROC has no place "
                         "for their scale and offset")
        return found

    @classmethod
    def cautions(cls, header: Header, shape: tuple[int, ...], **options: Any) -> list[str]:
        """Report an unknown position, and products that PRESTO would count as spectra."""
        out = no_position(header, "src_raj and src_dej")
        if is_series(header):
            out.append("its header has the reference frequency as fch1, as in SIGPROC's own "
                       "series, and no band")
        if shape[1] > 1:
            out.append(f"PRESTO and other programs that do not read nifs take its {shape[1]} "
                       f"products for {shape[1]} times as many spectra; {single_product(header)} "
                       "gives a file that they read correctly, and so does psrfits")
        return out

    @classmethod
    def open_end(cls, **options: Any) -> bool:
        """Whether rows may end early: always, as no field of the header counts them."""
        return True

    @classmethod
    def sizes(cls, shape: tuple[int, ...], **options: Any) -> Sizes:
        """Return the sizes: all values on disk; in memory a segment of them, its sums and masks."""
        values = shape[1] * shape[2]
        return Sizes(shape[0] * values * options.get("n_bits", 32) // 8 + 2**12,
                     values * (20 * _SEGMENT + 32))

    @classmethod
    def exact_bits(cls, codes: Codes | None) -> int:
        """Return 8 or 16 for whole numbers from 0 up that fit, else 32."""
        return next((bits for bits in (8, 16)
                     if codes and codes.low >= 0 and codes.high < 2**bits), 32)

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, product, chan) means and weights that broadcast to them."""
        n = len(data)
        if self._rows + n > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} announced")
        weight = np.broadcast_to(weight, (n, *np.shape(weight)[1:]))
        done = 0
        while done < n:
            count = min(n - done, _SEGMENT - self._rows % _SEGMENT)
            rows = slice(done, done + count)
            self._append(np.ascontiguousarray(data[rows], np.float32), weight[rows])
            done += count

    def end_at(self, n_row: int) -> None:
        """Accept that there are only `n_row` rows, which have all been appended."""
        self._shape = (n_row, *self._shape[1:])

    def _append(self, values: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write rows within one segment."""
        lost = ~np.isfinite(values) | (weight == 0)
        if lost.any():
            values = np.where(lost, np.float32(0), values)
            self._keep_mask(lost)
        if self._blank == "mean":
            self._add(values, np.where(lost, np.float32(0), weight))
        codes = self._codes(values, lost)
        self._write(np.ascontiguousarray(codes[:, :, :: self._step]),
                    self._head + self._rows * self._row)
        self._rows += len(values)

    def _add(self, values: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        from fastsig_kernels import accumulate

        for index, each in enumerate((values * weight, weight)):
            accumulate(np.ascontiguousarray(each), np.ones(each.shape[:2]), self._parts[index],
                       np.zeros(each.shape[1]))
        if (self._rows + len(values)) % _SEGMENT == 0:
            self._finish_segment()

    def _finish_segment(self) -> None:
        self._sums += self._parts
        self._parts[...] = 0

    def _codes(self, values: NDArray[Any], lost: NDArray[np.bool_]) -> NDArray[Any]:
        """Convert values to numbers of the file; lost values become any number."""
        if self._dtype.kind == "f":
            return values
        scaled = values if self._exact else (values - self._offset) / self._scale
        rounded = np.rint(scaled)
        codes = np.clip(rounded, 0, np.iinfo(self._dtype).max)
        inexact = (codes != scaled) & ~lost
        if inexact.any():
            if self._exact:
                at = tuple(np.argwhere(inexact)[0])
                raise OutputError(self._output.path, (
                    f"spectrum {self._rows + at[0]} contains {values[at]:g}; allowed with "
                    f"{8 * self._dtype.itemsize} bits: whole numbers from 0 to "
                    f"{np.iinfo(self._dtype).max}, unless scale and offset are given"))
            self.n_inexact += int(inexact.sum())
            self.n_clipped += int(((codes != rounded) & ~lost).sum())
        return codes.astype(self._dtype)

    def _keep_mask(self, lost: NDArray[np.bool_]) -> None:
        if self._masks is None:
            folder = os.path.dirname(self._output.temporary) or "."
            self._masks = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - until `close`
        try:
            self._masks.write(np.packbits(lost).tobytes())
        except OSError as error:
            raise self._fail(error) from error
        self._lost.append((self._rows, len(lost)))

    def _fill_blanks(self) -> None:
        """Replace the values without valid samples."""
        if self._masks is None:
            return
        self._finish_segment()
        blank = self._blanks()
        self._masks.seek(0)
        for first, n in self._lost:
            count = n * self._shape[1] * self._shape[2]
            raw = np.frombuffer(self._masks.read(-(-count // 8)), np.uint8)
            lost = np.unpackbits(raw, count=count).astype(bool).reshape(n, *self._shape[1:])
            rows = np.empty(lost.shape, self._dtype)
            offset = self._head + first * self._row
            read_into(self._output.descriptor, rows, offset, self._output.path)
            np.copyto(rows, blank[:, :: self._step], where=lost[:, :, :: self._step])
            self._write(rows, offset)

    def _blanks(self) -> NDArray[Any]:
        """Return the replacements of lost values, (product, chan)."""
        level = np.zeros(self._shape[1:], np.float32)
        if self._blank == "nan":
            level[...] = np.nan
        if self._blank == "mean":
            np.divide(self._sums[0], self._sums[1], out=level, where=self._sums[1] > 0,
                      casting="same_kind")
        if self._dtype.kind == "f":
            return level
        codes = np.rint((level - self._offset) / self._scale)
        return np.clip(codes, 0, np.iinfo(self._dtype).max).astype(self._dtype)

    def _write(self, data: NDArray[Any], offset: int) -> None:
        try:
            write_from(self._output.descriptor, data, offset)
        except OSError as error:
            raise self._fail(error) from error

    def _fail(self, error: OSError) -> OutputError:
        self.discard()
        return self._output.error(error)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._rows != self._shape[0]:
            self.discard()
            raise UsageError(f"{self._rows} of {self._shape[0]} announced rows were written")
        try:
            self._fill_blanks()
        except BaseException:
            self.discard()
            raise
        self._close_masks()
        self._output.commit(self._head + self._rows * self._row)

    def discard(self) -> None:
        """Give up, and leave no file under the final name or any other."""
        self._close_masks()
        self._output.discard()

    def _close_masks(self) -> None:
        if self._masks is not None:
            self._masks.close()
            self._masks = None


def _check_options(n_bits: int, blank: str, scale: Any, offset: Any) -> None:
    if n_bits not in BITS:
        raise UsageError(f"n_bits = {n_bits!r}; allowed: {', '.join(map(str, BITS))}")
    _check_blank(n_bits, blank)
    if n_bits == 32 and not (scale is None and offset is None):
        raise UsageError("scale and offset with n_bits = 32; allowed: with 8 and 16")


def _check_blank(n_bits: int, blank: str) -> None:
    if blank not in BLANKS or (blank == "nan" and n_bits != 32):
        raise UsageError(f"blank = {blank!r} with n_bits = {n_bits}; allowed: mean, zero, and nan "
                         "with 32")


def _levels(value: ArrayLike | None, usual: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return scales or offsets, (product, chan)."""
    found = np.asarray(usual if value is None else value, np.float64)
    try:
        levels = np.broadcast_to(found, shape[1:])
    except ValueError as error:
        raise UsageError(f"scale or offset of shape {found.shape}; allowed: one number, or of "
                         f"shape {shape[1:]}") from error
    if not np.isfinite(levels).all() or (usual == 1 and not (levels > 0).all()):
        raise UsageError("scale or offset is not finite, or a scale is not above 0")
    return levels
