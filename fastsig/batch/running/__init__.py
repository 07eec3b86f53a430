"""Runs: tasks chosen by the ledger, done by an engine, recorded as they end."""
