"""SDFITS."""
