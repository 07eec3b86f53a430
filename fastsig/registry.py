"""The formats and stages there are: ours by name, others' through entry points.

A plug-in is a module (format) or class (stage) that declares ``api = 1``. One that fails to load
is a warning, never a reason for the rest to stop.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from fastsig.errors import UsageError
from fastsig.plugins import API, plugins

__all__ = ["API", "formats", "stage", "spectra_writer", "spectra_writers", "stages",
           "writer", "writers"]

# In the order in which they are asked whether a file is theirs.
_FORMATS = ("native", "fbh5", "sigproc", "presto", "psrfits", "hifast", "fast_spectral", "sdfits",
            "fits_cube", "lofar_tbb", "lofar_bf", "chime", "digital_rf", "guppi", "dada", "vdif",
            "drx", "mark5b", "mark4", "gsb")

_WRITERS = {
    "native": "fastsig.io.native_writer:NativeTarget",
    "guppi": "fastsig.io.guppi_writer:GuppiWriter",
    "dada": "fastsig.io.dada_writer:DadaWriter",
    "vdif": "fastsig.io.vdif_writer:VdifWriter",
}

_SPECTRA_WRITERS = {
    "fbh5": "fastsig.io.fbh5_writer:FBH5Writer",
    "sigproc": "fastsig.io.sigproc_writer:SigprocWriter",
    "psrfits": "fastsig.io.psrfits_writer:PsrfitsWriter",
    "presto": "fastsig.io.presto_writer:PrestoWriter",
    "hifast": "fastsig.io.hifast_writer:HiFASTWriter",
}

_STAGES = {
    "channelize": "fastsig.stages.channelize:Channelize",
    "detect": "fastsig.stages.detect:Detect",
    "flag": "fastsig.stages.flag:Flag",
    "baseline": "fastsig.stages.baseline:Baseline",
    "frame": "fastsig.stages.frame:Frame",
    "integrate": "fastsig.stages.integrate:Integrate",
    "select": "fastsig.stages.select:Select",
}


@cache
def formats() -> dict[str, Any]:
    """Format modules by name, in the order in which they are asked."""
    own = {name: importlib.import_module(f"fastsig.io.{name}") for name in _FORMATS}
    return {**own, **plugins("fastsig.formats")}


def writers() -> tuple[str, ...]:
    """Names of the formats that voltages can be written in."""
    return tuple(_WRITERS)


def writer(name: str) -> Any:
    """The class that writes voltages in a format.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if name not in _WRITERS:
        raise UsageError(f"voltages cannot be written as {name!r}; allowed: {', '.join(_WRITERS)}")
    return _loaded(_WRITERS[name])


def spectra_writers() -> tuple[str, ...]:
    """Names of the formats that spectra can be written in."""
    return tuple(_SPECTRA_WRITERS)


def spectra_writer(name: str) -> Any:
    """The class that writes spectra in a format.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if name not in _SPECTRA_WRITERS:
        raise UsageError(f"spectra cannot be written as {name!r}; allowed: "
                         f"{', '.join(_SPECTRA_WRITERS)}")
    return _loaded(_SPECTRA_WRITERS[name])


def _loaded(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def stages() -> tuple[str, ...]:
    """Names of the stages there are."""
    return (*_STAGES, *(name for name in plugins("fastsig.stages") if name not in _STAGES))


def stage(name: str) -> Any:
    """The class of a stage.

    Raises
    ------
    UsageError
        Where there is no stage of that name.
    """
    if name in _STAGES:
        return _loaded(_STAGES[name])
    found = plugins("fastsig.stages").get(name)
    if found is None:
        raise UsageError(f"no stage is called {name!r}; there are {', '.join(stages())}")
    return found
