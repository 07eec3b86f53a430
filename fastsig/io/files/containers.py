"""How files of the containers begin that several formats share."""

from __future__ import annotations

HDF5 = b"\x89HDF\r\n\x1a\n"
FITS = b"SIMPLE  ="
ECSV = b"# %ECSV "
