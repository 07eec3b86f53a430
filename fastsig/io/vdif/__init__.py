"""VDIF."""
