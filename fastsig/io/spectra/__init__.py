"""Code that the readers and writers of spectra share."""
