"""Samples without a header."""
