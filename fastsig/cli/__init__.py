"""The command line, a file a command; heavy modules load inside the commands."""
