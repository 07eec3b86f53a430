"""Run the snippets of a page of the documents, all in one process.

`run_document` is called in a fork of the server of `tests/forks.py`: its commands share the modules
and the compiled kernels, each has streams, warnings and a log of its own.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# blimpy pins pyparsing 2.4.7, which matplotlib then uses
WARNING = "fastsig: warning: "  # lines that a page has to show
PYPARSING = "module 'sre_constants' is deprecated"


class Snippet(NamedTuple):
    """A fenced block: its language, the rest of its info string, its text and first line."""

    language: str
    mark: str
    text: str
    line: int


class Command(NamedTuple):
    """A line of a console block, the exit code it should end with and the output shown."""

    line: str
    code: int
    shown: list[str]


class Done(NamedTuple):
    """What a command left."""

    returncode: int
    output: str


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def snippets(name: str) -> list[Snippet]:
    text = text_of(name)
    found = []
    for match in FENCE.finditer(text):
        language, _, mark = match[1].strip().partition(" ")
        found.append(Snippet(language, mark, match[2], text[: match.start(2)].count("\n")))
    return found


def commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        line, _, comment = line.partition("  # ")
        code = int(comment.removeprefix("exit ")) if comment else 0
        yield Command(" ".join(line.split()), code, [item for item in shown if item.strip()])


def check_command(command: Command, where: str) -> None:
    program, *arguments = command.line.split()
    if program != "fastsig":
        return
    done = _run(arguments)
    assert done.returncode == command.code, f"{where}: {command.line}\n{done.output}"
    lines = [line.rstrip() for line in done.output.splitlines()]
    for shown in command.shown:
        assert shown.strip() == "..." or shown.rstrip() in lines, (
            f"{where}: {command.line}\nshows {shown!r}, which does not come:\n{done.output}")
    unshown = {line for line in lines if line.startswith(WARNING)} - set(command.shown)
    assert not unshown, f"{where}: {command.line}\ndoes not show\n" + "\n".join(sorted(unshown))


def _run(arguments: list[str]) -> Done:
    """A command as in a process of its own, without the price of starting one."""
    from fastsig.cli.main import run
    from fastsig.errors import FastsigWarning

    out, log = io.StringIO(), logging.getLogger("fastsig")
    with (contextlib.redirect_stdout(out), contextlib.redirect_stderr(out),
          warnings.catch_warnings()):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", PYPARSING)
        warnings.simplefilter("always", FastsigWarning)
        try:
            code = run(arguments)
        finally:
            log.setLevel(logging.NOTSET)  # -v raised it
            logging.getLogger().handlers.clear()  # they have this command's standard error
    return Done(code, out.getvalue())


def run_document(name: str) -> None:
    """Run every snippet of a page, in order, in this process and folder."""
    from fastsig.cli import warming

    # One form of all that `fastsig warmup` compiles, that of the first example of README; `make
    # site` compiles all.
    warming.GROUPS = {"banks": warming.GROUPS["banks"]}
    warming.LAYOUTS, warming.CHANNELS, warming.PRODUCTS = warming.LAYOUTS[:1], (1024,), ("I",)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = snippets(name)
    for snippet, after in zip(found, [*found[1:], None], strict=True):
        where = f"{name}:{snippet.line}"
        if snippet.language == "python":
            printed = run_python(snippet, name, namespace)
            if after is not None and after.language == "text" and follows(after, snippet):
                assert printed == after.text, f"{where} prints:\n{printed}"
        elif snippet.language == "console" and snippet.mark != "recorded":
            run_commands(snippet.text, where)


def follows(after: Snippet, before: Snippet) -> bool:
    """Whether only an empty line is between two blocks: the second one is the output."""
    return after.line == before.line + before.text.count("\n") + 3


def run_python(snippet: Snippet, name: str, namespace: dict[str, Any]) -> str:
    """Run a Python block and return what it prints.

    Where fastsig warns, a comment "# warns ..." has to say so.
    """
    from fastsig.errors import FastsigWarning

    code = "\n" * snippet.line + snippet.text  # so that a traceback names the line
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as printed:
        if "# warns" in snippet.text:
            warnings.simplefilter("ignore", FastsigWarning)
        exec(compile(code, ROOT / name, "exec"), namespace)
    return printed.getvalue()


def run_commands(text: str, where: str) -> None:
    """Run the commands of a console block, in this process and folder."""
    for command in commands(text):
        check_command(command, where)
