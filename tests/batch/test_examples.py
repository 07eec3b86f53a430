"""The example recipes: each passes its check as it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from cli import fastsig

from fastsig.batch import Recipe
from fastsig.batch.recipe import examples
from fastsig.batch.recipe.vocabulary import commands

FILES = {"spectra": ["night/x.0000.raw", "night/x.0001.raw"],
         "seti": ["night/x.0000.raw", "night/x.0001.raw"], "convert": ["recorded/x.dada"],
         "cut": ["spectra/x.h5"], "calibrate": ["night/P_drifting-M01_W_0001.fits"],
         "flag": ["spectra/x.h5"], "baseline": ["kelvin/x.h5"], "switch": ["gbt/x.fits"],
         "frame": ["spectra/x.h5"], "dedisperse": ["spectra/x.h5"],
         "bursts": ["spectra/x.fits"], "burst": ["cut/x.h5"],
         "pulsars": ["spectra/x.fits"], "drift": ["spectra/x.h5"],
         "fold": ["spectra/x.h5"],
         "toas": ["archives/x.ar", "standard.ar"],
         "map": ["products/lines/P_drifting-M01.lines.h5",
                 "products/lines/P_drifting-M02.lines.h5"],
         "pictures": ["products/a/x.h5", "products/b/x.h5"]}


@pytest.mark.parametrize("name", FILES)
def test_an_example_passes_its_check(name: str, tmp_path: Path) -> None:
    fastsig("batch", "init", name, "-q", cwd=tmp_path)
    for each in FILES[name]:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    done = fastsig("batch", "check", "-c", f"{name}.toml", cwd=tmp_path)
    n_task = 2 if name == "pictures" else 1
    assert f"{name}.toml: {n_task} task" in done.stderr and "no mistakes" in done.stderr
    assert (tmp_path / f"{name}.toml").read_text() == examples.text(name)


def test_init_lists_the_examples_and_never_overwrites(tmp_path: Path) -> None:
    listed = fastsig("batch", "init").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(FILES)
    (tmp_path / "cut.toml").write_text("mine")
    fastsig("batch", "init", "cut", cwd=tmp_path, code=4)
    assert (tmp_path / "cut.toml").read_text() == "mine"
    fastsig("batch", "init", "cut", "-o", "other.toml", cwd=tmp_path)
    fastsig("batch", "init", "cut", "--overwrite", cwd=tmp_path)
    done = fastsig("batch", "init", "spctra", cwd=tmp_path, code=2)
    assert "did you mean spectra?" in done.stderr


def test_every_command_has_an_example() -> None:
    used = {step.command for name in examples.about()
            for step in Recipe(tomllib.loads(examples.text(name))).steps}
    assert used == set(commands())
