"""Stages: what comes from their source, how they are rebuilt, and those of other packages."""

from __future__ import annotations

import inspect
import pickle
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stages_made import Delayed
from streams import MemorySpectra, header

import fastsig as fs
from fastsig import plugins, registry
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import Block, SpectraStage, Stream

SAMPLE = "frb_carrier_16MHz.h5"


def spectra() -> MemorySpectra:
    about = header(1000, n_chan=8).replace(polarization=PolBasis("linear", PRODUCTS["I"]),
                                           n_bits=32)
    return MemorySpectra(np.random.default_rng(1).normal(9, 1, (100, 1, 8)), about)


def chains(samples: Path) -> list[fs.Chain]:
    """A chain that ends with every stage that can be made of a sample."""
    voltages = fs.open(samples / SAMPLE)
    detected = voltages.channelize(64, oversample="4/3").detect("AABBCRCI", sign_v=-1)
    powers = detected.integrate(n_int=20)
    return [voltages[100:90_000], voltages.channelize(64), detected, detected.integrate("1ms"),
            powers.select(rows=(3, 40), channels=(5, 20)), powers.flag(clip=4, width=9),
            powers.baseline("polynomial", order=2), powers.stokes("IQUV"),
            powers.frame("lsrk", position="30deg,20deg", location="FAST")]


def test_every_stage_pickles_and_is_rebuilt(samples: Path) -> None:
    for chain in chains(samples):
        stream: Any = chain.stream
        for other in (pickle.loads(pickle.dumps(stream)), stream.on(*stream.inputs())):
            assert type(other) is type(stream) and other.shape == stream.shape
            assert other.header == stream.header
            assert dict(other.parameters()) == dict(stream.parameters())
            one, two = (each.read_block(2, 5) for each in (stream, other))
            np.testing.assert_array_equal(one.data, two.data)


def test_an_equal_source_takes_the_place(samples: Path) -> None:
    chain = fs.open(samples / SAMPLE).channelize(64).detect("I").flag(n_segment=50)
    fused = chain.stream.with_source(Spectrometer.fuse(chain.stream.source))
    assert fused is not chain.stream and isinstance(fused.source, Spectrometer)
    np.testing.assert_array_equal(fused.read_block(7, 99).data,
                                  chain.stream.read_block(7, 99).data)
    for other in (chain.stream.source.source, fs.open(samples / SAMPLE).channelize(32).detect("I")):
        with pytest.raises(fs.PlanError, match="header or shape differ"):
            chain.stream.with_source(getattr(other, "stream", other))


def test_what_a_stage_does_not_change_is_its_source_s() -> None:
    source = spectra()
    stage = Delayed(source, before=3)
    assert stage.header is source.header and stage.shape == source.shape
    assert stage.weight_channels == source.weight_channels == 8
    assert stage.columns == source.columns and stage.path == "memory"
    assert stage.needs(2, 5) == (0, 7) and stage.needs(50, 5) == (47, 8)
    assert stage.needs(98, 2) == (95, 5) and stage.needs(50, 0) == (50, 0)
    assert stage.arguments() == {"before": 3} == dict(stage.parameters())
    np.testing.assert_allclose(stage.read_sums(4, 2).total,
                               stage.read_block(4, 2).data, rtol=1e-6)


def test_weights_are_as_many_as_a_stage_states(samples: Path, tmp_path: Path) -> None:
    class Wide(SpectraStage):
        name = "wide"

        def read_block(self, start: int, n: int, out: Any = None) -> Block:
            block = self.source.read_block(start, n)
            return Block(block.data, np.ones(block.data.shape, np.float32), start, n)

    stage = Wide(fs.open(samples / "SIMPSR_tracking-M01_0001.fits").stream)
    for run in (lambda: fs.Chain(stage).write(tmp_path / "x.h5"),
                lambda: fs.Chain(stage).integrate(n_int=4).read()):
        with pytest.raises(fs.PlanError, match="wide returns weights of 32 channels"):
            run()


def test_a_stage_says_how_it_is_read() -> None:
    class Nothing(SpectraStage):
        name = "nothing"

    with pytest.raises(TypeError, match="neither read_block nor read_sums"):
        Nothing(spectra())
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(spectra())


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Entry points of a package of its own, as far as a test can install one."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "entry_points",
                        lambda group: [p for p in points if p.group == group])

    def plug(name: str, place: str) -> None:
        points.append(EntryPoint(name, place, "fastsig.stages"))
        registry.stages.cache_clear()

    yield plug
    monkeypatch.undo()
    registry.stages.cache_clear()


def test_a_stage_of_another_package(samples: Path, tmp_path: Path, plugged: Any) -> None:
    """One file and an entry point: fused below, on the chain, in provenance, in --explain."""
    plugged("delayed", "stages_made:Delayed")
    powers = fs.open(samples / SAMPLE).channelize(64).detect("AABB")
    chain = powers.delayed(300, after=5).integrate(n_int=16)
    words = inspect.getdoc(Delayed).splitlines()  # without the stream, which the chain gives
    assert "delayed" in dir(powers) and powers.delayed.__doc__.splitlines()[0] == words[0]
    assert list(inspect.signature(powers.delayed).parameters) == ["before", "after"]
    text = chain.explain()
    assert "Spectrometer" in text and "delayed" in text and "300+5" in text
    for workers, fused in ((1, False), (2, True)):
        chain.write(tmp_path / f"{workers}.h5", workers=workers, fused=fused)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()
    stages = fs.open(tmp_path / "1.h5").stream.provenance["stages"]
    assert [stage["stage"] for stage in stages] == ["channelize", "detect", "delayed", "integrate"]
    assert stages[2]["parameters"] == {"before": 300, "after": 5}


def test_stages_that_do_not_fit_are_one_warning(plugged: Any) -> None:
    plugged("misnamed", "stages_made:Misnamed")
    with pytest.warns(fs.FastsigWarning, match="misnamed .* is left out: its name is 'other'"):
        assert "misnamed" not in registry.stages()


def test_measurements_read_and_stages_do_not(samples: Path) -> None:
    chain = fs.open(samples / "SIMHI_onoff-M01_W_0001.fits")
    assert set(registry.measurements()) <= set(dir(chain))
    assert not set(registry.measurements()) & set(registry.stages())
    shares = chain.flag_shares()
    assert shares.total == pytest.approx(0.04)  # one row was lost
    diode = chain.measure_diode("12.5K")
    kelvin = chain.calibrate(diode, guard="1ms")
    assert kelvin.header.unit == "K" and kelvin.stream.name == "calibrate"
    assert kelvin.flux(gain="16K/Jy").header.unit == "Jy"
    with pytest.raises(fs.UsageError, match="the result of measure_diode"):
        chain.calibrate("12.5K")
    for other, message in ((chain[2:], "begins at .*; allowed: the spectra in which the diode"),
                           (chain[:, 2:], "the solution is for products .* channels"),
                           (fs.open(chain.stream.files[0], frequency="1 GHz"), "other frequenc")):
        with pytest.raises(fs.UsageError, match=message):
            other.calibrate(diode)
    with pytest.raises(fs.UsageError, match="neither a chain nor a stream"):
        from fastsig.run.flag_shares import flag_shares

        flag_shares("x.h5")
    with pytest.raises(AttributeError, match="and its verbs channelize"):
        _ = chain.nothing


def test_a_stream_is_asked_for_by_name() -> None:
    assert isinstance(spectra(), Stream)
    with pytest.raises(fs.UsageError, match="there is no .*; allowed: "):
        registry.stage("nothing")
    with pytest.raises(fs.UsageError, match="there is no .*; allowed: "):
        registry.measurement("nothing")


def test_public_functions_take_chains(samples: Path, tmp_path: Path) -> None:
    from fastsig.reductions.switching.on_off import on_off
    from fastsig.view import draw, draw_baseline, draw_flags, write_page

    chain = fs.open(samples / "SIMHI_onoff-M01_W_0001.fits")
    assert draw(chain).axes and draw_flags(chain, chain.flag()).axes
    assert draw_baseline(chain.baseline("polynomial")).axes
    write_page(chain, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 1000
    for take in (lambda *args: on_off(*args), lambda *args: args[0].on_off(*args[1:])):
        with pytest.raises(fs.UsageError, match="need either tsys"):
            take(chain, "2s")
