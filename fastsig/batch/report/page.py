"""One HTML page on the results of a batch: totals, and one row per task; it opens from disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

from fastsig.batch.ledger.folder import FOLDER
from fastsig.batch.ledger.status import status
from fastsig.batch.report.layout import GENERATOR, page_of
from fastsig.batch.report.thumbnails import Thumbnails
from fastsig.batch.tasks.model import Task
from fastsig.errors import OutputError

__all__ = ["NAME", "check_page", "write_report"]

#: Name of the page in the output folder.
NAME = "report.html"

_SECONDS = 60.0  # s for thumbnails


def write_report(
    tasks: Sequence[Task], folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None, *, title: str = "batch",
    overwrite: bool = False, pictures: bool = True, every: Sequence[Task] | None = None,
    reload: float | None = None, thumbnails: Thumbnails | None = None, seconds: float = _SECONDS,
) -> str:
    """Write the report on tasks from the ledger and the disk; this is safe during a run.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks on which to report.
    folder : path
        The output folder.
    output : path, optional
        Path of the page; ``report.html`` in the output folder by default.
    title : str
        Title of the page.
    overwrite : bool
        Whether an existing file that is not such a report may be replaced.
    pictures : bool
        Whether new thumbnails are made.
    every : sequence of Task, optional
        All tasks of the recipe, as for `fastsig.batch.status`.
    reload : float, optional
        Seconds after which a run rewrites the page, which then offers to reload itself.
    thumbnails : Thumbnails, optional
        Thumbnails of earlier pages; by default, those of the page that is replaced.
    seconds : float
        Maximum time for making new thumbnails.

    Returns
    -------
    str
        Path of the page.

    Raises
    ------
    OutputError
        If the page cannot be written, or `output` is an existing file that is not such a report,
        and `overwrite` is false.
    """
    base = os.path.abspath(folder)
    path = os.path.join(base, NAME) if output is None else os.path.abspath(output)
    check_page(path, tasks, overwrite=overwrite)
    known = thumbnails or Thumbnails(path)
    with _in_turn(base):
        content = page_of(status(tasks, base, every=every), base, os.path.dirname(path),
                          title=title, thumbnails=known, seconds=seconds if pictures else 0.0,
                          reload=reload)
        _write(path, content)
    return path


def _write(path: str, content: bytes) -> None:
    from fastsig.io.files.safe import SafeOutput

    with SafeOutput(path, overwrite=True, reserve=len(content)) as file:
        try:
            done = 0
            while done < len(content):
                done += os.write(file.descriptor, content[done:])
        except OSError as error:
            raise file.error(error) from error


def check_page(path: str, tasks: Sequence[Task], *, overwrite: bool = False) -> None:
    """Refuse a path that is a product of a task, a link, or a file that is not a report."""
    if any(path == os.path.join(task.folder, name) for task in tasks for name in task.outputs):
        raise OutputError(path, "is a product of the recipe; allowed: another name for the report")
    if os.path.islink(path):
        raise OutputError(path, "is a link; allowed: a name that is not a link")
    if not os.path.exists(path) or overwrite:
        return
    try:
        with open(path, "rb") as file:
            head = file.read(2000)
    except OSError as error:
        raise OutputError(path, error.strerror or str(error)) from error
    if f'<meta name="generator" content="{GENERATOR}">'.encode() not in head:
        raise OutputError(path, "exists, and is not a report of batch; --overwrite replaces it")


@contextlib.contextmanager
def _in_turn(folder: str) -> Iterator[None]:
    """Let writers take turns, so that the last page has the last state, if the disk has locks."""
    descriptor = -1
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.join(folder, FOLDER, "report"),
                             os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
