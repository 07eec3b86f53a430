"""Cases: recorded spectra from the page cache to float32, compared with other libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import data, idioms, peers
from bench.data import MEGA, N_CHAN
from bench.timing import Call, Case, Mark, Scale, Task
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.chain import open_chain
from fastsig.stream.header import Header

#: Names of yardsticks.
ASTROPY, IN_PLACE = "astropy + NumPy", "astropy + NumPy, in place"
PLAIN, SIGPYPROC = "np.fromfile + astype", "sigpyproc"
CACHED = "np.copyto to float32, cached"

_AT_ONCE = 2**20  # values


def header(products: str) -> Header:
    """Return a header for spectra of 4096 channels, as FAST's pulsar backend makes them."""
    channels = ChannelAxis(Fraction(10**9), Fraction(10**9, 2 * N_CHAN), N_CHAN)
    return Header(parse_time("2026-01-01T00:00:00"), Fraction(20000), channels, n_bits=8,
                  polarization=PolBasis("linear", PRODUCTS[products]), telescope="FAST")


def recording(path: Path, writer: Callable[..., Any], products: str, n: int, **options: Any
              ) -> Path:
    """Write a file of random 8-bit codes, once per run; it stays in the page cache."""
    if path.exists():
        return path
    head = header(products)
    shape = n, head.polarization.n_pol, N_CHAN
    rows = max(1, _AT_ONCE // (shape[1] * N_CHAN))
    weight = np.ones((rows, shape[1], 1), np.float32)
    with writer(path, head, shape, n_bits=8, **options) as file:
        for start in range(0, n, rows):
            count = min(rows, n - start)
            codes = data.random_bytes(count * shape[1] * N_CHAN).reshape(count, *shape[1:])
            file.append(codes.astype(np.float32), weight[:count])
    return path


def reading(path: Path, rows: int) -> tuple[Call, Call, np.ndarray]:
    """Return fastsig's call, the call that closes its file, and the memory for every piece."""
    chain = open_chain(path)
    stream = chain.stream
    out = np.empty((rows, *stream.shape[1:]), np.float32)

    def read() -> None:
        for start in range(0, stream.shape[0], rows):
            stream.read_block(start, min(rows, stream.shape[0] - start), out=out)

    return read, chain.close, out


def _copied(n: int, out: np.ndarray) -> Call:
    """Return a call that copies `n` codes as floats into memory that stays in the cache."""
    codes = data.random_bytes(n).reshape(-1, N_CHAN)
    target = out.reshape(-1, N_CHAN)

    def copy() -> None:
        for first in range(0, len(codes), len(target)):
            part = codes[first : first + len(target)]
            np.copyto(target[: len(part)], part)

    return copy


def psrfits(scale: Scale) -> Task:
    """Rows of 128 spectra of two products with scales, offsets and weights."""
    from fastsig.io.psrfits.writer import PsrfitsWriter

    n_block, n = 128, scale.pick(2**13, 2**8)
    path = recording(scale.folder / "s.fits", PsrfitsWriter, "AABB", n, n_block=n_block)
    read, close, out = reading(path, n_block)

    def quiet(idiom: Callable[[Path, np.ndarray], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about non-standard cards
            idiom(path, out)

    return Task(n * 2 * N_CHAN / MEGA, read,
                {ASTROPY: partial(quiet, idioms.psrfits),
                 IN_PLACE: partial(quiet, idioms.psrfits_in_place),
                 CACHED: _copied(n * 2 * N_CHAN, out)}, close)


def filterbank(scale: Scale, descending: bool, whole: bool) -> Task:
    """One product with channels in either order: all values at once, or 2^20 at a time."""
    from fastsig.io.sigproc.writer import SigprocWriter

    n = scale.pick(2**14, 2**9)
    rows = n if whole else _AT_ONCE // N_CHAN
    path = recording(scale.folder / f"s{descending:d}.fil", SigprocWriter, "I", n,
                     descending=descending)
    read, close, out = reading(path, rows)
    offset = path.stat().st_size - n * N_CHAN
    yardsticks: dict[str, Call] = {
        PLAIN: partial(idioms.filterbank, path, offset, N_CHAN, rows)}
    if not whole:
        yardsticks[CACHED] = _copied(n * N_CHAN, out)
    missing = {}
    if peers.is_there("sigpyproc"):
        yardsticks[SIGPYPROC] = peers.sigpyproc_blocks(path, rows)
    else:
        missing[SIGPYPROC] = peers.NOT_INSTALLED + " (it needs Python 3.12)"
    return Task(n * N_CHAN / MEGA, read, yardsticks, close, missing)


CASES = [
    Case("read-psrfits", "MS", psrfits,
         "8-bit PSRFITS with scales, offsets and weights, to float32",
         ((Mark(3.0, (ASTROPY,)),),)),
    Case("read-fil", "MS", partial(filterbank, descending=True, whole=True),
         "64 MB of 8-bit .fil, channels descending in frequency, to float32 at once",
         ((Mark(2.0, (PLAIN,)),),)),
    *(Case(f"read-fil-{name}", "MS", partial(filterbank, descending=name == "fall", whole=False),
           f"8-bit .fil, channels {order} in frequency, to float32, 2^20 values at a time")
      for name, order in (("fall", "descending"), ("rise", "ascending"))),
]
