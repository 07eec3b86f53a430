"""Digital RF."""
