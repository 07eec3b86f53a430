"""Simulated recordings with known truth, made apart from the stages that they test."""

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
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.output import Report, fast_voltage, write
from fastsig.simulate.spectra import FastSpectra
from fastsig.simulate.spectra_output import spectral, write_psrfits, write_spectral
from fastsig.simulate.stream import SimulatedSpectra, SimulatedVoltages

__all__ = [
    "Burst", "Carrier", "CoarseVoltage", "Diode", "FastSpectra", "FastVoltage", "Line", "Loss",
    "LostSpectra", "Pulsar", "Report", "RfiBurst", "SimulatedSpectra", "SimulatedVoltages",
    "Source", "fast_voltage", "spectral", "write", "write_psrfits", "write_spectral",
]
