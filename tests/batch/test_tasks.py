"""Tasks: command lines, names that cannot clash or lead out, and what tells tasks apart."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
from cli import fastsig
from hypothesis import given
from hypothesis import strategies as st

from fastsig.batch import Recipe, Task
from fastsig.batch.recipe import name_templates as names
from fastsig.batch.recipe.vocabulary import Vocabulary, commands, vocabulary
from fastsig.batch.tasks.clashes import check_inside
from fastsig.batch.tasks.survey import survey
from fastsig.cli.common import InputPath, OutputPath
from fastsig.errors import UsageError
from fastsig.pulsar.dm_plan import dm_plan
from fastsig.pulsar.stretches import Recording
from fastsig.run.plan_files import write_plan

SPECTRA = {"command": "spectra", "n_chan": [64, 128], "output": "{stem}.{n_chan}.h5"}
VIEW = {"command": "view", "output": "{stem}.{n_chan}.png"}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def recipe(folder: Path, *steps: dict[str, Any], files: Any = "in/**/*.h5", out: str = "out",
           **inputs: Any) -> Recipe:
    made = Recipe({"version": 1, "inputs": {"files": files, **inputs}, "output": {"folder": out},
                   "step": list(steps)}, folder=folder)
    assert made.problems == ()
    return made


def test_a_task_is_command_lines(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5")
    task, = recipe(tmp_path, SPECTRA, {**VIEW, "keep": False}, set={"telescope": "FAST"}).tasks()
    out, source = f"{tmp_path}/out", f"{tmp_path}/in/a.h5"
    assert task.inputs == (source,) and task.folder == out and task.name == "a"
    assert [(step.command, step.argv, step.outputs, step.keep) for step in task.steps] == [
        ("spectra", ("--n-chan=64,128", "--set=telescope=FAST", "--output",
                     f"{out}/a.{{n_chan}}.h5", source), ("a.64.h5", "a.128.h5"), True),
        ("view", ("--output", f"{out}/a.64.png", f"{out}/a.64.h5"), ("a.64.png",), False),
        ("view", ("--output", f"{out}/a.128.png", f"{out}/a.128.h5"), ("a.128.png",), False)]
    assert task.outputs == ("a.64.h5", "a.128.h5")
    for step in task.steps:
        vocabulary(step.command).command.make_context(step.command, list(step.argv))
    told = json.loads(json.dumps(asdict(task)))
    assert told["steps"][0]["argv"][0] == "--n-chan=64,128"
    assert pickle.loads(pickle.dumps(task)) == task
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "made"), [
    ({"dm": "60:70:5"}, ("a_DM60.00.dat", "a_DM65.00.dat", "a_DM70.00.dat")),
    ({"dm": "1,2.125"}, ("a_DM1.000.dat", "a_DM2.125.dat")),
    ({"dm": "60"}, ("a.dat",)),
    ({"dm": "60:70:5", "output": "{stem}.h5"}, ("a.h5",)),
    ({"plan": "plan.ecsv"}, None)])
def test_series_are_products(options: dict[str, Any], made: Any, tmp_path: Path) -> None:
    """Files that are named after dispersion measures: all of them, before any is made."""
    touch(tmp_path, "in/a.h5")
    plan = dm_plan(Recording.of_band("1GHz", "500MHz", 64, "1.6ms"), (0, 300), loss=0.2)
    write_plan(plan, tmp_path / "plan.ecsv")
    task, = recipe(tmp_path, {"command": "dedisperse", "output": "{stem}.dat", **options}).tasks()
    if made is None:
        assert len(task.outputs) == sum(each.n_dm for each in plan) > 10
        assert task.outputs[0] == "a_DM0.00.dat" and len(set(task.outputs)) == len(task.outputs)
    else:
        assert task.outputs == made and not task.refused


def test_two_inputs_of_one_stem_are_refused_each(tmp_path: Path) -> None:
    touch(tmp_path, "in/n1/a.h5", "in/n2/a.h5", "in/n2/b.h5")
    first, second, other = recipe(tmp_path, SPECTRA, VIEW).tasks()
    assert first.refused == second.refused == (
        f"a.64.h5: made from {tmp_path}/in/n1/a.h5 and from {tmp_path}/in/n2/a.h5; add {{parent}} "
        "to step.output")
    assert other.refused == "" and first.id != second.id
    apart = {**SPECTRA, "output": "{parent}/{stem}.{n_chan}.h5"}
    made = recipe(tmp_path, apart).tasks()
    assert [task.refused for task in made] == ["", "", ""]
    assert made[0].outputs == ("n1/a.64.h5", "n1/a.128.h5")


def test_the_hint_of_a_clash_is_what_tells_them_apart(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5", "in/a.fil")
    tasks = recipe(tmp_path, SPECTRA, files="in").tasks()
    assert all("add {name} to step.output" in task.refused for task in tasks)


def test_check_tells_clashes_before_the_start(tmp_path: Path) -> None:
    touch(tmp_path, "n1/a.h5", "n2/a.h5")
    (tmp_path / "r.toml").write_text(
        'version = 1\ninputs.files = ["n?/*.h5"]\noutput.folder = "out"\n'
        '[[step]]\ncommand = "view"\noutput = "{stem}.png"\n')
    done = fastsig("batch", "check", "-c", "r.toml", cwd=tmp_path, code=2)
    assert len(done.stderr.splitlines()) == 2 and "n1/a.h5 and from" in done.stderr
    done = fastsig("batch", "check", "-c", "r.toml", "n1/a.h5", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told == {"recipe": "r.toml", "problems": [], "notes": [], "n_task": 1, "bytes_in": 1,
                    "n_product": 1}
    assert done.stderr == "r.toml: 1 task, 1 product, no mistakes\n"


def test_products_of_the_recipe_are_no_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5", "in/a.64.h5", "in/a.128.h5", "in/b.h5")
    told = survey(recipe(tmp_path, SPECTRA, out="in"))
    assert [task.name for task in told.tasks] == ["a", "b"]
    assert told.notes[0] == f"{tmp_path}/in/a.128.h5: left out: a product of {tmp_path}/in/a.h5"
    touch(tmp_path, "raw/x.raw", "raw/x.0000.raw", "raw/x.0001.raw")
    convert = {"command": "convert", "to": "guppi", "output": "{stem}.{file}.raw"}
    told = survey(recipe(tmp_path, convert, files="raw/*.raw", out="raw"))
    assert [task.inputs for task in told.tasks] == [(f"{tmp_path}/raw/x.raw",)]


def test_an_input_is_never_written_over(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5")
    task, = recipe(tmp_path, {"command": "cut", "output": "{stem}.h5"}, out="in").tasks()
    assert task.refused.startswith("a.h5 is an input and would be lost")


def test_a_link_out_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5", "elsewhere/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    view = {"command": "view", "output": "sub/{stem}.png"}
    task, = recipe(tmp_path, view).tasks()
    assert "a link leads out of the output folder" in task.refused
    (tmp_path / "out" / "a.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    task, = recipe(tmp_path, {"command": "view", "output": "{stem}.png"}).tasks()
    assert "a link leads out of the output folder" in task.refused
    (tmp_path / "out" / "b.png").symlink_to("c.png")
    check_inside(str(tmp_path / "out"), ["b.png", "new/x.png"])


def test_ids_tell_inputs_recipes_and_content(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5", "ky.xlsx")

    def ids(*steps: dict[str, Any], strict: bool = False, **more: Any) -> str:
        return recipe(tmp_path, *steps, **more).tasks(strict=strict)[0].id

    base = ids(SPECTRA)
    assert ids(SPECTRA) == base and len(base) == 64
    assert len({base, ids({**SPECTRA, "n_tap": 4}), ids(SPECTRA, set={"telescope": "FAST"}),
                ids(SPECTRA, VIEW), ids(SPECTRA, strict=True)}) == 5
    (tmp_path / "in" / "b").mkdir()
    os.rename(tmp_path / "in" / "a.h5", tmp_path / "in" / "b" / "a.h5")
    assert ids(SPECTRA) == base  # another folder, the same file
    strict = ids(SPECTRA, strict=True)
    told = os.stat(tmp_path / "in" / "b" / "a.h5")
    (tmp_path / "in" / "b" / "a.h5").write_bytes(b"y")
    os.utime(tmp_path / "in" / "b" / "a.h5", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert ids(SPECTRA) == base and ids(SPECTRA, strict=True) != strict
    os.utime(tmp_path / "in" / "b" / "a.h5", ns=(1, 1))
    assert ids(SPECTRA) != base
    calibrate = {"command": "calibrate", "tcal": "1K", "ky": "ky.xlsx", "output": "{stem}.h5"}
    before = ids(calibrate)
    os.utime(tmp_path / "ky.xlsx", ns=(1, 1))
    assert ids(calibrate) != before


#: Options that a command always takes.
NEEDED = {"calibrate": {"tcal": "1K"}, "burst": {"at": "1s", "dm": "30", "output": "{stem}.ecsv"},
          "view": {"output": "{stem}.html"}}


@pytest.mark.parametrize(("command", "option"), [
    (name, option) for name in commands() for option in vocabulary(name).read])
def test_each_file_that_an_option_names_is_part_of_the_id(
        command: str, option: str, tmp_path: Path) -> None:
    touch(tmp_path, "in/a.h5", "beside.x", "folder/1.txt")
    step = {"command": command, "output": "{stem}.h5", **NEEDED.get(command, {})}

    def change(name: str) -> bool:
        """Whether another time of a file makes another id."""
        made = recipe(tmp_path, {**step, option: name.partition("/")[0]})
        before = made.tasks()[0].id
        os.utime(tmp_path / name, ns=(1, 1))
        return made.tasks()[0].id != before

    assert change("beside.x") and change("folder/1.txt")


def test_paths_of_options_are_read_off_the_command_line() -> None:
    words = Vocabulary(click.Command("x", params=[
        click.Option(["-o", "--output"], type=OutputPath()),
        click.Option(["-m", "--some-mask"], type=InputPath(), multiple=True),
        click.Option(["--level"], type=InputPath(or_value=True)),
        click.Option(["--picture"], type=OutputPath())]))
    assert words.read == ("some_mask", "level") and words.written == ("picture",)
    assert words.files_read(["--some-mask=/b", "--level=3K", "--picture=/p", "--level=/t=1",
                             "--some-mask=/a", "--some-masks=/c", "--output", "/o", "/in"]) == [
        "/b", "/t=1", "/a"]


@pytest.mark.parametrize(("strict", "expected"), [
    (False, "d865175ef7e752da28d22733a49d8ee965ee7cdb3e8fb08cb719263460d4d582"),
    (True, "94ad867586c05997b66ca2f8a242fca32ac5a9a00f9f38bffedc636a322e92ff")])
def test_ids_stay_what_ledgers_have(strict: bool, expected: str, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Written down once: with another id all that was done would be done again."""
    monkeypatch.setattr("fastsig.batch.tasks.identity.__version__", "1")
    for name in ("in/a.h5", "ky.xlsx", "tables/low.txt", "tables/high.txt"):
        touch(tmp_path, name)
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    made = recipe(tmp_path, {"command": "calibrate", "ky": "ky.xlsx", "tcal": "tables",
                             "output": "{stem}.h5"},
                  {"command": "view", "output": "{stem}.png"}, files="in/*.h5",
                  set={"telescope": "FAST"})
    assert [task.id for task in made.tasks(strict=strict)] == [expected]


def test_files_that_options_name_are_found_beside_the_recipe(tmp_path: Path) -> None:
    touch(tmp_path, "in/P_onoff-M01_W_0001.fits", "ky/P.xlsx")
    step = {"command": "calibrate", "tcal": "1K", "ky": "ky/{project}.xlsx",
            "picture": "{beam}.png", "output": "{project}/{beam}.{mode}.h5"}
    task, = recipe(tmp_path, step, files="in/*.fits", group="fast").tasks()
    assert f"--ky={tmp_path}/ky/P.xlsx" in task.steps[0].argv
    assert f"--picture={tmp_path}/out/M01.png" in task.steps[0].argv
    assert task.outputs == ("P/M01.onoff.h5", "M01.png")


def test_fields_of_headers_are_cleaned(tmp_path: Path, samples: Path) -> None:
    (tmp_path / "in").mkdir()
    os.link(samples / "fast_band_1GSa.h5", tmp_path / "in" / "a.h5")
    step = {**VIEW, "output": "{source}/{telescope}.{start}.png"}
    task, = recipe(tmp_path, step, set={"source": "../../etc/\x07x"}).tasks()
    assert task.refused == "" and len(task.outputs) == 1
    source, _, rest = task.outputs[0].partition("/")
    assert source == "_._.._etc__x" and rest.startswith("FAST.20") and rest.endswith(".png")
    touch(tmp_path, "in/bad.h5")
    bad = next(task for task in recipe(tmp_path, step).tasks() if task.name == "bad")
    assert "not a file of a known format" in bad.refused and bad.steps == ()


def test_a_field_that_headers_do_not_tell_is_refused() -> None:
    with pytest.raises(UsageError, match="{source} is empty or unknown for this input"):
        names.fill("{source}.png", {"source": ""})


def test_strange_file_names_become_plain_ones(tmp_path: Path) -> None:
    touch(tmp_path, "in/a{n_chan}\nb.h5", "in/-x.h5", "in/银河.h5")
    touch(tmp_path, os.fsdecode(b"in/\xff.h5"))
    tasks = recipe(tmp_path, {"command": "view", "output": "{stem}.png"}).tasks()
    assert sorted(task.outputs[0] for task in tasks) == sorted(
        ["_x.png", "a_n_chan__b.png", "_.png", "银河.png"])
    assert all(json.dumps(asdict(task)) for task in tasks)
    touch(tmp_path, f"in/{'x' * 200}.h5")
    long = [task for task in recipe(tmp_path, {"command": "view", "output": "{name}.{stem}.png"}
                                    ).tasks() if task.refused]
    assert len(long) == 1 and "a name of more than 160 bytes" in long[0].refused


@given(st.text(max_size=300))
def test_a_cleaned_text_is_a_plain_part_of_a_name(text: str) -> None:
    out = names.clean(text)
    assert "/" not in out and "\0" not in out and out.isprintable()
    assert not out.startswith((".", "-", "~")) and len(out.encode()) <= 100
    assert not set("{}*?[]\\'\"$`;&|<>") & set(out)
    assert names.clean(out) == out


@pytest.mark.parametrize("value", ["..", ".", "../x", "/etc", "", "a/../../b"])
def test_a_filled_name_never_leads_out(value: str) -> None:
    for template in ("{stem}", "{stem}/x", "a/{stem}"):
        try:
            out = names.fill(template, {"stem": names.clean(value)})
        except UsageError:
            continue
        assert os.path.normpath(os.path.join("/out", out)).startswith("/out/")


def test_tasks_may_be_refused_but_never_lost(tmp_path: Path) -> None:
    touch(tmp_path, "in/odd.h5", "in/P_onoff-M01_W_0001.h5")
    tasks = recipe(tmp_path, {"command": "view", "output": "{beam}.png"}, group="fast").tasks()
    assert len(tasks) == 2 and all(isinstance(task, Task) and task.refused for task in tasks)
