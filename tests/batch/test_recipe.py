"""Recipes: what is understood, and every mistake at once with the nearest right word."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from cli import fastsig

import fastsig as fs
from fastsig.batch import Recipe, RecipeError
from fastsig.batch.recipe.suggestions import nearest
from fastsig.batch.recipe.vocabulary import OWN, commands, vocabulary

SIX = """
version = 1
[inputs]
files = ["night/*.raw"]
group = "scans"
[output]
folder = "products"
[[step]]
command = "spectra"
n_chn = 4096
integrate = "1mss"
products = "IQU"
output = "{stm}.h5"
[[step]]
command = "vieww"
output = "{stem}.png"
"""


def recipe(*steps: dict[str, Any], **tables: Any) -> Recipe:
    return Recipe({"version": 1, "inputs": {"files": ["x"]}, "output": {"folder": "out"},
                   "step": list(steps), **tables})


def spectra(**options: Any) -> dict[str, Any]:
    return {"command": "spectra", "n_chan": 64, "output": "{stem}.h5", **options}


def test_six_mistakes_are_six_lines_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(SIX)
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "a.0000.raw").touch()
    before = sorted(os.walk(tmp_path))
    done = fastsig("batch", "check", "-c", "bad.toml", code=2, cwd=tmp_path)
    assert done.stderr.splitlines() == [
        'bad.toml: inputs.group = "scans": no such choice; did you mean scan?',
        "bad.toml: step[1].n_chn = 4096: no such option of spectra; did you mean n_chan?",
        'bad.toml: step[1].integrate = "1mss": not a value in s; did you mean 1ms?',
        'bad.toml: step[1].products = "IQU": no such choice; did you mean IQUV?',
        'bad.toml: step[1].output = "{stm}.h5": no such field {stm}; did you mean stem?',
        'bad.toml: step[2].command = "vieww": no such command; did you mean view?',
    ]
    assert done.stdout == "" and sorted(os.walk(tmp_path)) == before


@pytest.mark.parametrize(("options", "where", "why"), [
    ({"n_tap": 8.5}, "n_tap = 8.5", "allowed: a whole number"),
    ({"n_tap": True}, "n_tap = true", "allowed: a string or a number"),
    ({"min_valid": "high"}, 'min_valid = "high"', "allowed: a number"),
    ({"bits": 12}, "bits = 12", "no such choice; allowed: 8, 16, 32"),
    ({"lossy": "yes"}, 'lossy = "yes"', "allowed: true or false"),
    ({"fstart": 1400}, "fstart = 1400", "has no unit; allowed: a frequency such as 1400MHz"),
    ({"tstart": "10 parsec"}, 'tstart = "10 parsec"', "not a value in s; allowed: a number with"),
    ({"integrate": ["1ms", "2ms"]}, 'integrate = ["1ms", "2ms"]', "a list; allowed: a single"),
    ({"integrate": {"a": 1}}, "integrate = { a = 1 }", "a table; allowed: a single value"),
    ({"integrate": " "}, 'integrate = " "', "allowed: a string that is not empty"),
    ({"n_chan": "64,x"}, 'n_chan = "64,x"', "not numbers separated by commas"),
    ({"n_chan": []}, "n_chan = []", "an empty list; allowed: at least one value"),
    ({"n_chan": [64, 64]}, "n_chan = [64, 64]", "contains a number twice"),
    ({"n_chan": [64, 128]}, "output", "allowed: a name with {n_chan} in it"),
    ({"workers": 4}, "workers = 4", "not an option of a step: see batch run --workers"),
    ({"memory": "1GB"}, "memory", "not an option of a step: see limits.memory"),
    ({"overwrite": True}, "overwrite", "not an option of a step"),
    ({"n-chan": 64}, "n-chan = 64", "did you mean n_chan?"),
    ({"output": "../{stem}.h5"}, "output", "leads out of output.folder through '..'"),
    ({"output": "/tmp/{stem}.h5"}, "output", "an absolute path"),
    ({"output": "{stem}/.h5"}, "output", "begins with a dot"),
    ({"output": "{stem.h5"}, "output", "an unmatched brace"),
    ({"output": "{stem!r}.h5"}, "output", "no such field {stem!r}"),
    ({"output": "a\nb"}, "output", "contains a control character"),
    ({"output": 3}, "output = 3", "allowed: a name, such as {stem}.h5"),
    ({"keep": "no"}, 'keep = "no"', "allowed: true or false"),
    ({"input": "before"}, 'input = "before"', "no step before has this name"),
    ({"command": "info"}, 'command = "info"', "does not make files from others; allowed: spectra"),
    ({"set": ["nonsense"]}, "set", "allowed: KEY=VALUE"),
])
def test_a_mistake_is_one_line(options: dict[str, Any], where: str, why: str) -> None:
    found = recipe(spectra(**options)).problems
    assert len(found) == 1, found
    assert found[0].startswith(f"recipe: step[1].{where}") and why in found[0], found
    assert "\n" not in found[0]


@pytest.mark.parametrize(("tables", "why"), [
    ({"version": 2}, "version = 2: unknown; allowed: 1"),
    ({"inptus": {}}, "inptus = {  }: no such table; did you mean inputs?"),
    ({"limits": {"memory": "4GBB"}}, 'not a value in bytes; did you mean 4GB'),
    ({"limits": {"time": "0s"}}, 'limits.time = "0s": allowed: above 0'),
    ({"limits": {"retries": -1}}, "limits.retries = -1: allowed: a whole number"),
    ({"limits": {"tries": 1}}, "limits.tries = 1: no such key; did you mean retries?"),
    ({"output": {}}, "output.folder: missing"),
    ({"output": {"folder": "{stem}"}}, "allowed: a name without braces"),
    ({"output": 3}, "output = 3: allowed: a table [output]"),
    ({"inputs": {"files": 3}}, "inputs.files = 3: allowed: names and patterns"),
    ({"inputs": {"files": ["x"], "set": {"a": [1]}}}, "inputs.set.a = [1]: allowed: a string or a"),
    ({"step": []}, "step: missing"),
    ({"step": 3}, "step = 3: allowed: tables"),
])
def test_a_mistake_outside_of_steps(tables: dict[str, Any], why: str) -> None:
    found = [line for line in recipe(spectra(), **tables).problems if why in line] \
        if "step" not in tables else list(recipe(**tables).problems)
    assert len(found) == 1 and why in found[0], recipe(spectra(), **tables).problems


def test_options_are_words_of_the_command_line() -> None:
    made = recipe(spectra(
        n_chan=[64, 128], integrate="1ms", lossy=True, verify=False, min_valid=0.5, n_tap=4,
        tstart=datetime.datetime(2020, 4, 28, 14, 34, 24, tzinfo=datetime.UTC),
        set={"telescope": "FAST", "sample_rate": 1e9}, output="{stem}.{n_chan}.h5"))
    assert made.problems == ()
    assert made.steps[0].words == (
        "--n-chan=64,128", "--integrate=1ms", "--lossy", "--min-valid=0.5", "--n-tap=4",
        "--tstart=2020-04-28T14:34:24", "--set=telescope=FAST", "--set=sample_rate=1000000000.0")
    words = [*made.steps[0].words, "--output", "x.{n_chan}.h5", "in.h5"]
    parsed = vocabulary("spectra").command.make_context("spectra", words).params
    assert parsed["n_chan"] == [64, 128] and parsed["lossy"] and not parsed["verify"]


def test_a_repeated_option_takes_a_list_and_a_schedule_a_table() -> None:
    made = recipe(
        {"command": "flag", "bands": ["gnss", "1378MHz-1385MHz"], "output": "{stem}.h5"},
        {"command": "calibrate", "tcal": ["1.1K", "1.2K"], "output": "{stem}.k.h5",
         "diode": {"period": "2s", "on": "1s"}})
    assert made.problems == ()
    assert made.steps[0].words == ("--bands=gnss", "--bands=1378MHz-1385MHz")
    assert made.steps[1].words == ("--tcal=1.1K,1.2K", "--diode=period=2s,on=1s")


def test_values_cannot_become_options() -> None:
    assert recipe(spectra(window="--overwrite")).steps[0].words[1] == "--window=--overwrite"


def test_keep_is_of_the_step_and_of_baseline() -> None:
    step = {"command": "baseline", "method": "arpls", "output": "{stem}.h5"}
    assert not recipe({**step, "keep": False}).steps[0].keep
    made = recipe({**step, "keep": "{stem}.base.h5"}).steps[0]
    assert made.keep and made.writes == (("keep", "{stem}.base.h5"),)


def test_steps_take_the_products_before_and_need_names_that_differ() -> None:
    first = spectra(n_chan=[64, 128], output="{stem}.{n_chan}.h5")
    view = {"command": "view", "output": "{stem}.png"}
    found = recipe(first, {"command": "flag", "output": "{stem}.{n_chan}.f.h5"}, view).problems
    assert found == ('recipe: step[3].output = "{stem}.png": one name for several products; '
                     "allowed: a name with {n_chan} in it",)
    twice = recipe(spectra(), {"command": "view", "output": "{stem}.h5"})
    assert "a picture ends in" in twice.problems[0]
    assert "step[1].output has this name" in recipe(spectra(), spectra(input="inputs")).problems[0]


def test_syntax_errors_tell_their_line(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("version = 1\n[[step]\n")
    done = fastsig("batch", "check", "-c", path, code=2)
    assert done.stderr.startswith(f"{path}: not valid TOML: ") and "at line 2" in done.stderr
    path.write_bytes(b"\xff\xfe")
    assert "not valid TOML" in fastsig("batch", "check", "-c", path, code=2).stderr
    fastsig("batch", "check", "-c", tmp_path / "gone.toml", code=3)


def test_tasks_of_a_bad_recipe_are_refused_with_all_mistakes() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(spectra(n_chn=3, bits=12)).tasks()
    assert len(caught.value.problems) == 2 and isinstance(caught.value, fs.UsageError)


def test_options_that_name_files_are_those_that_commands_declare() -> None:
    read = {name: vocabulary(name).read for name in commands() if vocabulary(name).read}
    assert {name: set(words) for name, words in read.items()} == {
        "burst": {"raw"}, "calibrate": {"tcal", "mueller", "ky"}, "cut": {"hits"},
        "dedisperse": {"plan", "ephemeris"},
        "flag": {"mask"}, "fold": {"par", "polyco", "tcal"}, "search bursts": {"mask"},
        "search drift": {"mask"}, "search pulsars": {"mask", "known", "birds", "ephemeris"},
        "toas": {"template"}, "view": {"data"}}
    assert vocabulary("calibrate").may_be_value("tcal")
    assert not vocabulary("calibrate").may_be_value("ky")
    assert set(vocabulary("baseline").written) == {"keep", "picture"}
    assert vocabulary("grid").written == ()  # its --keep is a choice


def test_every_command_that_makes_a_file_of_others_is_a_step() -> None:
    assert set(commands()) >= {"spectra", "flag", "calibrate", "baseline", "switch", "view",
                               "convert", "cut"}
    assert not {"info", "validate", "simulate", "doctor", "warmup", "batch"} & set(commands())
    assert all(not set(OWN) & {option.name for option in vocabulary(name).options.values()}
               for name in commands())


def test_nearest_words() -> None:
    assert nearest("N-CHAN", ["n_chan", "n_tap"]) == "; did you mean n_chan?"
    assert nearest("zzz", ["a", "b"]) == "; allowed: a, b"
    assert nearest("zzz", map(str, range(20))) == ""
