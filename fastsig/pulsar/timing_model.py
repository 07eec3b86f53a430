"""A pulsar's timing model from a par file, computed with PINT and without the network.

PINT looks for kernels and clock files on the network. Here, PINT is given a telescope without clock
files, the kernel of an installed package, and astropy's installed tables of the Earth.

References
----------
J. Luo et al., ApJ 911, 45 (2021): PINT.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from math import isfinite
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig.errors import (
    FastsigError,
    FastsigWarning,
    FormatError,
    UsageError,
    unreadable,
    users_line,
)
from fastsig.pulsar.clocks import Clocks, files_of
from fastsig.telescopes import Telescope, earth
from fastsig.telescopes.kernels import Kernel

__all__ = ["TimingModel"]

Array = NDArray[np.float64]

_UNREAD = "Unrecognized parfile line"


class TimingModel:
    """The timing model of a par file at a telescope.

    Parameters
    ----------
    path : path
        Par file.
    telescope : Telescope
    kernel : Kernel
        Ephemeris of the solar system, used whatever EPHEM of the par file says.
    clock_dir : path, optional
        Folder of clock files.

    Raises
    ------
    UsageError
        If PINT is not installed.
    FormatError
        If the par file cannot be read, has no F0, or has a binary model that PINT does not know.
    """

    def __init__(self, path: str | PathLike[str], telescope: Telescope, kernel: Kernel,
                 clock_dir: str | PathLike[str] | None = None) -> None:
        if find_spec("pint") is None:
            raise UsageError('par files require PINT: pip install "fastsig[pulsar]"')
        self.path, self.telescope, self.kernel = fspath(path), telescope, kernel
        with _quiet(), self._named():
            self.model, unread = _read(self.path)
            known = _observatory(telescope.itoa or telescope.name)
            self._clocks = Clocks(clock_dir, files_of(known, self._clock))
            self._site = _without_clocks(telescope.name, telescope.location)
            self._move_zero()
        if unread:
            warnings.warn(FastsigWarning(f"{path}: PINT does not know {', '.join(unread)[:200]}"),
                          stacklevel=users_line())

    @property
    def source(self) -> str:
        """Name of the pulsar; if the file states none, the name of the file."""
        return str(self.model.PSR.value or Path(self.path).stem)

    @property
    def dm(self) -> float | None:
        """Dispersion measure, pc cm^-3."""
        found = getattr(self.model, "DM", None)
        return None if found is None or found.value is None else float(found.value)

    @property
    def f0(self) -> float:
        """Frequency of rotation at the epoch of the par file, Hz."""
        return float(self.model.F0.value)

    def phases(self, times: Time, mhz: float) -> tuple[list[int], Array]:
        """Return whole turns and the fraction of a turn at times at the telescope."""
        with self._ready():
            phase = self.model.phase(self._toas(times, mhz))
        return [int(each) for each in np.asarray(phase.int.value)], np.asarray(
            phase.frac.value, np.float64)

    def dopplers(self, times: Time) -> Array:
        """Return 1 - f / f_b, with frequencies at the telescope and at the barycentre."""
        with self._ready():
            barycentric = self.model.barycentric_radio_freq(self._toas(times, 1000.0))
        return np.asarray(1 - 1000 / barycentric.to_value("MHz"), np.float64)

    def orbits(self, times: Time) -> tuple[Array, float] | None:
        """Return the phase of a binary orbit at given times, turns, and its frequency, 1/day."""
        if not self.model.is_binary:
            return None
        with self._ready():
            phase = self.model.orbital_phase(self._toas(times, np.inf), radians=False)
            period = self.model.pb()[0].to_value("d")
        return np.asarray(phase, np.float64), float(1 / period)

    def parameters(self, last: Time) -> dict[str, Any]:
        """Return what sets the phases besides the par file: versions, kernel, clock, Earth."""
        return {"pint": metadata.version("pint-pulsar"), "kernel": self.kernel.name,
                "kernel_of": self.kernel.origin, "ephem_of_par": self.model.EPHEM.value,
                "earth": f"astropy-iers-data {metadata.version('astropy-iers-data')}: "
                         f"{earth.accuracy(last)[1]}",
                "clk_of_par": self._clock, **self._clocks.parameters()}

    @property
    def _clock(self) -> str | None:
        found: str | None = self.model.CLOCK.value
        return found

    @cached_property
    def _ephem(self) -> str:
        return self.kernel.name.lower()

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """A context in which PINT uses the kernel and the installed tables."""
        from astropy.coordinates import solar_system_ephemeris
        from pint import solar_system_ephemerides

        solar_system_ephemerides.loaded_ephems[self._ephem] = self.kernel.path
        with (_quiet(), self._named(), earth.offline(),
              solar_system_ephemeris.set(self.kernel.path)):
            yield

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A context in which any error of PINT becomes a `FormatError` with the name of the file.

        Raises
        ------
        FormatError
            For any error that is not of this package.
        """
        try:
            yield
        except FastsigError:
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise FormatError(self.path, f"PINT: {text}") from error

    def _toas(self, times: Time, mhz: float) -> Any:
        from pint.toa import get_TOAs_array

        late = TimeDelta(self._clocks.seconds(times), format="sec", scale="tai")
        return get_TOAs_array((times.tai + late).utc, self._site, freqs=mhz * u.MHz,
                              ephem=self._ephem, include_bipm=False,
                              planets=bool(self.model.PLANET_SHAPIRO.value))

    def _move_zero(self) -> None:
        """Give the time of phase 0, if it is at a telescope, a telescope without clock files."""
        from pint.observatory.topo_obs import TopoObs

        if "AbsPhase" not in self.model.components:
            return
        name = self.model.TZRSITE.value
        site = _observatory(name)
        if site is None:
            raise FormatError(self.path, f"TZRSITE = {name}: PINT does not know this telescope")
        if not isinstance(site, TopoObs):  # the barycentre, or the centre of the Earth
            return
        if self._clocks.parameters().get("clock_files_not_applied") is None:
            zero = self.model.TZRMJD
            own = Clocks(self._clocks.folder, files_of(site, self._clock))
            zero.quantity = zero.quantity + own.seconds(zero.quantity) * u.s
        self.model.TZRSITE.value = _without_clocks(site.name, site.location)


def _read(path: str) -> tuple[Any, list[str]]:
    """Return PINT's model, and the lines of the file that it does not know."""
    from pint.models import get_model

    try:
        with open(path, encoding="utf-8") as file:
            file.read(1)
    except OSError as error:
        raise unreadable(path, error) from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = get_model(path)
    _check(path, model)
    return model, [str(each.message).partition(_UNREAD)[2].strip(" '") for each in caught
                   if _UNREAD in str(each.message)]


def _check(path: str, model: Any) -> None:
    frequency = float(model.F0.value or 0) if "Spindown" in model.components else 0.0
    if not (isfinite(frequency) and frequency > 0):
        raise FormatError(path, f"F0 = {frequency or 'missing'}; allowed: a frequency above 0 Hz")
    dm = getattr(model, "DM", None)
    if dm is not None and dm.value is not None and not isfinite(dm.value):
        raise FormatError(path, f"DM = {dm.value}; allowed: a finite number")


def _observatory(name: str) -> Any:
    """Return PINT's entry for a telescope, which lists its clock files; None if it has none.

    For a name that it does not know, PINT would query the network.
    """
    from pint.observatory import Observatory, get_observatory

    aliases = Observatory.names_and_aliases()
    known = {each.lower() for key, more in aliases.items() for each in (key, *more)}
    return get_observatory(name) if name.lower() in known else None


def _without_clocks(name: str, location: Any) -> str:
    """Register a telescope with PINT that has no clock files; return its name there."""
    from pint.observatory.topo_obs import TopoObs

    x, y, z = (round(each.to_value("m") * 1000) for each in location.geocentric)
    own = f"fastsig_{name}_{x}_{y}_{z}".lower()
    TopoObs(own, location=location, clock_file="", apply_gps2utc=False, overwrite=True)
    return own


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without the log and the warnings of PINT, and without the network."""
    from astropy.utils.data import conf

    with warnings.catch_warnings(), conf.set_temp("allow_internet", False):
        warnings.simplefilter("ignore")
        from loguru import logger

        logger.disable("pint")
        try:
            yield
        finally:
            logger.enable("pint")
