"""Formats of tape recorders and of the GMRT, decoded by the package `baseband`."""
