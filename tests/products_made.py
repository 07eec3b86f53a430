"""Make the products of one group and print what they are, as JSON; `same_products.py` calls it.

    python tests/products_made.py GROUP FOLDER PATTERN

Each case is done in a folder of its own below FOLDER, in this process, by the fastsig that
PYTHONPATH names.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatch
from glob import glob
from pathlib import Path
from typing import Any

from products_commands import COMMANDS

LINKS = ("in", "recorded")
#: What differs from run to run in what a command says: rates and times that work took.
FLEETING = ((r"\d+(\.\d+)?(e[+-]?\d+)? ?[kMG]?(B|samples|rows|spectra)/s", "RATE"),
            (r"\bin \d+(\.\d+)?(e[+-]?\d+)? s\b", "in SECONDS"),
            (r"memory about .* \(at least .*\)", "MEMORY"),
            (r'^ *"(free|memory)_bytes": \d+', "BYTES"),
            (r"^.*compiling kernels; once for this machine and version\n", ""))


def main(group: str, folder: Path, pattern: str) -> dict[str, Any]:
    """What the cases of the group give whose names match."""
    import fastsig

    cases = COMMANDS.get(group) or _chains()
    made = {name: _case(cases[name], folder, f"{group}/{name}") for name in cases
            if fnmatch(f"{group}/{name}", pattern)}
    return {"package": str(Path(fastsig.__file__).parent), "cases": made}


def _chains() -> dict[str, Any]:
    from products_chains import CHAINS

    return CHAINS


def _case(case: Any, folder: Path, called: str) -> dict[str, Any]:
    """Products, exit code and text of one case, done in a new folder that links to the inputs."""
    here = folder / "cases" / called
    here.mkdir(parents=True)
    for name in LINKS:
        (here / name).symlink_to(folder / name)
    with contextlib.chdir(here), _said() as said:
        code = _commands(case) if isinstance(case, list) else _chain(case)
    text = _settled(said.getvalue(), folder)
    products = _products(here)
    if isinstance(case, list) and case[0].startswith(("info ", "validate ")):
        products["printed"] = {"": _sum(text.encode())}
    return {"code": code, "text": text, "products": products}


def _commands(lines: list[str]) -> int:
    """Run command lines up to the first that fails; the exit code."""
    for line in lines:
        words = [name for word in shlex.split(line) for name in sorted(glob(word)) or [word]]
        if "FLOOR" in words:
            words = _at_the_floor(words)
        code = _command(words)
        if code:
            return code
    return 0


def _command(words: list[str]) -> int:
    """One command line as ``python -m fastsig`` runs it."""
    logging.getLogger().handlers.clear()  # they hold the stream of the command before
    logging.getLogger("fastsig").setLevel(logging.NOTSET)
    sys.argv = ["fastsig", *words]
    try:
        runpy.run_module("fastsig", run_name="__main__", alter_sys=True)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return 0


def _at_the_floor(words: list[str]) -> list[str]:
    """A command line with the least memory that it can do with, which depends on the process."""
    with _said() as said:
        _command([word.replace("FLOOR", "1MB") for word in words])
    return [word.replace("FLOOR", str(floor(said.getvalue()))) for word in words]


def floor(text: str) -> int:
    """Bytes just above the floor that a refusal names: those of its megabytes are rounded."""
    found = re.search(r"below the floor of this plan, (\d+)MB", text)
    if found is None:
        raise LookupError(f"no floor in {text!r}")
    return (int(found[1]) + 10) * 10**6


def _chain(chain: Any) -> int:
    """Run a chain; an exception is its text, and 1."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, **__: print("warning:", message)
            print(chain() or "")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


@contextlib.contextmanager
def _said() -> Iterator[io.StringIO]:
    """What is said on both streams, in order."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def _settled(text: str, folder: Path) -> str:
    """A text without what depends on the place and on the time."""
    text = text.replace(str(folder), "FOLDER")
    for pattern, word in FLEETING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


# -- Sums -----------------------------------------------------------------------------------------


def _products(here: Path) -> dict[str, dict[str, str]]:
    """The sums of every file, by name: of all, and of its parts where the format has some."""
    files = [path for path in sorted(here.rglob("*")) if path.is_file()
             and path.relative_to(here).parts[0] not in LINKS]
    return {str(path.relative_to(here)): parts(path) for path in files}


def parts(path: Path) -> dict[str, str]:
    """SHA-256 of a file (``""``), and of each of its parts by name."""
    content = _steady(path)
    found = {"": _sum(content)}
    with contextlib.suppress(OSError):  # of another format than its name says
        if path.suffix == ".h5":
            return found | _hdf5_parts(path)
        if path.suffix == ".fits":
            return found | _fits_parts(path)
    return found


def _steady(path: Path) -> bytes:
    """The bytes of a file; of a zip archive (.xlsx), which holds times, those of its members."""
    if path.suffix != ".xlsx":
        return path.read_bytes()
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = [name for name in sorted(archive.namelist()) if not name.startswith("docProps")]
        return b"".join(name.encode() + archive.read(name) for name in members)


def _hdf5_parts(path: Path) -> dict[str, str]:
    """Of every dataset and attribute."""
    import h5py

    found: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        for key, value in item.attrs.items():
            found[f"{name}@{key}"] = _sum(repr(value).encode())
        if isinstance(item, h5py.Dataset):
            value = item[()]
            found[name] = _sum(value if isinstance(value, bytes) else value.tobytes())

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found


def _fits_parts(path: Path) -> dict[str, str]:
    """Of the header and the data of every unit."""
    from astropy.io import fits

    content = path.read_bytes()
    with warnings.catch_warnings(), fits.open(path) as units:
        warnings.simplefilter("ignore")
        places = [unit.fileinfo() for unit in units]
    return {f"{number} {what}": _sum(content[place[begin] : place[begin] + size])
            for number, place in enumerate(places)
            for what, begin, size in (("header", "hdrLoc", place["datLoc"] - place["hdrLoc"]),
                                      ("data", "datLoc", place["datSpan"]))}


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    result = main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    print(json.dumps(result))
