"""Predictors for a stream: from polyco files, from ephemerides, and for a constant period."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import inf
from os import PathLike, fspath
from typing import Any

from astropy.time import TimeDelta

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.dispersion import delay_s, dm_of
from fastsig.axes.time import later
from fastsig.errors import UsageError
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import blocks_of
from fastsig.pulsar.predictors import Predictor
from fastsig.reductions.folding.channel_phases import reference_of
from fastsig.stream import Stream

__all__ = ["constant_period", "is_par", "of_file", "of_files"]

_MARGIN_S = 5
_LARGEST_DM = Fraction(3000)  # of pulsars, for an ephemeris that has not been read yet


def constant_period(stream: Stream, period: Any, pdot: Any = None, acceleration: Any = None,
                    dm: Any = None) -> ConstantPeriod:
    """Return the predictor for a period at the telescope, at the start of the data."""
    return ConstantPeriod(
        epoch=stream.header.start_time, period=period, pdot=pdot, acceleration=acceleration,
        dm=None if dm is None else float(dm_of(dm)), source=stream.header.source or "")


def of_files(stream: Stream, polycos: Sequence[str | PathLike[str]],
             pars: Sequence[str | PathLike[str]] = (), dm: Any = None) -> list[Predictor]:
    """Return the predictors of polyco files, followed by those made from par files.

    The latter are made for the times of the stream.

    Raises
    ------
    FormatError
        If a file cannot be read.
    UsageError
        If PINT is not installed, if the telescope is not known, or if a file has polycos of several
        pulsars and none of these is the source of the stream.
    """
    found: list[Predictor] = [_of_polyco(stream, each) for each in polycos]
    return found + [_of_par(stream, each, dm) for each in pars]


def of_file(stream: Stream, path: str | PathLike[str], dm: Any = None) -> Predictor:
    """Return the predictor of a file.

    The file is read as a par file if its extension is .par, and otherwise as a polyco file.
    """
    return _of_par(stream, path, dm) if is_par(path) else _of_polyco(stream, path)


def is_par(path: str | PathLike[str]) -> bool:
    """Return whether the name of a file is that of an ephemeris."""
    return fspath(path).lower().endswith(".par")


def _of_polyco(stream: Stream, path: str | PathLike[str]) -> Polyco:
    """Return the polycos of a file; those of the stream's source if there are several pulsars."""
    names = sorted({block.source for block in blocks_of(path)})
    source = stream.header.source
    if len(names) > 1 and source not in names:
        raise UsageError(f"{fspath(path)}: polycos of {', '.join(names)}; the source of "
                         f"{stream.path} is {source or 'not known'}; give --set "
                         f"source={names[0]} or another of them")
    return Polyco.read(path, names[0] if len(names) == 1 else source)


def _of_par(stream: Stream, par: str | PathLike[str], dm: Any) -> Polyco:
    """Return polycos that cover a stream, and the delay of its lowest channel before it."""
    from fastsig.pulsar.par import from_par

    header = stream.header
    if header.telescope is None:
        raise UsageError(f"{stream.path}: the file does not state its telescope; give --set "
                         "telescope=FAST")
    lowest = header.require_channels(stream.path).edges_hz[0]
    late = 0.0 if lowest <= 0 else float(delay_s(
        _LARGEST_DM if dm is None else dm_of(dm), lowest, None, DISPERSION_CONSTANT))
    early = TimeDelta(-late - _MARGIN_S, format="sec", scale="tai")
    after = TimeDelta(_MARGIN_S, format="sec", scale="tai")
    return from_par(par, header.telescope, later(header.start_time, early),
                    later(stream.stop_time, after), mhz=_reference_mhz(stream))


def _reference_mhz(stream: Stream) -> float:
    """Return the frequency of the profiles.

    The delay after another frequency would depend on the velocity of the telescope.
    """
    hz = reference_of(stream)
    return float(hz / 10**6) if hz > 0 else inf
