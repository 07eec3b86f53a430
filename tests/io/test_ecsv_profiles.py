"""Tables of folded profiles are read as they were written, and refused if they make no sense."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pulsar.profiles_made import profiles

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.pulsar.profiles import Profiles

FULL = ("I", "Q", "U", "V")


def full(**fields: Any) -> Profiles:
    """Profiles with something in every field that a table has."""
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 5, (3, 4, 4, 64)).astype(float)
    made = profiles(names=FULL, weights=weights, folded_mhz=0.125, rm=12.5, rm_removed=True,
                    reference_mhz=1500.0)
    basis = PolBasis("linear", FULL, "IAU", "sky", -1, 1, True)
    header = made.header.replace(
        polarization=basis, unit="Jy", dm=30.0, dm_reference_hz=Fraction(1500 * 10**6), beam=3,
        coherent_dm=29.5, receiver="L", backend="B", sample_rate=Fraction(10**9, 49152))
    return made.replace(header=header, **fields)


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    made = full()
    made.write(tmp_path / "a.ecsv")
    found = fs.open_profiles(tmp_path / "a.ecsv")
    np.testing.assert_array_equal(found.data, made.data)
    np.testing.assert_array_equal(found.weights, made.weights)
    assert found.exact_epochs()[0][0] == made.exact_epochs()[0][0]
    for (day, one), (_, other) in zip(made.exact_epochs(), found.exact_epochs(), strict=True):
        assert day == 58000 and abs(one - other) < 1e-12
    np.testing.assert_array_equal(found.periods, made.periods)
    np.testing.assert_array_equal(found.durations, made.durations)
    for name in ("dm", "rm", "rm_removed", "reference_mhz", "folded_mhz"):
        assert getattr(found, name) == getattr(made, name), name
    for name in ("polarization", "channels", "unit", "dm", "dm_reference_hz", "coherent_dm", "beam",
                 "source", "telescope", "receiver", "backend", "ra_deg", "dec_deg", "sample_rate",
                 "dispersion_constant"):
        assert getattr(found.header, name) == getattr(made.header, name), name
    assert abs(elapsed(found.header.start_time, made.header.start_time)) < 1e-9
    found.write(tmp_path / "b.ar")
    assert fs.open_profiles(tmp_path / "b.ar").header.polarization == made.header.polarization


def test_uneven_channels_leap_seconds_and_one_channel(tmp_path: Path) -> None:
    uneven = profiles(centers_mhz=np.array([1100.0, 1201.0, 1300.0, 1400.0]))
    uneven.write(tmp_path / "u.ecsv")
    np.testing.assert_array_equal(fs.open_profiles(tmp_path / "u.ecsv").frequency.value,
                                  uneven.frequency.value)
    late = profiles(reference=(57753, Fraction(86395)), n_chan=1, header={
        "start_time": time_from_mjd(57753, Fraction(86395))})
    late.write(tmp_path / "l.ecsv")
    assert fs.open_profiles(tmp_path / "l.ecsv").offsets == pytest.approx(late.offsets, abs=1e-9)


def test_overrides(tmp_path: Path) -> None:
    profiles().write(tmp_path / "a.ecsv")
    found = fs.open_profiles(tmp_path / "a.ecsv", period="0.5s", dm=12, telescope="Parkes",
                             start_time="2020-01-01T00:00:00")
    assert (found.period, found.dm, found.header.telescope) == (0.5, 12, "Parkes")
    assert found.epochs[0].isot.startswith("2020-01-01T00:00:05")
    for wrong in ({"period": "0s"}, {"label": "lower"}):
        with pytest.raises(UsageError):
            fs.open_profiles(tmp_path / "a.ecsv", **wrong)
    with pytest.raises(FormatError, match="a table of folded profiles; allowed here: a stream"):
        fs.open(tmp_path / "a.ecsv")


@pytest.mark.parametrize("change", [
    lambda table: table[:-1], lambda table: table[::-1],
    lambda table: table.meta.update(n_bin=63), lambda table: table.meta.update(epochs=[]),
    lambda table: table.meta.update(periods_s=["x", "y", "z"]),
    lambda table: table.meta.pop("start_time"), lambda table: table.remove_column("channel"),
    lambda table: table.meta.update(channel_hz=["1/0", "1"])])
def test_what_makes_no_sense_is_one_error(change: Any, tmp_path: Path) -> None:
    profiles().write(tmp_path / "a.ecsv")
    table = read_table(tmp_path / "a.ecsv")
    changed = change(table)
    table = table if changed is None or not hasattr(changed, "colnames") else changed
    for key in ("kind", "n_row", "crc32", "provenance"):
        table.meta.pop(key)
    write_table(table, tmp_path / "b.ecsv", kind="profiles", provenance={})
    with pytest.raises(FormatError, match="are not valid"):
        fs.open_profiles(tmp_path / "b.ecsv")
