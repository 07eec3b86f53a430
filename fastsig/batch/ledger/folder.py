"""The folder of batch within an output folder, and names in it."""

from __future__ import annotations

import os
import re
import socket

__all__ = ["FOLDER", "host_name", "log_path"]

#: Folder within the output folder.
FOLDER = ".fastsig-batch"


def host_name() -> str:
    """The name of the host, in characters that names of files can have."""
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"


def log_path(folder: str, name: str, task: str) -> str:
    """The log of a task, within an output folder."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")[:100]
    return os.path.join(folder, FOLDER, "logs", f"{plain or 'task'}-{task[:16]}.log")
