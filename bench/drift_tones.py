"""``python -m bench tones``: a thousand drifting carriers in noise, and which a search finds.

The spectra are those of 16 x 1,048,576 samples of 18.25 s and 2.8 Hz, each the mean of 51 powers.
Carriers drift by -4 to 4 Hz/s, have widths of 1 to 8 channels and an expected S/N of 8 to 100,
which includes the loss by drift, and are anywhere in channels; some cross others, and some are at
the edges of the band. They spread over the channels that they cross, as those of the sky.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench import machine
from fastsig.reductions.drifting.searching import Band, Settings, search_band
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.signal import Signal

__all__ = ["Carrier", "Outcome", "run", "searched", "with_carriers"]

_CHAN_HZ, _SAMPLE_S, _N, _SHAPE = 2.7939677, 18.253611, 16, 51
_THRESHOLD = 10.0
_WELL_ABOVE = 12.5  # expected S/N from which carriers count
_REACH = 400  # channels between carriers that do not cross


@dataclass(frozen=True)
class Carrier:
    """A carrier: channel at the first spectrum, drift in channels during the scan, width, S/N.

    S/N is the expected one of the best boxcar of its width or wider, with the loss by drift.
    """

    channel: float
    drift: float
    width: float
    snr: float


@dataclass(frozen=True)
class Outcome:
    """What was found of carriers above an expected S/N of 12.5, and what else.

    Parameters
    ----------
    n : int
        Number of carriers.
    n_found : int
    n_drift : int
        Of these, those whose drift is right to a step or half the width over the scan.
    n_sign : int
        Of those that drift by more than a step, those whose sign is right.
    channel_error, snr_ratio, grid_ratio : float
        Largest error of the frequency in units of what is allowed; the median S/N over that
        expected, and over that of the best boxcar for where the carrier is in its channels.
    n_other : int
        Hits that are of no carrier.
    """

    n: int
    n_found: int
    n_drift: int
    n_sign: int
    channel_error: float
    snr_ratio: float
    grid_ratio: float
    n_other: int


class _Memory:
    """Pieces of the band in memory."""

    run = 1

    def __init__(self, x: Any) -> None:
        self._x = x

    def read(self, first: int, stop: int) -> Any:
        return self._x[:, first:stop]

    def read_rows(self, first: int, stop: int, row: int, out: Any) -> None:
        out[:] = self._x[row : row + len(out), first:stop]

    def __enter__(self) -> _Memory:
        return self

    def __exit__(self, *_: Any) -> None:
        return None


def plan() -> DriftPlan:
    """Return the plan of the search."""
    return DriftPlan(_N, _SAMPLE_S, _CHAN_HZ, -4.0, 4.0)


def drawn(n: int, n_chan: int, rng: Any) -> list[Carrier]:
    """Return carriers: in pairs that cross every tenth, and at both edges of the band."""
    limit = plan().limits[1]
    places = np.linspace(2 * _REACH, n_chan - 2 * _REACH, n)
    made = []
    for k in range(n):
        drift, snr = float(rng.uniform(-limit, limit)), float(np.exp(rng.uniform(
            np.log(8), np.log(100))))
        width = float(rng.integers(1, 9))
        channel = places[k] - drift / 2 + float(rng.uniform(-0.5, 0.5))
        if k % 10 == 9:  # the one before crosses it
            before = made[-1]
            drift = -before.drift
            channel = before.channel + before.drift / 2 - drift / 2 + float(rng.uniform(-3, 3))
        made.append(Carrier(channel, drift, width, snr))
    return [*made, Carrier(3.0, 5.0, 1.0, 30.0), Carrier(n_chan - 4.0, -5.0, 1.0, 30.0)]


def with_carriers(n_chan: int, carriers: list[Carrier], rng: Any) -> Any:
    """Return noise with carriers, (16, n_chan) float32, and their highest S/N in boxcars."""
    highest: list[float] = []
    x = rng.standard_gamma(_SHAPE, (_N, n_chan), dtype=np.float32) / np.float32(_SHAPE)
    for each in carriers:
        spread = abs(each.drift) / (_N - 1)
        wide = np.hypot(each.width, spread) if spread > 1 else each.width
        power = each.snr * np.sqrt(wide / _N / _SHAPE) / _kept(each)
        reach = int(each.width / 2 + spread / 2) + 2
        shares = []
        for row in range(_N):
            at = each.channel + each.drift * row / (_N - 1)
            first = int(np.floor(at)) - reach
            edges = first + np.arange(2 * reach + 2) - 0.5
            share = np.diff(_cumulative(edges - at, each.width, spread))
            shares.append((first, share))
            inside = (first + np.arange(len(share)) >= 0) & (
                first + np.arange(len(share)) < n_chan)
            x[row, (first + np.arange(len(share)))[inside]] += (power * share[inside]).astype(
                np.float32)
        highest.append(power * np.sqrt(_SHAPE / _N) * _best(each, shares))
    return x, highest


def _best(carrier: Carrier, shares: list[tuple[int, Any]]) -> float:
    """Return the highest sum of a boxcar that follows a carrier, over the root of its width."""
    found = 0.0
    for width in plan().all_widths:
        for off in np.arange(-1, 1, 0.125):
            start = carrier.channel - (width - 1) / 2 + off
            total = 0.0
            for row, (first, share) in enumerate(shares):
                at = int(np.floor(start + carrier.drift * row / (_N - 1) + 0.5)) - first
                total += share[max(0, at) : max(0, at + width)].sum()
            found = max(found, total / np.sqrt(width))
    return float(found)


def _kept(carrier: Carrier) -> float:
    """Return the best share of S/N of a boxcar that is centred, relative to its equivalent."""
    spread = abs(carrier.drift) / (_N - 1)
    wide = np.hypot(carrier.width, spread) if spread > 1 else carrier.width
    widths = np.array(plan().all_widths, np.float64)
    inside = np.diff(np.stack([_cumulative(-widths / 2, carrier.width, spread),
                               _cumulative(widths / 2, carrier.width, spread)]), axis=0)[0]
    return float((inside / np.sqrt(widths)).max() * np.sqrt(wide))


def _cumulative(at: Any, width: float, spread: float) -> Any:
    """Return the share of the power below offsets: of a rectangle that moves evenly."""
    parts = (np.arange(64) + 0.5) / 64 * spread - spread / 2
    inside = (np.asarray(at)[:, np.newaxis] - parts) / width + 0.5
    return np.clip(inside, 0, 1).mean(axis=1)


def searched(x: Any) -> list[Signal]:
    """Return the signals of spectra."""
    band = Band(x.shape[1], np.empty(0, np.int64))
    return search_band(_Memory(x), band, Settings(plan(), _THRESHOLD)).signals


def compared(signals: list[Signal], carriers: list[Carrier], highest: list[float]) -> Outcome:
    """Return what was found of carriers."""
    left, ratios, grid, errors = set(range(len(signals))), [], [], []
    counts = {"n": 0, "n_found": 0, "n_drift": 0, "n_sign": 0}
    for each, snr in zip(carriers, highest, strict=True):
        near = 1 + each.width / 2 + abs(each.drift) / (_N - 1)
        own = [k for k in range(len(signals)) if abs(_middle(signals[k]) - each.channel
                                                     - each.drift / 2) < 4 * near + 4]
        own = [k for k in own if abs(signals[k].drift - each.drift) <= 4 * near + 4]
        left -= set(own)
        if each.snr < _WELL_ABOVE:
            continue
        counts["n"] += 1
        if not own:
            continue
        best = signals[max(own, key=lambda k: signals[k].snr)]
        counts["n_found"] += 1
        counts["n_drift"] += abs(best.drift - each.drift) <= near
        counts["n_sign"] += abs(each.drift) <= 1 or best.drift * each.drift > 0
        errors.append(abs(best.start + (best.width - 1) / 2 - each.channel) / near)
        ratios.append(best.snr / each.snr)
        grid.append(best.snr / snr)
    return Outcome(**counts, channel_error=float(max(errors)), snr_ratio=float(np.median(ratios)),
                   grid_ratio=float(np.median(grid)),
                   n_other=len(left))


def _middle(signal: Signal) -> float:
    return signal.start + (signal.width - 1) / 2 + signal.drift / 2


def run(*, quick: bool = False, keep: bool = True) -> Outcome:
    """Print the outcome, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="tones")
    print(machine.headline(record))
    rng = np.random.default_rng(2024)
    n, n_chan = (100, 2**17) if quick else (1000, 2**20)
    carriers = drawn(n, n_chan, rng)
    x, highest = with_carriers(n_chan, carriers, rng)
    made = compared(searched(x), carriers, highest)
    print(f"{made.n_found} of {made.n} carriers with an expected S/N above {_WELL_ABOVE:g}; drift "
          f"right of {made.n_drift}, sign of {made.n_sign}; largest error of the frequency "
          f"{made.channel_error:.2f} of what is allowed; S/N {made.snr_ratio:.3f} of the expected, "
          f"and {made.grid_ratio:.3f} of that of the best boxcar for its place in channels; "
          f"{made.n_other} hits of no carrier")
    if keep:
        print(f"wrote {machine.save(record, [asdict(made)])}", file=sys.stderr)
    return made
