"""The stage that removes baselines and ripples: same bytes, weights, what is kept, the command."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from streams import header

import fastsig as fs
from fastsig import simulate
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.calibration.baseline import polynomial
from fastsig.calibration.lines import inside
from fastsig.calibration.windows import diode_groups, window_mhz, windows_mhz
from fastsig.errors import FastsigWarning, PlanError, UsageError
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.run import fitting
from fastsig.run.products import write_many
from fastsig.stages.baseline import Baseline
from fastsig.stages.baseline_lines import line_windows
from fastsig.stages.integrate import Integrate
from fastsig.stages.select import Select
from fastsig.stream import Block, SpectrumStream, Sums
from fastsig.stream.header import Header
from fastsig.view import draw_baseline

METHODS: dict[str, dict[str, Any]] = {
    "polynomial": {"order": 2}, "arpls": {"lam": 1e5},
    "ripple-fourier": {"n_rows": 3}, "ripple-sine": {"n_rows": 5, "harmonics": 2},
}


class Memory(SpectrumStream):
    """Spectra that lie in an array."""

    def __init__(self, data: np.ndarray, weight: np.ndarray, head: Header) -> None:
        super().__init__(head, data.shape, np.float32, "memory")
        self.data, self.weight = data.astype(np.float32), weight.astype(np.float32)

    @property
    def files(self) -> list[str]:
        return []

    @property
    def weight_channels(self) -> int:
        return self.weight.shape[2]

    @property
    def columns(self) -> dict[str, str]:
        return {"ra": "deg"}

    def read_columns(self, start: int, n: int) -> dict[str, np.ndarray]:
        return {"ra": np.arange(start, start + n, dtype=float)}

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        self._check_range(start, n)
        weight = self.weight[start : start + n]
        data = np.where(weight > 0, self.data[start : start + n], np.float32(np.nan))
        return Block(data, weight, start, n)

    def read_sums(self, start: int, n: int) -> Sums:
        block = self.read_block(start, n)
        weight = np.broadcast_to(block.valid, (n, self.shape[1], self.weight_channels))
        return Sums(np.nan_to_num(block.data.astype(float) * weight), weight.astype(float))


def head(n_chan: int, names: tuple[str, ...] = ("AA", "BB"), **more: Any) -> Header:
    """W-mode channels from 1405 MHz on, spectra of 1 s."""
    step = Fraction(500 * 10**6, 65536)
    return header().replace(
        sample_rate=Fraction(1), channels=ChannelAxis(Fraction(1405 * 10**6), step, n_chan),
        polarization=PolBasis("linear", names), n_bits=32, **more)


def spectra(n_time: int = 40, n_chan: int = 1024, per_channel: bool = True, **more: Any) -> Memory:
    """Curved spectra with a ripple, some lost."""
    rng = np.random.default_rng(n_time)
    top = head(n_chan, **more)
    x = top.channels.centers.value
    data = 40 + (x - 1409) ** 2 / 8 + 3 * np.cos(2 * np.pi * x / 1.1)
    data = data + rng.normal(0, 1, (n_time, 2, n_chan))
    weight = np.ones((n_time, 1, n_chan if per_channel else 1))
    weight[7:8] = 0
    if per_channel:
        weight[9:20, :, 300:340] = 0.5
        weight[12:13, :, 500:520] = 0
        weight[13:14, :, 2:] = 0  # too few to fit
    return Memory(data, weight, top)


def product(path: Path, stream: Memory) -> Path:
    with FBH5Writer(path, stream.header, stream.shape, weight_channels=stream.weight_channels,
                    provenance={}) as writer:
        block = stream.read_block(0, stream.shape[0])
        writer.append(block.data, block.valid)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diode = DiodeSchedule(4 * 250_000_000, 250_000_000)
    return product(tmp_path_factory.mktemp("baseline") / "in.h5", spectra(diode=diode))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("method", METHODS)
def test_same_bytes_whatever_the_blocks(
    method: str, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "arpls":
        pytest.importorskip("pybaselines")

    def chain() -> fs.Chain:
        return fs.open(recording).baseline(method, protect=["1406MHz-1407MHz"], **METHODS[method])

    chain().write(tmp_path / "one.h5", workers=1)
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 50_000)
    pair = chain().stream.kept()
    names = [tmp_path / "many.h5", tmp_path / "removed.h5"]
    calls = []
    stage = pair[0].source.source
    fit = type(stage)._fit
    monkeypatch.setattr(type(stage), "_fit",
                        lambda self, *rows: calls.append(rows) or fit(self, *rows))
    write_many(pair, names, workers=3)
    assert digest(tmp_path / "one.h5") == digest(tmp_path / "many.h5")
    assert len(calls) == len(set(calls)) >= 3  # a fit for both, once; units are four halos long
    source, left, model = (fs.open(name).read() for name in (recording, *names))
    assert (left.weight == model.weight).all()
    lost = np.broadcast_to(left.weight, left.values.shape) == 0
    assert (np.isnan(left.values) == lost).all() and (np.isnan(model.values) == lost).all()
    assert lost[7].all() and lost[12, :, 500:520].all()
    assert lost[13].all() or method == "ripple-fourier"  # whose neighbours tell
    assert np.abs(left.values + model.values - source.values)[~lost].max() < 1e-5
    steps = fs.open(names[1]).stream.provenance["stages"]
    assert [step["stage"] for step in steps] == ["baseline", "removed"]
    assert steps[0]["parameters"]["method"] == method
    assert steps[0]["parameters"]["protect"] == [[1406.0, 1407.0]]


def test_polynomial_of_a_row_by_hand() -> None:
    stream = spectra()
    stage = Baseline(stream, "polynomial", order=2, include=["1405MHz-1411MHz"],
                     protect=[("1406MHz", "1406.5MHz")])
    x, block = stage.frequency_mhz, stream.read_block(9, 3)
    model = polynomial(block.data, x, np.broadcast_to(block.valid, block.data.shape), 2,
                       [(1405, 1411)], [(1406, 1406.5)])
    np.testing.assert_array_equal(stage.removed(9, 3).data[:2], model[:2].astype(np.float32))
    left = stage.read_block(9, 3)
    np.testing.assert_array_equal(left.data[:2], (block.data - model)[:2].astype(np.float32))
    assert (left.valid[:2] == block.valid[:2]).all()
    assert stage.columns == {"ra": "deg"} and stage.read_columns(3, 2)["ra"].tolist() == [3, 4]
    mean = Integrate(stage, n_int=2).read_block(4, 1)  # rows 8 and 9
    rows, weight = stage.read_block(8, 2).data, stream.weight[8:10]
    np.testing.assert_allclose(mean.data[0], (rows * weight).sum(axis=0) / weight.sum(axis=0),
                               rtol=1e-5, atol=1e-6)


def test_half_a_channel_is_not_fitted() -> None:
    stream = spectra(per_channel=False)
    stream.data[:, :, 0] /= 2
    axes = (stream.header.channels, replace(stream.header.channels, half_channel=0))
    whole, less = (
        Baseline(Memory(stream.data, stream.weight, stream.header.replace(channels=axis)),
                 order=2).removed(0, 1).data for axis in axes)
    true = Baseline(spectra(per_channel=False), order=2).removed(0, 1).data
    assert np.abs(less - true).max() < 0.1 < np.abs(whole - true).max()


def test_diode_groups() -> None:
    # on for 1 s of every 4, from 0.5 s on; rows of half a second
    diode = DiodeSchedule(4 * 250_000_000, 250_000_000, 125_000_000)
    assert diode_groups(diode, Fraction(2), 0, 12).tolist() == [0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0]
    assert diode_groups(diode, Fraction(1), 3, 4).tolist() == [0, 2, 2, 0]
    stream = spectra(diode=DiodeSchedule(2 * 250_000_000, 250_000_000))
    on = np.arange(40) % 2 == 0
    x = stream.header.channels.centers.value
    stream.data[on] += (9 * np.cos(2 * np.pi * x / 1.04 + 1)).astype(np.float32)
    stream.weight[...] = 1
    stage = Baseline(stream, "ripple-fourier", n_rows=9)
    assert stage.needs(10, 5) == (6, 13) and stage.needs(0, 40) == (0, 40)
    model = stage.removed(0, 40).data
    apart = Baseline(Select(Memory(stream.data[on], stream.weight[on], stream.header.replace(
        diode=None)), rows=(0, 20)), "ripple-fourier", n_rows=5).removed(0, 20).data
    np.testing.assert_array_equal(model[on], apart)


def test_arpls_tells_once_that_it_did_not_settle() -> None:
    pytest.importorskip("pybaselines")
    stage = Baseline(spectra(per_channel=False), "arpls", max_iter=1)
    with pytest.warns(FastsigWarning, match="arpls did not converge within 1 iter"):
        assert np.isfinite(stage.read_block(0, 2).data).all()


@pytest.mark.parametrize(("options", "text"), [
    ({"method": "spline"}, "allowed: polynomial, arpls"), ({"lam": 3}, "lam is not an option of"),
    ({"order": 1.5}, "whole number"), ({"order": 99}, "0 to 40"),
    ({"protect": ["1500MHz-1501MHz"]}, "no channel within 1500 to 1501 MHz; the band runs"),
    ({"protect": "1406MHz"}, "two frequencies"), ({"include": ["1407MHz-1406MHz"]}, "lower"),
    ({"method": "ripple-sine", "period": "9MHz"}, "two thirds"),
    ({"method": "ripple-fourier", "n_rows": 4}, "1, 3, 5"),
])
def test_refused_before_anything_is_read(options: dict, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Baseline(spectra(2), **options)


def test_needs_a_frequency() -> None:
    stream = spectra(2)
    stream.header = stream.header.replace(channels=None)
    with pytest.raises(PlanError, match="frequency='1420MHz'"):
        Baseline(stream)


@pytest.mark.parametrize("windows, expected", [
    ((1419 * u.MHz, 1421.5 * u.MHz), ((1419.0, 1421.5),)),
    ([1419, 1421.5] * u.MHz, ((1419.0, 1421.5),)),
    ([(1419 * u.MHz, "1.4215GHz"), "1425MHz-1426MHz"], ((1419.0, 1421.5), (1425.0, 1426.0))),
    ([[1, 2] * u.GHz, [3, 4] * u.GHz], ((1000.0, 2000.0), (3000.0, 4000.0))),
    ("1419MHz-1421.5MHz", ((1419.0, 1421.5),)), ((), ()),
    (("1419MHz", "1.4215e3MHz"), ((1419.0, 1421.5),)), ("1419 to 1421.5 MHz", ((1419.0, 1421.5),)),
    (("1e-3GHz-2MHz", "3MHz-4MHz"), ((1.0, 2.0), (3.0, 4.0))),
])
def test_one_window_and_several(windows: Any, expected: Any) -> None:
    assert windows_mhz(windows) == expected


@pytest.mark.parametrize("windows", [
    None, 5, 1420 * u.MHz, [1420 * u.MHz], (1, 2, 3) * u.GHz, ("1421MHz", "1419MHz"), [None],
    (1421 * u.MHz, 1419 * u.MHz), (1 * u.s, 2 * u.s), [[1, 2, 3] * u.GHz], b"ab", (None, None)])
def test_what_is_no_window(windows: Any) -> None:
    with pytest.raises(UsageError, match="window"):
        windows_mhz(windows)


def test_a_pair_of_frequencies_is_protected(recording: Path) -> None:
    pair, text = (fs.open(recording).baseline(protect=protect) for protect in (
        (1406 * u.MHz, 1407 * u.MHz), "1406MHz-1407MHz"))
    assert pair.stream.parameters() == text.stream.parameters()


def test_windows_as_text() -> None:
    assert window_mhz("1419MHz-1421.5MHz") == (1419.0, 1421.5)
    assert window_mhz("1419-1421.5 MHz") == (1419.0, 1421.5)
    assert window_mhz("1.419e9Hz-1.4215e+9Hz") == (1419.0, 1421.5)
    assert window_mhz((1.4e9 * u.Hz, "1.5GHz")) == (1400.0, 1500.0)
    for bare in ("1.419e9-1.4215e+9", (1.4e9, "1.5GHz"), (1420.2, 1421.1)):
        with pytest.raises(UsageError, match="has no unit"):
            window_mhz(bare)


@pytest.fixture(scope="module")
def hi(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A line of the simulator on a ripple that makes the scatter three times the radiometer's."""
    made = simulate.spectral("W", n_chan=4096, fstart="1405MHz", duration="20s", tsys="20K",
                             level=20,
                             bandpass="flat", seed=5,
                             line=simulate.Line(peak="2K", fwhm="0.4MHz", frequency="1420.4MHz"))
    data = made.generate(0, made.n_time)[0][:, :2]
    x = made.axis.centers.value
    sigma = 20 / np.sqrt(made.n_sum)
    turn = 2 * np.pi * x / 1.07 + 0.02 * np.arange(made.n_time)[:, np.newaxis]
    data = data + 4 * sigma * np.cos(turn)[:, np.newaxis] + ((x - 1418) / 12) ** 2
    path = tmp_path_factory.mktemp("hi") / "hi.h5"
    top = made.header.replace(polarization=PolBasis("linear", ("AA", "BB")))
    stream = Memory(data, np.ones((len(data), 1, 1)), top)
    return product(path, stream), sigma


@pytest.mark.parametrize("method", ["ripple-fourier", "ripple-sine"])
def test_simulated_ripple_goes_and_the_line_stays(method: str, hi: tuple[Path, float]) -> None:
    path, sigma = hi
    source = fs.open(path)
    found = line_windows(Baseline(source.stream, method))
    assert len(found) == 1 and found[0][0] < 1420 and 1420.8 < found[0][1] < 1423
    x = source.frequency.value
    within = inside(x, found)
    stage = source.baseline(method, protect=[tuple(f"{end!r}MHz" for end in found[0])])
    values = [chain.read().values.astype(float) for chain in (source, stage)]
    flat = [each - polynomial(each, x, order=5, protect=found) for each in values]
    ratio = [each[..., ~within].std() / sigma for each in flat]
    assert 2.9 < ratio[0] < 3.1 and 0.97 < ratio[1] < 1.04  # 1.15 is asked
    truth = 2 * 0.4 * np.sqrt(np.pi / np.log(2)) / 2 / (500 / 65536)  # K channels, half a kelvin
    flux = flat[1][..., within].sum(axis=-1).mean() / truth
    assert abs(flux - 1) < 0.02


def test_command_with_all_its_files(hi: tuple[Path, float], tmp_path: Path) -> None:
    path, _ = hi
    done = fastsig("baseline", path, "-o", "flat.h5", "--method", "ripple-fourier", "--protect",
                   "auto", "--keep", "removed.h5", "--picture", "p.png", "--product", "BB",
                   "--json", "--fstart", "1410MHz", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["keep"] == "removed.h5" and record["trend"] == 5 and len(record["protect"]) == 1
    assert "protected 141" in done.stderr and "wrote p.png" in done.stderr
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    flat, removed = (fs.open(tmp_path / name) for name in ("flat.h5", "removed.h5"))
    source = fs.open(path)[:, 1410e6 * fs.open(path).sample_rate.unit :]
    total = flat.read().values + removed.read().values
    assert np.abs(total - source.read().values).max() < 1e-5
    window = "{!r}MHz-{!r}MHz".format(*record["protect"][0])
    fastsig("baseline", path, "-o", "again.h5", "--method", "ripple-fourier", "--protect", window,
            "--fstart", "1410MHz", "-j", 1, cwd=tmp_path)
    assert digest(tmp_path / "again.h5") == digest(tmp_path / "flat.h5")


@pytest.mark.parametrize(("words", "code", "text"), [
    (("--method", "arpls", "--order", "2"), 2, "order is not an option of arpls"),
    (("--method", "polynomial", "--tsys", "3"), 2, "with --picture"),
    (("--method", "polynomial", "--picture", "x.txt"), 2, "ends in .png"),
    (("--method", "polynomial", "--keep", "out.h5"), 2, "two files have the same name"),
    (("--method", "polynomial", "--to", "sigproc"), 2, "--lossy"),
    ((), 2, "--method"),
])
def test_command_refuses(words: tuple, code: int, text: str, recording: Path, tmp_path: Path
                         ) -> None:
    done = fastsig("baseline", recording, "-o", "out.h5", *words, code=code, cwd=tmp_path)
    assert text in done.stderr and list(tmp_path.iterdir()) == []


def test_command_of_voltages(samples: Path, tmp_path: Path) -> None:
    done = fastsig("baseline", samples / "fast_band_1GSa.h5", "-o", "out.h5", "--method",
                   "polynomial", code=3, cwd=tmp_path)
    assert "contains voltage" in done.stderr


def test_dry_run_touches_nothing(recording: Path, tmp_path: Path) -> None:
    done = fastsig("baseline", recording, "-o", "out.h5", "--method", "polynomial", "--keep",
                   "k.h5", "--dry-run", cwd=tmp_path)
    assert "would write k.h5" in done.stdout and list(tmp_path.iterdir()) == []


def test_pictures_of_what_little_there_is() -> None:
    stage = Baseline(spectra(1, per_channel=False), "polynomial", order=0)
    assert len(draw_baseline(stage).axes) == 4
    assert len(draw_baseline(stage, product="BB", tsys=20).axes) == 4
    with pytest.raises(UsageError, match="AA, BB"):
        draw_baseline(stage, product="I")
    lost = spectra(3, per_channel=False)
    lost.weight[...] = 0
    with pytest.raises(UsageError, match="nothing is valid"):
        draw_baseline(Baseline(lost))
    signed = Memory(np.zeros((2, 1, 64)), np.ones((2, 1, 1)), head(64, ("V",)))
    assert len(draw_baseline(Baseline(signed)).axes) == 4
