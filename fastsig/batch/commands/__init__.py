"""The commands ``fastsig batch ...``."""
