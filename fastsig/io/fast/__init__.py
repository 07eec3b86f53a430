"""Files of FAST: spectra a row each, and where the feed cabin was."""
