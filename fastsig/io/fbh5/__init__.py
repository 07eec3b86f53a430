"""FBH5 spectra."""
