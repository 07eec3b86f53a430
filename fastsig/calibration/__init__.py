"""Calibration of a receiver's output to kelvin and jansky, on NumPy arrays."""
