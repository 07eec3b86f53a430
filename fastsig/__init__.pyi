from fastsig import batch as batch
from fastsig import simulate as simulate
from fastsig import view as view
from fastsig._version import __version__ as __version__
from fastsig.chain import Chain as Chain
from fastsig.chain import from_specutils as from_specutils
from fastsig.chain import from_table as from_table
from fastsig.chain import open_chain as open
from fastsig.cubes.cube import Cube as Cube
from fastsig.cubes.cube import open_cube as open_cube
from fastsig.errors import DataError as DataError
from fastsig.errors import FastsigError as FastsigError
from fastsig.errors import FastsigWarning as FastsigWarning
from fastsig.errors import FormatError as FormatError
from fastsig.errors import OutputError as OutputError
from fastsig.errors import PlanError as PlanError
from fastsig.errors import UsageError as UsageError
from fastsig.products.info import info as info
from fastsig.pulsar.dm_plan import dm_plan as dm_plan
from fastsig.pulsar.profiles import Profiles as Profiles
from fastsig.reductions.bursts.beams import compare_beams as compare_beams
from fastsig.reductions.bursts.cutting import cut_out as cut_out
from fastsig.reductions.bursts.measurement import measure_burst as measure_burst
from fastsig.reductions.mapping.gridding import grid as grid
from fastsig.reductions.sources.line_fit import fit_gaussians as fit_gaussians
from fastsig.run.candidate_files import read_candidates as read_candidates
from fastsig.run.hit_files import read_hits as read_hits
from fastsig.run.products import write_many as write_many
from fastsig.run.profile_files import open_profiles as open_profiles
from fastsig.run.pulsar_files import read_pulsars as read_pulsars
from fastsig.search.bursts.candidates import Candidates as Candidates
from fastsig.search.drift.hits import Hits as Hits
from fastsig.search.pulsars.candidates import PulsarCandidates as PulsarCandidates
from fastsig.stream import Block as Block
from fastsig.stream.data import Data as Data
from fastsig.stream.header import Header as Header
from fastsig.telescopes.barycenter import barycentric_times as barycentric_times

__all__ = [
    "Block", "Candidates", "Chain", "Cube", "Data", "DataError", "FastsigError", "FastsigWarning",
    "FormatError", "Header", "Hits", "OutputError", "PlanError", "Profiles",
    "PulsarCandidates", "UsageError",
    "__version__", "barycentric_times", "batch", "compare_beams", "cut_out", "dm_plan",
    "fit_gaussians", "from_specutils", "from_table", "grid", "info", "measure_burst", "open",
    "open_cube", "open_profiles", "read_candidates", "read_hits", "read_pulsars", "simulate",
    "view", "write_many",
]
