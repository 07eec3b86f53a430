"""A plan of dispersion measures as a table, and as a record for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from fastsig.pulsar.costs import tree_cost
from fastsig.pulsar.stretches import Stretch

if TYPE_CHECKING:
    from fastsig.pulsar.dm_plan import DMPlan

__all__ = ["plan_record", "plan_table"]

#: Columns: unit, None for whole numbers, and description.
_COLUMNS: dict[str, tuple[str | None, str]] = {
    "low_dm": ("pc / cm3", "first dispersion measure"),
    "high_dm": ("pc / cm3", "last dispersion measure"),
    "step": ("pc / cm3", "step"),
    "downsampling": (None, "number of spectra that are summed first"),
    "n_dm": (None, "number of dispersion measures"),
    "sample": ("ms", "time of a recorded spectrum"),
    "downsampled": ("ms", "time of a downsampled spectrum"),
    "channel_low": ("ms", "delay across a channel at the middle of the band, at low_dm"),
    "channel_high": ("ms", "delay across a channel at the middle of the band, at high_dm"),
    "step_smear": ("ms", "delay across the band for half a step"),
    "tree_smear": ("ms", "width of the misalignment of channels by the tree"),
    "total": ("ms", "square root of the sum of the squares of the widths, at high_dm"),
    "kept_step": ("", "S/N of the pulse half a step off, relative to its own DM, at low_dm"),
    "kept_rate": ("", "S/N of the pulse after downsampling, relative to before, at low_dm"),
    "kept_tree": ("", "S/N of the pulse in the tree, relative to aligned channels, at low_dm"),
    "kept": ("", "product of the three, at low_dm"),
    "n_subband": (None, "subbands that need the fewest additions"),
    "subband_step": ("pc / cm3", "step of the dispersion measures of the subbands"),
    "subband_smear": ("ms", "delay across a subband for half of its step"),
    "additions_tree": (None, "additions of a tree for each downsampled spectrum"),
    "additions_subbands": (None, "additions of two stages by subbands, as additions_tree"),
    "memory": ("MB", "memory of a tree"),
}


def _row(plan: DMPlan, stretch: Stretch) -> dict[str, Any]:
    low, high = plan.smears(stretch.low), plan.smears(stretch.high)
    tree, subbands = tree_cost(stretch), stretch.subbands
    return {
        "low_dm": stretch.low, "high_dm": stretch.high, "step": stretch.step,
        "downsampling": stretch.downsampling, "n_dm": stretch.n_dm, "sample": low.sample * 1e3,
        "downsampled": low.downsampled * 1e3, "channel_low": low.channel * 1e3,
        "channel_high": high.channel * 1e3, "step_smear": low.step * 1e3,
        "tree_smear": low.tree * 1e3, "total": high.total * 1e3, "kept_step": low.kept_step,
        "kept_rate": low.kept_rate, "kept_tree": low.kept_tree, "kept": low.kept,
        "n_subband": subbands.n_subband, "subband_step": subbands.step,
        "subband_smear": subbands.smear_s * 1e3, "additions_tree": tree.n_addition,
        "additions_subbands": subbands.n_addition, "memory": tree.memory_bytes / 1e6,
    }


def _requested(plan: DMPlan) -> dict[str, Any]:
    made = plan.recording
    return {
        "low_dm": plan.dms[0], "high_dm": plan.dms[1], "width_s": plan.width_s or None,
        "loss": plan.loss, "dispersion_constant": made.constant, "n_chan": made.n_chan,
        "low_mhz": made.low_mhz, "high_mhz": made.high_mhz, "sample_s": made.sample_s,
    }


def plan_table(plan: DMPlan) -> QTable:
    """Return a table with a row for each stretch, with units and descriptions."""
    rows = [_row(plan, each) for each in plan]
    table = QTable()
    for name, (unit, text) in _COLUMNS.items():
        values = np.array([row[name] for row in rows])
        table[name] = values if unit is None else values << u.Unit(unit)
        table[name].info.description = text
    table.meta.update(_requested(plan))
    return table


def plan_record(plan: DMPlan) -> dict[str, Any]:
    """Return a plan for JSON: requested values, stretches and cost."""
    cost = plan.cost
    units = {"ms": "_ms", "MB": "_mb"}
    return {
        **_requested(plan),
        "n_dm": plan.n_dm,
        "stretches": [{name + units.get(_COLUMNS[name][0] or "", ""): value
                       for name, value in _row(plan, each).items()} for each in plan],
        "cost": {"additions_per_second_of_data": cost.n_addition_per_s,
                 "additions_per_s_measured": cost.rate_per_s,
                 "threads_for_real_time": cost.load, "memory_bytes": cost.memory_bytes},
    }
