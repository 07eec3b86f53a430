"""PRESTO's time series: a .dat file of 32-bit floats, and a .inf file of the same name beside it.

A .fft file contains the spectrum of such a series instead.
The only channel represents the whole band, dedispersed to the highest channel. Bins outside the
stretches listed in the .inf file are padding, not data.

References
----------
S. M. Ransom, PRESTO: ioinf.c, prepdata.c; dispersion.c for delays against the highest channel.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import DoubtWarning, FormatError, unreadable, users_line
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY, Cards
from fastsig.io.presto.inf import Inf, is_inf, parse_inf
from fastsig.io.presto.series import SPECTRUM, PrestoSeries, TransformedSeries
from fastsig.io.probe import Probe
from fastsig.io.sigproc.fields import choice, within
from fastsig.io.voltages.segments import incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "cards", "open", "sniff"]

NAME, KINDS = "presto", ("spectra",)

#: Endings of header files that accompany data files.
HEADERS = (".inf",)

_OWN = ("breaks",)
_OF_TURBOSETI = b"# ----------"  # how a .dat file of hits begins
_MOST_CHANNELS, _LONGEST_S = 2**24, 10**6
_TYPED = ("name", "telescope", "instrument", "object", "ra", "dec", "epoch", "bins", "width_s")


def sniff(probe: Probe) -> bool:
    """Whether a file is a .inf header, or a .dat or .fft file with one beside it."""
    if is_inf(probe.head):
        return True
    beside, suffix = os.path.splitext(probe.path)
    return suffix in (".dat", SPECTRUM) and not probe.is_folder and not probe.head.startswith(
        _OF_TURBOSETI) and _begins_as_inf(f"{beside}.inf")


def _begins_as_inf(path: str) -> bool:
    from builtins import open as open_file

    try:
        with open_file(path, "rb") as file:
            return is_inf(file.read(80))
    except OSError:
        return False


def cards(path: str) -> dict[str, Any]:
    """Return all values of a .inf file by key; the pairs of bins with data and the notes follow."""
    found = parse_inf(f"{os.path.splitext(path)[0]}.inf")
    more = {"on_off": [list(pair) for pair in found.pairs], "notes": found.notes}
    return {**found.cards, **{key: value for key, value in more.items() if value}}


def open(path: str | os.PathLike[str], **overrides: Any) -> PrestoSeries:
    """Open a PRESTO time series as a stream of spectra of one channel.

    Parameters
    ----------
    path : path
        The .dat file, the .fft file, or the .inf file; the latter means the .fft file if there is
        no .dat file.
    breaks : {"yes", "no"}, optional
        Whether bins outside the stretches listed in the header have the weight 0 (the default), or
        all bins count.
    **overrides
        The common options of `fastsig.open`.

    Raises
    ------
    FormatError
        If one of the two files is missing or the header is not consistent. Missing bins, and times
        of the barycentre, cause a `FastsigWarning`.
    UsageError
        If an override is unknown or has no meaning.
    """
    common, own = split_overrides(overrides, _OWN, NAME)
    stem = os.path.splitext(os.fspath(path))[0]
    inf = parse_inf(f"{stem}.inf")
    data = _data(os.fspath(path))
    n = _bins(inf.cards, data)
    header = _header(inf, common, os.path.basename(stem)).overridden(common)
    whole = choice(own, "breaks") is False
    rows = np.array([[0, n]] if whole else _stretches(inf, n), np.int64).reshape(-1, 2)
    table = np.pad(rows, ((0, 0), (0, 1)))  # all of them in file 0
    made = TransformedSeries if data.endswith(SPECTRUM) else PrestoSeries
    return made(header, (n, 1, 1), data, [data], table, may_have_nan=True)


def _data(path: str) -> str:
    """Return the name of the file with the data."""
    stem, suffix = os.path.splitext(path)
    if suffix == SPECTRUM or (not os.path.exists(f"{stem}.dat")
                              and os.path.exists(f"{stem}{SPECTRUM}")):
        return f"{stem}{SPECTRUM}"
    return f"{stem}.dat"


def _bins(cards: Cards, path: str) -> int:
    """Return the number of bins: those of the data file, but no more than the header states."""
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise unreadable(path, error, f"{error.strerror}: the data of "
                         f"{os.path.basename(path)[:-4]}.inf") from error
    n, rest = divmod(size, 4)
    if not n:
        raise FormatError(path, "contains no sample")
    stated = cards.number("bins")
    if path.endswith(SPECTRUM):
        return _complete(n, rest, cards, path)
    if rest or (stated is not None and stated > n):
        incomplete(path, f"{size} bytes are {n} bins; the header states {cards.get('bins')}")
    if stated is None or stated >= n:
        return n
    if stated < 1:
        raise cards.error("bins", f"1 or more; the file has {n} bins")
    incomplete(path, f"has {n} bins; the header states {cards.get('bins')}: the others are left "
               "out. Does the .inf file belong to it?")
    return int(stated)


def _complete(n: int, rest: int, cards: Cards, path: str) -> int:
    """Return the number of bins of the series of a .fft file, which must be whole."""
    stated = cards.number("bins")
    if rest or n % 2 or (stated is not None and int(stated) != n):
        raise FormatError(path, f"has {4 * n + rest} bytes; allowed: 4 for each of the "
                          f"{cards.get('bins')} bins that the header states, an even number")
    return n


def _stretches(inf: Inf, n: int) -> list[tuple[int, int]]:
    """Return the first bin and the bin after the last of every stretch of data."""
    has_breaks = inf.cards.integer("breaks", 0, most=1)
    if not has_breaks:
        return [(0, n)]
    pairs = list(inf.pairs)
    if not pairs:
        raise inf.cards.error("breaks", "0, or pairs of bins on the lines that follow; --set "
                              "breaks=no uses all bins")
    end = int(inf.cards.number("bins") or n) - 1
    if len(pairs) > 1 and pairs[-1] == (end, end):
        del pairs[-1]  # the mark of the end: the bins before it are padding
    reach = 0
    for first, last in pairs:
        if not reach <= first <= last:
            raise inf.cards.error("breaks", f"ascending pairs of bins, not {first}, {last} after "
                                  f"{reach}; --set breaks=no uses all bins")
        reach = last + 1
    return [(first, min(last + 1, n)) for first, last in pairs if first < n]


def _header(inf: Inf, common: Mapping[str, Any], name: str) -> Header:
    cards = inf.cards
    day = within(cards, "epoch", (FIRST_DAY, LAST_DAY), "start_time=2026-01-01T00:00:00", common)
    width = within(cards, "width_s", (0, _LONGEST_S), "sample_rate=10kHz", common)
    if cards.integer("barycentered", 0):
        warnings.warn(DoubtWarning(f"{name}.inf: times are those of the barycentre; used "
                                     "unchanged, as if in UTC"), stacklevel=users_line())
    extra: dict[str, Any] = {key: value for key, value in cards.items() if key not in _TYPED}
    if inf.notes:
        extra["notes"] = inf.notes
    ra, dec = cards.angle("ra", "hourangle"), cards.angle("dec", "deg")
    if ra == dec == 0:  # written for an unknown position
        ra = dec = None
    if (dm := cards.number("DM")) is not None:
        extra["DM"] = dm
    band = _band(cards)
    return Header(
        start_time=time_from_mjd(int(day // 1), day % 1 * 86400), sample_rate=1 / width,
        channels=band, polarization=PolBasis("unknown", ("I",)), n_bits=32,
        telescope=_known(cards, "telescope"), backend=_known(cards, "instrument"),
        source=_known(cards, "object"), ra_deg=ra, dec_deg=dec, extra=extra,
        origin={field: f"{name}.inf:{key}" for field, key in (
            ("start_time", "epoch"), ("sample_rate", "width_s"), ("channels", "low_mhz"),
            ("telescope", "telescope"), ("source", "object"),
            *((("dm", "DM"),) if band and dm is not None else ()))},
        dm=None if band is None else dm,
        dm_reference_hz=None if band is None or dm is None else _highest(cards),
    )


def _known(cards: Cards, key: str) -> str | None:
    text = cards.text(key)
    return None if text == "Unknown" else text


def _highest(cards: Cards) -> Fraction:
    """Return the centre of the highest channel, to which times refer, Hz."""
    step, low = cards.exact("channel_mhz"), cards.exact("low_mhz")
    return (low + (cards.integer("channels") - 1) * step) * 10**6


def _band(cards: Cards) -> ChannelAxis | None:
    """Return the whole band as one channel; None if there is no band, as for X-rays."""
    if "low_mhz" not in cards or "channels" not in cards:
        return None
    n_chan = cards.integer("channels", least=1, most=_MOST_CHANNELS)
    step, low = cards.exact("channel_mhz"), cards.exact("low_mhz")
    if step <= 0 or low < 0:
        raise cards.error("channel_mhz" if step <= 0 else "low_mhz", "above 0 MHz")
    stated = cards.exact("bandwidth_mhz", "0")
    if stated and abs(stated - n_chan * step) > step / 2:
        raise cards.error("bandwidth_mhz", f"{n_chan} channels of {float(step):g} MHz")
    middle = low + (n_chan - 1) * step / Fraction(2)
    return ChannelAxis.band(middle * 10**6, n_chan * step * 10**6)
