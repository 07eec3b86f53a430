"""Searches for bursts: recorded and injected ones, noise, and data that a search should survive."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from excised import CodedSpectra, FloatSpectra
from recordings import recorded
from search.spectra_made import MHZ, N_CHAN, SAMPLE_S, K, chain, noise, with_bursts
from streams import MemorySpectra, header

import fastsig as fs
from bench.burst_pulses import compared
from bench.injections import Band
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, iso, parse_time
from fastsig.errors import PlanError, UsageError
from fastsig.reductions.bursts.injected import Injected, completeness
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import candidates_of
from fastsig.run.candidate_files import read_candidates, write_candidates
from fastsig.run.engine import run
from fastsig.search.bursts import groups
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.gather import gather
from fastsig.search.bursts.plan import search_plan
from fastsig.simulate.injections import Injection, Injector, drawn
from fastsig.work.memory import resident_bytes

EXAMPLE = {"dms": (0, 3)}
DMS, WIDTHS = (0, 200), "1ms:60ms"


def _found(data: np.ndarray, **options: object) -> Candidates:
    found: Candidates = chain(data).bursts(DMS, width=WIDTHS, **options)
    return found


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, list[Injection]]:
    """Noise with bursts that are apart in time."""
    bursts = drawn(12, duration_s=60.0, dms=DMS, widths_s=(4e-3, 30e-3), snrs=(12.0, 30.0),
                   unit_s=K * (MHZ[0] ** -2 - MHZ[-1] ** -2), seed=3)
    return with_bursts(noise(60000), bursts), bursts


def test_frb_180417_is_the_only_candidate() -> None:
    found = fs.open(recorded("your/28.fil")).bursts((0, 1000))
    assert len(found) == 1
    assert abs(found.values("dm")[0] - 475) < 3
    assert abs(found.values("time_s")[0] - 2.028) < 0.003
    assert found.values("snr")[0] > 14.6
    assert found.values("first_row")[0] * 0.00126646875 < 2.031
    assert found.values("file")[0] == "28.fil"


def test_all_pulses_of_a_bright_pulsar_are_found() -> None:
    """The mean that is subtracted from the channels includes pulses of S/N 150, a tenth of all."""
    times = 0.5 + 0.2 * np.arange(100)
    pulses = [Injection(float(time), 50.0, 15e-3, 150.0) for time in times]
    found = chain(with_bursts(noise(21_000), pulses)).bursts((30, 80), width=WIDTHS)
    late = np.abs(found.values("time_s") - times[:, np.newaxis])
    best = late.argmin(axis=1)
    assert late.min(axis=1).max() < 5e-3 and found.values("snr")[best].min() > 100
    assert np.sort(np.abs(found.values("dm")[best] - 50))[94] < 2


def test_a_search_of_few_samples_warns() -> None:
    data = noise(4000)
    data[:, 6:] = np.nan
    with pytest.warns(fs.FastsigWarning, match="only 9.38 % of the samples were searched"):
        chain(data).bursts((30, 80), width=WIDTHS)


def test_times_of_a_part_are_counted_from_the_start_of_the_recording(
        scene: tuple[np.ndarray, list[Injection]]) -> None:
    whole = chain(scene[0])
    found = whole["20s":"50s"].bursts(DMS, width=WIDTHS)
    assert len(found) > 3 and found.meta["start_time"] == iso(whole.stream.start_time)
    late = [float(elapsed(parse_time(found.meta["start_time"]), time)) for time in found["time"]]
    assert np.abs(np.array(late) - found.values("time_s")).max() < 2e-9


def test_a_burst_of_frb_121102_is_found_again() -> None:
    # The file has a dedispersed burst: noise like that before it makes it a recording.
    with np.load(recorded("frbgui/docs/tutorials/files/aggarwal2021_B006.npz")) as file:
        data = dict(file)
    values, mhz, sample_s = data["wfall"], data["dfs"], float(data["dt"])
    before, late = values[:, :300], K * float(data["DM"]) * (data["dfs"] ** -2 - mhz[-1] ** -2)
    late = np.rint(late / sample_s).astype(int)
    rng = np.random.default_rng(1)
    made = before.mean(axis=1) + before.std(axis=1) * rng.normal(size=(late.max() + 13220, 64))
    for c, first in enumerate(late):
        made[6000 + first : 7220 + first, c] = values[c]
    step = Fraction(str(mhz[1] - mhz[0])) * 10**6
    head = header(100).replace(
        sample_rate=1 / Fraction("0.00008192"), channels=ChannelAxis(
            Fraction(str(mhz[0])) * 10**6, step, 64), polarization=PolBasis("unknown", ("I",)),
        n_bits=32, coherent_dm=float(data["DM"]))
    found = fs.Chain(MemorySpectra(made[:, np.newaxis], head)).bursts((540, 580), width="1ms:50ms")
    assert abs(found.values("dm")[0] - 562) < 3
    assert found.values("snr")[0] > 90  # 97 with another estimate of the noise
    assert abs(found.values("time_s")[0] - (6000 + values.mean(axis=0).argmax()) * sample_s) < 3e-3
    assert len(found) == 1


def test_injected_bursts_have_the_snr_of_the_best_boxcar() -> None:
    for burst in (Injection(1.0, 150.0, 8e-3, 20.0), Injection(1.0, 20.0, 30e-3, 9.0),
                  Injection(1.0, 90.0, 10e-3, 15.0, scatter_s=12e-3)):
        data = np.zeros((4000, N_CHAN), np.float32)
        injector = Injector([burst], MHZ, SAMPLE_S, np.full(N_CHAN, 2.0), K)
        for start in range(0, 4000, 611):  # any split
            injector.add(start, data[start : start + 611])
        shift = np.rint(injector.delays_s(burst.dm) / SAMPLE_S).astype(int)
        series = sum(np.roll(data[:, c].astype(float), -shift[c]) for c in range(N_CHAN))
        total = np.concatenate([[0], np.cumsum(series)])
        best = max((total[w:] - total[:-w]).max() / np.sqrt(w) for w in range(1, 300))
        assert abs(best / 2 / np.sqrt(N_CHAN) / burst.snr - 1) < 0.03


def test_bursts_are_found_with_their_properties(scene: tuple[np.ndarray, list[Injection]]) -> None:
    data, bursts = scene
    found = _found(data)
    made = completeness(found, bursts, 0.0, search_plan(chain(data), DMS, widths=WIDTHS))
    assert made.n_found == len(bursts) == len(found)
    assert abs(made.ratio.mean() - 1) < 0.05
    off = found.values("dm")[made.match] - [each.dm for each in bursts]
    assert np.abs(off / found.values("dm_error")[made.match]).max() < 4
    late = found.values("time_s")[made.match] - [each.time_s for each in bursts]
    assert (np.abs(late) < [each.width_s / 2 + 2e-3 for each in bursts]).all()
    assert (found.values("last_row") - found.values("first_row") + 1 == np.rint(
        found.values("width") / SAMPLE_S)).all()


def test_bursts_have_the_snr_of_their_valid_samples(
        scene: tuple[np.ndarray, list[Injection]]) -> None:
    data, bursts = scene
    rng = np.random.default_rng(5)
    data = data.copy()
    data[:, rng.random(N_CHAN) < 0.3] = np.nan
    data[rng.random(len(data)) < 0.1] = np.nan
    found = _found(data, switch=2.0)
    made = completeness(found, bursts, 0.0, search_plan(chain(data), DMS, widths=WIDTHS))
    there = made.match >= 0
    share = found.values("valid_share")[made.match[there]]
    assert made.n_found >= len(bursts) - 1  # the faintest may be below the threshold now
    assert abs(made.ratio[there].mean() - 1) < 0.06
    # A sum of two spectra is valid if one of them is.
    expected = [_valid_share(data, found, k) for k in made.match[there].tolist()]
    assert np.abs(share - expected).max() < 0.015


def _valid_share(data: np.ndarray, found: Candidates, k: int) -> float:
    """Share of the samples of the boxcar of a candidate that are not NaN."""
    rows = np.arange(found.values("first_row")[k], found.values("last_row")[k] + 1)
    late = K * found.values("dm")[k] * (MHZ**-2 - MHZ[-1] ** -2) / SAMPLE_S
    return float(np.isfinite(data[rows[:, np.newaxis] + np.rint(late).astype(int),
                                  np.arange(N_CHAN)]).mean())


@pytest.mark.parametrize("excised", [False, True])
def test_codes_are_searched_as_they_are(
        scene: tuple[np.ndarray, list[Injection]], excised: bool) -> None:
    """With and without excision, whose flags and series are beside the codes."""
    numbers = np.clip(np.round(60 + 4 * scene[0][:20000] / scene[0].std()), 0, 255).astype("u1")
    found = []
    for kind in (CodedSpectra, FloatSpectra):
        source = fs.Chain(kind(numbers, slice(9000, 9100), chain(scene[0]).stream.header))
        stream = (source.iqrm().zero_dm().flag_runs() if excised else source).stream
        assert stream.coded == (kind is CodedSpectra)
        found += run([Bursts(stream, search_plan(stream, DMS, widths=WIDTHS))], workers=1)
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    assert len(found[0].rows) and found[0].n_time == found[1].n_time == 20000


def test_a_burst_that_begins_in_a_gap_has_the_share_of_its_track() -> None:
    data = with_bursts(noise(6000), [Injection(3.0, 400.0, 12e-3, 40.0)])
    data[2816:3072] = np.nan  # a whole segment, in which it arrives
    found = chain(data).bursts((300, 500), width=WIDTHS)
    share = found.values("valid_share")[0]
    assert abs(share - _valid_share(data, found, 0)) < 0.05
    assert 0.5 < share < 0.95


@pytest.mark.parametrize("workers", [1, 2])
def test_tables_are_the_same_for_any_block_and_worker(
        scene: tuple[np.ndarray, list[Injection]], tmp_path: Path, workers: int) -> None:
    data, _ = scene
    source = chain(data[:30000])
    plan = search_plan(source, DMS, widths=WIDTHS)
    expected = candidates_of([source.stream], run([Bursts(source.stream, plan)], workers=1), [plan])
    sink = Bursts(source.stream, plan)
    for start in range(0, 30000, 1234):
        sink.merge(sink.partial(source.stream.read_block(start, min(1234, 30000 - start))))
    expected.write(tmp_path / "a.ecsv")
    for found in (candidates_of([source.stream], [sink.finish(30000)], [plan]),
                  source.bursts(DMS, width=WIDTHS, workers=workers,
                                memory=resident_bytes() + 700_000_000)):
        assert len(found) > 3
        write_candidates(found, tmp_path / "b.ecsv", overwrite=True)
        assert (tmp_path / "b.ecsv").read_bytes() == (tmp_path / "a.ecsv").read_bytes()


def test_files_of_a_scan_are_one_recording(
        scene: tuple[np.ndarray, list[Injection]], tmp_path: Path) -> None:
    source = chain(scene[0][:20000])
    source.write(tmp_path / "a.fil", bits=32, lossy=True)
    parts = [source[:6540], source[6540:13110], source[13110:]]  # within bursts
    for k, part in enumerate(parts):
        part.write(tmp_path / f"b.{k:04}.fil", bits=32, lossy=True)
    given = "--dm", "0:200", "--width", WIDTHS
    fastsig("search", "bursts", tmp_path / "a.fil", "-o", tmp_path / "a.ecsv", *given)
    fastsig("search", "bursts", *tmp_path.glob("b.*.fil"), "-o", tmp_path / "b.ecsv", *given)
    one, two = (read_candidates(tmp_path / f"{name}.ecsv") for name in "ab")
    names = [f"b.{number:04}.fil" for number in np.searchsorted(
        [6540, 13110], one.values("first_row"), side="right")]
    assert two.values("file").tolist() == names and len(set(names)) == 3
    write_candidates(one.with_columns(file=names).with_meta(provenance={}), tmp_path / "c.ecsv")
    write_candidates(two.with_meta(provenance={}), tmp_path / "d.ecsv")
    assert (tmp_path / "c.ecsv").read_bytes() == (tmp_path / "d.ecsv").read_bytes()


def test_pulses_of_all_widths_have_the_snr_of_exact_boxcars() -> None:
    # From 0.5 to 16 ms, with an S/N of 30 and of 10.
    made = compared(Band(128, 196.608e-6), 10.0)
    assert len(made) == 12
    assert all(each.is_right for each in made), made


def test_noise_has_no_candidates_at_seven_sigmas() -> None:
    assert len(_found(noise(20000, 7))) == 0


@pytest.mark.parametrize("what", ["lost", "constant", "few", "gap"])
def test_strange_data_end_in_a_table(what: str) -> None:
    bursts = [Injection(3.0, 80.0, 8e-3, 30.0)]
    data = with_bursts(noise(6000), bursts)
    if what == "lost":
        data[:] = np.nan
    elif what == "constant":
        data[:] = 3.0
    elif what == "few":
        data = data[:5]
    else:
        data[3000:3010] = np.nan  # through the burst, in all channels at once
    with (pytest.warns(fs.FastsigWarning, match="only 0 % of the samples were searched")
          if what in ("lost", "constant") else contextlib.nullcontext()):
        found = _found(data)
    assert len(found) == (what == "gap")
    if what == "gap":
        assert 20 < found.values("snr")[0] < 31


def test_channels_that_are_constant_or_lost_are_left_out() -> None:
    data = with_bursts(noise(6000), [Injection(3.0, 80.0, 8e-3, 30.0)])
    data[:, :16], data[:, 16:32] = 7.0, np.nan
    found = _found(data)
    assert abs(found.values("snr")[0] / 30 / np.sqrt(0.5) - 1) < 0.1
    assert found.values("valid_share")[0] == 0.5


def test_storms_keep_the_brightest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    data = noise(6000)
    data[rng.random(6000) < 0.05] += 60
    source = chain(data)
    plan = search_plan(source, DMS, widths=WIDTHS)
    every, = run([Bursts(source.stream, plan)])
    some, = run([Bursts(source.stream, plan, most=100)])
    assert len(some.rows) == 100
    assert some.n_dropped == len(every.rows) + every.n_dropped - 100 > 0
    assert some.rows["snr"].min() >= np.sort(every.rows["snr"])[-100]
    found = candidates_of([source.stream], [some], [plan])
    assert found.meta["n_dropped"] == some.n_dropped
    monkeypatch.setattr(groups, "MOST", 3)
    few, n_dropped = gather([groups.Searched(some, plan)])
    assert len(few) <= 3 and n_dropped > 0
    assert few.snr[0] == some.rows["snr"].max()


def test_the_plan_states_what_the_shortest_pulses_keep() -> None:
    band = Band(4096, 49.152e-6)
    one, two = (search_plan(band.header, (0, 3000), widths="0.1ms:10ms", switch=switch)
                for switch in (0.5, 2))
    assert one.kept == tuple(one.dm_plan.smears(each.low, 1e-4).kept for each in one.stretches)
    assert 0.5 < min(one.kept) < 0.65 < 0.85 < min(two.kept) < max(two.kept) < 1
    assert [row["kept"] for row in one.record()["stretches"]] == pytest.approx(one.kept, abs=1e-4)
    # Where the dispersion of one measure was removed, the plan begins there in both directions.
    near = search_plan(band.header.replace(coherent_dm=500.0), (0, 1000), widths="0.1ms:10ms")
    middle = [kept for each, kept in zip(near.stretches, near.kept, strict=True)
              if each.low - 1 < 500 < each.high + 1]
    assert len(middle) == 2 and min(middle) > max(near.kept[0], near.kept[-1])


def test_what_cannot_be_searched_is_refused() -> None:
    data = noise(100)
    source = chain(data)
    with pytest.raises(UsageError, match="threshold = 2; allowed: 4 to 100"):
        source.bursts(DMS, threshold=2)
    with pytest.raises(UsageError, match="loss = '50%'"):
        source.bursts(DMS, loss="50%")
    with pytest.raises(UsageError, match="width = '5ms'"):
        source.bursts(DMS, width="5ms")
    with pytest.raises(UsageError, match="the band has one channel"):
        source[:, :1].bursts(DMS)
    stream = source.stream
    four = MemorySpectra(np.repeat(data[:, np.newaxis], 2, axis=1), stream.header.replace(
        polarization=replace(stream.polarization, names=("CR", "CI"))))
    with pytest.raises(PlanError, match="has the products CR, CI"):
        fs.Chain(four).bursts(DMS)


def test_the_command_reports_what_it_finds(
        scene: tuple[np.ndarray, list[Injection]], tmp_path: Path) -> None:
    chain(scene[0][:20000]).write(tmp_path / "a.fil", bits=32, lossy=True)
    given = ("search", "bursts", tmp_path / "a.fil", "--dm", "0:200", "--width", WIDTHS)
    plan = fastsig(*given, "-o", tmp_path / "a.ecsv", "--dry-run").stdout
    assert "DM 0 to " in plan and not (tmp_path / "a.ecsv").exists()
    assert "the shortest pulses keep at least 0." in plan
    made = json.loads(fastsig(*given, "-o", tmp_path / "a.ecsv", "--json").stdout)
    assert made["n_candidate"] == len(made["candidates"]) == 4
    fastsig(*given, "-o", tmp_path / "a.ecsv", code=4)
    made = json.loads(fastsig(*given, "-o", tmp_path / "c.ecsv", "--cut-out", "0.2s", "--json"
                              ).stdout)
    pieces = [fs.open(name).stream for name in made["cut_outs"]]
    assert len(pieces) == 4
    late = (pieces[0].start_time - read_candidates(tmp_path / "c.ecsv")["time"][0]).to_value("s")
    assert abs(late + 0.2) < 0.01
    lines = fastsig(*given, "-o", tmp_path / "d.ecsv", "--json-lines").stdout.splitlines()
    times = [json.loads(each)["time"] for each in lines]
    assert times == sorted(read_candidates(tmp_path / "d.ecsv")["time"].isot)
    fastsig(*given, "-o", tmp_path / "e.ecsv", "--json-lines", "--json", code=2)
    fastsig(*given, "-o", tmp_path / "a.txt", code=2)
    fastsig(*given, "-o", tmp_path / "a.singlepulse", "--tstart", "10s")
    first = (tmp_path / "a.singlepulse").read_text().splitlines()[1].split()
    assert float(first[2]) > 10  # after the start of the scan
    done = fastsig(*given, "-o", tmp_path / "b.ecsv", "--inject", 5, "--seed", 2)
    assert "of 5 injected bursts" in done.stdout
    found = read_candidates(tmp_path / "b.ecsv")
    assert found.meta["completeness"]["n_injected"] == 5
    assert (found.values("injected") >= 0).sum() == found.meta["completeness"]["n_found"]


def test_bursts_are_injected_before_excision_into_channels_that_are_left(tmp_path: Path) -> None:
    chain(noise(12000)).write(tmp_path / "a.fil", bits=32, lossy=True)
    (tmp_path / "mask.txt").write_text("1072MHz-1150MHz\n1200MHz-1210MHz 0s-30s\n")
    given = ("search", "bursts", tmp_path / "a.fil", "--dm", "0:10", "--width", "4ms:60ms",
             "--inject", 6, "--mask", tmp_path / "mask.txt", "--threshold", 5, "--quiet")
    fastsig(*given, "-o", tmp_path / "a.ecsv")
    made = read_candidates(tmp_path / "a.ecsv").meta["completeness"]
    rows = made["by_snr"]
    assert all(row["n_found"] == row["n_injected"] for row in rows if row["low"] >= 6)
    ratios = [row["mean_snr_ratio"] for row in rows if row["low"] >= 10]
    assert len(ratios) > 1 and abs(np.mean(ratios) - 1) < 0.06
    # The mean over the band contains most of a burst that is hardly dispersed.
    fastsig(*given, "-o", tmp_path / "b.ecsv", "--zero-dm", "mean")
    assert read_candidates(tmp_path / "b.ecsv").meta["completeness"]["n_found"] < made["n_found"]


def test_bursts_are_not_polarised() -> None:
    one = chain(np.zeros((400, N_CHAN), np.float32)).stream
    two = MemorySpectra(np.zeros((400, 2, N_CHAN), np.float32), one.header.replace(
        polarization=replace(one.polarization, names=("AA", "BB"))))
    bursts, sigma = [Injection(0.1, 20.0, 8e-3, 20.0)], np.full(N_CHAN, 2.0)
    made = [Injected(each, bursts, sigma, K).read_block(0, 400).data for each in (one, two)]
    np.testing.assert_allclose(made[1].sum(axis=1), made[0][:, 0], rtol=1e-6)
    assert (made[1][:, 0] == made[1][:, 1]).all() and made[1].max() > 0


def test_voltages_are_searched_coherently(samples: Path) -> None:
    voltages = fs.open(samples / "frb_carrier_16MHz.h5")
    found = voltages.bursts((250, 350), n_chan=16, width="0.2ms:20ms")
    assert abs(found.values("dm")[0] - 300) < 3 * found.values("dm_error")[0]
    coarse = found.meta["coherent_dms"]
    assert len(coarse) > 1 and coarse == sorted(coarse)
    assert (np.diff([row["low_dm"] for row in found.meta["stretches"]]) > 0).all()
    plan = json.loads(fastsig("search", "bursts", samples / "frb_carrier_16MHz.h5", "-o", "x.ecsv",
                              "--dm", "250:350", "--n-chan", 16, "--width", "0.2ms:20ms",
                              "--dry-run", "--json").stdout)
    assert plan["n_dm"] == sum(row["n_dm"] for row in plan["stretches"])
    assert (plan["low_dm"], plan["high_dm"]) == (250, 350)
    # Neighbouring searches find the same burst, and it is reported once.
    assert len(found) == 1
    spectra = voltages.channelize(64).detect("I").integrate(n_int=8).bursts((250, 350))
    assert abs(found.values("time_s")[0] - spectra.values("time_s")[0]) < 1e-3
    with pytest.raises(PlanError, match="contains voltages; allowed: spectra, or voltages with n_"):
        voltages.bursts((250, 350))
    with pytest.raises(UsageError, match="n_chan and time have no meaning for spectra"):
        chain(noise(100)).bursts(DMS, n_chan=4)


def test_barycentric_times_are_those_of_infinite_frequency() -> None:
    data = with_bursts(noise(6000), [Injection(3.0, 80.0, 8e-3, 30.0)])
    found = _found(data)
    from fastsig.telescopes.barycenter import barycentric_times

    late = K * found.values("dm")[0] / MHZ[-1] ** 2
    expected = barycentric_times(found["time"][:1], "123.5deg,-12.25deg", "FAST").mjd - late / 86400
    assert abs(found.values("mjd_bary")[0] - expected[0]) * 86400 < 1e-5
