"""Products that appear whole or not at all: temporary name, lock, reserve, flush, rename.

A product NAME is written as ``.NAME.HOST-PID-RANDOM.part`` in the same folder, under a lock that
the system releases when the writer dies. The next writer of NAME removes those that are not locked.
Files of one product share HOST-PID-RANDOM: they are in use while one of them in a folder is locked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from types import TracebackType

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.causes import cause_of
from fastsig.io.files.leftovers import sweep, writer_id
from fastsig.io.files.room import claim, free_bytes

__all__ = ["SafeOutput", "check_name", "check_output", "discard_unfinished", "write_bytes"]

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # file systems without hard links


def check_name(path: str | os.PathLike[str]) -> str:
    """Return the path as text; raise `UsageError` if it cannot be the name of one file."""
    target = os.fspath(path)
    if target in ("", "-"):
        raise UsageError(f"-o {target!r}: a product needs the name of a file")
    if "{file}" in target:
        raise UsageError(f"{target}: {{file}} is replaced by the numbers of several files, but "
                         "this is a single file; allowed: a name without {file}")
    return target


def check_output(
    path: str | os.PathLike[str], *, overwrite: bool = False, inputs: Iterable[str] = ()
) -> str:
    """Return the path as text; raise `OutputError` if a product cannot be written there.

    A product cannot replace one of the `inputs`, even with `overwrite`.
    """
    target = check_name(path)
    folder = os.path.dirname(target) or "."
    if not os.path.basename(target):
        raise OutputError(target, "names a folder, not a file")
    if os.path.isdir(target):
        raise OutputError(target, "is a folder")
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(target, "is not a regular file")
    if os.path.lexists(target) and not overwrite:
        raise OutputError(target, "exists; give --overwrite to replace it")
    for source in inputs:
        # An input that is missing is reported when it is opened.
        if os.path.exists(target) and os.path.exists(source) and os.path.samefile(target, source):
            raise OutputError(target, "is an input of this run and would be lost")
    _check_folder(target, folder)
    return target


def _check_folder(target: str, folder: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except FileNotFoundError:
        raise OutputError(target, f"the folder {folder} does not exist") from None
    except OSError as error:
        raise OutputError(target, f"the folder {folder}: {cause_of(error)}") from error
    if not is_folder:
        raise OutputError(target, f"{folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(target, f"no permission to write in {folder}")


_unfinished: set[SafeOutput] = set()


def is_writing() -> bool:
    """Whether this process is writing a file that has not got its name."""
    return bool(_unfinished)


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
    writer : str, optional
        Result of `writer_id`, for one of several files of a product, whose creator has removed
        leftovers before.

    Raises
    ------
    OutputError
        If the file may not or cannot be written, or fewer than `reserve` bytes are free.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, reserve: int = 0,
        writer: str | None = None,
    ) -> None:
        self.path = check_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._open = True
        # If the path is a link, its target is replaced and the link stays.
        self._real = os.path.realpath(self.path)
        self.folder, name = os.path.split(self._real)
        stem = os.path.join(self.folder, f".{name}.{writer or writer_id()}")
        self.temporary, self._old = f"{stem}.part", f"{stem}-old.part"
        self._given = self._replaced = False
        if writer is None or os.path.islink(self.path):
            sweep(self._real)
        self.descriptor = -1
        _unfinished.add(self)  # before the file exists: a signal may arrive at any moment
        try:
            while not self._acquire():  # removed by another writer before it was locked
                pass
        except OSError as error:
            self._close()
            raise self.error(error) from error
        self.reserve(reserve)

    def _acquire(self) -> bool:
        """Create the temporary file and lock it; return False if it vanished in between."""
        self.descriptor = os.open(self.temporary, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self.descriptor).st_nlink:
                return True
        except BlockingIOError:  # another writer has locked it and is about to remove it
            pass
        os.close(self.descriptor)
        self.descriptor = -1
        return False

    def reserve(self, size: int) -> None:
        """Claim the disk space of the first `size` bytes."""
        if not size:
            return
        free = free_bytes(self.descriptor)
        try:
            claim(self.descriptor, size)
        except OSError as error:
            self.discard()
            raise OutputError(self.path, f"{cause_of(error)}: up to {size} bytes are needed, "
                              f"{free} are free") from error

    def error(self, cause: BaseException, *, poisoned: bool = False) -> OutputError:
        """Return an `OutputError` for the final name."""
        return OutputError(self.path, f"cannot be written: {cause_of(cause)}", poisoned=poisoned)

    def rest(self) -> None:
        """Close the descriptor until `wake`; another file of the product must stay locked."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def wake(self) -> None:
        """Open the file again after `rest`."""
        if self.descriptor < 0:
            try:
                self.descriptor = os.open(self.temporary, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                raise self.error(error) from error

    def commit(self, size: int | None = None) -> None:
        """Make the file durable and name it; truncate it to `size` if more was reserved."""
        try:
            self.flush(size)
            self.give_name()
        except OutputError:
            self.discard()
            raise
        self.finish()

    def flush(self, size: int | None = None) -> None:
        """Make the bytes durable; truncate the file to `size` if more was reserved."""
        try:
            if size is not None:
                os.ftruncate(self.descriptor, size)
            os.fsync(self.descriptor)
        except OSError as error:
            raise self.error(error) from error

    def check_free(self) -> None:
        """Refuse a name that is taken by now and may not be replaced."""
        if os.path.isdir(self._real) or (os.path.lexists(self._real) and not self._overwrite):
            raise OutputError(self.path, "was created by another program meanwhile")

    def give_name(self, *, keep_old: bool = False) -> None:
        """Give the file its name; with `keep_old`, `take_back` can restore the file replaced."""
        try:
            found = os.stat(self.temporary)
            self._identity = found.st_dev, found.st_ino
            self._give_name(keep_old)
            self._given = True
            folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError as error:
            raise OutputError(self.path, "was created by another program meanwhile") from error
        except OSError as error:
            raise self.error(error) from error

    def finish(self) -> None:
        """Remove the backup of the file that was replaced, and close this one."""
        if self._replaced:
            with contextlib.suppress(OSError):
                os.unlink(self._old)
        self._close()

    def take_back(self) -> None:
        """Undo `give_name`: restore the file that was replaced, or remove this one."""
        if self._given:
            self._given = False
            with contextlib.suppress(OSError):
                found = os.lstat(self._real)
                if (found.st_dev, found.st_ino) != self._identity:
                    return  # replaced by another writer in the meantime
                if self._replaced:
                    os.replace(self._old, self._real)
                else:
                    os.unlink(self._real)

    def _give_name(self, keep_old: bool) -> None:
        if self._overwrite:
            if keep_old:
                self._keep_old()
            os.replace(self.temporary, self._real)
            return
        try:
            os.link(self.temporary, self._real)  # unlike rename, fails if the name is taken
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(self._real):  # the best check on a file system without links
                raise FileExistsError(errno.EEXIST, "File exists") from error
            os.rename(self.temporary, self._real)
            return
        os.unlink(self.temporary)

    def _keep_old(self) -> None:
        """Give a second name to the file that is about to be replaced, if there is one."""
        try:
            os.link(self._real, self._old)
            self._replaced = True
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._open:
            self.take_back()
            for leftover in (self.temporary, self._old):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(leftover)
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            _unfinished.discard(self)
            self.rest()

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


def write_bytes(content: bytes, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    with SafeOutput(path, overwrite=overwrite) as output:
        left, done = memoryview(content), 0
        try:
            while done < len(left):
                done += os.pwrite(output.descriptor, left[done:], done)
        except OSError as error:
            raise output.error(error) from error
