"""Measurements of a burst: arrays in, arrays out."""
