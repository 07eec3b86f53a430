"""Plans of dispersion measures: rules, honesty of the stated S/N, sources, table, command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from fastsig_kernels import FDMT
from scipy.special import ndtr

import fastsig as fs
from fastsig.axes.dispersion import lateness
from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.pulsar import smearing
from fastsig.pulsar.costs import tree_cost
from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.run.plan_files import read_plan

FAST = Recording.of_band("1GHz", "500MHz", 4096, "49.152us")
#: Channels as wide as 32 of FAST, and samples as much longer: the same plan with small trees.
SMALL = Recording.of_band("1GHz", "500MHz", 128, 32 * 49.152e-6 * u.s)
BAND = ("--fstart", "1GHz", "--bandwidth", "500MHz", "--n-chan", 128, "--sample-time", "1.6ms")


def test_plan_of_fast_halves_the_rate_at_most_four_times_to_dm_3000() -> None:
    plan = fs.dm_plan(FAST, (0, 3000))
    factors = [each.downsampling for each in plan]
    assert factors == sorted(factors)
    assert factors[-1] == 16
    assert {1, 2, 4, 8, 16} == set(factors)
    # The smear of a channel equals a sample at DM 94.8, so the rate is halved somewhat beyond
    # twice this, and then each time that the DM doubles.
    changes = [each.low for each, last in zip(plan.stretches[1:], factors[:-1], strict=True)
               if each.downsampling != last]
    assert 2 * 94.8 < changes[0] < 4 * 94.8
    np.testing.assert_allclose(np.array(changes[1:]) / changes[:-1], 2, rtol=0.1)


@pytest.mark.parametrize("dms", [(0, 3000), (0, 0), (475, 475), (12.3, 90), (2521, 2523)])
@pytest.mark.parametrize("width", [None, "1ms"])
def test_no_dm_is_further_than_half_a_step_from_the_plan(dms: tuple[float, float],
                                                         width: str | None) -> None:
    plan = fs.dm_plan(FAST, dms, width=width)
    all_dms = np.concatenate([each.dms for each in plan])
    steps = np.concatenate([np.full(each.n_dm, each.step) for each in plan])
    assert (np.diff(all_dms) > 0).all()
    assert len(all_dms) == plan.n_dm
    assert all_dms[0] == dms[0]
    assert (np.diff(all_dms) <= steps[:-1] * (1 + 1e-9)).all()
    assert dms[1] - steps[-1] / 2 <= all_dms[-1] <= dms[1] + steps[-1]


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("width_s", [0, 1e-4, 2e-3])
def test_steps_lose_no_more_than_allowed_and_hardly_less(loss: float, width_s: float) -> None:
    plan = fs.dm_plan(FAST, (0, 3000), width=width_s * u.s, loss=loss)
    for each in plan:
        width = smearing.total_s(width_s, each.channel_smear_s(each.low), each.sample_s)
        assert smearing.kept_off_dm(each.step_smear_s, width) >= 1 - loss
    first = plan.stretches[0]
    width = smearing.total_s(width_s, first.sample_s)
    assert smearing.kept_off_dm(1.1 * first.step_smear_s, width) < 1 - loss


def test_rate_is_halved_where_a_channel_is_twice_everything_else() -> None:
    plan = fs.dm_plan(FAST, (0, 3000))
    for each, later in zip(plan.stretches, plan.stretches[1:], strict=False):
        if later.downsampling == each.downsampling:
            continue
        other = smearing.total_s(FAST.sample_s, each.sample_s, each.step_smear_s)
        assert each.channel_smear_s(each.high) < 2 * other
        assert each.channel_smear_s(later.low) >= 2 * other * (1 - 1e-9)


def test_subbands_smear_no_more_than_allowed() -> None:
    for each in fs.dm_plan(FAST, (0, 3000)):
        made = each.subbands
        allowed = 0.8 * min(each.step_smear_s, each.sample_s)
        across = FAST.smear_s(made.step / 2, 1 / made.n_subband)
        assert across == pytest.approx(made.smear_s, rel=1e-9)
        assert across <= allowed * (1 + 1e-9)
        assert made.n_addition < each.n_dm * FAST.n_chan


def snr(pulse: np.ndarray, n_sum: int) -> float:
    """S/N of the best boxcar over the last axis, averaged over the positions of the pulse."""
    total = np.cumsum(np.pad(pulse, ((0, 0), (1, 0))), axis=1)
    best = [(total[:, n:] - total[:, :-n]).max(axis=1) / np.sqrt(n * n_sum) for n in range(1, 48)]
    return float(np.max(best, axis=0).mean())


def profiles(stretch: Stretch, dm: float, width_s: float, shifts: Any, sample_s: float, n: int
             ) -> np.ndarray:
    """Sum over the channels of a pulse, shifted by whole samples, at 8 positions in a sample."""
    made = stretch.recording
    mhz = np.linspace(made.low_mhz, made.high_mhz, made.n_chan)
    delay = np.asarray(made.constant * dm * lateness(mhz, made.high_mhz))
    smear = np.asarray(smearing.smear_s(dm, made.chan_mhz, made.center_mhz, made.constant))
    sigma = np.hypot(width_s, smear) / np.sqrt(8 * np.log(2))
    out = np.zeros((8, n))
    for index, phase in enumerate((np.arange(8) + 0.5) / 8):
        middle = delay + (phase - shifts + n // 2) * sample_s
        edges = (np.arange(n + 1) * sample_s - middle[:, np.newaxis]) / sigma
        out[index] = np.diff(ndtr(edges), axis=1).sum(axis=0)
    return out


def exact(stretch: Stretch, dm: float, sample_s: float) -> np.ndarray:
    """Delays of the channels after the highest, in samples."""
    return np.asarray(stretch.recording.curve * (dm * SMALL.unit_s / sample_s))


@pytest.mark.parametrize("width_s", [2e-3, 8e-3])
def test_stated_loss_of_downsampling_is_that_of_pulses(width_s: float) -> None:
    for each in fs.dm_plan(SMALL, (0, 1300), loss=0.2):
        dm = each.dms[each.n_dm // 3]
        pulse = np.hypot(width_s, each.channel_smear_s(dm))
        coarse, fine = (profiles(each, dm, width_s, exact(each, dm, sample_s), sample_s, 256)
                        for sample_s in (each.sample_s, SMALL.sample_s))
        stated = smearing.kept_by_bins(pulse, each.sample_s, SMALL.sample_s)
        assert snr(coarse, each.downsampling) / snr(fine, 1) == pytest.approx(stated, abs=2e-3)


@pytest.mark.parametrize("width_s", [2e-3, 8e-3])
def test_stated_loss_of_trees_is_that_of_pulses(width_s: float) -> None:
    for each in fs.dm_plan(SMALL, (0, 1300), loss=0.2):
        row = each.n_dm // 3
        dm = each.dms[row]
        ahead = FDMT(SMALL.curve, each.delays, dtype="float32").channel_delays(np.array([row]))[0]
        shifts = exact(each, dm, each.sample_s)
        aligned = profiles(each, dm, width_s, shifts, each.sample_s, 128)
        summed = profiles(each, dm, width_s, ahead.max() - ahead, each.sample_s, 128)
        jitter = float(np.std(ahead + shifts)) * each.sample_s
        box = each.sample_s * np.sqrt(8 * np.log(2) / 12)  # FWHM of the Gaussian with its rms
        pulse = float(np.hypot(np.hypot(width_s, each.channel_smear_s(dm)), box))
        stated = smearing.kept_by_jitter(pulse, jitter)
        assert snr(summed, 1) / snr(aligned, 1) == pytest.approx(stated, abs=3e-3)


@pytest.mark.parametrize("width_s", [2e-3, 8e-3])
def test_pulses_halfway_between_two_dms_keep_what_is_stated(width_s: float) -> None:
    """Sums along tracks half a step off, at the plan's rate, against the exact DM at the full one.

    The best boxcar loses less than the formula states, which is about the height of the pulse. The
    error of a track may add to that of the DM or compensate it: the mean of both sides counts.
    """
    plan = fs.dm_plan(SMALL, (0, 1300), loss=0.2)
    assert {each.downsampling for each in plan} >= {1, 2, 4}
    for each in plan:
        row = each.n_dm // 3
        ahead = FDMT(SMALL.curve, each.delays, dtype="float32").channel_delays(np.array([row]))[0]
        found = []
        for dm in each.dms[row] + each.step * np.array([-0.5, 0.5]):
            coarse = profiles(each, dm, width_s, ahead.max() - ahead, each.sample_s, 128)
            fine = profiles(each, dm, width_s, exact(each, dm, SMALL.sample_s), SMALL.sample_s, 256)
            found.append(snr(coarse, each.downsampling) / snr(fine, 1))
        stated = plan.smears(each.dms[row], width_s).kept
        assert stated - 5e-3 < np.mean(found) < 1 - (1 - stated) / 2


def test_tracks_of_trees_are_as_exact_as_stated() -> None:
    stretch = fs.dm_plan(SMALL, (0, 200), loss=0.3).stretches[0]
    cost = tree_cost(stretch)
    tree = FDMT(SMALL.curve, stretch.delays, dtype="float32")
    off = tree.channel_delays() - stretch.delays[:, np.newaxis] * (1 - SMALL.curve)
    off -= off.mean(axis=1, keepdims=True)
    assert cost.jitter == pytest.approx(np.sqrt((off**2).mean()), rel=1e-9)
    assert cost.worst == pytest.approx(np.sqrt((off**2).mean(axis=1)).max(), rel=1e-9)
    assert (cost.n_addition, cost.memory_bytes) == (tree.n_addition, tree.memory_bytes)


def test_spectra_and_their_header_have_the_same_plan(samples: Path) -> None:
    spectra = fs.open(samples / "SIMPSR_tracking-M01_0001.fits")
    plan = fs.dm_plan(spectra, "0:50")
    header = spectra.stream.header
    assert fs.dm_plan(header, (0 * u.pc / u.cm**3, 50 * u.pc / u.cm**3)) == plan
    axis = header.channels
    low, high = (float(each) / 1e6 for each in axis.edges_hz)
    assert plan.recording.low_mhz - plan.recording.chan_mhz / 2 == pytest.approx(low)
    assert plan.recording.bandwidth_mhz == pytest.approx(high - low)
    with pytest.raises(UsageError, match="already been removed at DM 30"):
        fs.dm_plan(header.replace(dm=30.0), (0, 50))
    with pytest.raises(UsageError, match="frequencies of the channels are not known"):
        fs.dm_plan(header.replace(channels=None))
    with pytest.raises(UsageError, match="the band has one channel"):
        fs.dm_plan(header.replace(channels=axis.around(axis.first_hz, axis.step_hz, 1)))
    for name in ("frb_carrier_16MHz.h5", "frb_coarse_16MHz.0000.raw"):  # one channel, and several
        with pytest.raises(UsageError, match="frb_.*: contains voltages; allowed: spectra"):
            fs.dm_plan(fs.open(samples / name))


@pytest.mark.parametrize(("options", "match"), [
    ({"dms": (-1, 5)}, "dms = "), ({"dms": (0, float("nan"))}, "dms = "), ({"dms": "5"}, "dms = "),
    ({"dms": (0, 1e9)}, "to 1e"), ({"dms": (7, 5)}, "ascending"), ({"dms": "a:b"}, "0:3000"),
    ({"loss": 0.0}, "0.001 to 0.5"), ({"loss": 2.0}, "0.001 to 0.5"), ({"width": "3MHz"}, "width"),
    ({"width": "-1ms"}, "0 or more"), ({"width": "1e9s"}, "below 1e.06 s"),
    ({"constant": 3}, "4149")])
def test_what_cannot_be_planned_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        fs.dm_plan(SMALL, **options)


def test_what_is_not_spectra_is_refused() -> None:
    with pytest.raises(UsageError, match="allowed: spectra"):
        fs.dm_plan(7)
    with pytest.raises(UsageError, match="n_chan = 1"):
        Recording.of_band("1GHz", "500MHz", 1, "1ms")
    with pytest.raises(UsageError, match="fstart"):
        Recording.of_band("0GHz", "500MHz", 16, "1ms")
    for sample in ("1e30 s", "1e-30 s"):
        with pytest.raises(UsageError, match="sample_time = .* s; allowed: 1e-12 s or more"):
            Recording.of_band("1GHz", "500MHz", 16, sample)
    with pytest.raises(UsageError, match="or more dispersion measures; allowed: up to 1048576"):
        fs.dm_plan(Recording.of_band("100MHz", "500MHz", 2**20, "1us"))
    with pytest.raises(UsageError, match="a delay of .* spectra at DM .*; allowed: up to 2.5e.07"):
        fs.dm_plan(Recording.of_band("1Hz", "500MHz", 1024, "1ms"))
    with pytest.raises(UsageError, match="n_chan = 131072; allowed: 2 to 65536, so average"):
        fs.dm_plan(Recording.of_band("1GHz", "500MHz", 2**17, "1ms"), (0, 10))
    with pytest.raises(UsageError, match="within the plan"):
        fs.dm_plan(SMALL, (10, 50)).smears(60)


def test_command_writes_table_picture_and_json(tmp_path: Path) -> None:
    table, picture = tmp_path / "plan.ecsv", tmp_path / "plan.png"
    done = fastsig("plan-dm", *BAND, "--dm", "0:600", "--loss", 0.2, "-o", table, "--picture",
                   picture, "--json")
    record = json.loads(done.stdout)
    found = read_table(table, kind="DM plan")
    plan = fs.dm_plan(Recording.of_band("1GHz", "500MHz", 128, "1.6ms"), (0, 600), loss=0.2)
    assert [each["n_dm"] for each in record["stretches"]] == list(found["n_dm"]) == [
        each.n_dm for each in plan]
    assert found["step"].unit == u.pc / u.cm**3
    assert found["total"][0].to_value("ms") == pytest.approx(
        record["stretches"][0]["total_ms"], rel=1e-12)
    squares = sum(found[name] ** 2 for name in (
        "sample", "downsampled", "channel_high", "step_smear", "tree_smear"))
    np.testing.assert_allclose(squares.to_value("ms2"), found["total"].to_value("ms") ** 2)
    cost = record["cost"]
    assert cost["threads_for_real_time"] == pytest.approx(
        cost["additions_per_second_of_data"] / cost["additions_per_s_measured"])
    assert cost["additions_per_second_of_data"] == pytest.approx(sum(
        row["additions_tree"] / (1.6e-3 * row["downsampling"]) for row in record["stretches"]))
    assert picture.read_bytes()[:4] == b"\x89PNG"
    fastsig("plan-dm", *BAND, "-o", table, code=4)
    fastsig("plan-dm", *BAND, "-o", tmp_path / "plan.h5", code=2)
    assert read_plan(table) == plan
    fastsig("view", table, "-o", tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == picture.read_bytes()
    fastsig("view", table, "-o", table, "--overwrite", code=2)


@pytest.mark.parametrize(("name", "value"), [
    ("low_mhz", -1), ("n_chan", "many"), ("step", 0), ("n_dm", 0), ("loss", None)])
def test_a_file_with_a_plan_that_makes_no_sense_is_refused(tmp_path: Path, name: str, value: Any
                                                          ) -> None:
    table = fs.dm_plan(SMALL, (0, 200), loss=0.3).table()
    if name in table.colnames:
        table[name][:] = value
    else:
        table.meta[name] = value
    write_table(table, tmp_path / "plan.ecsv", kind="DM plan", provenance={})
    with pytest.raises(FormatError, match="are invalid"):
        read_plan(tmp_path / "plan.ecsv")


def test_command_plans_for_files_or_for_a_band(samples: Path) -> None:
    shown = fastsig("plan-dm", samples / "SIMPSR_tracking-M01_0001.fits", "--dm", "0:20").stdout
    assert "threads for real time" in shown
    refused = fastsig("plan-dm", samples / "SIMPSR_tracking-M01_0001.fits", *BAND, code=2)
    assert "--fstart describes a band without a file" in refused.stderr
    assert "--bandwidth" in fastsig("plan-dm", "--fstart", "1GHz", code=2).stderr
    assert "--dm" not in fastsig("plan-dm", *BAND, "--dm", "0:x", code=2).stderr.splitlines()[1:]
