"""Cases: whole commands from file to file, in new processes, compared with digifil of DSPSR.

Both read the same DADA file from the page cache and write a SIGPROC file of float32. The times
include starting the program, which takes fastsig up to a second, and digifil much less: digifil
therefore reads only the beginning of the file. It transforms without a polyphase filter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench import data, peers
from bench.data import MEGA, N_CHAN, N_FFT, N_TAP
from bench.timing import Call, Case, Mark, Scale, Task, Yardstick

DIGIFIL, ONE_THREAD, FROM_FILE = "digifil", "one thread", "from the file"

_N_INT, _RATE = 122, 10**9  # 1 ms, Hz
_BLOCK_MB = 256  # fastest of 10 to 256; digifil refuses its default, which holds less than a sum
_ROUNDS, _PIPE_ROUNDS = 3, 9  # each takes seconds; of three on a pipe, the best varies by 5 %
_HEADER = 4096
_CARDS = """HEADER DADA
HDR_VERSION 1.0
HDR_SIZE 4096
TELESCOPE FAST
INSTRUMENT unknown
SOURCE unknown
FREQ 1250
BW 500
NCHAN 1
NPOL 2
NDIM 1
NBIT 8
TSAMP 0.001
UTC_START 2026-01-01-00:00:00
OBS_OFFSET 0
"""


def dada_file(folder: Path, n_sample: int) -> Path:
    """Write a DADA file of random bytes, two polarisations, once per run."""
    path, piece = folder / f"voltages-{n_sample}.dada", data.random_bytes(2**22)
    if not path.exists():
        with path.open("wb") as file:
            file.write(dada_head())
            for start in range(0, 2 * n_sample, piece.size):
                file.write(piece[: 2 * n_sample - start])
    return path


def dada_head() -> bytes:
    """Return the header of a DADA file of a beam: two polarisations of 1 GS/s, 8 bits."""
    return _CARDS.encode().ljust(_HEADER, b"\0")


def against_digifil(scale: Scale) -> Task:
    """One thread compared with digifil."""
    n = scale.pick(2**31, 2**21)
    path, program = dada_file(scale.folder, n), peers.digifil()
    if program is None:
        yardsticks, missing = {}, {DIGIFIL: peers.NOT_INSTALLED}
    else:
        yardsticks, missing = {DIGIFIL: digifil(program, path, min(n, 2**29))}, {}
    return Task(2 * n / MEGA, fastsig(path, 1), yardsticks, missing=missing, rounds=_ROUNDS)


def in_threads(scale: Scale) -> Task:
    """Two threads compared with one."""
    n = scale.pick(2**31, 2**21)
    path = dada_file(scale.folder, n)
    return Task(2 * n / MEGA, fastsig(path, 2), {ONE_THREAD: fastsig(path, 1)}, rounds=_ROUNDS)


def through_pipe(scale: Scale) -> Task:
    """One thread that reads a pipe, while `cat` has another processor, compared with the file."""
    n = scale.pick(2**31, 2**21)
    path = dada_file(scale.folder, n)
    return Task(2 * n / MEGA, fastsig(path, 1, piped=True),
                {FROM_FILE: fastsig(path, 1, processors=2)}, rounds=_PIPE_ROUNDS)


def fastsig(path: Path, threads: int, *, processors: int | None = None, piped: bool = False
            ) -> Call:
    """Return a call of ``fastsig spectra``; as many processors as threads, and one for a pipe."""
    arguments = [
        sys.executable, "-m", "fastsig", "spectra", "-" if piped else str(path), "-o",
        str(path.with_suffix(".fil")), "--overwrite", "--lossy", "--n-chan", str(N_CHAN), "--n-tap",
        str(N_TAP), "--products", "AABBCRCI", "--n-int", str(_N_INT), "-j", str(threads), "-q",
    ]
    folders = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return partial(_run, arguments, processors or threads + piped,
                   {**os.environ, "PYTHONPATH": folders}, path if piped else None)


def digifil(program: str, path: Path, n_sample: int) -> Yardstick:
    """Return a call of digifil, with spectra as summed: neither rescaled nor rounded."""
    product = path.with_suffix(".digifil.fil")
    arguments = [
        program, "-q", "-T", str(n_sample / _RATE), "-F", str(N_CHAN), "-d", "4", "-t",
        str(_N_INT), "-b", "-32", "-I", "0", "-B", str(_BLOCK_MB), "-o", str(product), str(path),
    ]

    def call() -> None:
        product.unlink(missing_ok=True)  # digifil does not overwrite
        _run(arguments, 1, dict(os.environ))
        # Its exit code does not say whether it was successful.
        expected = n_sample // (N_FFT * _N_INT) * 16 * N_CHAN
        if not product.exists() or product.stat().st_size < 0.9 * expected:
            raise RuntimeError(f"digifil did not write {expected} bytes")

    return Yardstick(call, 2 * n_sample / MEGA)


def _run(arguments: list[str], processors: int, environment: dict[str, str],
         piped: Path | None = None) -> None:
    """Run a command on this many processors, so that no thread of it is additional."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:processors])
    feeder = None if piped is None else subprocess.Popen(["cat", str(piped)],
                                                         stdout=subprocess.PIPE)
    try:
        subprocess.run(arguments, check=True, env=environment, capture_output=True,
                       stdin=feeder and feeder.stdout)
    finally:
        os.sched_setaffinity(0, allowed)
        if feeder is not None and feeder.stdout is not None:
            feeder.stdout.close()  # it then ends, whether or not all was read
            feeder.wait()


CASES = [
    Case("command-1", "MS", against_digifil,
         "4 GB DADA file to AA, BB, CR, CI in 1 ms spectra, whole process, one thread",
         ((Mark(4.0, (DIGIFIL,)),),)),
    Case("command-2", "MS", in_threads, "the same in two threads",
         ((Mark(1.7, (ONE_THREAD,)),),)),
    Case("command-pipe", "MS", through_pipe,
         "one thread that reads a pipe from cat, compared with the file; two processors",
         ((Mark(0.9, (FROM_FILE,)),),)),
]
