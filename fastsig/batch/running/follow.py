"""Following a recorder: the inputs are examined repeatedly, and files taken once they are quiet.

A recording is taken when size and modification time of all its files have not changed for some
seconds, as measured on this machine: clocks of recorders and file servers do not matter.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fastsig.batch.engines.job_queue import Queue
from fastsig.batch.recipe.model import ParsedRecipe
from fastsig.batch.tasks.input_files import FileStamp
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.recordings import Recording
from fastsig.batch.tasks.survey import survey

__all__ = ["Follow"]

_WRITTEN = (".part", ".tmp", ".partial")  # extensions of files that are being written
_GLANCE = 0.2  # s between checks whether the queue is still open

Take = Callable[[Sequence[Task], Sequence[Task]], bool]


@dataclass(frozen=True)
class Follow:
    """The inputs that are followed, and the settings.

    Parameters
    ----------
    recipe : ParsedRecipe
    files : tuple of str, optional
        Files to use instead of the recipe's own.
    every : float
        Seconds between examinations of the inputs.
    quiet : float
        Seconds for which files must not have changed.
    stop : float, optional
        Seconds without a new or changed file and without a running task, after which following
        ends.
    strict : bool
        As for `Recipe.tasks`.
    only : callable, optional
        Function from tasks to those of this shard.
    """

    recipe: ParsedRecipe
    files: tuple[str, ...] | None = None
    every: float = 10.0
    quiet: float = 30.0
    stop: float | None = None
    strict: bool = False
    only: Callable[[Sequence[Task]], list[Task]] | None = None

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that the tasks will use."""
        return tuple(sorted({step.command for step in self.recipe.steps}))

    @contextlib.contextmanager
    def looking(self, queue: Queue, take: Take, note: Callable[[str], None]) -> Iterator[None]:
        """Examine the inputs on a separate thread, while the queue is open and held.

        Parameters
        ----------
        queue : Queue
            Queue that is held; it is let go when following ends.
        take : callable
            Called with all tasks and the new ones; returns False if no more are wanted.
        note : callable
            Called with each line to be reported.
        """
        ended = threading.Event()
        looker = _Looker(self, queue, take, note, ended)
        thread = threading.Thread(target=looker.work, name="fastsig-follow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(5)  # a file system may stall
        if looker.error is not None:
            raise looker.error


class _Looker:
    """Examines the inputs of a `Follow`."""

    def __init__(self, follow: Follow, queue: Queue, take: Take, note: Callable[[str], None],
                 ended: threading.Event) -> None:
        self._follow, self._queue, self._take, self._note = follow, queue, take, note
        self._ended = ended
        self._since: dict[str, tuple[FileStamp, float]] = {}  # time of the last change, by path
        self._known: dict[tuple[FileStamp, ...], Task] = {}
        self._seen: set[str] = set()
        self._said: set[str] = set()
        self._last = time.monotonic()  # when a file last appeared or changed
        self._now = self._last
        self.error: BaseException | None = None

    def work(self) -> None:
        """Examine the inputs until the queue is closed, or nothing has come for long enough."""
        try:
            while self._look() and not self._rested():
                self._wait()
        except BaseException as error:
            self.error = error
            self._queue.close()
        finally:
            self._queue.let_go()

    def _wait(self) -> None:
        end = time.monotonic() + self._follow.every
        while not self._over() and (left := end - time.monotonic()) > 0:
            self._ended.wait(min(left, _GLANCE))

    def _over(self) -> bool:
        return self._ended.is_set() or self._queue.stop.finishing.is_set()

    def _rested(self) -> bool:
        """Return whether to end: the run is over, or nothing has come for the time `stop`."""
        stop = self._follow.stop
        if not self._queue.idle():
            self._last = time.monotonic()
        return self._over() or (stop is not None and time.monotonic() - self._last >= stop)

    def _look(self) -> bool:
        """Take recordings that are quiet; return False if no more are wanted."""
        follow, self._now = self._follow, time.monotonic()
        try:
            surveyed = survey(follow.recipe, follow.files, strict=follow.strict, ready=self._ready,
                              known=self._known)
        except OSError as error:  # a folder that changes while it is read
            self._say(f"cannot read the inputs now: {error.filename}: {error.strerror}")
            return True
        for line in surveyed.wrong:
            self._say(f"nothing yet: {line}")
        tasks = surveyed.tasks if follow.only is None else follow.only(surveyed.tasks)
        new = [task for task in tasks if task.id not in self._seen]
        if new:  # a recording that was taken too early, and has grown
            at_work = self._queue.withdraw(name for task in new for name in task.outputs)
            new = [task for task in new if at_work.isdisjoint(task.outputs)]
        self._seen.update(task.id for task in new)
        if not new:
            return True
        self._last = self._now
        return self._take(tasks, new)

    def _say(self, line: str) -> None:
        """Report a line, but only once."""
        if line not in self._said:
            self._said.add(line)
            self._note(line)

    def _ready(self, recording: Recording) -> bool:
        """Return whether all files of a recording are quiet; the state of each is recorded."""
        quiet = [self._quiet(file) for file in recording.files]
        return all(quiet)

    def _quiet(self, file: FileStamp) -> bool:
        if file.path.endswith(_WRITTEN):
            return False
        before, since = self._since.get(file.path, (None, self._now))
        if before != file:
            self._since[file.path] = file, self._now
            self._last, since = self._now, self._now
        return self._now - since >= self._follow.quiet
