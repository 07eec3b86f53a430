"""What readers and writers of spectra share."""
