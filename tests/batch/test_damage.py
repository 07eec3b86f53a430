"""What is read again of the products of finished tasks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastsig.batch.running.damage import find_damage
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
    assert find_damage([task], ledger, engine=engine) == []
    assert read == [("--quiet", str(tmp_path / "b.tim"))]
