"""SIGPROC filterbanks and time series."""
