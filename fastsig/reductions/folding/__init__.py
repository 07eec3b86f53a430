"""Folding: spectra of a pulsar to its profiles, by the phase that a predictor returns."""
