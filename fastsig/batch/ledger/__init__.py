"""The ledger of an output folder: who works there, and what became of each task."""
