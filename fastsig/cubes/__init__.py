"""Cubes of maps: spectra at positions, sources, moments."""
