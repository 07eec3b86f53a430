"""Dispersion, pulse phase and folded profiles of pulsars and bursts."""
