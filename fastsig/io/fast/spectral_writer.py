"""The writer of FAST's spectral files: a table SINGLE DISH with four products per row.

Columns, cards and their peculiarities are those of FAST: UTOBS is the UTC MJD at which the row
begins; SPECSYS is LSRK although frequencies are topocentric, as SSYSOBS states; pointing is 0 if
unknown; system temperature and weather are 0. OBJECT and ORIGIN, which FAST does not write, record
the source and the origin of the spectra.

References
----------
P. Jiang et al. 2020, RAA 20, 064 (FAST's backends); FITS Standard 4.0, section 7.3.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import PRODUCTS
from fastsig.axes.time import elapsed, mjd_and_seconds, time_from_mjd
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.cards import header_unit, is_plain
from fastsig.io.files.outputs import OutputFiles, Writer, output_names
from fastsig.io.fits.layout import BLOCK
from fastsig.stream.header import Header

__all__ = ["FILE_BYTES", "FastSpectralWriter"]

F4 = NDArray[np.float32]

#: Most bytes of spectra in a file of FAST: 2048 rows of mode W, 128 of mode F.
FILE_BYTES = 2**31

_LONGEST = 68  # characters of the text of a card
_MJD_0 = 678576  # ordinal of MJD 0 in Python's count of days

# Columns in the order of FAST: name, letter of TFORM, unit; DATA follows them.
_TEXTS = {"OBSTYPE": 16, "DATE-OBS": 24}
_COLUMNS = (
    ("OBSNUM", "K", ""), ("SCAN", "K", ""), ("OBSTYPE", "A", ""), ("QUALITY", "L", ""),
    ("UTOBS", "D", ""), ("DATE-OBS", "A", ""), ("OBJ_RA", "D", "deg"), ("OBJ_DEC", "D", "deg"),
    ("OFF_RA", "D", "deg"), ("OFF_DEC", "D", "deg"), ("TSYS", "D", "K"), ("EXPOSURE", "D", "s"),
    ("NCHAN", "K", ""), ("FREQ", "D", "MHz"), ("CHAN_BW", "D", "MHz"), ("BEAM_EFF", "D", ""),
    ("PRESSURE", "D", ""), ("TAMBIENT", "D", ""), ("WINDSPD", "D", ""), ("WINDDIR", "D", ""),
)
_TYPES = {"K": ">i8", "D": ">f8", "L": "S1"}


class FastSpectralWriter(Writer):
    """Write FAST's spectral files row by row.

    A context manager: the files get their names if the block ends without an error, and are removed
    otherwise.

    Parameters
    ----------
    path : path
        Name of the file; a name for several files contains ``{file}`` for their numbers.
    header : Header
        Header of the spectra: products AA, BB, CR and CI, with known channels.
    shape : tuple of int
        (row, 4, chan) of the spectra to be written.
    slots : ndarray, shape (row,), int64, optional
        Spectrum number in the stream of each row, ascending; numbers left out are gaps. By default,
        rows are consecutive.
    overwrite : bool
        Whether existing files may be replaced.
    file_rows : int, optional
        Largest number of rows in a file; by default, as many as fit into 2 GiB, as in FAST's own
        files.
    first_file : int
        Number in the name of the first file.
    obs_type : str
        OBSTYPE, up to 16 characters.

    Raises
    ------
    OutputError
        If a file exists or cannot be written, or the disk is too small.
    PlanError
        If the format cannot store such spectra.
    UsageError
        If an option is not allowed.
    """

    NAME = "fast_spectral"

    def __init__(
        self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
        slots: NDArray[np.int64] | None = None, overwrite: bool = False,
        file_rows: int | None = None, first_file: int = 1, obs_type: str = "TRACKING",
    ) -> None:
        _check(header, shape, file_rows, obs_type)
        self._header, self._shape = header, shape
        self._n_done = 0
        self._rows = np.zeros(shape[0], _row_type(shape[2]).descr[:-1])
        self._fill_columns(slots, obs_type)
        self._per_file = file_rows or max(1, FILE_BYTES // (16 * shape[2]))
        self._row_bytes = _row_type(shape[2]).itemsize
        counts = [min(self._per_file, shape[0] - first)
                  for first in range(0, shape[0], self._per_file)]
        heads = [_primary() + _table(header, shape[2], count, self._row_bytes)
                 for count in counts]
        self.files = output_names(os.fspath(path), len(heads), first_file)
        ends = [len(head) + count * self._row_bytes
                for head, count in zip(heads, counts, strict=True)]
        sizes = [-(-end // BLOCK) * BLOCK for end in ends]
        self._places = [len(head) for head in heads]
        self._output = OutputFiles(list(zip(self.files, sizes, strict=True)), overwrite=overwrite)
        for number, head in enumerate(heads):
            self._output.write(number, np.frombuffer(head, np.uint8), 0)
            self._output.write(number, np.zeros(sizes[number] - ends[number], np.uint8),
                               ends[number])

    def _fill_columns(self, slots: NDArray[np.int64] | None, obs_type: str) -> None:
        header, rows = self._header, self._rows
        axis = header.require_channels("the spectra")
        numbers = np.arange(len(rows)) if slots is None else np.asarray(slots)
        if numbers.shape != rows.shape or (np.diff(numbers) <= 0).any():
            raise UsageError(f"slots of shape {numbers.shape}; allowed: one per row, ascending, "
                             f"{len(rows)} of them")
        rows["OBSNUM"], rows["SCAN"], rows["QUALITY"] = np.arange(len(rows)), 1, b"T"
        rows["OBSTYPE"], rows["NCHAN"] = obs_type.encode("ascii"), axis.n_chan
        rows["OBJ_RA"], rows["OBJ_DEC"] = header.ra_deg or 0, header.dec_deg or 0
        rows["EXPOSURE"] = float(1 / header.sample_rate)
        rows["FREQ"] = float(axis.first_hz / 10**6)
        rows["CHAN_BW"] = float(axis.step_hz / 10**6)
        for row, (day, seconds) in zip(rows, _begins(header, numbers), strict=True):
            row["UTOBS"] = float(day + seconds / 86400)
            row["DATE-OBS"] = _date(day, seconds)

    def append(self, data: F4) -> None:
        """Write the next rows: (n, product, chan), float32."""
        if self._n_done + len(data) > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} announced")
        whole = np.zeros(1, _row_type(self._shape[2]))
        for spectrum in data:
            for name in self._rows.dtype.names or ():
                whole[name] = self._rows[name][self._n_done]
            whole["DATA"][0] = spectrum.T
            file, place = divmod(self._n_done, self._per_file)
            self._output.write(file, whole.view(np.uint8),
                               self._places[file] + place * self._row_bytes)
            self._n_done += 1

    def close(self) -> None:
        """Finish the files and give them their names."""
        if self._n_done != self._shape[0]:
            self.discard()
            raise UsageError(f"{self._n_done} of {self._shape[0]} announced rows were written")
        self._output.commit()

    def discard(self) -> None:
        """Give up, and leave no file under the final names or any other."""
        self._output.discard()


def _check(header: Header, shape: tuple[int, ...], file_rows: int | None, obs_type: str) -> None:
    axis, names = header.channels, header.polarization.names
    if axis is None:
        raise PlanError("fast_spectral needs the frequencies of channels")
    if names != PRODUCTS["AABBCRCI"] or shape[1] != 4:
        raise PlanError(f"fast_spectral stores AA, BB, CR, CI, not {', '.join(names)}")
    if header.specsys not in (None, "topocentric"):
        raise PlanError(f"fast_spectral stores topocentric spectra, not {header.specsys}")
    if shape[0] < 1 or shape[2] != axis.n_chan:
        raise PlanError(f"spectra of shape {shape}; allowed: one or more rows of {axis.n_chan} "
                        "channels")
    if file_rows is not None and file_rows < 1:
        raise UsageError(f"file_rows = {file_rows}; allowed: 1 or more")
    if not (obs_type.isascii() and obs_type.isprintable() and 0 < len(obs_type) <= 16):
        raise UsageError(f"obs_type = {obs_type!r}; allowed: 1 to 16 ASCII characters")


def _row_type(n_chan: int) -> np.dtype[Any]:
    """Return the type of a row of the table, big-endian without gaps."""
    fields: list[Any] = [(name, f"S{_TEXTS[name]}" if code == "A" else _TYPES[code])
                         for name, code, _ in _COLUMNS]
    return np.dtype([*fields, ("DATA", ">f4", (n_chan, 4))])


def _begins(header: Header, numbers: NDArray[np.int64]) -> Iterator[tuple[int, Fraction]]:
    """Yield the day and the second of day at which each spectrum begins.

    Leap seconds count, although a day number cannot distinguish one from the next second.
    """
    day, start = mjd_and_seconds(header.start_time)
    before, length = Fraction(0), _length(day)
    for number in numbers.tolist():
        seconds = start + number / header.sample_rate - before
        while seconds >= length:
            seconds, before, day = seconds - length, before + length, day + 1
            length = _length(day)
        yield day, seconds


def _length(day: int) -> int:
    return round(elapsed(time_from_mjd(day), time_from_mjd(day + 1)))


def _date(day: int, seconds: Fraction) -> bytes:
    """Return a time as ISO text with milliseconds."""
    thousandths = int(seconds * 1000)
    minute = min(thousandths // 60_000, 1439)  # a leap second belongs to the last minute
    text = (f"{date.fromordinal(day + _MJD_0)}T{minute // 60:02d}:{minute % 60:02d}:"
            f"{thousandths / 1000 - 60 * minute:06.3f}")
    return text.encode("ascii")


def _primary() -> bytes:
    return header_unit({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True})


def _table(header: Header, n_chan: int, n_row: int, row_bytes: int) -> bytes:
    cards: dict[str, object] = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": row_bytes, "NAXIS2": n_row,
        "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(_COLUMNS) + 1,
    }
    for number, (name, code, unit) in enumerate(_COLUMNS, 1):
        cards |= {f"TTYPE{number}": name, f"TFORM{number}": f"{_TEXTS.get(name, 1)}{code}"}
        if unit:
            cards[f"TUNIT{number}"] = unit
    last = len(_COLUMNS) + 1
    cards |= {f"TTYPE{last}": "DATA", f"TFORM{last}": f"{4 * n_chan}E",
              f"TDIM{last}": f"(4,{n_chan})", "EXTNAME": "SINGLE DISH", "TELESCOP": "FAST",
              "INSTRUME": "MBSPEC", "SPECSYS": "LSRK", "SSYSOBS": "TOPOCENT"}
    texts = {"OBJECT": header.source, "ORIGIN": header.backend}
    cards |= {key: text for key, text in texts.items() if text and is_plain(text, _LONGEST)}
    return header_unit(cards)
