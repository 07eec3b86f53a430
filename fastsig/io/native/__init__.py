"""The project's own voltage files."""
