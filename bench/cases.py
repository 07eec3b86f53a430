"""The case table: each set-up makes its data and returns the calls and the amount of work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastsig_kernels import Channelizer, detect, detect_accumulate, unpack

from bench import idioms
from bench.timing import Case, Scale, Task
from fastsig import validity
from fastsig.chain import open_chain
from fastsig.frequency import ChannelAxis
from fastsig.header import Header
from fastsig.io.native import NativeWriter
from fastsig.polarization import PolBasis
from fastsig.stages.channelize import Channelize
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import VoltageStream
from fastsig.time import parse_time

N_CHAN, N_FFT, N_TAP = 4096, 8192, 8
MEGA = 1e6


def _random(n: int, n_pol: int = 1) -> np.ndarray:
    """Random int8 samples (n, n_pol), each polarisation contiguous: a few MB, repeated."""
    rng = np.random.default_rng(1)
    piece = np.frombuffer(rng.bytes(min(n, 2**22)), np.int8)
    return np.stack([np.resize(np.roll(piece, pol), n) for pol in range(n_pol)]).T


def _floats(n_frame: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((n_frame, N_FFT), dtype=np.float32)


def _header(n_pol: int) -> Header:
    return Header(
        parse_time("2026-01-01T00:00:00"), Fraction(10**9),
        ChannelAxis.band(Fraction(1250 * 10**6), Fraction(5 * 10**8)),
        polarization=PolBasis("linear", ("X", "Y")[:n_pol]),
    )


class MemoryVoltages(VoltageStream):
    """Valid int8 voltages that lie in an array (time, pol)."""

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__(_header(samples.shape[1]), samples.shape, samples.dtype, "memory")
        self._samples = samples

    def _read(self, start: int, n: int, out: np.ndarray) -> Any:
        out[...] = self._samples[start : start + n]
        return (validity.full(start, start + n),) * self.n_pol


def unpacking(scale: Scale, n_bits: int) -> Task:
    packed = _random(scale.pick(2**24, 2**18))[:, 0].view(np.uint8)
    out = np.empty(packed.size * 8 // n_bits, np.float32)
    table = idioms.unpack_table(n_bits)
    return Task(
        out.size / MEGA, lambda: unpack(packed, n_bits, out=out),
        {"NumPy table look-up": lambda: idioms.unpack(packed, table, out)},
    )


def channelising(scale: Scale) -> Task:
    x = _random(scale.pick(2**26, 2**20))[:, 0]
    bank = Channelizer(N_CHAN, n_tap=N_TAP)
    frames, tile = np.empty((bank.n_frame(x.size), N_CHAN), np.complex64), 16
    scratch, floats = bank.scratch(tile), _floats(len(frames))

    def call() -> None:
        for first in range(0, len(frames), tile):
            part = frames[first : first + tile]
            piece = x[first * N_FFT :][: bank.n_sample(len(part))]
            bank.process(piece, out=part, scratch=scratch)

    return Task(
        len(frames) * N_FFT / MEGA, call,
        {"scipy rfft": lambda: idioms.rfft(floats),
         "NumPy + SciPy filter bank": lambda: idioms.polyphase(x, bank.taps, frames)},
    )


def _frames(n: int) -> np.ndarray:
    return _floats(2 * n).view(np.complex64).reshape(n, 2, N_CHAN)


def detecting(scale: Scale) -> Task:
    x = _frames(scale.pick(2**10, 2**6))
    energy, out = np.ones((len(x), 3)), np.empty((len(x), 4, N_CHAN), np.float32)
    weight = np.empty((len(x), 4))
    return Task(
        x.size / MEGA, lambda: detect(x, energy, "IQUV", out=out, out_weight=weight),
        {"NumPy Stokes": lambda: idioms.stokes(x, out)},
    )


def summing(scale: Scale) -> Task:
    x = _frames(scale.pick(2**10, 2**6))
    energy, total, weight = np.ones((len(x), 3)), np.zeros((4, N_CHAN), np.float32), np.zeros(4)
    return Task(
        x.size / MEGA, lambda: detect_accumulate(x, energy, "IQUV", total, weight),
        {"NumPy Stokes and sum": lambda: idioms.stokes_sum(x, total)},
    )


def spectrometer(scale: Scale, n_pol: int, products: str) -> Task:
    voltages = MemoryVoltages(_random(scale.pick(2**26, 2**20) // n_pol, n_pol))
    stage = Spectrometer(Channelize(voltages, N_CHAN, n_tap=N_TAP), products)
    n_frame, n_product = stage.shape[:2]
    total, weight = np.zeros((n_product, N_CHAN), np.float32), np.zeros((n_product, 1))
    floats = _floats(n_frame * n_pol)
    return Task(
        floats.size / MEGA, lambda: stage.accumulate(0, n_frame, total, weight),
        {"scipy rfft": lambda: idioms.rfft(floats)},
    )


def voltage_file(folder: Path, n_sample: int, n_pol: int = 2) -> Path:
    """A native file of random bytes, made once a run; it stays in the page cache."""
    path = folder / f"voltages-{n_sample}.h5"
    if not path.exists():
        with NativeWriter(path, _header(n_pol), n_sample) as writer:
            for start in range(0, n_sample, 2**22):
                writer.append(_random(min(2**22, n_sample - start), n_pol))
    return path


def spectra(scale: Scale, products: str, workers: int) -> Task:
    n = scale.pick(2**27, 2**20)
    path, product = voltage_file(scale.folder, n), scale.folder / "spectra.h5"
    source = open_chain(path)
    chain = source.channelize(N_CHAN, n_tap=N_TAP).detect(products).integrate("1ms")
    n_frame, descriptor = 2 * n // N_FFT, os.open(path, os.O_RDONLY)
    buffer, floats = np.empty(2**22, np.uint8), _floats(min(n_frame, 2**12))

    def close() -> None:
        os.close(descriptor)
        source.close()

    return Task(
        2 * n / MEGA, lambda: chain.write(product, workers=workers, overwrite=True),
        {"preadv + scipy rfft": partial(
            idioms.read_and_rfft, descriptor, 2 * n, buffer, floats, n_frame)},
        close,
    )


def process(scale: Scale, code: str, *arguments: str, needs_file: bool = False) -> Task:
    """A fresh interpreter with this one's path."""
    if needs_file:
        arguments = (*arguments, str(voltage_file(scale.folder, 2**20)))
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)

    def start(code: str, *arguments: str) -> Callable[[], object]:
        return partial(subprocess.run, [sys.executable, "-c", code, *arguments], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})

    return Task(1, start(code, *arguments), {"python -c pass": start("pass")})


_CLI = "from fastsig.cli.main import main; main()"

CASES = [
    Case("unpack-4bit", "MS", partial(unpacking, n_bits=4), "64 MB and more: 4 bits to float32"),
    Case("unpack-2bit", "MS", partial(unpacking, n_bits=2), "the same, 2 bits"),
    Case("channelise", "MS", channelising, "int8, 8 taps, 4096 channels, spectra kept"),
    Case("detect", "Mvalues", detecting, "I, Q, U, V of every frame, kept"),
    Case("detect-sum", "Mvalues", summing, "I, Q, U, V added up"),
    Case("fused-i", "MS", partial(spectrometer, n_pol=1, products="I"),
         "memory to power, one polarisation, added up"),
    Case("fused-iquv", "MS", partial(spectrometer, n_pol=2, products="IQUV"),
         "memory to I, Q, U, V, two polarisations, added up"),
    *(Case(f"spectra-{products.lower()}-{workers}", "MS",
           partial(spectra, products=products, workers=workers),
           f"256 MB file to {products} in 1 ms spectra, {workers} workers")
      for products in ("I", "IQUV") for workers in (1, 2)),
    Case("import", "starts", partial(process, code="import fastsig"), "import fastsig"),
    Case("help", "starts", lambda scale: process(scale, _CLI, "--help"), "fastsig --help"),
    Case("info", "starts", lambda scale: process(scale, _CLI, "info", needs_file=True),
         "fastsig info FILE"),
]
