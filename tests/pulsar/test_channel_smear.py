"""Times of arrival of bright channels, each of which is smeared by dispersion within it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pulsar.profiles_made import PERIOD, profiles
from pulses_made import gaussian

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import UsageError
from fastsig.pulsar.channel_smear import smear_of, transfer
from fastsig.pulsar.profile_toas import profile_toas
from fastsig.pulsar.profiles import Profiles
from fastsig.pulsar.templates import Template
from fastsig.run.template_files import read_template, write_template
from fastsig.run.toa_files import template_of

DM, K, WIDTH_MHZ, N_CHAN, BINS = 30.0, 1 / 2.41e-4, 4.0, 16, 256
LOW_MHZ, STEP_MHZ, WIDTH = 1000.0, 32.0, 0.03


def smeared(n_subint: int, noise: float, seed: int = 1, n_chan: int = N_CHAN) -> Profiles:
    """Aligned profiles of 16 channels, each a mean over 8 channels of 4 MHz: by brute force."""
    made = profiles(n_subint, n_chan=n_chan, n_bin=BINS)
    axis = ChannelAxis(Fraction(int(1e6 * (LOW_MHZ + STEP_MHZ / 2))), Fraction(int(1e6 * STEP_MHZ)),
                       n_chan)
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n_chan):
        fine = LOW_MHZ + STEP_MHZ * k + (np.arange(8)[:, None] + 0.5) * WIDTH_MHZ
        inside = fine + WIDTH_MHZ * ((np.arange(25) + 0.5) / 25 - 0.5)
        late = K * DM * (inside**-2 - fine**-2) / PERIOD
        rows.append(gaussian(BINS, 0.3 + late.reshape(-1), WIDTH).mean(axis=0))
    data = np.array(rows)[None, None] + noise * rng.normal(size=(n_subint, 1, n_chan, BINS))
    header = made.header.replace(channels=axis, dm=DM, dm_reference_hz=Fraction(10**9))
    return replace(made, data=data.astype(np.float32), header=header, dm=DM, folded_mhz=WIDTH_MHZ)


def chi2(made: Profiles, template: Template, n_chan: int) -> tuple[float, float]:
    """Reduced chi^2 of the times of arrival about their mean by channel, and the median S/N."""
    toas = profile_toas(made, template, n_chan=n_chan)
    epochs = [seconds for _, seconds in made.exact_epochs()]
    late = [each.seconds - epochs[int(each.flags["subint"])] for each in toas]
    turns = np.array([float(each) for each in late]).reshape(-1, n_chan) / PERIOD
    turns = (turns - turns[0] + 0.5) % 1 - 0.5
    error = np.array([each.error_us for each in toas]).reshape(-1, n_chan) * 1e-6 / PERIOD
    scatter = ((turns - turns.mean(axis=0)) ** 2 / error**2).sum() / (len(turns) - 1) / n_chan
    return float(scatter), float(np.median([float(each.flags["snr"]) for each in toas]))


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("smear") / "standard.ar"
    smeared(8, 0.002, seed=7).write(path, bits=32)
    return path


@pytest.mark.parametrize("n_chan", [16, 4])
def test_errors_of_bright_channels_are_right(standard: Path, n_chan: int) -> None:
    """At S/N 1000: chi^2 within 3 sigma of 1, below 0.5 with the mean profile."""
    template, made = template_of(standard), smeared(30, 0.004)
    found, snr = chi2(made, template, n_chan)
    assert 800 < snr < 2500
    assert abs(found - 1) < 3 * np.sqrt(2 / 29 / n_chan), found
    without, _ = chi2(made, replace(template, smear=()), n_chan)
    assert without < 0.5


def test_the_mean_over_all_channels_is_as_before(standard: Path) -> None:
    template, made = template_of(standard), smeared(10, 0.02)
    for one, other in zip(profile_toas(made, template),
                          profile_toas(made, replace(template, smear=())), strict=True):
        assert abs(float(one.seconds - other.seconds)) < 0.02e-6 * one.error_us
        assert one.error_us == pytest.approx(other.error_us, rel=1e-3)


def test_the_smear_is_that_of_brute_force() -> None:
    made = smeared(1, 0.0)
    for k, each in enumerate(smear_of(made, N_CHAN) or []):
        seen, true = (np.fft.rfft(x)[1:11] for x in (
            made.data[0, 0, k], gaussian(BINS, 0.3, WIDTH)))
        np.testing.assert_allclose(np.abs(seen / true), np.abs(transfer(each, 10)), atol=1e-3)


def test_what_is_not_known_is_not_smeared() -> None:
    made = smeared(2, 0.01)
    for change in ({"folded_mhz": None}, {"dm": None}, {"periods": np.full(2, np.nan)}):
        assert smear_of(replace(made, **change)) is None
    clean = replace(made, header=made.header.replace(coherent_dm=DM))
    assert {width for width, _ in (smear_of(clean) or [])[0]} == {0.0}


def test_widths_are_written_and_read(standard: Path, tmp_path: Path) -> None:
    found = fs.open_profiles(standard)
    assert found.folded_mhz == WIDTH_MHZ and found.grouped(n_chan=4).folded_mhz == WIDTH_MHZ
    template = template_of(standard)
    write_template(template, tmp_path / "t.ecsv")
    assert read_template(tmp_path / "t.ecsv").smear == template.smear != ()
    with pytest.raises(UsageError, match="smear"):
        Template.from_table(replace(template, smear=((-0.1, 1.0),)).table())
