"""Slices of profiles: by number, time of epochs, frequency and name of products."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso, later
from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.pulsar.profile_data import ProfileData
from fastsig.stream.slices import channel_span, civil_time, is_number, key_parts, product_indices

__all__ = ["sliced"]

P = TypeVar("P", bound=ProfileData)


def sliced(profiles: P, key: Any) -> P:
    """Return the part of profiles that `Profiles.__getitem__` describes."""
    span, channels, names = key_parts(key, profiles)
    rows = _rows(profiles, span)
    some = slice(None)
    header, centers = profiles.header, profiles.centers_mhz
    if channels != slice(None):
        some = slice(*channel_span(profiles, channels, profiles.path))
        axis = header.require_channels(profiles.path)
        header = header.replace(channels=axis.sliced(some.start, some.stop))
        centers = None if centers is None else centers[some]
    products: Any = slice(None)
    if names is not None:
        products = product_indices(names, profiles.names, profiles.path)
        header = header.replace(polarization=replace(header.polarization, names=names))
    header = header.replace(start_time=_start(profiles, rows.start))
    return replace(profiles, data=_cut(profiles.data, rows, products, some), header=header,
                   weights=_cut(profiles.weights, rows, products, some), centers_mhz=centers,
                   offsets=profiles.offsets[rows], durations=profiles.durations[rows],
                   periods=profiles.periods[rows])


def _start(profiles: P, row: int) -> Time:
    """Return the start of a subintegration.

    An epoch is up to a turn before the middle, so that the start is known only to within a
    turn, unless the subintegrations follow one another.
    """
    start = profiles.header.start_time
    before = TimeDelta(float(profiles.durations[:row].sum()), format="sec", scale="tai")
    half = TimeDelta(-profiles.durations[row] / 2, format="sec", scale="tai")
    early = later(profiles.epochs[row], half)
    period = float(profiles.periods[row])
    follows = abs(float(elapsed(early, start)) + float(before.sec)) <= period
    return later(start, before) if row == 0 or follows else early


def _rows(profiles: P, span: slice) -> slice:
    n = profiles.n_subint
    ends = [end for end in (span.start, span.stop) if end is not None]
    counted = [is_number(end) for end in ends if not (is_number(end) and end == 0)]
    if all(counted):
        first, stop, _ = span.indices(n)
    elif any(counted):
        raise UsageError(f"a slice from {span.start} to {span.stop}; allowed: two numbers of "
                         "subintegrations, or two times")
    else:
        start = profiles.header.start_time
        at = [float(elapsed(start, each)) for each in profiles.epochs]
        low, high = (None if end is None else _seconds(profiles, end) for end in (
            span.start, span.stop))
        first = 0 if low is None else int(np.searchsorted(at, low))
        stop = n if high is None else int(np.searchsorted(at, high))
    if first >= stop:
        begin = "the start" if span.start is None else span.start
        end = "the end" if span.stop is None else span.stop
        raise UsageError(f"no subintegrations from {begin} to {end}: they are numbered "
                         f"from 0 to {n - 1}, and their epochs are from {iso(profiles.epochs[0])} "
                         f"to {iso(profiles.epochs[-1])}")
    return slice(first, stop)


def _seconds(profiles: P, end: Any) -> float:
    """Return an end of a slice, s after the start."""
    time = civil_time(end)
    return float(exact(end, "s", "time") if time is None else elapsed(
        profiles.header.start_time, time))


def _cut(array: NDArray[Any], rows: slice, products: Any, channels: slice) -> NDArray[Any]:
    """Return part of an array whose axes may have length 1."""
    part = array[rows] if array.shape[0] > 1 else array
    part = part[:, products] if array.shape[1] > 1 else part
    return part[:, :, channels] if array.shape[2] > 1 else part
