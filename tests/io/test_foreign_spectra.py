"""Products of spectra as PRESTO, sigpyproc, `your`, digifil, TransientX and turboSETI read them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_readers import (
    plain_psrfits,
    presto_count,
    presto_psrfits,
    sigproc_header,
    sigpyproc_psrfits,
)
from recordings import recorded
from streams import MemorySpectra
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.errors import OutputError
from fastsig.io.psrfits.writer import PsrfitsWriter
from fastsig.io.psrfits.written_rows import block_length
from fastsig.io.sigproc.header import encode
from fastsig.io.sigproc.writer import SigprocWriter

N_CHAN = 16
ONE = np.ones((1, 1, 1), np.float32)
CARDS: dict[str, Any] = {
    "telescope_id": 4, "machine_id": 2, "data_type": 1, "rawdatafile": "raw/2020.sf",
    "source_name": "J0534+2200", "az_start": 123.456, "za_start": 7.0625, "fch1": 1500.0,
    "foff": -0.5, "nchans": N_CHAN, "nbits": 8, "tstart": 59000.56789012346, "tsamp": 64e-6,
    "nifs": 1}


def fil(path: Path, codes: np.ndarray, **cards: Any) -> Path:
    """A filterbank of another program."""
    path.write_bytes(encode({**CARDS, **cards}) + codes.tobytes())
    return path


def codes(n: int = 6250, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 250, (n, N_CHAN)).astype(np.uint8)


def ascending(found: np.ndarray) -> np.ndarray:
    """Codes of the file in the order of the .fil."""
    return found[:, 0, ::-1]


def test_codes_reach_programs_that_leave_scales_out(tmp_path: Path) -> None:
    x = codes()
    fs.open(fil(tmp_path / "a.fil", x)).write(tmp_path / "a.fits")
    found = plain_psrfits(tmp_path / "a.fits")
    assert len(found) == 6250  # no row is filled up
    np.testing.assert_array_equal(ascending(found), x)
    np.testing.assert_array_equal(ascending(presto_psrfits(tmp_path / "a.fits").data), x)


def test_codes_of_chosen_bits(tmp_path: Path) -> None:
    x = codes(300)
    for bits in (8, 16):
        path = tmp_path / f"{bits}.fits"
        fs.open(fil(tmp_path / "a.fil", x)).write(path, bits=bits, overwrite=True)
        np.testing.assert_array_equal(ascending(plain_psrfits(path)), x)


def test_codes_below_zero_have_one_offset(tmp_path: Path) -> None:
    x = codes(1500).astype(np.int16) - 100
    path = fil(tmp_path / "a.fil", x.astype(np.int8))
    fs.open(path, signed="yes").write(tmp_path / "a.fits")
    found = plain_psrfits(tmp_path / "a.fits")
    assert set(np.unique(ascending(found) - x.astype(np.int8)).tolist()) == {128.0}
    np.testing.assert_array_equal(ascending(presto_psrfits(tmp_path / "a.fits").data),
                                  x.astype(np.int8))


def test_what_is_lost_of_codes_is_their_mean(tmp_path: Path) -> None:
    x = codes(40).astype("f4")[:, None]
    x[5, 0, 3] = np.nan
    with PsrfitsWriter(tmp_path / "a.fits", about(), x.shape, level=0) as writer:
        writer.append(x, ONE)
    found = plain_psrfits(tmp_path / "a.fits")
    assert found[5, 0, 3] == np.rint(np.nanmean(x[:, 0, 3].astype(float)))


def about(products: tuple[str, ...] = PRODUCTS["I"], **changes: Any) -> Any:
    axis = ChannelAxis(Fraction(1_000_250_000), Fraction(500_000), N_CHAN)
    plain = {"source": "TEST", "ra_deg": None, "dec_deg": None, "n_bits": 32, "beam": None}
    return voltages_header(Fraction(4000)).replace(
        channels=axis, polarization=PolBasis("unknown", products), **(plain | changes))


@pytest.mark.parametrize("position", [(None, None), (83.633, -22.0145)])
@pytest.mark.parametrize("see", [presto_psrfits, sigpyproc_psrfits])
def test_a_position_is_always_written(tmp_path: Path, see: Any, position: Any) -> None:
    x = codes(300).astype("f4")[:, None]
    head = about(ra_deg=position[0], dec_deg=position[1])
    with PsrfitsWriter(tmp_path / "a.fits", head, x.shape) as writer:
        writer.append(x, ONE)
    seen = see(tmp_path / "a.fits")
    assert (seen.ra_deg, seen.dec_deg) == pytest.approx([each or 0 for each in position])
    assert not math.isnan(seen.azimuth + seen.zenith)
    np.testing.assert_array_equal(seen.data, x)
    # What stands for nothing is not taken for a position.
    found = fs.open(tmp_path / "a.fits").header
    assert (found.ra_deg is None) == (position[0] is None)
    told = PsrfitsWriter.cautions(head, x.shape)
    assert bool(told) == (position[0] is None)
    assert not told or "RA and DEC are written as 0; --set ra=" in told[0]


@pytest.mark.parametrize("n_time", [1, 1000, 1024, 2048, 6250, 7919, 104729, 10**6 + 3])
def test_rows_are_filled(n_time: int) -> None:
    length = block_length(n_time)
    empty = -n_time % length
    assert 1 <= length <= 1024 and empty <= (0 if n_time in (1, 1000, 1024, 2048, 6250) else 4)
    told = PsrfitsWriter.cautions(about(ra_deg=1.0, dec_deg=1.0), (n_time, 1, N_CHAN))
    assert bool(told) == bool(empty) and (not told or f"filled up with {empty} spectra" in told[0])


def test_the_start_is_that_of_the_float(tmp_path: Path) -> None:
    for day in (59000.56789012346, 58682.620316710374, 60111.98765432109):
        path = fil(tmp_path / "a.fil", codes(64), tstart=day)
        fs.open(path).write(tmp_path / "a.fits", overwrite=True)
        late = presto_psrfits(tmp_path / "a.fits").start_mjd - Fraction(day)
        assert abs(late) * 86400 <= Fraction(6, 10**10)  # to the nanosecond


def test_a_recorded_file_starts_when_its_source_does(tmp_path: Path) -> None:
    fs.open(recorded("your/28.fil")).write(tmp_path / "a.fits")
    made = presto_psrfits(tmp_path / "a.fits").start_mjd
    late = made - presto_psrfits(Path(recorded("your/28.fits"))).start_mjd
    assert abs(late) * 86400 <= Fraction(6, 10**10)


def test_values_that_are_no_codes_are_refused(tmp_path: Path) -> None:
    for value in (0.5, -1, 256):
        x = codes(40).astype("f4")[:, None]
        x[5, 0, 3] = value
        with pytest.raises(OutputError, match=f"contains {value}; allowed with level = 0"), (
                PsrfitsWriter(tmp_path / "a.fits", about(), x.shape, level=0)) as writer:
            writer.append(x, ONE)
    assert not any(tmp_path.iterdir())


def test_there_and_back_without_loss(tmp_path: Path) -> None:
    x = codes(300)
    fs.open(fil(tmp_path / "a.fil", x, src_raj=53431.97, src_dej=220052.2)).write(
        tmp_path / "a.fits")
    fs.open(tmp_path / "a.fits").write(tmp_path / "b.fil")  # no lossy=True
    before, at = sigproc_header(tmp_path / "a.fil")
    after, begin = sigproc_header(tmp_path / "b.fil")
    assert {key: after[key] for key in before} == before
    assert (tmp_path / "b.fil").read_bytes()[begin:] == (tmp_path / "a.fil").read_bytes()[at:]
    seen = presto_psrfits(tmp_path / "a.fits")
    assert (seen.azimuth, seen.zenith) == pytest.approx((123.456, 7.0625), rel=1e-7)


def test_a_filterbank_of_four_products_is_said_to_be_four_times_as_long(tmp_path: Path) -> None:
    x = np.random.default_rng(1).gamma(9, 1, (50, 4, N_CHAN)).astype("f4")
    source = MemorySpectra(x, about(PRODUCTS["AABBCRCI"]))
    made = fs.Chain(source).write(tmp_path / "a.fil", lossy=True)
    assert presto_count(tmp_path / "a.fil") == 200
    assert any("products for 4 times as many spectra; fastsig convert --products I (in Python "
               "chain.stokes('I'))" in each for each in made.cautions)
    total = fs.open(tmp_path / "a.fil").stokes("I").write(tmp_path / "i.fil")
    assert presto_count(tmp_path / "i.fil") == 50
    assert not any("nifs" in each for each in total.cautions)


@pytest.mark.parametrize(("names", "unit", "option"), [
    (PRODUCTS["IQUV"], None, "--products I (in Python chain['I'])"),
    (PRODUCTS["AABB"], None, "--products I (in Python chain.stokes('I'))"),
    (PRODUCTS["AABB"], "Jy", "--products AA (in Python chain['AA'])"),
    (("XX", "YY"), None, "--products XX (in Python chain['XX'])")])
def test_the_note_names_an_option_that_works(
        names: tuple[str, ...], unit: str | None, option: str) -> None:
    head = about(names).replace(unit=unit)
    note = "".join(SigprocWriter.cautions(head, (5, len(names), N_CHAN)))
    assert f"; fastsig convert {option} gives" in note


def test_a_filterbank_always_has_a_position(tmp_path: Path) -> None:
    x = np.ones((20, 1, N_CHAN), np.float32)
    made = fs.Chain(MemorySpectra(x, about())).write(tmp_path / "a.fil", lossy=True)
    head, _ = sigproc_header(tmp_path / "a.fil")
    assert (head["src_raj"], head["src_dej"]) == (0, 0)
    assert fs.open(tmp_path / "a.fil").header.ra_deg is None
    assert any("src_raj and src_dej are written as 0" in each for each in made.cautions)
