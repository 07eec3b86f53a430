"""Files: one package for each format or family of formats, and the code that they share."""
