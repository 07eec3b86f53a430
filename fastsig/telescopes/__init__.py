"""Telescopes: their positions and the properties of their receivers, without the network.

Values are stored in tables beside the code, with their sources. Other packages add telescopes as
entry points of the group ``fastsig.telescopes``, one `Telescope` per entry point.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import astropy.units as u

from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.plugins import plugins
from fastsig.telescopes.receiver import DiodeMode, Receiver, read_table
from fastsig.work.shown import Shown

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["DiodeMode", "Receiver", "Telescope", "get", "names"]


@dataclass(frozen=True, repr=False)
class Telescope(Shown):
    """A telescope at one of its published positions.

    Parameters
    ----------
    name, full_name : str
        The name in headers, and the full name.
    itrf_m : tuple of float
        X, Y, Z in the terrestrial frame, m.
    source : str
        Source of the position.
    site : str
        Name of this position among the published ones.
    aliases : tuple of str
        Other names in headers.
    tempo, itoa : str or None
        Codes of the telescope in timing programs.
    sigproc : int or None
        SIGPROC's telescope_id.
    receivers : mapping
        Callables that return a `Receiver`, by the name of the receiver; the first is the default.
    """

    name: str
    full_name: str
    itrf_m: tuple[float, float, float]
    source: str
    site: str = "timing"
    aliases: tuple[str, ...] = ()
    tempo: str | None = None
    itoa: str | None = None
    sigproc: int | None = None
    receivers: Mapping[str, Callable[..., Receiver]] = field(default_factory=dict)
    api: int = 1

    @property
    def location(self) -> EarthLocation:
        """The position as an `EarthLocation`."""
        from astropy.coordinates import EarthLocation  # 0.2 s that names and codes do not need

        return EarthLocation.from_geocentric(*self.itrf_m, unit=u.m)

    def receiver(self, name: str | None = None, **options: Any) -> Receiver:
        """Return a receiver by its name; by default, the first.

        Raises
        ------
        UsageError
            If no receiver of that name is known for the telescope, or the receiver has no such
            option.
        """
        known = {key.casefold(): key for key in self.receivers}
        key = next(iter(known), "") if name is None else name.casefold()
        if key not in known:
            listed = ", ".join(self.receivers) or "none"
            raise UsageError(f"no values are known for receiver {name or '(default)'} of "
                             f"{self.name}; allowed: {listed}")
        try:
            return self.receivers[known[key]](**options)
        except TypeError as error:
            raise UsageError(f"receiver {known[key]} of {self.name}: {error}") from error


def _load(place: str, **options: Any) -> Receiver:
    module, _, attribute = place.partition(":")
    receiver: Receiver = getattr(import_module(module), attribute)(**options)
    return receiver


def _own(name: str, row: Mapping[str, Any], site: str) -> Telescope:
    return Telescope(
        name, row["full_name"], tuple(row["sites"][site]["itrf_m"]), row["sites"][site]["source"],
        site, tuple(row.get("aliases", ())), row.get("tempo"), row.get("itoa"), row.get("sigproc"),
        {key: partial(_load, place) for key, place in row.get("receivers", {}).items()},
    )


@cache
def _telescopes() -> dict[str, dict[str, Telescope]]:
    """Return all telescopes: name -> site -> telescope, the default site first."""
    found = {name: {site: _own(name, row, site) for site in row["sites"]}
             for name, row in read_table("sites.toml").items()}
    for name, item in plugins("fastsig.telescopes").items():
        if isinstance(item, Telescope):
            found[item.name] = {item.site: item}
        else:
            warnings.warn(f"plug-in {name} of fastsig.telescopes is left out: it is not a "
                          "Telescope", FastsigWarning, stacklevel=users_line())
    return found


@cache
def _called() -> dict[str, str]:
    """Return a mapping from case-folded names and aliases to names."""
    sites = _telescopes().values()
    every = [next(iter(each.values())) for each in sites]
    aliases = {alias.casefold(): each.name for each in every for alias in each.aliases}
    return aliases | {each.name.casefold(): each.name for each in every}


def names() -> tuple[str, ...]:
    """Return the names of all telescopes."""
    return tuple(_telescopes())


def get(name: str, site: str | None = None) -> Telescope:
    """Return a telescope by its name or by an alias used in headers; case does not matter.

    Parameters
    ----------
    name : str
        Name or alias of the telescope.
    site : str, optional
        Name of a published position, if there are several: for FAST, ``"timing"`` (the default) or
        ``"header"``, which is 28.7 m above it.

    Raises
    ------
    UsageError
        If there is no such telescope or position.
    """
    key = _called().get(str(name).strip().casefold())
    if key is None:
        raise UsageError(f"no telescope is called {name!r}; there are {', '.join(names())}")
    sites = _telescopes()[key]
    if site is None:
        return next(iter(sites.values()))
    if site not in sites:
        raise UsageError(f"site = {site!r} of {key}; allowed: {', '.join(sites)}")
    return sites[site]
