"""Masks of interference in files: regions as text, and those of PRESTO's rfifind."""
