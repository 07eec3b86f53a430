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
from cli import ROOT, environment, fastsig

import fastsig as fs
from fastsig import registry
from fastsig.cli.main import cli

#: What takes 20 ms and more to load. scipy itself takes 2 ms, its parts take 0.1 to 0.4 s.
HEAVY = {
    "asdf", "astropy", "astropy.coordinates", "astropy.io.ascii", "astropy.io.fits",
    "astropy.table", "astropy.utils.iers", "astropy.wcs", "dask", "distributed", "fastsig_kernels",
    "h5py", "hdf5plugin", "llvmlite", "matplotlib", "numba", "numba.np.linalg", "numpy",
    "numpy.f2py", "pandas", "rich", "scipy.fft", "scipy.interpolate", "scipy.linalg",
    "scipy.optimize", "scipy.sparse", "scipy.special", "scipy.stats", "xarray",
}
HEADERS = {"numpy", "astropy"}
HDF5 = {"h5py", "hdf5plugin"}
KERNELS = {"fastsig_kernels", "numba", "llvmlite"}


# What all of some commands may load is loaded once; each of them runs in a fork of that.
FORKS = """
import json, os, sys
TELL = "import sys, json; print('@' + json.dumps(sorted(sys.modules)), flush=True)"
for each in json.loads(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        exec(each + "\\n" + TELL, {})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, each
"""


def loaded(*codes: str, before: str = "") -> list[tuple[set[str], set[str]]]:
    """What is loaded after each has run, without the others: of `HEAVY`, and of the formats."""
    out = subprocess.run([sys.executable, "-c", before + FORKS, json.dumps(codes)],
                         env=environment(), capture_output=True, text=True, check=True, cwd=ROOT
                         ).stdout
    told = [set(json.loads(line[1:])) for line in out.splitlines() if line.startswith("@")]
    assert len(told) == len(codes)
    formats = [{name.rpartition(".")[2] for name in modules if name.startswith("fastsig.io.")}
               for modules in told]
    return [(modules & HEAVY, found & set(registry.formats()))
            for modules, found in zip(told, formats, strict=True)]


def run_command(*words: object) -> str:
    return f"from fastsig.cli.main import run; assert run({[*map(str, words)]!r}) == 0"


def test_help_and_the_package_load_nothing_heavy() -> None:
    """Help of any command, one after the other; and what importing the package loads."""
    code = "import sys\nfrom fastsig.cli.main import run\n"
    for words in ("--version", "--help",
                  *(f"{name} --help" for name in (*cli.list_commands(None), "batch run"))):
        code += (f"assert run({words.split()}) == 0\n"
                 f"assert not {HEAVY} & set(sys.modules), {words!r}\n")
    assert loaded(code, "import fastsig") == [(set(), set())] * 2


INFO = [
    ("pulsar_lower_8MHz.h5", HEADERS | {"h5py"}, {"native"}),
    ("frb_coarse_16MHz.0000.raw", HEADERS, {"sigproc", "presto", "guppi"}),
    ("SIMPSR_tracking-M01_0001.fits", HEADERS, {"sigproc", "presto", "psrfits", "fits_cube"}),
    ("SIMHI_onoff-M01_W_0001.fits", HEADERS,
     {"sigproc", "presto", "psrfits", "psrfits_fold", "fast_spectral", "fits_cube"}),
]


def test_info_loads_the_formats_that_it_asks(samples: Path) -> None:
    """Those that are asked before the file's own, but for those of other containers."""
    found = loaded(*(run_command("info", samples / name) for name, _, _ in INFO),
                   before="import numpy, astropy.time")
    for (name, heavy, formats), told in zip(INFO, found, strict=True):
        assert told[0] <= heavy and told[1] <= formats, name


COMPILING = {"numba.np.linalg", "numpy.f2py", "scipy.fft", "scipy.linalg", "scipy.sparse",
             "scipy.special"}
WORK = [
    ("spectra {} -o {}.h5 --n-chan 64", HEADERS | KERNELS | HDF5),
    ("spectra {} -o {}.h5 --n-chan 64 --n-int 16", HEADERS | KERNELS | HDF5),
    ("spectra {} -o {}.fil --n-chan 64 --lossy", HEADERS | KERNELS),
    ("cut {} -o {}.h5 --tstop 1ms", HEADERS | KERNELS | {"h5py"}),
    ("convert {} -o {}.dada --lossy", HEADERS | KERNELS | {"h5py"}),
    ("view {} -o {}.png", HEADERS | KERNELS | HDF5 | COMPILING | {"matplotlib"}),
]


def test_work_loads_what_it_needs(samples: Path, tmp_path: Path) -> None:
    """The second time: the first one may compile, for which numba loads scipy.linalg."""
    calls = []
    for number, (words, _) in enumerate(WORK):
        lossy = "--n-int" in words  # what is lost is counted by other kernels
        source = ("SIMPSR_tracking-M01_0001.fits" if "view" in words else
                  "frb_coarse_16MHz.0000.raw" if ".fil" in words else
                  "frb_carrier_16MHz.h5" if lossy else "pulsar_lower_8MHz.h5")
        call = words.format(samples / source, tmp_path / f"{number}").split()
        if "view" not in words:
            fastsig(*call)
        calls.append([*call, "--overwrite"])
    found = loaded(*(run_command(*call) for call in calls),
                   before="import numpy, astropy.time, fastsig_kernels")
    for (words, heavy), (told, _) in zip(WORK, found, strict=True):
        assert told <= heavy, words


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


def test_all_names_what_is_there() -> None:
    missing = []
    for path in sorted((ROOT / "fastsig").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found = importlib.import_module(module)
        missing += [f"{module}.{name}" for name in getattr(found, "__all__", ())
                    if not hasattr(found, name)]
    assert not missing


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
    samples = {f"fastsig/samples/{path.name}" for path in (ROOT / "data" / "samples").iterdir()}
    assert len(samples) > 8 and samples <= set(names)
    assert os.path.getsize(wheel) < 12e6  # with 9 MB of samples
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


def test_the_kernels_as_a_distribution(tmp_path: Path) -> None:
    """Of the same version, with the same files as in the wheel of fastsig, and few requirements."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    from fastsig_kernels._version import __version__

    wheel = next(hatchling.WheelBuilder(str(ROOT / "kernels")).build(directory=str(tmp_path)))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    lines = metadata.splitlines()
    assert "Name: fastsig-kernels" in lines and f"Version: {fs.__version__}" in lines
    assert __version__ == fs.__version__
    needed = {line.split()[1].split(">")[0] for line in lines if line.startswith("Requires-Dist")}
    assert needed == {"numpy", "numba"}
    there = {f"fastsig_kernels/{path.name}" for path in
             (ROOT / "kernels" / "fastsig_kernels").iterdir() if path.is_file()}
    assert {name for name in names if name.startswith("fastsig_kernels/")} == there
