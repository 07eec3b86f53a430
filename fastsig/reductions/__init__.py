"""Reductions: recorded spectra to calibrated products."""
