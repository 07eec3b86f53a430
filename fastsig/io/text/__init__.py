"""Single spectra from text, tables and objects of other packages."""
