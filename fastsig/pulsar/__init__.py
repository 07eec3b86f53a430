"""Dispersion of pulsars and bursts, on numbers and NumPy arrays."""
