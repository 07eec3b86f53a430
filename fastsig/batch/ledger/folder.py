"""The folder that batch keeps within an output folder, and the names of files in it."""

from __future__ import annotations

import os
import re
import socket

__all__ = ["FOLDER", "host_name", "log_path"]

#: Folder within the output folder.
FOLDER = ".fastsig-batch"


def host_name() -> str:
    """Return the name of the host, with only letters, digits and ``_``."""
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"


def log_path(folder: str, name: str, task: str) -> str:
    """Return the path of a task's log within an output folder."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")[:100]
    return os.path.join(folder, FOLDER, "logs", f"{plain or 'task'}-{task[:16]}.log")
