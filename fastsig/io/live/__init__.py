"""Live sources: packets and pipes go through a ring in shared memory, and are read as streams."""
