"""Compiled kernels are kept until a text that they were made from changes."""

import ast
import fcntl
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import fastsig_kernels
import numba
import numpy as np
import pytest
from fastsig_kernels import _cache, fletcher32
from numba.core.caching import FunctionCache

PACKAGE = Path(fastsig_kernels.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))

COMPILING = """
import json
import numpy as np
from numba.core import event

with event.install_recorder("numba:compile") as recorder:
    from fastsig_kernels import cumulative_energy, fletcher32, intersect_spans
    fletcher32(np.zeros(8, np.uint8))
    intersect_spans(np.array([[0, 4]]), np.array([[2, 8]]))
names = {each.data["dispatcher"].py_func.__name__ for _, each in recorder.buffer}
print(json.dumps(sorted(names)))
"""


@cache
def imports(module):
    """Modules of the package that a module imports, as its syntax says."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            assert not any("fastsig_kernels" in alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and "fastsig_kernels" not in node.module
    return found


@pytest.mark.parametrize("module", MODULES)
def test_all_imports_are_seen(module):
    expected, new = set(), {module}
    while new:
        expected |= new
        new = set().union(*map(imports, new)) - expected
    assert _cache.imported(module) == expected


def test_every_kernel_has_such_a_cache():
    found = [value for module in MODULES if module != "__init__"
             for value in vars(__import__(f"fastsig_kernels.{module}", fromlist=["x"])).values()
             if numba.extending.is_jitted(value)]
    assert len(found) > 150
    assert all(type(each._cache) is _cache.KernelCache for each in found)


@pytest.fixture
def package(tmp_path):
    """A copy of the package that may be changed."""
    copy = tmp_path / "fastsig_kernels"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def compiled(package):
    """Names of the kernels that a process compiles."""
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(package.parent / "cache"),
                       PYTHONPATH=str(package.parent))
    done = subprocess.run([sys.executable, "-W", "error", "-c", COMPILING], env=environment,
                          cwd=package.parent, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def files(package, kernel):
    return sorted((package.parent / "cache").glob(f"*/*.{kernel}-*"))


def test_an_edit_compiles_what_imports_it_and_removes_the_old(package):
    assert {"fletcher32_nb", "intersect_spans_nb"} <= compiled(package)
    kept = files(package, "intersect_spans_nb")
    assert len(kept) == 2  # an index and a form
    with (package / "_memory.py").open("a") as file:
        file.write("\nCHANGED = 1\n")
    before = forms_after_an_edit(package)
    # The kernel's own module; it begins on another line.
    text = (package / "checksum.py").read_text()
    (package / "checksum.py").write_text(text.replace('"""', '"""\n', 1))
    assert not set(before) & set(forms_after_an_edit(package))
    assert files(package, "intersect_spans_nb") == kept
    assert compiled(package) == set()


def forms_after_an_edit(package):
    """Files of one kernel, which is compiled anew, but not the other."""
    before = files(package, "fletcher32_nb")
    names = compiled(package)
    assert "fletcher32_nb" in names and "intersect_spans_nb" not in names
    after = files(package, "fletcher32_nb")
    assert len(before) == len(after) == 2 and not set(before) & set(after)
    return after


def test_one_process_saves_at_a_time(monkeypatch):
    fletcher32(np.zeros(8, np.uint8))
    tried = []

    def save(self, sig, data):
        with (open(f"{self.cache_path}/.fastsig-lock", "a") as other,
              pytest.raises(BlockingIOError)):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.append(sig)

    monkeypatch.setattr(FunctionCache, "save_overload", save)
    fastsig_kernels.fletcher32_nb._cache.save_overload("signature", None)
    assert tried == ["signature"]


UNCACHED = """
import warnings
import numpy as np

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fastsig_kernels import fletcher32, widen
    fletcher32(np.arange(4, dtype=np.uint8))
    widen(np.ones((1, 1, 3), np.uint8))
print(fletcher32(np.arange(4, dtype=np.uint8)), *(each.message for each in caught), sep="\\n")
"""


def test_without_a_folder_to_write_to_kernels_are_compiled(package):
    """Neither NUMBA_CACHE_DIR, nor the folder of the module, nor that of the user can be used."""
    (package / "__pycache__").write_text("a file, where the folder would be")
    below = str(package / "__init__.py" / "cache")
    for stated in ({}, {"NUMBA_CACHE_DIR": below}):
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
        environment |= {"HOME": below, "PYTHONPATH": str(package.parent), **stated}
        done = subprocess.run([sys.executable, "-c", UNCACHED], env=environment, text=True,
                              cwd=package.parent, capture_output=True, timeout=280)
        assert done.returncode == 0, done.stderr
        checksum, *warned = done.stdout.splitlines()
        assert int(checksum) == fletcher32(np.arange(4, dtype=np.uint8))
        assert len(warned) == 1 and "cannot write to its folder of compiled kernels" in warned[0]


@pytest.fixture
def read_only(monkeypatch):
    """No folder can be written to, which also holds for root."""
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    fletcher32(np.zeros(8, np.uint8))
    monkeypatch.setattr(_cache, "_warned", False)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    return fastsig_kernels.fletcher32_nb


def test_a_filled_read_only_folder_is_used(read_only):
    stated = read_only._cache.cache_path
    cache = _cache.KernelCache(read_only.py_func)
    assert cache.cache_path == stated
    signature = read_only.signatures[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.load_overload(signature, read_only.targetctx) is not None
    form = read_only.overloads[signature]
    with pytest.warns(RuntimeWarning, match=r"cannot write to .*Read-only.*NUMBA_CACHE_DIR") as got:
        cache.save_overload(signature, form)
        cache.save_overload(signature, form)
    assert len(got) == 1


def test_a_folder_that_is_not_filled_is_not_used(read_only, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    cache = _cache.KernelCache(read_only.py_func)
    assert cache.cache_path == str(PACKAGE / "__pycache__")


def test_a_user_without_a_home_gets_no_folder_named_tilde(read_only, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert _cache._KnownHome.from_function(read_only.py_func, _cache.__file__) is None
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_compiled_again(read_only, monkeypatch):
    cache = _cache.KernelCache(read_only.py_func)
    monkeypatch.setattr(cache._cache_file, "load", lambda key: pickle.loads(b"damaged"))
    with pytest.warns(RuntimeWarning, match="cannot read"):
        assert cache.load_overload(read_only.signatures[0], read_only.targetctx) is None


def test_warmup_says_that_nothing_could_be_kept(monkeypatch, capsys):
    from fastsig.cli import warming, warmup

    def compile_all():
        numba.njit(lambda: 1)()

    monkeypatch.setattr(warming, "compile_all", compile_all)
    for kept, words in ((True, "compiled and cached"), (False, "but could not be cached")):
        monkeypatch.setattr(_cache, "_warned", not kept)
        warmup.warmup.callback(quiet=False, debug=False)
        assert words in "".join(capsys.readouterr())
