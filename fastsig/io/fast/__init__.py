"""Files of FAST: spectra, one per row, and tracks of the feed cabin."""
