"""PRESTO time series."""
