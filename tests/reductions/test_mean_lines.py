"""Lines fitted to the mean of a chain, of a stream, of data: the physics, and honest errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from recordings import recorded
from thorough import many

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import DataError
from fastsig.reductions.sources.line_fit import fit_gaussians, fit_profile
from fastsig.reductions.switching.scans import position_switched
from fastsig.stream.header import Header
from fastsig.stream.held import HeldSpectra

N, ROWS = 300, 8
FIRST, STEP = 1418_000_000, 20_000
HI, C = 1420405751.768, 299792.458
FREQUENCY = FIRST + STEP * np.arange(N)
SPEED = C * (1 - FREQUENCY / HI)  # radio, 4.2 km/s in a channel
MIDDLE, WIDTH, PEAK, NOISE = -40.3, 60.0, 0.5, 0.05
TRUTH = PEAK * np.exp(-4 * np.log(2) * ((SPEED - MIDDLE) / WIDTH) ** 2)


def header(names: tuple[str, ...] = ("I",), **changes: object) -> Header:
    found = Header(
        start_time=Time("2026-01-02T03:04:05", scale="utc"), sample_rate=Fraction(1, 2),
        channels=ChannelAxis(Fraction(FIRST), Fraction(STEP), N), sideband="upper",
        polarization=PolBasis("linear", names), n_bits=32, is_complex=False, unit="K",
        specsys="lsrk", rest_hz=HI)
    return found.replace(**changes)


def chain(values: np.ndarray, weight: np.ndarray | None = None, **changes: object) -> fs.Chain:
    """Spectra (row, chan) of one product, or (row, product, chan)."""
    data = values[:, np.newaxis] if values.ndim == 2 else values
    names = ("I",) if data.shape[1] == 1 else ("AA", "BB")
    weight = np.ones((len(data), 1, 1), np.float32) if weight is None else weight
    return fs.Chain(HeldSpectra(header(names, **changes), data.astype(np.float32), weight, {}))


def noisy(seed: int, level: float = NOISE) -> np.ndarray:
    return TRUTH + 3 + np.random.default_rng(seed).normal(0, level * np.sqrt(ROWS), (ROWS, N))


def test_a_line_of_a_chain_of_a_stream_and_of_data() -> None:
    spectra = chain(noisy(1))
    fits = [spectra.fit_gaussians(), fs.fit_gaussians(spectra), fs.fit_gaussians(spectra.stream),
            fs.fit_gaussians(spectra.read()), fs.fit_gaussians(spectra.integrate(n_int=ROWS))]
    line = fits[0].lines[0]
    for value, truth in ((line.velocity, MIDDLE), (line.w50, WIDTH), (line.peak, PEAK),
                         (line.sigma, WIDTH / 2.35482)):
        assert abs(value.value.value - truth) < 4 * value.error.value < 12
    assert line.peak.value.unit == u.K and line.flux.value.unit == u.K * u.km / u.s
    assert (fits[0].frame, fits[0].convention, fits[0].rest_hz) == ("lsrk", "radio", HI)
    for other in fits[1:]:
        np.testing.assert_array_equal(other.parameters, fits[0].parameters)
        np.testing.assert_array_equal(other.covariance, fits[0].covariance)


def test_errors_of_means_are_honest() -> None:
    """Of many noises, with weights that vary by row and channel: pulls have unit variance."""
    rng = np.random.default_rng(3)
    weight = rng.choice([0.25, 0.5, 1.0], (ROWS, 1, N)).astype(np.float32)
    weight[:5, :, 100:120] = 0  # inside the line, and beside it
    truth = (PEAK, MIDDLE, WIDTH, WIDTH * np.sqrt(np.log(5) / np.log(2)),
             PEAK * WIDTH * np.sqrt(np.pi / 4 / np.log(2)))
    pulls, ratios = [], []
    for _ in range(many(100, 200)):
        values = TRUTH + 3 + rng.normal(0, 0.1, (ROWS, N)) / np.sqrt(weight[:, 0].clip(0.1))
        fit = chain(values, weight).fit_gaussians()
        pulls.append([(each.value.value - number) / each.error.value
                      for each, number in zip(fit.lines[0], truth, strict=True)])
        ratios.append(fit.chi2 / fit.dof)
    np.testing.assert_allclose(np.std(pulls, axis=0), 1, atol=0.2)  # 200 of them: 0.05 each
    np.testing.assert_allclose(np.mean(pulls, axis=0), 0, atol=0.35)  # 0.07 each
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_noise_is_that_between_the_lines() -> None:
    """A line of 400 sigma that fills a third of the band changes the measured noise by nothing."""
    line = 20 * np.exp(-4 * np.log(2) * ((SPEED - MIDDLE) / 300) ** 2)
    ratios = []
    for seed in range(40):
        values = line + np.random.default_rng(seed).normal(0, 0.05 * np.sqrt(ROWS), (ROWS, N))
        ratios.append(np.nanmedian(chain(values).fit_gaussians().spectrum.noise.value) / 0.05)
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_neighbours_that_share_noise() -> None:
    """Of Hann smoothing: errors are those of the correlation, which is measured."""
    rng = np.random.default_rng(5)
    raw = rng.normal(0, 0.05 * np.sqrt(8 / 3), (60, N + 2))
    smooth = raw[:, :-2] / 4 + raw[:, 1:-1] / 2 + raw[:, 2:] / 4
    pulls = []
    for row in smooth:
        fit = chain((TRUTH + row)[np.newaxis]).fit_gaussians()
        assert len(fit.spectrum.correlation) >= 1
        pulls.append((fit.lines[0].velocity.value.value - MIDDLE)
                     / fit.lines[0].velocity.error.value)
    assert np.std(pulls) == pytest.approx(1, abs=0.27)  # 0.09


@pytest.mark.parametrize("convention", ["radio", "optical", "relativistic"])
def test_recession_is_positive_and_refers_to_centres(convention: str) -> None:
    at = FREQUENCY[140] + 0.3 * STEP
    values = np.exp(-4 * np.log(2) * ((FREQUENCY - at) / 200e3) ** 2)[np.newaxis]
    beta = {"radio": 1 - at / HI, "optical": HI / at - 1,
            "relativistic": (HI**2 - at**2) / (HI**2 + at**2)}[convention]
    found = chain(values).fit_gaussians(convention=convention, sigma="1mK").lines[0]
    assert found.velocity.value.value == pytest.approx(C * beta, abs=0.02)


def test_sigma_and_weights_set_the_errors() -> None:
    """The noise of a channel is sigma / sqrt(weight): half the weight, errors by sqrt 2."""
    weight = np.full((ROWS, 1, N), 0.5, np.float32)
    whole = chain(noisy(1)).fit_gaussians(sigma=0.05 * u.K)
    half = chain(noisy(1), weight).fit_gaussians(sigma="50mK")
    assert whole.spectrum.noise.value == pytest.approx(0.05)
    ratio = half.lines[0].velocity.error / whole.lines[0].velocity.error
    assert float(ratio) == pytest.approx(np.sqrt(2), rel=1e-6)


def test_products_slices_and_profiles() -> None:
    both = np.stack([noisy(1), noisy(2) + TRUTH], axis=1)
    spectra = chain(both)
    with pytest.raises(fs.UsageError, match="AA, BB; give product = 'AA', or compute I"):
        spectra.fit_gaussians()
    found = spectra.fit_gaussians(product="BB").lines[0]
    assert found.peak.value.value == pytest.approx(2 * PEAK, abs=0.1)
    part = spectra[2:6, 20:-20, "BB"].fit_gaussians()
    assert part.spectrum.facts["rows"] == 4 and len(part.velocity) == N - 40
    profile = fit_profile(spectra["BB"])
    assert profile.kind == "profile"
    assert profile.flux.value.value == pytest.approx(found.flux.value.value, rel=0.1)


def test_results_have_units_a_table_and_a_picture(tmp_path: Path) -> None:
    fit = chain(noisy(1)).fit_gaussians()
    lines = repr(fit).splitlines()
    assert len(lines) < 12 and max(map(len, lines)) < 92
    assert "radio velocities, lsrk, rest frequency 1420.40575 MHz" in repr(fit)
    table = fit.to_table()
    assert table["velocity"].unit == u.km / u.s and table["flux_error"].unit == u.K * u.km / u.s
    assert table.meta["convention"] == "radio" and table["w50"].info.description
    fit.plot(tmp_path / "fit.png")
    assert (tmp_path / "fit.png").stat().st_size > 10_000
    with pytest.raises(fs.OutputError):
        fit.plot(tmp_path / "fit.png")
    counts = chain(noisy(1), unit=None).fit_gaussians()
    assert {"peak", "peak_error", "flux_km_s"} <= set(counts.record()["lines"][0])


def test_what_cannot_be_fitted() -> None:
    spectra = chain(noisy(1))
    with pytest.raises(fs.UsageError, match="no rest frequency .* give rest = 'HI'"):
        chain(noisy(1), rest_hz=None).fit_gaussians()
    assert chain(noisy(1), rest_hz=None).fit_gaussians(rest="HI").rest_hz == pytest.approx(HI)
    with pytest.raises(fs.UsageError, match="sigma = 1 has no unit|sigma = 1"):
        spectra.fit_gaussians(sigma=1)
    with pytest.raises(fs.UsageError, match="sigma = -1K; allowed: above 0"):
        spectra.fit_gaussians(sigma="-1K")
    with pytest.raises(DataError, match="no line: the strongest feature"):
        chain(noisy(2) - TRUTH).fit_gaussians()
    with pytest.raises(DataError, match="the noise cannot be measured in 10 channels"):
        spectra[:, :12].fit_gaussians()
    with pytest.raises(DataError, match="nothing is valid in I"):
        chain(noisy(1), np.zeros((ROWS, 1, N), np.float32)).fit_gaussians()
    with pytest.raises(fs.UsageError, match="product = 'AA'; allowed: with a chain"):
        fit_gaussians(spectra.fit_gaussians().spectrum, product="AA")
    with pytest.raises(fs.UsageError, match="neither a chain nor a stream"):
        fs.fit_gaussians(np.ones(5))


def test_hydrogen_of_a_recorded_galaxy() -> None:
    """NGC 2415 in 6 s of the GBT: NED's heliocentric velocity, 3784 km/s (optical)."""
    name = "dysh/TGBT21A_501_11/TGBT21A_501_11_ifnum_0_int_0-2"
    window = ("3300km/s", "4300km/s")
    made = fs.open(recorded(f"{name}_getps_152_plnum_0.fits"))[:, "1400MHz":"1407MHz"]
    fit = made.frame("heliocentric").fit_gaussians(window=window, convention="optical")
    line = fit.lines[0]
    assert fit.frame == "heliocentric"
    assert abs(line.velocity.value.value - 3784) < 2 * line.velocity.error.value < 40
    assert 100 < line.w50.value.value < 220
    # Tsys of 17.2 K, three integrations of 0.975 s effective, 715 Hz: the radiometer equation
    noise = float(np.nanmedian(made.fit_gaussians(window=window).spectrum.noise.value))
    ours = position_switched(recorded(f"{name}.fits"), 152, plnum=0)
    assert noise == pytest.approx(float(np.sqrt((ours.expected**2).sum()) / 3), rel=0.05)
    again = fs.fit_gaussians(ours, window=window, convention="optical").lines[0]
    assert again.peak.value.value == pytest.approx(line.peak.value.value, rel=0.1)
