"""``python -m bench hits``: hits of turboSETI and of fastsig in the same file, one by one.

The file contains carriers that drift by -4 to 4 Hz/s and spread over the channels that they cross.
Both programs search it from S/N 10 as turboSETI defines it, which is 7.9 times the noise. A hit of
turboSETI agrees with one of fastsig if both are within a step of the drift rate and, at half time,
within 1.5 channels, or within half of the boxcar of fastsig and half a channel if this is more.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import drift_tones, machine, peers
from bench.drift_tones import Carrier
from bench.drifting import turboseti, written
from fastsig.chain import open_chain
from fastsig.io.turboseti import read_dat

__all__ = ["Agreement", "compared", "run"]

_SNR = 7.9  # which turboSETI calls 10
_SPAN = 15 * 18.253611  # s, between the centres of the first and of the last spectrum
_MEGA = 1e6


@dataclass(frozen=True)
class Agreement:
    """How the hits of both programs compare.

    Parameters
    ----------
    n_carrier : int
        Number of carriers in the file.
    n_other, n_own : int
        Number of hits of turboSETI and of fastsig.
    n_agree : int
        Hits of turboSETI that agree with one of fastsig.
    n_beside : int
        Others that lie within the channels that a carrier crosses, which fastsig found with a
        drift closer to that of the carrier.
    n_unexplained : int
        All others.
    n_other_found, n_own_found : int
        Carriers that turboSETI and fastsig found.
    """

    n_carrier: int
    n_other: int
    n_own: int
    n_agree: int
    n_beside: int
    n_unexplained: int
    n_other_found: int
    n_own_found: int


def compared(other: Any, own: Any, carriers: list[Carrier], n_chan: int, first_mhz: float,
             chan_hz: float) -> tuple[Agreement, list[str]]:
    """Return how two tables of hits compare, and a line about each hit that has no counterpart."""
    step = chan_hz / _SPAN
    true = np.array([(first_mhz * _MEGA + each.channel * chan_hz, each.drift * step,
                      max(each.width, abs(each.drift) / 15) * chan_hz) for each in carriers])
    lines, n_agree, n_beside = [], 0, 0
    for k in range(len(other)):
        hit = _place(other, k)
        if any(_agree(hit, _place(own, i), step, chan_hz) for i in range(len(own))):
            n_agree += 1
            continue
        near = _nearest(hit, true)
        mine = [i for i in range(len(own)) if _same(_place(own, i), near)]
        closer = mine and min(abs(_place(own, i)[1] - near[1]) for i in mine) <= abs(
            hit[1] - near[1])
        inside = abs(_middle(hit) - _middle(near)) <= near[2] + abs(hit[1] - near[1]) * _SPAN / 2
        n_beside += bool(closer and inside)
        lines.append(f"{hit[0] / _MEGA:.6f} MHz {hit[1]:+.4f} Hz/s S/N {hit[3]:.1f}: "
                     + (f"carrier drifts by {near[1]:+.4f}, fastsig reports "
                        + ", ".join(f"{_place(own, i)[1]:+.4f}" for i in mine)
                        if closer and inside else "no carrier that fastsig found"))
    found = [sum(any(_same(_place(each, i), row) for i in range(len(each))) for row in true)
             for each in (other, own)]
    return Agreement(len(carriers), len(other), len(own), n_agree, n_beside,
                     len(other) - n_agree - n_beside, *found), lines


def _place(hits: Any, k: int) -> tuple[float, float, float, float]:
    """Return frequency, drift rate, width and S/N of a hit, in Hz and Hz/s."""
    return (float(hits.values("frequency")[k]) * _MEGA, float(hits.values("drift")[k]),
            float(hits.values("width")[k]), float(hits.values("snr")[k]))


def _middle(place: Any) -> float:
    return float(place[0] + place[1] * _SPAN / 2)


def _agree(one: Any, other: Any, step: float, chan_hz: float) -> bool:
    wide = max(chan_hz, other[2] / 2)
    return bool(abs(one[1] - other[1]) <= max(step, wide / _SPAN) * 1.001
                and abs(_middle(one) - _middle(other)) <= wide + chan_hz / 2)


def _same(place: Any, true: Any) -> bool:
    """Whether a hit is of a carrier: within the channels that the carrier covers."""
    return bool(abs(_middle(place) - _middle(true)) <= 2 * true[2]
                and abs(place[1] - true[1]) * _SPAN <= 2 * true[2] + 2 * 2.8)


def _nearest(hit: Any, true: Any) -> Any:
    return true[int(np.argmin(np.abs(true[:, 0] + true[:, 1] * _SPAN / 2 - _middle(hit))))]


def run(*, quick: bool = False, keep: bool = True) -> Agreement:
    """Print how the hits compare, and save the record."""
    if not peers.is_there("turbo_seti"):
        raise peers.PeerMissingError("turboSETI cannot be imported; see bench/README.md")
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="hits")
    print(machine.headline(record))
    n, n_chan = (30, 2**16) if quick else (400, 2**20)
    carriers = drift_tones.drawn(n, n_chan, np.random.default_rng(7))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hits.fil"
        written(path, n_chan, carriers, seed=7)
        turboseti(path)()
        with open_chain(path) as chain:
            own = chain.drifting("-4:4", snr=_SNR, coarse=1)
            axis = chain.stream.header.channels
        made, lines = compared(read_dat(path.with_suffix(".dat")), own, carriers, n_chan,
                               float(axis.first_hz) / _MEGA, float(axis.step_hz))
    print(f"{made.n_carrier} carriers: turboSETI found {made.n_other_found}, fastsig "
          f"{made.n_own_found}\n{made.n_agree} of {made.n_other} hits of turboSETI are within a "
          f"step of one of the {made.n_own} of fastsig; {made.n_beside} are of a carrier whose "
          f"drift fastsig reports more exactly; {made.n_unexplained} are others")
    print("\n".join(lines))
    if keep:
        print(f"wrote {machine.save(record, [asdict(made)])}", file=sys.stderr)
    return made
