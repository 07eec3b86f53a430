"""What formats in FITS share, and cubes of maps."""
