"""Rates of fastsig beside its yardsticks: ``python -m bench``; see README.md."""
