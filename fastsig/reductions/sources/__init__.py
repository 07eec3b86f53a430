"""Sources in maps: spectra at positions, fits of lines and points."""
