"""All beams of a project in one task: a map, its moment, the spectrum of a place."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import fastsig
from maps import drift

import fastsig as fs
from fastsig.batch import Recipe
from fastsig.batch.running.run import run

RECIPE = """version = 1
[inputs]
files = ["in/**/*.lines.h5"]
group = "project"
set = { telescope = "FAST" }
[output]
folder = "out"
[[step]]
name = "cube"
command = "grid"
keep = ["extrapolated"]
output = "{project}_{mode}.fits"
[[step]]
command = "moment"
window = ["-200km/s", "200km/s"]
rest = "HI"
output = "{project}_{mode}.m0.fits"
[[step]]
command = "extract"
input = "cube"
at = "50.0,20.0"
output = "{stem}.ecsv"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two beams of one project in two folders, one of another, and the recipe."""
    made = tmp_path_factory.mktemp("maps")
    for night, name, beam in (("a", "P_1_drift-M01.lines.h5", 1),
                              ("b", "P_1_drift-M02.lines.h5", 2),
                              ("b", "Q_drift-M01_W.lines.h5", 1)):
        (made / "in" / night).mkdir(parents=True, exist_ok=True)
        fs.Chain(drift(dec=20 + 0.01 * beam, rows=5, beam=beam)).write(made / "in" / night / name)
    (made / "r.toml").write_text(RECIPE)
    return made


def test_files_of_a_project_are_one_task(folder: Path) -> None:
    tasks = Recipe.read(folder / "r.toml").tasks()
    assert [[Path(path).name for path in task.inputs] for task in tasks] == [
        ["P_1_drift-M01.lines.h5", "P_1_drift-M02.lines.h5"], ["Q_drift-M01_W.lines.h5"]]
    assert [task.name for task in tasks] == ["P_1_drift", "Q_drift"]
    assert tasks[0].outputs == ("P_1_drift.fits", "P_1_drift.m0.fits", "P_1_drift.ecsv")
    grid, moment, extract = tasks[0].steps
    assert "--keep=extrapolated" in grid.argv and "--set=telescope=FAST" in grid.argv
    assert "--window=-200km/s,200km/s" in moment.argv and extract.argv[-1] == grid.argv[
        grid.argv.index("--output") + 1]


def test_a_map_has_the_bytes_of_the_commands(folder: Path, tmp_path: Path) -> None:
    """By a batch on a scratch disk, and by hand."""
    made = Recipe.read(folder / "r.toml")
    (tmp_path / "scratch").mkdir()
    tasks = made.tasks()[:1]
    summary = run(tasks, made.output, warm=False, scratch=str(tmp_path / "scratch"))
    assert summary.counts == {"done": 1}, made.status().rows[0].error
    cube = tmp_path / "P_1_drift.fits"
    fastsig("grid", *tasks[0].inputs, "--keep", "extrapolated", "--set", "telescope=FAST", "-o",
            cube)
    assert (folder / "out" / cube.name).read_bytes() == cube.read_bytes()
    assert (folder / "out" / "P_1_drift.m0.fits").stat().st_size > 2880
    assert made.verify().counts["done"] == 1


def test_one_file_for_commands_that_take_one(folder: Path) -> None:
    step = {"command": "extract", "at": "50.0,20.0", "output": "{stem}.ecsv"}
    made = Recipe({"version": 1, "inputs": {"files": "in/**/*.h5", "group": "project"},
                   "output": {"folder": "x"}, "step": [step]}, folder=folder)
    first, second = made.tasks()
    assert first.refused.startswith("extract accepts one file, this recording has 2; allowed: ")
    assert second.refused == ""


def test_names_that_are_none_of_a_project_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.h5").touch()
    step = {"command": "grid", "output": "{project}.fits"}
    made = Recipe({"version": 1, "inputs": {"files": "x.h5", "group": "project"},
                   "output": {"folder": "x"}, "step": [step]}, folder=tmp_path)
    task, = made.tasks()
    assert "not named as FAST's files are; allowed: {project}_{mode}-M{beam}" in task.refused
    step["output"] = "{beam}.fits"
    made = Recipe({**made.data, "step": [step]}, folder=tmp_path)
    assert len(made.problems) == 1 and "no such field {beam}" in made.problems[0]
