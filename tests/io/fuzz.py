"""Flip bytes of a file and see what comes of it, in a child that may hang or crash alone.

``python tests/io/fuzz.py FILE...`` tries every truncation and 9,000 flips of native and FBH5 files
and prints what came of them; the tests run a seeded part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np


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


if __name__ == "__main__":
    child() if sys.argv[1] == "--child" else run_all(sys.argv[1:])
