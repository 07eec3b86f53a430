"""The first bytes of the container formats that several formats use."""

from __future__ import annotations

HDF5 = b"\x89HDF\r\n\x1a\n"
FITS = b"SIMPLE  ="
ECSV = b"# %ECSV "
