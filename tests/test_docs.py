"""The documents are true: their code runs, their output comes, their links and tables hold.

Pages that are notebooks are run by Sphinx instead, when `make site` builds the site.

The rules for writers of documents are in CONTRIBUTING.md, section Tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli import ONE_FORM, environment, fastsig
from forks import SERVER
from recordings import recorded

ROOT = Path(__file__).resolve().parent.parent
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "kernels/README.md",
       "data/samples/README.md")
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")
               if "_build" not in path.parts)
DOCUMENTS = [*TOP, *PAGES]
# Sphinx runs these when it builds the site.
NOTEBOOKS = [name for name in PAGES
             if (ROOT / name).read_text(encoding="utf-8").startswith("---\nfile_format: mystnb\n")]
# Those of kernels/README.md run in kernels/test_kernel_examples.py, each in a process of its own.
EXECUTED = [name for name in ("README.md", *PAGES) if name not in NOTEBOOKS
            and re.search(r"^```(python|console)\n", (ROOT / name).read_text(encoding="utf-8"),
                          re.MULTILINE)]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# blimpy pins pyparsing 2.4.7, which matplotlib then uses
PYPARSING = "ignore:module 'sre_constants' is deprecated:DeprecationWarning"


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


def check_command(command: Command, folder: Path, where: str) -> None:
    program, *arguments = command.line.split()
    if program != "fastsig":
        return
    if arguments[0] == "warmup":
        fastsig(*arguments, before=ONE_FORM)
        return
    done = SERVER.run(arguments, folder, environment(),
                      strict="module 'sre_constants' is deprecated")
    assert done is not None
    output = done.stdout + done.stderr
    assert done.returncode == command.code, f"{where}: {command.line}\n{output}"
    lines = [line.rstrip() for line in output.splitlines()]
    for shown in command.shown:
        assert shown.strip() == "..." or shown.rstrip() in lines, (
            f"{where}: {command.line}\nshows {shown!r}, which does not come:\n{output}")


def linked_folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "samples").symlink_to(ROOT / "data" / "samples")
    return tmp_path


def run_document(name: str, folder: Path) -> None:
    """Run every snippet of a page, in order, in this process and folder."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets(name):
        where = f"{name}:{snippet.line}"
        if snippet.language == "python":
            code = "\n" * snippet.line + snippet.text  # so that tracebacks tell the line
            exec(compile(code, ROOT / name, "exec"), namespace)
        elif snippet.language == "console" and snippet.mark != "recorded":
            for command in commands(snippet.text):
                check_command(command, folder, where)


@pytest.mark.parametrize("name", EXECUTED)
def test_code_runs(name: str, tmp_path: Path) -> None:
    folder = linked_folder(tmp_path)
    if all(snippet.language != "python" for snippet in snippets(name)):
        run_document(name, folder)
        return
    # In a process of its own, as a reader would: bounds on memory are those of the process.
    variables, files = SERVER.lend(environment())
    code = f"""
import pathlib, sys
sys.path.insert(1, {str(ROOT / "tests")!r})
import test_docs
test_docs.run_document({name!r}, pathlib.Path.cwd())
"""
    words = [sys.executable, "-W", "error", "-W", PYPARSING, "-c", code]
    try:
        done = subprocess.run(words, cwd=folder, env=variables, pass_fds=files,
                              capture_output=True, text=True, timeout=280, check=False)
    except subprocess.TimeoutExpired:
        SERVER.forget()
        raise
    assert done.returncode == 0, done.stdout + done.stderr


RECORDED = [(name, snippet) for name in ("README.md", *PAGES) for snippet in snippets(name)
            if snippet.mark == "recorded"]


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "snippet"), RECORDED, ids=[f"{name}:{item.line}" for name, item in RECORDED])
def test_code_runs_on_recorded_files(name: str, snippet: Snippet, tmp_path: Path) -> None:
    for command in commands(snippet.text):
        for folder in re.findall(r" (lofar_dal_h5|digital_rf|baseband|pulsarbat)/", command.line):
            if not (tmp_path / folder).exists():
                (tmp_path / folder).symlink_to(recorded(folder))
        check_command(command, tmp_path, f"{name}:{snippet.line}")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_have_a_known_language(name: str) -> None:
    kinds = {(snippet.language, snippet.mark) for snippet in snippets(name)}
    run = ({("{code-cell}", "ipython3")} if name in NOTEBOOKS
           else {("python", ""), ("console", ""), ("console", "recorded")})
    kinds -= {(part, mark) for part, mark in kinds if part in ("{include}", "{toctree}")}
    assert kinds <= run | {("sh", ""), ("text", ""), ("{eval-rst}", "")}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_lead_somewhere(name: str) -> None:
    text = FENCE.sub("", text_of(name))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / name).parent / path if path else ROOT / name
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [_anchor(heading) for heading in headings], target


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def linked(page: Path) -> Iterator[Path]:
    """Pages of the tables of contents of a page."""
    for body in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(encoding="utf-8"),
                           re.MULTILINE | re.DOTALL):
        for line in body.splitlines():
            if line and not line.startswith(":"):
                yield (page.parent / f"{line}.md").resolve()


def test_every_page_is_in_the_tables_of_contents() -> None:
    found, left = set(), [ROOT / "docs" / "index.md"]
    while left:
        page = left.pop()
        assert page not in found, f"{page} is there twice"
        found.add(page)
        left += linked(page)
    assert {page.relative_to(ROOT).as_posix() for page in found} == set(PAGES)


def test_included_files_exist() -> None:
    for name in PAGES:
        for target in re.findall(r"^```\{include\} (\S+)$", text_of(name), re.MULTILINE):
            assert (ROOT / name).parent.joinpath(target).is_file(), f"{name}: {target}"


def test_reference_has_every_public_name() -> None:
    import fastsig_kernels

    import fastsig

    pages = "".join(text_of(name) for name in PAGES if name.startswith("docs/reference/"))
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", pages, re.MULTILINE))
    names = {f"fastsig.{name}" for name in fastsig.__all__ if name != "__version__"}
    modules = {f"fastsig_kernels.{name}" for name in fastsig_kernels._INDEX.values()}
    missing = (names | modules) - listed
    assert not missing, f"add to a page of docs/reference: {sorted(missing)}"


@pytest.mark.parametrize(("cell", "told"), [
    ("!fastsig info nothing.h5", "nothing.h5: No such file"),
    ("import warnings\nwarnings.warn('of a function that goes')", "of a function that goes"),
])
def test_a_cell_that_fails_ends_the_build(cell: str, told: str, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    head = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n# Page\n\n"
    (pages / "index.md").write_text(f"{head}```{{code-cell}} ipython3\n{cell}\n```\n")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-T", "-b", "dummy", "-c", str(ROOT / "docs"),
         str(pages), str(tmp_path / "out")], capture_output=True, text=True, timeout=200,
        check=False)
    assert done.returncode != 0
    assert told in done.stderr


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    blocks = [snippet.text for snippet in snippets("README.md") if snippet.language == "sh"]
    first = [line.strip() for line in blocks[0].splitlines()]
    assert first == ["make demo", "make test"]
    used = set(re.findall(r"make (?:[A-Z]+=\S+ )?([a-z]+)`", text_of("CONTRIBUTING.md")))
    assert {"demo", "test"} | used <= targets


def test_readme_exit_codes_are_those_of_the_command_line() -> None:
    rows = re.compile(r"^\| (\d+) \| (.*) \|$", re.MULTILINE)
    readme, pages = (dict(rows.findall(text_of(name))) for name in
                     ("README.md", "docs/command-line.md"))
    assert set(readme) == set(pages) == {"0", "1", "2", "3", "4", "70", "130", "143"}


def test_public_names_are_documented() -> None:
    import fastsig

    page = text_of("docs/python.md")
    names = set(fastsig.__all__) - {"__version__"}
    assert all(re.search(rf"`{name}[`(]", page) for name in names)


def test_readme_names_the_least_python() -> None:
    least = re.search(r'^requires-python = ">=([0-9.]+)"', text_of("pyproject.toml"), re.MULTILINE)
    assert least is not None
    assert f"Python {least[1]} or newer" in text_of("README.md")


def test_fields_of_info_are_documented() -> None:
    import fastsig

    page = text_of("docs/command-line.md")
    listed = page[page.index("The keys of `--json`"):].partition("\n\n")[0]
    fields = fastsig.info(ROOT / "data" / "samples" / "fast_band_1GSa.h5")
    assert all(f"`{name}`" in listed for name in fields)


def test_attributes_of_products_are_documented(tmp_path: Path) -> None:
    import h5py

    import fastsig

    path = tmp_path / "spectra.h5"
    source = fastsig.open(ROOT / "data" / "samples" / "fast_band_1GSa.h5")
    source.channelize(64).detect("I").write(path)
    page = text_of("docs/spectra-format.md")
    with h5py.File(path) as file:
        names = [name for name in file["data"].attrs if name != "DIMENSION_LIST"]
    assert all(f"`{name}`" in page for name in names)


def test_names_of_the_kernels_are_documented_and_none_else() -> None:
    import fastsig_kernels

    rows = re.findall(r"^\| `(\w+)`[^|]* \| (.*) \|$", text_of("kernels/README.md"), re.MULTILINE)
    table = {(name, module) for module, cells in rows for name in re.findall(r"`(\w+)`", cells)}
    assert table == set(fastsig_kernels._INDEX.items())


def test_changelog_has_this_version() -> None:
    import fastsig

    assert f"## [{fastsig.__version__}]" in text_of("CHANGELOG.md")
