"""The report: one HTML page of what became of a batch."""
