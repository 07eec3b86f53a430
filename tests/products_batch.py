"""The products of ``fastsig batch`` that `same_products.py` compares, by engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from products_made import parts

RECIPE = """version = 1
[inputs]
files = ["in/small.h5", "in/pulsar_lower_8MHz.h5", "in/rfi.h5"]
[output]
folder = "out"
[[step]]
command = "spectra"
n_chan = [16, 64]
n_int = 8
output = "{stem}.{n_chan}.h5"
[[step]]
command = "flag"
output = "{stem}.{n_chan}.flagged.h5"
"""
#: The arguments of the runs of each engine.
ENGINES = {"local": [["-j", "2"]], "dask": [["-j", "2", "--dask-scheduler", "local"]],
           "shards": [["-j", "1", "--shard", "1/2"], ["-j", "1", "--shard", "2/2"]]}


def engine_products(name: str, work: Path, env: dict[str, str]) -> dict[str, Any]:
    """Products and exit code of a recipe that an engine does."""
    here = work / "cases" / "batch" / name
    here.mkdir(parents=True)
    (here / "in").symlink_to(work / "in")
    (here / "r.toml").write_text(RECIPE)
    codes, said = [], ""
    for way in ENGINES[name]:
        done = subprocess.run(
            [sys.executable, "-m", "fastsig", "batch", "run", "-c", "r.toml", "--no-plan",
             "--no-warmup", "--no-node-cache", "--no-report", "-q", *way],
            cwd=here, env=env, capture_output=True, text=True)
        codes.append(done.returncode)
        said += done.stdout + done.stderr
    products = {path.name: parts(path) for path in sorted((here / "out").glob("*.h5"))}
    return {"code": max(codes), "text": said, "products": products}
