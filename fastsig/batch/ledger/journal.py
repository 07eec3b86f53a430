"""The history of every task: journals, one for each writer, merged when they are read.

A journal is a file of lines of JSON in ``.fastsig-batch/journal`` of the output folder. Only its
writer appends to it, a whole line with one write(2), so that no lock is needed for reading. An
incomplete line was left by a writer that died, and is ignored. Of two records of a task, the later
one has the higher attempt, then the higher sequence number: a writer begins above all numbers that
it can read, so that the clocks of hosts do not matter.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from dataclasses import asdict, replace
from typing import Any

from fastsig.batch.ledger.folder import FOLDER, host_name
from fastsig.batch.ledger.records import DEFAULTS, Record, journals, read_records
from fastsig.errors import OutputError

__all__ = ["Ledger"]

_MANY = 32  # journals; if there are more, a run merges them at its end
_RESERVE = 2**10  # bytes reserved for the records of each task
_MOST_RESERVED = 2**24


class Ledger:
    """The records of an output folder, and the journal of this writer.

    Parameters
    ----------
    folder : str
        The output folder; for reading it need not exist.

    Attributes
    ----------
    records : dict
        The latest record of each task, by id.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.records: dict[str, Record] = {}
        self._owners: dict[str, Record] = {}
        self._seq = 0
        self._lock = threading.Lock()
        self._descriptor = -1
        self._unwritten: list[bytes] = []
        self._torn = False
        self._dirty, self._ended = threading.Event(), False
        self._flusher: threading.Thread | None = None
        for record in read_records(folder):
            self._take(record)

    def _take(self, record: Record) -> None:
        self._seq = max(self._seq, record.seq)
        known = self.records.get(record.task)
        if known is None or known.order <= record.order:
            self.records[record.task] = record
        for name, _, _ in record.outputs:
            owner = self._owners.get(name)
            if owner is None or (owner.seq, owner.at) <= (record.seq, record.at):
                self._owners[name] = record

    def owner(self, name: str) -> Record | None:
        """Return the latest record of a task that made, or is to make, the named product."""
        return self._owners.get(name)

    def products(self) -> dict[str, Record]:
        """Return the owner of each product, by name; see `owner`."""
        return dict(self._owners)

    def begin(self, n_tasks: int) -> None:
        """Open a new journal, and reserve disk space for the records of `n_tasks` tasks."""
        folder = os.path.join(self.folder, FOLDER, "journal")
        name = f"{host_name()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self.path = os.path.join(folder, name)
        try:
            os.makedirs(folder, exist_ok=True)
            os.makedirs(os.path.join(self.folder, FOLDER, "logs"), exist_ok=True)
            self._descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except OSError as error:
            raise OutputError(error.filename or folder, f"cannot be written: {error.strerror}"
                              ) from error
        self._reserve(min(_MOST_RESERVED, _RESERVE * n_tasks))
        self._flusher = threading.Thread(target=self._flush, name="fastsig-ledger", daemon=True)
        self._flusher.start()

    def _flush(self) -> None:
        """Sync the journal to disk in the background: one fsync for all records since the last."""
        while not self._ended:
            self._dirty.wait()
            self._dirty.clear()
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)

    def _reserve(self, size: int) -> None:
        """Write a file whose space is freed for the journal when the disk is full."""
        with contextlib.suppress(OSError):
            reserve = os.open(f"{self.path}.reserve", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
            try:
                os.posix_fallocate(reserve, 0, max(1, size))
            finally:
                os.close(reserve)

    def _release(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(f"{self.path}.reserve")

    def append(self, record: Record, *, durable: bool = True) -> Record:
        """Number, date and write a record; with `durable` a background fsync follows at once.

        A record that does not fit on a full disk is written together with the next one.
        """
        with self._lock:
            self._seq += 1
            record = replace(record, seq=self._seq, at=time.time(), host=host_name(),
                             pid=os.getpid())
            self._take(record)
            values = {key: value for key, value in asdict(record).items()
                      if value != DEFAULTS[key]}
            line = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
            self._unwritten.append(line.encode("utf-8", "backslashreplace") + b"\n")
            self._write()
        if durable:
            self._dirty.set()
        return record

    def _write(self) -> None:
        while self._unwritten:
            line = b"\n" * self._torn + self._unwritten[0]
            written = self._try(line)
            if written < len(line):
                self._release()
                self._torn |= written > 0
                line = b"\n" * self._torn + self._unwritten[0]
                written = self._try(line)
                if written < len(line):
                    self._torn |= written > 0
                    return
            self._torn = False
            self._unwritten.pop(0)

    def _try(self, line: bytes) -> int:
        try:
            return os.write(self._descriptor, line)
        except OSError:
            return 0

    def close(self, *, alone: bool = False) -> None:
        """Sync all records to disk; with `alone` (no other writer lives) merge many journals.

        Raises
        ------
        OutputError
            If records could not be written.
        """
        if self._flusher is None:
            return
        with self._lock:
            self._write()
        self._ended = True
        self._dirty.set()
        self._flusher.join()  # with a last fsync
        self._flusher = None
        os.close(self._descriptor)
        self._descriptor = -1
        self._release()
        if self._unwritten:
            raise OutputError(self.path, f"{len(self._unwritten)} records could not be written: "
                              "the next run does these tasks again")
        folder = os.path.dirname(self.path)
        if not os.path.getsize(self.path):
            os.unlink(self.path)
        if alone and len(journals(folder)) > _MANY:
            self._compact(folder)

    def _compact(self, folder: str) -> None:
        """Write the latest records into one new journal, and remove the journals it replaces."""
        old = journals(folder)
        kept = {id(record): record for record in (*self._owners.values(), *self.records.values())}
        name = f"{host_name()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        path = os.path.join(folder, name)
        lines = [json.dumps(asdict(record), separators=(",", ":"), ensure_ascii=False)
                 for record in sorted(kept.values(), key=lambda record: record.seq)]
        try:
            with open(f"{path}.part", "x", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join([*lines, ""]))
                file.flush()
                os.fsync(file.fileno())
            os.rename(f"{path}.part", path)
        except OSError:  # a full disk: the journals stay as they are
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.part")
            return
        for name in old:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))

    def sweep(self, keep: str) -> None:
        """Remove reserve and temporary files of dead writers, except those of the journal `keep`.

        To be called only if no other writer lives.
        """
        folder = os.path.join(self.folder, FOLDER, "journal")
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.endswith((".reserve", ".part")) and not name.startswith(
                        os.path.basename(keep)):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
