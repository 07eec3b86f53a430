"""A chain of other people's programs around a batch; prints a table, is no test.

    python tests/batch/foreign.py [N] [FOLDER]

setigen's voltage backend writes N GUPPI RAW files (40), every other one with a falling band, each
with tones that drift at +2, 0 and -1 Hz/s; `fastsig batch` makes spectra of three resolutions in
one read; blimpy opens them, and turboSETI searches them. A line for each product and tone: its
frequency at the middle of the first spectrum and its drift, each with the error against what
setigen was told, in fine channels and in steps of drift; by a plain sum along drifts, and by
turboSETI. And the first channel against rawspec's formula,

    fch1 = OBSFREQ - OBSBW (Nc - 1) / (2 Nc) - (Nt / 2) foff,   foff = OBSBW / (Nc Nt).

rawspec numbers its channels in the order of the band, so foff < 0 where OBSBW is; fastsig's ascend.
Both are the same channels: rawspec's first is fastsig's first of a rising band, its last of a
falling one.

setigen and blimpy are of the extra `dev`. turboSETI 2.3.2 fails with NumPy 2.4 and later, so its
interpreter is named by FASTSIG_TURBOSETI; without it, the plain sums are all:

    python3.11 -m venv ts
    ts/bin/pip install turbo_seti==2.3.2 "numpy<2.4" "setuptools<81"
    FASTSIG_TURBOSETI=ts/bin/python python tests/batch/foreign.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent

N_COARSE, WIDTH_HZ, FIRST = 4, 2048, 1  # channels that are kept, and the number of the first
BRANCHES, SECONDS, N_BLOCK = 16, 32, 4
N_CHAN = (256, 512, 1024)  # 8, 4 and 2 Hz
DRIFTS = (2.0, 0.0, -1.0)  # Hz/s
MOST_DRIFT = 3.0

RECIPE = f"""version = 1
[inputs]
files = ["night/*.raw"]
[output]
folder = "products"
[[step]]
command = "spectra"
n_chan = {list(N_CHAN)}
integrate = "1s"
output = "{{stem}}.{{n_chan}}.h5"
"""

# In a process of its own: blimpy leaves the interpreter on errors and warns at import.
BLIMPY = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from blimpy import Waterfall
for path in sys.argv[1:]:
    w = Waterfall(path)
    np.savez(path + ".npz", data=w.data[:, 0], freqs=w.get_freqs(),
             **{key: w.header[key] for key in ("fch1", "foff", "nchans", "tstart", "tsamp")})
"""

TURBOSETI = """
import sys, os, warnings
warnings.simplefilter("ignore")
from turbo_seti.find_doppler.find_doppler import FindDoppler
most, n_coarse, folder, *paths = sys.argv[1:]
for path in paths:
    search = FindDoppler(path, max_drift=float(most), min_drift=0, snr=10, out_dir=folder,
                         n_coarse_chan=int(n_coarse))
    search.min_drift = -1  # it takes |drift| > min_drift, so by its arguments never 0 itself
    search.search()
"""


class Tone(NamedTuple):
    """A tone as setigen was told: frequency at the start of the file, and drift."""

    coarse: int  # in ascending order
    hz: float
    drift: float

    def at(self, seconds: float) -> float:
        """Frequency some time after the start of the file, Hz."""
        return self.hz + self.drift * seconds


class Found(NamedTuple):
    """What a search tells of a tone, and by how much it is off."""

    hz: float
    drift: float
    channels: float  # error of the frequency in fine channels
    steps: float  # error of the drift in steps


class Product:
    """Spectra as blimpy reads them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with np.load(f"{path}.npz") as told:
            self.data, self.hz = told["data"].astype(float), told["freqs"] * 1e6
            self.first_hz, self.step_hz = float(told["fch1"]) * 1e6, float(told["foff"]) * 1e6
            self.tstart, self.tsamp = float(told["tstart"]), float(told["tsamp"])


def record(folder: Path, number: int) -> list[Tone]:
    """A GUPPI RAW file by setigen; returns its tones."""
    from astropy import units as u
    from setigen import voltage

    rng = np.random.default_rng(number)
    rising = number % 2 == 0
    zero_hz = 1.42e9 + 1e6 * number  # where setigen's channel 0 lies
    sign = 1 if rising else -1
    tones = []
    for drift, channel in zip(DRIFTS, rng.permutation(N_COARSE), strict=False):
        # Off DC, and in the channel to the end.
        offset = rng.choice([-1, 1]) * rng.uniform(100, 700)
        tones.append(Tone(int(channel) if rising else N_COARSE - 1 - int(channel),
                          zero_hz + sign * (FIRST + int(channel)) * WIDTH_HZ + offset, drift))
    antenna = voltage.Antenna(sample_rate=BRANCHES * WIDTH_HZ * u.Hz, fch1=zero_hz * u.Hz,
                              ascending=rising, num_pols=2, seed=number)
    for stream in antenna.streams:
        stream.add_noise(0, 1)
        for tone in tones:
            stream.add_constant_signal(f_start=tone.hz, drift_rate=tone.drift, level=0.1)
    backend = voltage.RawVoltageBackend(
        antenna, voltage.RealQuantizer(), voltage.PolyphaseFilterbank(8, BRANCHES),
        voltage.ComplexQuantizer(), start_chan=FIRST, num_chans=N_COARSE,
        block_size=N_COARSE * 4 * WIDTH_HZ * SECONDS // N_BLOCK, num_subblocks=1)
    # Beside setigen's own cards, some of its template, which is not where version 2.7.0 looks.
    # PKTSIZE is of no use: its PKTIDX counts samples.
    cards = {"STT_IMJD": 61000 + number, "STT_SMJD": 4321, "STT_OFFS": 0.25, "FD_POLN": "LIN",
             "BACKEND": "SETIGEN", "PKTSIZE": 8192,
             "RA_STR": "'04:41:45.7920'", "DEC_STR": "'+25:41:27.9600'"}
    folder.mkdir(exist_ok=True)
    backend.record(str(folder / f"tones{number:02d}"), num_blocks=N_BLOCK, verbose=False,
                   length_mode="num_blocks", load_template=False, header_dict=cards)
    return tones


def cards_of(path: Path) -> dict[str, str]:
    """The cards of the first header."""
    text = path.read_bytes()[:8000].partition(b"END" + b" " * 77)[0].decode()
    rows = [text[at : at + 80] for at in range(0, len(text), 80)]
    return {row[:8].strip(): row[9:].strip(" '") for row in rows}


def rawspec_hz(cards: dict[str, str], n_fine: int) -> np.ndarray:
    """Centres of all fine channels in rawspec's order, Hz."""
    n_coarse, width = int(cards["OBSNCHAN"]), float(cards["OBSBW"]) * 1e6
    foff = width / (n_coarse * n_fine)
    first = float(cards["OBSFREQ"]) * 1e6 - width * (n_coarse - 1) / (2 * n_coarse) - (
        n_fine / 2) * foff
    return first + foff * np.arange(n_coarse * n_fine)


def start_day(cards: dict[str, str]) -> tuple[int, float]:
    """Day and seconds of the first sample."""
    return int(cards["STT_IMJD"]), float(cards["STT_SMJD"]) + float(cards["STT_OFFS"])


def middle_of_first(product: Product, cards: dict[str, str]) -> float:
    """Seconds from the start of the file to the middle of the first spectrum.

    setigen's own filter delays its samples by 4 of them, 2 ms, which is 0.004 Hz at 2 Hz/s.
    """
    day, seconds = start_day(cards)
    return (product.tstart - day) * 86400 - seconds + product.tsamp / 2


def strongest(power: np.ndarray) -> tuple[int, int]:
    """Channel in the first row, and channels drifted until the last, of the strongest line.

    The sum along each straight line: sum_r power[r, c + round(k r / (n - 1))].
    """
    n, width = power.shape
    rows = np.arange(n)
    best = (-np.inf, 0, 0)
    for k in range(-(width // 4), width // 4 + 1):
        shift = np.rint(k * rows / (n - 1)).astype(int)
        low, high = max(0, -k), min(width, width - k)
        sums = sum(power[r, low + shift[r] : high + shift[r]] for r in range(n))
        at = int(np.argmax(sums))
        best = max(best, (float(sums[at]), low + at, k))
    return best[1], best[2]


def summed(product: Product, tone: Tone, cards: dict[str, str]) -> Found:
    """A tone by the plain sum, in its coarse channel."""
    n_fine = product.data.shape[1] // N_COARSE
    first = tone.coarse * n_fine
    at, k = strongest(product.data[:, first : first + n_fine])
    step = product.step_hz / ((len(product.data) - 1) * product.tsamp)
    return told(product, tone, cards, product.hz[first + at], k * step, step)


def told(product: Product, tone: Tone, cards: dict[str, str], hz: float, drift: float,
         step: float) -> Found:
    """Errors of what was found."""
    truth = tone.at(middle_of_first(product, cards))
    return Found(hz, drift, (hz - truth) / product.step_hz, (drift - tone.drift) / step)


def hits(folder: Path, product: Product) -> list[dict[str, Any]]:
    """What turboSETI found in a product."""
    rows = [line.split() for line in (folder / f"{product.path.stem}.dat").read_text().splitlines()
            if not line.startswith("#")]
    return [{"drift": float(row[1]), "snr": float(row[2]), "hz": float(row[4]) * 1e6,
             "coarse": int(row[10])} for row in rows]


def searched(folder: Path, product: Product, tone: Tone, cards: dict[str, str]) -> Found | None:
    """A tone by turboSETI: the strongest hit in its coarse channel."""
    mine = [hit for hit in hits(folder, product) if hit["coarse"] == tone.coarse]
    if not mine:
        return None
    best = max(mine, key=lambda hit: hit["snr"])
    # turboSETI fills up with empty rows to a power of two
    n = 2 ** int(np.ceil(np.log2(len(product.data))))
    step = product.step_hz / ((n - 1) * product.tsamp)
    return told(product, tone, cards, best["hz"], best["drift"], step)


def call(python: str, code: str, *arguments: Any) -> None:
    """Run Python code in a process of its own; what it tells comes where it fails."""
    done = subprocess.run([python, "-c", code, *map(str, arguments)], text=True,
                          capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])


def reduce(folder: Path) -> list[Path]:
    """Run the recipe and let blimpy read; returns the products."""
    (folder / "r.toml").write_text(RECIPE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    done = subprocess.run(
        [sys.executable, "-m", "fastsig", "batch", "run", "-c", str(folder / "r.toml"), "--no-plan",
         "--no-warmup", "--no-node-cache"], env=environment, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    products = sorted((folder / "products").glob("*.h5"))
    call(sys.executable, BLIMPY, *products)
    return products


def search(folder: Path) -> bool:
    """Let turboSETI search all products; returns whether there is one."""
    python = os.environ.get("FASTSIG_TURBOSETI")
    if python:
        (folder / "hits").mkdir(exist_ok=True)
        call(python, TURBOSETI, MOST_DRIFT, N_COARSE, folder / "hits",
             *sorted((folder / "products").glob("*.h5")))
    return bool(python)


def table(folder: Path, tones: list[list[Tone]], with_hits: bool) -> dict[str, Any]:
    """Print a line for each product and tone; returns the worst errors and what was not found."""
    recordings = sorted((folder / "night").glob("*.raw"))
    worst: dict[str, Any] = {"sum": [0.0, 0.0], "turboSETI": [0.0, 0.0], "fch1": 0.0, "lost": 0}
    print(f"{'product':<18} {'tone':>5}  {'by':<9} {'MHz':>14} {'channels':>8} {'Hz/s':>8} "
          f"{'steps':>6}   {'fch1, channels off':>18}")
    for path, many in zip(recordings, tones, strict=True):
        cards = cards_of(path)
        for n_fine in N_CHAN:
            product = Product(folder / "products" / f"{path.stem}.{n_fine}.h5")
            expected = np.sort(rawspec_hz(cards, n_fine))
            off = float(np.abs(product.hz - expected).max() / product.step_hz)
            worst["fch1"] = max(worst["fch1"], off)
            for tone in many:
                found = {"sum": summed(product, tone, cards)}
                if with_hits:
                    hit = searched(folder / "hits", product, tone, cards)
                    worst["lost"] += hit is None
                    found |= {"turboSETI": hit} if hit else {}
                for by, each in found.items():
                    print(f"{product.path.stem:<18} {tone.drift:+5.0f}  {by:<9} "
                          f"{each.hz / 1e6:14.7f} {each.channels:+8.3f} {each.drift:+8.4f} "
                          f"{each.steps:+6.2f}   {off:18.1e}")
                    worst[by] = [max(worst[by][0], abs(each.channels)),
                                 max(worst[by][1], abs(each.steps))]
    return worst


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(name)
        tones = [record(folder / "night", number) for number in range(n)]
        reduce(folder)
        print("worst:", json.dumps(table(folder, tones, search(folder))))


if __name__ == "__main__":
    main()
