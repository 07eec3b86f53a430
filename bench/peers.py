"""Other libraries at their best: measured plans, preallocated outputs, one thread.

The libraries for transforms are required, see `require`; those for filter banks are reported as
missing if they are. Each library is imported only when it is used.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from bench.timing import Call, Scale, Yardstick

#: Names of the libraries for transforms.
SCIPY, FFTW, MKL, DUCC = "scipy", "pyfftw", "mkl_fft", "ducc0"
TRANSFORMS = (SCIPY, FFTW, MKL, DUCC)

#: baseband's decoder of payloads; its results are copied to memory, or discarded.
DECODERS = ("baseband's decoder", "baseband's decoder in cache")

NOT_INSTALLED = "not installed"

_PIECE = 2**18  # complex points: 2 MB
_MEGA = 1e6


class PeerMissingError(RuntimeError):
    """A library that is needed for a comparison cannot be imported."""


def require(names: Sequence[str] = TRANSFORMS) -> None:
    """Raise an error if a library is missing: a table without it would flatter fastsig."""
    missing = [name for name in names if not is_there(name)]
    if missing:
        raise PeerMissingError(
            f"missing: {', '.join(missing)}; install them: pip install 'fastsig[dev]' "
            f"(this is {platform.machine()}; mkl_fft has wheels for x86_64 only)"
        )


def is_there(name: str) -> bool:
    """Return whether a package can be imported."""
    return find_spec(name) is not None


def transforms(
    kind: str, n: int, scale: Scale, names: Sequence[str] = TRANSFORMS, *, kept: bool = True
) -> dict[str, Yardstick]:
    """Return yardsticks of transforms alone: random numbers in memory, 64 MB at a time, in MS/s.

    Parameters
    ----------
    kind : {"real", "complex"}
    n : int
        Number of samples in a transform.
    scale : Scale
    names : sequence of str
        Names of the libraries.
    kept : bool
        Whether results are written to 64 MB of memory. Otherwise they all go to the same few rows
        in the cache, and the names end in " in cache".
    """
    signal = np.float32 if kind == "real" else np.complex64
    points = n // 2 + 1 if kind == "real" else n
    rows = max(1, scale.pick(2**26, 2**20) // (n * np.dtype(signal).itemsize))
    piece = max(1, min(rows, 2 * _PIECE // n))
    x, out = aligned((rows, n), signal), aligned((rows if kept else piece, points), np.complex64)
    step = rows if kept else piece
    # FFTW needs 20 s to measure a plan of 2^21 points: not useful if the figures do not count.
    effort = {"flag": "FFTW_ESTIMATE" if scale.quick else "FFTW_MEASURE"}
    calls = {name: _PEERS[name](kind, x, out, step, **(effort if name == FFTW else {}))
             for name in names}
    # Planning overwrites the input.
    numbers = np.random.default_rng(2).standard_normal(2**18, dtype=np.float32)
    x.view(np.float32).reshape(-1)[:] = np.resize(numbers, x.view(np.float32).size)
    tail = "" if kept else " in cache"
    return {name + tail: Yardstick(call, x.size / _MEGA) for name, call in calls.items()}


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array that begins at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out: np.ndarray = raw[start : start + size].view(dtype).reshape(shape)
    return out


def _in_pieces(call: Any, x: np.ndarray, out: np.ndarray, step: int) -> Call:
    """Return a call of ``call(rows, out)`` for all of `x`, `step` rows at a time.

    `out` may have the size of one piece.
    """
    keeps = len(out) == len(x)

    def run() -> None:
        for first in range(0, len(x), step):
            part = x[first : first + step]
            call(part, out[first if keeps else 0 :][: len(part)])

    return run


def _scipy(kind: str, x: np.ndarray, out: np.ndarray, step: int) -> Call:
    # It does not accept an output: with pieces the allocator reuses the same memory, which is up to
    # a fifth faster than one call for all of x.
    module = import_module("scipy.fft")
    transform = module.rfft if kind == "real" else module.fft
    piece = max(1, 2 * _PIECE // x.shape[1])
    return _in_pieces(lambda x, out: transform(x, axis=-1, workers=1), x, out[:0], piece)


def _mkl(kind: str, x: np.ndarray, out: np.ndarray, step: int) -> Call:
    module = import_module("mkl_fft")
    transform = module.rfft if kind == "real" else module.fft
    return _in_pieces(lambda x, out: transform(x, axis=-1, out=out), x, out, step)


def _fftw(kind: str, x: np.ndarray, out: np.ndarray, step: int, flag: str) -> Call:
    plan = import_module("pyfftw").FFTW(
        x[:step], out[:step], axes=(1,), flags=(flag,), threads=1)
    if step == len(x):
        return partial(plan.execute)
    return _in_pieces(plan, x, out, step)


def _ducc(kind: str, x: np.ndarray, out: np.ndarray, step: int) -> Call:
    module = import_module("ducc0").fft
    transform = module.r2c if kind == "real" else module.c2c
    return _in_pieces(lambda x, out: transform(x, axes=(1,), out=out, nthreads=1), x, out, step)


_PEERS = {SCIPY: _scipy, FFTW: _fftw, MKL: _mkl, DUCC: _ducc}


def setigen_bank(x: np.ndarray, n_tap: int, n_fft: int) -> Yardstick:
    """setigen's bank for real samples, with two of its windows at a time, which is fastest."""
    module = import_module("setigen.voltage.polyphase_filterbank")
    window = module.get_pfb_window(n_tap, n_fft)
    piece = 2 * n_tap * n_fft

    def call() -> None:
        # The class does the same, but first channelises gigabytes of its own noise.
        for first in range(0, x.size - piece + 1, piece):
            rows = module.pfb_frontend(x[first : first + piece], window, n_tap, n_fft)
            np.fft.fft(rows, n_fft, axis=1)[:, : n_fft // 2] / n_fft**0.5

    # From two windows it makes the frames of one.
    return Yardstick(call, x.size // piece * n_tap * n_fft / _MEGA)


def baseband_bank(name: str, x: np.ndarray, n_tap: int, n_fft: int, frames: int) -> Yardstick:
    """A bank of baseband-tasks for float32 or complex64 samples, with FFTW's measured plans.

    Parameters
    ----------
    name : {"PolyphaseFilterBankSamples", "PolyphaseFilterBank"}
        Class that works in the time or in the Fourier domain.
    x : ndarray, shape (n,)
    n_tap, n_fft : int
    frames : int
        Number of spectra at a time.
    """
    units, times = import_module("astropy.units"), import_module("astropy.time")
    generators, pfb = (import_module(f"baseband_tasks.{part}") for part in ("generators", "pfb"))
    import_module("baseband_tasks.fourier").fft_maker.set(
        "pyfftw", flags=["FFTW_MEASURE"], threads=1)
    stream = generators.StreamGenerator(
        lambda self: x[self.tell() : self.tell() + self.samples_per_frame], x.shape,
        times.Time("2026-01-01"), 1 * units.MHz, samples_per_frame=x.size, dtype=x.dtype,
    )
    response = pfb.sinc_hamming(n_tap, n_fft).astype(np.float32)
    bank = getattr(pfb, name)(stream, response, samples_per_frame=frames)
    out = np.empty(bank.shape, bank.dtype)

    def call() -> None:
        bank.seek(0)
        bank.read(out=out)

    return Yardstick(call, len(out) * n_fft / _MEGA)


def decoders(kind: str, n_bits: int, packed: np.ndarray, out: np.ndarray, piece: int
             ) -> dict[str, Call]:
    """Return the calls of `DECODERS`, which decode payloads to float32.

    Parameters
    ----------
    kind : {"vdif", "guppi"}
    n_bits : int
    packed : ndarray, shape (n_byte,), uint8
        The bytes of all payloads, one after another.
    out : ndarray, shape (n_byte 8 / n_bits,), float32
        Receives the results that are kept.
    piece : int
        Bytes at a time: the decoder accepts no output, and memory that it allocates should stay in
        the cache.
    """
    require(("baseband",))
    decode = getattr(import_module(f"baseband.{kind}.payload"), f"decode_{n_bits}bit")
    parts = [packed[first : first + piece] for first in range(0, packed.size, piece)]
    targets = [out[first * 8 // n_bits :][: part.size * 8 // n_bits]
               for first, part in zip(range(0, packed.size, piece), parts, strict=True)]

    def kept() -> None:
        for part, target in zip(parts, targets, strict=True):
            target[:] = decode(part).reshape(-1)

    def in_cache() -> None:
        for part in parts:
            decode(part)

    return dict(zip(DECODERS, (kept, in_cache), strict=True))


def digifil() -> str | None:
    """Return the path of DSPSR's digifil, or None if PATH has none."""
    return shutil.which("digifil")


def liquid() -> ctypes.CDLL | None:
    """Return liquid-dsp's library, or None if the system has none."""
    for name in ("libliquid.so.1", "libliquid.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def liquid_bank(library: ctypes.CDLL, x: np.ndarray, taps: np.ndarray) -> Yardstick:
    """liquid-dsp's analyser for complex samples, called frame by frame from compiled code.

    Parameters
    ----------
    library : CDLL
    x : ndarray, shape (n,), complex64
    taps : ndarray, shape (n_tap, n_fft), float32
        Prototype filter.
    """
    from numba import njit

    n_tap, n_fft = taps.shape
    create, analyse = library.firpfbch_crcf_create, library.firpfbch_crcf_analyzer_execute
    create.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p]
    create.restype = ctypes.c_void_p
    analyse.argtypes, analyse.restype = [ctypes.c_size_t] * 3, ctypes.c_int
    bank = create(0, n_fft, n_tap, np.ascontiguousarray(taps, np.float32).ctypes.data)
    frames = x.size // n_fft
    out = np.empty(frames * n_fft, np.complex64)

    @njit
    def loop(analyse: Any, bank: int, source: int, target: int, step: int, n: int) -> None:
        for i in range(n):
            analyse(bank, source + i * step, target + i * step)

    def call() -> None:
        loop(analyse, bank, x.ctypes.data, out.ctypes.data, 8 * n_fft, frames)

    return Yardstick(call, out.size / _MEGA)


def sigpyproc_blocks(path: Any, rows: int) -> Call:
    """Return a call that reads a filterbank with sigpyproc, `rows` spectra at a time."""
    file = import_module("sigpyproc.readers").FilReader(str(path))
    n = file.header.nsamples

    def call() -> None:
        for start in range(0, n, rows):
            file.read_block(start, min(rows, n - start))

    return call
