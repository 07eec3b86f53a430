"""Space on a disk: how much is free, and claiming it for a file that will be written."""

from __future__ import annotations

import errno
import os

__all__ = ["claim", "free_bytes", "has_room", "margin"]

_BLOCK = 512  # unit of st_blocks
_MOST_MARGIN, _SHARE = 2**30, 16


def free_bytes(place: int | str) -> int:
    """Return the number of bytes that this user may still write in a folder or an open file."""
    room = os.statvfs(place)
    return room.f_bavail * room.f_frsize


def has_room(place: int | str, size: int) -> bool:
    """Return False if a file system states that fewer than `size` bytes are free.

    Ask before writing: an attempt that fails fills the disk first, so that other programs cannot
    write in the meantime.
    """
    states_size = os.statvfs(place).f_blocks > 0  # some network file systems do not
    return not states_size or size <= free_bytes(place)


def margin(place: int | str) -> int:
    """Return the bytes that a recording leaves free for other products, on the disk of a place.

    They are a sixteenth of the file system, at most 1 GiB. It is the recording that fills a disk:
    without a margin, other products that are written at the same moment would fail with it.
    """
    disk = os.statvfs(place)
    return min(_MOST_MARGIN, disk.f_blocks * disk.f_frsize // _SHARE)


def claim(descriptor: int, size: int) -> None:
    """Claim the disk space of the first `size` bytes of a file, if its file system can.

    If less is free, nothing is claimed.

    Raises
    ------
    OSError
        If less is free, or a limit on the size of files forbids it.
    """
    if not has_room(descriptor, size - os.fstat(descriptor).st_blocks * _BLOCK):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
