"""Records: what journals have a line for, and how all of them are read."""

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
    """A line of a journal: a task came to a state.

    Parameters
    ----------
    task, state, name : str
        Id of the task, one of `STATES`, the task's name.
    attempt, seq : int
        Which time it is tried; number in the order of all that the writer knew of.
    at : float
        Unix time, for people.
    host, pid
        Of the writer.
    outputs : tuple of Product
        Names that it is to make (running), or what it made (done).
    error : str
        Why it is not done, one line.
    step : str
        Command that ended it.
    code : int
        Exit code of that command; negative where a signal ended its process.
    seconds, peak_bytes, deaths
        Wall time, most memory, and how many worker processes died of it since it was chosen.
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

    @property
    def order(self) -> tuple[int, int, float]:
        """What a later record of the same task has more of."""
        return self.attempt, self.seq, self.at


#: Values that a line leaves out.
DEFAULTS = {field.name: field.default for field in fields(Record)}


def read_records(folder: str) -> Iterator[Record]:
    """All records of an output folder, in no order; torn lines are left out."""
    where, lines = os.path.join(folder, FOLDER, "journal"), []
    for left in reversed(range(10)):
        try:
            lines = [line for name in journals(where)
                     for line in _lines(os.path.join(where, name))]
            break
        except FileNotFoundError:  # put together with others since the folder was listed
            if not left:
                raise
    for line in lines:
        record = _parse(line)
        if record is not None:
            yield record


def journals(folder: str) -> list[str]:
    """Names of the journals in their folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except FileNotFoundError:
        return []


def _lines(path: str) -> list[bytes]:
    with open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]  # what follows the last line's end is torn


def _parse(line: bytes) -> Record | None:
    try:
        values = json.loads(line)
        outputs = tuple((str(name), int(size), int(mtime))
                        for name, size, mtime in values.pop("outputs", ()))
        return Record(outputs=outputs,
                      **{key: value for key, value in values.items() if key in DEFAULTS})
    except (ValueError, TypeError, AttributeError):
        return None
