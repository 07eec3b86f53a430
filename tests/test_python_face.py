"""What a user of Python types and sees: verbs, slices, data, reprs, completion."""

from __future__ import annotations

import ast
import inspect
import pickle
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
import verb_stub
from astropy.table import QTable
from astropy.time import TimeDelta
from streams import MemorySpectra, header, noise, write_native

import fastsig as fs
from fastsig import registry
from fastsig.axes.time import sample_time, sample_times
from fastsig.axes.units import exact
from fastsig.errors import in_python, speak_of_options
from fastsig.stream import SpectraStage

ROOT = Path(__file__).resolve().parent.parent
SCREEN = 45  # lines


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("face") / "v.h5"
    return write_native(path, noise(np.random.default_rng(8), 20_000), header())


@pytest.fixture(scope="module")
def spectra(recording: Path) -> fs.Chain:
    chain: fs.Chain = fs.open(recording).channelize(16).detect("AABBCRCI").integrate(n_int=8)
    return chain


def test_printing_a_header_shows_everything() -> None:
    cards = {f"CARD{n}": "long " * 40 if n == 7 else n for n in range(50)}
    head = header(100).replace(extra={**cards, "LIST": list(range(20)), "MAP": {"a": [1, 2]}},
                               source="x" * 200)
    text = str(head).splitlines()
    assert text[0] == "<Header" and f"  source: {'x' * 200}" in text
    assert "    CARD7: " + ("long " * 40).strip() in text and "    CARD49: 49" in text
    assert "    LIST: " + ", ".join(map(str, range(20))) in text and "    MAP: a=1, 2" in text
    assert f"{head}" == str(head) and "  telescope: None" not in text
    assert len(repr(head).splitlines()) < 40 and max(map(len, repr(head).splitlines())) <= 88


def test_verbs_have_their_own_signature_and_help(spectra: fs.Chain) -> None:
    for name in registry.own_verbs():
        own, method = getattr(fs.Chain, name), getattr(spectra, name)
        assert next(iter(inspect.signature(own).parameters)) == "self"
        assert list(inspect.signature(own).parameters)[1:] == list(
            inspect.signature(method).parameters)
        assert own.__doc__ == method.__doc__ and own.__doc__.strip()
        text = own.__doc__.partition("Parameters\n")[2].partition("\n\n")[0]
        assert "source :" not in text and "stream :" not in text, name
        for key, each in inspect.signature(method).parameters.items():
            assert each.kind is each.VAR_KEYWORD or key in text, (name, key)
    assert inspect.signature(fs.Chain.channelize).return_annotation is fs.Chain
    for signature in (inspect.signature(fs.Chain.flag), inspect.signature(spectra.flag)):
        assert "clip: float | None = 5.0, " in str(signature)
    text = str(inspect.signature(spectra.barycenter))  # a name that is known to type checkers alone
    assert text.startswith("(*, position: Any = None, location: 'EarthLocation | str | None' = ")


def test_the_stub_has_all_verbs() -> None:
    tree = next(node for node in ast.parse(verb_stub.stub()).body
                if isinstance(node, ast.ClassDef))
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == list(
        registry.own_verbs())


def test_a_plugin_has_its_own_signature(spectra: fs.Chain, monkeypatch: Any) -> None:
    class Doubled(SpectraStage):
        """Spectra times a factor.

        Parameters
        ----------
        source : SpectrumStream
            Spectra.
        factor : float
            What values are multiplied by.
        """

        name = "doubled"

        def __init__(self, source: Any, factor: float = 2.0) -> None:
            super().__init__(source)
            self.factor = factor

        def read_block(self, start: int, n: int, out: Any = None) -> Any:
            return self.source.read_block(start, n)

    monkeypatch.setattr(registry, "_plugin_stages", lambda: {"doubled": Doubled})
    registry.stages.cache_clear()
    try:
        assert str(inspect.signature(spectra.doubled)).startswith("(factor: float = 2.0)")
        assert "source :" not in spectra.doubled.__doc__ and "doubled" in dir(spectra)
        assert isinstance(spectra.doubled(3.0), fs.Chain)
        with pytest.raises(fs.UsageError, match="factor = '3'; allowed: a number"):
            spectra.doubled("3")
        with pytest.raises(fs.UsageError, match="did you mean factor"):
            spectra.doubled(factr=3.0)
    finally:
        registry.stages.cache_clear()


def test_completion_shows_public_names_alone() -> None:
    assert dir(fs) == fs.__all__ and {"simulate", "view", "open", "Chain"} <= set(dir(fs))
    assert all(hasattr(fs, name) for name in dir(fs))
    assert {"channelize", "on_off", "flag_shares", "write"} <= set(dir(fs.Chain))


def test_products_are_picked_by_name(spectra: fs.Chain, tmp_path: Path) -> None:
    whole = spectra.read()
    for key, places in (("BB", [1]), (["CI", "AA"], [3, 0])):
        part = spectra[key].read()
        np.testing.assert_array_equal(part.values, whole.values[:, places])
        assert part.header.polarization.names == tuple(np.atleast_1d(key))
        np.testing.assert_array_equal(part.values, whole[key].values)
    part = spectra[5:20, 3:9, "BB"]
    np.testing.assert_array_equal(part.read().values, whole.values[5:20, 1:2, 3:9])
    part.integrate(n_int=3).write(tmp_path / "p.h5")
    made = fs.open(tmp_path / "p.h5")
    np.testing.assert_array_equal(made.read().values, part.integrate(n_int=3).read().values)
    stages = fs.info(tmp_path / "p.h5")["stages"]
    assert any("products" in each and each.startswith("select") for each in stages)
    i = spectra.stokes("I").read()
    np.testing.assert_allclose(i.values[:, 0], whole.values[:, 0] + whole.values[:, 1], rtol=1e-6)
    with pytest.raises(fs.UsageError, match="each once"):
        spectra[["AA", "AA"]]
    with pytest.raises(fs.PlanError, match="from spectra only"):
        fs.open(ROOT / "data/samples/fast_band_1GSa.h5")["X"]


def test_i_of_circular_feeds() -> None:
    from dataclasses import replace

    head = header(100)
    axis = replace(head.channels, step_hz=head.channels.step_hz / 4, n_chan=4)
    pol = replace(head.polarization, kind="circular", names=("AA", "BB"))
    data = np.arange(80, dtype=np.float32).reshape(10, 2, 4)
    chain = fs.Chain(MemorySpectra(data, head.replace(channels=axis, polarization=pol)))
    np.testing.assert_array_equal(chain.stokes("I").read().values[:, 0], data.sum(axis=1))
    with pytest.raises(fs.PlanError, match="linear feeds"):
        chain.stokes("IQUV")


def test_slices_take_times_of_every_kind(spectra: fs.Chain) -> None:
    start, step = spectra.start_time, Fraction(8 * 32, 10**6)
    at = sample_time(start, 40, 1 / step)
    at.precision = 9
    late = float(40 * step)
    for end in (at, at.isot, f"{at.isot}Z", np.datetime64(at.isot, "ns"), late * u.s,
                TimeDelta(late, format="sec"), timedelta(seconds=late), f"{late} s",
                np.timedelta64(round(late * 1e9), "ns"),
                datetime.fromisoformat(at.isot[:26]).replace(tzinfo=UTC) + timedelta(
                    microseconds=1) - timedelta(microseconds=1), 40):
        found = spectra[end:].shape[0]
        assert abs(found - (spectra.shape[0] - 40)) <= isinstance(end, datetime), end
    assert spectra[0 : 40 * float(step) * u.s].shape[0] == 40  # 0 is both
    assert spectra.integrate(TimeDelta(0.002048, format="sec")).shape == (
        spectra.integrate("2.048ms").shape)


def test_select_takes_what_slices_take(spectra: fs.Chain) -> None:
    f = spectra.frequency
    for channels in ((2, 9), slice(2, 9), [2, 9], (f[2], f[8]), slice(f[2], f[8]),
                     (f"{f[2].value:.9f}MHz", f"{f[8].value:.9f}MHz")):
        assert spectra.select(channels=channels).frequency[0] == f[2]
        assert spectra.select(channels=channels).shape[2] == 7
    assert spectra.select(rows=("0s", 1 * u.s), products="AA").shape[1] == 1


def test_data_is_as_arrays_are(spectra: fs.Chain, recording: Path) -> None:
    data = spectra.read()
    assert (data.shape, len(data), data.unit) == (data.values.shape, len(data.values), u.one)
    assert data.quantity.unit == u.one and np.asarray(data) is not data
    assert np.shares_memory(np.asarray(data), data.values)
    part, same = data[4:9, 2:5, "BB"], spectra[4:9, 2:5, "BB"].read()
    np.testing.assert_array_equal(part.values, same.values)
    np.testing.assert_array_equal(part.weight, same.weight)
    assert part.header.start_time == same.header.start_time
    assert part.header.channels == same.header.channels
    own = data.copy()
    own.values[0], own.weight[0] = 0, 0
    assert not data.values.flags.writeable and data.values[0].any()
    table = part.to_table()
    assert table.colnames == ["time", "frequency", "BB", "weight_BB"] and len(table) == 5
    assert table["frequency"].shape == table["BB"].shape and table["frequency"].unit == u.MHz
    np.testing.assert_array_equal(table["frequency"][4], part.frequency)
    assert table["time"][1] == part.time[1] and table.meta["frequency"][0] == part.frequency[0]
    table.write(recording.with_name("table.ecsv"))
    again = QTable.read(recording.with_name("table.ecsv"))
    assert again.meta["header"]["telescope"] == part.header.telescope
    np.testing.assert_array_equal(again["BB"], table["BB"])
    voltages = fs.open(recording)
    piece = voltages.read(start=100, n=50)
    assert piece.valid[0].tolist() == [[0, 50]] and piece[10:20].valid[1].tolist() == [[0, 10]]
    np.testing.assert_array_equal(piece[10:20].values, voltages[110:120].read().values)
    assert fs.Chain(piece.stream()).read().values.shape == (50, 2)
    assert part.plot().axes


def test_tables_of_chains(spectra: fs.Chain) -> None:
    """Of astropy, with units, frequencies and, where a line is known, velocities."""
    from dataclasses import replace

    table = spectra[4:9, 2:5, "BB"].to_table("HI", "optical")
    assert table.colnames == ["time", "frequency", "velocity", "BB", "weight_BB"]
    data = spectra[4:9, 2:5, "BB"].read()
    np.testing.assert_array_equal(table["BB"], data.values[:, 0])
    np.testing.assert_array_equal(table["velocity"][0], data.velocity("HI", "optical"))
    kelvin = replace(data, header=data.header.replace(unit="K", rest_hz=1420.4e6),
                     columns={"ra_deg": np.arange(5.0)})
    assert [kelvin.to_table()[name].unit for name in ("BB", "velocity", "ra_deg")] == [
        u.K, u.km / u.s, u.deg]
    with pytest.raises(fs.UsageError, match="convention = 'x'"):
        spectra.to_table(convention="x")


def test_arrays_of_chains(spectra: fs.Chain, monkeypatch: Any) -> None:
    np.testing.assert_array_equal(np.asarray(spectra), spectra.read().values)
    assert np.asarray(spectra["AA"], np.float64).dtype == np.float64
    monkeypatch.setattr("fastsig.chain.available_bytes", lambda: 1000)
    with pytest.raises(fs.UsageError, match="more than half of the .* of memory that is free"):
        np.asarray(spectra)


def test_chains_pickle(spectra: fs.Chain) -> None:
    for chain in (spectra, spectra["BB"], spectra[3:9, 2:5, ["AA", "CI"]], spectra.stokes("I")):
        again = pickle.loads(pickle.dumps(chain))
        np.testing.assert_array_equal(again.read().values, chain.read().values)


def test_reprs_fit_a_screen(spectra: fs.Chain, recording: Path, tmp_path: Path) -> None:
    data = spectra.read()
    cycles = spectra.on_off("20ms", tsys="20K")
    written = spectra.write(tmp_path / "w.h5")
    for what in (spectra, spectra.stream, fs.open(recording), fs.open(recording).stream, data,
                 data.header, cycles, spectra.flag_shares(), written, data.copy()):
        text = repr(what)
        assert len(text.splitlines()) <= SCREEN and len(text) < 3000, text
        assert max(map(len, text.splitlines())) <= 200, text
        assert " object at 0x" not in text
    for what in (spectra, spectra.stream, data, cycles, data.header):
        assert what._repr_html_().startswith("<table>")


def test_errors_name_arguments_of_python_and_options_of_the_command_line() -> None:
    for text, expected in (
        ("give --set frequency=440MHz (centre of the band)",
         "give frequency='440MHz' (centre of the band)"),
        ("track (--ky), --zenith-angle 20deg, or --gain 16K/Jy",
         "track (ky=), zenith_angle='20deg', or gain='16K/Jy'"),
        ("exists; give --overwrite to replace it", "exists; give overwrite=True to replace it"),
        ("is not known; give --site FAST", "is not known; give location='FAST'"),
        ("give --set sample_rate=RATE", "give sample_rate=RATE"), ("a -- b", "a -- b"),
        ("--memory 5MB is below the floor", "memory='5MB' is below the floor"),
        ("the file states no beam; give --beam 1", "the file states no beam; give beam=1"),
    ):
        assert in_python(text) == expected == str(fs.UsageError(text))
        before = speak_of_options(True)
        try:
            assert str(fs.UsageError(text)) == text == str(fs.FastsigWarning(text))
        finally:
            speak_of_options(before)


def test_times_of_many_rows_are_those_of_each() -> None:
    start = header().start_time
    for rate in (Fraction(10**6), Fraction(200, 3), Fraction(10**18 + 1, 10**16),
                 Fraction(1, 16)):
        numbers = [0, 1, 7, 999_999, 3_999_999, -5]
        many = sample_times(start, numbers, rate)
        for one, n in zip(many, numbers, strict=True):
            exactly = sample_time(start, n, rate)
            assert (one.jd1, one.jd2) == (exactly.jd1, exactly.jd2)


@pytest.mark.parametrize(("value", "unit"), [
    (16, "s"), ("16", "s"), (1.5, "Hz"), (Fraction(1, 2), "deg"), (np.float64(3), "K"), (True, "s"),
    (np.int64(4), "s")])
def test_numbers_without_a_unit_are_refused_by_name(value: Any, unit: str) -> None:
    with pytest.raises(fs.UsageError, match=r"^width = "):
        exact(value, unit, "width")


def test_zero_needs_no_unit_and_plain_numbers_have_none() -> None:
    assert [exact(value, "s", "x") for value in (0, "0", 0.0, "0 s", 0 * u.h)] == [0] * 5
    assert (exact(2.5, "", "x"), exact("1e8", "", "x")) == (Fraction(5, 2), 10**8)
    assert exact("0.01 1/s", "1 / s", "x") == Fraction(1, 100)
