"""Simulated recordings with known truth, made apart from the stages that they test."""

from fastsig.simulate.coarse import CoarseVoltage
from fastsig.simulate.components import (
    Burst,
    Carrier,
    Diode,
    Line,
    Loss,
    Pulsar,
    RfiBurst,
    Source,
)
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.output import Report, fast_voltage, write
from fastsig.simulate.stream import SimulatedVoltages

__all__ = [
    "Burst", "Carrier", "CoarseVoltage", "Diode", "FastVoltage", "Line", "Loss", "Pulsar", "Report",
    "RfiBurst", "SimulatedVoltages", "Source", "fast_voltage", "write",
]
