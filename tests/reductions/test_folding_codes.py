"""Spectra of 8-bit codes are folded as codes, with the bytes of the same numbers as floats."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis


@pytest.mark.parametrize("dm", [None, 30])
def test_a_gap_between_files_and_a_short_last_block(
        dm: float | None, tmp_path: Path, rng: np.random.Generator) -> None:
    # The last file continues into a leap second.
    data = rng.integers(0, 256, (9011, 1, 16)).astype(np.float32)
    head = header(10**4, n_pol=1, start="2016-12-31T23:59:59.3").replace(
        channels=ChannelAxis(Fraction(10**9), Fraction(10**6), 16),
        polarization=PolBasis("linear", PRODUCTS["I"]))
    whole = fs.Chain(MemorySpectra(data, head))
    for name, part in (("a.0000.fil", whole[:3001]), ("a.0001.fil", whole[5003:])):
        part.write(tmp_path / name, bits=8, lossy=True)
    data[3001:5003] = np.nan
    floats = fs.Chain(MemorySpectra(data, head))
    with fs.open(sorted(tmp_path.iterdir())) as codes:
        assert codes.stream.codes() is not None and floats.stream.codes() is None
        one, other = (chain.fold(period="37.123ms", dm=dm, n_bin=32, subint="0.3s")
                      for chain in (codes, floats))
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.data.shape[0] == 3 and one.weights[1].sum() < one.weights[0].sum()
