"""`fastsig warmup`: no command at its defaults compiles anything after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import fastsig
from thorough import thorough

from fastsig.cli import warming

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"

#: Python that compiles some groups, runs commands, and lists the kernels that these still need.
#: A kernel that was compiled for the same types before is not looked for in the cache again.
AFTERWARDS = """
import glob, json, shlex
from fastsig.cli import main, warming
from fastsig_kernels._cache import KernelCache

exec(LIMITS)
warming.compile_groups(GROUPS)
asked, load = [], KernelCache.load_overload

def noted(cache, signature, context):
    asked.append(f"{line}: {cache._base} {signature}")
    return load(cache, signature, context)

KernelCache.load_overload = noted
for line in LINES:
    words = [found for word in shlex.split(line) for found in sorted(glob.glob(word)) or [word]]
    code = main.run([*words, "-q"])
    assert code == 0, line
with open("asked.json", "w") as file:
    json.dump(asked, file)
"""

HI, PSR = "samples/SIMHI*.fits", "samples/SIMPSR*.fits"
CARRIER, COARSE, BAND = "samples/frb_carrier_16MHz.h5", "samples/*.raw", "samples/fast_band_1GSa.h5"
DRIFT = ("--duration 20s --n-chan 64 --fstart 1419MHz --start-time 2023-12-01T16:30:00 "
         "--ra 4h17m40s --dec 20d --point ra=4h17m40s,dec=20d,flux=5Jy --bandpass flat "
         "--diode temperature=high,period=503316480,on=251658240")

#: What `warmup` leaves out for a short test, and the commands that do with the rest.
FEW = """
warming.LAYOUTS, warming.CHANNELS, warming.PRODUCTS = warming.LAYOUTS[:1], (4096,), ("I",)
"""
FEW_LOWER = """
warming.LAYOUTS, warming.CHANNELS = warming.LAYOUTS[:1], (256, 1024)
"""
FEW_COARSE = """
warming.LAYOUTS, warming.CHANNELS = warming.LAYOUTS[1:2], (4096,)
"""
SHORT = f"""
spectra {BAND} -o spectra.h5 --n-chan 4096 --products I
info spectra.h5 --deep
"""
LOWER = "samples/pulsar_lower_8MHz.h5"
SHORT_LOWER = "".join(f"spectra {LOWER} -o {n}.h5 --n-chan {n}\n" for n in (64, 256, 1024))
SHORT_COARSE = "".join(f"spectra {COARSE} -o {each}.h5 --n-chan 64 --products {each}\n"
                       for each in ("I", "IQUV", "AABB", "AABBCRCI"))
ALL = f"""
simulate fast-voltage -o voltages.h5 --duration 1ms
simulate fast-voltage -o coarse.raw --to guppi --coarse 8 --duration 5ms --bandwidth 16MHz
simulate fast-spectral -o spectral.fits --duration 20s --n-chan 256
simulate fast-psrfits -o psrfits.fits --duration 60ms --n-chan 256
simulate fast-scan -o . --name DRIFT --beams 1-3 {DRIFT}
info samples/*.h5 samples/*.raw samples/*.fits --deep
validate samples/*.h5 samples/*.raw samples/*.fits
spectra {BAND} -o band.h5 --n-chan 4096
spectra {BAND} -o stokes.h5 --n-chan 4096 --products IQUV
spectra voltages.h5 -o integrated.h5 --n-chan 1024 --products IQUV --integrate 0.2ms
spectra {CARRIER} -o carrier.h5 --n-chan 256 --integrate 1ms
spectra {CARRIER} -o pairs.h5 --n-chan 512 --integrate 1ms --products AABB
spectra {CARRIER} -o products.h5 --n-chan 2048 --integrate 1ms --products AABBCRCI
spectra {CARRIER} -o fine.h5 --n-chan 8192
spectra {CARRIER} -o carrier.fil --n-chan 256 --integrate 1ms --lossy
spectra {CARRIER} -o carrier.fits --n-chan 256 --integrate 1ms --lossy
spectra {COARSE} -o coarse.h5 --n-chan 64 --integrate 0.5ms
{SHORT_COARSE.strip()}
spectra {COARSE} -o coarse-stokes.h5 --n-chan 256 --products IQUV
{SHORT_LOWER.strip()}
spectra {LOWER} -o lower.h5 --n-chan 64 --products IQUV
flag {HI} -o flagged.h5
flag {PSR} -o flagged-pulsar.h5
flag spectral.fits -o flagged-spectral.h5
flag psrfits.fits -o flagged-psrfits.h5
flag stokes.h5 -o flagged-stokes.h5
dedisperse {PSR} -o aligned.h5 --dm 68
dedisperse {PSR} -o series.dat --dm 68 --series --products I --lossy
dedisperse {PSR} -o planes.h5 --dm 0:80:1 --products I
search bursts {PSR} -o bursts.ecsv --dm 0:200
search pulsars {PSR} -o pulsars.ecsv --dm 60:70 --harmonics 4
search drift {HI} -o drift.ecsv --drift -1:1 --products AA
burst carrier.h5 --at 40ms --dm 300
fold {PSR} -o pulsar.ar --period 89.3ms --dm 68
calibrate {HI} -o kelvin.h5 --tcal 12.5K
calibrate {PSR} -o kelvin-pulsar.h5 --tcal 12.5K --diode mode=pulsar,first=0s
calibrate DRIFT*M01*.fits -o M01.h5 --tcal 12.5K --stokes I --flux --ky DRIFT_2*.xlsx
calibrate DRIFT*M02*.fits -o M02.h5 --tcal 12.5K --stokes I --flux --ky DRIFT_2*.xlsx
baseline kelvin.h5 -o straight.h5 --method polynomial
switch {HI} -o switched.h5 --mode onoff --period 20s --tsys 20K
flux kelvin.h5 -o flux.h5 --gain 16K/Jy
frame M01.h5 -o frame.h5 --to barycentric
grid M01.h5 M02.h5 -o cube.fits
grid M01.h5 M02.h5 -o velocity.fits --frame barycentric --axis VRAD --rest HI
extract velocity.fits -o extract.ecsv --at 4:17:40,+20:00:00
moment velocity.fits -o moment.fits
view {CARRIER} -o carrier.png
view samples/frb_coarse_16MHz.0000.raw -o coarse.png
view samples/pulsar_lower_8MHz.h5 -o lower.html
view {PSR} -o pulsar.html
view stokes.h5 -o stokes.png
view velocity.fits -o cube.html
convert {COARSE} -o native.h5
convert {COARSE} -o copy.{{file}}.raw
convert {BAND} -o band.dada --lossy
convert {BAND} -o band.vdif --lossy
convert {HI} -o spectra.h5
convert {HI} -o spectra.fil --lossy
convert {PSR} -o copy.fits
convert {PSR} -o total.fil --products I --lossy
convert carrier.fil -o again.h5
convert carrier.fits -o again-fits.h5
spectra band.dada -o dada.h5 --n-chan 256
spectra band.vdif -o vdif.h5 --n-chan 256 --set frequency=1250MHz
cut {CARRIER} -o cut.h5 --tstart 20ms --tstop 40ms
cut {HI} -o cut-spectra.h5 --tstart 5s --tstop 30s
cut {PSR} -o cut.fits --tstart 0.1s --tstop 0.3s
"""


def asked_afterwards(folder: Path, groups: list[str], text: str, limits: str = "") -> list[str]:
    """Kernels that commands need beyond some groups, by command."""
    (folder / "samples").symlink_to(SAMPLES)
    lines = [line for line in text.splitlines() if line]
    given = f"GROUPS, LINES, LIMITS = {groups!r}, {lines!r}, {limits!r}\n"
    fastsig("--version", cwd=folder, before=given + AFTERWARDS)
    return json.loads((folder / "asked.json").read_text())


@pytest.mark.parametrize(("text", "limits"), [
    (SHORT, FEW), (SHORT_LOWER, FEW_LOWER), (SHORT_COARSE, FEW_COARSE)])
def test_some_commands_need_nothing_else(text: str, limits: str, tmp_path: Path) -> None:
    assert asked_afterwards(tmp_path, ["banks", "files", "sums"], text, limits) == []


@thorough
@pytest.mark.timeout(600)
def test_no_command_needs_anything_else(tmp_path: Path) -> None:
    assert asked_afterwards(tmp_path, list(warming.GROUPS), ALL) == []


def test_a_missing_group_is_noticed(tmp_path: Path) -> None:
    asked = asked_afterwards(tmp_path, [], "simulate fast-voltage -o x.h5 --duration 0.1ms")
    assert "gaussian_nb" in "".join(asked)


@pytest.mark.parametrize("n", [1, 2, 3, 100])
def test_groups_are_divided_among_processes(n: int) -> None:
    shares = warming._shares(list(warming.GROUPS), n)
    assert sorted(name for share in shares for name in share) == sorted(warming.GROUPS)
    assert len(shares) == min(n, 4)
    spent = [warming._seconds(share) for share in shares]
    assert max(spent) - min(spent) <= max(group.seconds for group in warming.GROUPS.values())


@pytest.mark.parametrize(("cached", "n_helper"), [((), 1), (list(warming.GROUPS)[:-1], 0),
                                                  (list(warming.GROUPS), 0)])
def test_helpers_compile_what_is_missing(
    cached: list[str], n_helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, begun = [], []

    class Helper:
        def __init__(self, share: list[str]) -> None:
            begun.append(share)

        def wait(self) -> None:
            done.append("waited")

        kill = wait

    kernels = [warming.GROUPS[name]._replace(kernel=name) for name in warming.GROUPS]
    monkeypatch.setattr(warming, "GROUPS", dict(zip(warming.GROUPS, kernels, strict=True)))
    monkeypatch.setattr(warming, "_is_cached", lambda kernel: kernel in cached)
    monkeypatch.setattr(warming.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(warming, "_begin", Helper)
    monkeypatch.setattr(warming, "compile_groups", done.extend)
    warming.compile_all()
    assert len(begun) == n_helper
    assert sorted(name for name in done if name != "waited") == sorted(warming.GROUPS)
    for share in begun:  # compiled by the helper, then loaded here
        assert not set(share) & {*cached, *done[: done.index("waited")]}


def test_what_a_group_is_looked_for_by_exists() -> None:
    for group in warming.GROUPS.values():
        assert warming._is_cached(group.kernel) in (True, False)


def test_a_helper_compiles_its_share() -> None:
    assert warming._begin([]).wait(timeout=100) == 0
