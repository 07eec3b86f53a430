"""``python -m bench completeness``: a thousand bursts in spectra, and which a search finds.

The spectra have 512 channels from 1000 to 1500 MHz every 393 us, so that the dispersion within a
channel is as many samples as in spectra of FAST with 4096 channels every 49 us. Bursts have an S/N
of 6 to 30 in the best boxcar, dispersion measures up to 3000, and widths of 0.8 to 50 ms (0.1 to 6
ms in spectra of FAST); half of them are shorter than the dispersion within a channel. They are
added to noise with 24 degrees of freedom, as in FAST's channels, rounded to 8 bits; and to a
recording by the simulator, with the bandpass of FAST, interference every 8.1 MHz, carriers, short
bursts from 1378 to 1385 MHz and bursts of all channels at once, which is excised. Both are repeated
with 30 % of the channels and 10 % of the time lost.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastsig as fs
from bench import machine
from bench.injections import Band, Losses
from bench.powers import Powers
from fastsig import simulate
from fastsig.reductions.bursts.injected import Injected, completeness, noise_of, planned
from fastsig.reductions.bursts.searching import searches_of

__all__ = ["Outcome", "run"]

_BAND = Band(512, 393.216e-6)
_PIECE_S, _PER_PIECE, _N_PIECE = 31.25, 25, 40
_DMS, _WIDTHS, _THRESHOLD, _LOSS = (0, 3000), "0.8ms:100ms", 7.0, 0.05
#: Shares of the channels and of the time that are lost.
_LOST = 0.3, 0.1
#: Share of the bursts that must be found if their S/N, without what the plan and the widths lose,
#: is 2 above the threshold.
LEAST = 0.97


@dataclass
class Outcome:
    """What was found of the bursts in spectra of one kind.

    Parameters
    ----------
    name : str
    snr, ratio, kept : list of float
        S/N of each burst; S/N found divided by that of the samples that are left, NaN for those
        that were not found; and the share of S/N that the plan states for its width and dispersion
        measure.
    n_other : int
        Candidates that are none of the bursts.
    expected : float
        Candidates that the noise is expected to cause.
    """

    name: str
    snr: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    n_other: int = 0
    expected: float = 0.0

    def _well(self) -> tuple[Any, Any]:
        """Return the ratios and the kept shares of bursts well above the threshold."""
        snr, ratio, kept = map(np.array, (self.snr, self.ratio, self.kept))
        well = snr * kept * (1 - _LOSS) >= _THRESHOLD + 2
        return ratio[well], kept[well]

    @property
    def is_right(self) -> bool:
        """Whether enough bursts were found, with the S/N that the plan states."""
        ratio, kept = self._well()
        return bool(np.isfinite(ratio).mean() > LEAST and abs(np.nanmean(ratio / kept) - 1) < 0.05)

    def line(self) -> str:
        """Return the figures as text."""
        ratio, kept = self._well()
        return (f"{self.name}: {len(self.snr)} bursts, {len(ratio)} well above the threshold, of "
                f"which {100 * np.isfinite(ratio).mean():.1f} % were found, with "
                f"{np.nanmean(ratio):.3f} of their S/N, {np.nanmean(ratio / kept):.3f} of what the "
                f"plan states; {self.n_other} other candidates, {self.expected:.2g} expected of "
                f"noise{'' if self.is_right else ' - OFF'}")


def _losses(n: int, seed: int) -> Losses:
    random = np.random.default_rng(seed)
    channels, rows = random.random(_BAND.n_chan) >= _LOST[0], np.ones(n, bool)
    while rows.mean() > 1 - _LOST[1]:
        first = random.integers(n)
        rows[first : first + random.integers(1, 200)] = False
    return Losses(rows, channels)


def _noises(n_piece: int, *, lossy: bool) -> Iterator[fs.Chain]:
    n = int(_PIECE_S / _BAND.sample_s)
    for k in range(n_piece):
        losses = _losses(n, k) if lossy else Losses.none(_BAND, n)
        yield fs.Chain(Powers(_BAND, n, 100 + k, losses))


def _recording(folder: Path) -> Path:
    """Simulate a recording with interference; return the name of its file."""
    random = np.random.default_rng(7)
    rfi = [(0, _PIECE_S * 1e3, mhz - 0.2, mhz + 0.2, level) for mhz, level in zip(
        np.arange(1004.4, 1500, 8.1), random.uniform(5, 60, 62), strict=False)]
    rfi += [(at, ms, 1378, 1385, level) for at, ms, level in random.uniform(
        (0, 1, 20), (_PIECE_S, 20, 200), (100, 3))]
    rfi += [(at, ms, 1000, 1500, level) for at, ms, level in random.uniform(
        (0, 0.5, 2), (_PIECE_S, 5, 20), (10, 3))]
    made = simulate.FastSpectra(
        duration=f"{_PIECE_S}s", integration="393.216us", n_chan=_BAND.n_chan,
        carriers=[simulate.Carrier("1090MHz", 0.5), simulate.Carrier("1420.4MHz", 1.0)],
        rfi=[simulate.RfiBurst(f"{at:.4f}s", f"{ms:.2f}ms", f"{low:.1f}MHz", f"{high:.1f}MHz",
                               f"{level:.0f}K") for at, ms, low, high, level in rfi])
    path = folder / "recording.fits"
    simulate.write_psrfits(made, str(path))
    return path


def _masked(folder: Path) -> Path:
    """Write a mask of a part of the channels and of the time; return its name."""
    random = np.random.default_rng(3)
    lows = 1000 + 5 * np.sort(random.permutation(100)[: int(100 * _LOST[0])])
    lines = [f"{low}MHz-{low + 5}MHz" for low in lows]
    kept = _losses(int(_PIECE_S / _BAND.sample_s), 3).rows
    for first, stop in np.flatnonzero(np.diff(kept, prepend=True, append=True)).reshape(-1, 2):
        begin, end = ((row + 0.25) * _BAND.sample_s for row in (first, stop - 0.5))
        lines.append(f"* {begin:.6f}s-{end:.6f}s")
    path = folder / "mask.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def _searched(outcome: Outcome, chain: fs.Chain, excised: Callable[[fs.Chain], fs.Chain],
              seed: int) -> None:
    """Inject bursts, search, and add what was found."""
    options = {"widths": _WIDTHS, "threshold": _THRESHOLD, "loss": _LOSS}
    search, = searches_of(excised(chain).stream, _DMS, **options)
    bursts = planned(search.stream, search.plan, _PER_PIECE, seed)
    noise = noise_of(search.stream)
    constant = search.plan.dm_plan.recording.constant
    made = excised(fs.Chain(Injected(chain.stream, bursts, noise, constant)))
    found = made.bursts(_DMS, width=_WIDTHS, threshold=_THRESHOLD, loss=_LOSS)
    matched = completeness(found, bursts, 0.0, search.plan, live=float((noise > 0).mean()))
    outcome.snr += [each.snr for each in bursts]
    outcome.ratio += matched.ratio.tolist()
    outcome.kept += [search.plan.dm_plan.smears(each.dm, each.width_s).kept for each in bursts]
    outcome.n_other += len(found) - matched.n_found
    outcome.expected += float(found.meta["false_alarms"])


def run(*, quick: bool = False, keep: bool = True) -> list[Outcome]:
    """Print what is found in spectra of each kind, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="completeness")
    print(machine.headline(record))
    n_piece, made = 1 if quick else _N_PIECE, []
    for lossy in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            for name, chains, excised in _kinds(Path(folder), n_piece, lossy=lossy):
                outcome = Outcome(name + (", losses" if lossy else ""))
                for k, chain in enumerate(chains):
                    _searched(outcome, chain, excised, k)
                print(outcome.line(), flush=True)
                made.append(outcome)
                if keep:  # as far as it is known
                    path = machine.save(record, map(_record, made))
    if keep:
        print(f"wrote {path}", file=sys.stderr)
    return made


def _record(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for JSON, which has no NaN."""
    ratio = [None if np.isnan(each) else each for each in outcome.ratio]
    return {**asdict(outcome), "ratio": ratio}


def _kinds(folder: Path, n_piece: int, *, lossy: bool
           ) -> Iterator[tuple[str, Iterator[fs.Chain], Callable[[fs.Chain], fs.Chain]]]:
    """Return the names, recordings and excision of noise and of a band with interference."""
    yield "noise", _noises(n_piece, lossy=lossy), lambda chain: chain
    path, mask = _recording(folder), _masked(folder)

    def excised(chain: fs.Chain) -> fs.Chain:
        chain = chain.mask(str(mask)) if lossy else chain
        return chain.flag_kurtosis(noise_share=0.001).iqrm(threshold=3.0)

    with fs.open(path) as source:
        yield "band", (source for _ in range(n_piece)), excised
