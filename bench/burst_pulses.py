"""``python -m bench pulses``: pulses of known width in noise, by the search and by exact boxcars.

Pulses of 0.5 to 16 ms with an S/N of 30 and of 10 are added to noise in the channels of FAST. Each
is searched for, and compared with the best of all boxcars on the sum of the same channels at the
samples nearest to their exact delays, in units of the noise that was put in. They are 2 s apart: of
pulses that are closer, the search takes a part for noise.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fastsig as fs
from bench import machine
from bench.injections import Band, K, Losses
from bench.powers import Powers
from fastsig.reductions.bursts.injected import Injected, completeness
from fastsig.reductions.bursts.searching import searches_of
from fastsig.simulate.injections import Injection

__all__ = ["MOST_OFF", "Found", "compared", "run"]

WIDTHS_S, SNRS = (0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3), (30.0, 10.0)
#: Largest difference of the S/N from that of the exact boxcar.
MOST_OFF = 0.05
_APART_S, _REACH_S = 2.0, 0.05  # between pulses, and around each in which boxcars are tried
_BLOCK = 4096


@dataclass(frozen=True)
class Found:
    """A pulse, its S/N by the search (0 if it was not found) and by the best exact boxcar."""

    width_s: float
    snr: float
    found: float
    exact: float

    @property
    def is_right(self) -> bool:
        """Whether it was found, with the S/N of the exact boxcar."""
        return abs(self.found / self.exact - 1) <= MOST_OFF


def compared(band: Band, dm: float, *, n_set: int = 1, seed: int = 1, loss: float = 0.05
             ) -> list[Found]:
    """Search for sets of pulses of all widths and S/N, and compare them with exact boxcars."""
    random = np.random.default_rng(seed)
    wanted = [(width, snr) for _ in range(n_set) for snr in SNRS for width in WIDTHS_S]
    times = _APART_S * (1 + np.arange(len(wanted))) + random.uniform(0, 0.1, len(wanted))
    bursts = [Injection(float(at), dm, width, snr)
              for at, (width, snr) in zip(times, wanted, strict=True)]
    n = int((times[-1] + _APART_S) / band.sample_s + band.delays(dm)[0])
    noise = Powers(band, n, seed, Losses.none(band, n))
    stream = Injected(noise, bursts, np.full(band.n_chan, noise.sigma), K)
    search, = searches_of(stream, (dm / 2, 2 * dm), widths="0.4ms:40ms", threshold=7.0, loss=loss)
    found = fs.Chain(stream).bursts((dm / 2, 2 * dm), width="0.4ms:40ms", loss=loss)
    match = completeness(found, bursts, 0.0, search.plan).match
    series = _series(stream, band, dm, noise.sigma)
    return [Found(each.width_s, each.snr, float(found.values("snr")[k]) if k >= 0 else 0.0,
                  _exact(series, each.time_s / band.sample_s, _REACH_S / band.sample_s))
            for each, k in zip(bursts, match.tolist(), strict=True)]


def _series(stream: Any, band: Band, dm: float, sigma: float) -> Any:
    """Return the sum of the channels at the samples nearest to their delays, with a noise of 1."""
    late = np.rint(band.delays(dm)).astype(np.int64)
    total = np.zeros(stream.shape[0] + int(late.max()))
    for start in range(0, stream.shape[0], _BLOCK):
        n = min(_BLOCK, stream.shape[0] - start)
        values = np.ascontiguousarray(stream.read_block(start, n).data[:, 0].T)
        for each, first in zip(values, start - late + late.max(), strict=True):
            total[first : first + n] += each
    found = total[late.max() : -late.max()]
    return (found - np.median(found)) / (sigma * np.sqrt(band.n_chan))


def _exact(series: Any, at: float, reach: float) -> float:
    """Return the S/N of the best boxcar near a sample."""
    sums = np.cumsum(np.concatenate([[0.0], series[int(at - reach) : int(at + reach)]]))
    return max(float((sums[w:] - sums[:-w]).max() / np.sqrt(w)) for w in range(1, int(reach)))


def run(*, quick: bool = False, keep: bool = True) -> list[Found]:
    """Print the S/N of all pulses, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="pulses")
    print(machine.headline(record))
    band, dm = (Band(128, 196.608e-6), 10.0) if quick else (Band(), 100.0)
    made = compared(band, dm, n_set=1 if quick else 2)
    for snr in SNRS:
        for width in WIDTHS_S:
            some = [each for each in made if (each.width_s, each.snr) == (width, snr)]
            text = ", ".join(f"{each.found:.2f} ({each.exact:.2f})" for each in some)
            off = "" if all(each.is_right for each in some) else " - OFF"
            print(f"S/N {snr:g}, {1e3 * width:g} ms: {text}{off}", flush=True)
    if keep:
        print(f"wrote {machine.save(record, [asdict(each) for each in made])}", file=sys.stderr)
    return made
