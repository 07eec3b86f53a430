"""The version, which is that of fastsig."""

__version__ = "0.1.0"
