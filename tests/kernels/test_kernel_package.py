"""The package by itself: lazy names, the stub, and what it may import."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import fastsig_kernels
import numpy as np
import pytest

PACKAGE = Path(fastsig_kernels.__file__).parent

BLOCKER = """
import sys

class Blocker:
    blocked = {"scipy", "astropy", "h5py", "fastsig"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.blocked:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""


def run(code):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(
        command, env=environment, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_works_with_numpy_and_numba_only():
    code = """
import numpy as np
import fastsig_kernels
from fastsig_kernels import Channelizer, detect

plan = Channelizer(32, n_tap=4)
x = np.ones(plan.n_sample(3), dtype=np.int8)
spectra = plan.process(x)
power, weight = detect(spectra[:, None], np.ones((3, 1)), "I")
print(power.shape, *sorted({"scipy", "astropy", "h5py"} & set(sys.modules)))
"""
    assert run(BLOCKER + code).strip() == "(3, 1, 32)"


def test_first_example_of_the_readme_needs_no_more():
    text = (PACKAGE.parent / "README.md").read_text()
    run(BLOCKER + text.partition("```python\n")[2].partition("```")[0])


def test_importing_the_package_loads_nothing():
    code = "import sys, fastsig_kernels; print({'numba', 'numpy'} & set(sys.modules))"
    assert run(code).strip() == "set()"


@pytest.mark.parametrize("name", ["filters", "products", "reference", "_check"])
def test_modules_without_numba(name):
    code = f"import sys, fastsig_kernels.{name}; print('numba' in sys.modules)"
    assert run(code).strip() == "False"


def test_every_name_resolves_and_is_listed():
    for name in fastsig_kernels.__all__:
        assert getattr(fastsig_kernels, name) is not None
        assert name in dir(fastsig_kernels)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastsig_kernels.nothing


def test_no_module_hides_a_name():
    """The import of a module sets an attribute of the package with its name."""
    assert not {path.stem for path in PACKAGE.glob("*.py")} & set(fastsig_kernels.__all__)


def test_stub_agrees_with_the_index():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    stated = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert stated == fastsig_kernels._INDEX


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_imports_numpy_numba_and_the_standard_library_only(path):
    allowed = {"numpy", "numba", "llvmlite"} | set(sys.stdlib_module_names)
    assert {name.partition(".")[0] for name in imported(path)} <= allowed


def test_kernels_release_the_gil_and_keep_nan():
    names = [name for name in fastsig_kernels.__all__ if name.endswith("_nb")]
    assert len(names) >= 14
    for name in names:
        options = getattr(fastsig_kernels, name).targetoptions
        assert options["nogil"]
        assert not {"nnan", "ninf", "fast"} & set(options["fastmath"] or ())
        assert options["fastmath"] is not True


def test_every_checked_function_is_documented():
    for name in fastsig_kernels.__all__:
        value = getattr(fastsig_kernels, name)
        if callable(value):
            assert value.__doc__, name
        if callable(value) and not name.endswith("_nb"):
            assert "Raises" in value.__doc__, name


def test_tables_are_read_only():
    table = fastsig_kernels.product_codes("IQUV")
    with pytest.raises(ValueError, match="read-only"):
        table[0] = np.int64(1)
    with pytest.raises(TypeError):
        fastsig_kernels.PRODUCTS["I"] = ("Q",)


_MAKERS = {"empty", "zeros", "ones", "full"}


def _addresses(function):
    """Yield the name of each array that a function makes, and two facts about its last use.

    These are whether its address is taken there, and whether this is in a loop that does not make
    the array.
    """
    loops = [each for each in ast.walk(function) if isinstance(each, ast.For | ast.While)]
    made = {}
    parents = {child: each for each in ast.walk(function) for child in ast.iter_child_nodes(each)}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _MAKERS:
            above = node
            while not isinstance(above, ast.Assign):
                above = parents[above]
                if isinstance(above, ast.FunctionDef):
                    break
            else:
                made.update({each.id: node.lineno for target in above.targets
                             for each in ast.walk(target) if isinstance(each, ast.Name)})
    for name, line in made.items():
        uses = [each for each in ast.walk(function) if isinstance(each, ast.Name)
                and each.id == name and isinstance(each.ctx, ast.Load)]
        if not uses:
            continue
        last = max(uses, key=lambda each: (each.lineno, each.col_offset))
        while isinstance(parents[last], ast.Subscript):  # a part of the array
            last = parents[last]
        above = parents[last]
        called = getattr(getattr(above, "func", None), "id", "")
        is_taken = getattr(above, "attr", "") == "ctypes" or called == "address_of"
        yield name, is_taken, any(loop.lineno < last.lineno <= loop.end_lineno
                                  and not loop.lineno <= line <= loop.end_lineno for loop in loops)


def test_no_kernel_uses_the_address_of_an_array_that_numba_has_freed():
    """numba frees an array after its last use, of which it does not see those by its address.

    In a loop, an array remains until the end of the loop.
    """
    n = 0
    for path in sorted(PACKAGE.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and any(
                    getattr(each, "id", "").startswith("jit") for each in function.decorator_list):
                for name, is_taken, in_loop in _addresses(function):
                    n += 1
                    assert in_loop or not is_taken, f"{path.name}: {function.name}, {name}"
    assert n > 50
