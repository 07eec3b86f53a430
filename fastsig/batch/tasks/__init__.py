"""Tasks: what a recipe makes of the files that are there."""
