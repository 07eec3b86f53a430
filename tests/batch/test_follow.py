"""Following a recorder: what is quiet is taken, what grows is left, until nothing comes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import batches
import pytest
from batches import RECIPE, begin, deed, recipe, states, wait_for
from cli import fastsig as fastsig_cli

import fastsig.batch
from fastsig.batch import Recipe
from fastsig.batch.engines.job_queue import Queue, Stop
from fastsig.batch.engines.jobs import Job, Outcome
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.follow import Follow
from fastsig.batch.running.run import run
from fastsig.batch.tasks.model import Task


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = batches.install(tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    return found


def test_files_are_taken_once_quiet(tmp_path: Path, plugin: str) -> None:
    """One that is there, one that grows for a while, one unfinished; bytes as of the whole."""
    path = recipe(tmp_path, {}, RECIPE.replace('"in/*.try"', '"in", "later/*.try"'))
    first = begin(path, "--follow", "--follow-every", 0.1, "--follow-quiet", 1.5,
                  "--follow-stop", 3, "-j", 1, plugin=plugin)
    wait_for((tmp_path / "out" / ".fastsig-batch").exists)
    deed(tmp_path / "in" / "a.try", seed=0)
    (tmp_path / "in" / "never.try.part").write_text("TRY{")
    (tmp_path / "in" / ".hidden.try").write_text("TRY{")
    text = (tmp_path / "in" / "a.try").read_text().replace("0", "1") + " " * 20
    for n in range(len(text) - 20, len(text), 4):  # grows: whole in itself each time
        (tmp_path / "in" / "grows.try").write_text(text[:n])
        time.sleep(0.2)
    (tmp_path / "in" / "grows.try").write_text(text)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert set(batches.products(tmp_path / "out")) == {"a.h5", "grows.h5"}
    lines = errors.splitlines()
    assert sum("nothing yet: " in line and "later/*.try" in line for line in lines) == 1, errors
    assert sum("1 new task" in line for line in lines) == 2, errors
    assert lines[-1].startswith("2 tasks: 2 done; ") or "2 tasks: 2 done; " in lines[-1], errors
    assert (tmp_path / "out" / "report.html").read_text().count("<tr data-state=done>") == 2
    # The same again takes up where it was; Ctrl-C ends it.
    again = begin(path, "--follow", "--follow-every", 0.1, "--follow-quiet", 0,
                  "--no-report", "-j", 1, plugin=plugin)
    journal = tmp_path / "out" / ".fastsig-batch" / "claims" / "all"
    wait_for(lambda: str(again.pid) in journal.read_text())
    time.sleep(1.5)
    again.send_signal(signal.SIGINT)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 130, errors
    assert "2 done before" in errors or "2 tasks: 2 done (2 before)" in errors, errors


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When followers of this process looked at their inputs."""
    looker: Any = sys.modules[Follow.__module__]._Looker  # type: ignore[attr-defined]
    plain, done = looker._look, []

    def look(self: Any) -> bool:
        goes_on = bool(plain(self))
        done.append(time.monotonic())
        return goes_on

    monkeypatch.setattr(looker, "_look", look)
    return done


def wait_looks(looks: list[float], n: int) -> None:
    """Wait until so many looks more have ended."""
    end = len(looks) + n
    wait_for(lambda: len(looks) >= end)


def wait_tasks(took: list[Task], n: int) -> None:
    wait_for(lambda: len(took) >= n)


def looked(recipe: Recipe, folder: Path, queue: Queue, took: list[Task], **options: float
           ) -> threading.Thread:
    """A follower of a queue, which takes all that comes, on a thread of its own."""
    def take(tasks: object, new: list[Task]) -> bool:
        took.extend(new)
        return queue.add([Job(task) for task in new])

    def work() -> None:
        with Follow(recipe, every=0.1, **options).looking(queue, take, lambda line: None):
            wait_for(lambda: not queue._held)

    queue.hold()
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_scan_that_grows_is_done_once(tmp_path: Path, looks: list[float]) -> None:
    """What waits is replaced by the whole; what runs is waited for; then it is another task."""
    (tmp_path / "in").mkdir()
    made = Recipe({"version": 1, "inputs": {"files": "in/*.raw", "group": "scan"},
                   "output": {"folder": "out"},
                   "step": [{"command": "cut", "output": "{stem}.h5"}]}, folder=tmp_path)
    stop, took = Stop(), []
    queue = Queue([], lambda job: None, lambda job, outcome: False, stop)
    thread = looked(made, tmp_path, queue, took, quiet=0.0)
    assert queue.most(8) == 8 and not queue.done() and queue.take(wait=False) is None
    (tmp_path / "in" / "x.0000.raw").touch()
    wait_tasks(took, 1)
    (tmp_path / "in" / "x.0001.raw").touch()
    wait_tasks(took, 2)
    wait_for(lambda: len(queue) == 1)
    job = queue.take()
    assert job is not None and [Path(path).name for path in job.task.inputs] == [
        "x.0000.raw", "x.0001.raw"]
    (tmp_path / "in" / "x.0002.raw").touch()
    wait_looks(looks, 3)
    assert len(took) == 2 and len(queue) == 0
    queue.put(job, Outcome("done"))
    wait_tasks(took, 3)
    assert len(took[2].inputs) == 3
    stop.finish()
    thread.join(10)
    assert not thread.is_alive() and queue.take() is None and queue.done()


def test_it_ends_when_nothing_comes_and_nothing_runs(tmp_path: Path, looks: list[float]) -> None:
    path = recipe(tmp_path, {"a": {}})
    took: list[Task] = []
    queue = Queue([], lambda job: None, lambda job, outcome: False, Stop())
    begun = time.monotonic()
    thread = looked(Recipe.read(path), tmp_path, queue, took, quiet=0.3, stop=0.5)
    job = queue.take()
    assert job is not None and time.monotonic() - begun >= 0.3
    wait_for(lambda: looks and looks[-1] - begun > 2)  # longer than it waits for more
    assert thread.is_alive()  # it runs
    queue.put(job, Outcome("done"))
    assert queue.take() is None
    thread.join(10)
    assert not thread.is_alive()


def test_a_late_file_is_stale_and_failures_are_recorded(tmp_path: Path, plugin: str) -> None:
    """Told, not redone; with replace_stale it is."""
    path = recipe(tmp_path, {"bad": {"rows": -1}, "x": {}})
    told = Recipe.read(path)

    class Late(fastsig.batch.Watcher):
        def __init__(self) -> None:
            self.refused: list[str] = []
            self.ended_names: list[str] = []

        def ended(self, job: Job, record: object, again: bool) -> None:
            self.ended_names.append(job.task.name)
            if job.task.name == "x" and self.ended_names.count("x") == 1:
                deed(tmp_path / "in" / "x.try", seed=7, rows=2000)

        def came(self, tasks: object, choice: Choice) -> None:
            self.refused += [refusal.reason for refusal in choice.refused]

    follow = Follow(told, every=0.1, quiet=0.1, stop=0.7)
    late = Late()
    summary = run([], told.output, workers=1, warm=False, follow=follow, watcher=late)
    assert summary.counts == {"failed": 1, "stale": 1} and summary.code == 1
    assert len(late.refused) == 1 and "stale" in late.refused[0]
    assert states(path) == {"bad": "failed", "x": "stale"}
    small = (tmp_path / "out" / "x.h5").stat().st_size
    follow = Follow(told, every=0.1, quiet=0.0, stop=0.5)
    summary = run([], told.output, workers=1, warm=False, follow=follow, replace_stale=True)
    assert summary.counts == {"failed": 1, "done": 1}
    assert (tmp_path / "out" / "x.h5").stat().st_size > small


def test_mistakes_of_options_and_recipe_are_one_line(tmp_path: Path) -> None:
    path = recipe(tmp_path, {})
    for words, line in ((["--follow", "--dry-run"], "without --dry-run"),
                        (["--follow-stop", "3"], "allowed: both together")):
        done = fastsig_cli("batch", "run", "-c", str(path), *words, code=2)
        assert line in done.stderr
