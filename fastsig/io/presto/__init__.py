"""PRESTO's time series."""
