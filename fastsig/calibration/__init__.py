"""Calibration of spectra: numeric functions on arrays."""
