"""Values of headers in the form of JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def json_value(value: Any) -> Any:
    """Return a form of a value that is ready for JSON; numbers that JSON lacks become text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [json_value(item) for item in value] if value.ndim else json_value(value[()])
    if isinstance(value, np.generic):
        long = value.dtype in (np.longdouble, np.clongdouble)  # item() returns the value itself
        return json_value((value.astype(complex if value.dtype.kind == "c" else float) if long
                           else value).item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
