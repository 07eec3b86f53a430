"""Live: one process for each source and each sink, which a supervisor starts and watches."""
