"""Writer of PSRFITS in fold mode: archives that PSRCHIVE and pypulse open.

Units are in PSRCHIVE's order: primary, HISTORY, PSRPARAM, POLYCO, SUBINT; then FASTSIG, with the
provenance as JSON, which other programs ignore. All have checksums. Epochs are exact: STT_OFFS has
30 decimals of the reference time, which a double holds to 1e-16 s, and OFFS_SUB is in double.

References
----------
PSRFITS definition, version 5.4 (2014), ATNF. PSRCHIVE: FITSArchive.C, and the functions that load
and unload its tables.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastsig._version import __version__
from fastsig.errors import UsageError
from fastsig.io.files.outputs import no_position
from fastsig.io.files.safe import SafeOutput
from fastsig.io.fits.checksums import add_words, padded
from fastsig.io.psrfits.written_header import primary_unit
from fastsig.io.psrfits_fold.codes import codes_of, filled
from fastsig.io.psrfits_fold.units import Column, dtype_of, sealed, table_head, table_unit
from fastsig.io.psrfits_fold.written_header import (
    check,
    history_unit,
    parameter_unit,
    polyco_unit,
    primary_changes,
    subint_cards,
)
from fastsig.pulsar.profiles import Profiles

__all__ = ["BITS", "cautions", "write_profiles"]

BITS = (16, 32)
#: Variation of weights between bins that is not worth a word: bins contain whole samples.
_UNEVEN = 0.1

_JSON_WIDTH = 512


def write_profiles(profiles: Profiles, path: str | os.PathLike[str], *, overwrite: bool = False,
                   n_bits: int = 16) -> None:
    """Write an archive, whole or not at all.

    Parameters
    ----------
    profiles : Profiles
    path : path
        The file.
    overwrite : bool
        Whether an existing file may be replaced.
    n_bits : {16, 32}
        Integers with a scale and an offset for each profile, which all programs read and which are
        off by at most 1/131068 of the range of a profile; or exact floats, which not all read.

    Raises
    ------
    PlanError
        If PSRFITS cannot contain these profiles.
    UsageError
        If an option is not allowed.
    OutputError
        If the file exists or cannot be written, or the disk is too small.
    """
    if n_bits not in BITS:
        raise UsageError(f"bits = {n_bits!r}; allowed for folded profiles: "
                         f"{', '.join(map(str, BITS))}")
    check(profiles)
    columns = _columns(profiles, n_bits)
    heads = sealed(primary_unit(profiles.header, 1, False, primary_changes(profiles)))
    heads += history_unit(profiles) + parameter_unit(profiles) + polyco_unit(profiles)
    tail = _provenance_unit(profiles)
    row_bytes = dtype_of(columns).itemsize
    begin = len(heads) + len(_head(profiles, columns, 0))
    end = begin + row_bytes * profiles.n_subint
    size = begin + padded(end - begin) + len(tail)
    with SafeOutput(path, overwrite=overwrite, reserve=size) as output:
        try:
            at, data_sum = begin, 0
            for row in _rows(profiles, columns, n_bits):
                data_sum = _add(data_sum, row, at - begin)
                at = _put(output, row, at)
            at = _put(output, bytes(padded(end - begin) - (end - begin)), at)
            _put(output, tail, at)
            _put(output, heads + _head(profiles, columns, data_sum), 0)
        except OSError as error:
            raise output.error(error) from error


def _put(output: SafeOutput, content: bytes, at: int) -> int:
    left = memoryview(content)
    while left:
        done = os.pwrite(output.descriptor, left, at)
        left, at = left[done:], at + done
    return at


def _add(total: int, row: bytes, offset: int) -> int:
    """Return a sum of words after a piece is added that need not begin with a whole word."""
    return add_words(total, np.frombuffer(bytes(offset % 4) + row, np.uint8))


def _columns(profiles: Profiles, n_bits: int) -> list[Column]:
    n_chan, n = profiles.n_chan, profiles.n_chan * profiles.n_product
    code, dtype = {16: ("I", ">i2"), 32: ("E", ">f4")}[n_bits]
    count = n * profiles.n_bin
    return [
        Column("TSUBINT", "1D", ">f8", 1, "s"), Column("OFFS_SUB", "1D", ">f8", 1, "s"),
        Column("PERIOD", "1D", ">f8", 1, "s"),
        Column("DAT_FREQ", f"{n_chan}D", ">f8", n_chan, "MHz"),
        Column("DAT_WTS", f"{n_chan}E", ">f4", n_chan),
        Column("DAT_OFFS", f"{n}E", ">f4", n), Column("DAT_SCL", f"{n}E", ">f4", n),
        Column("DATA", f"{count}{code}", dtype, count, profiles.header.unit or ""),
    ]


def _head(profiles: Profiles, columns: list[Column], data_sum: int) -> bytes:
    """Return the header of SUBINT."""
    cards: dict[str, object] = {
        f"TDIM{len(columns)}": f"({profiles.n_bin},{profiles.n_chan},{profiles.n_product})",
        **subint_cards(profiles)}
    return table_head("SUBINT", columns, profiles.n_subint, cards, data_sum)


def _rows(profiles: Profiles, columns: list[Column], n_bits: int) -> Iterator[bytes]:
    """Yield the rows of SUBINT."""
    row = np.zeros(1, dtype_of(columns))
    weights = _channel_weights(profiles)
    frequency = profiles.frequency.value
    for k, values in enumerate(profiles.data):
        row["TSUBINT"], row["OFFS_SUB"] = profiles.durations[k], profiles.offsets[k]
        row["PERIOD"] = np.nan_to_num(profiles.periods[k])
        row["DAT_FREQ"], row["DAT_WTS"] = frequency, weights[k]
        if n_bits == 32:
            row["DATA"], row["DAT_SCL"], row["DAT_OFFS"] = filled(values).reshape(-1), 1, 0
        else:
            codes, scale, offset = codes_of(filled(values))
            row["DATA"], row["DAT_SCL"], row["DAT_OFFS"] = (
                codes.reshape(-1), scale.reshape(-1), offset.reshape(-1))
        yield row.tobytes()


def _channel_weights(profiles: Profiles) -> Any:
    """Return the means of weights over products and bins, (subint, chan)."""
    mean = profiles.weights.mean(axis=(1, 3))
    return np.broadcast_to(mean, (profiles.n_subint, profiles.n_chan))


def _provenance_unit(profiles: Profiles) -> bytes:
    record = {"fastsig": __version__, **profiles.provenance}
    text = json.dumps(record, sort_keys=True, allow_nan=False, default=str).encode("ascii")
    pieces = [text[at : at + _JSON_WIDTH] for at in range(0, len(text), _JSON_WIDTH)]
    column = Column("JSON", f"{_JSON_WIDTH}A", f"S{_JSON_WIDTH}")
    rows = np.zeros(len(pieces), dtype_of([column]))
    rows["JSON"] = [piece.ljust(_JSON_WIDTH) for piece in pieces]
    return table_unit("FASTSIG", [column], rows)


def cautions(profiles: Profiles) -> list[str]:
    """Describe in plain words what an archive in PSRFITS does not hold of profiles."""
    out = no_position(profiles.header, "RA and DEC")
    weights = profiles.weights
    if (np.ptp(weights, axis=(1, 3)) > _UNEVEN * weights.max(axis=(1, 3))).any():
        out.append("psrfits has one weight for a channel of a subintegration: the mean over "
                   "products and bins is written")
    lost = ~np.isfinite(profiles.data)
    if (lost & ~lost.all(axis=(1, 3), keepdims=True)).any():
        out.append("psrfits has no place for single bins without data: they get the median of the "
                   "others of their profile")
    if not np.isfinite(profiles.periods).all():
        out.append("the folding period is not known at all epochs, and PSRCHIVE will not know it")
    return out
