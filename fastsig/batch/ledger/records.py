"""Records: the lines of journals, and how they are read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

from fastsig.batch.ledger.folder import FOLDER
from fastsig.batch.tasks.products import Product

__all__ = ["DEFAULTS", "Record", "journals", "read_records"]


@dataclass(frozen=True)
class Record:
    """A line of a journal: a task changed to a state.

    Parameters
    ----------
    task, state, name : str
        Id of the task, one of `STATES`, name of the task.
    attempt, seq : int
        Number of the attempt; sequence number, above those of all records that the writer had read.
    at : float
        Unix time, for people.
    host, pid
        Host and process of the writer.
    outputs : tuple of Product
        Products that the task is to make (running), or has made (done).
    error : str
        Why the task is not done, one line.
    step : str
        Command that ended the task.
    code : int
        Exit code of that command; negative if a signal ended its process.
    seconds, peak_bytes, deaths
        Wall time, peak memory, and number of worker processes that died while running the task
        since it was chosen.
    warnings : tuple of str
        Warnings of the task's commands, one line each; if there are very many, only the first.
    """

    task: str
    state: str
    name: str = ""
    attempt: int = 0
    seq: int = 0
    at: float = 0.0
    host: str = ""
    pid: int = 0
    outputs: tuple[Product, ...] = ()
    error: str = ""
    step: str = ""
    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    deaths: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, int, float]:
        """The sort key of the records of a task, which increases with time."""
        return self.attempt, self.seq, self.at


#: Values that are omitted from a line.
DEFAULTS = {field.name: field.default for field in fields(Record)}


def read_records(folder: str) -> Iterator[Record]:
    """Yield all records of an output folder, in no order; incomplete lines are skipped."""
    where, lines = os.path.join(folder, FOLDER, "journal"), []
    for left in reversed(range(10)):
        try:
            lines = [line for name in journals(where)
                     for line in _lines(os.path.join(where, name))]
            break
        except FileNotFoundError:  # merged with others since the folder was listed
            if not left:
                raise
    for line in lines:
        record = _parse(line)
        if record is not None:
            yield record


def journals(folder: str) -> list[str]:
    """Return the names of the journals in their folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except FileNotFoundError:
        return []


def _lines(path: str) -> list[bytes]:
    with open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]  # anything after the last newline is incomplete


def _parse(line: bytes) -> Record | None:
    try:
        values = json.loads(line)
        outputs = tuple((str(name), int(size), int(mtime))
                        for name, size, mtime in values.pop("outputs", ()))
        warnings = tuple(str(line) for line in values.pop("warnings", ()))
        return Record(outputs=outputs, warnings=warnings,
                      **{key: value for key, value in values.items() if key in DEFAULTS})
    except (ValueError, TypeError, AttributeError):
        return None
