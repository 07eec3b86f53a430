"""Guard of the vector code of fast folding: ``make guard``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from benches import WIDE, environment, x86

from bench import machine

pytestmark = pytest.mark.guard

#: Compiles all loops anew, as a cache keeps no assembly, and counts additions and maxima of int16.
CODE = r"""
import json, re
from fastsig_kernels._cache import KernelCache
KernelCache.load_overload = lambda *_: None
from fastsig_kernels import FFA, _ffa_loops
FFA(4000, 100, 110, n_bin=100, widths=(1, 2, 4)).compile()
found = {}
for name in ("fold_nb", "search_short_nb"):
    function = getattr(_ffa_loops, name)
    text = "".join(function.inspect_asm(each) for each in function.signatures)
    found[name] = re.findall(r"v?(paddsw|pmaxsw)\s.*%([xyz])mm\d+", text)
print(json.dumps(found))
"""


@x86
@WIDE
@pytest.mark.timeout(600)
def test_integers_of_fast_folding_fill_vectors(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE], cwd=machine.ROOT, text=True, check=True,
                          env=environment(NUMBA_CACHE_DIR=str(tmp_path)), capture_output=True)
    found = json.loads(done.stdout)
    wide = {name: [kind for kind, register in each if register in "yz"]
            for name, each in found.items()}
    assert wide["fold_nb"].count("paddsw") > 50
    # A maximum for each of three widths at four phases.
    assert wide["search_short_nb"].count("pmaxsw") >= 12
    for name, each in found.items():
        assert len(wide[name]) >= 0.9 * len(each), name
