"""The plan of a batch: what its tasks will need, estimated before the first one runs."""
