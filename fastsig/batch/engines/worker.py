"""A worker process: ``python -m fastsig.batch.engines.worker`` runs jobs, given as lines of JSON.

Jobs are read from standard input, and outcomes are written to standard output; the commands' own
output goes to the log of the task. The process exits when its input ends, even in the middle of a
job, and the system kills it when the thread that started it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import os
import shlex
import signal
import sys
import time
from typing import Any

from fastsig.batch.engines.worker_pipes import Link, Log
from fastsig.batch.ledger.states import state_of
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Step, Task, task_from

__all__ = ["main"]

_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG


class _Worker:
    """Runs jobs, one after the other."""

    def __init__(self, link: Link, threads: int) -> None:
        self._link, self._threads = link, threads
        self.log = Log(self.hear, self.hear_warning)
        self.said = ""
        self._stage: Any = None

    def hear(self, line: str) -> None:
        """Send the line of an error at once: the command may exit by `os._exit`."""
        self.said = self._renamed(line)
        self._link.send({"said": self.said})

    def hear_warning(self, line: str) -> None:
        """Send the line of a warning."""
        self._link.send({"warned": self._renamed(line)})

    def _renamed(self, line: str) -> str:
        return line if self._stage is None else str(self._stage.renamed(line))

    def perform(self, job: dict[str, Any], memory: int | None) -> dict[str, Any]:
        """Run a job; return the values from which `Supervisor.perform` makes an outcome."""
        from fastsig.work.memory import peak_bytes, resident_bytes

        task = task_from(job["task"])
        self.said = ""
        self.log.start(job["log"])
        _forget_peak()
        begun = time.perf_counter()
        done = (self._staged if job["scratch"] else self._steps)(task, job, memory)
        done["seconds"] = round(time.perf_counter() - begun, 4)
        how = f": {done['error']}" if done["error"] and not done["code"] else ""
        self._write(f"# exit {done['code']}, {done['seconds']:.3f} s{how}\n")
        return {**done, "peak_bytes": peak_bytes(), "resident": resident_bytes(),
                "missing": _missing(task) if done["code"] else []}

    def _staged(self, task: Task, job: dict[str, Any], memory: int | None) -> dict[str, Any]:
        """Run a task on a disk of this node, and copy its products to the output folder."""
        from fastsig.batch.engines.staging import Stage, StagingError, sweep
        from fastsig.errors import FastsigError

        made: dict[str, Any] = {"outputs": [], "code": 0, "step": "staging"}
        lost = _missing(task)
        if lost:
            return {**made, "state": "vanished", "error": f"{lost[0]}: no longer exists"}
        wrong = _make_folders(task)
        if wrong:
            return {**made, "state": "failed", "error": wrong}
        sweep(job["scratch"])
        try:
            with Stage(task, job["scratch"]) as stage:
                self._link.send({"step": "staging"})
                staged = stage.fetch()
                self._write(f"# staged in {stage.folder}\n")
                self._stage = stage
                done = self._steps(staged, {**job, "overwrite": False}, memory)
                self._stage = None
                if done["code"]:
                    return done
                if done["state"] != "done":
                    return {**done, "error": stage.renamed(done["error"])}
                self._link.send({"step": "staging"})
                stage.deliver(staged, job["overwrite"])
        except FastsigError as error:
            state = error.state if isinstance(error, StagingError) else state_of(4, str(error))
            return {**made, "state": state, "error": str(error)}
        finally:
            self._stage = None
        return self._finish(task, {**made, "error": ""})

    def _steps(self, task: Task, job: dict[str, Any], memory: int | None) -> dict[str, Any]:
        made: dict[str, Any] = {"outputs": [], "code": 0, "error": "", "step": ""}
        lost = _missing(task)
        if lost:
            return {**made, "state": "vanished", "error": f"{lost[0]}: no longer exists"}
        wrong = _make_folders(task)
        if wrong:
            return {**made, "state": "failed", "error": wrong}
        for step in task.steps:
            made["step"] = step.command
            self._link.send({"step": step.command})
            made["code"] = self._run(step, job, memory)
            if made["code"]:
                _remove_passing(task)
                return {**made, "error": self.said or f"ended with {made['code']}"}
        return self._finish(task, made)

    def _finish(self, task: Task, made: dict[str, Any]) -> dict[str, Any]:
        """Check that all products exist, and remove those that are not kept."""
        try:
            made_now, absent = products.stat_products(task.folder, products.names_of(task))
        except OSError as error:
            return {**made, "state": "failed", "error": f"{error.filename}: {error.strerror}"}
        _remove_passing(task)
        if absent:
            return {**made, "state": "failed", "error": f"{absent}: was not made"}
        return {**made, "outputs": made_now, "state": "done", "step": ""}

    def _run(self, step: Step, job: dict[str, Any], memory: int | None) -> int:
        import logging

        from fastsig.cli.main import run

        words = [*step.command.split(), *step.argv]
        known = _options(step.command)
        given = {
            "--overwrite": [] if job["overwrite"] else None,
            "--workers": [str(self._threads)],
            "--memory": None if memory is None else [str(memory)],
        }
        extra = [word for name, values in given.items()
                 if name in known and values is not None and not known[name] & set(words)
                 for word in (name, *values)]
        words[len(step.command.split()) : len(step.command.split())] = extra
        self._write(f"# attempt {job['attempt']}: fastsig {shlex.join(words)}\n")
        logging.getLogger("fastsig").setLevel(logging.NOTSET)
        try:
            code = run(words)
        except BaseException as error:  # a signal at the very end of the command
            code = getattr(error, "code", 70)
        _hear_nothing()
        sys.stdout.flush()
        sys.stderr.flush()
        return code

    def _write(self, line: str) -> None:
        self.log.write(line.encode("utf-8", "backslashreplace"))


def _options(name: str) -> dict[str, set[str]]:
    """Return the long options of a command, with all names of each option."""
    import click

    from fastsig.cli.main import cli

    command: click.Command | None = cli
    for word in name.split():
        if not isinstance(command, click.Group):
            return {}
        command = command.get_command(click.Context(command), word)
    return {option: set(parameter.opts) for parameter in getattr(command, "params", ())
            for option in parameter.opts if option.startswith("--")}


def _missing(task: Task) -> list[str]:
    """Return the inputs that do not exist; one without permission counts as existing."""
    missing = []
    for path in task.inputs:
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            missing.append(path)
        except OSError:
            pass
    return missing


def _make_folders(task: Task) -> str:
    """Make the folders of the products; return why one cannot be made, empty if all can."""
    for name in products.names_of(task, kept=False):
        where = products.outside(task.folder, name)
        if where is not None:
            return f"{name}: leads to {where}, outside the output folder {task.folder}"
        try:
            os.makedirs(os.path.dirname(os.path.join(task.folder, name)), exist_ok=True)
        except OSError as error:
            return f"{error.filename}: cannot be made: {error.strerror}"
    return ""


def _remove_passing(task: Task) -> None:
    """Remove the products of steps that are not kept."""
    for name in products.passing(task):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(task.folder, name))


def _forget_peak() -> None:
    """Reset the peak of memory, so that it is that of one task."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _hear_nothing() -> None:
    """Ignore signals, which the parent handles, except while a command runs with its own handlers.

    SIGTERM from a scheduler such as Slurm reaches all processes.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has already died
        os._exit(0)


def _load(commands: list[str]) -> None:
    """Import the modules that the first job would import."""
    for name in ("fastsig.cli.main", "fastsig.chain", "fastsig.run.products",
                 "fastsig.io.files.safe", *(f"fastsig.cli.{name.split()[0]}" for name in commands)):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main() -> None:
    """Run jobs until there are no more."""
    from fastsig.work import threads
    from fastsig.work.memory import resident_bytes

    link = Link()
    hello = link.orders.get()
    if hello is None:
        return
    _hear_nothing()
    _die_with(hello["parent"])
    threads.limit_processors(hello["threads"])
    _load(hello["commands"])
    worker = _Worker(link, hello["threads"])
    log = worker.log
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(io.BufferedWriter(log), "utf-8", "backslashreplace",
                                  line_buffering=True, write_through=True)
        setattr(sys, name, stream)
    link.send({"ready": os.getpid(), "resident": resident_bytes()})
    while (order := link.orders.get()) is not None:
        link.busy = True
        done = worker.perform(order["job"], order["memory"])
        link.send({"done": done})
        log.start("")
        link.busy = False


def _warm() -> None:
    """Compile the kernels if the cache is empty; a lock makes this happen once per node."""
    import fcntl
    import tempfile

    from fastsig.cli.warming import compile_all, is_cold

    if not is_cold():
        return
    print("cold", flush=True)
    folder = os.environ.get("NUMBA_CACHE_DIR", tempfile.gettempdir())
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f".warm-{os.getuid()}")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_cold():
            compile_all()


if __name__ == "__main__":
    if sys.argv[1:] == ["--warm"]:
        _warm()
    else:
        main()
