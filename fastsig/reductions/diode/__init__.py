"""Calibration of a scan by its noise diode."""
