"""Data that come while they are processed: from pipes, files that grow, and the network."""
