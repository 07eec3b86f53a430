"""Work on this machine: threads, signals and memory; nothing of streams and files."""
