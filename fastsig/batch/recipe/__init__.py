"""Recipe files: their content, and how they are parsed."""
