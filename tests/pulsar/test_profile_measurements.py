"""Measurements of Profiles: dispersion, weights, signs and frames of the profiles are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pulsar.profiles_made import PERIOD, profiles
from pulses_made import gaussian

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import PlanError
from fastsig.pulsar.profile_measurements import corrected, improved, measured_rm, polarization
from fastsig.pulsar.profile_values import profile_values
from fastsig.pulsar.profiles import Profiles

K = 1e6 / 241  # s MHz^2 cm^3 / pc
SIGMA = 0.04


def _pulsar(names: tuple[str, ...] = ("I",), dm: float = 30.0, turns_per_s: float = 0.0,
            rm: float = 0.0, n_chan: int = 16, noise: float = 0.1, **fields: Any) -> Profiles:
    """A pulsar with 60 per cent of linear polarisation at 20 deg, and 30 per cent of V."""
    made = profiles(6, names=names, n_chan=n_chan, **fields)
    mhz = made.frequency.value
    late = K * dm * (mhz**-2 - mhz.mean() ** -2) / PERIOD
    phase = 0.3 + late + turns_per_s * made.offsets[:, np.newaxis]
    pulse = gaussian(64, phase % 1, SIGMA)
    turn = np.exp(2j * (np.radians(20) + rm * (299.792458 / mhz) ** 2))[:, np.newaxis]
    stokes = {"I": pulse, "Q": 0.6 * turn.real * pulse, "U": 0.6 * turn.imag * pulse,
              "V": 0.3 * pulse}
    data = np.stack([stokes[name] for name in names], axis=1)
    data = data + noise * np.random.default_rng(3).normal(size=data.shape)
    return made.replace(data=np.where(made.weight > 0, data, np.nan).astype(np.float32))


@pytest.mark.parametrize("removed", [0, 30])
def test_improved_dm_is_the_total_one_of_the_pulsar(removed: float) -> None:
    true_dm = removed + 0.5
    made = _pulsar(dm=true_dm)
    found = improved(made.dedisperse(removed) if removed else made, n_trial=33)
    assert abs(found.dm - true_dm) < 4 * found.dm_error
    assert found.dm_error < 0.05
    assert found.trials.dm[16] == removed


def test_improved_period_makes_the_pulse_stand_still() -> None:
    made = _pulsar(turns_per_s=2e-3).dedisperse(30)
    found = improved(made, n_trial=33)
    # A pulse that drifts to later phases has a lower frequency.
    assert abs(found.spin.frequency_hz - (1 / PERIOD - 2e-3)) < 4 * found.spin.frequency_error_hz
    assert abs(found.dm - 30) < 4 * found.dm_error


def test_corrected_profiles_are_those_of_a_fold_with_the_improved_values() -> None:
    made = _pulsar(dm=30.5, turns_per_s=4e-3).dedisperse(30)
    found = corrected(made, improved(made, n_trial=33))
    assert found.dm == pytest.approx(30.5, abs=0.05)
    np.testing.assert_allclose(1 / found.periods, 1 / PERIOD - 4e-3, atol=2e-4)
    profile = found.mean("time", "frequency").data[0, 0, 0]
    still = _pulsar(dm=30.5).dedisperse(30.5).mean("time", "frequency").data[0, 0, 0]
    assert np.ptp(profile) == pytest.approx(np.ptp(still), rel=0.05)
    assert np.ptp(made.mean("time", "frequency").data) < 0.8 * np.ptp(still)


def test_lost_channels_have_no_weight() -> None:
    weights = np.full((6, 1, 16, 1), 800.0)
    weights[:, :, 3] = 0
    found = improved(_pulsar(weights=weights).dedisperse(30), n_trial=17)
    assert abs(found.dm - 30) < 4 * found.dm_error
    rm = measured_rm(_pulsar(("I", "Q", "U", "V"), rm=100.0, weights=weights))
    assert abs(rm.rm - 100) < 4 * rm.error


def test_rotation_measure_and_its_sign() -> None:
    made = _pulsar(("I", "Q", "U", "V"), rm=100.0)
    found = measured_rm(made)
    assert found.method == "fit"
    assert abs(found.rm - 100) < 4 * found.error
    assert found.error < 1
    assert abs(measured_rm(made, sign_u=-1).rm + 100) < 4 * found.error


def test_rotation_measure_of_recorded_products() -> None:
    made = _pulsar(("I", "Q", "U", "V"), rm=-60.0)
    i, q, u, v = made.data.transpose(1, 0, 2, 3)
    data = np.stack([(i + q) / 2, (i - q) / 2, u / 2, v / 2], axis=1)
    four = made.replace(data=data, header=made.header.replace(
        polarization=PolBasis("linear", ("AA", "BB", "CR", "CI"))))
    found = measured_rm(four)
    assert abs(found.rm + 60) < 4 * found.error


def test_polarisation_states_signs_and_frame() -> None:
    made = _pulsar(("I", "Q", "U", "V"), noise=0.02)
    found = polarization(made)
    good = found.significant(10)
    assert np.abs(found.pa_deg[good] - 20).max() < 5
    assert found.fraction("circular")[0] == pytest.approx(0.3, abs=0.02)
    assert (found.convention, found.frame) == ("PSR/IEEE", "receiver")
    sky = polarization(made, convention="IAU", parallactic_deg=15)
    assert sky.fraction("circular")[0] == pytest.approx(-0.3, abs=0.02)
    assert np.abs(sky.pa_deg[good] - 35).max() < 5
    assert (sky.convention, sky.frame) == ("IAU", "sky")


@pytest.mark.parametrize("kind", ["linear", "circular"])
@pytest.mark.parametrize(("sign_q", "sign_v"), [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_signs_of_q_and_v_are_those_of_the_header(kind: Any, sign_q: Any, sign_v: Any) -> None:
    """Angles, rotation measure and V are those of the pulsar, with whatever signs Q and V have."""
    made = _pulsar(tuple("IQUV"), rm=100.0, noise=0.02)
    i, q, u, v = made.data.transpose(1, 0, 2, 3)
    same = {"kind": kind, "sign_q": sign_q, "sign_v": sign_v}
    signed = np.stack([i, sign_q * q, u, sign_v * v], axis=1)
    first, real, imaginary = (q, u, v) if kind == "linear" else (v, q, u)
    powers = np.stack([(i + first) / 2, (i - first) / 2, real / 2, imaginary / 2], axis=1)
    mhz = made.frequency.value
    angle = 20 + np.degrees(100 * (299.792458 / mhz.mean()) ** 2)
    for data, names in ((signed, tuple("IQUV")), (powers, ("AA", "BB", "CR", "CI"))):
        recorded = made.replace(data=data, header=made.header.replace(
            polarization=PolBasis(names=names, **same)))
        found = measured_rm(recorded)
        assert abs(found.rm - 100) < 4 * found.error
        values = profile_values(recorded)
        assert abs(values["rm"] - 100) < 4 * values["rm_error"]
        assert abs((values["pa"] - angle + 90) % 180 - 90) < 4 * values["pa_error"] + 0.5
        assert values["circular"] == pytest.approx(0.3, abs=0.02)
        assert values["linear"] == pytest.approx(0.6, abs=0.02)
        axis = recorded.header.channels
        low = recorded.replace(
            data=data[:, :, :1], weights=recorded.weights[:, :, :1],
            header=recorded.header.replace(channels=ChannelAxis(axis.first_hz, axis.step_hz, 1)))
        of_bins = polarization(low)
        apart = of_bins.pa_deg - 20 - np.degrees(100 * (299.792458 / mhz[0]) ** 2)
        assert np.abs((apart + 90) % 180 - 90)[of_bins.significant(10)].max() < 5


def test_what_is_missing_is_one_line() -> None:
    with pytest.raises(PlanError, match="folding period"):
        improved(_pulsar(periods=np.full(6, np.nan)))
    with pytest.raises(PlanError, match="Stokes IQUV"):
        measured_rm(_pulsar())
    with pytest.raises(PlanError, match="no bin is on-pulse"):
        measured_rm(_pulsar(("I", "Q", "U", "V")), off=np.ones(64, bool))
