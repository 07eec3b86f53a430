"""Signal processing for radio telescopes in the style of FAST.

Names are loaded on first use: importing the package does not load astropy, numba, scipy or h5py.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastsig._version import __version__ as __version__

# Keep in step with __init__.pyi, which type checkers and editors read; a test compares them.
_INDEX = {
    "Block": "fastsig.stream:Block",
    "Candidates": "fastsig.search.bursts.candidates:Candidates",
    "Chain": "fastsig.chain:Chain",
    "Cube": "fastsig.cubes.cube:Cube",
    "Data": "fastsig.stream.data:Data",
    "DataError": "fastsig.errors:DataError",
    "FastsigError": "fastsig.errors:FastsigError",
    "FastsigWarning": "fastsig.errors:FastsigWarning",
    "FormatError": "fastsig.errors:FormatError",
    "Header": "fastsig.stream.header:Header",
    "Hits": "fastsig.search.drift.hits:Hits",
    "OutputError": "fastsig.errors:OutputError",
    "PlanError": "fastsig.errors:PlanError",
    "Profiles": "fastsig.pulsar.profiles:Profiles",
    "PulsarCandidates": "fastsig.search.pulsars.candidates:PulsarCandidates",
    "UsageError": "fastsig.errors:UsageError",
    "barycentric_times": "fastsig.telescopes.barycenter:barycentric_times",
    "batch": "fastsig:batch",
    "compare_beams": "fastsig.reductions.bursts.beams:compare_beams",
    "cut_out": "fastsig.reductions.bursts.cutting:cut_out",
    "dm_plan": "fastsig.pulsar.dm_plan:dm_plan",
    "fit_gaussians": "fastsig.reductions.sources.line_fit:fit_gaussians",
    "from_specutils": "fastsig.chain:from_specutils",
    "from_table": "fastsig.chain:from_table",
    "grid": "fastsig.reductions.mapping.gridding:grid",
    "info": "fastsig.products.info:info",
    "measure_burst": "fastsig.reductions.bursts.measurement:measure_burst",
    "open": "fastsig.chain:open_chain",
    "open_cube": "fastsig.cubes.cube:open_cube",
    "open_profiles": "fastsig.run.profile_files:open_profiles",
    "read_candidates": "fastsig.run.candidate_files:read_candidates",
    "read_hits": "fastsig.run.hit_files:read_hits",
    "read_pulsars": "fastsig.run.pulsar_files:read_pulsars",
    "simulate": "fastsig:simulate",
    "view": "fastsig:view",
    "write_many": "fastsig.run.products:write_many",
}

__all__ = sorted([*_INDEX, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _INDEX:
        raise AttributeError(f"module 'fastsig' has no attribute {name!r}")
    module, _, attribute = _INDEX[name].partition(":")
    if module == "fastsig":  # a package below
        return import_module(f"{module}.{attribute}")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
