"""``python -m bench.probe``: compile the hot loops, count their instructions, time on request.

The environment specifies the processor (``NUMBA_CPU_NAME``, ``NUMBA_CPU_FEATURES``). All loops are
compiled anew, as a cache keeps no assembly, and saved for other processes in ``NUMBA_CACHE_DIR``.
The first line of output is JSON: the lanes, and for each hot loop, of float32 and of 16 bits, the
`count` of each version. Then follows, for each line of input, the time of the fused spectrometer in
seconds.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np

from bench import machine

machine.one_thread()

from fastsig_kernels import Channelizer, Spectrometer, fft_plan, track_maxima  # noqa: E402
from fastsig_kernels._cache import KernelCache  # noqa: E402

from bench.data import N_CHAN, Fused  # noqa: E402
from bench.timing import Scale, timed  # noqa: E402

#: Functions with the loops that take the time.
HOT = ("_passes.columns_nb", "_passes.leaf_nb", "_passes.mirrored_leaf_nb", "_passes.gather_nb",
       "_bank_loops.fir_nb", "_detect.add_pair_nb", "_detect.add_own_nb", "_detect.put_leaves_nb",
       "_fft_loops.transform_rows", "_stack_loops.fold_nb", "_stack_passes.pass_nb",
       "_stack_loops.detect_points_nb")
#: Loops over stacks, whose vectors have 8 lanes at most.
STACK_CHAN = 3000
STACKED = ("_stack_passes.pass_nb", "_stack_loops.detect_points_nb")
#: Functions with loops over numbers of 16 bits.
SHORT = ("_track_shorts.raise_quickly_nb",)

_KINDS = {
    "fused": r"v?fn?m(?:add|sub)\w*ps",
    "vector": r"v?(?:add|sub|mul|div)ps|v?fn?m(?:add|sub)\w*ps",
    "scalar": r"v?(?:add|sub|mul)s[sd]|v?fn?m(?:add|sub)\w*s[sd]",
    "gather": r"vp?gather\w+",
    "short": r"v?paddusw",
}
_INSTRUCTION = re.compile(r"^\s+([a-z]\w*)\s+(.*)$", re.MULTILINE)
_REGISTER = re.compile(r"%([xyz])mm")


def count(assembly: str) -> dict[str, int]:
    """Count instructions of each kind, vector ones also by register, and calls of `fma`."""
    found: Counter[str] = Counter()
    for name, operands in _INSTRUCTION.findall(assembly):
        for kind, pattern in _KINDS.items():
            if re.fullmatch(pattern, name):
                found[kind] += 1
                register = _REGISTER.search(operands)
                if kind in ("vector", "short") and register:
                    found[("short " if kind == "short" else "") + register[1] + "mm"] += 1
    found["fma call"] = len(re.findall(r"\bfmaf?\b", assembly))
    return dict(found)


def compile_all() -> None:
    """Compile for int8 and 8 taps: I, IQUV, also with kurtosis, spectra, transforms, a stack."""
    KernelCache.load_overload = lambda *_: None
    Spectrometer(N_CHAN).compile()
    Spectrometer(N_CHAN, n_pol=2, products="IQUV").compile()
    Spectrometer(N_CHAN, n_pol=2, products="IQUV", flag_sigma=3.0).compile()
    Channelizer(N_CHAN).compile()
    Spectrometer(STACK_CHAN, n_pol=2, products="IQUV").compile()
    fft_plan(N_CHAN).compile()
    track_maxima(np.zeros((2, 64), np.float32), np.zeros((1, 2), np.int64), np.array([1]),
                 np.ones(1, np.float32), np.zeros(64, np.float32), limit=8.0)


def counts(names: tuple[str, ...]) -> dict[str, list[dict[str, int]]]:
    """Return for each of the functions the `count` of each version that was compiled."""
    found = {}
    for name in names:
        module, _, attribute = name.partition(".")
        function = getattr(import_module(f"fastsig_kernels.{module}"), attribute)
        found[name] = [count(function.inspect_asm(each)) for each in function.signatures]
    return found


def main() -> None:
    from fastsig_kernels._simd import host_lanes

    compile_all()
    print(json.dumps({"lanes": host_lanes(), "functions": counts(HOT), "short": counts(SHORT)}),
          flush=True)
    call = Fused(Scale(False, Path(tempfile.gettempdir())), n_byte=2**25)
    call()
    for _ in sys.stdin:
        print(timed(call), flush=True)


if __name__ == "__main__":
    main()
