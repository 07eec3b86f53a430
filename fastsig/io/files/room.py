"""Space on a disk: how much is free, and claiming it for a file that will be written."""

from __future__ import annotations

import errno
import os

__all__ = ["claim", "free_bytes"]

_BLOCK = 512  # unit of st_blocks


def free_bytes(descriptor: int) -> int:
    """Return the number of bytes that this user may still write where an open file is."""
    room = os.fstatvfs(descriptor)
    return room.f_bavail * room.f_frsize


def claim(descriptor: int, size: int) -> None:
    """Claim the disk space of the first `size` bytes of a file, if its file system can.

    If less is free, nothing is claimed: an attempt would fill the disk before it fails, so that
    other programs could not write in the meantime.

    Raises
    ------
    OSError
        If less is free, or a limit on the size of files forbids it.
    """
    has_size = os.fstatvfs(descriptor).f_blocks > 0  # some network file systems state no sizes
    if has_size and size > free_bytes(descriptor) + os.fstat(descriptor).st_blocks * _BLOCK:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
