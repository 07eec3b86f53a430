"""The plan of a batch: what its tasks will take, before the first one."""
