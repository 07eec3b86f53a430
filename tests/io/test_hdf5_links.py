"""HDF5 files whose members lie elsewhere, or are no numbers: every format refuses them in a line.

What a link would lead to is a sound copy of the member, so that following it would do no harm that
shows: a format that follows it opens the file, and the test fails.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from streams import header, write_native
from writers import complex_int, write_digital_rf, write_lofar_bf, write_lofar_tbb

import fastsig as fs
from fastsig.errors import FastsigError, FastsigWarning, FormatError


class Format(NamedTuple):
    """How to make a file in a folder, what is read of it, and what to open it with."""

    make: Callable[[Path], Path]
    datasets: tuple[str, ...]
    groups: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()


def _native(folder: Path) -> Path:
    data = np.arange(200, dtype="i1").reshape(100, 2)
    return write_native(folder / "x.h5", data, header())


def _fbh5(folder: Path) -> Path:
    from test_fbh5 import other

    path = folder / "x.h5"
    other(path, np.ones((10, 1, 8), "f4"))
    with h5py.File(path, "a") as file:
        file["weights"] = np.ones((10, 1, 1), "f4")
    return path


def _hifast(folder: Path) -> Path:
    from test_hifast import group, write

    return write(folder / "x-M01_W.h5", group(12, 16))


def _chime(folder: Path) -> Path:
    from test_chime import archive, random_codes

    return archive(folder / "x.h5", random_codes(50))


def _digital_rf(folder: Path) -> Path:
    number = np.arange(100)
    write_digital_rf(folder, complex_int(number, -number), 1000, 1_400_000_000 * 1000)
    (path,) = folder.rglob("rf@*.h5")
    return path


def _lofar_tbb(folder: Path) -> Path:
    write_lofar_tbb(folder / "x.h5", np.arange(100, dtype="<i2"), 2e8, 1, external=False)
    return folder / "x.h5"


def _lofar_bf(folder: Path) -> Path:
    return write_lofar_bf(folder / "x.h5", {"I": np.ones((10, 8), "f4")}, storage="contiguous")


_BEAM = "SUB_ARRAY_POINTING_000/BEAM_000"

FORMATS = {
    "native": Format(_native, ("voltage/0", "valid/1", "crc32/0", "header"), ("voltage",)),
    "fbh5": Format(_fbh5, ("data", "weights")),
    "hifast": Format(_hifast, ("S/Ta", "S/mjd", "S/freq", "S/is_rfi"), ("S", "Header"),
                     (("rfi", "weight"),)),
    "chime": Format(_chime, ("baseband", "index_map/input"), ("index_map",)),
    "digital_rf": Format(_digital_rf, ("rf_data", "rf_data_index")),
    "lofar_tbb": Format(_lofar_tbb, ("STATION_CS011/DIPOLE_011000010",), ("STATION_CS011",)),
    "lofar_bf": Format(_lofar_bf, (f"{_BEAM}/STOKES_0",), (
        _BEAM, "SUB_ARRAY_POINTING_000", f"{_BEAM}/COORDINATES",
        f"{_BEAM}/COORDINATES/COORDINATE_1")),
}
SETS = [(name, member) for name, each in FORMATS.items() for member in each.datasets]
EVERY = [*SETS, *((name, member) for name, each in FORMATS.items() for member in each.groups)]


def _soft(file: h5py.File, name: str, _: Path) -> None:
    file.move(name, "aside")
    file[name] = h5py.SoftLink("/aside")


def _to(target: Any) -> Callable[[h5py.File, str, Path], None]:
    def change(file: h5py.File, name: str, home: Path) -> None:
        del file[name]
        file[name] = target(name, home) if callable(target) else target
    return change


def _soft_to_external(file: h5py.File, name: str, _: Path) -> None:
    del file[name]
    file["door"] = h5py.ExternalLink("../away/secret.h5", f"/{name}")
    file[name] = h5py.SoftLink("/door")


LINKS = {
    "soft": _soft,
    "dangling": _to(h5py.SoftLink("/nowhere")),
    "round": _to(lambda name, _: h5py.SoftLink(f"/{name}")),
    "up": _to(lambda name, _: h5py.ExternalLink("../away/secret.h5", f"/{name}")),
    "absolute": _to(lambda name, home: h5py.ExternalLink(
        str(home.parent / "away" / "secret.h5"), f"/{name}")),
    "soft, then external": _soft_to_external,
    "no file": _to(h5py.ExternalLink("../away/absent.h5", "/x")),
}


def _replaced(file: h5py.File, name: str, create: Callable[[str, h5py.Dataset], Any]) -> None:
    """Another dataset with the attributes of the old one."""
    file.move(name, "old")
    old, attrs = file["old"], dict(file["old"].attrs)
    create(name, old)
    for key, value in attrs.items():
        file[name].attrs[key] = value
    del file["old"]


def _raw(place: Callable[[Path], str]) -> Callable[[h5py.File, str, Path], None]:
    def change(file: h5py.File, name: str, home: Path) -> None:
        def create(name: str, old: h5py.Dataset) -> None:
            (home.parent / "away" / "secret.raw").write_bytes(old[()].tobytes())
            file.create_dataset(name, old.shape, old.dtype,
                                external=[(place(home), 0, h5py.h5f.UNLIMITED)])
        _replaced(file, name, create)
    return change


def _virtual(file: h5py.File, name: str, _: Path) -> None:
    def create(name: str, old: h5py.Dataset) -> None:
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource("../away/secret.h5", f"/{name}", old.shape)
        file.create_virtual_dataset(name, layout)
    _replaced(file, name, create)


def _typed(make: Callable[[tuple[int, ...]], Any]) -> Callable[[h5py.File, str, Path], None]:
    def change(file: h5py.File, name: str, _: Path) -> None:
        _replaced(file, name, lambda name, old: file.create_dataset(name, **make(old.shape)))
    return change


DATASETS = {
    "raw file, absolute": _raw(lambda home: str(home.parent / "away" / "secret.raw")),
    "raw file, up": _raw(lambda _: "../away/secret.raw"),
    "virtual": _virtual,
    "text": _typed(lambda shape: {"data": np.full(shape, "x", object),
                                  "dtype": h5py.string_dtype()}),
    "bytes": _typed(lambda shape: {"data": np.full(shape, b"x")}),
    "lists": _typed(lambda shape: {"shape": shape, "dtype": h5py.vlen_dtype("f4")}),
    "references": _typed(lambda shape: {"shape": shape, "dtype": h5py.ref_dtype}),
    "compound": _typed(lambda shape: {"shape": shape, "dtype": [("a", "i4"), ("b", "f8")]}),
    "opaque": _typed(lambda shape: {"data": np.zeros(shape, "V8")}),
    "empty": _typed(lambda _: {"data": h5py.Empty("f4")}),
    "scalar": _typed(lambda _: {"data": 1.5}),
}


def _home(tmp_path: Path, name: str) -> tuple[Path, Path]:
    """A folder with a file, and its sound copy in another folder."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    path = FORMATS[name].make(home)
    (away / "secret.h5").write_bytes(path.read_bytes())
    return path, away


def _refused(path: Path, away: Path, overrides: dict[str, Any]) -> None:
    """Open and read a file that must not be; what lies outside of the folder stays untouched."""
    for secret in away.iterdir():  # of an older time of access reading makes a new one
        os.utime(secret, ns=(1, secret.stat().st_mtime_ns))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            with fs.open(path, **overrides) as chain:
                chain.stream.read_block(0, 1)
        pytest.fail(f"{path} is opened")
    except FormatError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
    assert all(secret.stat().st_atime_ns == 1 for secret in away.iterdir())


@pytest.mark.parametrize(("name", "member"), EVERY)
def test_links(tmp_path: Path, name: str, member: str) -> None:
    path, away = _home(tmp_path, name)
    whole = path.read_bytes()
    for change in LINKS.values():
        path.unlink()  # or HDF5 would know it by its number
        path.write_bytes(whole)
        with h5py.File(path, "a") as file:
            change(file, member, tmp_path / "home")
        _refused(path, away, dict(FORMATS[name].overrides))


@pytest.mark.parametrize(("name", "member"), SETS)
def test_datasets(tmp_path: Path, name: str, member: str) -> None:
    path, away = _home(tmp_path, name)
    whole = path.read_bytes()
    for change in DATASETS.values():
        path.unlink()
        path.write_bytes(whole)
        with h5py.File(path, "a") as file:
            change(file, member, tmp_path / "home")
        _refused(path, away, dict(FORMATS[name].overrides))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_attributes(tmp_path: Path, name: str) -> None:
    """Attributes that are references, records and lists: an error, or read without them."""
    path, _ = _home(tmp_path, name)
    whole, places = path.read_bytes(), []
    with h5py.File(path) as file:
        file.visititems(lambda at, item: places.extend((at, key) for key in item.attrs))
        places += [("/", key) for key in file.attrs]
    for number, (at, key) in enumerate(places):
        path.unlink()
        path.write_bytes(whole)
        with h5py.File(path, "a") as file:
            lists = np.empty(2, object)
            lists[:] = [np.arange(3), np.arange(2)]
            value: Any = [
                file.ref, np.zeros(1, [("a", "i4"), ("b", "S3")]), lists, "x" * 60_000][number % 4]
            del file[at].attrs[key]
            file[at].attrs.create(key, value, dtype=h5py.vlen_dtype("i8") if number % 4 == 2
                                  else h5py.ref_dtype if number % 4 == 0 else None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FastsigWarning)
                with fs.open(path, **dict(FORMATS[name].overrides)) as chain:
                    chain.stream.read_block(0, 1)
        except FastsigError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)
            assert len(str(error)) < 2000
