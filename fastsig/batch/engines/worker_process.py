"""A worker process as its supervisor handles it: start, messages, kill."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
from typing import Any

from fastsig.batch.engines.environment import environment, worker_words
from fastsig.batch.engines.jobs import Setup

__all__ = ["PATIENCE", "WorkerProcess"]

#: Seconds that a killed process has to end; one that hangs in the kernel does not end.
PATIENCE = 5.0

_stuck: list[subprocess.Popen[bytes]] = []  # killed, but not ended: left to the system


class WorkerProcess:
    """A worker process and the pipes to it.

    Parameters
    ----------
    setup : Setup
    """

    def __init__(self, setup: Setup) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            worker_words(), env=environment(setup), stdin=subprocess.PIPE, bufsize=0,
            stdout=subprocess.PIPE, stderr=self._said, start_new_session=True)
        self._rest = b""
        self.n_done = 0
        self.resident = 0
        self.send({"threads": setup.threads, "commands": setup.commands,
                   "parent": os.getpid()})

    def send(self, message: dict[str, Any]) -> None:
        """Send a message as a line of JSON; a dead worker is detected when its answer is read."""
        assert self.process.stdin is not None
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(OSError):
            while line:
                line = line[self.process.stdin.write(line) or 0 :]

    def receive(self, seconds: float) -> list[dict[str, Any]] | None:
        """Return the messages that arrive within this time; None if the process has ended."""
        assert self.process.stdout is not None
        poll = select.poll()  # unlike select, for any number of open files
        poll.register(self.process.stdout, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None if self.process.poll() is not None else []  # a child may hold the pipe
        data = os.read(self.process.stdout.fileno(), 2**16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def memory(self) -> int:
        """Return the resident memory of the process now, in bytes."""
        try:
            with open(f"/proc/{self.process.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def kill(self) -> None:
        """Kill the process and all processes that it started."""
        with contextlib.suppress(OSError):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Wait for the process to end, and return its exit code; None if it hangs in the kernel."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _stuck.append(self.process)
            return None
        with contextlib.suppress(OSError):  # processes that it started may outlive it
            os.killpg(self.process.pid, signal.SIGKILL)
        return code

    def last_words(self) -> str:
        """Return the last line on its standard error."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Close the pipes, which makes the process exit."""
        for pipe in (self.process.stdin, self.process.stdout, self._said):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
