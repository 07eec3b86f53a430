"""The ledger of an output folder: which runs are at work there, and the state of each task."""
