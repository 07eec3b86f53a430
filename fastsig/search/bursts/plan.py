"""The plan of a search for bursts in given spectra: dispersion measures, rates and widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.pulsar.dm_plan import planned
from fastsig.pulsar.plan import DMPlan
from fastsig.pulsar.plan_table import rows_record
from fastsig.pulsar.stretches import LONGEST_S, Rules, Stretch
from fastsig.work.arguments import shown

if TYPE_CHECKING:
    from fastsig_kernels import Ladder

__all__ = ["SEARCH_SWITCH", "SearchPlan", "joined_record", "search_plan", "share_of", "widths_of"]

#: The rate is halved where the smearing within a channel is at least this many times the smearing
#: that the plan adds. With a larger value, pulses of one or two samples would gain little S/N for
#: the additional computing time.
SEARCH_SWITCH = 1.5
#: Recorded samples of pulses that lose no more than about 5 % of their S/N at any dispersion
#: measure. What they gain costs little, since there are few samples at high dispersion measures.
_RESOLVED = 10.0
#: Ratio of the steps of neighbouring stretches at the same rate. Smaller ratios need fewer
#: dispersion measures, but more stretches.
_GROWTH = 1.5
#: Delays times dispersion measures of a stretch: those at one rate share a tree, so that more and
#: smaller ones would not need less memory.
_STATE = 2e8
_LOSSES = 0.01, 0.2
_THRESHOLDS = 4.0, 100.0
_MOST_SAMPLES = 2**20  # of a boxcar


@dataclass(frozen=True)
class SearchPlan:
    """Dispersion measures in stretches, and the widths of boxcars in each.

    Parameters
    ----------
    dm_plan : DMPlan
        Plan of the dispersion measures.
    widths_s : tuple of float
        Shortest and longest width requested, s; 0 for the shortest that the spectra resolve.
    ladders : tuple of fastsig_kernels.Ladder
        Widths of boxcars in each stretch.
    threshold : float
        Lowest S/N of an event.
    loss : float
        Largest fraction of its S/N that a pulse may lose between two widths, and half a step from
        the nearest dispersion measure.
    removed : float
        Dispersion measure at which dispersion has already been removed within channels, pc cm^-3.
    prompt : bool
        Whether events are found as soon as possible, with more computing time. Levels of channels
        then depend on one segment of the normalisation (0.2 s, or 256 spectra) after a spectrum
        instead of eight, and the noise of the first events of a stream is that of its first second.
    """

    dm_plan: DMPlan
    widths_s: tuple[float, float]
    ladders: tuple[Ladder, ...]
    threshold: float
    loss: float
    removed: float = 0.0
    prompt: bool = False

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Stretches of dispersion measure, ascending."""
        return self.dm_plan.stretches

    @property
    def n_dm(self) -> int:
        """Number of dispersion measures."""
        return self.dm_plan.n_dm

    @property
    def kept(self) -> tuple[float, ...]:
        """For each stretch, smallest fraction of its S/N that a pulse of the shortest width keeps.

        See `kept_at`.
        """
        return self.kept_at(self.widths_s[0] or self.dm_plan.recording.sample_s)

    @property
    def resolved_s(self) -> float:
        """Width of pulses that lose little at any dispersion measure, s: ten spectra."""
        return max(self.widths_s[0], _RESOLVED * self.dm_plan.recording.sample_s)

    def kept_at(self, width_s: float) -> tuple[float, ...]:
        """Return the smallest fraction of its S/N that a pulse keeps, for each stretch.

        The pulse is assumed to be half a step from the nearest dispersion measure. The losses due
        to this offset, to the sampling rate of the stretch and to the deviations of the tree's
        tracks from the dispersion curve are included. The reference is the best boxcar at the full
        rate on the sum of the channels, each delayed exactly. The loss between two widths is not
        included. Neither is the loss due to dispersion within a channel, which widens the pulse of
        the reference too.

        Parameters
        ----------
        width_s : float
            Width (FWHM) of the pulse before the dispersion within a channel widens it, s.
        """
        found = []
        for each in self.stretches:
            off = max(0.0, each.low - self.removed, self.removed - each.high)
            found.append(self.dm_plan.smears_in(each, off, width_s).kept)
        return tuple(found)

    @property
    def n_width(self) -> int:
        """Number of widths in the stretch that has the most."""
        return max(len(each.widths) for each in self.ladders)

    @property
    def longest_s(self) -> float:
        """Length of the longest boxcar, s."""
        return float(max(int(ladder.widths[-1]) * each.sample_s
                         for each, ladder in zip(self.stretches, self.ladders, strict=True)))

    @property
    def reach_s(self) -> float:
        """Largest delay across the band, s."""
        return max(float(each.high) for each in self.stretches) * self.dm_plan.recording.unit_s

    def record(self) -> dict[str, Any]:
        """Return the plan as plain data, for the meta of a table."""
        plan = self.dm_plan
        rows = [{"low_dm": each.low, "high_dm": each.high, "step": each.step, "n_dm": each.n_dm,
                 "downsampling": each.downsampling, "kept": round(kept, 4)}
                for each, kept in zip(self.stretches, self.kept, strict=True)]
        made: Mapping[str, Any] = {
            "threshold": self.threshold, "loss": self.loss, "prompt": self.prompt,
            "low_dm": plan.dms[0], "high_dm": plan.dms[1],
            "shortest_width_s": self.widths_s[0], "longest_width_s": self.widths_s[1],
            "resolved_width_s": self.resolved_s,
            "sample_s": plan.recording.sample_s, "n_chan": plan.recording.n_chan,
            "dispersion_constant": plan.recording.constant,
            "reference_mhz": plan.recording.high_mhz,
            "stretches": [{**row, "kept_resolved": round(kept, 4), "widths": ladder.widths.tolist()}
                          for row, kept, ladder in zip(
                              rows_record(rows), self.kept_at(self.resolved_s), self.ladders,
                              strict=True)]}
        return dict(made)


def joined_record(plans: Sequence[SearchPlan]) -> dict[str, Any]:
    """Return the record of plans for adjacent ranges of dispersion measures, as of one plan."""
    return {**plans[0].record(),
            "low_dm": plans[0].dm_plan.dms[0], "high_dm": plans[-1].dm_plan.dms[1],
            "stretches": [row for each in plans for row in each.record()["stretches"]]}


def search_plan(source: Any, dms: Any = (0, 3000), *, widths: Any = None, threshold: float = 7.0,
                loss: Any = 0.05, constant: Any = None, switch: float = SEARCH_SWITCH,
                prompt: bool = False) -> SearchPlan:
    """Plan a search for bursts.

    Parameters
    ----------
    source : Header, stream or chain
        Spectra, or their header.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    widths : pair of Quantity, or text such as "0.1ms:100ms"
        Shortest and longest width; from one sample to 100 ms by default.
    threshold : float
        Lowest S/N of an event.
    loss : float or str
        Largest fraction of its S/N that a pulse may lose between two widths, and half a step from
        the nearest dispersion measure; text such as ``"5%"`` is allowed.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
    switch : float
        The rate is halved where two conditions are met: the smearing within a channel is at least
        `switch` times the smearing that the plan adds, as for `fastsig.dm_plan`; and a pulse of ten
        spectra (or of the shortest width, if this is longer), widened by the smearing within a
        channel, spans at least ``2 switch`` samples at half the rate.
    prompt : bool
        Whether events are to be found as soon as possible, as for `SearchPlan`.

    Raises
    ------
    UsageError
        If a value is out of range, or as for `fastsig.dm_plan`.
    """
    share = share_of(loss)
    if isinstance(threshold, bool) or not _THRESHOLDS[0] <= threshold <= _THRESHOLDS[1]:
        raise UsageError(f"threshold = {shown(threshold)}; allowed: {_THRESHOLDS[0]:g} to "
                         f"{_THRESHOLDS[1]:g}, in units of the noise")
    short, long = widths_of(widths)
    plan = _measures(source, dms, width=None if not short else f"{short!r}s", loss=share,
                     constant=constant, rules=Rules(switch, _RESOLVED, _GROWTH, _STATE))
    made = tuple(_ladder(each, long, share) for each in plan)
    return SearchPlan(plan, (short, long), made, float(threshold), share,
                      _removed(source) or 0.0, bool(prompt))


def _measures(source: Any, dms: Any, **options: Any) -> DMPlan:
    """Return the dispersion measures of a search.

    If dispersion was removed within channels at one measure, only the difference from this one
    smears pulses, below it and above.
    """
    removed = _removed(source)
    if not removed:
        return planned(source, dms, **options)
    header = _header(source)
    usual = planned(header.replace(coherent_dm=None), dms, **options)
    low, high = usual.dms
    reach = max(abs(low - removed), abs(high - removed))
    off = planned(header.replace(coherent_dm=None), (0, reach), **options)
    made = [*(_mirrored(each, removed) for each in reversed(off.stretches)),
            *(replace(each, low=each.low + removed) for each in off.stretches)]
    parts = tuple(part for each in made if (part := _within(each, low, high)) is not None)
    return replace(usual, stretches=_ascending(parts))


def _header(source: Any) -> Any:
    return getattr(getattr(source, "stream", source), "header", source)


def _removed(source: Any) -> float | None:
    """Return the dispersion measure that was removed within channels."""
    found: float | None = getattr(_header(source), "coherent_dm", None)
    return found


def _mirrored(stretch: Stretch, middle: float) -> Stretch:
    """Return a stretch of differences as one of measures below the middle."""
    return replace(stretch, low=middle - stretch.high)


def _within(stretch: Stretch, low: float, high: float) -> Stretch | None:
    """Return the measures of a stretch between two limits, to half a step beyond them."""
    kept = np.flatnonzero((stretch.dms >= low - stretch.step / 2)
                          & (stretch.dms <= high + stretch.step / 2) & (stretch.dms >= 0))
    if not kept.size:
        return None
    return replace(stretch, low=float(stretch.dms[kept[0]]), n_dm=len(kept))


def _ascending(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """Return stretches without measures at which the preceding stretch ends."""
    found: list[Stretch] = []
    for each in stretches:
        if found and each.low <= found[-1].high:
            each = replace(each, low=each.low + each.step, n_dm=each.n_dm - 1)
        if each.n_dm:
            found.append(each)
    return tuple(found)


def share_of(loss: Any) -> float:
    """Return a loss as a fraction: a number, or text such as ``"5%"``.

    Raises
    ------
    UsageError
        If the value is neither of these, or out of range.
    """
    try:
        is_percent = isinstance(loss, str) and loss.strip().endswith("%")
        share = float(loss.strip()[:-1]) / 100 if is_percent else float(loss)
    except (TypeError, ValueError):
        share = np.nan
    if isinstance(loss, bool) or not _LOSSES[0] <= share <= _LOSSES[1]:
        raise UsageError(f"loss = {shown(loss)}; allowed: {_LOSSES[0]:g} to {_LOSSES[1]:g}, or "
                         "percent such as 5%")
    return share


def widths_of(widths: Any) -> tuple[float, float]:
    """Return the shortest and longest width, s, of a pair or of text such as ``"0.1ms:100ms"``.

    Raises
    ------
    UsageError
        If the widths are neither of these, or out of range.
    """
    if widths is None:
        return 0.0, 0.1
    parts = widths.split(":") if isinstance(widths, str) else widths
    try:
        first, last = parts
    except (TypeError, ValueError) as error:
        raise UsageError(f"width = {shown(widths)}; allowed: the shortest and the longest, such as "
                         "0.1ms:100ms") from error
    short, long = number(first, "s", "width"), number(last, "s", "width")
    if not 0 <= short <= long < LONGEST_S or not long:
        raise UsageError(f"width = {shown(widths)}; allowed: two ascending times, such as "
                         "0.1ms:100ms")
    return short, long


def _ladder(stretch: Stretch, long: float, loss: float) -> Ladder:
    """Return the widths of a stretch."""
    from fastsig_kernels import boxcar_ladder

    longest = max(1, round(long / stretch.sample_s))
    if longest > _MOST_SAMPLES:
        raise UsageError(f"width = {long:g} s is {longest} samples; allowed: up to {_MOST_SAMPLES}")
    return boxcar_ladder(loss, longest)
