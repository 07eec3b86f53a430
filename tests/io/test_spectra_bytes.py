"""What reading spectra costs: bytes of a band, bytes and memory of long files."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psrfits_made
import pytest
import test_fast_spectral
import test_hifast
import test_sdfits
import test_sigproc
from astropy.io import fits

import fastsig as fs
from fastsig.errors import FastsigWarning
from fastsig.io.opening import describe
from fastsig.stages.select import Select

N_CHAN = 300_000  # 99 % of them are more than 64 KiB, even at 2 bits
_SIEVE = 2**16  # bytes that HDF5 reads at least, here of 2 x 5 spectra and 5 rows of flags


@contextmanager
def counted() -> Iterator[list[int]]:
    """Bytes that this process reads meanwhile, by whatever call: the kernel counts them."""
    found = [_read()]
    yield found
    found[0] = _read() - found[0]


def _read() -> int:
    with open("/proc/self/io") as file:
        return int(next(file).split()[1])


def _fil(home: Path, n_bits: int) -> tuple[Path, dict[str, Any]]:
    codes = test_sigproc.random_codes(6, n_bits, 1, N_CHAN)
    return test_sigproc.write(home / "a.fil", codes, nbits=n_bits, foff=-0.001), {}


def _psrfits(home: Path) -> tuple[Path, dict[str, Any]]:
    codes = psrfits_made.codes_of(8, (8, 2, N_CHAN))
    freq = 1000 + 0.001 * np.arange(N_CHAN)
    return psrfits_made.made(home / "a.fits", codes, n_block=8, freq=freq), {}


def _fast_spectral(home: Path) -> tuple[Path, dict[str, Any]]:
    data = test_fast_spectral.spectra(3, N_CHAN)
    return test_fast_spectral.write(home / "a.fits", data), {}


def _sdfits(home: Path) -> tuple[Path, dict[str, Any]]:
    states = [{**test_sdfits.at(i), "CRVAL1": 9e9} for i in range(4)]
    return test_sdfits.write(home / "a.fits", states, test_sdfits.spectra(4, N_CHAN)), {}


def _hifast(home: Path) -> tuple[Path, dict[str, Any]]:
    values = test_hifast.group(n_row=5, n_chan=N_CHAN)
    return test_hifast.write(home / "a.hdf5", values), {"rfi": "weight"}


BANDS: dict[str, Callable[[Path], tuple[Path, dict[str, Any]]]] = {
    **{f"sigproc {bits}": lambda home, bits=bits: _fil(home, bits) for bits in (2, 8, 16, 32)},
    "psrfits": _psrfits, "fast_spectral": _fast_spectral, "sdfits": _sdfits, "hifast": _hifast,
}


@pytest.mark.parametrize("name", BANDS)
def test_a_hundredth_of_a_band_is_a_hundredth_of_the_bytes(name: str, tmp_path: Path) -> None:
    path, options = BANDS[name](tmp_path)
    low, high = N_CHAN // 3 + 1, N_CHAN // 3 + 1 + N_CHAN // 100
    warm = fs.open(path, **options).stream  # kernels are loaded, tables of rows are kept
    warm.read_block(0, 1)
    Select(warm, channels=(low, high)).read_block(0, 1)
    stream = fs.open(path, **options).stream
    with counted() as whole:
        expected = stream.read_block(0, stream.shape[0])
    part = Select(stream, channels=(low, high))
    with counted() as read:
        found = part.read_block(0, stream.shape[0])
    np.testing.assert_array_equal(found.data, expected.data[:, :, low:high])
    weights = [np.broadcast_to(each.valid, each.data.shape) for each in (found, expected)]
    np.testing.assert_array_equal(weights[0], weights[1][:, :, low:high])
    least = 15 * _SIEVE if name == "hifast" else 2**12
    assert 0.009 * whole[0] < read[0] < 0.011 * whole[0] + least, (read, whole)
    narrower = Select(part, rows=(1, 3), channels=(5, 9))
    np.testing.assert_array_equal(
        narrower.read_sums(0, 2).total,
        stream.read_sums(1, 2).total[:, :, low + 5 : low + 9])
    with counted() as read:
        narrower.read_block(0, 2)
    assert name == "hifast" or read[0] < 2**14  # the part of a part is not read by way of the part


@pytest.mark.parametrize("name", [*BANDS, "fbh5", "fbh5 falling", "presto"])
def test_spectra_into_memory_that_is_there(name: str, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _small(name, tmp_path, monkeypatch)
    n = stream.shape[0]
    block = stream.read_block(1, n - 1)
    weight = np.broadcast_to(block.valid, block.data.shape)
    assert (np.isfinite(block.data) == (weight > 0)).all() and not block.data.flags.writeable
    out = np.full((n + 2, *stream.shape[1:]), 7, np.float32)
    wide = np.full((n, *stream.shape[1:-1], stream.shape[2] + 3), 7, np.float32)
    for target in (out, wide[:, :, 1:-2]):
        found = stream.read_block(1, n - 1, out=target)
        np.testing.assert_array_equal(found.data, block.data)
        np.testing.assert_array_equal(target[: n - 1], block.data)
        np.testing.assert_array_equal(np.broadcast_to(found.valid, block.data.shape), weight)
        assert np.shares_memory(found.data, target) and target.flags.writeable
        assert not found.data.flags.writeable and (target[n - 1 :] == 7).all()
    if stream.shape[2] < 3:
        return
    part = Select(stream, rows=(1, n), channels=(1, 3))
    found = part.read_block(0, n - 1, out=np.empty((n, stream.shape[1], 2), np.float32))
    np.testing.assert_array_equal(found.data, block.data[:, :, 1:3])


def _small(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small recording, with a gap or values that are lost where the format can have any."""
    if name.startswith("fbh5"):
        from test_fbh5 import other

        data = np.random.default_rng(1).normal(size=(6, 2, 9)).astype(np.float32)
        data[2, 0, 4] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            step = -0.5 if "falling" in name else 0.5
            return fs.open(other(home / "a.h5", data, foff=step)).stream
    if name == "presto":
        from test_presto import inf, write

        return fs.open(write(home, text=inf([(0, 20), (30, 60), (63, 63)], Any_breaks=1))).stream
    monkeypatch.setattr("test_spectra_bytes.N_CHAN", 48)
    monkeypatch.setitem(globals(), "N_CHAN", 48)
    path, options = BANDS[name](home)
    return fs.open(path, **options).stream


# Long files, of which nearly all is a hole.

LONG = 30 * 10**9


def _long_fil(home: Path) -> list[Path]:
    path = home / "long.fil"
    path.write_bytes(test_sigproc.header(nchans=4096, foff=-0.1))
    with open(path, "r+b") as file:
        file.truncate(LONG)
    return [path]


def _stretched(path: Path, n_row: int, fill: Callable[[np.ndarray, int], None], n: int,
               **cards: Any) -> Path:
    """A file of one row as one of many with `n` times as large a DATA, the last column, in each."""
    with fits.open(path) as file:
        unit = file[1]
        begin, columns = unit.fileinfo()["datLoc"], unit.columns
        *fields, (_, (_, ahead)) = columns.dtype.fields.items()
        kind = columns["DATA"].format
        size = ahead + (unit.header["NAXIS1"] - ahead) * n
        cards = {"NAXIS1": size, "NAXIS2": n_row, **cards,
                 f"TFORM{len(columns)}": f"'{int(kind[:-1]) * n}{kind[-1]}'"}
    head = np.dtype({"names": [key for key, _ in fields], "itemsize": ahead,
                     "offsets": [at for _, (_, at) in fields],
                     "formats": [each.newbyteorder(">") for _, (each, _) in fields]})
    with open(path, "r+b") as file:
        raw = bytearray(file.read(begin + ahead))
        for key, value in cards.items():
            at = raw.rindex(f"{key:<8}=".encode(), 0, begin)
            raw[at : at + 80] = f"{key:<8}= {value:>20}".encode().ljust(80)
        file.seek(0)
        file.write(raw[:begin])
        row = np.frombuffer(raw, head, 1, begin)
        file.truncate(begin + n_row * size)
        for number in range(n_row):
            fill(row, number)
            file.seek(begin + number * size)
            file.write(row.tobytes())
    return path


def _long_psrfits(home: Path) -> list[Path]:
    n_block, n_chan = 4096, 4096  # rows of 16 MiB
    path = psrfits_made.made(home / "long.fits", np.ones((1, 1, n_chan), np.uint8), n_block=1)
    length = n_block * psrfits_made.TBIN

    def fill(row: np.ndarray, number: int) -> None:
        row["TSUBINT"], row["OFFS_SUB"] = length, (number + 0.5) * length

    return [_stretched(path, LONG // (n_block * n_chan), fill, n_block, NSBLK=n_block,
                       TDIM7=f"'(1,{n_chan},1,{n_block})'")]


def _long_fast(home: Path) -> list[Path]:
    n_chan = 2**20  # rows of 16 MiB
    paths, n_row = [], LONG // 2 // (16 * n_chan)
    data = np.ones((1, 16, 4), np.float32)
    for part in range(2):
        path = test_fast_spectral.write(home / f"N_x-M01_F_000{part}.fits", data, NCHAN=n_chan,
                                        CHAN_BW=test_fast_spectral.WIDTH_F)

        def fill(row: np.ndarray, number: int, part: int = part) -> None:
            row["UTOBS"] = test_fast_spectral.utobs(part * n_row + number)

        paths.append(_stretched(path, n_row, fill, n_chan // 16, TDIM21=f"'(4,{n_chan})'"))
    return paths


LONG_FILES = {"sigproc": _long_fil, "psrfits": _long_psrfits, "fast_spectral": _long_fast}


@pytest.mark.parametrize("name", LONG_FILES)
def test_long_files_are_opened_by_their_headers(name: str, tmp_path: Path) -> None:
    paths = LONG_FILES[name](tmp_path)
    assert sum(path.stat().st_blocks for path in paths) * 512 < 2**28  # holes are holes
    tracemalloc.start()
    try:
        with counted() as read, warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)  # zeros may fill up the last row
            stream = fs.open(paths).stream
            facts = describe(stream, name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert facts["n_time"] * float(np.prod(stream.shape[1:])) * facts["n_bits"] / 8 > 0.99 * LONG
    assert read[0] < 2**25 and peak < 2**26, (read, peak)
    middle = stream.shape[0] // 2
    late = stream.time_of(middle) - stream.start_time
    assert late.sec == pytest.approx(float(Fraction(middle) / stream.header.sample_rate))
    assert stream.read_block(middle, 1).data.shape == (1, *stream.shape[1:])
    for path in paths:
        path.unlink()
