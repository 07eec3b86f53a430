"""The writer of time series for PRESTO: a .dat file of 32-bit floats, and its .inf file.

Stretches without valid data are padded with the mean of all data and listed in the .inf file, as
by PRESTO's own programs.

References
----------
S. M. Ransom, PRESTO: ioinf.c, prepdata.c.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.time import mjd_and_seconds
from fastsig.errors import FastsigWarning, OutputError, PlanError, UsageError, users_line
from fastsig.io.files.cards import decimal_text, hms_text
from fastsig.io.files.outputs import commit_together, more_values
from fastsig.io.files.positioned import read_into, write_from
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.io.fits.pulsar_cards import says_nothing
from fastsig.io.presto.inf import MOST_PAIRS, note_lines, write_inf
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.stream.header import Header

__all__ = ["PrestoWriter"]

_SEGMENT = 2**12  # bins that are summed together, counted from the first
_PIECE = 2**20
_DIGITS = 18  # digits of the fraction of a day: 0.1 ps
# Values of a .inf input that are copied unchanged.
_KEPT = ("observer", "analyzer", "beam_arcsec", "deorbited", "notes", "barycentered", "DM",
         "channels")
# Values of readers that the .inf file records in other ways or does not need.
_KNOWN = ("low_mhz", "bandwidth_mhz", "channel_mhz", "breaks", "band", "refdm", "barycentric",
          "fch1", "codes", "data_type", "telescope_id", "machine_id", "src_raj", "src_dej",
          "nsamples", "signed")


class PrestoWriter(SpectraWriter):
    """Write a .dat file row by row, and the .inf file beside it.

    A context manager: both files get their names if the block ends without an error, and are
    removed otherwise.

    Parameters
    ----------
    path : path
        Name of the .dat file.
    header : Header
        Header of the spectra; its channel must be known.
    shape : tuple of int
        (time, 1, 1) of the spectra to be written.
    overwrite : bool
        Whether existing files may be replaced.
    n_bits : {32}
        Floats.
    dm : float, optional
        Dispersion measure, cm^-3 pc; by default, that of the header (`dm`, or `DM` or `refdm` of
        the file from which it comes), or 0.
    reserve : bool
        Whether to claim the space before the work starts.
    writer : str, optional
        As for `fastsig.io.files.safe.SafeOutput`, for one of several series.

    Raises
    ------
    OutputError
        If a file exists or cannot be written, or the disk is too small.
    PlanError
        If there is more than one product or channel, or the header lacks the band.
    UsageError
        If an option is not allowed.
    """

    NAME = "presto"
    OFFERS = (32,)

    def __init__(
        self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
        overwrite: bool = False, n_bits: int = 32, dm: float | None = None, reserve: bool = True,
        writer: str | None = None,
    ) -> None:
        stem, suffix = os.path.splitext(os.fspath(path))
        if suffix != ".dat" or n_bits != 32:
            raise UsageError(f"{os.fspath(path)} of {n_bits} bits; allowed: a name that ends in "
                             ".dat, and 32")
        self._values = _values(header, shape, dm, os.path.basename(stem))
        self._notes, _ = note_lines(header.extra, _others(header.extra))
        self._n, self._rows = shape[0], 0
        self.files = [os.fspath(path), f"{stem}.inf"]
        self._sum, self._weight, self._held = 0.0, 0.0, 0
        self._buffer = np.zeros((2, _SEGMENT))
        self._spans = [validity.full(0, 0)]
        check_output(f"{stem}.inf", overwrite=overwrite)
        self._outputs = [SafeOutput(path, overwrite=overwrite, reserve=4 * self._n * reserve,
                                    writer=writer)]
        try:
            self._outputs.append(SafeOutput(f"{stem}.inf", overwrite=overwrite, writer=writer))
        except BaseException:
            self.discard()
            raise

    @classmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool,
               **options: Any) -> list[str]:
        """Describe what a .dat and .inf file of these spectra would lose.

        Parameters and errors are those of `SpectraWriter.losses`.
        """
        _values(header, shape, None, "")
        missing = [text for text, value in (
            ("the receiver", header.receiver), ("the beam number", header.beam),
            ("the schedule of the noise diode", header.diode),
            ("the dispersion measure that was removed within channels", header.coherent_dm),
            ("the removal of the mean over the band", header.zero_dm),
        ) if value is not None]
        if header.polarization.names != ("I",) or header.polarization.kind != "unknown":
            missing.append(f"the name of its product ({', '.join(header.polarization.names)})")
        if header.n_sum > _channels(header.extra):
            missing.append("the number of samples averaged in a value")
        missing += _lost_dispersion(header)
        if header.unit is not None:
            missing.append(f"the unit of values, {header.unit}")
        missing += more_values(note_lines(header.extra, _others(header.extra))[1])
        if header.ra_deg is None or header.dec_deg is None:
            missing.append("a position that is unknown, which becomes 0")
        found = [f"PRESTO has no place for {', '.join(missing)}"] if missing else []
        if weights_vary:
            found.append("weights; values that are not valid become the mean of all, and the .inf "
                         f"file lists up to {MOST_PAIRS - 2} such stretches, the longest")
        return found

    @classmethod
    def sizes(cls, shape: tuple[int, ...], **options: Any) -> Sizes:
        """Return the sizes: floats of all values and the .inf file; pieces of them in memory."""
        return Sizes(4 * shape[0] + 2**13, 16 * (_SEGMENT + _PIECE))

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, 1, 1) means and weights that broadcast to them."""
        n = len(data)
        if self._rows + n > self._n:
            raise UsageError(f"more rows than the {self._n} announced")
        values = np.array(data, "<f4").reshape(n)
        weights = np.broadcast_to(weight, (n, 1, 1)).reshape(n)
        valid = np.isfinite(values) & (weights > 0)
        self._spans.append(validity.from_mask(valid, self._rows))
        values[~valid] = np.nan  # until the mean is known
        self._add(np.where(valid, values, 0), np.where(valid, weights, 0))
        self._write(0, values, 4 * self._rows)
        self._rows += n

    def _add(self, values: NDArray[Any], weights: NDArray[Any]) -> None:
        """Add to the sums in whole segments, so that the result does not depend on blocks."""
        done = 0
        while done < len(values):
            count = min(len(values) - done, _SEGMENT - self._held)
            place, part = slice(self._held, self._held + count), slice(done, done + count)
            self._buffer[:, place] = values[part], weights[part]
            self._held, done = self._held + count, done + count
            if self._held == _SEGMENT:
                self._finish_segment()

    def _finish_segment(self) -> None:
        values, weights = self._buffer[:, : self._held]
        self._sum += float((values * weights).sum())
        self._weight += float(weights.sum())
        self._held = 0

    def _fill_blanks(self, valid: validity.Spans) -> None:
        """Replace values that are not valid by the mean of all."""
        if validity.count(valid) == self._n:
            return
        self._finish_segment()
        mean = np.float32(self._sum / self._weight)
        for start in range(0, self._n, _PIECE):
            part = np.empty(min(_PIECE, self._n - start), "<f4")
            read_into(self._outputs[0].descriptor, part, 4 * start, self._outputs[0].path)
            lost = np.isnan(part)
            if lost.any():
                part[lost] = mean
                self._write(0, part, 4 * start)

    def _pairs(self, valid: validity.Spans) -> list[tuple[int, int]]:
        """Return the first and last bin of every stretch, and the mark of a padded end."""
        gaps = valid[1:, 0] - valid[:-1, 1]
        kept = np.zeros(len(gaps), bool)
        kept[np.argsort(-gaps, kind="stable")[: MOST_PAIRS - 2]] = True
        if not kept.all():
            warnings.warn(FastsigWarning(
                f"{self._outputs[0].path}: {int((~kept).sum())} short stretches without valid data "
                "are the mean of all, and are not listed in the .inf file"),
                stacklevel=users_line())
        first = valid[np.concatenate([[True], kept]), 0]
        last = valid[np.concatenate([kept, [True]]), 1] - 1
        pairs = list(zip(first.tolist(), last.tolist(), strict=True))
        if pairs == [(0, self._n - 1)]:
            return []
        return pairs if pairs[-1][1] == self._n - 1 else [*pairs, (self._n - 1, self._n - 1)]

    def rest(self) -> None:
        """Close the files until `wake`; those of another series must stay open."""
        for output in self._outputs:
            output.rest()

    def wake(self) -> None:
        """Open the files again after `rest`."""
        for output in self._outputs:
            output.wake()

    def _write(self, file: int, data: NDArray[Any], offset: int) -> None:
        try:
            write_from(self._outputs[file].descriptor, data, offset)
        except OSError as error:
            failed = self._outputs[file].error(error)
            self.discard()
            raise failed from error

    def close(self) -> None:
        """Finish the files and give them their names."""
        commit_together(self.finished())

    def finished(self) -> list[SafeOutput]:
        """Finish the files, and return them; they have no names yet."""
        try:
            if self._rows != self._n:
                raise UsageError(f"{self._rows} of {self._n} announced rows were written")
            valid = validity.as_spans(np.concatenate(self._spans))
            if not len(valid):
                raise OutputError(self._outputs[0].path, "no row is valid; allowed: at least one")
            self._fill_blanks(valid)
            pairs = self._pairs(valid)
            text = write_inf({**self._values, "breaks": int(bool(pairs))}, pairs, self._notes)
            self._write(1, np.frombuffer(text, np.uint8), 0)
        except BaseException:
            self.discard()
            raise
        return self._outputs

    def discard(self) -> None:
        """Give up, and leave no file under the final names or any other."""
        for output in self._outputs:
            output.discard()


def _values(header: Header, shape: tuple[int, ...], dm: float | None, name: str) -> dict[str, Any]:
    """Return the lines of the .inf file in order; pairs of bins are added with `breaks`."""
    axis, extra = header.channels, header.extra
    if shape[1:] != (1, 1):
        raise PlanError(f"PRESTO's time series have one product and one channel, not {shape[1:]}; "
                        "select or average them first")
    if axis is None:
        raise PlanError("PRESTO needs the band; give --set frequency=440MHz (its centre)")
    day, seconds = mjd_and_seconds(header.start_time)
    if seconds >= 86400:
        raise PlanError("the first bin lies within a leap second, which a day number cannot "
                        "express")
    part = round(seconds * 10**_DIGITS / 86400)
    n_chan = _channels(extra)
    step = axis.step_hz / 10**6 / n_chan
    low = axis.first_hz / 10**6 - step * Fraction(n_chan - 1, 2)
    ra, dec = (hms_text(value or 0, unit) for value, unit in (
        (header.ra_deg, 15), (header.dec_deg, 1)))
    bary = extra.get("barycentered", extra.get("barycentric", 0))
    known = header.dm if dm is None else dm
    measure = known if known is not None else extra.get("DM", extra.get("refdm", 0))
    return {
        "name": name, "telescope": header.telescope or "Unknown",
        "instrument": header.backend or "Unknown", "object": header.source or "Unknown",
        "ra": ra, "dec": dec, "observer": extra.get("observer", "Unknown"),
        "epoch": f"{day}.{part:0{_DIGITS}d}", "barycentered": int(str(bary) == "1"),
        "bins": shape[0], "width_s": decimal_text(1 / header.sample_rate), "breaks": 0,
        "band": "Radio", "beam_arcsec": extra.get("beam_arcsec", 0),
        "DM": f"{measure:.12g}" if isinstance(measure, float) else measure,
        "low_mhz": decimal_text(low), "bandwidth_mhz": decimal_text(step * n_chan),
        "channels": n_chan, "channel_mhz": decimal_text(step),
        "analyzer": extra.get("analyzer", "fastsig"),
        **({"deorbited": extra["deorbited"]} if "deorbited" in extra else {}),
    }


def _others(extra: Mapping[str, Any]) -> list[str]:
    """Return the keys of values that have no line of their own in a .inf file."""
    return [key for key, value in extra.items()
            if key not in (*_KEPT, *_KNOWN) and not says_nothing(key, value)]


def _lost_dispersion(header: Header) -> Iterator[str]:
    """Describe what a .inf file cannot state: it implies the constant and the reference."""
    axis = header.channels
    if header.dm is None or axis is None:
        return
    if header.dispersion_constant != DISPERSION_CONSTANT:
        yield f"the dispersion constant {float(header.dispersion_constant):.9g}"
    n_chan = _channels(header.extra)
    highest = axis.first_hz + axis.step_hz / n_chan * Fraction(n_chan - 1, 2)
    if header.dm_reference_hz != highest:
        at = "infinity" if header.dm_reference_hz is None else (
            f"{float(header.dm_reference_hz) / 1e6:.9g} MHz")
        yield f"the reference frequency of times, {at}, other than that of the highest channel"


def _channels(extra: Any) -> int:
    """Return the number of channels of the band, if a .inf input stated it; else 1."""
    text = str(extra.get("channels", 1))
    return int(text) if text.isdigit() and 0 < int(text) < 2**24 else 1
