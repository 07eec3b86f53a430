"""Names of the time series that a step makes for several dispersion measures."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["series_of"]


def series_of(words: Sequence[str], plan: str | None, output: str) -> list[str] | None:
    """Return the names of the .dat files of ``dedisperse``; None if it makes one product.

    Parameters
    ----------
    words : sequence of str
        Options of the step as words of the command line, such as ``--dm=0:100:1``.
    plan : str or None
        Path of the plan of dispersion measures.
    output : str
        Name that is given to the output.

    Raises
    ------
    UsageError
        If a dispersion measure is not allowed.
    FormatError, DataError
        If the plan cannot be read.
    """
    options = {key: value for key, _, value in (word.partition("=") for word in words)}
    dms = options.get("--dm", "")
    if (plan is None and ":" not in dms and "," not in dms) or not (
            options.get("--to") == "presto" or output.lower().endswith(".dat")):
        return None
    from fastsig.io.presto.many import series_names
    from fastsig.stages.planes import dms_of

    if plan is None:
        return series_names(output, dms_of(dms if ":" in dms else dms.split(","), "dm"))
    from fastsig.run.plan_files import read_plan

    return [name for each in read_plan(plan) for name in series_names(output, each.dms)]

