"""Cases: files from the page cache to memory and back, compared with `baseband` and h5py."""

from __future__ import annotations

import mmap
import os
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench import data, peers
from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task, Yardstick
from bench.transforms import COPY
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.axes.validity import Spans, full
from fastsig.chain import open_chain
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.io.vdif.reader import LEVELS
from fastsig.run.products import write
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header

#: Copy of the same number of bytes from memory into a buffer that stays in the cache.
CACHED = "np.copyto into the cache"
BASEBAND = "baseband's stream reader"

#: Reading and writing with h5py and hdf5plugin.
DATASET = "dset[...]"
ASSIGNED = "dset[a:b] = x"

_RATE = Fraction(32_768_000)  # so that frames of 8 KiB fit into a second
_READ = 2**23  # bytes of samples at a time, as the spectrometer reads


class Random(VoltageStream):
    """Random voltages with a number of bits; the same samples are repeated."""

    may_have_nan = False

    def __init__(self, n: int, n_bits: int, *, is_complex: bool, n_chan: int = 1, n_pol: int = 2
                 ) -> None:
        width = _RATE if is_complex else _RATE / 2
        header = Header(parse_time("2026-01-01T00:00:00"), _RATE,
                        ChannelAxis(Fraction(1250 * 10**6), width, n_chan),
                        polarization=PolBasis("linear", ("X", "Y")[:n_pol]), n_bits=n_bits,
                        is_complex=is_complex)
        shape = (n, n_pol, *((n_chan,) if n_chan > 1 else ()))
        kind = np.complex64 if is_complex else np.int8 if n_bits == 8 else np.float32
        super().__init__(header, shape, kind, "random")
        self.levels = LEVELS.get(n_bits)
        self._values = np.array(self.levels or np.arange(-127, 128), np.float32)

    @property
    def files(self) -> list[str]:
        """The files of the stream: none."""
        return []

    def valid_spans(self) -> tuple[Spans, ...]:
        """Return the valid spans: all samples."""
        return (full(0, self.shape[0]),) * self.n_pol

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        parts = 2 if self.header.is_complex else 1
        codes = data.random_bytes(out.size * parts) % len(self._values)
        numbers = self._values[codes]
        out[...] = (numbers.view(np.complex64) if parts == 2 else numbers).reshape(out.shape)
        return tuple(full(start, start + n) for _ in range(self.n_pol))


def recording(folder: Path, name: str, stream: Random) -> Path:
    """Write a stream to a file, once per run, and load it into the page cache as if from a disk."""
    path = folder / name
    if not path.exists():
        write(stream, path, lossy=True)
        # Pages left by writing may lie in smaller pieces, which are a quarter slower to copy.
        with path.open("rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while file.read(2**20):
                pass
    return path


def to_kernel(scale: Scale, to: str) -> Task:
    """Samples as the kernels accept them: integers, in pairs if they are complex."""
    n = scale.pick(2**25, 2**17)
    streams = {"guppi": (Random(n, 8, is_complex=True, n_chan=4), "a.raw"),
               "native": (Random(8 * n, 8, is_complex=False), "a.h5"),
               "dada": (Random(4 * n, 8, is_complex=True), "a.dada"),
               "vdif": (Random(8 * n, 8, is_complex=False), "a.vdif")}
    source, name = streams[to]
    chain = open_chain(recording(scale.folder, name, source))
    voltages = chain.stream.as_recorded()
    total = int(np.prod(source.shape)) * (2 if source.header.is_complex else 1)
    rows = max(1, _READ // voltages.row_bytes)
    buffer = voltages.empty(rows)

    def read() -> None:
        for start in range(0, voltages.shape[0], rows):
            voltages.read_block(start, min(rows, voltages.shape[0] - start), out=buffer)

    # Memory without huge pages, like the page cache.
    plain = np.frombuffer(mmap.mmap(-1, total), np.uint8)
    plain[:] = 1
    target = np.empty(_READ, np.uint8)

    def copy_cached() -> None:
        for start in range(0, total, _READ):
            part = plain[start : start + _READ]
            np.copyto(target[: part.size], part)

    return Task(total / MEGA, read,
                {COPY: partial(np.copyto, np.ones(total, np.uint8), plain), CACHED: copy_cached},
                chain.close)


def vdif_stream(scale: Scale, n_bits: int) -> Task:
    """Real samples of one VDIF thread in frames of 8 KiB to float32, 2^20 samples at a time."""
    peers.require(("baseband",))
    from baseband import vdif

    n = scale.pick(2**28 // n_bits, 2**20)
    path = recording(scale.folder, f"v{n_bits}.vdif",
                     Random(n, n_bits, is_complex=False, n_pol=1))
    chain = open_chain(path)
    stream, rows = chain.stream, 2**20
    out = stream.empty(rows)
    numbers = np.empty((rows, 1), np.float32)

    def read() -> None:
        for start in range(0, n, rows):
            count = min(rows, n - start)
            block = stream.read_block(start, count, out=out)
            if block.data.dtype != np.float32:
                np.copyto(numbers[:count], block.data)

    file = vdif.open(str(path), "rs")
    few = min(n, 2**23)

    def theirs() -> None:
        file.seek(0)
        for start in range(0, few, rows):
            file.read(out=numbers[: min(rows, few - start), 0])

    def close() -> None:
        file.close()
        chain.close()

    return Task(n / MEGA, read, {BASEBAND: Yardstick(theirs, few / MEGA)}, close)


def spectra_file(path: Path, spectra: NDArray[np.float32], n: int) -> None:
    """Write an FBH5 file of fastsig with `spectra`, (time, product, chan), repeated."""
    n_product, n_chan = spectra.shape[1:]
    names = ("I", "Q", "U", "V")[:n_product]
    head = Header(parse_time("2026-01-01T00:00:00"), Fraction(1000),
                  ChannelAxis(Fraction(1000 * 10**6), Fraction(10**5), n_chan),
                  polarization=PolBasis("linear", names))
    weight = np.ones((len(spectra), n_product, 1), np.float32)
    with FBH5Writer(path, head, (n, n_product, n_chan), provenance={}, overwrite=True) as writer:
        for start in range(0, n, len(spectra)):
            writer.append(spectra[: n - start], weight[: n - start])


def noise_spectra(scale: Scale) -> tuple[NDArray[np.float32], int]:
    """Return some spectra of noise, integrated to 5 %, and the number of spectra for a file."""
    deviates = data.gaussian(2**20).reshape(-1, 1, 2**12)
    return (1 + deviates / 20).astype(np.float32), scale.pick(2**13, 2**9)


def fbh5(scale: Scale) -> Task:
    """All spectra of a file with bitshuffle, LZ4 and checksums, as one array of float32."""
    spectra, n = noise_spectra(scale)
    path = scale.folder / "spectra.h5"
    spectra_file(path, spectra, n)
    chain = open_chain(path)
    file = h5py.File(path)  # the reader has loaded hdf5plugin
    dataset = file["data"]

    def close() -> None:
        file.close()
        chain.close()

    return Task(dataset.nbytes / MEGA, lambda: chain.stream.read_block(0, n),
                {DATASET: lambda: dataset[...]}, close)


def fbh5_write(scale: Scale) -> Task:
    """A product with these spectra, compared with the same numbers written by HDF5's filters."""
    import hdf5plugin

    spectra, n = noise_spectra(scale)
    rows = min(n, len(spectra))
    packed = {"chunks": spectra[:rows].shape, "fletcher32": True, **hdf5plugin.Bitshuffle()}

    def theirs() -> None:
        with h5py.File(scale.folder / "theirs.h5", "w") as file:
            made = file.create_dataset("data", (n, *spectra.shape[1:]), "<f4", **packed)
            for start in range(0, n, rows):
                made[start : start + rows] = spectra[:rows]
            file.flush()
            os.fsync(file.id.get_vfd_handle())

    return Task(n * spectra[0].nbytes / MEGA,
                lambda: spectra_file(scale.folder / "ours.h5", spectra, n), {ASSIGNED: theirs})


CASES = [
    *(Case(f"read-{to}", "MB", partial(to_kernel, to=to),
           f"256 MB and more of 8-bit samples in {to} to the kernels' input",
           ((Mark(0.5, (COPY,)),),))
      for to in ("guppi", "native", "dada", "vdif")),
    *(Case(f"vdif-stream-{n_bits}bit", "MS", partial(vdif_stream, n_bits=n_bits),
           f"VDIF of {n_bits} bits in frames of 8 KiB, to float32", ((Mark(10.0, (BASEBAND,)),),))
      for n_bits in (2, 8)),
    Case("read-fbh5", "MB", fbh5, "128 MiB of FBH5 spectra, bitshuffle with LZ4, to float32",
         ((Mark(1.8, (DATASET,)),),)),
    Case("write-fbh5", "MB", fbh5_write, "128 MiB of FBH5 spectra to the disk"),
]
