"""CONTRIBUTING is true: its examples run, and no file that a change has to touch is forgotten.

What is forgotten fails here by the name of the file that lacks it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import fastsig_kernels
import generated
import numpy as np
import option_tables
import pytest
from cli import ROOT
from click.testing import CliRunner
from hostile import FORMATS, MAKERS, NO_MAKERS, Case, cases, damaged, verdict
from stage_checks import check_channels, check_rows
from streams import MemorySpectra, header
from test_option_tables import COMMANDS
from verb_examples import example as example_of
from verb_examples import spectra as four_products

import fastsig as fs
import fastsig.cli
import fastsig.io.opening
import fastsig.stages
from fastsig import registry
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.cli import driver
from fastsig.cli.main import cli
from fastsig.io.probe import Probe
from fastsig.io.raw.reader import NAME as RAW
from fastsig.stream import Stage

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py"))
         if path != Path(__file__)}

#: Formats whose tests stand in the file of others.
TESTED_WITH = {"mark4": "baseband_formats", "mark5b": "baseband_formats",
               "gsb": "baseband_formats", "ecsv": "products"}

#: Stages that are no verbs: parts of `baseline`, and what `select` makes of channels of voltages.
HIDDEN = {"fits", "remaining", "removed", "selectchannels"}
#: Classes of kernels whose objects others make.
MADE_BY = {"FFTPlan": ("fft_plan",), "SpectrometerPlan": ("Spectrometer",)}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def named(pattern: str, folder: str = "tests") -> bool:
    """Whether a test of a folder has something."""
    return any(re.search(pattern, text) for path, text in TESTS.items()
               if (ROOT / folder) in path.parents and path.name.startswith("test_"))


# What is forgotten


def table_rows(name: str) -> list[list[str]]:
    """Cells of all rows of the tables of a page."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in text_of(name).splitlines() if line.startswith("|")]


def in_backticks(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("name", registry.format_names())
def test_a_format_has_all_that_belongs_to_it(name: str) -> None:
    rows = in_backticks([cells[0] for cells in table_rows("docs/formats.md")])
    assert name in rows, f"docs/formats.md has no row whose first cell has `{name}`"
    assert name in (*FORMATS, *NO_MAKERS), f"tests/io/test_{name}.py has no HOSTILE"
    test = f"test_{TESTED_WITH.get(name, name)}.py"
    assert test in {path.name for path in TESTS}, f"there is no tests/io/{test}"
    kinds = set(registry.kinds(registry.formats()[name]))
    made = {kind for kind in MAKERS if name in MAKERS[kind]}
    assert made <= kinds, f"KINDS of fastsig/io/{name}.py are {kinds}, HOSTILE has {made}"
    assert name == "fbh5" or bool(kinds & set(registry.STREAMS)) == (name not in NO_MAKERS)


def test_every_format_that_is_listed_is_there() -> None:
    with_makers, listed = {*FORMATS, *NO_MAKERS}, {*registry.format_names(), RAW}
    assert not listed - with_makers, f"tests/io/test_NAME.py: HOSTILE of {listed - with_makers}"
    assert not with_makers - listed, f"_FORMATS of fastsig/registry.py: {with_makers - listed}"
    assert all(makers for kind in MAKERS.values() for makers in kind.values())


@pytest.mark.parametrize("names", [registry.writers(), registry.spectra_writers()])
def test_a_writer_has_a_column_and_tests(names: tuple[str, ...]) -> None:
    heads = [in_backticks(cells[1:]) for cells in table_rows("docs/formats.md")
             if cells[0].strip("| ") == ""]
    assert set(names) in heads, f"docs/formats.md has no table with columns {names}"
    for name in names:
        made = registry.writer if name in registry.writers() else registry.spectra_writer
        pattern = rf'"{name}"|\b{made(name).__name__}\b'
        assert named(pattern), f"no test names the writer {name}"


def test_options_take_all_writers() -> None:
    for option in (driver.to_option, driver.spectra_to_option):
        choices = next(iter(option(click.Command("x")).params)).type.choices
        assert set(registry.spectra_writers()) <= set(choices)
    assert set(driver.VOLTAGES) == set(registry.writers())


@pytest.mark.parametrize("name", registry.stages())
def test_a_stage_has_all_that_belongs_to_it(name: str) -> None:
    made = registry.stage(name)
    assert getattr(made, "name", name) == name, f"{made.__name__}.name, which files hold"
    assert inspect.getdoc(made), f"{made.__name__} has no docstring"
    if name in registry.own_verbs():
        example_of(name)  # fails with the name of the test file that lacks it
    assert named(rf"\.{name}\(|\b{made.__name__}\("), (
        f"tests/stages/test_{name}.py: no test makes {name}")


def test_the_page_of_stages_has_its_mark() -> None:
    assert "\n% stages\n" in text_of("docs/reference/stages.md")
    assert 'replace("% stages"' in text_of("docs/conf.py")


@pytest.mark.parametrize("name", registry.measurements())
def test_a_measurement_has_a_test(name: str) -> None:
    assert inspect.getdoc(registry.measurement(name))
    assert named(rf"\b{name}\("), f"no test calls {name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_all_that_belongs_to_it(name: str) -> None:
    page = f"docs/{option_tables.page_of(name)}.md"
    assert (ROOT / page).exists(), f"there is no {page}"
    assert re.search(rf"^##? `fastsig {name}`$", text_of(page), re.MULTILINE), (
        f"{page} has no heading `fastsig {name}`")
    assert name in option_tables.places(text_of(page)), (
        f"{page} has no {option_tables.BEGIN.format(name)} with {option_tables.END} below it")
    first, *below = name.split()
    call = (rf'\b(fastsig|run\w*|command|main|invoke)\((\w+, )?\s*\[?"{first}["\s]'
            rf'|(?<!\w)\["{first}"|"{first} [^"]*-')
    assert named(call), f"tests/test_{first}.py: no test runs fastsig {first}"
    assert all(named(rf'["\s]{word}["\s]') for word in below), f"no test runs fastsig {name}"


def test_generated_files_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["generated.py"])
    try:
        generated.main()
    except SystemExit as error:
        pytest.fail(str(error))


def test_old_generated_files_are_named_and_written(monkeypatch: pytest.MonkeyPatch,
                                                   tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("before")
    (tmp_path / "right.md").write_text("right")
    texts = {"old.md": "now", "right.md": "right", "none.md": "new"}
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    monkeypatch.setattr(generated, "files", lambda: texts)
    monkeypatch.setattr(sys, "argv", ["generated.py"])
    with pytest.raises(SystemExit, match=r"^old\.md, none\.md: out of date; .* --write$"):
        generated.main()
    monkeypatch.setattr(sys, "argv", ["generated.py", "--write"])
    generated.main()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == texts


def test_no_command_is_listed_that_is_not_there() -> None:
    rows = [cells[0].strip("`") for cells in table_rows("docs/command-line.md")]
    missing = {*COMMANDS} - {*rows}
    assert not missing, f"docs/command-line.md has no rows of {missing}: {generated.COMMAND}"
    start = rows.index("command") + 2
    assert rows[start : start + len(COMMANDS)] == sorted(
        COMMANDS, key=lambda name: rows.index(name)), "the first table of docs/command-line.md"


@pytest.mark.parametrize("name", [name for name, module in fastsig_kernels._INDEX.items()
                                  if module != "reference"])
def test_a_kernel_has_all_that_belongs_to_it(name: str) -> None:
    stub = text_of("kernels/fastsig_kernels/__init__.pyi")
    entry = re.search(rf"\bimport .*\b{name}\b|^    {name},$", stub, re.MULTILINE)
    assert entry, "kernels/fastsig_kernels/__init__.pyi"
    assert f"`{name}`" in text_of("kernels/README.md"), "the table of kernels/README.md"
    ways = "|".join((name, name.removesuffix("_nb"), *MADE_BY.get(name, ())))
    assert named(rf"\b({ways})\b", "tests/kernels"), f"tests/kernels: no test of {ways}"


def test_layers_of_batch_are_those_of_the_contracts() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts
                  if contract.get("containers") == ["fastsig.batch"])
    rest = TEXT[TEXT.index("The layers within `batch`"):]
    block = rest.partition("```text\n")[2].partition("```")[0]
    listed = [re.split(r"\s{2,}", line)[0].split(", ") for line in block.splitlines()]
    assert listed == [layer.split(" | ") for layer in layers]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_tables_of_files_end_the_sections() -> None:
    """Files edited by hand: stage at most 4, format and command 5; each with a path that exists."""
    most = {"kernel": 6, "format": 5, "writer": 7, "stage": 4, "sink": 5, "command": 5}
    listed = {*generated.files(), "docs/commands/NAME.md", "docs/commands"}
    for what, limit in most.items():
        section = TEXT[TEXT.index(f"\n## Add a {what}\n"):].partition("\n## Add")[2]
        table = section.partition("\n## Add")[0].rpartition("| file | contents |\n|---|---|\n")[2]
        rows = [line.split(" | ") for line in table.splitlines() if line.startswith("|")]
        written = [row for row in rows if row[0].startswith("| generated:")]
        assert all(f"`{generated.COMMAND}`" in row[1] for row in written), what
        assert {name for row in written for name in names(row[0])} <= listed, what
        files = [name for row in rows if row not in written for name in names(row[0])]
        assert 0 < len(files) <= limit, (what, files)
        for name in files:
            folder = ROOT / name.partition("NAME")[0].rpartition("/")[0]
            assert (folder if "NAME" in name else ROOT / name).exists(), name


# What is there and listed nowhere


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Modules of a package, those in its folders too."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def test_every_reader_is_a_format() -> None:
    """A module with a name and `sniff` is one."""
    readers = {module.NAME for module in modules(fastsig.io)
               if {"NAME", "sniff"} <= vars(module).keys()}
    assert readers == set(registry.format_names()), "_FORMATS of fastsig/registry.py"


def test_every_stage_with_a_name_is_a_verb() -> None:
    """Several classes may have the name of one verb, which chooses among them."""
    names = {made.name for module in modules(fastsig.stages) for made in vars(module).values()
             if inspect.isclass(made) and issubclass(made, Stage) and made.name}
    assert names - HIDDEN == set(registry.stages()), "_STAGES of fastsig/registry.py"


def test_every_command_is_listed() -> None:
    """A module of `fastsig.cli` with a command of its own name is one; ``-`` is ``_`` there."""
    found = {module.__name__.rpartition(".")[2]: module for module in modules(fastsig.cli)}
    there = {name.replace("_", "-") for name, module in found.items()
             if isinstance(vars(module).get(name), click.Command)}
    assert there == set(cli.list_commands(click.Context(cli))) - {"batch"}, (
        "_COMMANDS of fastsig/cli/main.py")


# The examples


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def example(mark: str, **names: Any) -> ModuleType:
    """The example that has a text, as a module."""
    code = next(text for text in examples() if mark in text)
    module = ModuleType("example")
    module.__dict__.update(names)
    exec(compile(code, f"CONTRIBUTING.md: {mark}", "exec"), module.__dict__)
    return module


def spectra(n: int = 100) -> MemorySpectra:
    data = np.random.default_rng(1).normal(9, 1, (n, 1, 8)).astype(np.float32)
    data[7, 0, 3] = np.nan
    about = header(1000, n_chan=8, n_bits=32)
    return MemorySpectra(data, about.replace(polarization=PolBasis("unknown", ("I",))))


def test_all_examples_are_tried() -> None:
    marks = ("NAME, KINDS = ", "HOSTILE = ", "class Scale", "class Largest", "def scale")
    assert len(examples()) == len(marks)
    assert all(sum(mark in text for text in examples()) == 1 for mark in marks)


def test_the_stage() -> None:
    stage = example("class Scale").Scale(spectra(), factor=2.5)
    assert stage.arguments() == {"factor": 2.5} == dict(stage.parameters())
    whole = stage.read_block(0, 100)
    np.testing.assert_array_equal(whole.data, 2.5 * spectra().spectra)
    part = stage.read_block(5, 9)
    np.testing.assert_array_equal(part.data, whole.data[5:14])
    np.testing.assert_array_equal(part.valid, whole.valid[5:14])
    assert not part.data.flags.writeable and np.isnan(part.data[2, 0, 3])
    check_rows(stage)
    assert check_channels(example("class Scale").Scale(four_products().stream, 2.5)) == 3
    with pytest.raises(fs.PlanError, match="scale needs spectra"):
        example("class Scale").Scale(fs.open(ROOT / "data/samples/frb_carrier_16MHz.h5").stream)


def test_the_sink() -> None:
    largest = example("class Largest").largest
    for workers in (1, 3):
        np.testing.assert_array_equal(largest(spectra(5000), workers=workers),
                                      np.nanmax(spectra(5000).spectra, axis=0))


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scale = example("class Scale").Scale
    monkeypatch.setitem(registry._STAGES, "scale", "example:Scale")
    monkeypatch.setattr(registry, "stage", lambda name: scale)
    registry.stages.cache_clear()
    try:
        source, output = tmp_path / "s.h5", tmp_path / "x.h5"
        Chain(spectra()).write(source)
        done = CliRunner().invoke(example("def scale").scale, [
            str(source), "-o", str(output), "--factor", "2", "-q"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        np.testing.assert_array_equal(fs.open(output).read().values, 2 * spectra().spectra)
    finally:
        registry.stages.cache_clear()


def write(path: Path, data: np.ndarray, **changes: Any) -> Path:
    """A file of the format of the example."""
    values = {"nchan": data.shape[2], "first_mhz": 1400, "step_mhz": "0.5", "tsamp_s": "0.001",
              "mjd": "60000.25", "telescope": "FAST", **changes}
    lines = "".join(f"{key} {value}\n" for key, value in values.items())
    path.write_bytes(f"EXAMPLE 1\n{lines}".encode().ljust(4096, b"\0")
                     + data.astype("<f4").tobytes())
    return path


@pytest.fixture
def format_example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The format of the example, as a package of its own would add it."""
    module = example("NAME, KINDS = ")
    monkeypatch.setattr(registry, "plugins", lambda group: {"example": module})
    caches = (registry.formats, registry._format_plugins)
    for cache in caches:
        cache.cache_clear()
    yield module
    for cache in caches:
        cache.cache_clear()


def test_the_format(format_example: ModuleType, tmp_path: Path) -> None:
    data = spectra().spectra
    path = write(tmp_path / "a.example", data)
    assert format_example.sniff(Probe(path))
    chain = fs.open(path)
    assert chain.stream.format_name == "example" and chain.header.telescope == "FAST"
    block = chain.stream.read_block(5, 20)
    np.testing.assert_array_equal(block.data, data[5:25])
    assert block.valid[2, 0, 3] == 0 and block.valid.sum() == 20 * 8 - 1
    assert chain.start_time.mjd == 60000.25 and chain.frequency[1].value == 1400.5
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(fs.FastsigWarning, match="99 spectra"):
        assert fs.open(path).shape[0] == 99


@pytest.mark.parametrize("key, value", [
    ("nchan", 10**30), ("nchan", "nan"), ("tsamp_s", "1e999999999"), ("tsamp_s", 0),
    ("mjd", -1), ("step_mhz", "-1"), ("first_mhz", "9" * 5000), ("nchan", 2**20)])
def test_the_format_refuses(key: str, value: Any, format_example: ModuleType, tmp_path: Path
                            ) -> None:
    path = write(tmp_path / "a.example", spectra().spectra, **{key: value})
    if len(str(value)) > 4000:  # it takes the place of all else
        path.write_bytes(path.read_bytes()[:4000] + b"\n" + path.read_bytes()[4000:])
    with pytest.raises(fs.FormatError, match=f"{path.name}: .*({key}|spectrum)"):
        fs.open(path)


def test_hostile_makers_of_the_format(format_example: ModuleType, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    makers = example("HOSTILE = ", write=write, np=np).HOSTILE
    monkeypatch.setitem(MAKERS["spectra"], "example", makers["spectra"])
    case: Case = cases("example", tmp_path)[0]
    assert verdict(case) == "read"
    found = [what for _, what, _ in damaged(case, 1, list(range(300)))]
    assert set(found) == {"read", "error"}, found
