"""Bursts: the search of a stream for single pulses, from spectra or voltages to candidates."""
