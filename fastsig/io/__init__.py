"""Files: a package for every format or family of formats, and what they share."""
