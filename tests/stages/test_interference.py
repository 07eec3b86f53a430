"""Interference in spectra: what is flagged, what is kept, and the same bytes."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from streams import MemorySpectra, noise, write_native
from streams import header as voltages_header

import fastsig as fs
from fastsig import simulate
from fastsig.axes import interference
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.run import fitting
from fastsig.run.flag_shares import flag_shares
from fastsig.stages.flag import Flag
from fastsig.stages.flagging import EDGE, OFF, ON, diode_states

LINE = "1419MHz-1421.8MHz"
N_SUM = 1000  # samples of a value of `spectra`


def head(n_chan: int, names: tuple[str, ...] = PRODUCTS["AABB"], **changes: Any) -> Any:
    """Channels of 0.1 MHz from 1000 MHz on, ten spectra a second."""
    axis = ChannelAxis(Fraction(1_000_050_000), Fraction(100_000), n_chan)
    return voltages_header(Fraction(10)).replace(
        channels=axis, polarization=PolBasis("linear", names), n_bits=32, **changes)


def spectra(shape: tuple[int, int, int], seed: int = 1) -> np.ndarray:
    """Noise of the radiometer equation under a bandpass with a slope and a bend."""
    x = np.linspace(0, 1, shape[2])
    bandpass = 100 * (1 + x - 0.5 * x**2)
    scatter = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(N_SUM)
    return (bandpass * (1 + scatter)).astype(np.float32)


def flags(data: np.ndarray, names: tuple[str, ...] = PRODUCTS["AABB"], diode: Any = None,
          **options: Any) -> np.ndarray:
    """What is flagged of an array, (time, product, chan)."""
    stream = MemorySpectra(data, head(data.shape[2], names, diode=diode))
    block = Flag(stream, **options).read_block(0, len(data))
    assert np.array_equal(np.isnan(block.data), np.broadcast_to(block.valid == 0, data.shape))
    kept = np.broadcast_to(block.valid > 0, data.shape)
    np.testing.assert_array_equal(block.data[kept], stream.spectra[kept])
    return ~kept


def rms(values: np.ndarray, level: np.ndarray, where: np.ndarray) -> float:
    """Scatter about a level, in units of it, of what is valid."""
    return float(np.nanstd((values / level - 1)[..., where]))


@pytest.fixture(scope="module")
def scan() -> dict[str, Any]:
    """Bursts between 1378 and 1385 MHz, carriers and a line of HI; the same without interference.

    Made by the simulator, which shares no formula with what is tested.
    """
    plain = {"n_chan": 2048, "fstart": "1370MHz", "bandwidth": "62.5MHz", "duration": "130s",
             "integration": "1.00663296s", "line": simulate.Line(peak="12K", fwhm="0.5MHz")}
    bursts = [simulate.RfiBurst(start=f"{start}s", duration="3s", low="1378MHz", high="1385MHz",
                                temperature=kelvin)
              for start, kelvin in ((20, "30K"), (61, "3K"), (104, "0.5K"))]
    carriers = [simulate.Carrier(frequency=f"{mhz}MHz", level=level, drift=f"{drift}Hz/s")
                for mhz, level, drift in ((1388.01, 0.02, 0), (1391.2, 0.005, 0),
                                          (1400.3, 0.01, 2000))]
    clean = simulate.FastSpectra(**plain)
    dirty = simulate.FastSpectra(**plain, rfi=bursts, carriers=carriers)
    made = {"clean": simulate.SimulatedSpectra(clean), "dirty": simulate.SimulatedSpectra(dirty)}
    return made | {"level": np.median(clean.generate(0, clean.n_time)[0][:, :2], axis=0)}


def test_bursts_and_carriers_go_noise_and_the_line_stay(scan: dict[str, Any]) -> None:
    clean, dirty = (scan[name].read_block(0, scan[name].shape[0]).data[:, :2]
                    for name in ("clean", "dirty"))
    frequency = scan["clean"].frequency.value
    block = Flag(scan["dirty"], protect=LINE).read_block(0, len(dirty))
    left, lost = block.data[:, :2], block.valid[:, 0] == 0
    line = (frequency > 1419) & (frequency < 1421.8)
    assert not lost[:, line].any()
    np.testing.assert_array_equal(left[..., line], dirty[..., line])
    others = ~line
    noise_rms = rms(clean, scan["level"], others)
    assert rms(dirty, scan["level"], others) > 5 * noise_rms
    assert rms(left, scan["level"], others) < 1.05 * noise_rms
    band = (frequency > 1378) & (frequency < 1385)
    assert rms(left, scan["level"], band) < 1.05 * rms(clean, scan["level"], band)
    seconds = np.arange(len(dirty))[:, np.newaxis] * 1.00663296
    touched = np.abs(frequency - 1400.3) < 0.4  # a carrier that drifts
    for mhz in (1388.01, 1391.2):
        touched |= np.abs(frequency - mhz) < 0.05
    untouched = np.broadcast_to(~touched, lost.shape).copy()
    for start in (20, 61, 104):
        untouched &= ~(band & (seconds > start - 1.01) & (seconds < start + 3))
    assert lost[untouched].mean() < 0.01
    quiet = Flag(scan["clean"], protect=LINE).read_block(0, len(clean)).valid
    assert (quiet == 0).mean() < 0.005


def test_the_line_goes_where_it_is_not_protected(scan: dict[str, Any]) -> None:
    block = Flag(scan["clean"], width="1MHz").read_block(0, scan["clean"].shape[0])
    frequency = scan["clean"].frequency.value
    assert (block.valid[:, :, np.abs(frequency - 1420.4) < 0.1] == 0).any()


def test_known_bands_over_all_of_fasts_receiver() -> None:
    """Satellites, aircraft and bursts over 500 MHz: the tables take what is as wide as the window.

    A dozen carriers outside of the tables are left to the statistics.
    """
    plain = {"n_chan": 4096, "duration": "60s", "integration": "1.00663296s"}
    steady = [(1166.3, 1217, "40K"), (1217.5, 1237.5, "20K"), (1258.5, 1278.5, "30K")]
    pulsed = [(1030 + 9 * k, 1031 + 9 * k, 4 * k, "15K") for k in range(12)]
    rfi = [simulate.RfiBurst(start="0s", duration="60s", low=f"{low}MHz", high=f"{high}MHz",
                             temperature=kelvin) for low, high, kelvin in steady]
    rfi += [simulate.RfiBurst(start=f"{at}s", duration="5s", low=f"{low}MHz", high=f"{high}MHz",
                              temperature=kelvin) for low, high, at, kelvin in pulsed]
    rfi.append(simulate.RfiBurst(start="30s", duration="2s", low="1378MHz", high="1385MHz",
                                 temperature="9K"))
    carriers = [simulate.Carrier(frequency=f"{8.1 * n}MHz", level=0.003)
                for n in (162, 166, 174, 175)]
    clean, dirty = (simulate.FastSpectra(**plain, **more).generate(0, 60)[0][:, :2]
                    for more in ({}, {"rfi": rfi, "carriers": carriers}))
    stream = simulate.SimulatedSpectra(simulate.FastSpectra(**plain, rfi=rfi, carriers=carriers))
    level = np.median(clean, axis=0)
    block = Flag(stream, bands="fast").read_block(0, 60)
    left, lost = block.data[:, :2], block.valid[:, 0] == 0
    mhz, every = stream.frequency.value, np.ones(4096, bool)
    assert rms(dirty, level, every) > 20 * rms(clean, level, every)
    assert rms(left, level, every) < 1.05 * rms(clean, level, every)
    outside = ~lost.all(axis=0)
    assert lost[:, outside].mean() < 0.01
    for low, high in interference.bands("fast"):
        assert lost[:, (mhz > float(low) / 1e6) & (mhz < float(high) / 1e6)].all()
    kept = (mhz > 1300) & (mhz < 1377.9) | (mhz > 1385.1) & (mhz < 1450)
    assert lost[:, kept].mean() < 0.02


def test_what_is_found_of_a_known_noise() -> None:
    data = spectra((200, 2, 512))
    assert flags(data).mean() < 0.005
    data[50, 0, 100] *= 1 + 10 / np.sqrt(N_SUM)
    data[80:140, 1, 300] *= 1 + 2 / np.sqrt(N_SUM)  # weak, long
    data[:, :, 400:403] *= 1 + 3 / np.sqrt(N_SUM)  # weak, all the time
    found = flags(data)
    assert found[50, :, 100].all() and found[80:140, :, 300].mean() > 0.9
    assert found[:, :, 400:403].all() and found.mean() < 0.015
    assert not flags(data, sum_threshold=None)[80:140, :, 300].any()
    assert not flags(data, clip=None, max_window=1)[80:140, :, 300].any()


def test_changes_of_gain_and_continuum_are_no_interference() -> None:
    data = spectra((200, 2, 512))
    drift = 1 + 0.1 * np.sin(np.arange(200) / 30)
    source = 40 * np.exp(-((np.arange(200) - 100) ** 2) / 200)
    data *= drift[:, None, None].astype(np.float32)
    tilt = np.linspace(0.8, 1.2, 512) * data.mean(axis=(0, 1)) / 100
    data += (source[:, None] * tilt).astype(np.float32)[:, None]
    data[120] = 2 * data[120]  # broad, as a burst of the sky might be
    assert flags(data).mean() < 0.005


def test_polarisations_together_or_apart() -> None:
    data = spectra((64, 4, 256))
    data[:, 2:] = np.random.default_rng(3).normal(0, 3, (64, 2, 256))
    data[20, 0, 50] *= 2
    data[30, 1, 60] *= 2
    data[40, 2, 70] += 1000  # of a product of both alone: no power, not judged
    names = PRODUCTS["AABBCRCI"]
    both, each = flags(data, names), flags(data, names, together=False)
    assert both[20, :, 50].all() and both[30, :, 60].all() and not both[40, :, 70].any()
    assert list(each[20, :, 50]) == [True, False, True, True]
    assert list(each[30, :, 60]) == [False, True, True, True]
    assert flags(data[:, 2:3], ("V",))[40, 0, 70]  # unless there is no other


def diode_spectra(on: np.ndarray) -> np.ndarray:
    """Powers with a diode as strong as the noise, whose spectrum is not that of the receiver."""
    data = spectra((len(on), 2, 512))
    shape = 1 + 0.5 * np.sin(np.arange(512) / 100)
    return (data * (1 + on[:, None, None] * shape)).astype(np.float32)


def test_the_diode_is_never_flagged() -> None:
    diode = DiodeSchedule(period_ticks=25_000_000 * 7, on_ticks=25_000_000 * 5 // 2)
    states = diode_states(diode, Fraction(10), 0, 210)
    share = np.array([{ON: 1, OFF: 0, EDGE: 0.5}[state] for state in states.tolist()])
    assert list(states[:8]) == [ON, ON, EDGE, OFF, OFF, OFF, OFF, ON]
    data = diode_spectra(share)
    data[100, 0, 77] *= 2
    found = flags(data, diode=diode)
    assert found[100, :, 77].all() and found.mean() < 0.005
    for state in (ON, OFF, EDGE):
        assert found[states == state].mean() < 0.006


def test_states_are_judged_by_themselves() -> None:
    """The spectra of one state are flagged as if there were no others, where they are in one."""
    diode = DiodeSchedule(period_ticks=25_000_000 * 200, on_ticks=25_000_000 * 100)
    data = diode_spectra(np.arange(200) < 100)
    data[:, :, ::97] *= 1.1
    found = flags(data, diode=diode, n_segment=400)
    assert found.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(found[:100], flags(data[:100]))
    np.testing.assert_array_equal(found[100:], flags(data[100:]))


@pytest.mark.parametrize("first", [0, 7, 12345])
def test_states_against_the_definition(first: int) -> None:
    diode = DiodeSchedule(period_ticks=1009, on_ticks=400, first_tick=333)
    rate = Fraction(250_000_000, 130)  # rows of 130 ticks
    ticks = np.arange(first * 130, (first + 60) * 130)
    on = (ticks >= 333) & ((ticks - 333) % 1009 < 400)
    share = on.reshape(60, 130).mean(axis=1)
    expected = np.where(share == 1, ON, np.where(share == 0, OFF, EDGE))
    np.testing.assert_array_equal(diode_states(diode, rate, first, 60), expected)
    assert not diode_states(None, rate, first, 60).any()


def test_bands_and_protected_intervals() -> None:
    data = spectra((40, 2, 200))  # 1000 to 1020 MHz
    found = flags(data, bands="1003.25MHz-1004MHz, 1010MHz-1010.05MHz", clip=None,
                  sum_threshold=None)
    expected = np.zeros(200, bool)
    expected[32:40] = expected[100] = True  # all that share some frequency
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))
    kept = flags(data, bands=(1003.25 * u.MHz, 1004 * u.MHz), clip=None, sum_threshold=None,
                 protect=[(1003.5 * u.MHz, 1003.7 * u.MHz)])
    expected[100], expected[35:37] = False, False
    np.testing.assert_array_equal(kept, np.broadcast_to(expected, kept.shape))
    data[:, :, 150] *= 5
    data[7, :, 155] *= 5
    assert flags(data)[:, :, 150].all() and flags(data)[7, :, 155].all()
    assert not flags(data, protect="1014.9MHz-1015.6MHz")[:, :, 149:157].any()


def test_tables_have_sources_and_edges_in_order() -> None:
    for table in interference.BANDS.values():
        for band in table:
            low, high = band.interval
            assert 10**9 <= low < high <= 1500 * 10**6 and band.name and band.source
    assert len(interference.bands("fast")) == sum(
        len(interference.bands(name)) for name in ("aviation", "gnss", "bursts"))
    assert interference.bands("bursts, 1MHz-2e6 Hz")[-1] == (10**6, 2 * 10**6)


def test_a_pair_of_texts_is_one_interval() -> None:
    expected = interference.intervals("1419MHz-1421MHz", "protect")
    for pair in (("1419MHz", "1421 MHz"), ["1419MHz", 1421 * u.MHz], [1419, 1421] * u.MHz,
                 "1419-1421MHz", "1419 to 1421 MHz", "1419\N{EN DASH}1421MHz",
                 "1.419e3MHz-1.421GHz"):
        assert interference.intervals(pair, "protect") == expected
    assert interference.bands(["gnss", "bursts"]) == interference.bands("gnss, bursts")
    two = interference.intervals(("1419MHz-1421MHz", "1MHz-2MHz"), "protect")
    assert two == (*expected, (10**6, 2 * 10**6))


def test_bad_input() -> None:
    data = spectra((100, 2, 256))
    data[30, :, 40] *= 3
    broken = data.copy()
    broken[:, :, 100:105] = np.nan
    broken[:, 1, 7] = np.inf
    broken[60:63] = np.nan
    before = ~np.isfinite(broken)
    found = flags(broken)
    new = found & ~(before | before.any(axis=1, keepdims=True))
    assert found[30, :, 40].all() and new.mean() < 0.005 and found[before].all()
    assert flags(np.full((50, 2, 64), np.nan)).all()
    for flat in (np.zeros((50, 2, 64)), np.full((50, 2, 64), 7.0)):
        assert flags(flat).all() and not flags(flat[:15]).any()
    single = flags(data[:, :1], ("AA",))
    assert single[30, 0, 40] and single.mean() < 0.005
    narrow = data[:, :, 40:41]
    assert list(np.flatnonzero(flags(narrow)[:, 0, 0])) == [30]
    assert flags(data[:, :, 38:45])[30, :, 2].all()
    for n in (1, 2, 7):  # too few for statistics over time: each by itself
        few = flags(data[29 : 29 + n])
        assert few[1:2, :, 40].all() and few.mean() < 0.02
    centred = data - np.median(data, axis=0)  # a baseline was taken off: no powers any more
    found = flags(centred.astype(np.float32))
    assert found[30, :, 40].all() and found.mean() < 0.005


@pytest.mark.parametrize("names", [PRODUCTS["AABB"], PRODUCTS["IQUV"]])
@pytest.mark.parametrize("together", [True, False])
def test_sums_have_the_flags_of_blocks(names: tuple[str, ...], together: bool) -> None:
    data = spectra((150, len(names), 64))
    data[::9, :, 20] *= 2
    data[100:110, 0] = np.nan
    stage = Flag(MemorySpectra(data, head(64, names, n_sum=N_SUM)), together=together)
    block, sums = stage.read_block(0, 150), stage.read_sums(0, 150)
    np.testing.assert_allclose(sums.weight / N_SUM, np.broadcast_to(block.valid, data.shape))
    kept = sums.weight > 0
    np.testing.assert_allclose((sums.total[kept] / sums.weight[kept]), block.data[kept], rtol=1e-6)
    assert not sums.total[~kept].any()
    mean = fs.Chain(stage).integrate(n_int=50).read()
    total, count = np.where(kept, data, 0)[:50].sum(axis=0, dtype=float), kept[:50].sum(axis=0)
    found = np.where(count > 0, mean.values[0] * count, 0)
    np.testing.assert_allclose(found, total, rtol=1e-5)
    np.testing.assert_allclose(mean.weight[0] * 50, count, rtol=1e-6)


@pytest.mark.parametrize("case", range(6))
def test_same_bytes(case: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(case)
    data = spectra((230, 2, 48))
    data[rng.random(data.shape) < 0.01] *= 2
    data[77:80] = np.nan
    options = {"n_segment": (None, 1, 7, 50, 100, 500)[case], "together": bool(case % 2)}

    def chain() -> fs.Chain:
        return fs.Chain(MemorySpectra(data, head(48))).flag(**options)

    chain().write(tmp_path / "plain.h5", workers=1)
    whole = chain().read()
    assert 0.005 < (whole.weight == 0).mean() < 0.5
    monkeypatch.setattr(fitting, "_UNIT_BYTES", int(10 ** rng.uniform(3, 5)))
    monkeypatch.setattr(fitting, "_RESULT_BYTES", int(10 ** rng.uniform(3, 5)))
    chain().write(tmp_path / "split.h5", workers=int(rng.integers(2, 9)))
    assert (tmp_path / "split.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    cuts = np.unique(np.concatenate([[0, 230], rng.integers(0, 230, 9)]))
    again = chain()
    for start, stop in itertools.pairwise(rng.permutation(cuts[:-1]) if case % 2 else cuts):
        start, stop = min(start, stop), max(start, stop)
        part = again.read(int(start), int(stop - start))
        np.testing.assert_array_equal(part.values, whole.values[start:stop])
        np.testing.assert_array_equal(part.weight, whole.weight[start:stop])


def test_fused_or_not_and_within_memory(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "v.h5", noise(rng, 300_000), voltages_header())
    chain = fs.open(path).channelize(16).detect("AABBCRCI").integrate(n_int=7).flag(clip=3)
    assert "channelize+detect" in chain.explain() and "Flag" in chain.explain()
    chain.write(tmp_path / "plain.h5", workers=1, fused=False)
    chain.write(tmp_path / "fused.h5", workers=3)
    assert (tmp_path / "fused.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    with pytest.raises(fs.PlanError, match="below the floor"):
        chain.write(tmp_path / "x.h5", memory=10**6)


REFUSED = {
    "nothing to do": ({"clip": None, "sum_threshold": 0}, "nothing is flagged"),
    "clip": ({"clip": -1}, "clip = -1; allowed: standard deviations above 0"),
    "window": ({"max_window": 48}, "max_window = 48; allowed: powers of two"),
    "width": ({"width": 0}, "width = 0; allowed: one channel or more"),
    "unit": ({"width": "3s"}, "width = '3s' is not a value in Hz"),
    "segment": ({"n_segment": 0}, "n_segment = 0; allowed: 1 to"),
    "table": ({"bands": "nrao"}, "bands = 'nrao'; allowed: aviation, bursts, gnss, fast"),
    "order": ({"protect": "2MHz-1MHz"}, "allowed: a lower edge below the upper one"),
    "interval": ({"protect": "1420MHz"}, "allowed: an interval such as 1419MHz-1421.5MHz"),
    "pair": ({"protect": [(1 * u.MHz,)]}, "allowed: an interval"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    options, text = REFUSED[name]
    with pytest.raises(fs.UsageError, match=text):
        Flag(MemorySpectra(spectra((20, 2, 64)), head(64)), **options)


def test_unknown_frequencies_and_voltages(samples: Path) -> None:
    data = spectra((20, 2, 64))
    data[:, :, 9] *= 2
    lost = MemorySpectra(data, head(64).replace(channels=None))
    assert (Flag(lost).read_block(0, 20).valid[:, :, 9] == 0).all()
    for options in ({"bands": "fast"}, {"width": "1MHz"}):
        with pytest.raises(fs.FormatError, match="give frequency="):
            Flag(lost, **options)
    with pytest.raises(fs.PlanError, match="flag requires spectra, not voltage"):
        fs.open(samples / "fast_band_1GSa.h5").flag()


@pytest.mark.filterwarnings("ignore:.*flagged throughout")
def test_command_line(tmp_path: Path) -> None:
    data = spectra((120, 2, 200))
    data[30:33, :, 40] *= 2
    data[:, :, 90:93] *= 2
    data[50:53] = np.nan
    fs.Chain(MemorySpectra(data, head(200))).write(tmp_path / "s.h5")
    call = ("flag", "s.h5", "-o", "f.h5", "--protect", "1015MHz-1016MHz", "--clip", 4,
            "--bands", "1000MHz-1001MHz", "--picture", "f.png", "-j", 2)
    assert "would write f.h5" in fastsig(*call, "--dry-run", cwd=tmp_path).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]
    done = fastsig(*call, cwd=tmp_path)
    assert "(2.5 % had no weight before)" in done.stderr
    assert "without weight throughout: 1000 to 1001 MHz, 1009 to 1009.3 MHz" in done.stderr
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    chain = fs.open(tmp_path / "s.h5").flag(clip=4, bands="1000MHz-1001MHz",
                                            protect="1015MHz-1016MHz")
    chain.write(tmp_path / "library.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "library.h5").read_bytes()
    shares = flag_shares(fs.open(tmp_path / "f.h5"))
    weight = fs.open(tmp_path / "f.h5").read().weight
    assert shares.n_rows == 1
    np.testing.assert_allclose(shares.time, (weight == 0).mean(axis=(1, 2)))
    told = json.loads(fastsig(*call, "--json", "--overwrite", "-q", cwd=tmp_path).stdout)
    assert told["flagged"]["channel"] == pytest.approx(list(shares.channel), abs=1e-6)
    assert told["flagged"]["product"]["AA"] == pytest.approx(shares.product[0], abs=1e-6)
    assert told["flagged"]["before"] == 0.025 and told["outputs"] == ["f.h5"]
    (record,) = [step for step in fs.open(tmp_path / "f.h5").stream.provenance["stages"]
                 if step["stage"] == "flag"]
    assert record["parameters"]["protect_mhz"] == [[1015, 1016]]
    assert record["parameters"]["clip"] == 4 and record["parameters"]["n_segment"] == 1024
    done = fastsig("flag", "s.h5", "-o", "x.fil", cwd=tmp_path, code=2)
    assert "weights" in done.stderr
    assert "f.png: exists" in fastsig(*call[:3], "g.h5", *call[4:], cwd=tmp_path, code=4).stderr
