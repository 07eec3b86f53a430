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

import pytest
from cli import environment
from forks import SERVER
from pages import FENCE, PYPARSING, ROOT, Snippet, commands, snippets, text_of
from recordings import recorded

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


def linked_folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "samples").symlink_to(ROOT / "data" / "samples")
    return tmp_path


def run_in_a_fork(function: str, *arguments: str, folder: Path) -> None:
    code = f"import pages; pages.{function}(*{arguments!r}); raise SystemExit(0)"
    done = SERVER.run([], folder, environment(), strict=PYPARSING, before=code)
    assert done is not None
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", EXECUTED)
def test_code_runs(name: str, tmp_path: Path) -> None:
    run_in_a_fork("run_document", name, folder=linked_folder(tmp_path))


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
    run_in_a_fork("run_commands", snippet.text, f"{name}:{snippet.line}", folder=tmp_path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_have_a_known_language(name: str) -> None:
    kinds = {(snippet.language, snippet.mark) for snippet in snippets(name)}
    run = ({("{code-cell}", "ipython3")} if name in NOTEBOOKS
           else {("python", ""), ("console", ""), ("console", "recorded")})
    kinds -= {(part, mark) for part, mark in kinds if part in ("{include}", "{toctree}")}
    assert kinds <= run | {("sh", ""), ("text", ""), ("{eval-rst}", "")}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_sentence_is_stranded_after_code(name: str) -> None:
    """A formula, in a block of text, may stand within a sentence; code and commands may not."""
    blocks = r"^```(?:python|console|sh|\{code-cell\})[^\n]*\n.*?^```\n+([^\n]*)"
    for line in re.findall(blocks, text_of(name), re.MULTILINE | re.DOTALL):
        assert not re.match(r" |(?!fastsig )[a-z]|[,.;:)]", line), line


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


# Several sites, one after the other: what Sphinx imports takes as long as a build.
BUILDS = """
import sys
from sphinx.cmd.build import main

for page in sys.argv[2:]:
    code = main(["-q", "-T", "-b", "dummy", "-c", sys.argv[1], page, f"{page}.out"])
    print(code, flush=True)
    print("end of a build", file=sys.stderr, flush=True)
"""


def test_a_cell_that_fails_ends_the_build(tmp_path: Path) -> None:
    cells = {
        "!fastsig info nothing.h5": "nothing.h5: No such file",
        "import warnings\nwarnings.warn('of a function that goes')": "of a function that goes",
    }
    pages = [tmp_path / f"pages{number}" for number in range(len(cells))]
    head = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n# Page\n\n"
    for folder, cell in zip(pages, cells, strict=True):
        folder.mkdir()
        (folder / "index.md").write_text(f"{head}```{{code-cell}} ipython3\n{cell}\n```\n")
    done = subprocess.run(
        [sys.executable, "-c", BUILDS, str(ROOT / "docs"), *map(str, pages)],
        capture_output=True, text=True, timeout=200, check=False)
    codes = done.stdout.split()
    assert len(codes) == len(cells) and "0" not in codes, done
    errors = done.stderr.split("end of a build\n")
    for told, error in zip(cells.values(), errors, strict=False):
        assert told in error


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
    assert set(readme) == set(pages) == {"0", "1", "2", "3", "4", "70", "129", "130", "143"}


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

    page = text_of("docs/commands/info.md")
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


def test_every_function_is_in_the_table_of_what_it_takes() -> None:
    from fastsig import registry

    listed = set(re.findall(r"^\| `(\w+)` \| ", text_of("docs/workflow.md"), re.MULTILINE))
    assert listed == {*registry.stages(), *registry.measurements(), "grid", "open_cube",
                      "open_profiles"}


def test_names_of_the_kernels_are_documented_and_none_else() -> None:
    import fastsig_kernels

    rows = re.findall(r"^\| `(\w+)`[^|]* \| (.*) \|$", text_of("kernels/README.md"), re.MULTILINE)
    table = {(name, module) for module, cells in rows for name in re.findall(r"`(\w+)`", cells)}
    assert table == set(fastsig_kernels._INDEX.items())


def test_changelog_has_this_version() -> None:
    import fastsig

    assert f"## [{fastsig.__version__}]" in text_of("CHANGELOG.md")
