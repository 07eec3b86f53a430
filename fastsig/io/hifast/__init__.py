"""Spectra in HiFAST's HDF5 files."""
