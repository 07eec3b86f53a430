"""Searches that are killed or run out of room leave nothing; large files need no more memory."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from carriers import spectra
from cli import CODE, environment, fastsig

from fastsig.run.hit_files import read_hits

N_CHAN = 2**14
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
#: Python that kills the process at a moment: in a search, before a table is written, and before it
#: gets its name.
MOMENTS = {
    "search": f"from fastsig.search.drift.tile import Tile\nTile.search = lambda *_: {KILL}\n",
    "write": f"os.fsync = lambda *_: {KILL}\n",
    "rename": f"os.replace = os.rename = os.link = lambda *_, **k: {KILL}\n",
}


def sigproc(path, n_chan, values=None):
    """Write 16 spectra as a SIGPROC file; without values, a sparse one of zeros."""

    def text(name):
        return struct.pack("<i", len(name)) + name.encode()

    keys = [("telescope_id", "i", 6), ("machine_id", "i", 20), ("data_type", "i", 1),
            ("tstart", "d", 57650.78), ("tsamp", "d", 18.253611), ("fch1", "d", 8421.0),
            ("foff", "d", 2.7939677e-6), ("nifs", "i", 1), ("nbits", "i", 32),
            ("nchans", "i", n_chan)]
    head = text("HEADER_START") + b"".join(text(name) + struct.pack(f"<{kind}", value)
                                           for name, kind, value in keys) + text("HEADER_END")
    with open(path, "wb") as file:
        file.write(head)
        if values is None:
            file.truncate(len(head) + 4 * 16 * n_chan)
        else:
            file.write(values.tobytes())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    carriers = [(3000.0 + 4000 * k, 9.0 * k, 1, 50.0) for k in range(3)]
    return sigproc(tmp_path_factory.mktemp("safety") / "a.fil", N_CHAN,
                   spectra(16, N_CHAN, carriers))


@pytest.fixture(scope="module")
def voltages(tmp_path_factory):
    path = tmp_path_factory.mktemp("safety") / "tone.h5"
    fastsig("simulate", "fast-voltage", "-o", path, "--duration", "0.2s", "--fstart", "1400MHz",
            "--bandwidth", "1MHz")
    return path


def small_disk(folder, size):
    """Mount a small file system, or skip the test."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system; other tests replace the calls")
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_search_leaves_no_table_and_the_next_one_is_whole(moment, file, tmp_path):
    out = tmp_path / "a.ecsv"
    words = ("search", "drift", file, "-o", out, "-q")
    fastsig(*words, code=-9, before="import os, signal\n" + MOMENTS[moment])
    assert not out.exists()
    assert all(each.startswith(".") for each in os.listdir(tmp_path))
    fastsig(*words)
    assert os.listdir(tmp_path) == ["a.ecsv"]
    assert len(read_hits(out)) == 3


def test_a_full_file_system(file, voltages, tmp_path):
    """Neither a table nor the copy of the rows of voltages fits: one line, and nothing is left."""
    small = small_disk(tmp_path / "small", "64k")
    try:
        message = fastsig("search", "drift", voltages, "-o", small / "a.ecsv", "--n-chan", 1024,
                          "--integrate", "10ms", "--drift", "-500:500", code=4).stderr
        assert "no space left" in message.lower() and not os.listdir(small)
        with open(small / "filling", "wb", buffering=0) as filling, pytest.raises(
                OSError, match="space"):
            while True:
                filling.write(bytes(4096))
        message = fastsig("search", "drift", file, "-o", small / "a.ecsv", code=4).stderr
        assert "a.ecsv" in message and "no space left" in message.lower()
        assert os.listdir(small) == ["filling"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_memory_does_not_grow_with_the_file(tmp_path):
    """A sparse file of 1 GiB, one coarse channel, is searched with less than 400 MB."""
    path = sigproc(tmp_path / "large.fil", 2**24)
    # Not the largest memory that the system reports, which contains that of the tests' process.
    peak = ("import atexit, sys\n"
            "atexit.register(lambda: print(open('/proc/self/status').read(), file=sys.stderr))\n")
    words = ["search", "drift", str(path), "-o", str(tmp_path / "a.ecsv"), "-j", "2"]
    done = subprocess.run([sys.executable, "-c", peak + CODE, *words], env=environment(),
                          capture_output=True, text=True, check=True)
    line = next(each for each in done.stderr.splitlines() if each.startswith("VmHWM:"))
    assert int(line.split()[1]) < 400_000  # kB
    assert len(read_hits(tmp_path / "a.ecsv")) == 0
    assert np.isfinite(read_hits(tmp_path / "a.ecsv").meta["false_alarms"])
