"""Voltages in DADA files."""
