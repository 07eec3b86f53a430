"""``fastsig``: finds the command, and turns errors into one line and an exit code.

Exit codes: 0 done; 1 some inputs failed; 2 usage; 3 bad input; 4 output; 70 internal error;
130 Ctrl-C; 143 SIGTERM; 129 SIGHUP.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import sys
import warnings
from typing import Any, NoReturn

import click

from fastsig._version import __version__
from fastsig.cli.common import Group
from fastsig.errors import speak_of_options

_COMMANDS = ("info", "spectra", "flag", "dedisperse", "calibrate", "baseline", "switch", "flux",
             "frame", "grid", "extract", "moment", "plan-dm", "search", "burst", "fold", "toas",
             "measure", "view", "convert", "cut", "validate", "simulate", "samples", "live",
             "live-status", "batch", "doctor", "warmup")
#: Commands in a package above this one, which run the others.
_ABOVE = {"batch": "fastsig.batch.commands.batch"}


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def _module(name: str) -> str:
    """Return the name of a command as that of its module and function."""
    return name.replace("-", "_")


class LazyGroup(Group):
    """A group of commands that are modules of `fastsig.cli`, loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of this name."""
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(_ABOVE.get(name, f"fastsig.cli.{_module(name)}"))
        command: click.Command = getattr(module, _module(name))
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fastsig")
def cli() -> None:
    """Process radio-telescope data, from voltages to calibrated spectra and cubes."""


def _on_sigterm(signum: int, frame: Any) -> NoReturn:
    raise Terminated(signum)


def _end_at_once(signum: int, frame: Any) -> NoReturn:
    """End the process, unless it is writing a file, which has to be removed.

    An exception could be swallowed by the callback of a library, or crash one that is being loaded.
    While products are written, `fastsig.work.signals` holds signals back.
    """
    safe = sys.modules.get("fastsig.io.files.safe")
    if safe is not None and safe.is_writing():
        raise KeyboardInterrupt if signum == signal.SIGINT else Terminated(signum)
    how = "interrupted" if signum == signal.SIGINT else "terminated"
    with contextlib.suppress(OSError):
        os.write(2, f"fastsig: {how}; nothing was left half-written\n".encode())
    os._exit(128 + signum)


def _code(error: BaseException) -> int:
    from fastsig.errors import InputError, OutputError, UsageError

    kinds = ((UsageError, 2), (InputError, 3), (OutputError, 4))
    return next((code for kind, code in kinds if isinstance(error, kind)), 70)


def _warn(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    click.echo(f"fastsig: warning: {message}", err=True)


def run(arguments: list[str] | None = None, *, alone: bool = False) -> int:
    """Run a command line and return its exit code; end the process if a writer is poisoned.

    `alone` is whether the process has nothing else to do, so that a signal may end it at once.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    for name in ("stdout", "stderr"):  # None if the shell closed them (2>&-)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the whole process
    warnings.showwarning = _warn
    warnings.filterwarnings("ignore", ".*dubious year")  # `fastsig.io.opening` warns once per file
    logging.basicConfig(format="fastsig: %(message)s", level=logging.WARNING)
    on_signal = _end_at_once if alone else _on_sigterm
    signal.signal(signal.SIGTERM, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: keep running
        signal.signal(signal.SIGHUP, on_signal)
    if alone and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_signal)
    before = speak_of_options(True)
    try:
        result = cli.main(arguments, prog_name="fastsig", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"fastsig: {error.format_message()}", err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"try '{error.ctx.command_path} --help'", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _interrupted("interrupted", 130)
    except Terminated as error:
        return _interrupted("terminated", error.code)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at exit
        return 0
    except Exception as error:
        return _report(error, debug)
    finally:
        speak_of_options(before)


def _interrupted(how: str, code: int) -> int:
    if "fastsig.io.files.safe" in sys.modules:  # otherwise nothing was being written
        sys.modules["fastsig.io.files.safe"].discard_unfinished()
    click.echo(f"fastsig: {how}; nothing was left half-written", err=True)
    return code


def _report(error: Exception, debug: bool) -> int:
    from fastsig.errors import FastsigError, OutputError

    if debug:
        import traceback

        traceback.print_exc()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        # Products raise errors of their own: this one comes from the standard output.
        error = OutputError("standard output", os.strerror(error.errno))
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at exit
    known = isinstance(error, (FastsigError, MemoryError))
    text = str(error) if known else f"internal error: {type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        text = f"out of memory: {error or 'specify a lower --memory or fewer --workers'}"
    hint = "" if known or debug else " (run again with --debug for the traceback, and report it)"
    click.echo(f"fastsig: {text}{hint}", err=True)
    code = _code(error)
    if isinstance(error, OutputError) and error.poisoned:
        # HDF5 has a file open that it cannot close, and would crash in its exit handler.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def main() -> NoReturn:
    """Entry point of the ``fastsig`` script."""
    # Imports and numba's compiler create millions of objects, few of which are garbage: collecting
    # it at the default rate takes a tenth of the start-up time.
    gc.set_threshold(100_000, 50, 50)
    # Commands have threads of their own. Those of BLAS, which numpy starts when it is imported,
    # would wait for each other at full load between small products: for five times as long as the
    # products take when candidates are folded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = run(alone=True)
    # The interpreter looks for garbage among all of them several times before it ends, which takes
    # a fifth of a second.
    gc.freeze()
    sys.exit(code)
