"""Measurements of simulated bursts, whose values are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bursts_made import LEVEL, MHZ, N_CHAN, RATE, SIGMA, K, chain, polarized, spectra
from recordings import recorded
from thorough import many

import fastsig as fs
from fastsig.axes.time import elapsed, iso
from fastsig.errors import DataError, PlanError, UsageError
from fastsig.reductions.bursts.measured import BurstMeasurement
from fastsig.reductions.bursts.measurement import find_burst, measure_burst
from fastsig.reductions.bursts.window import read_window, seconds_of, total_power

FWHM = 2.3548200450309493


def snr_of(area: float, sigma_s: float = 4e-3) -> float:
    """S/N of the best boxcar on a Gaussian burst: 0.9434 of the matched filter."""
    return float(0.9434 * area / SIGMA * np.sqrt(N_CHAN * RATE / (2 * np.sqrt(np.pi) * sigma_s)))


@pytest.fixture(scope="module")
def bright() -> BurstMeasurement:
    return measure_burst(spectra(0.05), "0.7s", 50, tsys="20K", gain="16K/Jy", scale_error=0.2)


def test_a_gaussian_burst_within_its_errors() -> None:
    pulls = []
    for seed in range(many(2, 60)):
        made = measure_burst(spectra(0.03, seed=seed), "0.7s", 51)
        assert made.boxcar.snr == pytest.approx(snr_of(0.03), rel=0.15)
        assert not made.is_scattered
        fit = made.gaussian
        pulls.append([(made.dm - 50) / made.dm_error, (made.time_s - 0.7) / made.time_error_s,
                      (fit.fwhm_s - FWHM * 4e-3) / fit.fwhm_error_s])
    assert np.abs(pulls).max() < 3.5
    assert float(elapsed(spectra(1).stream.start_time, made.time)) == pytest.approx(
        made.time_s, abs=2e-9)
    assert made.reference_mhz == MHZ[-1]


def test_the_picture_shows_the_measured_values(bright: BurstMeasurement) -> None:
    texts = [text.get_text() for axes in bright.plot().axes for text in axes.texts]
    shown = "\n".join(texts)
    assert f"S/N {bright.boxcar.snr:.1f} " in shown
    assert iso(bright.time) in shown and f"{bright.time_s:.6f} s after the start" in shown


def test_a_scattered_burst_within_its_errors() -> None:
    pulls = []
    for seed in range(many(2, 40)):
        made = measure_burst(spectra(0.04, tau_s=8e-3, seed=seed), "0.7s", 50)
        assert made.is_scattered
        fit = made.scattered
        pulls.append([(fit.tau_s - 8e-3) / fit.tau_error_s,
                      (fit.fwhm_s - FWHM * 4e-3) / fit.fwhm_error_s,
                      (made.dm + fit.dm_change - 50) / fit.dm_error])
        assert fit.chi2 == pytest.approx(fit.dof, rel=0.15)
    assert np.abs(pulls).max() < 3.5
    assert fit.tau_mhz == pytest.approx(1 / np.sqrt(np.mean(MHZ**-2.0)))


def test_structure_is_a_criterion_of_its_own() -> None:
    """Two components that drift downwards: S/N aligns them, structure sharpens each."""
    from bursts_made import profile

    rng = np.random.default_rng(2)
    low = np.where(np.arange(N_CHAN) < N_CHAN // 2, 1.0, 0.0)
    data = rng.normal(LEVEL, SIGMA, (1600, 1, N_CHAN))
    for at, band in ((0.700, 1 - low), (0.712, low)):
        data[:, 0] += 0.1 * band * profile(at, 50, 1.5e-3)
    drifting = chain(data, ("I",))
    by_snr, by_structure = (measure_burst(drifting, "0.705s", 50, method=method)
                            for method in ("snr", "structure"))
    assert abs(by_structure.dm - 50) < 4 * by_structure.dm_error
    assert by_snr.dm - 50 > 4 * by_snr.dm_error  # biased by the drift
    with pytest.raises(UsageError, match="snr, structure"):
        measure_burst(drifting, "0.705s", 50, method="peak")


@pytest.mark.parametrize("lost", [0, 0.3])
def test_fluence_by_the_radiometer_equation(lost: float) -> None:
    # sigma = Tsys / (G sqrt(2 b t)): 20 K / 16 K/Jy / sqrt(2 x 5e6 x 1e-3) = 12.5 mJy.
    area = 0.03
    truth = area / SIGMA * 20 / 16 / np.sqrt(2 * 5e6 * 1e-3) * 1e3  # Jy ms
    pulls = []
    for seed in range(many(1, 40)):
        made = measure_burst(spectra(area, seed=seed, lost=lost), "0.7s", 50, tsys="20K",
                             gain="16K/Jy")
        assert made.flux is not None
        assert made.flux.error < 0.1 * truth
        pulls.append((made.flux.value - truth) / made.flux.error)
        assert made.valid_share == pytest.approx(1 - lost, abs=0.1)
    assert np.abs(pulls).max() < 3.5


def test_errors_of_the_scale_are_added(bright: BurstMeasurement) -> None:
    assert bright.flux is not None
    assert bright.flux.error == pytest.approx(0.2 * bright.flux.value, rel=0.1)
    assert bright.flux.peak_error > 0.2 * bright.flux.peak


@pytest.mark.parametrize(("unit", "options", "factor"), [
    ("Jy", {}, 1.0), ("K", {"gain": "16K/Jy"}, 1 / 32),
    ("K", {"zenith_angle": "10deg", "beam": 1}, 1 / (2 * 15.9))])
def test_fluence_of_calibrated_spectra(unit: str, options: dict[str, Any], factor: float) -> None:
    made = measure_burst(spectra(0.05, unit=unit), "0.7s", 50, **options)
    assert made.flux is not None
    assert made.flux.value == pytest.approx(0.05 * factor * 1e3, abs=4 * made.flux.error)


def test_what_a_fluence_needs() -> None:
    burst = spectra(0.05)
    assert measure_burst(burst, "0.7s", 50).flux is None
    for options, message in (({"tsys": "20K"}, "without a gain"),
                             ({"tsys": "20K", "gain": "16K/Jy", "zenith_angle": "1deg"}, "one of"),
                             ({"tsys": "0K", "gain": "16K/Jy"}, "above 0 K"),
                             ({"tsys": "20K", "gain": "0K/Jy"}, "above 0 K/Jy"),
                             ({"scale_error": -1.0}, "0 to 10"), ({"index": 11.0}, "0 to 10")):
        with pytest.raises(UsageError, match=message):
            measure_burst(burst, "0.7s", 50, **options)


def test_polarisation_within_its_errors() -> None:
    pulls = []
    for seed in range(many(2, 30)):
        made = measure_burst(polarized(0.12, linear=0.6, pa_deg=30, circular=-0.2, rm=40,
                                       seed=seed), "0.7s", 50, most_rm=300.0)
        found = made.polarization
        assert found is not None and found.is_rotated
        rotation = found.rotation
        pa = 30 + np.degrees(40 * rotation.lambda0_sq)
        off = (found.pa_deg - pa + 90) % 180 - 90
        pulls.append([(rotation.rm - 40) / rotation.error, off / found.pa_error_deg,
                      (found.linear[0] - 0.6) / found.linear[1],
                      (found.circular[0] + 0.2) / found.circular[1]])
    assert np.abs(pulls).max() < 3.5
    record = made.record()
    assert record["rm"] == rotation.rm and record["rm_sigma"] > 10


def test_signs_of_q_and_v_are_those_of_the_header() -> None:
    """Angles, rotation measure and V are those of the burst, with whatever signs Q and V have."""
    made = polarized(0.12, linear=0.6, pa_deg=30, circular=-0.2, rm=40)
    aa, bb, cr, ci = made.stream.spectra.transpose(1, 0, 2)  # type: ignore[attr-defined]
    signed = np.stack([aa + bb, bb - aa, 2 * cr, -2 * ci], axis=1)
    reversed_signs = chain(signed, tuple("IQUV"), sign_q=-1, sign_v=-1)
    true, found = (measure_burst(each, "0.7s", 50, most_rm=300.0).polarization
                   for each in (made, reversed_signs))
    assert true is not None and found is not None
    assert found.rotation.rm == pytest.approx(true.rotation.rm, abs=1e-3)
    assert found.pa_deg == pytest.approx(true.pa_deg, abs=1e-3)
    assert found.circular[0] == pytest.approx(true.circular[0], abs=1e-6)


def test_a_burst_without_polarisation_has_no_rotation_measure() -> None:
    made = measure_burst(polarized(0.06, linear=0, pa_deg=0, circular=0, rm=0), "0.7s", 50)
    assert made.polarization is not None and not made.polarization.is_rotated
    assert made.record()["rm"] is None
    assert abs(made.polarization.circular[0]) < 4 * made.polarization.circular[1]
    with pytest.raises(PlanError, match="four products"):
        measure_burst(spectra(0.05), "0.7s", 50, most_rm=100.0)


def test_spectra_dedispersed_before_give_the_same(bright: BurstMeasurement) -> None:
    before = measure_burst(spectra(0.05).dedisperse(30), "0.7s", 50)
    assert before.dm == pytest.approx(bright.dm, abs=bright.dm_error)
    assert before.time_s == pytest.approx(bright.time_s, abs=3 * bright.time_error_s)


def test_tables_and_text(bright: BurstMeasurement) -> None:
    made = bright
    table = made.to_table()
    assert table["dm"].unit == "pc / cm3" and table["fluence"][0].unit == "Jy ms"
    assert np.isnan(table["rm"][0]) and all(table[name].info.description for name in table.colnames)
    assert f"DM: {made.dm:.2f} ± {made.dm_error:.2f} pc cm^-3" in repr(made)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"at": "0.3s"}, DataError, "highest S/N near"), ({"at": "99s"}, UsageError, "from 0 to 1.6 s"),
    ({"at": "2021-03-04T05:06:00"}, UsageError, "from 0 to"), ({"dm": 4000}, PlanError, "length"),
    ({"dm": -1}, UsageError, "0 to"), ({"width": "-1s"}, UsageError, "above 0")])
def test_what_cannot_be_measured(options: dict[str, Any], error: type[Exception], message: str
                                 ) -> None:
    with pytest.raises(error, match=message):
        measure_burst(spectra(0.05), **{"at": "0.7s", "dm": 50, **options})


def test_windows_at_the_ends_of_a_recording() -> None:
    stream = total_power(spectra(0.05, at_s=0.004, dm=5))
    window = read_window(stream, 0.004, 5, before_s=0.05, after_s=0.1)
    assert window.first == 0 and window.seconds[0] == pytest.approx(-0.0035)
    assert seconds_of(stream, "2021-03-04T05:06:07.623456789") == pytest.approx(0.5)
    burst = find_burst(stream, 0.004, 5)
    assert burst.boxcar.snr > 20
    late = K * 50 * (MHZ[0] ** -2 - MHZ[-1] ** -2)
    end = read_window(stream, 1.59, 50, before_s=0.02, after_s=0.1)
    assert (end.weights[0, -1] > 0).sum() < N_CHAN  # lower channels are after the end
    assert late > 0.03
    with pytest.raises(PlanError, match="AA and BB"):
        total_power(chain(np.ones((9, 2, N_CHAN)), ("CR", "CI")))


def test_a_recorded_burst() -> None:
    made = measure_burst(fs.open(recorded("your/28.fil")), "2.028s", 475)
    assert abs(made.dm - 475) < 3
    assert abs(made.time_s - 2.028) < 3e-3
    assert made.boxcar.snr > 14.6


def test_polarisation_where_samples_are_lost() -> None:
    made = polarized(0.12, linear=0.6, pa_deg=30, circular=-0.2, rm=40)
    data = made.stream.spectra  # type: ignore[attr-defined]
    data[np.random.default_rng(3).random(data.shape[0]) < 0.2] = np.nan
    data[600:640], data[:, :, 5] = np.nan, 7.0
    found = measure_burst(made, "0.7s", 50, most_rm=300.0).polarization
    assert found is not None and found.is_rotated
    assert abs(found.rotation.rm - 40) < 4 * found.rotation.error
    assert abs(found.linear[0] - 0.6) < 4 * found.linear[1]
