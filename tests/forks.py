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
import signal
import socket
import subprocess
import sys
import tempfile
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
# Names the socket of a server that a parent lends.
_LENT = "FASTSIG_TESTS_SERVER"
# What is read when modules are imported: other values need a process of their own.
_AT_IMPORT = ("NUMBA_", "PYTHON", "HDF5_", "OMP_", "OPENBLAS_", "MPL", "LD_")


class Server:
    """The process that forks; begun at the first run."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def run(self, arguments: list[str], cwd: Path | None, environment: dict[str, str],
            strict: str | None = None, timeout: float = 240
            ) -> subprocess.CompletedProcess[str] | None:
        """Run a command line; None where the environment needs a process of its own.

        With `strict` warnings are errors, but those of that message.
        """
        if self._socket is None:
            self._begin(environment)
        if _at_import(environment) != _at_import(self._environment):
            return None
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, (
                open(os.devnull)) as empty:
            code = self._ask(arguments, cwd or Path.cwd(), environment, strict, timeout,
                             (empty, out, err))
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def _ask(self, arguments: list[str], cwd: Path, environment: dict[str, str],
             strict: str | None, timeout: float, files: tuple[IO[str], ...]) -> int:
        assert self._socket is not None
        request = {"arguments": arguments, "cwd": str(cwd), "environment": environment,
                   "strict": strict, "timeout": timeout}
        socket.send_fds(self._socket, [json.dumps(request).encode()], [f.fileno() for f in files])
        return int(self._socket.recv(64))

    def lend(self, environment: dict[str, str]) -> tuple[dict[str, str], tuple[int, ...]]:
        """An environment and file descriptors for a child that runs all its runs here.

        Not at the same time as this process.
        """
        if self._socket is None:
            self._begin(environment)
        assert self._socket is not None
        number = self._socket.fileno()
        return {**self._environment, _LENT: str(number)}, (number,)

    def forget(self) -> None:
        """Begin with another process next time: this one may still have an answer to give."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self, environment: dict[str, str]) -> None:
        lent = os.environ.pop(_LENT, None)
        if lent is not None:
            self._socket, self._environment = socket.socket(fileno=int(lent)), environment
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL)
        theirs.close()
        self._socket, self._environment = ours, environment
        atexit.register(lambda: (ours.close(), process.wait(10)))


def _at_import(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith(_AT_IMPORT)}


def _serve(link: socket.socket) -> None:
    """Fork for every request, and tell the exit code."""
    _warm_up()
    gc.collect()
    gc.freeze()  # or each child's collector copies every page that it looks at
    while True:
        text, files, _, _ = socket.recv_fds(link, 2**20, 3)
        if not text:
            return
        request = json.loads(text)
        child = os.fork()
        if child == 0:
            _become(request, files)
        for file in files:
            os.close(file)
        link.send(str(_wait(child, request["timeout"])).encode())


def _warm_up() -> None:
    """Do once what every run would do."""
    for name in _MODULES:
        __import__(name)
    import numpy as np
    from fastsig_kernels import accumulate
    from numba.core.registry import cpu_target

    from fastsig import registry

    registry.formats()
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
    if request["strict"] is not None:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", request["strict"])
    sys.argv = ["fastsig", *request["arguments"]]
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int, timeout: float) -> int:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return os.waitstatus_to_exitcode(status)


SERVER = Server()

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as link:
        _serve(link)
