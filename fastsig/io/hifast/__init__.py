"""HiFAST's files of spectra."""
