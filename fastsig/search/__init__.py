"""Searches in spectra: NumPy arrays in, NumPy arrays out."""
