"""Whether polycos are for the place at which the times of a stream were taken."""

from __future__ import annotations

import warnings

from fastsig import telescopes
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.predictors import Predictor
from fastsig.stream import Stream

__all__ = ["check_place"]

#: Names of the barycentre in TEMPO, tempo2 and PINT.
_BARYCENTRE = ("@", "bat", "ssb", "bary", "barycenter", "barycentre")


def check_place(stream: Stream, predictor: Predictor) -> None:
    """Refuse barycentric times with polycos of a telescope, and warn of those of another place.

    Warns
    -----
    FastsigWarning
        If times are not stated to be barycentric but polycos are for the barycentre, or they are
        for a telescope that is known and is not that of the stream.

    Raises
    ------
    PlanError
        If the times of the stream are barycentric, and the polycos are for a telescope.
    """
    if not isinstance(predictor, Polyco):
        return
    name, site = predictor.path or f"polyco of {predictor.source}", predictor.site
    central = site.casefold() in _BARYCENTRE
    if stream.header.barycentric:
        if not central:
            raise PlanError(f"{stream.path}: its times are barycentric, and {name} is for site "
                            f"{site or '(none)'}; allowed: polycos of the barycentre (@), a "
                            "period, or the data before they were moved to the barycentre")
        return
    here, there = _telescope(stream.header.telescope), _telescope(site)
    if central or (here and there and here != there):
        where = "the barycentre" if central else there
        warnings.warn(f"{name}: its polycos are for {where} (site {site}), and the times of "
                      f"{stream.path} are those of {here or 'a telescope'}", FastsigWarning,
                      stacklevel=users_line())


def _telescope(name: str | None) -> str | None:
    """Return the name of a telescope by one of its names or codes; None if it is not known."""
    if not name:
        return None
    try:
        return telescopes.get(name).name
    except UsageError:
        return next((each for each in telescopes.names()
                     if name in (telescopes.get(each).tempo, telescopes.get(each).itoa)), None)
