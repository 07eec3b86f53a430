"""Maps: spectra of any beams and scans on the pixels of a cube."""
