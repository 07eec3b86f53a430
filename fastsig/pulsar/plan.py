"""A plan of dispersion measures: stretches, effects that widen a pulse, S/N and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import hypot, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.errors import UsageError
from fastsig.pulsar import smearing
from fastsig.pulsar.costs import measured_rate, tree_cost
from fastsig.pulsar.stretches import Recording, Stretch

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["Cost", "DMPlan", "Smears"]

#: FWHM of a Gaussian divided by its standard deviation.
_FWHM = sqrt(8 * log(2))
#: FWHM of the Gaussian with the rms of a sample, in samples.
_BOX = _FWHM / sqrt(12)
_DM = "pc / cm3"


@dataclass(frozen=True)
class Smears:
    """Widths (s) that are added to a pulse at a dispersion measure, and the remaining S/N.

    Parameters
    ----------
    sample, downsampled : float
        Duration of a recorded and of a downsampled spectrum.
    channel : float
        Delay across a channel at the middle of the band.
    step : float
        Delay across the band for half a step of the plan.
    tree : float
        Width of the misalignment of channels by the tree: 2.355 times its rms.
    kept_step, kept_rate, kept_tree : float
        S/N of a pulse divided by its S/N without the error of half a step, without downsampling,
        and with aligned channels, respectively; `kept_tree` is that of the worst track.
    """

    sample: float
    downsampled: float
    channel: float
    step: float
    tree: float
    kept_step: float
    kept_rate: float
    kept_tree: float

    @property
    def total(self) -> float:
        """Square root of the sum of the squares of the five widths."""
        return hypot(self.sample, self.downsampled, self.channel, self.step, self.tree)

    @property
    def kept(self) -> float:
        """Product of the three fractions of the S/N that are kept."""
        return self.kept_step * self.kept_rate * self.kept_tree


@dataclass(frozen=True)
class Cost:
    """Cost of the sums over channels by trees, on one thread of this machine.

    Parameters
    ----------
    n_addition_per_s : float
        Number of additions for a second of data.
    rate_per_s : float
        Additions per second of the kernel, measured in a short trial.
    memory_bytes : int
        Memory used by all trees together, bytes.
    """

    n_addition_per_s: float
    rate_per_s: float
    memory_bytes: int

    @property
    def load(self) -> float:
        """Seconds of one thread for a second of data; reading and downsampling are not included."""
        return self.n_addition_per_s / self.rate_per_s


@dataclass(frozen=True)
class DMPlan:
    """Dispersion measures to search, in stretches with one step and one downsampling each.

    Iteration yields the stretches in ascending order of dispersion measure, each with ``dms``,
    ``downsampling`` and ``delays`` (of the lowest channel after the highest, in downsampled
    spectra). `fastsig.dm_plan` makes such plans.

    Parameters
    ----------
    recording : Recording
        Band, channels and sample time.
    dms : tuple of float
        Lowest and highest dispersion measure requested, pc cm^-3.
    width_s : float
        Width of the pulses, s; 0 if they may be as narrow as the spectra resolve.
    loss : float
        Largest fraction of the S/N that is lost half a step from the nearest dispersion measure.
    stretches : tuple of Stretch
        Stretches, in ascending order of dispersion measure.
    """

    recording: Recording
    dms: tuple[float, float]
    width_s: float
    loss: float
    stretches: tuple[Stretch, ...]

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self.stretches)

    def __len__(self) -> int:
        return len(self.stretches)

    @property
    def n_dm(self) -> int:
        """Number of dispersion measures of all stretches."""
        return sum(each.n_dm for each in self)

    def smears(self, dm: float, width_s: float | None = None) -> Smears:
        """Return the effects that widen a pulse at a dispersion measure, and the remaining S/N.

        Parameters
        ----------
        dm : float
            Dispersion measure within the plan, pc cm^-3.
        width_s : float, optional
            Width (FWHM) of the pulse, s; by default, that of the plan or, if that is 0, one sample.
        """
        return self.smears_in(self._stretch(dm), dm, width_s)

    def smears_in(self, made: Stretch, dm: float, width_s: float | None = None) -> Smears:
        """Return the result of `smears` for a given stretch.

        Parameters
        ----------
        made : Stretch
            A stretch of the plan.
        dm : float
            Dispersion measure that remains within the channels, pc cm^-3.
        width_s : float, optional
            As for `smears`.
        """
        sample, coarse = self.recording.sample_s, made.sample_s
        pulse = hypot(width_s or self.width_s or sample, made.channel_smear_s(dm))
        jitter, worst = (coarse * each for each in (
            tree_cost(made).jitter, tree_cost(made).worst))
        return Smears(
            sample, coarse, made.channel_smear_s(dm), made.step_smear_s, _FWHM * jitter,
            kept_step=smearing.kept_off_dm(made.step_smear_s, hypot(pulse, coarse)),
            kept_rate=smearing.kept_by_bins(pulse, coarse, sample),
            kept_tree=smearing.kept_by_jitter(hypot(pulse, _BOX * coarse), worst))

    def _stretch(self, dm: float) -> Stretch:
        half = [each.high + each.step / 2 for each in self]
        index = int(np.searchsorted(half, dm * (1 - 1e-9)))
        if not self.dms[0] <= dm <= max(self.dms[1], half[-1]):
            raise UsageError(f"dm = {dm:g}; allowed: within the plan, {self.dms[0]:g} to "
                             f"{self.dms[1]:g} pc cm^-3")
        return self.stretches[min(index, len(half) - 1)]

    @cached_property
    def cost(self) -> Cost:
        """Cost on one thread of this machine; a trial of the kernel takes 0.1 s."""
        found = [tree_cost(each) for each in self]
        return Cost(sum(tree.n_addition / each.sample_s
                        for tree, each in zip(found, self, strict=True)),
                    measured_rate(), sum(tree.memory_bytes for tree in found))

    def table(self) -> QTable:
        """Return a table with a row for each stretch, with units and descriptions."""
        from fastsig.pulsar.plan_table import rows_table

        return rows_table([self._row(each) for each in self], self._requested())

    @classmethod
    def from_table(cls, table: QTable) -> DMPlan:
        """Return the plan from a table that `table` returned.

        Raises
        ------
        UsageError
            If the table has no rows, or a value is out of range.
        """
        meta = table.meta
        recording = Recording(
            float(meta["low_mhz"]), float(meta["high_mhz"]), int(meta["n_chan"]),
            float(meta["sample_s"]), float(meta["dispersion_constant"]))
        found = tuple(
            Stretch(recording, float(row["low_dm"].to_value(_DM)),
                    float(row["step"].to_value(_DM)), int(row["n_dm"]), int(row["downsampling"]))
            for row in table)
        if not found or not (0 < recording.low_mhz < recording.high_mhz
                             and recording.n_chan > 1 and recording.sample_s > 0):
            raise UsageError("the band or the stretches of the plan are missing or out of range")
        for each in found:
            if not (each.low >= 0 and each.step > 0 and each.n_dm > 0 and each.downsampling > 0):
                raise UsageError(f"the stretch at DM {each.low:g} has values out of range")
        return cls(recording, (float(meta["low_dm"]), float(meta["high_dm"])),
                   float(meta["width_s"] or 0), float(meta["loss"]), found)

    def record(self) -> dict[str, Any]:
        """Return the plan for JSON: requested values, stretches and cost."""
        from fastsig.pulsar.plan_table import rows_record

        return {
            **self._requested(),
            "n_dm": self.n_dm,
            "stretches": rows_record([self._row(each) for each in self]),
            "cost": {"additions_per_second_of_data": self.cost.n_addition_per_s,
                     "additions_per_s_measured": self.cost.rate_per_s,
                     "threads_for_real_time": self.cost.load,
                     "memory_bytes": self.cost.memory_bytes},
        }

    def _requested(self) -> dict[str, Any]:
        made = self.recording
        return {
            "low_dm": self.dms[0], "high_dm": self.dms[1], "width_s": self.width_s or None,
            "loss": self.loss, "dispersion_constant": made.constant, "n_chan": made.n_chan,
            "low_mhz": made.low_mhz, "high_mhz": made.high_mhz, "sample_s": made.sample_s,
        }

    def _row(self, stretch: Stretch) -> dict[str, Any]:
        """Return a stretch as a row of the table."""
        low, high = self.smears(stretch.low), self.smears(stretch.high)
        tree, subbands = tree_cost(stretch), stretch.subbands
        return {
            "low_dm": stretch.low, "high_dm": stretch.high, "step": stretch.step,
            "downsampling": stretch.downsampling, "n_dm": stretch.n_dm,
            "sample": low.sample * 1e3, "downsampled": low.downsampled * 1e3,
            "channel_low": low.channel * 1e3, "channel_high": high.channel * 1e3,
            "step_smear": low.step * 1e3, "tree_smear": low.tree * 1e3, "total": high.total * 1e3,
            "kept_step": low.kept_step, "kept_rate": low.kept_rate, "kept_tree": low.kept_tree,
            "kept": low.kept, "n_subband": subbands.n_subband, "subband_step": subbands.step,
            "subband_smear": subbands.smear_s * 1e3, "additions_tree": tree.n_addition,
            "additions_subbands": subbands.n_addition, "memory": tree.memory_bytes / 1e6,
        }

    def __repr__(self) -> str:
        rows = [f"  {each.low:g} to {each.high:g} by {each.step:g}, downsampling "
                f"{each.downsampling}, {each.n_dm} DMs" for each in self]
        return "\n".join([f"<DMPlan of {self.n_dm} DMs, pc cm^-3", *rows]) + ">"
