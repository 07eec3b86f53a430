"""DADA."""
