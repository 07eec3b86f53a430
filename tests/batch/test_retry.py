"""What an operator sees after a repair or a change: states, choices, lines and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import batches
import pytest
from cli import fastsig

from fastsig.batch.api import Recipe
from fastsig.batch.commands.terminal import TerminalWatcher
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES, chosen_by
from fastsig.batch.running.choosing import choose
from fastsig.batch.tasks.model import Task


def begun(path: Path, *, strict: bool = False, **ended: str) -> None:
    """Leave what a run leaves: the state of each task, by name, and the products of finished ones.
    """
    tasks = {task.name: task for task in Recipe.read(path).tasks(strict=strict)}
    (path.parent / "out").mkdir(exist_ok=True)
    with Ledger(os.fspath(path.parent / "out")) as ledger:
        ledger.begin(len(tasks))
        for name, state in ended.items():
            task = tasks[name]
            outputs = tuple((output, -1, -1) for output in task.outputs)
            ledger.append(Record(task.id, "running", name, 1, outputs=outputs))
            made = tuple(product(task, output) for output in outputs) if state == "done" else ()
            ledger.append(Record(task.id, state, name, 1, outputs=made, error="its cause"))


def product(task: Task, output: tuple[str, int, int]) -> tuple[str, int, int]:
    path = Path(task.folder) / output[0]
    path.write_text("product")
    return output[0], path.stat().st_size, path.stat().st_mtime_ns


def retried(path: Path, *options: str, **more: bool) -> list[str]:
    tasks = Recipe.read(path).tasks()
    choice = choose(tasks, Ledger(tasks[0].folder), states=chosen_by(options), **more)
    return [job.task.name for job in choice.jobs]


def test_a_repaired_input_is_retried(tmp_path: Path) -> None:
    """Another size makes another task, which no run has met; so does a change of the recipe."""
    path = batches.recipe(tmp_path, {"bad": {}, "dies": {}, "good": {}, "new": {}})
    begun(path, bad="failed", dies="poison", good="done")
    assert retried(path, "failed") == ["bad"] and retried(path, "killed") == ["dies"]
    for name in ("bad", "dies"):
        batches.deed(tmp_path / "in" / f"{name}.try", rows=12345)
    assert batches.states(path) == {
        "bad": "waiting", "dies": "waiting", "good": "done", "new": "waiting"}
    assert retried(path, "failed") == ["bad"] and retried(path, "killed") == ["dies"]
    path.write_text(path.read_text().replace("to =", 'tstop = "1ms"\nto ='))
    assert retried(path, "failed") == ["bad"]
    assert retried(path, "failed", replace_stale=True) == ["bad", "good"]
    assert batches.states(path)["good"] == "stale"


def test_what_retry_leaves_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = batches.recipe(tmp_path, {"a": {}, "b": {}, "c": {}, "d": {}})
    begun(path, a="running", b="done", d="poison")
    tasks = Recipe.read(path).tasks()
    choice = choose(tasks, Ledger(tasks[0].folder), states=chosen_by(["failed"]))
    TerminalWatcher(False).planned(choice, [])
    assert capsys.readouterr().err.splitlines() == [
        "set aside d: its cause",
        "not selected: 1 waiting, 1 abandoned; --all selects all that are not done",
        "0 tasks to do, 1 done before"]
    TerminalWatcher(False).planned(choose(tasks, Ledger(tasks[0].folder)), [])
    assert "not selected" not in capsys.readouterr().err  # by a run, which leaves poison alone


def test_status_lists_stale_products_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    path = batches.recipe(tmp_path, {"a": {}, "b": {}})
    begun(path, a="done", b="done")
    batches.deed(tmp_path / "in" / "a.try", rows=12345)
    (tmp_path / "in" / "b.try").rename(tmp_path / "in" / "c.try")
    before = sorted(os.walk(tmp_path / "out"))
    done = fastsig("batch", "status", "-c", path, code=1)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["2 tasks: 1 waiting, 1 stale",
                         "stale: b.h5: no task of this recipe makes it"]
    assert lines[-1].split()[:2] == ["a", "stale"] and "a.h5: stale: made by another" in lines[-1]
    plain = json.loads(fastsig("batch", "status", "-c", path, "--json", code=1).stdout)
    assert plain["totals"] == {"tasks": 2, "waiting": 1, "stale": 1} and plain["stale"] == ["b.h5"]
    assert [row["state"] for row in plain["tasks"]] == ["stale", "waiting"]
    assert sorted(os.walk(tmp_path / "out")) == before


def test_status_of_a_strict_run(tmp_path: Path) -> None:
    """Its tasks have other identities: without the option their products look stale."""
    path = batches.recipe(tmp_path, {"a": {}})
    begun(path, strict=True, a="done")
    assert "1 done" in fastsig("batch", "status", "-c", path, "--strict", code=0).stdout
    assert "1 stale" in fastsig("batch", "status", "-c", path, code=1).stdout


@pytest.mark.parametrize("command", ["check", "run", "status", "retry", "verify", "report"])
def test_exit_codes_of_recipes(tmp_path: Path, command: str) -> None:
    """A recipe that cannot be read is a bad input, one with mistakes a wrong usage."""
    more = ["--all"] if command == "retry" else []
    done = fastsig("batch", command, "-c", tmp_path / "nothere.toml", *more, code=3)
    assert done.stderr == f"fastsig: {tmp_path / 'nothere.toml'}: No such file or directory\n"
    (tmp_path / "bad.toml").write_text("version = 2")
    fastsig("batch", command, "-c", tmp_path / "bad.toml", *more, code=2)


def test_every_state_that_is_not_done_is_reached_by_all() -> None:
    assert chosen_by(["all"]) == set(STATES) - {"done", "running"}


def test_products_of_other_tasks_are_not_stale(tmp_path: Path) -> None:
    """With FILE or --shard, the recipe's other tasks still make their products."""
    plugin = batches.install(tmp_path / "plugin")
    path = batches.recipe(tmp_path, {"a": {}, "b": {}, "c": {}})
    batches.batch(path, "-j", 1, "--no-report", plugin=plugin)
    one = tmp_path / "in" / "a.try"
    for command, options in (("run", [one]), ("verify", [one]), ("status", [one]),
                             ("run", ["--shard", "1/3"])):
        done = batches.batch(path, *options, "--json", command=command, plugin=plugin)
        plain = json.loads(done.stdout)
        n = plain["totals"]["tasks"]  # of a shard, as the identities of the tasks divide them
        assert plain["stale"] == [] and (n == 1 or one not in options), command
    batches.batch(path, one, plugin=plugin)
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(f"{name}.h5" in page for name in "abc") and "no task of this recipe" not in page
    recipe = Recipe.read(path)
    assert recipe.verify([one], workers=1).stale == recipe.status([one]).stale == ()
    path.write_text(path.read_text().replace('["in/*.try"]', '["gone/*.try"]'))
    plain = json.loads(batches.batch(path, one, "--json", command="status", plugin=plugin).stdout)
    assert plain["totals"] == {"tasks": 1, "done": 1} and plain["stale"] == ["b.h5", "c.h5"]


def test_a_dry_run_without_tasks_prints_its_plan(tmp_path: Path) -> None:
    path = batches.recipe(tmp_path, {"a": {}})
    begun(path, a="done")
    done = fastsig("batch", "run", "-c", path, "--dry-run", "--json", code=0)
    plan = json.loads(done.stdout)
    assert plan["n_task"] == 0 and plan["seconds"] in (0, None) and plan["refusal"] is None
    assert "0 tasks to do, 1 done before" in done.stderr
