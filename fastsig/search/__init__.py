"""Searches for pulses: NumPy arrays in, NumPy arrays out."""
