"""Claims on an output folder: one for each run or shard, so that no task is done twice.

A claim is a locked file that records host, process and machine; its mtime is a heartbeat. The lock
ends with the process. On file systems whose locks are valid on one host only, or that have none,
the heartbeat shows whether the claim of another machine is alive; its age is measured with the
clock of the file system.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from fastsig.batch.ledger.folder import FOLDER, host_name
from fastsig.errors import OutputError

__all__ = ["Claim", "living"]

_BEAT = 10.0  # s
_DEAD = 60.0  # s without a heartbeat, after which the claim of another machine is ignored


@dataclass(frozen=True)
class _Holder:
    scope: str
    host: str
    pid: int
    boot: str
    start: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _start(pid: int) -> str:
    """Return the start time of a process of this machine, in clock ticks; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _holder(path: str, scope: str) -> _Holder | None:
    try:
        with open(path) as file:
            values = json.load(file)
        return _Holder(scope, str(values["host"]), int(values["pid"]), str(values["boot"]),
                       str(values["start"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # released, or not signed yet


def _now(folder: str) -> float:
    """Return the time by the clock of the file system."""
    path = os.path.join(folder, f".clock-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, b"0")
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        os.unlink(path)


def _locked(path: str) -> bool | None:
    """Return whether a process holds the lock; None if the file system does not support locks."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _lives(path: str, scope: str) -> _Holder | None:
    """Return the holder of a claim, or None if nobody holds it."""
    locked, holder = _locked(path), _holder(path, scope)
    if locked or holder is None:
        return (holder or _Holder(scope, "this host", 0, "", "")) if locked else None
    if holder.boot == _boot():
        return holder if locked is None and _start(holder.pid) == holder.start else None
    try:
        age = _now(os.path.dirname(path)) - os.stat(path).st_mtime
    except OSError:
        return None
    return holder if age < _DEAD else None


def living(folder: str) -> list[_Holder]:
    """Return the processes that are at work in an output folder."""
    claims = os.path.join(folder, FOLDER, "claims")
    try:
        names = sorted(name for name in os.listdir(claims) if not name.startswith("."))
    except OSError:
        return []
    holders = [_lives(os.path.join(claims, name), name) for name in names]
    return [holder for holder in holders if holder is not None]


def _meet(one: str, other: str) -> bool:
    """Return whether two scopes may share tasks: all do except different shards of the same N."""
    shard, of = _shard(one), _shard(other)
    return shard is None or of is None or shard[1] != of[1] or shard[0] == of[0]


def _shard(scope: str) -> tuple[int, int] | None:
    parts = scope.split("-")
    try:
        return int(parts[1]), int(parts[3])
    except (IndexError, ValueError):
        return None


class Claim:
    """The right to work on the tasks of a scope, until `release` or the end of the process.

    Parameters
    ----------
    folder : str
        The output folder.
    shard : (int, int), optional
        K and N of shard K of N; all tasks by default.

    Raises
    ------
    OutputError
        If another process has a claim on these tasks or some of them; the message names its
        process and host.
    """

    def __init__(self, folder: str, shard: tuple[int, int] | None = None) -> None:
        self.scope = "all" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"
        self.folder = folder
        claims = os.path.join(folder, FOLDER, "claims")
        try:
            os.makedirs(claims, exist_ok=True)
            self._path = os.path.join(claims, self.scope)
            self._take(claims)
        except OSError as error:
            raise OutputError(claims, f"cannot be written: {error.strerror}") from error
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="fastsig-claim", daemon=True)
        self._heart.start()

    def _take(self, claims: str) -> None:
        self._refuse(_lives(self._path, self.scope))
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        signed = False
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._refuse(_lives(self._path, self.scope))
                raise
            except OSError:  # no locks here: only the heartbeat shows that the claim is alive
                pass
            self._sign()
            signed = True
            self._refuse(next((holder for holder in living(self.folder)
                               if holder.scope != self.scope and _meet(holder.scope, self.scope)),
                              None))
            mine = _holder(self._path, self.scope)
            if mine is not None and mine.pid != os.getpid():  # another signed after us
                signed = False
                self._refuse(mine)
        except BaseException:
            if signed:  # otherwise it would look alive from other machines
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            raise

    def _refuse(self, holder: _Holder | None) -> None:
        if holder is not None:
            what = "" if holder.scope == "all" else f" ({holder.scope.replace('-', ' ')})"
            raise OutputError(self.folder, f"{holder} is at work here{what}; allowed: to wait "
                              "until it ends, or another output folder")

    def _sign(self) -> None:
        pid = os.getpid()
        text = json.dumps({"host": host_name(), "pid": pid, "boot": _boot(), "start": _start(pid)})
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def alone(self) -> bool:
        """Return whether no other run is at work, so that leftovers of dead runs can be removed."""
        return all(holder.scope == self.scope for holder in living(self.folder))

    def release(self) -> None:
        """Release the claim, so that others may work in the folder."""
        self._ended.set()
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.release()
