"""Bursts: the search of a stream for them, comparison of beams, measurements and cut-outs."""
