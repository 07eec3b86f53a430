"""Run ``fastsig`` in children of one process that has imported it already.

A hundred runs of the command line spend most of their time on imports. A server imports once, and
forks for each: the child has a folder, an environment, files and an exit code of its own, as a
process that a shell starts.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import IO, Any, NoReturn

HERE = Path(__file__).resolve().parent
_MODULES = (
    "fastsig.cli.main", "fastsig.chain", "fastsig.run.products", "fastsig.simulate",
    "fastsig.view", "fastsig_kernels", "hdf5plugin", "matplotlib.backends.backend_agg",
    "matplotlib.figure", "astropy.coordinates", *(f"fastsig.cli.{name}" for name in (
        "convert", "cut", "doctor", "info", "simulate", "spectra", "validate", "view", "warmup")),
)
# What is read when modules are imported: other values need a process of their own.
_AT_IMPORT = ("NUMBA_", "PYTHON", "HDF5_", "OMP_", "OPENBLAS_", "MPL", "LD_")


class Forked:
    """A running child of the server, with what the tests use of `subprocess.Popen`."""

    def __init__(self, server: Server, pid: int, out: IO[str], err: IO[str]) -> None:
        self._server, self.pid, self.stdout, self.stderr = server, pid, out, err
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.code_of(self.pid, 0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has one."""
        if self.returncode is None:
            self.returncode = self._server.code_of(self.pid, timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("fastsig", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it writes, once it has ended."""
        found = ["", ""]
        readers = [threading.Thread(target=_read_into, args=(found, i, file), daemon=True)
                   for i, file in enumerate((self.stdout, self.stderr))]
        for each in readers:
            each.start()
        self.wait(timeout)
        for each in readers:
            each.join(timeout)
            if each.is_alive():  # a child of it holds the file
                raise subprocess.TimeoutExpired("fastsig", timeout or 0)
        return found[0], found[1]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _read_into(found: list[str], place: int, file: IO[str]) -> None:
    with file:
        found[place] = file.read()


class Server:
    """The process that forks; begun at the first run."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}
        self._codes: dict[int, int] = {}

    def run(self, arguments: list[str], cwd: Path | None, environment: dict[str, str],
            strict: str | None = None, timeout: float = 240, before: str = "",
            stdin: int | None = None) -> subprocess.CompletedProcess[str] | None:
        """Run a command line; None where the environment needs a process of its own.

        With `strict` warnings are errors, but those of that message; `before` is Python that runs
        first, `stdin` a descriptor.
        """
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = self._fork(arguments, environment, out, err, cwd, strict, before, stdin)
            if child is None:
                return None
            try:
                code = child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait(10)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def begin(self, arguments: list[str], environment: dict[str, str], cwd: Path | None = None,
              before: str = "") -> Forked | None:
        """Begin a command line; None where the environment needs a process of its own."""
        pipes = [os.pipe(), os.pipe()]
        with os.fdopen(pipes[0][1], "w") as out, os.fdopen(pipes[1][1], "w") as err:
            child = self._fork(arguments, environment, out, err, cwd, before=before)
        readers = [os.fdopen(readable) for readable, _ in pipes]
        if child is None:
            for each in readers:
                each.close()
            return None
        child.stdout, child.stderr = readers
        return child

    def _fork(self, arguments: list[str], environment: dict[str, str], out: IO[str],
              err: IO[str], cwd: Path | None, strict: str | None = None, before: str = "",
              stdin: int | None = None) -> Forked | None:
        if self._socket is None:
            self._begin(environment)
        assert self._socket is not None
        more = _more_path(environment, self._environment)
        if more is None or _at_import(environment) != _at_import(self._environment):
            return None
        request = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "path": more,
                   "environment": environment, "strict": strict, "before": before}
        with open(os.devnull) as empty:
            socket.send_fds(self._socket, [json.dumps(request).encode()],
                            [empty.fileno() if stdin is None else stdin, out.fileno(),
                             err.fileno()])
        pid: int | None = None
        while pid is None:
            pid = self._hear(None)
        return Forked(self, pid, out, err)

    def code_of(self, pid: int, timeout: float | None) -> int | None:
        """The exit code of a child; None where it runs when the time is over."""
        until = None if timeout is None else time.monotonic() + timeout
        while pid not in self._codes:
            left = None if until is None else max(0, until - time.monotonic())
            if self._hear(left) is False:
                return None
        return self._codes.pop(pid)

    def _hear(self, timeout: float | None) -> Any:
        """The number of a child that began; None where one has ended, False where none has."""
        assert self._socket is not None
        if not select.select([self._socket], [], [], timeout)[0]:
            return False
        told = json.loads(self._socket.recv(64) or b"null")
        if told is None:
            raise RuntimeError("the process that forks has ended")
        if "code" not in told:
            return told["pid"]
        self._codes[told["pid"]] = told["code"]
        return None

    def _begin(self, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plain = {**environment, "PYTHONPATH": os.pathsep.join(_path(environment)[-2:])}
        process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env=plain, stdin=subprocess.DEVNULL)
        theirs.close()
        self._socket, self._environment, self._codes = ours, plain, {}
        atexit.register(lambda: (ours.close(), process.wait(10)))


def _path(environment: dict[str, str]) -> list[str]:
    return environment.get("PYTHONPATH", "").split(os.pathsep)


def _more_path(environment: dict[str, str], server: dict[str, str]) -> list[str] | None:
    """Folders with packages that a child has and the server has not; None where one is missing."""
    ours, theirs = _path(environment), _path(server)
    n_more = len(ours) - len(theirs)
    return ours[:n_more] if n_more >= 0 and ours[n_more:] == theirs else None


def _at_import(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items()
            if key.startswith(_AT_IMPORT) and key != "PYTHONPATH"}


def _serve(link: socket.socket) -> None:
    """Fork for every request; report the child's number, and its exit code when it has ended."""
    _warm_up()
    gc.collect()
    gc.freeze()  # or each child's collector copies every page that it looks at
    children: dict[int, int] = {}  # of descriptors
    while True:
        for ready in select.select([link, *children], [], [])[0]:
            if ready is not link:
                pid = children.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                link.send(json.dumps({"pid": pid, "code": code}).encode())
                continue
            text, files, _, _ = socket.recv_fds(link, 2**20, 3)
            if not text:
                return
            pid = os.fork()
            if pid == 0:
                for each in children:
                    os.close(each)
                link.close()
                _become(json.loads(text), files)
            children[os.pidfd_open(pid)] = pid
            for file in files:
                os.close(file)
            link.send(json.dumps({"pid": pid}).encode())


def _warm_up() -> None:
    """Do once what every run would do."""
    for name in _MODULES:
        __import__(name)
    import numpy as np
    from astropy.time import Time
    from fastsig_kernels import accumulate
    from numba.core.registry import cpu_target

    from fastsig import registry
    from fastsig.telescopes import earth

    registry.formats()
    earth.accuracy(Time("2026-01-01"))  # reads tables that every position needs, 1 s
    cpu_target.target_context.refresh()  # what numba needs where it compiles, 0.3 s
    one = np.ones((1, 1, 4), np.float32)
    accumulate(one, np.ones((1, 1)), np.zeros((1, 4), np.float32), np.zeros(1))


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be the process that the request asks for, but for taking the interpreter apart at the end.

    That costs ten times what most runs do, as every page of it is copied.
    """
    from fastsig.cli.main import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:0] = request["path"]
    if request["strict"] is not None:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", request["strict"])
    sys.argv = ["fastsig", *request["arguments"]]
    try:
        exec(request["before"], {})
        if request["path"] or request["before"]:
            _forget_plugins()
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _forget_plugins() -> None:
    """Look for plug-ins again: there are others on another path."""
    from fastsig import registry

    for each in vars(registry).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()


SERVER = Server()

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as link:
        _serve(link)
