"""Work on this machine: threads, signals and memory. It knows nothing of streams and files."""
