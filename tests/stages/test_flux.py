"""Flux densities of spectra in K: by a gain, and by a receiver's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from streams import MemorySpectra, header

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.stages.flux import Flux

GAIN = 16.0
N = 6


class Switched(MemorySpectra):
    """Spectra with the expected noise of each product, as `switch` writes them."""

    columns: Mapping[str, str] = {"radiometer_AA": "K", "radiometer_I": "K", "tsys_AA": "K"}

    def read_columns(self, start: int, n: int) -> dict[str, np.ndarray]:
        return {name: np.arange(start, start + n) + 1.0 for name in self.columns}


def spectra(**changes: Any) -> Switched:
    about = header(10, n_chan=4, n_bits=32).replace(**{
        "polarization": PolBasis("linear", ("AA", "I")), "unit": "K", "telescope": "FAST",
        "beam": 1, "channels": ChannelAxis(1_400_000_000, 1_000_000, 4),
        "extra": {"radiometer": [[1.0]], "OBSERVER": "me"}, **changes})
    return Switched(np.random.default_rng(2).normal(9, 1, (N, 2, 4)), about)


def test_a_gain_divides_a_polarisation_and_twice_the_gain_a_sum() -> None:
    made = Flux(spectra(), gain=GAIN * u.K / u.Jy)
    block = made.read_block(1, 4)
    np.testing.assert_allclose(block.data[:, 0], spectra().spectra[1:5, 0] / GAIN, rtol=1e-6)
    np.testing.assert_allclose(block.data[:, 1], spectra().spectra[1:5, 1] / GAIN / 2, rtol=1e-6)
    assert made.header.unit == "Jy" and made.header.extra == {"OBSERVER": "me"}
    assert made.columns == {"radiometer_AA": "Jy", "radiometer_I": "Jy", "tsys_AA": "K"}
    found = made.read_columns(1, 2)
    np.testing.assert_allclose(found["radiometer_AA"], [2 / GAIN, 3 / GAIN])
    np.testing.assert_allclose(found["radiometer_I"], [1 / GAIN, 1.5 / GAIN])
    np.testing.assert_allclose(found["tsys_AA"], [2, 3])


def test_intensity_of_one_polarisation_is_divided_by_the_gain() -> None:
    made = Flux(spectra(polarization=PolBasis("linear", ("mean", "I"), n_recorded=1)),
                gain=f"{GAIN}K/Jy")
    np.testing.assert_allclose(made.read_block(1, 4).data, spectra().spectra[1:5] / GAIN, rtol=1e-6)


def test_the_receiver_s_gain_of_a_beam() -> None:
    receiver = telescopes.get("FAST").receiver()
    made = Flux(spectra(beam=None), receiver, zenith_angle="20deg", beam=7)
    gain = receiver.gain(7, np.arange(1400, 1404) * u.MHz, 20 * u.deg).value
    np.testing.assert_allclose(made.read_block(0, N).data[:, 0],
                               spectra().spectra[:, 0] / gain, rtol=1e-5)
    assert made.parameters()["beam"] == made.header.beam == 7
    with pytest.raises(fs.UsageError, match="does not state the beam"):
        Flux(spectra(beam=None), receiver, zenith_angle="20deg")


def test_the_receiver_of_the_header_is_the_default() -> None:
    """Its name and the source of its gain are in the parameters, which the provenance records."""
    chain = fs.Chain(spectra())
    made = chain.flux(zenith_angle="20deg").stream
    named = Flux(spectra(), telescopes.get("FAST").receiver(), zenith_angle="20deg")
    np.testing.assert_array_equal(made.read_block(0, N).data, named.read_block(0, N).data)
    assert made.parameters() == named.parameters() and made.parameters()["source"]
    gbt = fs.Chain(spectra(telescope="NRAO_GBT", receiver="Rcvr1_2"))
    assert gbt.flux(zenith_angle="20deg").stream.parameters()["receiver"] == (
        telescopes.get("GBT").receiver().name)


@pytest.mark.parametrize(("telescope", "match"), [
    (None, "names no telescope whose gain could be used; give gain=16K/Jy|gain='16K/Jy'"),
    ("Parkes", "no values are known for receiver .* of Parkes.*[Gg]ive gain="),
    ("nowhere", "no telescope is called 'nowhere'.*[Gg]ive gain="),
])
def test_gains_that_are_not_known(telescope: str | None, match: str) -> None:
    with pytest.raises(fs.UsageError, match=match):
        fs.Chain(spectra(telescope=telescope)).flux(zenith_angle="20deg")
    assert fs.Chain(spectra(telescope=telescope)).flux(gain="16K/Jy").header.unit == "Jy"


def test_a_gain_beside_a_receiver_is_refused() -> None:
    with pytest.raises(fs.UsageError, match="receiver and gain are both given"):
        Flux(spectra(), telescopes.get("FAST").receiver(), gain="16K/Jy")


def test_the_command(tmp_path: Path) -> None:
    Chain(spectra()).write(tmp_path / "k.h5")
    fastsig("flux", "k.h5", "-o", "jy.h5", "--gain", "16K/Jy", cwd=tmp_path)
    data = fs.open(tmp_path / "jy.h5").read()
    assert data.header.unit == "Jy"
    np.testing.assert_allclose(data.values[:, 0], spectra().spectra[:, 0] / GAIN, rtol=1e-6)
    np.testing.assert_allclose(data.columns["radiometer_AA"], (np.arange(N) + 1) / GAIN)
    fastsig("flux", "k.h5", "-o", "z.h5", "--zenith-angle", "20deg", "--beam", 7, cwd=tmp_path)
    assert fs.open(tmp_path / "z.h5").header.beam == 7


@pytest.mark.parametrize(("changes", "words", "message"), [
    ({}, (), "the zenith angle is not known"),
    ({}, ("--gain", "16K/Jy", "--zenith-angle", "20deg"), "apply to the telescope's gain"),
    ({}, ("--gain", "16K"), "gain = '16K'"),
    ({"unit": "Jy"}, ("--gain", "16K/Jy"), "require temperatures in K"),
    ({"telescope": None}, ("--zenith-angle", "20deg"), "names no telescope"),
    ({"telescope": "Parkes"}, ("--zenith-angle", "20deg"), "of Parkes; allowed: none"),
])
def test_wrong_use(tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...], message: str
                   ) -> None:
    Chain(spectra(**changes)).write(tmp_path / "k.h5")
    done = fastsig("flux", "k.h5", "-o", "jy.h5", *words, cwd=tmp_path, code=2)
    assert message in done.stderr and not (tmp_path / "jy.h5").exists()


def test_stokes_comes_before() -> None:
    """The flux density of I is the mean of AA and BB: their sum would be twice that."""
    both = spectra(polarization=PolBasis("linear", ("AA", "BB")))
    jansky = Chain(both).stokes("I").flux(gain="8K/Jy").stream.read_block(0, 2).data
    each = Chain(both).flux(gain="8K/Jy").stream.read_block(0, 2).data
    np.testing.assert_allclose(jansky[:, 0], each.mean(axis=1), rtol=1e-6)
    with pytest.raises(fs.PlanError, match="flux densities; allowed: stokes before flux"):
        Chain(both).flux(gain="8K/Jy").stokes("I")
