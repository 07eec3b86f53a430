"""Chains, slices, products of products, and what a product tells of how it was made."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
import pytest
from recordings import recorded
from streams import MemoryVoltages, header, noise, write_native

import fastsig as fs
from fastsig.axes.time import elapsed, parse_time
from fastsig.io.files import provenance


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(8)
    path = tmp_path_factory.mktemp("chain") / "v.h5"
    return write_native(path, noise(rng, 200_000), header())


def test_nothing_is_read_before_it_is_asked_for(rng: np.random.Generator) -> None:
    class Counting(MemoryVoltages):
        reads = 0

        def _read(self, start: int, n: int, out: np.ndarray) -> object:
            Counting.reads += 1
            return super()._read(start, n, out)

    chain = fs.Chain(Counting(noise(rng, 10_000), header())).channelize(16).detect("I")
    chain = chain.integrate(1 * u.ms)[2:5]
    assert Counting.reads == 0
    assert chain.read().values.shape == (3, 1, 16) and Counting.reads > 0


def test_integrating_twice_is_integrating_once(recording: Path) -> None:
    spectra = fs.open(recording).channelize(50).detect("IQUV")
    twice = spectra.integrate(n_int=4, n_freq=5).integrate(n_int=3, n_freq=2).read()
    once = spectra.integrate(n_int=12, n_freq=10).read()
    np.testing.assert_allclose(twice.weight, once.weight, rtol=1e-6)
    np.testing.assert_allclose(twice.values, once.values, rtol=1e-5, atol=1e-3)
    assert twice.header.channels == once.header.channels and twice.header.n_sum == 120
    part = spectra[0:10].integrate(n_int=2)
    assert part.read().values.shape == (5, 4, 50)
    spectra.integrate(n_int=2).plot()


def test_slices(recording: Path) -> None:
    chain = fs.open(recording).channelize(50).detect("I")
    whole = chain.read().values
    start, step = chain.start_time, 100 * u.us
    for key, expected in (
        (slice(3, 9), whole[3:9]), (slice(np.int64(3), np.int64(9)), whole[3:9]),
        (slice(-4, None), whole[-4:]), (slice(3 * step, 9 * step), whole[3:9]),
        (slice(start + 3 * step, start + 9 * step), whole[3:9]),
        (slice("300us", "0.9ms"), whole[3:9]),
        ((slice(3, 9), slice(10, 20)), whole[3:9, :, 10:20]),
        ((slice(3, 9), slice(1000.1 * u.MHz, 1000.19 * u.MHz)), whole[3:9, :, 10:20]),
        ((slice(None), slice("1000.1MHz", None)), whole[:, :, 10:]),
    ):
        part = chain[key]
        np.testing.assert_array_equal(part.read().values, expected)
    part = chain[3:9, 10:20]
    assert abs(float(elapsed(start, part.start_time)) - 3e-4) < 1e-10
    assert part.frequency.to_value("MHz") == pytest.approx(1000 + np.arange(10, 20) * 0.01)
    voltages = fs.open(recording)[1000:3000]
    assert voltages.read().valid[0].tolist() == [[0, 2000]]
    for bad in (slice(9, 3), slice(0, 5, 2), slice(10 * u.s, None), slice(0.5, None)):
        with pytest.raises(fs.UsageError):
            chain[bad]
    with pytest.raises(fs.UsageError, match="the band runs from"):
        chain[:, 2 * u.GHz:]
    with pytest.raises(fs.PlanError, match="a band can be selected from channels"):
        fs.open(recording)[:, 3:4]
    with pytest.raises(fs.UsageError):
        chain[3]


def test_a_slice_of_a_product_keeps_its_values(recording: Path, tmp_path: Path) -> None:
    chain = fs.open(recording).channelize(50).detect("IQUV").integrate(n_int=7)
    chain.write(tmp_path / "s.h5")
    fs.open(tmp_path / "s.h5")[5:20, 10:30].write(tmp_path / "part.h5")
    part, whole = fs.open(tmp_path / "part.h5"), chain.read()
    np.testing.assert_array_equal(part.read().values, whole.values[5:20, :, 10:30])
    np.testing.assert_array_equal(part.read().weight, whole.weight[5:20])
    made = part.stream.provenance["inputs"][0]["made_by"]
    assert [step["stage"] for step in made["stages"]] == ["channelize", "detect", "integrate"]
    assert made["inputs"][0]["files"][0]["name"] == "v.h5"
    assert fs.info(tmp_path / "part.h5")["stages"] == ["select(channels=[10, 30], rows=[5, 20])"]


def test_provenance_holds_what_decides_the_numbers(recording: Path, tmp_path: Path) -> None:
    def record(name: str, **options: object) -> dict:
        chain = fs.open(recording, frequency="1.4GHz").channelize(50).detect("I")
        chain.write(tmp_path / name, **options)
        with h5py.File(tmp_path / name) as file:
            return json.loads(file["provenance"][()].tobytes())

    first, second = record("a.h5", workers=1), record("b.h5", workers=3, hash_inputs=True)
    assert first["stages"] == second["stages"]
    assert first["inputs"][0]["overrides"] == {"frequency": "1.4GHz"}
    assert first["fastsig"] == fs.__version__ and first["numpy"] == np.__version__
    text = json.dumps(first)
    assert str(tmp_path) not in text and "workers" not in text
    head = provenance.file_record(str(recording))
    assert head["name"] == "v.h5" and head["size"] == recording.stat().st_size


def test_provenance_hashes_raw_files_and_keeps_choices(tmp_path: Path) -> None:
    path = recorded("lofar_dal_h5/L59640_CS011_D20110719T110541.036Z_tbb.h5")
    fs.open(path, dipole="011").channelize(16).detect("I").write(tmp_path / "s.h5")
    (entry,) = fs.open(tmp_path / "s.h5").stream.provenance["inputs"]
    assert entry["overrides"] == {"dipole": "011"}
    assert [item["name"].rpartition("_")[2] for item in entry["files"]] == ["tbb.h5", "tbb.raw"]


def test_an_input_is_never_the_output(recording: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.h5"
    link.symlink_to(recording)
    chain = fs.open(recording).channelize(50).detect("I")
    before = recording.read_bytes()
    for out in (recording, link):
        with pytest.raises(fs.OutputError, match="is an input of this run"):
            chain.write(out, overwrite=True)
    assert recording.read_bytes() == before
    for out in ("-", ""):
        with pytest.raises(fs.UsageError, match="needs the name of a file"):
            chain.write(out)


def test_numbers_that_are_none(recording: Path, tmp_path: Path) -> None:
    chain = fs.open(recording).channelize(50).detect("I")
    for options in ({"n_int": 2.5}, {"n_int": 0}, {"n_freq": 3}, {"n_freq": 0}):
        with pytest.raises(fs.UsageError):
            chain.integrate(**options)
    with pytest.raises(fs.UsageError, match="workers = 0"):
        chain.write(tmp_path / "x.h5", workers=0)
    with pytest.raises(fs.UsageError, match="needs a unit"):
        fs.open(recording, frequency="1414")
    with pytest.warns(fs.FastsigWarning, match=r"a spectrum takes .* longer than the integration"):
        assert chain.integrate("1ns").shape == chain.shape
    long = chain.integrate(10 * u.s)
    with pytest.warns(fs.FastsigWarning, match="fewer than the 100000 of one integration"):
        long.write(tmp_path / "long.h5")
    assert long.shape[0] == 1 and long.read().weight[0, 0, 0] < 0.02


def test_times_of_rows_in_a_leap_second(tmp_path: Path) -> None:
    """xarray's clock has no leap second: rows count on from the start's civil time."""
    pytest.importorskip("xarray")
    data = np.zeros((400, 1), np.int8)
    head = header(100, n_pol=1, start="2016-12-31T23:59:59.5")
    chain = fs.Chain(MemoryVoltages(data, head)).channelize(2, n_tap=1, window="none").detect("I")
    assert str(chain[20:].start_time.isot).startswith("2016-12-31T23:59:60.3")
    for part in (chain, chain[20:]):
        times = part.to_xarray()["time"].values
        steps = np.diff(times) / np.timedelta64(1, "ns")
        assert np.all(steps == 40_000_000)
    assert str(chain.to_xarray()["time"].values[20]).startswith("2017-01-01T00:00:00.3")
    chain.write(tmp_path / "s.h5")
    found = fs.open(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:  # for SIGPROC's readers: day + seconds / 86400
        assert file["data"].attrs["tstart"] == pytest.approx(57753 + 86399.5 / 86400, abs=1e-11)
    assert abs(elapsed(found.stream.time_of(50), parse_time("2017-01-01T00:00:00.5"))) < Fraction(
        1, 10**9)


def test_a_later_minor_version_may_hold_more(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "later.h5"
    path.write_bytes(recording.read_bytes())
    with h5py.File(path, "a") as file:
        record = json.loads(file["header"][()].tobytes())
        record["novelty"], record["polarization"]["novelty"] = 1, {"a": 2}
        record["diode"] = {"period_ticks": 10, "on_ticks": 5, "novelty": 3}
        data = np.frombuffer(json.dumps(record).encode(), np.uint8)
        del file["header"]
        file.create_dataset("header", data=data, chunks=data.shape, fletcher32=True)
        file.attrs["VERSION"] = np.bytes_("1.9")
    found = fs.open(path).header
    assert found.polarization.names == ("X", "Y") and found.diode.on_ticks == 5


def test_what_a_notebook_shows(recording: Path) -> None:
    chain = fs.open(recording)
    assert "Chain of voltage (200000, 2)" in repr(chain)
    assert "<table>" in chain._repr_html_() and "FAST" in chain._repr_html_()
    assert {"channelize", "detect", "integrate", "read"} <= set(dir(chain))
    assert "split into channels" in (chain.channelize.__doc__ or "")
    with pytest.raises(AttributeError, match="and its verbs channelize"):
        chain.frobnicate()


def test_streams_can_be_walked_as_files(recording: Path) -> None:
    stream = fs.open(recording).stream
    assert stream.seek(-5) == 199_995 and len(stream.read().data) == 5 and stream.tell() == 200_000
    assert len(stream.read(3).data) == 0
    with pytest.raises(fs.UsageError):
        stream.seek(200_001)
    blocks = list(fs.open(recording).channelize(50).detect("I"))
    assert sum(len(block.values) for block in blocks) == 200_000 // 100 - 7
    stream.close()
    with pytest.raises(fs.DataError, match="closed"):
        stream.read_block(0, 1)


def test_the_diode_keeps_its_time_in_a_slice() -> None:
    from fastsig.axes.diode_schedule import DiodeSchedule

    schedule = DiodeSchedule(period_ticks=1000, on_ticks=400, first_tick=100)
    later = schedule.shifted(Fraction(3, 10**6))  # 750 ticks
    assert (later.period_ticks, later.on_ticks, later.first_tick) == (1000, 400, -650)
    fine = schedule.shifted(Fraction(1, 3 * 10**6))
    assert Fraction(fine.first_tick, fine.ticks_per_second) == (
        Fraction(100, 250_000_000) - Fraction(1, 3 * 10**6))
    assert Fraction(fine.period_ticks, fine.ticks_per_second) == Fraction(1000, 250_000_000)
    with fs.open("data/samples/fast_band_1GSa.h5") as obs:
        whole = obs.header.diode
        for part in (obs[1001:], obs.channelize(64, n_tap=8).detect("I"),
                     obs.channelize(64).detect("I")[7:]):
            late = elapsed(obs.start_time, part.start_time)
            found = part.header.diode
            first = Fraction(found.first_tick, found.ticks_per_second) + late
            assert abs(first - Fraction(whole.first_tick, whole.ticks_per_second)) < 1e-11
            assert found.period_ticks * whole.ticks_per_second == (
                whole.period_ticks * found.ticks_per_second)
