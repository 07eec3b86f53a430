"""Voltages in GUPPI RAW files."""
