"""Digital metadata beside a Digital RF channel: the settings of the receiver, and their times."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import h5py

from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import FastsigError, FastsigWarning, users_line
from fastsig.io.digital_rf.channel_files import rate_of, stamped
from fastsig.io.hdf5.opening import cards_of, lies_here, member, open_file, plain, reading

_METADATA_FILE = re.compile(r"(?!tmp\.).+@(\d+)\.h5")
_CENTERS = ("center_frequencies", "center_frequency", "receiver/center_freq")
_MAX_ITEM = 64  # values of an item that is kept as a card


@dataclass(frozen=True)
class Record:
    """A sample of digital metadata: its time, centre frequencies (Hz), origin and items."""

    seconds: Fraction
    centers: tuple[Fraction, ...]
    origin: str
    cards: dict[str, Any]


def _centers(cards: dict[str, Any]) -> tuple[str, tuple[Fraction, ...]]:
    for key in _CENTERS:
        value = cards.get(key)
        values: list[Any] = value if isinstance(value, list) else [value]
        if values and all(type(item) in (int, float) and 0 <= item < 1e15 for item in values):
            return key, tuple(Fraction(repr(item)) for item in values)
    return "", ()


def _record(group: h5py.Group, rate: Fraction, path: str) -> Record:
    cards: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size is not None and (
                item.size <= _MAX_ITEM and lies_here(item)):
            cards[name] = plain(item[()])

    group.visititems(keep)
    key, centers = _centers(cards)
    sample = group.name.rpartition("/")[2]
    origin = f"{os.path.basename(path)}:{sample}/{key}"
    return Record(int(sample) / rate, centers, origin, cards)


def _records(folder: str, rate: Fraction, start: Fraction, stop: Fraction) -> list[Record]:
    """Return the record in force at `start`, or the first one, and later records before `stop`."""
    found: list[Record] = []
    paths = stamped(folder, _METADATA_FILE)
    times = [int(path.rpartition("@")[2][:-3]) for path in paths]
    before = sum(time <= start for time in times)
    after = max(sum(time < stop for time in times), 1)
    for path in paths[max(0, before - 2) : after]:  # the last may begin after `start`
        with open_file(path) as file, reading(path, "digital metadata"):
            names = sorted((name for name in file if name.isdecimal()), key=int)
            groups = [member(file, name, path) for name in names]
            found += [_record(each, rate, path) for each in groups if isinstance(each, h5py.Group)]
    in_force = max(sum(record.seconds <= start for record in found) - 1, 0)
    return [r for n, r in enumerate(found) if n == in_force or start < r.seconds < stop]


def read_metadata(channel: str, rate: Fraction, start: Fraction, stop: Fraction) -> list[Record]:
    """Return the records in the folder ``metadata`` of a channel; faults in it cause a warning."""
    folder = os.path.join(channel, "metadata")
    properties = os.path.join(folder, "dmd_properties.h5")
    if not os.path.isfile(properties):
        return []
    try:
        with open_file(properties) as file, reading(properties, "its attributes"):
            rate = rate_of(cards_of(file.attrs), properties, rate)
        return _records(folder, rate, start, stop)
    except FastsigError as error:
        warnings.warn(f"digital metadata is left out: {error}", FastsigWarning,
                      stacklevel=users_line())
        return []


def band(records: list[Record], picks: list[int], width: Fraction, n_sub: int, path: str
          ) -> ChannelAxis | None:
    """Return the band of the chosen subchannels, if they have the same band."""
    bands = [{r.centers[pick if len(r.centers) == n_sub else 0] for pick in picks}
             for r in records if len(r.centers) in (1, n_sub)]
    if not bands or not records[0].centers:
        return None
    if len(bands[0]) > 1:
        warnings.warn(f"{path}: the subchannels have several centre frequencies: choose some with "
                      "subchannel=N[,N] or give frequency=", FastsigWarning,
                      stacklevel=users_line())
        return None
    if any(band != bands[0] for band in bands):
        warnings.warn(f"{path}: the receiver is retuned within the stream; the frequency at its "
                      "start is used", FastsigWarning, stacklevel=users_line())
    return ChannelAxis.band(bands[0].pop(), width)
