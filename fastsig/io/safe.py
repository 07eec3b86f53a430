"""Products appear whole or not at all: temporary name, lock, reserve, flush, rename.

A product NAME is written as ``.NAME.HOST-PID-RANDOM.part`` in the same folder, under a lock that
the system drops when the writer dies. The next writer of NAME removes those whose lock is free.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import logging
import os
import re
import secrets
import socket
from collections.abc import Iterable
from types import TracebackType

from fastsig.errors import OutputError, UsageError

_log = logging.getLogger(__name__)

__all__ = ["SafeOutput", "check_output", "discard_unfinished", "sweep"]


def check_output(
    path: str | os.PathLike[str], *, overwrite: bool = False, inputs: Iterable[str] = ()
) -> str:
    """The path as text, or `OutputError` where a product cannot go there.

    It cannot go where one of the `inputs` is, whatever `overwrite` says.
    """
    target = os.fspath(path)
    folder = os.path.dirname(target) or "."
    if target in ("", "-"):
        raise UsageError(f"-o {target!r}: a product needs the name of a file")
    if not os.path.basename(target):
        raise OutputError(target, "names a folder, not a file")
    if os.path.isdir(target):
        raise OutputError(target, "is a folder")
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(target, "is not a regular file")
    if os.path.lexists(target) and not overwrite:
        raise OutputError(target, "exists; give --overwrite to replace it")
    for source in inputs:
        if os.path.exists(target) and os.path.samefile(target, source):
            raise OutputError(target, "is an input of this run and would be lost")
    if not os.path.isdir(folder):
        raise OutputError(target, f"the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(target, f"no permission to write in {folder}")
    return target


def sweep(path: str) -> list[str]:
    """Remove what dead writers of `path` left behind; returns the names removed."""
    folder, name = os.path.split(path)
    removed = []
    pattern = os.path.join(glob.escape(folder or "."), f".{glob.escape(name)}.*-*-*.part")
    for leftover in glob.glob(pattern):
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(leftover)
                removed.append(leftover)
                _log.info("%s: removed what a dead writer left", leftover)
            finally:
                os.close(descriptor)
    return removed


_unfinished: set[SafeOutput] = set()


def discard_unfinished() -> None:
    """Remove the temporary files that this process was writing when it was interrupted."""
    for output in list(_unfinished):
        output.discard()


class SafeOutput:
    """A file being written under a temporary name.

    Parameters
    ----------
    path : path
        Final name.
    overwrite : bool
        Whether an existing file may be replaced.
    reserve : int
        Bytes to claim on the disk before the work starts; 0 for none.

    Raises
    ------
    OutputError
        Where the file may not or cannot be written, or the disk has no `reserve` bytes.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, reserve: int = 0
    ) -> None:
        self.path = check_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._open = True
        # Through a link the product goes where the link points, the link stays.
        self._real = os.path.realpath(self.path)
        folder, name = os.path.split(self._real)
        host = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"
        self.temporary = os.path.join(
            folder, f".{name}.{host}-{os.getpid()}-{secrets.token_hex(4)}.part"
        )
        sweep(self._real)
        self.descriptor = -1
        _unfinished.add(self)  # before the file is there: a signal may come at any moment
        try:
            while not self._acquire():  # swept by another writer before the lock was ours
                pass
        except OSError as error:
            self._close()
            raise self.error(error) from error
        self.reserve(reserve)

    def _acquire(self) -> bool:
        """Make the temporary file and lock it; False where it vanished in between."""
        self.descriptor = os.open(self.temporary, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self.descriptor).st_nlink:
                return True
        except BlockingIOError:  # a sweeper holds it and is about to remove it
            pass
        os.close(self.descriptor)
        self.descriptor = -1
        return False

    def reserve(self, size: int) -> None:
        """Claim the disk space of the first `size` bytes."""
        if not size:
            return
        try:
            os.posix_fallocate(self.descriptor, 0, size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                return
            free = os.fstatvfs(self.descriptor)
            self.discard()
            raise OutputError(
                self.path,
                f"{_cause(error)}: up to {size} bytes are needed, "
                f"{free.f_bavail * free.f_frsize} are free",
            ) from error

    def error(self, cause: BaseException, *, poisoned: bool = False) -> OutputError:
        """An `OutputError` for the final name."""
        return OutputError(self.path, f"cannot be written: {_cause(cause)}", poisoned=poisoned)

    def commit(self, size: int | None = None) -> None:
        """Make the file durable and give it its name, cut to `size` where more was reserved."""
        try:
            if size is not None:
                os.ftruncate(self.descriptor, size)
            os.fsync(self.descriptor)
            self._give_name()
            folder = os.open(os.path.dirname(self._real), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError as error:
            self.discard()
            raise OutputError(self.path, "came up while it was being written") from error
        except OSError as error:
            self.discard()
            raise self.error(error) from error
        self._close()

    def _give_name(self) -> None:
        if self._overwrite:
            os.replace(self.temporary, self._real)
            return
        try:
            os.link(self.temporary, self._real)  # unlike rename, fails where a file came up
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            if os.path.lexists(self._real):  # a file system without links: the best there is
                raise FileExistsError(errno.EEXIST, "File exists") from error
            os.rename(self.temporary, self._real)
            return
        os.unlink(self.temporary)

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._open:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.temporary)
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            _unfinished.discard(self)
            if self.descriptor >= 0:
                os.close(self.descriptor)

    def __enter__(self) -> SafeOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._open:
            self.commit()
        else:
            self.discard()


def _cause(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return (str(error).splitlines() or [type(error).__name__])[0]
