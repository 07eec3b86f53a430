"""Rates of fastsig compared with its yardsticks: ``python -m bench``; see README.md."""
