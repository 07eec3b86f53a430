"""Staging: a task runs in a separate folder on a disk of the node; its products are copied back.

A folder ``fastsig-stage-HOST-PID-RANDOM`` contains a locked file while its process lives. If the
lock is free, the folder was left by a dead process, and any process of the same user removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace

from fastsig.batch.engines.copying import (
    StagingError,
    check_same,
    claim_space,
    copy,
    digest_of,
    write_product,
)
from fastsig.batch.ledger.folder import host_name
from fastsig.batch.tasks import products
from fastsig.batch.tasks.input_files import walk
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.relocation import relocated
from fastsig.errors import OutputError, UsageError
from fastsig.io.files.leftovers import sweep_names, writer_id
from fastsig.io.files.safe import SafeOutput

__all__ = ["Stage", "StagingError", "check_scratch", "sweep"]

_LOCK = ".lock"
_PREFIX = "fastsig-stage-"
_NAME = re.compile(_PREFIX + r"([A-Za-z0-9_]+)-([0-9]+)-[0-9a-f]+")
#: Formats whose files need other files in the same folder; the stream lists them.
_BESIDE = ("gsb", "hifast", "lofar_bf", "lofar_tbb")


def check_scratch(scratch: str, folder: str) -> str:
    """Return the absolute path of a scratch folder; refuse one that cannot be used.

    Raises
    ------
    UsageError
    """
    path = os.path.abspath(scratch)
    if not os.path.isdir(path):
        raise UsageError(f"--scratch {scratch}: no such folder; allowed: a folder on this node's "
                         "disk")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"--scratch {scratch}: no permission to write in it")
    if (os.path.realpath(path) + "/").startswith(os.path.realpath(folder) + "/"):
        raise UsageError(f"--scratch {scratch}: lies in the output folder; allowed: a folder "
                         "outside it")
    return path


def sweep(scratch: str, pid: int | None = None) -> list[str]:
    """Remove folders that dead processes of this host and user left; return their names.

    With `pid`, only folders of that process are removed.
    """
    removed = []
    with contextlib.suppress(OSError):
        for name in os.listdir(scratch):
            match = _NAME.fullmatch(name)
            if match is None or match[1] != host_name() or pid not in (None, int(match[2])):
                continue
            path = os.path.join(scratch, name)
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                    removed += [name] * _remove_dead(path)
    return removed


def _remove_dead(path: str) -> bool:
    """Remove a folder if its lock is free, and return whether it was removed."""
    lock = _lock(path)
    if lock < 0:
        return False
    try:
        shutil.rmtree(path)
        return True
    finally:
        os.close(lock)


def _lock(path: str) -> int:
    """Lock the file of a folder; return -1 if another process holds it or the folder is gone."""
    descriptor = -1
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.join(path, _LOCK),
                             os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    if descriptor >= 0:
        os.close(descriptor)
    return -1


class Stage:
    """The folder of one task: a context manager that makes and removes it.

    Parameters
    ----------
    task : Task
    scratch : str
        Folder on a disk of this node.
    """

    def __init__(self, task: Task, scratch: str) -> None:
        self.task, self.scratch = task, os.path.abspath(scratch)
        self.folder, self._lock = "", -1
        self._moved: dict[str, str] = {}  # path in the scratch folder, by path of the input
        self._places: dict[str, str] = {}  # folder in the scratch folder, by folder of inputs

    def __enter__(self) -> Stage:
        try:
            while self._lock < 0:  # another process removed it before it was locked
                self.folder = os.path.join(self.scratch, f"{_PREFIX}{writer_id()}")
                os.mkdir(self.folder, 0o700)
                self._lock = _lock(self.folder)
                if self._lock < 0:
                    self._check_locks()
        except OSError as error:
            raise self._error(error) from error
        return self

    def _check_locks(self) -> None:
        """Refuse a file system without locks, where dead processes cannot be recognised."""
        with open(os.path.join(self.scratch, f".{writer_id()}.part"), "w") as file:
            os.unlink(file.name)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _error(self, error: OSError) -> StagingError:
        full = error.errno in products.NO_ROOM
        return StagingError(f"scratch {self.scratch}: {os.strerror(error.errno or 0)}",
                            "disk-full" if full else "failed")

    @property
    def output(self) -> str:
        """The folder that is used instead of the output folder."""
        return os.path.join(self.folder, "out")

    def fetch(self) -> Task:
        """Copy the inputs and the other files they need; return the task that uses the copies.

        Raises
        ------
        StagingError
            If there is not enough space, or an input changed meanwhile or cannot be read.
        """
        try:
            files = list(self._files())
            needed = sum(os.stat(source).st_size for source, _ in files)
        except OSError as error:  # an input was removed meanwhile
            raise StagingError(f"{error.filename}: {error.strerror}", "vanished") from error
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StagingError(f"scratch {self.scratch}: is too small: {needed} bytes are needed "
                               f"for the inputs, {free} are free", "disk-full")
        for source, target in files:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self._fetch(source, target)
        for path in filter(os.path.isdir, self.task.inputs):
            if {name for name, _ in self._tree(path)} != {
                    source for source, _ in files if source.startswith(path + "/")}:
                raise StagingError(f"{path}: files were added or removed while it was copied to "
                                   "the scratch")
        os.makedirs(self.output, exist_ok=True)
        steps = tuple(replace(step, argv=tuple(map(self._word, step.argv)))
                      for step in self.task.steps)
        return replace(self.task, inputs=tuple(self._moved[path] for path in self.task.inputs),
                       steps=steps, folder=self.output)

    def _word(self, word: str) -> str:
        return self._moved.get(word) or relocated(word, self.task, self.output)

    def _files(self) -> Iterator[tuple[str, str]]:
        """Yield each file to copy and its target; inputs of one folder stay in one folder."""
        places = self._places
        seen = set()
        for path in self.task.inputs:
            above, name = os.path.split(path)
            place = places.setdefault(above, os.path.join(self.folder, "in", str(len(places))))
            self._moved[path] = os.path.join(place, name)
            files = self._tree(path) if os.path.isdir(path) else [(path, name), *self._beside(path)]
            for source, inside in files:
                target = os.path.join(place, inside)
                if target not in seen:
                    seen.add(target)
                    yield source, target

    def _tree(self, path: str) -> list[tuple[str, str]]:
        """Return the visible files of a folder, with names relative to its parent."""
        return [(inner, os.path.relpath(inner, os.path.dirname(path))) for inner in walk(path)]

    def _beside(self, path: str) -> list[tuple[str, str]]:
        """Return the other files in an input's folder that its reader needs; relative names too."""
        stem, suffix = os.path.splitext(path)
        others = {".dat": (".inf",), ".fft": (".inf",), ".inf": (".dat", ".fft")}.get(suffix, ())
        beside = [stem + other for other in others if os.path.isfile(stem + other)]
        base = os.path.realpath(os.path.dirname(path))
        for name in self._named(path):
            real = os.path.realpath(name)
            if real.startswith(base + "/") and real != os.path.realpath(path):
                beside.append(os.path.join(os.path.dirname(path), os.path.relpath(real, base)))
        return [(name, os.path.relpath(name, os.path.dirname(path))) for name in beside]

    def _named(self, path: str) -> list[str]:
        """Return the files that the stream of an input lists, if its format has several."""
        from fastsig.chain import open_chain
        from fastsig.cli.common import parse_overrides
        from fastsig.io.opening import detect

        overrides = tuple(word.removeprefix("--set=") for word in self.task.steps[0].argv
                          if word.startswith("--set="))
        try:
            name, module = detect(path)
            ours = module.__name__.startswith("fastsig.io.")
            if ours and name not in (*_BESIDE, "digital_rf"):
                return []
            if ours and name == "digital_rf":
                raise StagingError(f"{path}: a file of a Digital RF channel is not staged alone; "
                                   "allowed: the channel's folder as an input, or no --scratch")
            with open_chain(path, **parse_overrides(overrides)) as source:
                return source.stream.files
        except StagingError:
            raise
        except Exception:  # the command reports it when it opens the copy
            return []

    def _fetch(self, source: str, target: str) -> None:
        """Copy an input with its modification time, and compare the copy with what was read."""
        try:
            file = open(source, "rb")  # noqa: SIM115 - its errors are not those of the scratch
        except FileNotFoundError:
            raise StagingError(f"{source}: no longer exists", "vanished") from None
        except OSError as error:
            raise StagingError(f"{source}: {error.strerror}") from error
        with file:
            before = os.fstat(file.fileno())
            try:
                with open(target, "x+b") as target_file:
                    claim_space(target_file.fileno(), before.st_size)
                    n, digest = copy(file, target_file.fileno(), source, before.st_size)
                    after = os.stat(source)
                    check_same(source, before, after, n)
                    if digest_of(target_file.fileno()) != digest:
                        raise StagingError(f"scratch {self.scratch}: the copy of {source} differs "
                                           "from what was written: is the disk failing?")
                os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
            except OSError as error:
                raise self._error(error) from error

    def deliver(self, staged: Task, overwrite: bool) -> None:
        """Copy products to the output folder: all appear, checked and synced to disk, or none.

        Raises
        ------
        OutputError
            If a product cannot be written, a file with its name exists, or a copy differs.
        StagingError
            If a product cannot be read.
        """
        passing = products.passing(staged)
        names = [name for _, path in self._tree(self.output)
                 if (name := os.path.relpath(path, "out")) not in passing]
        made: list[SafeOutput] = []
        writer, folders = writer_id(), set()
        paths = [os.path.realpath(os.path.join(self.task.folder, name)) for name in names]
        sweep_names(paths)
        try:
            for name, path in zip(names, paths, strict=True):
                where = products.outside(self.task.folder, name)
                if where is not None:
                    raise OutputError(path, f"is outside the output folder {self.task.folder}")
                os.makedirs(os.path.dirname(path), exist_ok=True)
                made.append(SafeOutput(path, overwrite=overwrite, writer=writer))
                write_product(os.path.join(self.output, name), made[-1])
                if made[-1].folder in folders:
                    made[-1].rest()  # the first file of a folder holds the lock for all
                folders.add(made[-1].folder)
            for output in made:
                output.check_free()
            for output in made:
                output.give_name(keep_old=True)
            for output in made:
                output.finish()
        finally:
            for output in made:
                output.discard()  # has no effect once the file has its final name

    def renamed(self, line: str) -> str:
        """Return a line of a command's output with the original paths; name a full scratch disk."""
        full = any(os.strerror(number) in line for number in products.NO_ROOM)
        for above, place in self._places.items():
            line = line.replace(f"{place}/", f"{above}/")
        line = line.replace(self.output, self.task.folder)
        return f"scratch {self.scratch} is full: {line}" if full else line
