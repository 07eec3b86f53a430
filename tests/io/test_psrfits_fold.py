"""The reader of fold-mode PSRFITS: values, epochs, periods, dispersion, and wrong files."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from psrfits_fold_made import (
    COEFF,
    DAY,
    F0,
    FRACTION,
    SECOND,
    folded,
    history_unit,
    polyco,
    polyco_unit,
    values,
)
from recordings import recorded
from thorough import many

import fastsig as fs
from fastsig.errors import DoubtWarning, FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.psrfits_fold.reader import verify

READ = fs.open_profiles


def test_values_axes_and_header(tmp_path: Path) -> None:
    found = READ(folded(tmp_path / "a.ar", period=0.0123))
    np.testing.assert_array_equal(found.data, values())
    assert found.shape == (3, 2, 4, 16) and found.names == ("AA", "BB")
    assert found.weights.shape == (3, 1, 4, 1) and (found.weights == 1).all()
    assert found.reference == (DAY, SECOND + Fraction(FRACTION))
    assert found.offsets.tolist() == [5, 15, 25] and found.durations.tolist() == [10, 10, 10]
    assert found.periods.tolist() == [0.0123] * 3
    assert found.frequency.value.tolist() == [1100, 1200, 1300, 1400]
    assert (found.dm, found.rm, found.dedispersed, found.rm_removed) == (30, 7.5, False, False)
    header = found.header
    assert (header.telescope, header.receiver, header.source) == ("FAST", "L", "J0000+00")
    assert header.polarization.kind == "linear" and header.sample_rate == 10000
    assert header.start_time.isot == "2017-09-04T01:00:00.250000000"
    assert "ANT_X" not in header.extra  # "*" is PSRFITS' word for unknown


def test_descending_channels_and_weights(tmp_path: Path) -> None:
    weight = np.array([[0, 1, 2, 3]] * 3, float)
    found = READ(folded(tmp_path / "a.ar", freq=[1400, 1300, 1200, 1100.0], weight=weight,
                        period=0.0123))
    assert found.frequency.value.tolist() == [1100, 1200, 1300, 1400]
    assert found.weights[0, 0, :, 0].tolist() == [3, 2, 1, 0]
    assert np.isnan(found.data[:, :, 3]).all()
    np.testing.assert_array_equal(found.data[:, :, :3], values()[:, :, :0:-1])
    weight[1] = [1, -1, np.nan, 1]
    with pytest.warns(FastsigWarning, match="2 of 12 DAT_WTS are negative or not numbers"):
        found = READ(folded(tmp_path / "a.ar", weight=weight, period=0.0123))
    assert found.weights[1, 0, :, 0].tolist() == [1, 0, 0, 1]


def test_info_reads_values_only_if_it_is_deep(tmp_path: Path) -> None:
    scale = np.ones((3, 2, 4), "f4")
    weight = np.ones((3, 4))
    weight[0, 1] = 0
    path = folded(tmp_path / "a.ar", weight=weight, period=0.0123)
    with fits.open(path, mode="update") as file:
        scale[1, 1, 2] = np.inf
        file["SUBINT"].data["DAT_SCL"] = scale.reshape(3, -1)
    assert fs.info(path)["valid_fraction"] == 11 / 12 and fs.info(path)["warnings"] == []
    deep = fs.info(path, deep=True)
    assert deep["valid_fraction"] == 10 / 12
    assert "values are not finite in 1 of 12 channels of subinteg" in deep["warnings"][0]


def test_channels_that_are_not_evenly_spaced_keep_their_frequencies(tmp_path: Path) -> None:
    freq = [1100, 1210, 1290, 1400.0]
    with pytest.warns(DoubtWarning, match="not evenly spaced"):
        found = READ(folded(tmp_path / "a.ar", freq=freq, period=0.0123))
    assert found.frequency.value.tolist() == freq and found.header.channels.n_chan == 4
    assert found[:, 1:3].frequency.value.tolist() == freq[1:3]


def _phase(row: dict[str, Any], day: int, seconds: Fraction) -> tuple[Fraction, float]:
    """Phase and frequency by the formula of TEMPO's manual."""
    dt = Fraction((day - Fraction(row["REF_MJD"])) * 1440 + seconds / 60)
    phase = Fraction(row["REF_PHS"]) + 60 * dt * Fraction(row["REF_F0"]) + sum(
        Fraction(c) * dt**k for k, c in enumerate(row["COEFF"]))
    slope = sum(k * c * float(dt) ** (k - 1) for k, c in enumerate(row["COEFF"]) if k)
    return phase, row["REF_F0"] + slope / 60


def test_periods_and_epochs_by_polyco(tmp_path: Path) -> None:
    rows = [polyco(58000.0), polyco(58000.0625)]
    path = folded(tmp_path / "a.ar", units=[polyco_unit(rows)], period=1.0)
    found = READ(path)
    assert found.predictor[1]["COEFF"] == COEFF and found.predictor[0]["NSITE"] == "k"
    for (day, seconds), period in zip(found.exact_epochs(), found.periods, strict=True):
        # 58000.0417 is within 30 min of the second row only.
        assert period == pytest.approx(1 / _phase(rows[1], day, seconds)[1], rel=1e-15)
    # Without EPOCHS, times are those of the middles: the nearest phase 0 is the epoch.
    path = folded(tmp_path / "b.ar", units=[polyco_unit(rows)], subint={"EPOCHS": "MIDTIME"})
    with pytest.warns(DoubtWarning, match="'MIDTIME': the epochs are not times of phase 0"):
        moved = READ(path)
    assert 0 < np.abs(moved.offsets - found.offsets).max() <= 0.51 / F0
    for day, seconds in moved.exact_epochs():
        phase = _phase(rows[1], day, seconds)[0]
        assert abs(float(phase - round(phase))) < 1e-9


def test_periods_of_other_sources(tmp_path: Path) -> None:
    with pytest.warns(DoubtWarning, match="no POLYCO; the folding period is not known"):
        found = READ(folded(tmp_path / "a.ar"))
    assert np.isnan(found.periods).all()
    assert READ(tmp_path / "a.ar", period="12.3ms").periods.tolist() == [0.0123] * 3
    path = folded(tmp_path / "b.ar", primary={"OBS_MODE": "CAL", "CAL_FREQ": 25.0})
    assert READ(path).periods.tolist() == [0.04] * 3
    lines = fits.BinTableHDU.from_columns([fits.Column(
        name="PARAM", format="128A", array=["PSR J0000+00", "F0 8.0D1"])], name="PSRPARAM")
    path = folded(tmp_path / "c.ar", units=[lines, polyco_unit([polyco(57990.0)])])
    with pytest.warns(DoubtWarning, match="POLYCO does not cover all epochs.*without the Doppler"):
        found = READ(path)
    predict = fits.BinTableHDU.from_columns([fits.Column(
        name="PREDICT", format="128A", array=["ChebyModelSet 1 segments"])], name="T2PREDICT")
    with pytest.warns(DoubtWarning, match="T2PREDICT is not a predictor of tempo2: 0 segments"):
        READ(folded(tmp_path / "d.ar", units=[predict], period=0.0123))
    assert found.periods.tolist() == [1 / 80] * 3 and found.ephemeris.endswith("F0 8.0D1")


def test_dispersion_by_history(tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", units=[history_unit(DEDISP=1, RM_CORR=1, CTR_FREQ=1234.5)],
                  period=0.0123)
    found = READ(path)
    assert found.history == (("2020", "dspsr"), ("2021", "pam -D"))
    assert found.header.dm == found.dm == 30 and found.rm_removed
    assert found.header.dm_reference_hz == Fraction("1234.5") * 10**6
    path = folded(tmp_path / "b.ar", units=[history_unit()], subint={"REFFREQ": 1300.0},
                  period=0.0123)
    found = READ(path, dm=31)
    assert not found.dedispersed and found.dm == 31 and found.reference_mhz == 1300


@pytest.mark.parametrize(("pol_type", "n_pol", "names"), [
    ("INTEN", 1, ("I",)), ("STOKE", 4, ("I", "Q", "U", "V")), ("AABB", 2, ("AA", "BB")),
    ("AABBCRCI", 4, ("AA", "BB", "CR", "CI"))])
def test_products(pol_type: str, n_pol: int, names: tuple[str, ...], tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", (1, n_pol, 2, 8), subint={"POL_TYPE": pol_type}, period=0.01)
    assert READ(path).names == names


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"subint": {"NBIN": 17}}, "NBIN x NCHAN x NPOL = 17 x 4 x 2"),
    ({"dim": "(4,16,2)"}, r"TDIM of DATA is \(4,16,2\); allowed: \(16,4,2\)"),
    ({"without": ("DATA",)}, "has no column DATA"),
    ({"offsets": [5, np.nan, 25]}, "OFFS_SUB is not a time in some rows"),
    ({"freq": [1100, 1300, 1200, 1400.0]}, "DAT_FREQ neither ascends nor descends"),
    ({"primary": {"STT_SMJD": 90000}}, "STT_SMJD = .*90000.*allowed: 0 to 86401"),
    ({"units": [polyco_unit([polyco(REF_F0=-1.0)])]}, "REF_F0 = -1.0; allowed: finite"),
    ({"units": [polyco_unit([polyco(REF_PHS=9e17)])]}, r"phases up to 1e\+15 turns"),
    ({"units": [polyco_unit([polyco(COEFF=(0.0, 0.0, 1e17))])]}, "row 0 of POLYCO has NSPAN = 60"),
    ({"units": [polyco_unit([polyco(REF_MJD=1e9)])]}, "REF_MJD = 1000000000.0"),
    ({"units": [polyco_unit([polyco(REF_F0="x")], REF_F0="8A")]}, "REF_F0 of POLYCO is of another"),
    ({"subint": {"NPOL": 5}}, "NPOL = '5'; allowed"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_files_that_are_wrong(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", **given)
    with pytest.raises(FormatError, match=f"a.ar: .*{words}"):
        READ(path)


def test_other_files_and_options_are_refused(tmp_path: Path, samples: Path) -> None:
    path = folded(tmp_path / "a.ar", period=0.0123)
    with pytest.raises(FormatError, match=r"folded profiles; allowed here: a stream in time\. .*"
                       "open_profiles"):
        fs.open(path)
    with pytest.raises(FormatError, match="contains spectra .*; allowed here: folded profiles"):
        READ(samples / "SIMPSR_tracking-M01_0001.fits")
    with pytest.raises(UsageError, match="unknown override 'colour'"):
        READ(path, colour=1)
    with pytest.raises(UsageError, match="period = -1s; allowed: above 0 s"):
        READ(path, period="-1s")
    with pytest.raises(UsageError, match="dm = nan"):
        READ(path, dm=float("nan"))
    with pytest.raises(UsageError, match="label = 'x'"):
        READ(path, label="x")
    found = READ(path, start_time="2020-01-01T00:00:00", telescope="Parkes")
    assert found.header.telescope == "Parkes" and found.reference == (58849, 0)
    assert found.epochs[1].isot == "2020-01-01T00:00:15.000000000"


def test_files_cut_short(tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", (8, 2, 4, 64), period=0.0123)
    raw = path.read_bytes()
    with fits.open(path) as file:
        row, begin = file["SUBINT"].header["NAXIS1"], file["SUBINT"].fileinfo()["datLoc"]
    path.write_bytes(raw[: begin + 3 * row + 5])
    with pytest.warns(FastsigWarning, match="NAXIS2 = 8; 3 complete rows"):
        found = READ(path)
    assert found.n_subint == 3
    for size, words in ((begin + row - 1, "contains no complete subintegration"),
                        (0, "the file is empty"), (100, "not a file of a known format")):
        path.write_bytes(raw[:size])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(FormatError, match=words):
                READ(path)


def test_damaged_headers_give_an_error_or_sound_profiles(tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", (2, 1, 2, 8), period=0.0123,
                  units=[history_unit(), polyco_unit([polyco()])])
    raw = path.read_bytes()
    with fits.open(path) as file:
        tables = [unit.fileinfo()["datLoc"] for unit in file[1:]]
    rng = np.random.default_rng(1)
    counts = {"error": 0, "read": 0}
    for _ in range(many(40, 600)):
        changed = bytearray(raw)
        for _ in range(rng.integers(1, 3)):
            span = (0, len(raw)) if rng.random() < 0.7 else (tables[rng.integers(3)], len(raw))
            changed[rng.integers(*span)] = rng.choice(list(b"0123456789'=-.EDPI \0\xff"))
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = READ(path)
            except FastsigError as error:
                assert str(path) in str(error) or "allowed" in str(error)
                counts["error"] += 1
                continue
        counts["read"] += 1
        assert found.data.shape == (found.n_subint, found.n_product, found.n_chan, found.n_bin)
        assert np.isfinite(found.data[found.weight > 0]).all()
        assert repr(found) and fs.info(path)["kind"] == "profiles"
    assert min(counts.values()) > 1, counts


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "shape", "period", "dm"), [
    ("pulseportraiture/example-1.fits", (20, 1, 64, 512), 0.002892877210028157, 34.56789),
    ("pulseportraiture/example-2.fits", (20, 1, 64, 512), None, 34.56789),
    ("psrsigsim/data/B1855+09.L-wide.PUPPI.11y.x.sum.sm", (1, 1, 1, 2048), None, 13.299393)])
def test_recorded_archives(name: str, shape: tuple[int, ...], period: float | None, dm: float
                           ) -> None:
    path = recorded(name)
    found = READ(path)
    assert found.shape == shape and found.dm == dm and not verify(path)
    with fits.open(path) as file:
        rows = file["SUBINT"].data
        scale, offset = (rows[key].reshape(*shape[:3], 1) for key in ("DAT_SCL", "DAT_OFFS"))
        np.testing.assert_array_equal(found.data, rows["DATA"].astype("f4") * scale + offset)
        assert found.weights[:, 0, :, 0].tolist() == rows["DAT_WTS"].reshape(
            shape[0], shape[2]).tolist()
    if period is not None:  # pypulse 0.1.2: getPeriod()
        assert found.periods[0] == pytest.approx(period, rel=1e-14)
    for day, seconds in found.exact_epochs()[:20:5]:
        row = min(found.predictor, key=lambda row: abs(row["REF_MJD"] - day))
        phase = _phase(dict(row), day, seconds)[0]
        # PSRCHIVE's epochs are times of phase 0; its REF_MJD is rounded to 0.4 us of TEMPO's text.
        assert abs(float(phase - round(phase))) < 1e-4
