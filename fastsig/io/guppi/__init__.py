"""GUPPI RAW."""
