"""What a run does: tasks that are not done, and nothing over another's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES, chosen_by
from fastsig.batch.ledger.status import stale_products, status
from fastsig.batch.running.choosing import Choice, choose
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Step, Task


def task(folder: Path, name: str = "a", key: str = "1", **more: str) -> Task:
    steps = (Step("cut", (), (f"{name}.tmp",), keep=False), Step("view", (), (f"{name}.h5",)))
    return Task(key * 64, name, ("x",), steps, os.fspath(folder), **more)


def make(folder: Path, name: str, text: str = "product") -> tuple[str, int, int]:
    (folder / name).write_text(text)
    told = (folder / name).stat()
    return name, told.st_size, told.st_mtime_ns


def book(folder: Path, *records: Record) -> Ledger:
    with Ledger(os.fspath(folder)) as made:
        made.begin(1)
        for record in records:
            made.append(record)
    return Ledger(os.fspath(folder))


def kinds(choice: Choice) -> list[int]:
    return [len(choice.jobs), len(choice.finished), len(choice.refused), len(choice.left)]


def test_done_is_skipped_until_its_product_changes(tmp_path: Path) -> None:
    one = task(tmp_path)
    done = Record(one.id, "done", "a", 3, outputs=(make(tmp_path, "a.h5"),))
    ledger = book(tmp_path, done)
    assert kinds(choose([one], ledger)) == [0, 1, 0, 0]
    make(tmp_path, "a.h5", "longer than it was")
    choice = choose([one], ledger)
    assert kinds(choice) == [1, 0, 0, 0] and choice.changed == [
        "a.h5: has 18 bytes, was made with 7"]
    job = choice.jobs[0]
    assert job.overwrite and job.attempt == 4 and job.log.endswith("a-1111111111111111.log")
    assert [row.state for row in status([one], tmp_path).rows] == ["damaged"]
    make(tmp_path, "a.h5", "PRODUCT")
    os.utime(tmp_path / "a.h5", ns=(0, 5))
    assert choose([one], ledger).changed == ["a.h5: was changed since it was made"]
    (tmp_path / "a.h5").unlink()
    choice = choose([one], ledger)
    assert choice.changed == ["a.h5: is missing"] and not choice.jobs[0].overwrite


@pytest.mark.parametrize("state", [name for name, state in STATES.items() if state.recorded])
def test_what_is_done_again(tmp_path: Path, state: str) -> None:
    """By itself, and by retry."""
    one = task(tmp_path)
    ledger = book(tmp_path, Record(one.id, state, "a", 1, deaths=2))
    again = state not in ("done", "poison")
    choice = choose([one], ledger)
    assert bool(choice.jobs) == again
    if again:
        assert choice.jobs[0].deaths == (2 if state in ("killed", "running") else 0)
    for kind in ("failed", "killed", "all"):
        asked = {"running": "abandoned"}.get(state, state) in chosen_by([kind])
        assert bool(choose([one], ledger, states=chosen_by([kind])).jobs) == asked


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    """A stranger's, one of an older recipe, one of this very task that was interrupted."""
    one, older = task(tmp_path), task(tmp_path, key="2")
    product = make(tmp_path, "a.h5")
    choice = choose([one], book(tmp_path))
    assert "a.h5: exists, and was not made by batch" in choice.refused[0][1]
    assert kinds(choose([one], book(tmp_path), replace_stale=True)) == [0, 0, 1, 0]
    assert choose([one], book(tmp_path), overwrite=True).jobs[0].overwrite
    ledger = book(tmp_path, Record(older.id, "done", "a", 1, outputs=(product,)))
    assert "a.h5: stale: made by another recipe" in choose([one], ledger).refused[0][1]
    assert choose([one], ledger, replace_stale=True).jobs[0].overwrite
    ledger = book(tmp_path, Record(one.id, "running", "a", 1, outputs=(("a.h5", -1, -1),)))
    assert kinds(choose([one], ledger)) == [1, 0, 0, 0] and choose([one], ledger).jobs[0].overwrite
    assert [row.state for row in status([one], tmp_path).rows] == ["abandoned"]


def states(folder: Path, *tasks: Task) -> list[str]:
    return [row.state for row in status(tasks, folder).rows]


def chosen(one: Task, folder: Path, *options: str, **more: bool) -> list[int]:
    return kinds(choose([one], Ledger(os.fspath(folder)), states=chosen_by(options), **more))


@pytest.mark.parametrize("state", ["failed", "vanished", "poison", "running"])
def test_retry_selects_the_successor_of_a_failed_task(tmp_path: Path, state: str) -> None:
    """The inputs were repaired, so that the task has another identity."""
    one, older = task(tmp_path), task(tmp_path, key="2")
    names = tuple((name, -1, -1) for name in ("a.tmp", "a.h5"))
    book(tmp_path, Record(older.id, "running", "a", 1, outputs=names),
         Record(older.id, state, "a", 1))
    fits, other = ("failed", "killed") if state in ("failed", "vanished") else ("killed", "failed")
    assert states(tmp_path, one) == ["waiting"]
    assert chosen(one, tmp_path, fits) == [1, 0, 0, 0]
    assert chosen(one, tmp_path, other) == [0, 0, 0, 1]
    # A product that one of its steps had made is nothing to lose unasked.
    make(tmp_path, "a.h5")
    assert states(tmp_path, one) == ["stale"]
    assert chosen(one, tmp_path, fits) == [0, 0, 1, 0]
    assert chosen(one, tmp_path, fits, replace_stale=True) == [1, 0, 0, 0]


def test_retry_leaves_tasks_that_never_failed(tmp_path: Path) -> None:
    """New ones, and those whose predecessor is done though its product is gone."""
    one, older = task(tmp_path), task(tmp_path, key="2")
    book(tmp_path)
    assert chosen(one, tmp_path, "failed") == chosen(one, tmp_path, "killed") == [0, 0, 0, 1]
    book(tmp_path, Record(older.id, "done", "a", 1, outputs=(("a.h5", 7, 1),)))
    assert chosen(one, tmp_path, "failed") == [0, 0, 0, 1]
    assert chosen(one, tmp_path, "all") == [1, 0, 0, 0]


@pytest.mark.parametrize("recorded", ["", "stale", "refused"])
def test_status_reports_stale_products(tmp_path: Path, recorded: str) -> None:
    """Before any run has met them and after; `retry --failed --replace-stale` makes them anew."""
    one, older = task(tmp_path), task(tmp_path, key="2")
    book(tmp_path, Record(older.id, "done", "a", 1, outputs=(make(tmp_path, "a.h5"),)))
    if recorded:
        book(tmp_path, Record(one.id, recorded, "a", error="as it was"))
    now = status([one], tmp_path)
    assert now.counts == {"stale": 1} and now.code == 1 and now.stale == ()
    assert now.rows[0].error.startswith("a.h5: stale: made by another recipe")
    assert now.record()["totals"] == {"tasks": 1, "stale": 1}
    ledger = Ledger(os.fspath(tmp_path))
    assert [why.state for why in choose([one], ledger).refused] == ["stale"]
    assert chosen(one, tmp_path, "failed", replace_stale=True) == [1, 0, 0, 0]
    assert chosen(one, tmp_path, "failed") == [0, 0, 1, 0]
    (tmp_path / "a.h5").unlink()
    assert states(tmp_path, one) == ["waiting"] and len(choose([one], ledger).jobs) == 1


def test_a_refusal_ends_when_nothing_is_in_the_way(tmp_path: Path) -> None:
    one = task(tmp_path)
    make(tmp_path, "a.h5")
    assert states(tmp_path, one) == ["waiting"]  # the next run may have --overwrite
    book(tmp_path, Record(one.id, "refused", "a", error="as it was"))
    (row,) = status([one], tmp_path).rows
    assert row.state == "refused" and row.error.startswith("a.h5: exists, and was not made by")
    (tmp_path / "a.h5").unlink()
    assert states(tmp_path, one) == ["waiting"]
    assert chosen(one, tmp_path, "failed") == [1, 0, 0, 0]


def test_what_a_dead_run_left_between_steps_is_no_product(tmp_path: Path) -> None:
    one, older = task(tmp_path), task(tmp_path, key="2")
    make(tmp_path, "a.tmp")
    assert choose([one], book(tmp_path)).refused
    ledger = book(tmp_path, Record(older.id, "running", "a", outputs=(("a.tmp", -1, -1),)))
    assert choose([one], ledger).jobs[0].overwrite


def test_links_count_as_files(tmp_path: Path) -> None:
    (tmp_path / "a.h5").symlink_to(tmp_path / "nowhere")
    assert choose([task(tmp_path)], book(tmp_path)).refused
    assert products.outside(os.fspath(tmp_path), "../x") and products.outside(
        os.fspath(tmp_path), ".")
    (tmp_path / "away").symlink_to("/etc")
    assert products.outside(os.fspath(tmp_path), "away/x.h5") == "/etc/x.h5"
    assert products.outside(os.fspath(tmp_path), "b/c/x.h5") is None


def test_a_clash_of_names_is_refused(tmp_path: Path) -> None:
    clash = task(tmp_path, refused="a.h5: made from x and from y")
    assert choose([clash], book(tmp_path)).refused == [
        (clash, "a.h5: made from x and from y", "refused")]
    assert [row.state for row in status([clash], tmp_path).rows] == ["refused"]


def test_products_that_no_task_has_are_named(tmp_path: Path) -> None:
    older = [Record(key * 64, "done", key, 1, outputs=(make(tmp_path, f"{key}.h5"),))
             for key in "abc"]
    (tmp_path / "c.h5").unlink()
    one = task(tmp_path, "a")  # makes a.h5 under another id: that is refused, not orphaned
    assert stale_products([one], book(tmp_path, *older), os.fspath(tmp_path)) == ["b.h5"]


def test_several_files_of_a_product(tmp_path: Path) -> None:
    for name in ("x.0000.raw", "x.0001.raw", "x.01.raw", "x.0002.raw.part"):
        make(tmp_path, name)
    folder = os.fspath(tmp_path)
    assert products.existing(folder, "x.{file}.raw") == ["x.0000.raw", "x.0001.raw"]
    found, missing = products.stat_products(folder, ["x.{file}.raw"])
    assert [name for name, _, _ in found] == ["x.0000.raw", "x.0001.raw"] and not missing
    assert products.stat_products(folder, ["x.{file}.raw", "y"])[1] == "y"


def test_files_that_are_not_kept(tmp_path: Path) -> None:
    """A time series of PRESTO consists of two files."""
    steps = (Step("dedisperse", (), ("a.dat", "b_{file}.h5"), keep=False),
             Step("view", (), ("c.png", "c.dat")))
    for name in ("a.dat", "a.inf", "b_0001.h5", "c.png", "c.dat", "c.inf", "b.inf"):
        make(tmp_path, name)
    made = Task("1" * 64, "a", ("x",), steps, os.fspath(tmp_path))
    assert products.passing(made) == {"a.dat", "a.inf", "b_0001.h5"}
