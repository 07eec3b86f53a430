"""Profiles made in memory for tests."""

from fractions import Fraction

import numpy as np

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.pulsar.profiles import Profiles
from fastsig.stream.header import Header

DAY, SECONDS, PERIOD = 58000, Fraction(3600) + Fraction(1, 3), 0.0123


def pulse(phase, center, width=0.03):
    """A periodic pulse with a height of 1 (von Mises)."""
    return np.exp((np.cos(2 * np.pi * (phase - center)) - 1) / (2 * np.pi * width) ** 2)


def profiles(n_subint=3, names=("I",), n_chan=4, n_bin=64, center=0.3, weights=None, **fields):
    """Return a pulse in all profiles, with a height by product and channel."""
    phase = (np.arange(n_bin) + 0.5) / n_bin
    height = 1 + np.arange(len(names))[:, None] + 0.1 * np.arange(n_chan)
    one = height[:, :, None] * pulse(phase, center) + 5
    data = np.repeat(one[None], n_subint, axis=0).astype(np.float32)
    header = Header(
        time_from_mjd(DAY, SECONDS), Fraction(10**4), source="J0000+00", telescope="FAST",
        channels=ChannelAxis(Fraction(1100 * 10**6), Fraction(100 * 10**6), n_chan),
        polarization=PolBasis("linear", names), ra_deg=12.5, dec_deg=-3.25)
    header = header.replace(**fields.pop("header", {}))
    weights = np.full((n_subint, 1, n_chan, 1), 800.0) if weights is None else weights
    return Profiles(**{
        "data": np.where(weights > 0, data, np.float32(np.nan)), "weights": weights,
        "reference": (DAY, SECONDS), "offsets": 5.0 + 10.0 * np.arange(n_subint),
        "durations": np.full(n_subint, 10.0), "periods": np.full(n_subint, PERIOD),
        "header": header, "dm": 30.0, **fields})
