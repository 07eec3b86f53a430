"""The formats, stages and engines: those of fastsig by name, those of plug-ins by entry points.

A plug-in is a module (format) or class (stage, engine) that declares ``api = 1``. If one fails to
load, a warning is given and the others are used.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.plugins import API, plugins

if TYPE_CHECKING:
    from fastsig_kernels import SpectrometerPlan

__all__ = ["API", "CPU", "STREAMS", "drawing", "engine", "format_names", "formats", "formats_for",
           "is_stage", "kinds", "mask_function", "measurement", "measurements", "own_verbs",
           "profile_function", "profile_writers", "register_engine", "spectra_writer",
           "spectra_writers", "stage", "stages", "writer", "writers"]

#: Kinds of product that are streams in time: a format opens them as a `Stream`.
STREAMS = ("voltage", "spectra")

#: The engine of spectrometers that fastsig has; plug-ins and `register_engine` add others.
CPU = "cpu"
_ENGINES: dict[str, Callable[..., SpectrometerPlan]] = {}

# Formats, in the order in which they are asked to recognise a file. If all files of a format are in
# certain containers (names as in `Probe.container`), its module is not loaded for other files.
_FORMATS: dict[str, tuple[str, ...]] = {
    "native": ("hdf5",), "fbh5": ("hdf5",), "planes": ("hdf5",), "sigproc": (),
    "presto": (),
    "psrfits": ("fits",), "psrfits_fold": ("fits",),
    "hifast": ("hdf5",), "fast_spectral": ("fits",), "sdfits": ("fits",), "fits_cube": ("fits",),
    "ecsv_profiles": ("ecsv",), "ecsv": ("ecsv",),
    "lofar_tbb": ("hdf5",), "lofar_bf": ("hdf5",), "chime": ("hdf5",),
    "digital_rf": ("hdf5", "folder"), "guppi": (), "dada": (), "vdif": (), "drx": (),
    "mark5b": (), "mark4": (), "gsb": (), "turboseti": ("other",), "text": ("other",),
}

# Modules of formats that share a package with others; otherwise NAME.py or NAME/reader.py.
_MODULES = {
    "fast_spectral": "fastsig.io.fast.spectral",
    "fits_cube": "fastsig.io.fits.cube",
    "ecsv_profiles": "fastsig.io.ecsv.profiles",
    "lofar_tbb": "fastsig.io.lofar.tbb",
    "lofar_bf": "fastsig.io.lofar.beam_formed",
    "mark5b": "fastsig.io.tape.mark5b",
    "mark4": "fastsig.io.tape.mark4",
    "gsb": "fastsig.io.tape.gsb",
}

_WRITERS = {
    "native": "fastsig.io.native.writer:NativeTarget",
    "guppi": "fastsig.io.guppi.writer:GuppiWriter",
    "dada": "fastsig.io.dada.writer:DadaWriter",
    "vdif": "fastsig.io.vdif.writer:VdifWriter",
}

_SPECTRA_WRITERS = {
    "fbh5": "fastsig.io.fbh5.writer:FBH5Writer",
    "sigproc": "fastsig.io.sigproc.writer:SigprocWriter",
    "psrfits": "fastsig.io.psrfits.writer:PsrfitsWriter",
    "presto": "fastsig.io.presto.writer:PrestoWriter",
    "hifast": "fastsig.io.hifast.writer:HiFASTWriter",
}

_PROFILE_WRITERS = ("psrfits", "ecsv")

# Verbs that compute nothing when they are called: stages, in the usual order of their use.
_STAGES = {
    "channelize": "fastsig.stages.channelize:Channelize",
    "synthesize": "fastsig.stages.synthesize:Synthesize",
    "detect": "fastsig.stages.detect:Detect",
    "dedisperse": "fastsig.stages.dedisperse:Dedisperse",
    "to_series": "fastsig.stages.series:Series",
    "planes": "fastsig.stages.planes:Planes",
    "integrate": "fastsig.stages.integrate:Integrate",
    "mask": "fastsig.stages.mask:Mask",
    "flag_kurtosis": "fastsig.stages.flag_kurtosis:FlagKurtosis",
    "iqrm": "fastsig.stages.iqrm:IQRM",
    "zero_dm": "fastsig.stages.zero_dm:ZeroDM",
    "flag_runs": "fastsig.stages.flag_runs:FlagRuns",
    "flag": "fastsig.stages.flag:Flag",
    "calibrate": "fastsig.stages.calibrate:Calibrate",
    "locate": "fastsig.stages.locate:Locate",
    "stokes": "fastsig.stages.stokes:Stokes",
    "flux": "fastsig.stages.flux:Flux",
    "baseline": "fastsig.stages.baseline:Baseline",
    "frame": "fastsig.stages.velocity_frame:VelocityFrame",
    "barycenter": "fastsig.stages.barycenter:Barycenter",
    "to_barycenter": "fastsig.stages.to_barycenter:ToBarycenter",
    "select": "fastsig.stages.select:Select",
}

# Verbs that read the chain: measurements, which return something other than a chain.
_MEASUREMENTS = {
    "measure_diode": "fastsig.reductions.diode.calibration:solve",
    "on_off": "fastsig.reductions.switching.on_off:on_off",
    "flag_shares": "fastsig.run.flag_shares:flag_shares",
    "fold": "fastsig.reductions.folding.folding:fold",
    "bursts": "fastsig.reductions.bursts.searching:bursts",
    "drifting": "fastsig.reductions.drifting.hits:drifting",
    "pulsars": "fastsig.reductions.periodic.searching:pulsars",
    "fit_gaussians": "fastsig.reductions.sources.line_fit:fit_gaussians",
}


def format_names() -> tuple[str, ...]:
    """Return the names of the formats of fastsig, in the order in which they are asked."""
    return tuple(_FORMATS)


@cache
def formats() -> dict[str, Any]:
    """Return the modules of all formats by name, in the order in which they are asked."""
    own = {name: _format(name) for name in _FORMATS}
    return {**own, **_format_plugins()}


def formats_for(container: str) -> Iterator[tuple[str, Any]]:
    """Yield names and modules of the formats that a file may have, in the order of asking.

    A module is loaded when its turn comes: loading all of them takes 0.1 s.

    Parameters
    ----------
    container : str
        The container of the file, named as in `fastsig.io.probe.Probe.container`.
    """
    for name, containers in _FORMATS.items():
        if not containers or container in containers:
            yield name, _format(name)
    yield from _format_plugins().items()


def _format(name: str) -> Any:
    module = _MODULES.get(name, f"fastsig.io.{name}")
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.reader") if hasattr(found, "__path__") else found


@cache
def _format_plugins() -> dict[str, Any]:
    # None of them replaces a format of fastsig; the same is true of stages.
    return {name: module for name, module in plugins("fastsig.formats").items()
            if name not in _FORMATS}


def kinds(module: Any) -> tuple[str, ...]:
    """Return the kinds of product in files of a format: one, or several of `STREAMS`.

    `module` is that of the format. A format that declares no `KINDS` contains streams.
    """
    return tuple(getattr(module, "KINDS", STREAMS))


def writers() -> tuple[str, ...]:
    """Return the names of the formats in which voltages can be written."""
    return tuple(_WRITERS)


def writer(name: str) -> Any:
    """Return the class that writes voltages in a format.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in _WRITERS:
        raise UsageError(f"voltages cannot be written as {name!r}; allowed: {', '.join(_WRITERS)}")
    return _loaded(_WRITERS[name])


def spectra_writers() -> tuple[str, ...]:
    """Return the names of the formats in which spectra can be written."""
    return tuple(_SPECTRA_WRITERS)


def spectra_writer(name: str) -> Any:
    """Return the class that writes spectra in a format.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in _SPECTRA_WRITERS:
        raise UsageError(f"spectra cannot be written as {name!r}; allowed: "
                         f"{', '.join(_SPECTRA_WRITERS)}")
    return _loaded(_SPECTRA_WRITERS[name])


def profile_writers() -> tuple[str, ...]:
    """Return the names of the formats in which folded profiles can be written."""
    return _PROFILE_WRITERS


def profile_function(name: str) -> Any:
    """Return a function of `fastsig.run.profile_files`, such as the one that writes profiles."""
    return _loaded(f"fastsig.run.profile_files:{name}")


def finding_writer(place: str) -> Any:
    """Return a function of `fastsig.run`, such as ``hit_files:write_hits``."""
    return _loaded(f"fastsig.run.{place}")


def mask_function(place: str) -> Any:
    """Return a function of `fastsig.io.masks`, such as ``reader:read_mask``."""
    return _loaded(f"fastsig.io.masks.{place}")


def _loaded(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def is_stage(name: str) -> bool:
    """Return whether there is a stage with this name, in fastsig or in a plug-in."""
    return name in _STAGES or name in stages()


@cache
def stages() -> tuple[str, ...]:
    """Return the names of all stages: verbs that compute nothing until results are needed."""
    return (*_STAGES, *(name for name in _plugin_stages() if name not in _STAGES))


def _plugin_stages() -> dict[str, Any]:
    """Return the stages of other packages by name.

    A stage with another `name`, which is the one that products record, is left out.
    """
    found = plugins("fastsig.stages")
    for name in [name for name, stage in found.items() if getattr(stage, "name", name) != name]:
        warnings.warn(f"plug-in {name} of fastsig.stages is left out: its name is "
                      f"{found[name].name!r}", FastsigWarning, stacklevel=users_line())
        del found[name]
    return found


def drawing(name: str = "draw") -> Any:
    """Return a function of `fastsig.view`, by default the one that draws a stream."""
    return _loaded(f"fastsig.view:{name}")


def own_verbs() -> tuple[str, ...]:
    """Return the names of the stages and measurements that come with fastsig."""
    return (*_STAGES, *_MEASUREMENTS)


def measurements() -> tuple[str, ...]:
    """Return the names of the measurements: verbs that read the chain when they are called."""
    return tuple(_MEASUREMENTS)


def measurement(name: str) -> Any:
    """Return the function of a measurement; its first parameter is the stream.

    Raises
    ------
    UsageError
        If there is no measurement with this name.
    """
    if name not in _MEASUREMENTS:
        raise UsageError(f"there is no measurement {name!r}; allowed: "
                         f"{', '.join(_MEASUREMENTS)}")
    return _loaded(_MEASUREMENTS[name])


def stage(name: str) -> Any:
    """Return the class of a stage.

    Raises
    ------
    UsageError
        If there is no stage with this name.
    """
    if name in _STAGES:
        return _loaded(_STAGES[name])
    found = _plugin_stages().get(name)
    if found is None:
        raise UsageError(f"there is no stage {name!r}; allowed: {', '.join(stages())}")
    return found


def engine(name: str) -> Callable[..., SpectrometerPlan]:
    """Return the engine of a name: it makes plans from the arguments of a kernel's `Spectrometer`.

    An engine is "cpu", a plug-in of the group ``fastsig.engines``, or one that `register_engine`
    added in this process.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name == CPU:
        from fastsig_kernels import Spectrometer

        return Spectrometer
    others = {**_engine_plugins(), **_ENGINES}
    if name not in others:
        raise UsageError(f"engine = {name!r}; allowed: {', '.join((CPU, *others))}")
    return others[name]


def register_engine(name: str, make: Callable[..., SpectrometerPlan]) -> None:
    """Add an engine for this process, instead of another one of that name except "cpu".

    Processes that fastsig starts, such as the workers of a batch, have only engines of plug-ins.

    Parameters
    ----------
    name : str
    make : callable
        It accepts the arguments of `fastsig_kernels.Spectrometer`, returns a
        `fastsig_kernels.SpectrometerPlan`, and raises ValueError for what it lacks.

    Raises
    ------
    UsageError
        If the name is "cpu".
    """
    if name == CPU:
        raise UsageError(f"engine = {name!r}; allowed: names other than that of fastsig's own")
    _ENGINES[name] = make


@cache
def _engine_plugins() -> dict[str, Callable[..., SpectrometerPlan]]:
    return {name: make for name, make in plugins("fastsig.engines").items() if name != CPU}
