"""Cases: single stages, whole reductions from Python, and the start of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from fastsig_kernels import detect, detect_accumulate, gaussian, unpack

from bench import data, idioms, peers
from bench.data import MEGA, N_CHAN, N_FFT, N_TAP
from bench.timing import Case, Mark, Scale, Task, Yardstick
from bench.transforms import COPY
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.chain import open_chain
from fastsig.io.native.writer import NativeWriter
from fastsig.stages.flag_statistics import Settings, judge
from fastsig.stream.header import Header

_HEADER, _PAYLOAD = 32, 8000  # bytes of a VDIF frame
_LEVELS = np.array([-3.3165, -1, 1, 3.3165], np.float32)

FLAGGING, LOOK_UP = "scipy median_filter + NumPy", "NumPy table look-up"

_CLI = "from fastsig.cli.main import main; main()"


def unpacking(scale: Scale, n_bits: int, n_byte: int = 2**24) -> Task:
    packed = data.random_bytes(scale.pick(n_byte, 2**18))
    out = np.empty(packed.size * 8 // n_bits, np.float32)
    table = idioms.unpack_table(n_bits)
    return Task(
        out.size / MEGA, lambda: unpack(packed, n_bits, out=out),
        {LOOK_UP: lambda: idioms.unpack(packed, table, out)},
    )


def vdif(scale: Scale) -> Task:
    """17 MB of frames of 2-bit samples, decoded in place within the frames."""
    n_frame = scale.pick(2**11, 2**5)
    frames = data.random_bytes(n_frame * (_HEADER + _PAYLOAD)).reshape(n_frame, -1)
    payload, out = frames[:, _HEADER:], np.empty((n_frame, 4 * _PAYLOAD), np.float32)
    packed = np.ascontiguousarray(payload).reshape(-1)
    return Task(
        out.size / MEGA, lambda: unpack(payload, 2, levels=_LEVELS, out=out),
        {**peers.decoders("vdif", 2, packed, out.reshape(-1), 2**18),
         COPY: partial(np.copyto, out, np.ones_like(out))},
    )


def guppi(scale: Scale) -> Task:
    """Pairs of 8-bit numbers to complex64."""
    packed = data.random_bytes(scale.pick(2**26, 2**20))
    out = np.empty(packed.size // 2, np.complex64)
    numbers = out.view(np.float32)
    return Task(
        out.size / MEGA, lambda: unpack(packed, 8, out=numbers),
        {**peers.decoders("guppi", 8, packed, numbers, 2**20),
         COPY: partial(np.copyto, out, np.ones_like(out))},
    )


def noise(scale: Scale) -> Task:
    out, rng = np.empty(scale.pick(2**24, 2**18), np.float32), np.random.default_rng(1)
    return Task(
        out.size / MEGA, lambda: gaussian(0, out.size, seed=1, stream=0, out=out),
        {"NumPy Generator": lambda: rng.standard_normal(out=out, dtype=np.float32)},
    )


def flagging(scale: Scale) -> Task:
    """One product with FAST's 4096 channels: noise, carriers and bursts."""
    x = 100 + data.gaussian(scale.pick(2**10, 2**5) * N_CHAN).reshape(-1, N_CHAN)
    x[:, ::500] *= 1.2
    x[::50, 1000:1060] *= 1.1
    states, width = np.zeros(len(x), np.int8), 163  # 20 MHz
    settings = Settings(5.0, 6.0, 64, 51, width, np.zeros(N_CHAN, np.bool_))
    longest = min(64, len(x))
    return Task(
        x.size / MEGA, lambda: judge(x, states, power=True, settings=settings),
        {FLAGGING: lambda: idioms.flag(x, 5.0, 6.0, width, longest)},
    )


def _frames(n: int) -> np.ndarray:
    return data.gaussian(4 * n * N_CHAN).view(np.complex64).reshape(n, 2, N_CHAN)


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


def voltage_file(folder: Path, n_sample: int, n_pol: int = 2) -> Path:
    """Write a native file of random bytes, once per run; it stays in the page cache."""
    path = folder / f"voltages-{n_sample}.h5"
    header = Header(
        parse_time("2026-01-01T00:00:00"), Fraction(10**9),
        ChannelAxis.band(Fraction(1250 * 10**6), Fraction(5 * 10**8)),
        polarization=PolBasis("linear", ("X", "Y")[:n_pol]),
    )
    if not path.exists():
        with NativeWriter(path, header, n_sample) as writer:
            for start in range(0, n_sample, 2**22):
                n = min(2**22, n_sample - start)
                writer.append(data.random_bytes(n * n_pol).view(np.int8).reshape(n_pol, n).T)
    return path


def spectra(scale: Scale, products: str, workers: int) -> Task:
    n = scale.pick(2**27, 2**21)
    path, product = voltage_file(scale.folder, n), scale.folder / "spectra.h5"
    source = open_chain(path)
    chain = source.channelize(N_CHAN, n_tap=N_TAP).detect(products).integrate("1ms")
    n_frame, descriptor = 2 * n // N_FFT, os.open(path, os.O_RDONLY)
    floats = data.gaussian(min(n_frame, 2**12) * N_FFT).reshape(-1, N_FFT)
    buffer = np.empty(2**22, np.uint8)

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
    """Start a new interpreter with the path of this one."""
    if needs_file:
        arguments = (*arguments, str(voltage_file(scale.folder, 2**20)))
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)

    def start(code: str, *arguments: str) -> Callable[[], object]:
        return partial(subprocess.run, [sys.executable, "-c", code, *arguments], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})

    return Task(1, start(code, *arguments), {"python -c pass": Yardstick(start("pass"), 1)})


#: Marks of decoding; one of them suffices, as nothing is faster than memory.
_DECODED = ((Mark(2.0, peers.DECODERS), Mark(0.7, (COPY,))),)

CASES = [
    Case("unpack-4bit", "MS", partial(unpacking, n_bits=4), "64 MB and more: 4 bits to float32"),
    Case("unpack-2bit", "MS", partial(unpacking, n_bits=2), "the same, 2 bits",
         ((Mark(1.2, (LOOK_UP,)),),)),
    Case("vdif-2bit", "MS", vdif, "2-bit VDIF frames to 256 MB of float32", _DECODED),
    Case("guppi-8bit", "MS", guppi, "8-bit pairs of GUPPI to 256 MB of complex64", _DECODED),
    Case("noise", "MS", noise, "64 MB of Gaussian noise, in which each sample is addressable"),
    Case("flag", "MS", flagging, "16 MB of spectra, clipping and SumThreshold; 20 MHz medians",
         ((Mark(2.0, (FLAGGING,)),),)),
    Case("detect", "Mvalues", detecting, "I, Q, U, V of every frame, kept"),
    Case("detect-sum", "Mvalues", summing, "I, Q, U, V added up"),
    *(Case(f"spectra-{products.lower()}-{workers}", "MS",
           partial(spectra, products=products, workers=workers),
           f"256 MB file to {products} in 1 ms spectra, {workers} workers")
      for products in ("I", "IQUV") for workers in (1, 2)),
    Case("import", "starts", partial(process, code="import fastsig"), "import fastsig"),
    Case("help", "starts", lambda scale: process(scale, _CLI, "--help"), "fastsig --help"),
    Case("info", "starts", lambda scale: process(scale, _CLI, "info", needs_file=True),
         "fastsig info FILE"),
]
