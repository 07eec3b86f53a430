"""Voltages in VDIF files."""
