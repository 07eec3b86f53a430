"""Engines of spectrometers by name: from voltages to a product, compared with fastsig's own."""

from __future__ import annotations

import json
import pickle
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fastsig_kernels import Spectrometer, SpectrometerPlan
from streams import MemoryVoltages, header, lose_packets, noise, write_native
from twin_engine import TwinPlan

import fastsig as fs
from fastsig import plugins, registry
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import Detect

N = 12_000


class OtherBank(Channelize):
    """A stage that is not fused."""


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_ENGINES", {})
    registry.register_engine("twin", TwinPlan)
    return "twin"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("engines") / "voltages.h5"
    return write_native(path, noise(rng, N), header(), lose_packets(rng, N, 0.1, 512))


def product(recording: Path, path: Path, n_int: int = 7, **options: Any) -> Any:
    """Values, weights and the record of stages of a product."""
    chain = fs.open(recording).channelize(16, n_tap=4).detect("IQUV", **options)
    chain.integrate(n_int=n_int).write(path, workers=2)
    made = fs.open(path).read()
    with h5py.File(path) as file:
        stages = json.loads(file["provenance"][()].tobytes())["stages"]
    return made.values, made.weight, stages


def test_spectrometer_plans() -> None:
    assert isinstance(Spectrometer(16), SpectrometerPlan)
    stated = {name for base in SpectrometerPlan.__mro__ for name in vars(base)}
    assert {name for name in vars(TwinPlan) if name[0] != "_"} <= stated | {"api"}


def test_a_product_of_another_engine(recording: Path, tmp_path: Path, twin: str) -> None:
    values, weight, stages = product(recording, tmp_path / "cpu.h5")
    found, found_weight, record = product(recording, tmp_path / "twin.h5", engine=twin)
    assert found.shape == values.shape and np.unique(weight).size > 3  # of sums with lost frames
    np.testing.assert_array_equal(found_weight, weight)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    error, scale = np.nanmax(np.abs(found - values)), np.nanmean(np.abs(values))
    assert 0 < error < 2e-6 * scale  # float64 rounded to float32 differs in the last bits
    # Only the name of another engine is recorded.
    assert [step["parameters"].pop("engine", None) for step in record] == [None, twin, None]
    assert record == stages


def test_the_default_is_not_recorded(recording: Path, tmp_path: Path) -> None:
    product(recording, tmp_path / "a.h5")
    product(recording, tmp_path / "b.h5", engine="cpu")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("head", [
    header(is_complex=True, n_pol=1), header(sideband="lower", n_pol=1)])
def test_other_voltages(head: Any, twin: str) -> None:
    rng = np.random.default_rng(6)
    data = noise(rng, 3000, 1).astype(np.float32)
    data = data if not head.is_complex else (data + 1j * noise(rng, 3000, 1)).astype(np.complex64)
    source = fs.Chain(MemoryVoltages(data, head))
    made = [source.channelize(16, n_tap=4).detect("I", engine=engine)[3:90, 2:9].read()
            for engine in ("cpu", twin)]
    np.testing.assert_allclose(made[1].values, made[0].values, rtol=1e-5)


def test_an_engine_of_a_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("other", "twin_engine:TwinPlan", "fastsig.engines")
    with monkeypatch.context() as patch:
        patch.setattr(plugins, "entry_points", lambda group: [point] * (group == point.group))
        registry._engine_plugins.cache_clear()
        assert registry.engine("other") is TwinPlan
    registry._engine_plugins.cache_clear()


def test_what_is_refused(recording: Path, tmp_path: Path, twin: str) -> None:
    frames = fs.open(recording).channelize(16, n_tap=4)
    with pytest.raises(UsageError, match="engine = 'cuda'; allowed: cpu, twin"):
        frames.detect("I", engine="cuda")
    with pytest.raises(UsageError, match="engine = 'cpu'"):
        registry.register_engine("cpu", TwinPlan)
    detected = frames.detect("I", engine=twin)
    with pytest.raises(PlanError, match="engine 'twin': flag_sigma, .* lacks"):
        detected.integrate(n_int=64, flag_sigma=3.0).write(tmp_path / "x.h5")
    with pytest.raises(PlanError, match="engine 'twin' works only in the fused form"):
        detected.write(tmp_path / "x.h5", fused=False)
    with pytest.raises(PlanError, match="allowed: detect directly after channelize"):
        Detect(OtherBank(frames.stream.source, 16), engine=twin)
    assert not (tmp_path / "x.h5").exists()
    assert pickle.loads(pickle.dumps(detected.stream)).engine == twin
