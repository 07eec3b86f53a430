"""Cut-outs of bursts: the rows from the upper to the lower edge of the band, under safe names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.time import TimeDelta
from bursts_made import MHZ, RATE, K, spectra
from streams import header, noise, write_native

import fastsig as fs
from fastsig.errors import DataError, OutputError, UsageError
from fastsig.reductions.bursts.cutting import cut_name, cut_out


def test_spectra_around_a_burst(tmp_path: Path) -> None:
    burst = spectra(0.05)
    time = burst.stream.start_time + TimeDelta(0.7, format="sec")
    (name,) = cut_out(burst, time, 50, around="0.1s", folder=tmp_path)
    made = fs.open(name)
    low, high = MHZ[0] - 2.5, MHZ[-1] + 2.5
    ends = [0.7 + K * 50 * (edge**-2 - MHZ[-1] ** -2) + side
            for edge, side in ((high, -0.1), (low, 0.1))]
    first = int(np.floor(ends[0] * RATE))
    assert (made.stream.start_time - burst.stream.start_time).sec == pytest.approx(first / RATE,
                                                                                   abs=1e-9)
    assert len(made) == int(np.ceil(ends[1] * RATE)) + 1 - first
    same = burst[first : first + len(made)]
    np.testing.assert_array_equal(made.read().values, same.read().values)
    with pytest.raises(OutputError, match="exists"):
        cut_out(burst, time, 50, around="0.1s", folder=tmp_path)


def test_voltages_keep_their_format(tmp_path: Path) -> None:
    head = header(10**6)
    path = write_native(tmp_path / "raw.h5", noise(np.random.default_rng(1), 200_000), head)
    chain = fs.open(path)
    time = chain.stream.start_time + TimeDelta(0.1, format="sec")
    # The spectra in which the burst was found end at 1000.25 MHz; the voltages at 1000.75 MHz.
    (name,) = cut_out(chain, time, 20, around="10ms", folder=tmp_path, reference_mhz=1000.25)
    made = fs.open(name).stream
    low, high = (float(each) / 1e6 for each in head.require_channels("").edges_hz)
    first = 0.1 + K * 20 * (high**-2 - 1000.25**-2) - 0.01
    assert made.kind == "voltage" and name.endswith(".h5")
    assert (made.start_time - chain.stream.start_time).sec == pytest.approx(first, abs=2e-6)
    assert made.shape[0] / 1e6 == pytest.approx(0.02 + K * 20 * (low**-2 - high**-2), abs=3e-6)


@pytest.mark.parametrize("name", ["../../etc/x.fil", "a b;rm -rf *.fits", "=cmd|' /C'!A0.h5",
                                  "-o.fil", "", "\u202e\n.fil", "x" * 300 + ".fil"])
def test_names_are_safe(name: str) -> None:
    made = cut_name(name, spectra(0.1).stream.start_time, 50.123)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
    assert made.endswith("_20210304T050607.123456_DM50.12") and len(made) < 100
    assert made[0].isalnum() and ".." not in made


def test_what_cannot_be_cut(tmp_path: Path) -> None:
    burst = spectra(0.05)
    start = burst.stream.start_time
    with pytest.raises(DataError, match="not within the recording"):
        cut_out(burst, start + TimeDelta(100, format="sec"), 50, folder=tmp_path)
    for around in ("-1s", "1e9s", "1 m"):
        with pytest.raises(UsageError, match="around"):
            cut_out(burst, start, 50, around=around, folder=tmp_path)
