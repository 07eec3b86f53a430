"""Options and output shared by the commands."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def options(*groups: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Combine several option decorators into one, in the order given."""

    def wrap(command: Command) -> Command:
        for group in reversed(groups):
            command = group(command)
        return command

    return wrap


class Group(click.Group):
    """A group that lists its commands in their order, and suggests one if a name is mistyped."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"No such command {args[0]!r}{self._suggested(ctx, args[0])}",
                                   ctx)
        return super().resolve_command(ctx, args)

    def _suggested(self, ctx: click.Context, word: str) -> str:
        """Return ``; did you mean spectra?``, or the allowed names if none is similar."""
        import difflib

        names = self.list_commands(ctx)
        near = difflib.get_close_matches(word.lower(), names, 1)
        return f"; did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(names)}"


class InputPath(click.types.StringParamType):
    """The type of an option that names a file or folder read by the command besides its FILEs.

    A batch uses this declaration alone to decide which files are part of a task's identity.

    Parameters
    ----------
    or_value : bool
        Whether the text may be a value instead of a path: temperatures, or a table of them.
    """

    name = "path"

    def __init__(self, *, or_value: bool = False) -> None:
        self.or_value = or_value


class OutputPath(click.types.StringParamType):
    """The type of an option that names a file or folder written by the command."""

    name = "path"


def output_option(text: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Return the options ``-o/--output`` and ``--overwrite``."""
    return options(
        click.option("-o", "--output", type=OutputPath(), required=required, metavar="PATH",
                     help=text),
        click.option("--overwrite", is_flag=True, help="Replace existing output files."),
    )


debug_option = click.option("--debug", is_flag=True,
                            help="Show the full traceback if an error occurs.")


def _be_verbose(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        logging.getLogger("fastsig").setLevel(logging.INFO)


#: Helps of ``-v`` of commands that print no plan, or nothing more.
SAYS_SWEPT = "Report which temporary files of killed runs are removed."
SAYS_FORMATS = "Print additional information, such as the formats of the files."
SAYS_NOTHING = "Accepted for consistency with other commands; has no effect."
#: Help of ``-q`` of commands whose warnings are part of their results.
ERRORS_ONLY = "Print no messages except errors."


def message_options(*, verbose: str = "Print additional information, such as file formats, the "
                                      "plan and the time taken.",
                    quiet: str = "Print no messages except warnings and errors."
                    ) -> Callable[[Command], Command]:
    """Return the options ``-v/--verbose`` and ``-q/--quiet``, with these helps."""
    return options(
        click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_be_verbose,
                     help=verbose),
        click.option("-q", "--quiet", is_flag=True, help=quiet))


quiet_options = message_options()
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Set a header value. KEY is sample_rate, frequency, sideband, start_time, telescope, "
         "source, feed, position, ra or dec (e.g. ra=5h34m31.97s, dec=22.0145deg), or a "
         "format-specific key. May be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
workers_option = click.option(
    "-j", "--workers", type=click.IntRange(1, 1024), metavar="N",
    help="Use this many threads.  [default: one per processor]",
)
memory_option = click.option("--memory", metavar="SIZE",
                             help="Limit the memory used by the process, e.g. to 500MB.")
explain_option = click.option("--explain", is_flag=True,
                              help="Print every step of the plan before the run.")
hash_option = click.option("--hash-inputs", is_flag=True,
                           help="Record in the provenance a hash of each entire input file, not "
                                "only of its first and last MiB.")


def run_options(dry_run: str, *, explain: bool = True,
                messages: Callable[[Any], Any] = quiet_options
                ) -> Callable[[Command], Command]:
    """Return the options of commands that read recordings in passes.

    Parameters
    ----------
    dry_run : str
        Help of ``--dry-run``: what it prints.
    explain : bool
        Whether the command has ``--explain``.
    messages : callable
        The options ``-v`` and ``-q``.
    """
    return options(
        workers_option, memory_option,
        click.option("--verify", is_flag=True,
                     help="Read the whole input first to verify its checksums."),
        hash_option, click.option("--dry-run", is_flag=True, help=dry_run),
        *([explain_option] if explain else []),
        json_option, set_option, messages, debug_option)


def picture_option(what: str) -> Callable[[Command], Command]:
    """Return the option ``--picture``, which draws `what`."""
    return click.option("--picture", type=OutputPath(), metavar="PATH",
                        help=f"Save a plot of {what} to this file (.png, .pdf, .svg or .html).")


def format_option(formats: Sequence[str]) -> Callable[[Command], Command]:
    """Return the option ``--to`` of commands whose formats are those of extensions."""
    return click.option("--to", type=click.Choice(formats),
                        help="Write in this format.  [default: implied by the extension of PATH]")


def constant_option(use: str = "Use", *, default: str = "1/2.41e-4"
                    ) -> Callable[[Command], Command]:
    """Return the option ``--constant``; its help begins with `use`, which may state a condition."""
    return click.option(
        "--constant", metavar="K",
        help=f"{use} this dispersion constant, in MHz^2 pc^-1 cm^3 s, e.g. 4148.808.  "
             f"[default: {default}]")


#: Ephemeris of the solar system, for ``--barycenter``.
solar_system_option = click.option(
    "--ephemeris", type=InputPath(or_value=True), metavar="PATH|erfa",
    help="Use this ephemeris of the solar system for --barycenter: a JPL kernel (.bsp), or erfa "
         "for ERFA's series.  [default: the kernel that fastsig[pulsar] installs, if it is "
         "present, otherwise erfa]")


def ephemeris_options(name: str) -> Callable[[Command], Command]:
    """Return the option of this name for par files, and ``--polyco``."""
    return options(
        click.option(name, "pars", type=InputPath(), multiple=True, metavar="PATH",
                     help="Fold with the ephemeris in this par file. Requires fastsig[pulsar]. May "
                          "be repeated."),
        click.option("--polyco", "polycos", type=InputPath(), multiple=True, metavar="PATH",
                     help="Fold with the polynomials in this polyco file (TEMPO format). May be "
                          "repeated."))


#: Bins and subintegrations of folded profiles.
profile_options = options(
    click.option("--n-bin", type=click.IntRange(2, 2**15), metavar="N",
                 help="Divide the period into this many bins.  [default: the largest power of two "
                      "up to 256 that does not exceed the number of samples in a period]"),
    click.option("--subint", metavar="TIME", default="10s", show_default=True,
                 help="Make subintegrations of this duration."),
)


def _with_unit(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip()[-1:].isalpha() and not _is_zero(value):
        raise click.BadParameter(f"{value!r} has no unit; allowed: a frequency such as 1400MHz")
    return value


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False


span_options = options(
    click.option("--tstart", metavar="TIME",
                 help="Start at this time, given in UTC or as an offset from the start of the "
                      "data, e.g. 10ms."),
    click.option("--tstop", metavar="TIME",
                 help="Stop at this time, given in UTC or as an offset from the start of the "
                      "data, e.g. 20ms."),
    click.option("--fstart", metavar="FREQ", callback=_with_unit,
                 help="Keep only channels centred at or above this frequency, e.g. 1400MHz."),
    click.option("--fstop", metavar="FREQ", callback=_with_unit,
                 help="Keep only channels centred at or below this frequency, e.g. 1450MHz."),
)


def parse_overrides(pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse ``KEY=VALUE`` texts into a dictionary."""
    overrides = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key or not value:
            raise click.UsageError(f"--set {pair!r} is not KEY=VALUE")
        if key.strip() in overrides:
            raise click.UsageError(f"--set {key.strip()} is given twice; allowed: one value")
        overrides[key.strip()] = value.strip()
    return overrides


def parse_end(text: str | None) -> Any:
    """Parse ``--tstart`` or ``--tstop``: a `Time`, or text with a unit, counted from the start."""
    if text is None:
        return None
    import re

    from fastsig.axes.time import parse_time

    return parse_time(text) if re.match(r"\s*\d{4}-\d\d", text) else text


def say(text: str, quiet: bool = False) -> None:
    """Print a line for the user on stderr, so that stdout contains only data."""
    if not quiet:
        click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print JSON on stdout; numbers that JSON cannot represent become null."""
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """Print JSON on stdout in one line."""
    click.echo(json.dumps(_finite(value), ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextlib.contextmanager
def progress(total: int, label: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing elsewhere; yield ``advance(n)``."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
               TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total or None)  # 0: the total is not known
        yield lambda n: bar.advance(task, n)


@contextlib.contextmanager
def progress_of_passes(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each named pass on a terminal; yield ``advance(name, n, total)``."""
    with contextlib.ExitStack() as stack:
        bars: dict[str, Callable[[int], None]] = {}

        def advance(name: str, n: int, total: int) -> None:
            if name not in bars:
                stack.close()
                bars.clear()
                bars[name] = stack.enter_context(progress(total, name, quiet=quiet))
            bars[name](n)

        yield advance


@contextlib.contextmanager
def compiling(quiet: bool) -> Iterator[None]:
    """Report once, when the first kernel is compiled, that kernels are being compiled."""
    from numba.core import event

    class Notice(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, _: Any) -> None:
            if not self.said:
                self.said = True
                say("compiling kernels; once for this machine and version", quiet)

        def on_end(self, _: Any) -> None:
            pass

    with event.install_listener("numba:compile", Notice()):
        yield
