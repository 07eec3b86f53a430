"""The hot loops as code for an ARM processor, which is compiled here and cannot run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benches import x86
from thorough import thorough

ROOT = Path(__file__).resolve().parents[2]

#: The same loops as in `bench.probe`, compiled for 4 lanes and without names of x86 instructions.
CODE = r"""
import json, re, sys
from collections import Counter
from importlib import import_module
import llvmlite.binding as llvm
from bench import probe
from fastsig_kernels import _simd

_simd._is_x86 = lambda: False
probe.compile_all()
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
triple = "aarch64-unknown-linux-gnu"
machine = llvm.Target.from_triple(triple).create_target_machine(cpu="neoverse-n1", opt=2)
kinds = {"vector": r"f(?:ml[as]|add|sub|mul)\s+v\d+\.4s", "fused": r"fml[as]\s+v\d+\.4s",
         "scalar": r"f(?:n?m?add|n?msub|sub|mul)\s+s\d+"}
found = {}
for name in probe.HOT:
    module, _, attribute = name.partition(".")
    function = getattr(import_module(f"fastsig_kernels.{module}"), attribute)
    found[name] = []
    for signature in function.signatures:
        text = function.inspect_llvm(signature)
        text = re.sub(r'target (?:triple|datalayout) = ".*"\n', "", text)
        # Reference counts, which numba's passes for x86 have already rewritten.
        text = text.replace("@llvm.x86.atomic.sub.cc", "@count.down").replace(" immarg", "")
        others = sorted(set(re.findall(r"@llvm\.x86\.[\w.]+", text)))
        made = llvm.parse_assembly(text)
        made.triple, made.data_layout = triple, str(machine.target_data)
        lines = machine.emit_assembly(made).splitlines()
        count = Counter(kind for line in lines for kind, pattern in kinds.items()
                        if re.match(pattern, line.strip()))
        found[name].append({**count, "x86": others})
print(json.dumps({"lanes": _simd.host_lanes(), "functions": found}))
"""


@thorough
@x86
@pytest.mark.timeout(600)
def test_hot_loops_are_neon_code():
    environment = dict(os.environ, NUMBA_CPU_NAME="nehalem", NUMBA_CPU_FEATURES="",
                       PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "kernels")]))
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True,
                          text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["lanes"] == 4
    for name, versions in report["functions"].items():
        assert versions, name
        for found in versions:
            # The last step moves numbers, and divides them at the most.
            least = -1 if name == "_passes.gather_nb" else 5
            assert found.get("vector", 0) > least and found.get("fused", 0) > least, (name, found)
            assert found.get("scalar", 0) <= 8 and not found["x86"], (name, found)
