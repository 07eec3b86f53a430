"""fastsig's own voltage files."""
