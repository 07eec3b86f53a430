"""Voltages in LWA DRX files."""
