"""CHIME/FRB baseband."""
