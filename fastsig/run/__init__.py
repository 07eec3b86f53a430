"""Running: chains are planned (fused, kept, fitted into memory) and passed through sinks."""
