"""Products of any kind: what commands do with a file is a table from kind to handler."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cubes_made
import numpy as np
import pytest
from cli import ROOT, fastsig

import fastsig as fs
from fastsig import plugins, registry
from fastsig.errors import DoubtWarning
from fastsig.io.opening import detect, detect_files, open_stream
from fastsig.io.raw import reader as raw
from fastsig.products import convert, info, validate, view

#: A format of a kind that fastsig knows nothing of, as a plug-in's module.
PLUGIN = '''
api = 1
NAME, KINDS = "fake", ("profile",)

def sniff(probe):
    return probe.head.startswith(b"PROFILE")

def info(path, *, deep=False, **overrides):
    return {"n_bin": 64, "deep": deep, "warnings": ["of a pulsar"]}

def verify(path, **overrides):
    from fastsig.errors import DataError
    if b"damaged" in open(path, "rb").read():
        raise DataError(path, "is damaged")
    return True
'''
DRAW = '''
def draw(path, **overrides):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([0, 1])
    return figure
'''


def module_of(source: str) -> ModuleType:
    module = ModuleType("fake")
    exec(source, module.__dict__)
    return module


class Point:
    """An entry point."""

    def __init__(self, module: ModuleType) -> None:
        self.name, self._module = "fake", module

    def load(self) -> ModuleType:
        return self._module


def offer(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    points = [Point(module_of(source))]
    monkeypatch.setattr(plugins, "entry_points",
                        lambda group: points if group == "fastsig.formats" else [])
    forget()


def forget() -> None:
    """Let the registry ask for entry points again."""
    for function in vars(registry).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def fresh() -> Iterator[None]:
    yield
    forget()


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    (tmp_path / "x.prof").write_text("PROFILE of a pulsar")
    return tmp_path / "x.prof"


def test_every_format_of_ours_declares_kinds_that_have_handlers() -> None:
    for name, module in {**registry.formats(), raw.NAME: raw}.items():
        assert registry.kinds(module) == module.KINDS and module.KINDS, name
        streams = set(module.KINDS) <= set(registry.STREAMS)
        assert streams or len(module.KINDS) == 1, name
        for kind in module.KINDS:
            assert kind in info.HANDLERS and kind in validate.HANDLERS and kind in view.HANDLERS
            assert (kind in convert.HANDLERS) == streams
        assert streams == hasattr(module, "open"), name


def test_what_streams_hold_is_what_their_format_declares() -> None:
    for path in sorted((ROOT / "data" / "samples").iterdir()):
        if path.suffix in (".h5", ".raw", ".fits", ".fil"):
            with fs.open(path) as chain:
                assert chain.stream.kind in registry.kinds(detect(path)[1]), path


def test_a_kind_of_a_plug_in_is_described_and_validated(
    profile: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    offer(monkeypatch, PLUGIN)
    fields = fs.info(profile, deep=True)
    assert list(fields)[:5] == ["path", "format", "kind", "n_bin", "deep"]
    assert (fields["format"], fields["kind"], fields["deep"]) == ("fake", "profile", True)
    assert fields["n_time"] is None and fields["warnings"] == ["of a pulsar"]
    assert validate.validate(profile) == {"path": str(profile), "valid": True, "checksums": True,
                                          "doubts": []}
    profile.write_text("PROFILE that is damaged")
    record = validate.validate(profile)
    assert not record["valid"] and record["error"] == f"{profile}: is damaged"


def test_a_kind_without_a_handler_is_refused_in_one_line(
    profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    offer(monkeypatch, PLUGIN)
    with pytest.raises(fs.FormatError, match=r"x\.prof: contains profile \(fake\), and the format "
                                             r"has no draw; allowed here: voltage, spectra, cube"):
        view.draw_file(str(profile), str(tmp_path / "p.png"))
    for reader in (open_stream, fs.open, lambda path: convert.convertible(path, "p.h5")):
        with pytest.raises(fs.FormatError, match=r"x\.prof: contains profile \(fake\); allowed"):
            reader(str(profile))
    offer(monkeypatch, PLUGIN.replace("def verify", "def other").replace("def info", "def more"))
    with pytest.raises(fs.FormatError, match=r"x\.prof: .* has no info; allowed here: voltage"):
        fs.info(profile)
    assert "has no verify" in validate.validate(profile)["error"]
    assert not list(tmp_path.glob("p.*"))


def test_a_kind_of_a_plug_in_is_drawn_where_it_offers_draw(
    profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    offer(monkeypatch, PLUGIN + DRAW)
    for name in ("p.png", "p.html"):
        view.draw_file(str(profile), str(tmp_path / name))
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "profile" in (tmp_path / "p.html").read_text()
    with pytest.raises(fs.OutputError, match="exists"):
        view.draw_file(str(profile), str(tmp_path / "p.png"))
    with pytest.raises(fs.UsageError, match="what= has no meaning for a profile"):
        view.draw_file(str(profile), str(tmp_path / "q.png"), view.Wanted(what="sheet"))


def test_a_plug_in_on_the_command_line(profile: Path, tmp_path: Path) -> None:
    """An installed package: nothing of ours is changed, and exit codes are as of any format."""
    site = tmp_path / "site"
    (site / "fake-1.dist-info").mkdir(parents=True)
    (site / "fake_format.py").write_text(PLUGIN)
    (site / "fake-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\n"
                                                       "Version: 1\n")
    (site / "fake-1.dist-info" / "entry_points.txt").write_text(
        "[fastsig.formats]\nfake = fake_format\n")
    before = f"import sys; sys.path.insert(0, {os.fspath(site)!r})\n"
    (record,) = json.loads(fastsig("info", profile, "--json", before=before).stdout)
    assert record["kind"] == "profile" and record["n_bin"] == 64
    text = fastsig("info", profile, before=before).stdout
    assert "  n_bin            64\n" in text and "telescope" not in text
    assert fastsig("validate", profile, before=before).stdout == f"{profile}: good\n"
    done = fastsig("view", profile, "-o", tmp_path / "p.png", code=3, before=before)
    assert done.stderr.count("\n") == 1 and "has no draw" in done.stderr
    done = fastsig("convert", profile, "-o", tmp_path / "p.h5", code=3, before=before)
    assert done.stderr.count("\n") == 1 and "contains profile" in done.stderr


def test_cubes_are_found_by_content_as_streams_are(tmp_path: Path) -> None:
    head = cubes_made.header(8, 8, cubes_made.axis("FREQ", 3)[0])
    path = cubes_made.write(tmp_path / "cube.dat", np.ones((3, 8, 8), np.float32), head)
    found = detect_files(str(tmp_path / "cub*.dat"))
    assert (found.name, found.kinds, found.files) == ("fits_cube", ("cube",), [str(path)])
    assert fs.info(str(tmp_path / "cube"))["kind"] == "cube"
    for read in (fs.open, open_stream):
        with pytest.raises(fs.FormatError, match="contains a cube of maps; allowed here: a stream"):
            read(path)
    with pytest.raises(fs.UsageError, match="files of fits_cube are separate recordings"):
        fs.info([path, cubes_made.write(tmp_path / "d.dat", np.ones((3, 8, 8), "f4"), head)])


def test_options_that_mean_nothing_to_a_kind(tmp_path: Path, samples: Path) -> None:
    def refused(wanted: view.Wanted, path: Any, output: str = "p.png") -> str:
        with pytest.raises(fs.UsageError) as caught:
            view.draw_file(str(path), str(tmp_path / output), wanted)
        return str(caught.value)

    band = samples / "fast_band_1GSa.h5"
    assert refused(view.Wanted(what="sheet"), band) == (
        "what = 'sheet'; allowed for voltages: histogram, power, bandpass")
    assert refused(view.Wanted(page_size=10**6), band, "p.html").startswith("page_size= has no")
    head = cubes_made.header(8, 8, cubes_made.axis("FREQ", 3)[0])
    cube = cubes_made.write(tmp_path / "c.fits", np.ones((3, 8, 8), np.float32), head)
    assert "tstop= has no meaning for a cube" in refused(view.Wanted(tstop="1s"), cube)
    assert "scale= has no meaning for a cube" in refused(view.Wanted(scale="db"), cube)
    assert "vmin= has no meaning for the page" in refused(view.Wanted(vmin=1), cube, "p.html")
    with pytest.warns(DoubtWarning, match="weights"):
        found = refused(view.Wanted(what="coverage", vmax=1), cube)
    assert "do not apply to coverage" in found
    assert not list(tmp_path.glob("p.*"))


def test_info_shows_stages_and_all_cards(samples: Path, tmp_path: Path) -> None:
    from astropy.io import fits

    path = samples / "SIMHI_onoff-M01_W_0001.fits"
    cards = fs.info(path, cards=True)["cards"]
    with fits.open(path) as units:
        for unit, (name, found) in zip(units, cards.items(), strict=True):
            assert unit.name in name and set(found) == set(unit.header)
    assert "cards" not in fs.info(path)
    product = tmp_path / "x.h5"
    fs.open(samples / "fast_band_1GSa.h5").channelize(64).detect("I").write(product)
    text = fastsig("info", "--cards", product).stdout.splitlines()
    first = next(number for number, line in enumerate(text) if line.startswith("  stages  "))
    assert text[first].split()[1].startswith("channelize(")
    assert text[first + 1].startswith(" " * 19 + "detect(")
    assert "  cards of header" in text
    raw = fastsig("info", "--cards", samples / "frb_coarse_16MHz.0000.raw").stdout
    assert any(line.split() == ["BLOCSIZE", "131072"] for line in raw.splitlines())
