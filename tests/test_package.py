"""What importing costs, what is public, what the wheel holds."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cli import ROOT, environment

import fastsig as fs

HEAVY = {"numba", "astropy", "scipy", "h5py", "matplotlib", "rich", "llvmlite", "numpy"}


def loaded(code: str) -> set[str]:
    """The heavy packages that are loaded after some code has run."""
    code += "\nimport sys, json; print('@' + json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True,
                         text=True, check=True, cwd=ROOT).stdout
    return {name for name in json.loads(out.rpartition("@")[2]) if name in HEAVY}


def run_command(*words: str) -> str:
    return f"from fastsig.cli.main import run; run({list(words)!r})"


def test_import_budget(samples: Path) -> None:
    assert loaded("import fastsig") == set()
    assert loaded(run_command("--help")) == set()
    for name in ("spectra", "simulate", "view"):
        assert loaded(run_command(name, "--help")) == set()
    info = loaded(run_command("info", str(samples / "fast_band_1GSa.h5")))
    assert info <= {"numpy", "astropy", "h5py"}


def test_stub_is_the_index() -> None:
    tree = ast.parse((ROOT / "fastsig" / "__init__.pyi").read_text())
    stub = {alias.asname: f"{node.module}:{alias.name}" for node in tree.body
            if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert stub.pop("__version__") == "fastsig._version:__version__"
    assert stub == fs._INDEX
    for name in fs.__all__:
        assert getattr(fs, name) is not None and name in dir(fs)
    with pytest.raises(AttributeError):
        _ = fs.nonsense


@pytest.mark.parametrize("path", sorted((ROOT / "fastsig").rglob("*.py")), ids=lambda p: p.stem)
def test_all_names_what_is_there(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert hasattr(found, name), name


def test_no_module_reaches_for_the_network() -> None:
    """Every module is imported and the sample is reduced with sockets shut."""
    code = """
import socket
def shut(*args, **options): raise OSError("the network was reached for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = shut
import fastsig as fs, pkgutil, importlib, fastsig.simulate
for module in pkgutil.walk_packages(fs.__path__, "fastsig."):
    importlib.import_module(module.name)
chain = fs.open("data/samples/fast_band_1GSa.h5").channelize(64).detect("IQUV")
print(chain.read(0, 3).time.isot)
"""
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, cwd=ROOT)


def test_the_wheel_and_its_kernels_alone(tmp_path: Path) -> None:
    """The kernels import from the wheel with nothing but numpy and numba beside them."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    wheel = next(hatchling.WheelBuilder(str(ROOT)).build(directory=str(tmp_path)))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    tops = {name.split("/")[0] for name in names}
    assert {"fastsig", "fastsig_kernels"} <= tops and len(tops) == 3
    assert "fastsig/py.typed" in names and "fastsig/__init__.pyi" in names
    tables = {f"fastsig/telescopes/{path.name}" for path in
              (ROOT / "fastsig" / "telescopes").glob("*.toml")}
    assert len(tables) == 4 and tables <= set(names)
    page = {f"fastsig/view/page/{path.name}" for path in
            (ROOT / "fastsig" / "view" / "page").iterdir() if path.suffix in (".js", ".css")}
    assert len(page) > 8 and page <= set(names)
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"scipy", "astropy", "h5py", "fastsig", "click", "matplotlib"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np, fastsig_kernels
assert "site" in fastsig_kernels.__file__
bank = fastsig_kernels.Channelizer(8, n_tap=2)
assert bank.process(np.ones(64, np.int8)).shape == (3, 8)
for name in fastsig_kernels.__all__:
    getattr(fastsig_kernels, name)
"""
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, cwd=tmp_path)
