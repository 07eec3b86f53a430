"""Tasks: a recipe applied to the recordings that exist."""
