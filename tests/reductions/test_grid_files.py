"""Cubes appear whole or not at all: full disks, interrupts, kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import products_sdfits
import pytest
from astropy.io import fits
from cli import ROOT, begin, environment, fastsig
from maps import drift
from waiting import wait_for_files

import fastsig as fs

#: 700 x 480 pixels and 6 channels: 8 MB.
OPTIONS = ("--pixel", "1.2arcsec", "--beam-size", "2.8arcmin", "--kernel", "0.4arcmin", "--radius",
           "0.3arcmin")


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "spectra.h5"
    fs.Chain(drift()).write(path)
    return path


#: Writes beyond a size fail as on a full disk, but not the reservation before.
LIMIT_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
"""


@pytest.mark.parametrize("reserved", [True, False])
def test_a_full_disk(spectra: Path, tmp_path: Path, reserved: bool) -> None:
    out = tmp_path / "cube.fits"
    before = "" if reserved else "import os; os.posix_fallocate = lambda *a: None\n"
    done = fastsig("grid", spectra, "-o", out, *OPTIONS, code=4, before=LIMIT_FILES + before)
    lines = [line for line in done.stderr.splitlines() if "cube.fits" in line]
    assert len(lines) == 1 and ("bytes are needed" if reserved else "cannot be written") in lines[0]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_stopped(spectra: Path, tmp_path: Path, sent: int, code: int) -> None:
    """Nothing under the name; what a killed run leaves, the next one removes."""
    out = tmp_path / "cube.fits"
    for _ in range(5):
        process = begin("grid", spectra, "-o", out, *OPTIONS)
        wait_for_files(tmp_path, process)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
        if process.returncode:
            break
        out.unlink()  # it was done before the signal came
    assert process.returncode == code and "Traceback" not in errors
    assert not out.exists() and len(os.listdir(tmp_path)) == (sent == signal.SIGKILL)
    fastsig("grid", spectra, "-o", out, *OPTIONS)
    assert os.listdir(tmp_path) == ["cube.fits"]
    with fits.open(out, checksum=True) as units:
        units.verify("exception")


def test_a_map_larger_than_memory(spectra: Path, tmp_path: Path) -> None:
    """Channels in blocks; the process stays within what it was given."""
    out = tmp_path / "cube.fits"
    script = (
        "import sys, fastsig as fs\n"
        "from fastsig.work.memory import peak_bytes, resident_bytes\n"
        "made = fs.grid(sys.argv[1], pixel='0.6arcsec', beam_size='2.8arcmin',"
        " kernel='0.4arcmin', radius='0.2arcmin')\n"
        "floor = made.plan(workers=1).floor\n"
        "given = floor + 35 * 10**6\n"
        "ready = made.plan(workers=1, memory=given)\n"
        "made.write(sys.argv[2], workers=1, memory=given)\n"
        "print(ready.n_chan, given, peak_bytes())\n")
    done = subprocess.run([sys.executable, "-c", script, str(spectra), str(out)], check=True,
                          env=environment(), capture_output=True, text=True)
    n_chan, given, peak = map(int, done.stdout.split())
    assert n_chan < 6 and peak < given
    assert out.stat().st_size > 30e6


def test_raw_files_are_refused_by_their_unit(tmp_path: Path) -> None:
    """Those of FAST's spectral backend, and SDFITS."""
    done = fastsig("grid", ROOT / "data/samples/SIMHI_onoff-M01_W_0001.fits", "-o",
                   tmp_path / "c.fits", code=2)
    assert "is in the units of the recorder; allowed: K or Jy" in done.stderr
    products_sdfits.main(str(tmp_path / "gbt.fits"))
    done = fastsig("grid", tmp_path / "gbt.fits", "-o", tmp_path / "c.fits", "--set", "plnum=0",
                   "--set", "cal=F", code=2)
    assert "gbt.fits: is in the units of the recorder; allowed: K or Jy" in done.stderr
    assert not (tmp_path / "c.fits").exists()
