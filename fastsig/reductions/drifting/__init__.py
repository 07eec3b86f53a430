"""Search of spectra for drifting carriers: pieces of the band are read and searched on threads."""
