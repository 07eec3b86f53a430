"""Spectra in SDFITS files."""
