"""Spectra in FBH5 files."""
