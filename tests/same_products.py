"""Compare the products of two commits byte by byte; a script, not one of CI's tests.

    python tests/same_products.py --tree OLD --inputs DIR -o old.json
    python tests/same_products.py --tree . --inputs DIR --against old.json --texts

Most commands and formats, every engine and many chains in Python are run with the fastsig of one
tree. The cases are in `products_commands.py`, `products_chains.py` and `products_batch.py`. The
inputs are made once, in DIR, by the first tree that is run, and kept. A case that fails is recorded
with its error and does not stop the others. The exit code is 1 if any product or exit code differs
(with --texts: or any text), and every difference is listed by name, with the datasets, attributes
or FITS units that it lies in.

The kernels are those of the environment unless --own-kernels is given.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from products_batch import ENGINES, engine_products
from products_commands import COMMANDS, INPUTS, lines

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "data" / "samples"
GROUPS = (*(name for name in COMMANDS if name != "recorded"), "chains")

Results = dict[str, dict[str, Any]]


def environment(tree: Path, kernels: bool) -> dict[str, str]:
    """For processes that import fastsig from `tree`; pictures are drawn without dates and ids."""
    path = [str(tree), *([str(tree / "kernels")] if kernels else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "SOURCE_DATE_EPOCH": "0",
            "MATPLOTLIBRC": str(HERE / "products_matplotlibrc"),
            "COLUMNS": "100"}


def make_inputs(folder: Path, env: dict[str, str]) -> None:
    """Samples, simulated recordings and a few products of them."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(SAMPLES, part)
    subprocess.run([sys.executable, str(HERE / "products_sdfits.py"), str(part / "gbt.fits")],
                   check=True, env=env)
    for line in lines(INPUTS):
        words = line.replace("in/", "").replace("*", "[0-9]*")
        subprocess.run(f"{sys.executable} -m fastsig {words} -q", shell=True, check=True, cwd=part,
                       env=env)
    part.rename(folder)


def run_group(group: str, pattern: str, work: Path, env: dict[str, str]) -> Results:
    """What the cases of a group give, done in one process."""
    words = [sys.executable, str(HERE / "products_made.py"), group, str(work), pattern]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {group: {"code": done.returncode, "text": "the process failed", "products": {}}}
    found = json.loads(done.stdout.splitlines()[-1])
    if Path(found["package"]).parent != Path(env["PYTHONPATH"].split(os.pathsep)[0]):
        sys.exit(f"fastsig came from {found['package']}")
    return {f"{group}/{name}": case for name, case in found["cases"].items()}


def engines(group: str, pattern: str, work: Path, env: dict[str, str]) -> Results:
    """What a recipe gives, done by each engine."""
    return {f"{group}/{name}": engine_products(name, work, env) for name in ENGINES
            if fnmatch(f"{group}/{name}", pattern)}


def make(options: argparse.Namespace, work: Path) -> Results:
    """All cases that are asked for."""
    env = environment(options.tree, options.own_kernels)
    if not options.inputs.exists():
        make_inputs(options.inputs, env)
    (work / "in").symlink_to(options.inputs)
    groups = [*GROUPS, "batch"]
    if options.recorded:
        (work / "recorded").symlink_to(options.recorded)
        groups.append("recorded")
    made: Results = {}
    for group in groups:
        of_group = (engines if group == "batch" else run_group)(group, options.only, work, env)
        made |= of_group
        print(f"{group}: {len(of_group)} cases", file=sys.stderr)
    return made


# -- Comparison -----------------------------------------------------------------------------------


def flat(results: Results) -> dict[str, str]:
    """SHA-256, or the error, by the name of each product; exit codes and texts beside them."""
    found: dict[str, str] = {}
    for case, result in results.items():
        if result["code"]:
            last = (result["text"].strip().splitlines() or [""])[-1]
            found[case] = f"error: exit code {result['code']}: {last}"
        found |= {f"{case}/{name}": sums[""] for name, sums in result["products"].items()}
    return found


def differences(old: Results, new: Results) -> list[str]:
    """A line for every product that differs, with those of its parts that do."""
    before, after = flat(old), flat(new)
    return [f"{name}: {_how(name, before, after)}{_parts(name, old, new)}"
            for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def _how(name: str, before: dict[str, str], after: dict[str, str]) -> str:
    if name not in before:
        return "only now: " + after[name][:200]
    if name not in after:
        return "only before: " + before[name][:200]
    return f"{before[name][:200]} is {after[name][:200]}"


def _parts(name: str, old: Results, new: Results) -> str:
    case = "/".join(name.split("/")[:2])
    product = name[len(case) + 1 :]
    sums = [results.get(case, {}).get("products", {}).get(product, {}) for results in (old, new)]
    if not all(sums):
        return ""
    parts = [part for part in sorted(sums[0].keys() | sums[1].keys())
             if part and sums[0].get(part) != sums[1].get(part)]
    return f" (in {', '.join(parts) or 'no part that the format names'})"


def text_differences(old: Results, new: Results) -> list[str]:
    """The texts that differ, as unified differences."""
    return ["\n".join(difflib.unified_diff(
                old[case]["text"].splitlines(), new[case]["text"].splitlines(),
                f"{case}.text before", f"{case}.text now", lineterm="", n=0))
            for case in sorted(old.keys() & new.keys()) if old[case]["text"] != new[case]["text"]]


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tree", type=Path, default=HERE.parent, help="Whose fastsig is run.")
    parser.add_argument("--inputs", type=Path, required=True, help="Folder of inputs, kept.")
    parser.add_argument("-o", "--output", type=Path, help="JSON file of the sums.")
    parser.add_argument("--against", type=Path, help="JSON file to compare with.")
    parser.add_argument("--texts", action="store_true", help="Compare what is said as well.")
    parser.add_argument("--only", default="*", help="Cases, such as 'spectra/*'.")
    parser.add_argument("--recorded", type=Path, help="Folder of recorded files.")
    parser.add_argument("--own-kernels", action="store_true",
                        help="The tree's kernels too, which may have to be compiled.")
    parser.add_argument("--keep", type=Path, help="Folder to make the products in, kept.")
    options = parser.parse_args()
    for name in ("tree", "inputs", "recorded", "keep"):
        path = getattr(options, name)
        setattr(options, name, path and path.resolve())
    return options


def report(made: Results, options: argparse.Namespace) -> int:
    """Print what differs; the exit code."""
    old = {case: result for case, result in json.loads(options.against.read_text()).items()
           if fnmatch(case, options.only)
           and (options.recorded or not case.startswith("recorded/"))}
    found = differences(old, made)
    texts = text_differences(old, made)
    print(*found, *(texts if options.texts else []), sep="\n")
    print(f"{len(found)} of {len(flat(old))} products differ, {len(texts)} of {len(old)} texts")
    return int(bool(found) or (options.texts and bool(texts)))


def main() -> int:
    """Make the products, write their sums, compare."""
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        work = options.keep or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        made = make(options, work)
    if options.output:
        options.output.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    failed = sum(result["code"] != 0 for result in made.values())
    print(f"{len(flat(made)) - failed} products of {len(made)} cases, {failed} of which fail; "
          f"{spent.ru_utime + spent.ru_stime:.0f} s of processor time")
    return report(made, options) if options.against else 0


if __name__ == "__main__":
    sys.exit(main())
