"""Coherent searches of voltages: the dispersion within channels is removed.

Each search removes the dispersion within channels exactly at one dispersion measure, its coarse
dispersion measure. At neighbouring ones, a pulse remains smeared by the delay across a channel that
corresponds to the difference. The coarse dispersion measures are so closely spaced that this
smearing causes no greater loss of S/N than the steps of the search.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, hypot
from typing import Any

from fastsig.axes.units import number, whole
from fastsig.errors import UsageError
from fastsig.pulsar import smearing
from fastsig.pulsar.dm_plan import dm_limits
from fastsig.search.bursts.plan import SearchPlan, search_plan, share_of, widths_of
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detect import Detect
from fastsig.stages.integrate import Integrate
from fastsig.stream import SpectrumStream, VoltageStream, spectra_of

__all__ = ["Coarse", "coarse_searches"]

_MOST = 256  # coarse dispersion measures


@dataclass(frozen=True)
class Coarse:
    """Spectra and the plan of their search.

    In spectra that are made from voltages, the dispersion within channels has been removed.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra to search.
    plan : SearchPlan
        Plan of the search. For spectra that are made from voltages, its dispersion measures are
        those around the coarse one.
    """

    stream: SpectrumStream
    plan: SearchPlan


def coarse_searches(stream: VoltageStream, dms: Any, n_chan: int, *, time: Any = None,
                    widths: Any = None, loss: Any = 0.05, constant: Any = None, **options: Any
                    ) -> list[Coarse]:
    """Return the searches of voltages, one for each coarse dispersion measure, ascending.

    Parameters
    ----------
    stream : VoltageStream
        Voltages.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    n_chan : int
        Number of channels into which each channel of the voltages is divided.
    time : Quantity or str, optional
        Integration time of the spectra; by default, half of the shortest width, or one sample of a
        channel if no widths are given.
    widths, loss, constant, **options
        As for `search_plan`.

    Raises
    ------
    UsageError
        If an argument is not allowed, or more than 256 coarse measures are needed.
    PlanError, FormatError
        If the voltages are too short, or their frequencies are not known.
    """
    low, high = dm_limits(dms)
    short, share = widths_of(widths)[0], share_of(loss)
    n_chan = whole("n_chan", n_chan)
    given = {"widths": widths, "loss": share, "constant": constant, **options}
    n_int = _n_int(spectra_of(_powers(stream, low, n_chan, constant, 1)), time, short)
    first = _powers(stream, low, n_chan, constant, n_int)
    half = _half(search_plan(first, (low, low), **given), short, share)
    n = max(1, ceil((high - low) / (2 * half)))
    if n > _MOST:
        raise UsageError(f"dms = {low:g}:{high:g} requires {n} coarse dispersion measures; "
                         f"allowed: up to {_MOST}, with a narrower range, wider pulses or more "
                         "channels")
    edges = [low + (high - low) * k / n for k in range(n + 1)]
    made = []
    for lower, upper in pairwise(edges):
        spectra = _powers(stream, (lower + upper) / 2, n_chan, constant, n_int)
        made.append(Coarse(spectra, search_plan(spectra, (lower, upper), **given)))
    return made


def _powers(stream: VoltageStream, dm: float, n_chan: int, constant: Any, n_int: int
            ) -> SpectrumStream:
    """Return the total intensity without dispersion within channels."""
    made = spectra_of(Detect(DedisperseVoltages(stream, dm, n_chan=n_chan, constant=constant),
                             "I"))
    return made if n_int == 1 else Integrate(made, n_int=n_int, last="drop")


def _n_int(spectra: SpectrumStream, time: Any, short: float) -> int:
    sample_s = 1 / float(spectra.header.sample_rate)
    wanted = short / 2 if time is None else number(time, "s", "time")
    return max(1, round(wanted / sample_s))


def _half(plan: SearchPlan, short: float, share: float) -> float:
    """Return the difference of dispersion measures that costs a pulse its share in a channel."""
    recording = plan.dm_plan.recording
    width = hypot(short, recording.sample_s)
    return float(smearing.off_dm(1 - share) * width / recording.smear_s(1.0, 1 / recording.n_chan))
