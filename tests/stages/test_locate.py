"""Spectra with the position of their beam: those of the track, at the middle of each."""

from __future__ import annotations

import pickle
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.telescopes.pointing import CabinTrack, Refraction, mid_times

N = 50


def spectra(**changes: object) -> MemorySpectra:
    about = header(10, n_chan=4, n_bits=32).replace(
        polarization=PolBasis("unknown", ("I",)), **changes)
    return MemorySpectra(np.random.default_rng(2).normal(9, 1, (N, 1, 4)), about)


def track(late: float = 0.0) -> CabinTrack:
    """A cabin that moves, from 2 s before the spectra on."""
    time = spectra().start_time + (np.arange(100) * 0.2 - 2 + late) * u.s
    place = np.array([12.0, -20.0, -160.0]) + np.arange(100)[:, None] * [0.01, 0.02, 0]
    return CabinTrack("night.xlsx", time, place, np.zeros((100, 3)), np.zeros(100))


def test_columns_are_the_positions_of_the_track() -> None:
    source, air = spectra(beam=3), Refraction()
    chain = Chain(source).locate(track(), refraction=air)
    assert chain.stream.name == "locate" and chain.header.beam == 3
    expected = track().positions(mid_times(source.start_time, source.header.sample_rate, N), 3,
                                 refraction=air)
    found = chain.stream.read_columns(10, 20)
    assert set(found) == set(chain.stream.columns)
    np.testing.assert_allclose(found["ra_deg"], expected.ra.value[10:30, 0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["dec_deg"], expected.dec.value[10:30, 0], rtol=0, atol=1e-9)
    assert np.ptp(found["ra_deg"]) > 1e-3 and not found["extrapolated"].any()


def test_values_are_the_source_s_and_it_pickles() -> None:
    chain = Chain(spectra()).locate(track(), beam=2)
    np.testing.assert_array_equal(chain.stream.read_block(3, 9).data, spectra().spectra[3:12])
    assert chain.stream.parameters() == {"track": {"name": "night.xlsx"}, "beam": 2,
                                         "refraction": {
        "pressure_hpa": 925.0, "temperature_c": 15.0, "humidity": 0.8, "wavelength_m": 0.3}}
    none = Chain(spectra()).locate(track(), beam=2, refraction="none").stream
    assert none.parameters()["refraction"] is None
    assert none.on(spectra()).parameters() == none.parameters()
    again = chain.stream.on(spectra())
    np.testing.assert_array_equal(again.read_columns(0, 5)["ra_deg"],
                                  chain.stream.read_columns(0, 5)["ra_deg"])
    assert pickle.loads(pickle.dumps(track())).path == "night.xlsx"


def test_what_does_not_fit_is_refused(samples: Path) -> None:
    for wrong in ("night.xlsx", None, 5):
        with pytest.raises(fs.UsageError, match="allowed: a CabinTrack"):
            Chain(spectra(beam=3)).locate(wrong)
    with pytest.raises(fs.UsageError, match="does not state the beam"):
        Chain(spectra(beam=None)).locate(track())
    with pytest.raises(fs.FastsigError, match=r"night\.xlsx"):
        Chain(spectra()).locate(track(late=86400), beam=1)
    with pytest.raises(fs.PlanError, match="requires spectra"):
        fs.open(samples / "frb_carrier_16MHz.h5").locate(track())
