"""Running: chains are planned (fused, kept, fitted into memory) and their blocks go to sinks."""
