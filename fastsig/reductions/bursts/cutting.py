"""Cut-outs: the spectra or voltages around a burst as separate files."""

from __future__ import annotations

import math
import os
import re
from fractions import Fraction
from typing import Any

from astropy.time import Time

from fastsig.axes.dispersion import constant_of, delay_s, dm_of, top_hz
from fastsig.axes.time import as_iso, elapsed, iso
from fastsig.axes.units import exact
from fastsig.errors import DataError, UsageError
from fastsig.run.products import SINKS, write
from fastsig.stages.select import Select
from fastsig.stream import Stream, stream_of
from fastsig.work.arguments import checked

__all__ = ["cut_name", "cut_out"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 60  # characters of the input's name that a cut-out's has
_SUFFIX = {"spectra": ".h5", "voltage": ".h5"}


@checked
def cut_out(chain: Any, time: Time, dm: Any, *, around: Any = "1s",
            folder: str | os.PathLike[str] = ".", reference_mhz: float | None = None,
            constant: Any = None, overwrite: bool = False) -> list[str]:
    """Write the rows during which a burst crosses the band of a recording to a separate file.

    The rows are copied as ``fastsig cut`` copies them, in the format of the input if fastsig can
    write this format, and otherwise as HDF5. The name of the file contains the name of the input,
    the time and the DM.

    Parameters
    ----------
    chain : chain or Stream
        Spectra or voltages.
    time : Time
        Time of the burst at the reference frequency.
    dm : float, str or Quantity
        Dispersion measure, pc cm^-3.
    around : Quantity or str
        Duration that is copied before the burst at the upper edge of the band, and after the burst
        at the lower edge.
    folder : path
        Existing folder.
    reference_mhz : float, optional
        Reference frequency of the time, MHz; by default, the centre of the highest channel.
    constant : float or str, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the recording, or 1/2.41e-4.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    list of str
        The name of the file that was written, as a list of one element.

    Raises
    ------
    DataError
        If the recording does not contain the burst.
    UsageError
        If an argument is not allowed.
    OutputError
        If the file exists, or cannot be written.
    """
    stream = stream_of(chain)
    if stream.kind not in SINKS:
        raise UsageError(f"{stream.path}: contains {stream.kind}; allowed: spectra or voltages")
    margin, measure = exact(around, "s", "around"), dm_of(dm)
    if not 0 <= margin <= 10**5:
        raise UsageError(f"around = {around}; allowed: from 0, such as 1s")
    first, stop = _rows(stream, time, measure, margin, reference_mhz, constant)
    name = os.path.basename(os.path.abspath(stream.path))
    kind, suffix = _format_of(stream, name)
    path = os.path.normpath(os.path.join(
        os.fspath(folder), cut_name(name, time, float(measure)) + suffix))
    write(Select(stream, rows=(first, stop)), path, to=kind, overwrite=overwrite)
    return [path]


def cut_name(name: str, time: Time, dm: float) -> str:
    """Return the name of a cut-out without its extension, of letters, digits, ``_``, ``-``, ``.``.

    Parameters
    ----------
    name : str
        Name of the input, which may contain anything.
    time : Time
    dm : float
    """
    stem = _UNSAFE.sub("_", os.path.splitext(name)[0]).strip("_-")[:_LONGEST] or "burst"
    day, _, hours = iso(as_iso(time)).partition("T")
    return f"{stem}_{day.replace('-', '')}T{hours.replace(':', '')[:13]}_DM{dm:.2f}"


def _rows(stream: Stream, time: Time, dm: Fraction, margin: Fraction, reference_mhz: float | None,
          constant: Any) -> tuple[int, int]:
    """Return the first row, and that after the last."""
    axis = stream.header.require_channels(stream.path)
    k = stream.header.dispersion_constant if constant is None else constant_of(constant)
    low, high = axis.edges_hz
    if low <= 0:
        raise UsageError(f"{stream.path}: the band begins at {float(low):g} Hz; allowed: above 0")
    reference = top_hz(axis) if reference_mhz is None else (
        None if math.isinf(reference_mhz) else Fraction(reference_mhz) * 10**6)
    rest = dm - Fraction(repr(stream.header.dm or 0.0))
    at, rate = elapsed(stream.header.start_time, time), stream.header.sample_rate
    ends = sorted(at + delay_s(rest, edge, reference, k) for edge in (high, low))
    first, stop = math.floor((ends[0] - margin) * rate), math.ceil((ends[1] + margin) * rate) + 1
    n = stream.shape[0]
    if first >= n or stop <= 0:
        raise DataError(stream.path, f"the burst at {iso(time)} is not within the recording")
    return max(0, first), min(n, stop)


def _format_of(stream: Stream, name: str) -> tuple[str, str]:
    """Return the format of a cut-out, and the extension of its name."""
    sink, own = SINKS[stream.kind], stream.format_name
    suffix = os.path.splitext(name)[1]
    if own in sink.formats() and re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix):
        return own, suffix
    return sink.formats()[0], _SUFFIX[stream.kind]
