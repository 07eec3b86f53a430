"""Runs: tasks are chosen from the ledger, run by an engine, and recorded when they end."""
