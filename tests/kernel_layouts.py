"""Layouts of voltages that many tests of kernels use."""

from __future__ import annotations

import numpy as np
from fastsig_kernels import Layout

FLOATS = Layout("float32")
COMPLEX = Layout("float32", is_complex=True)


def floats(is_complex: bool) -> Layout:
    """Return the layout of float32 or complex64 samples."""
    return COMPLEX if is_complex else FLOATS


def layout_of(dtype: str) -> Layout:
    """Return the layout of an array of samples of a dtype."""
    return COMPLEX if np.dtype(dtype).kind == "c" else Layout(dtype)
