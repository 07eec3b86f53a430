"""PSRFITS in search mode."""
