"""Spectra with injected bursts, and the fraction of these bursts that a search finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.intensity import intensity_of
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.plan import SearchPlan
from fastsig.simulate.injections import Injection, Injector, drawn
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream, spectra_of

__all__ = ["Completeness", "Injected", "completeness", "noise_of", "planned"]

_PIECES, _PIECE = 16, 512  # groups of spectra in which the noise is measured
_SNRS = (0.85, 30.0)  # of injections: the lowest in thresholds, and the highest
_EDGES = {"snr": (0, 6, 8, 10, 14, 20, 40), "dm": (0, 100, 300, 1000, 3000, 1e6),
          "width_s": (0, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e6)}


class Injected(SpectraStage):
    """Spectra to which bursts are added, with amplitudes in units of the noise of each channel.

    Bursts are not polarised: they are added to the only product, to I, or in equal parts to AA and
    BB.

    Parameters
    ----------
    source : SpectrumStream
        Spectra that have an intensity.
    bursts : sequence of Injection
        Bursts to add.
    sigma : ndarray, shape (n_chan,), float64
        Noise of the intensity in each channel, in the unit of the spectra.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    """

    name = "inject"

    def __init__(self, source: Stream, bursts: Sequence[Injection], sigma: NDArray[np.float64],
                 constant: float) -> None:
        intensity = intensity_of(spectra_of(source))
        super().__init__(source)
        names = self.polarization.names
        #: Products to which bursts are added, in equal parts.
        self._products = [0] if len(names) == 1 else [
            names.index(name) for name in (("I",) if "I" in names else ("AA", "BB"))]
        mhz = intensity.header.require_channels(source.path).centers.to_value("MHz")
        sigma = sigma / len(self._products)
        self.injector = Injector(bursts, mhz, 1 / float(source.header.sample_rate), sigma, constant)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"constant": self.injector.constant, "bursts": [
            [each.time_s, each.dm, each.width_s, each.snr, each.scatter_s]
            for each in self.injector.bursts]}

    def codes(self) -> None:
        """Return None: the values are not integers."""
        return

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows with the bursts."""
        block = self.source.read_block(start, n)
        data = np.array(block.data, np.float32)
        for product in self._products:
            self.injector.add(start, data[:, product])
        data.flags.writeable = False
        return Block(data, block.valid, start, n)


def noise_of(stream: SpectrumStream) -> NDArray[np.float64]:
    """Return the noise of each channel, (n_chan,), from the median variance of some pieces.

    The noise is 0 for channels without noise or without samples.
    """
    n = min(_PIECE, stream.shape[0])
    starts = np.unique(np.linspace(0, stream.shape[0] - n, _PIECES).astype(int))
    found = []
    for start in starts.tolist():
        block = stream.read_block(start, n)
        values = np.where(block.valid[:, 0] > 0, block.data[:, 0], np.nan).astype(np.float64)
        count = np.isfinite(values).sum(axis=0)
        mean = np.nansum(values, axis=0) / np.maximum(count, 1)
        square = np.nansum((values - mean) ** 2, axis=0)
        found.append(np.where(count > 1, square / np.maximum(count - 1, 1), np.nan))
    pieces = np.sort(np.array(found), axis=0)  # NaN last
    known = np.isfinite(pieces).sum(axis=0)
    middle = pieces[np.maximum(known - 1, 0) // 2, np.arange(pieces.shape[1])]
    return np.where(known > 0, np.sqrt(middle), 0.0)


def planned(stream: SpectrumStream, plan: SearchPlan, n: int, seed: int) -> list[Injection]:
    """Draw bursts with the dispersion measures and widths of a search.

    Their S/N range from 0.85 times the threshold to 30, or to twice the threshold if this is more.
    """
    recording = plan.dm_plan.recording
    short = max(plan.widths_s[0], 2 * recording.sample_s)
    return drawn(n, duration_s=float(stream.duration.value), dms=plan.dm_plan.dms,
                 widths_s=(short, max(short, plan.widths_s[1] / 2)),
                 snrs=(_SNRS[0] * plan.threshold, max(_SNRS[1], 2 * plan.threshold)),
                 unit_s=recording.unit_s, seed=seed)


class Completeness(NamedTuple):
    """The result of a search for injected bursts.

    Parameters
    ----------
    injections : tuple of Injection
        Bursts that were injected.
    match : ndarray, int64
        Number of the candidate that matches each burst; -1 if there is none.
    ratio : ndarray, float64
        S/N found divided by the S/N injected and by the square root of the valid fraction of the
        samples in channels with bursts; NaN if not found.
    """

    injections: tuple[Injection, ...]
    match: NDArray[np.int64]
    ratio: NDArray[np.float64]

    @property
    def n_found(self) -> int:
        """Number of bursts that were found."""
        return int((self.match >= 0).sum())

    def column(self, n_candidate: int) -> NDArray[np.int64]:
        """Return the number of the injected burst that each candidate matches; -1 for others."""
        made = np.full(n_candidate, -1)
        made[self.match[self.match >= 0]] = np.flatnonzero(self.match >= 0)
        return made

    def rows(self, by: str) -> list[dict[str, float]]:
        """Return numbers of injected and found bursts and mean ratios, for ranges of a parameter.

        Parameters
        ----------
        by : {"snr", "dm", "width_s"}
            The parameter.
        """
        values = np.array([getattr(each, by) for each in self.injections])
        made = []
        for low, high in zip(_EDGES[by], _EDGES[by][1:], strict=False):
            there = (values >= low) & (values < high)
            if not there.any():
                continue
            known = self.ratio[there & (self.match >= 0)]
            made.append({"low": float(low), "high": float(high), "n_injected": int(there.sum()),
                         "n_found": len(known),
                         "mean_snr_ratio": float(known.mean()) if known.size else float("nan")})
        return made

    def record(self) -> dict[str, Any]:
        """Return the completeness for JSON."""
        return {"n_injected": len(self.injections), "n_found": self.n_found,
                **{f"by_{by}": self.rows(by) for by in _EDGES}}


def completeness(found: Candidates, injections: Sequence[Injection], late_s: float,
                 plan: SearchPlan, *, live: float = 1.0) -> Completeness:
    """Match candidates with injected bursts, and return the completeness of the search.

    A candidate matches a burst if two conditions are met, where w is the larger of the width of the
    candidate and the width of the burst plus the smearing within a channel. The times, at the mean
    delay of the channels, differ by at most w; and the difference of the dispersion measures
    changes the delay across the band by at most 3 w. If several candidates match a burst, the
    brightest is taken.

    Parameters
    ----------
    found : Candidates
        Candidates, the brightest first.
    injections : sequence of Injection
        Bursts that were injected.
    late_s : float
        Time from the start of the recording to the first spectrum, s.
    plan : SearchPlan
        Plan of the search.
    live : float
        Number of channels to which bursts were added, as a fraction of all channels.
    """
    match = np.full(len(injections), -1)
    ratio = np.full(len(injections), np.nan)
    free = np.ones(len(found), bool)
    time_s, dm, width = (found.values(name) for name in ("time_s", "dm", "width"))
    recording = plan.dm_plan.recording
    for k in np.argsort([-each.snr for each in injections], kind="stable"):
        each = injections[k]
        smear = recording.smear_s(each.dm, 1 / recording.n_chan)
        wide = np.maximum(width, each.width_s + smear)
        off_s = (dm - each.dm) * recording.unit_s
        late = time_s - late_s - each.time_s + off_s * float(recording.curve.mean())
        near = free & (np.abs(late) <= wide) & (np.abs(off_s) <= 3 * wide)
        if near.any():
            match[k] = int(np.flatnonzero(near)[0])
            free[match[k]] = False
            share = float(found.values("valid_share")[match[k]])
            ratio[k] = float(found.values("snr")[match[k]]) / each.snr / np.sqrt(share / live)
    return Completeness(tuple(injections), match, ratio)
