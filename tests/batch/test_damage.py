"""What is read again of the products of finished tasks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from batches import batch, install, recipe, states

from fastsig.batch.api import Recipe
from fastsig.batch.engines.jobs import Outcome
from fastsig.batch.ledger.records import Record
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running import damage
from fastsig.batch.running.damage import find_damage, verify_products
from fastsig.batch.tasks.model import Task


def test_times_of_arrival_are_not_read_as_recordings(tmp_path: Path) -> None:
    """Files of times as text have no reader; SIGPROC's time series of the same extension do."""
    (tmp_path / "a.tim").write_text("FORMAT 1\n a.ar 1400 57753.5 1.0 k\n")
    (tmp_path / "b.tim").write_bytes(b"\x0c\0\0\0HEADER_START")
    read: list[tuple[str, ...]] = []

    def engine(queue: Any, *others: Any) -> None:
        read.extend(job.task.steps[0].argv for job in queue._waiting)

    outputs = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns)
                    for path in sorted(tmp_path.iterdir()))
    ledger: Any = SimpleNamespace(records={"1": SimpleNamespace(state="done", outputs=outputs)})
    task = Task("1", "one", (), (), str(tmp_path))
    assert find_damage([task], ledger, engine=engine) == ([], [])
    assert read == [("--quiet", str(tmp_path / "b.tim"))]


@pytest.mark.parametrize("outcome, damaged", [
    (Outcome("failed", error="a.h5: its checksum is wrong", code=1), True),
    (Outcome("failed", error="internal error: KeyError: 1", code=70), False),
    (Outcome("failed", error="a.h5: --set is needed", code=2), False),
    (Outcome("timeout", error="exceeded the limit of 4 s", code=143), False),
    (Outcome("memory", error="out of memory", code=70), False),
    (Outcome("killed", error="its worker process died: SIGKILL", code=-9), False),
    (Outcome("preempted", error="the run ended"), None),
    (Outcome("done"), None)])
def test_only_products_that_validate_finds_invalid_are_damaged(
    tmp_path: Path, outcome: Outcome, damaged: bool | None
) -> None:
    def engine(queue: Any, *others: Any) -> None:
        queue.put(queue.take(), outcome)

    product = tmp_path / "a.h5"
    product.write_bytes(b"sound")
    status = product.stat()
    record = Record("1", "done", "one", outputs=(("a.h5", status.st_size, status.st_mtime_ns),))
    recorded: list[Record] = []
    notes: list[str] = []
    ledger: Any = SimpleNamespace(records={"1": record}, append=recorded.append)
    left = verify_products([Task("1", "one", (), (), str(tmp_path))], ledger, notes.append,
                           engine=engine)
    assert [(each.state, each.error) for each in recorded] == (
        [("damaged", outcome.error)] if damaged else [])
    assert left == (("one",) if damaged is False else ())
    assert notes == ([] if damaged is None else [
        outcome.error if damaged else f"one: not verified: {outcome.error}"])


def test_sound_products_that_take_too_long_to_verify_stay_done(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = install(tmp_path / "plugin")
    path = recipe(tmp_path, {"a": {}})
    batch(path, "-j", 1, plugin=plugin)
    made = Recipe.read(path)
    assert made.verify(workers=1).unverified == ()

    def too_long(tasks: Any, ledger: Any, **options: Any) -> Any:
        return [], [(ledger.records[task.id], "exceeded the limit of 4 s") for task in tasks]

    monkeypatch.setattr(damage, "find_damage", too_long)
    found = made.verify(workers=1, limits=Limits(time=4))
    assert found.counts == {"done": 1} and found.unverified == ("a",)
    assert states(path) == {"a": "done"}
