"""Simulated recordings whose contents are known.

The simulator does not use the stages that are tested with its recordings.
"""

from fastsig.simulate.coarse import CoarseVoltage
from fastsig.simulate.components import (
    Burst,
    Carrier,
    Diode,
    Line,
    Loss,
    LostSpectra,
    Pulsar,
    RfiBurst,
    Source,
)
from fastsig.simulate.dada_ring import Written, write_ring
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.ky import write_ky
from fastsig.simulate.network import Network
from fastsig.simulate.output import Report, fast_voltage, write
from fastsig.simulate.receiver import GainDrift, Jones, Ripple, Tcal
from fastsig.simulate.scan import FastScan
from fastsig.simulate.scan_output import write_scan
from fastsig.simulate.sending import Sent, send
from fastsig.simulate.sky import Continuum, HIDisk, PointSource, SkyPulsar
from fastsig.simulate.spectra import FastSpectra
from fastsig.simulate.spectra_output import spectral, write_psrfits, write_spectral
from fastsig.simulate.stream import SimulatedSpectra, SimulatedVoltages

__all__ = [
    "Burst", "Carrier", "CoarseVoltage", "Continuum", "Diode", "FastScan", "FastSpectra",
    "FastVoltage", "GainDrift", "HIDisk", "Jones", "Line", "Loss", "LostSpectra", "Network",
    "PointSource", "Pulsar", "Report", "RfiBurst", "Ripple", "Sent", "SimulatedSpectra",
    "SimulatedVoltages", "SkyPulsar", "Source", "Tcal", "Written", "fast_voltage", "send",
    "spectral", "write", "write_ky", "write_psrfits", "write_ring", "write_scan",
    "write_spectral",
]
