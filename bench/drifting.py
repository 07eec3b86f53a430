"""Cases: the search for drifting carriers, compared with turboSETI."""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from bench import peers
from bench.data import MEGA
from bench.drift_tones import Carrier, with_carriers
from bench.timing import Call, Case, Mark, Scale, Task, Yardstick
from fastsig.chain import open_chain

__all__ = ["CASES", "TURBOSETI", "turboseti", "written"]

TURBOSETI, ONE_THREAD = "turboSETI", "one thread"
_N = 16
#: A coarse channel of Green Bank's spectra for SETI; SIGPROC's keys and their types.
_KEYS = (("telescope_id", "i4", 6), ("machine_id", "i4", 20), ("data_type", "i4", 1),
         ("src_raj", "f8", 123456.0), ("src_dej", "f8", 123456.0), ("tstart", "f8", 57650.78),
         ("tsamp", "f8", 18.253611), ("fch1", "f8", 8424.0), ("foff", "f8", -2.7939677e-6),
         ("nifs", "i4", 1), ("nbits", "i4", 32))


def drift(scale: Scale) -> Task:
    """A coarse channel of 1,048,576 channels and 16 spectra in a file, -4 to 4 Hz/s."""
    path, work = _coarse_channel(scale)
    yardsticks, missing = {}, {}
    if peers.is_there("turbo_seti"):
        yardsticks = {TURBOSETI: Yardstick(turboseti(path), work)}
    else:
        missing = {TURBOSETI: peers.NOT_INSTALLED}
    return Task(work, partial(_search, path, 1), yardsticks, missing=missing)


def in_threads(scale: Scale) -> Task:
    """The same search on two threads, compared with one."""
    path, work = _coarse_channel(scale)
    return Task(work, partial(_search, path, 2), {ONE_THREAD: partial(_search, path, 1)})


def _coarse_channel(scale: Scale) -> tuple[Path, float]:
    """Return the file that is searched, and its millions of samples."""
    n_chan = scale.pick(2**20, 2**15)
    return _file(scale.folder / f"drift-{n_chan}.fil", n_chan), _N * n_chan / MEGA


def _search(path: Path, workers: int) -> object:
    with open_chain(path) as chain:
        return chain.drifting("-4:4", workers=workers, coarse=1)


def _file(path: Path, n_chan: int) -> Path:
    """Write spectra with twenty carriers."""
    places = np.linspace(0.1, 0.9, 20) * n_chan
    carriers = [Carrier(float(at), 20.0 * k - 190, 1.0, 40.0) for k, at in enumerate(places)]
    written(path, n_chan, carriers, seed=1)
    return path


def written(path: Path, n_chan: int, carriers: list[Carrier], seed: int) -> None:
    """Write a SIGPROC file of descending frequencies with carriers, counted from the lowest."""
    x, _ = with_carriers(n_chan, carriers, np.random.default_rng(seed))

    def packed(name: str) -> bytes:
        return np.int32(len(name)).tobytes() + name.encode()

    head = b"".join(packed(name) + np.array(value, f"<{kind}").tobytes()
                    for name, kind, value in (*_KEYS, ("nchans", "i4", n_chan)))
    path.write_bytes(packed("HEADER_START") + packed("source_name") + packed("BENCH") + head
                     + packed("HEADER_END") + x[:, ::-1].tobytes())


def turboseti(path: Path) -> Call:
    """Return the search of turboSETI on one thread, which writes a copy of the file first."""
    module = import_module("turbo_seti.find_doppler.find_doppler")

    def search() -> None:
        module.FindDoppler(str(path), max_drift=4, snr=10, out_dir=str(path.parent),
                           n_coarse_chan=1, gpu_backend=False,
                           log_level_int=logging.WARNING).search(n_partitions=1)

    return search


CASES = [Case("drift", "MS", drift, "16 spectra of 1,048,576 channels, -4 to 4 Hz/s, one thread",
              ((Mark(30.0, (TURBOSETI,)),),)),
         Case("drift-2", "MS", in_threads, "the same on two threads",
              ((Mark(1.8, (ONE_THREAD,)),),))]
