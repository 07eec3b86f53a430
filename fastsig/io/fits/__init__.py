"""Code that the formats in FITS share, and cubes of maps."""
