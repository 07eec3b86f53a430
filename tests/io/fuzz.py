"""Damage files and see what comes of it, in children that may hang or crash alone.

``python tests/io/fuzz.py --mutations 20000 [FORMAT...]`` makes small recordings of each format,
changes their headers in so many ways and reads them. It prints a table and how to do again what
went wrong, and ends with 1 where something did. The tests run a seeded part of it.

``python tests/io/fuzz.py FILE...`` tries every truncation and 9,000 flips of native and FBH5 files
and prints what came of them.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import faulthandler
import gc
import hashlib
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from hostile import FORMATS, Case, cases, change, damaged, standard_input, verdict, with_structure
from hostile_spectra import load_kernels

from fastsig import registry

SECONDS = 5  # that reading a file may take
MEMORY = 2**30  # bytes that it may take
_START_S = 120  # until a child has loaded all it needs
_CHUNK = 1000  # files a child
_SOUND = ("error", "read")


def flips(
    path: Path, payload: list[tuple[int, int]], rng: np.random.Generator, n: int
) -> list[tuple[int, int]]:
    """`n` places outside the payload, each with the bits to flip."""
    size = path.stat().st_size
    outside = np.ones(size, bool)
    for start, stop in payload:
        outside[start:stop] = False
    places = rng.choice(np.flatnonzero(outside), n, replace=n > outside.sum())
    return [(int(place), int(rng.integers(1, 256))) for place in places]


def outcomes(path: Path, changes: list[tuple[int, int]], seconds: float = 20) -> Counter[str]:
    """How often a flip leaves all as it was, gives a clear error, or worse.

    "same": nothing that a user sees differs. "error": a FastsigError that names the file.
    "different", "traceback", "hang" and "crash" are faults.
    """
    found: Counter[str] = Counter()
    todo = list(changes)
    while todo:
        with tempfile.TemporaryDirectory() as folder:
            done = _child(path, todo, folder, seconds)
        found.update(done)
        todo = todo[len(done):]
        if todo and len(done) == 0:
            found["hang or crash"] += 1
            todo = todo[1:]
    return found


def _child(path: Path, changes: list[tuple[int, int]], folder: str, seconds: float) -> list[str]:
    """Outcomes of the flips that a child got through before it hung or died."""
    command = [sys.executable, __file__, "--child", str(path), folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        out, _ = process.communicate(json.dumps(changes), timeout=seconds + 0.05 * len(changes))
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        out = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else ""
    return out.split("\n")[:-1]


def payload_of(path: Path) -> list[tuple[int, int]]:
    """Where the samples of a native or FBH5 file lie, as byte ranges."""
    import h5py

    with h5py.File(path) as file:
        if "voltage" in file:
            parts = [file[f"voltage/{pol}"] for pol in file["voltage"]]
            return [(part.id.get_offset(), part.id.get_offset() + part.nbytes) for part in parts]
        data = file["data"].id
        chunks = [data.get_chunk_info(index) for index in range(data.get_num_chunks())]
    return [(chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in chunks]


def truncations(path: Path, sizes: Any) -> Counter[str]:
    """How often a truncated file gives a clear error, or worse."""
    import fastsig as fs

    whole, found = path.read_bytes(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / path.name
        cut.write_bytes(whole)
        for size in sorted({int(size) for size in sizes}, reverse=True):
            os.truncate(cut, size)
            try:
                fs.open(cut)
                found[f"opened at {size}"] += 1
            except fs.FormatError as error:
                found["error" if str(cut) in str(error) else f"unnamed: {error}"] += 1
    return found


def view(path: Path) -> str:
    """All that a user sees of a file, as a digest."""
    import fastsig as fs
    from fastsig.errors import FastsigWarning

    digest = hashlib.sha256()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        facts = fs.info(path)
        facts.pop("path")
        digest.update(json.dumps(facts, sort_keys=True).encode())
        with fs.open(path) as chain:
            block = chain.stream.read_block(0, chain.shape[0])
            chain.verify()
            truth: Any = getattr(chain.stream, "truth", getattr(chain.stream, "provenance", None))
    digest.update(json.dumps(truth, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(block.data).tobytes())
    valid = block.valid if isinstance(block.valid, tuple) else (block.valid,)
    for part in valid:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def run_all(paths: list[str]) -> None:
    """Every truncation and 9,000 flips of each file."""
    for name in paths:
        path = Path(name)
        size = path.stat().st_size
        print(f"{name}: truncated to each of {size} sizes: {dict(truncations(path, range(size)))}")
        chosen = flips(path, payload_of(path), np.random.default_rng(0), 9000)
        print(f"{name}: 9000 flips outside the samples: {dict(outcomes(path, chosen))}")


def child() -> None:
    """Child: flips come as JSON on standard input, outcomes leave line by line."""
    path, folder = Path(sys.argv[2]), Path(sys.argv[3])
    import fastsig_kernels.bitshuffle  # noqa: F401 - so chunks are unpacked here, not by HDF5

    from fastsig.errors import FastsigError

    whole, good = path.read_bytes(), view(path)
    copy = folder / path.name
    for place, bits in json.loads(sys.stdin.read()):
        changed = bytearray(whole)
        changed[place] ^= bits
        copy.write_bytes(changed)
        try:
            outcome = "same" if view(copy) == good else f"different at {place} ^ {bits}"
        except FastsigError as error:
            outcome = "error" if str(copy) in str(error) else f"unnamed: {error}"
        except Exception as error:
            outcome = f"traceback at {place} ^ {bits}: {type(error).__name__}"
        print(outcome.replace("\n", " "), flush=True)


@dataclass
class Found:
    """What came of the damaged recordings of a format: how often, what went wrong, how long."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)  # number, verdict, damage
    seconds: float = 0

    def add(self, index: int, found: str, told: str) -> None:
        """Count one."""
        kind = found.partition(":")[0]
        self.counts[kind] += 1
        if kind not in _SOUND:
            self.faults.append((index, found, told))

    @property
    def n_fault(self) -> int:
        """How often something else came of them than an error or a sound stream."""
        return self.counts.total() - sum(self.counts[kind] for kind in _SOUND)


def mutations(name: str, n: int, seed: int = 0, *, flip: bool = False, workers: int = 2) -> Found:
    """Read `n` damaged recordings of a format, each found again from its number and the seed.

    `flip` changes bytes of HDF5 files instead of what is in them.
    """
    found, begin = Found(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder, ThreadPoolExecutor(workers) as pool:
        made = cases(name, Path(folder))
        jobs = [(case, list(range(i, n, len(made)))) for i, case in enumerate(made)]
        size = min(_CHUNK, -(-n // workers))
        parts = [(case, indices[at : at + size]) for case, indices in jobs
                 for at in range(0, len(indices), size)]
        for each in pool.map(lambda part: _watched(part[0], seed, part[1], flip), parts):
            for item in each:
                found.add(*item)
    found.seconds = time.monotonic() - begin
    return found


def _scratch() -> str | None:
    """A folder in memory where there is one: on a disk, replacing a file takes longest."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _watched(case: Case, seed: int, indices: list[int], flip: bool) -> list[tuple[int, str, str]]:
    """Verdicts of children, of which another goes on where one hangs or dies."""
    out: list[tuple[int, str, str]] = []
    again: set[int] = set()
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        while todo := indices[len(out):]:
            home = os.path.join(folder, "x")
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(case.folder, home)
            alone = todo[:1] if todo[0] in again else todo
            done, end = _damage_child(case._replace(folder=home), seed, alone, flip)
            out += done
            if len(done) < len(alone) and not (done and done[-1][1].startswith("memory")):
                at = todo[len(done)]
                if end.startswith("hang") and at not in again:
                    again.add(at)  # once more, alone: other processes may have been in the way
                else:
                    out.append((at, end, ""))
    return out


def _damage_child(case: Case, seed: int, indices: list[int], flip: bool
                  ) -> tuple[list[tuple[int, str, str]], str]:
    """Verdicts of a child, and how it ended if it did so early."""
    readable, writable = os.pipe()
    with tempfile.TemporaryFile() as told, _template() as template, os.fdopen(readable) as answers:
        pid = template.fork([case, seed, indices, flip], writable, told.fileno())
        os.close(writable)
        text, limit, late = b"", float(_START_S), False
        while not late:
            late = not select.select([answers], [], [], limit)[0]
            more = b"" if late else os.read(readable, 2**16)
            if not more:
                break
            text, limit = text + more, SECONDS
        code = template.end(pid) if late else template.wait()
        told.seek(0)
        error = told.read().decode(errors="replace")
    lines = text.decode().split("\n")[:-1]
    if lines[:1] != ["ready"]:
        raise RuntimeError(f"{case.format}, {case.what}: the child did not start\n{error}")
    done = [tuple(json.loads(line)) for line in lines[1:]]
    return done, _ending(late, code, error)


class _Template:
    """A process that has loaded what every child needs, and forks one after the other."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--fork", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    def fork(self, request: list[Any], out: int, err: int) -> int:
        """Have a child do this and write to these files; returns its number."""
        socket.send_fds(self._link, [json.dumps(request).encode()], [out, err])
        return int(self._link.recv(64))

    def wait(self) -> int:
        """The exit code of the child."""
        return int(self._link.recv(64))

    def end(self, pid: int) -> int:
        """Have a child say where it is, even within a library, and end."""
        os.kill(pid, signal.SIGUSR1)
        if not select.select([self._link], [], [], SECONDS)[0]:
            os.kill(pid, signal.SIGKILL)
        return self.wait()

    def close(self) -> None:
        """Close the link, at which the process leaves."""
        self._link.close()
        self._process.wait()


_idle: list[_Template] = []


@contextlib.contextmanager
def _template() -> Iterator[_Template]:
    """One that nobody else uses; kept for the next."""
    try:
        template = _idle.pop()
    except IndexError:
        template = _Template()
        atexit.register(template.close)
    yield template
    _idle.append(template)


def _serve(link: socket.socket) -> None:
    """Template: fork for every request; report the child's number, and later its exit code."""
    for name in registry.formats():
        registry.formats()[name]
    gc.collect()
    gc.freeze()  # or each child's collector copies every page that it looks at
    while True:
        text, files, _, _ = socket.recv_fds(link, 2**20, 2)
        if not text:
            return
        pid = os.fork()
        if pid == 0:
            _become(json.loads(text), files)
        for file in files:
            os.close(file)
        link.send(str(pid).encode())
        link.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(request: list[Any], files: list[int]) -> NoReturn:
    """Be the child, but for taking the interpreter apart at the end."""
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    code = 1
    try:
        damage_child(*request)
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _ending(late: bool, code: int, error: str) -> str:
    """What a child that ended early did, and where."""
    frames = [line.strip() for line in error.splitlines() if line.startswith("  File ")]
    kind = ("hang" if late else "crash") if code else "ended"
    inside = bool(frames) and f"{os.sep}h5py{os.sep}" in frames[0]
    return f"{'HDF5 ' if inside else ''}{kind}: exit {code}, {'; '.join(frames[:3])}"


def damage_child(fields: list[Any], seed: int, indices: list[int], flip: bool) -> None:
    """Child: damage a recording as these numbers say; verdicts leave line by line."""
    case = Case(*fields)
    faulthandler.enable()
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1, chain=True)  # and end by it
    if case.kind == "overrides":
        standard_input(open(os.path.join(case.folder, case.paths[0]), "rb"))  # noqa: SIM115
    load_kernels(case.format)
    found = verdict(case)  # loads all else that is needed
    if found != "read":
        raise SystemExit(f"undamaged, it gives {found!r}")
    before = _memory("VmHWM")
    most = _memory("VmSize") + 2 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", flush=True)
    for index, each, told in damaged(case, seed, indices, flip=flip):
        grown = _memory("VmHWM") - before
        if grown > MEMORY:
            each = f"memory: {grown} bytes"
        print(json.dumps([index, each, told]), flush=True)
        if each.startswith("memory"):
            return  # what is left of it would count for the next


def _memory(key: str) -> int:
    """Bytes that the kernel tells of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def run_mutations(names: Sequence[str], n: int, seed: int) -> int:
    """Print a table of all formats, and what went wrong; returns the exit status."""
    flips_of = {name for name in names if name in (
        "native", "chime", "lofar_tbb", "lofar_bf", "digital_rf", "hifast")}
    columns = ("error", "read", "unnamed", "traceback", "wrong shape", "memory", "hang", "crash",
               "HDF5 hang", "HDF5 crash")
    print(f"seed {seed}, {os.cpu_count()} processors")
    print(f"{'format':22}{'files':>7}" + "".join(f"{key:>12}" for key in columns) + f"{'s':>7}")
    told, faults = [], 0
    for name, flip in [(name, flip) for name in names for flip in (False, True)]:
        if flip and name not in flips_of:
            continue
        found = mutations(name, n // 10 if flip else n, seed, flip=flip,
                          workers=os.cpu_count() or 1)
        title = f"{name}, bytes of HDF5" if flip else name
        print(f"{title:22}{found.counts.total():7}" + "".join(
            f"{found.counts[key]:12}" for key in columns) + f"{found.seconds:7.0f}", flush=True)
        told += _reports(name, seed, flip, found)
        faults += found.n_fault
    print(*told, f"{faults} faults", sep="\n")
    return int(faults > 0)


def _reports(name: str, seed: int, flip: bool, found: Found) -> list[str]:
    """A line for each fault, the first of those that look alike, and how to do it again."""
    alike: dict[str, list[tuple[int, str, str]]] = {}
    for fault in found.faults:
        key = "".join(c for c in fault[1].rpartition("(")[2] if not c.isdigit())[:80]
        alike.setdefault(fault[1].partition(":")[0] + key, []).append(fault)
    again = f"python tests/io/fuzz.py --seed {seed}{' --flip' * flip} --only"
    return [f"{name}: {len(each)} times: {each[0][1]}\n    {each[0][2]}\n    {again} {each[0][0]} "
            f"{name}" for each in alike.values()]


def run_one(name: str, index: int, seed: int, flip: bool) -> None:
    """Damage a recording as number `index` of a run was, and open it here; it is left there."""
    made = cases(name, Path(tempfile.mkdtemp()))
    case = made[index % len(made)]
    whole = {each: Path(case.folder, each).read_bytes() for each in case.heads}
    rng = np.random.default_rng([seed, index])
    if flip:
        case = with_structure(case)
    _, told, overrides = change(case, whole, rng, flip=flip)
    print(f"{case.folder}, opened with {overrides}: {told}", flush=True)
    if case.kind == "overrides":
        standard_input(open(os.path.join(case.folder, case.paths[0]), "rb"))  # noqa: SIM115
    print(verdict(case, overrides))


def main() -> int:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, help="damaged recordings of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one of them, by its number")
    parser.add_argument("--flip", action="store_true", help="with --only: of HDF5's bytes")
    parser.add_argument("names", nargs="*", metavar="FORMAT or FILE")
    given = parser.parse_args()
    if given.mutations is None and given.only is None:
        if not given.names:
            parser.error("give --mutations, or files")
        run_all(given.names)
        return 0
    sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
    importlib.import_module("conftest")  # says where compiled kernels are kept
    if given.only is not None:
        run_one(given.names[0], given.only, given.seed, given.flip)
        return 0
    return run_mutations(given.names or _readable(), given.mutations, given.seed)


def _readable() -> list[str]:
    """All formats that can be made and read here."""
    if importlib.util.find_spec("baseband"):
        return list(FORMATS)
    print("without the package baseband: no mark4, mark5b and gsb")
    return [name for name in FORMATS if name not in ("mark4", "mark5b", "gsb")]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    elif sys.argv[1:2] == ["--fork"]:
        with socket.socket(fileno=int(sys.argv[2])) as link:
            _serve(link)
    else:
        sys.exit(main())
