"""What the tests of bench and the guards of its rates share: processors and environment."""

from __future__ import annotations

import os
import platform
import sys

import llvmlite.binding as llvm
import pytest

HOST = llvm.get_host_cpu_features()
CHOSEN = any(name in os.environ for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))
x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="the check reads x86 assembly",
)
WIDE = pytest.mark.skipif(not HOST.get("avx2") or CHOSEN, reason="needs AVX2 or AVX-512")


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with all that it imports from importable."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, **more}
