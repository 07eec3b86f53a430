"""The table of what each verb takes and returns, in ``docs/workflow.md``, made from the verbs.

The column "takes" is the description of the first parameter in the docstring of a stage or
measurement, and "returns" the first sentence. Texts are changed there, never on the page.
``python docs/generated.py --write`` writes the table.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from fastsig import registry
from fastsig.verbs import work_of

PAGE = Path(__file__).resolve().parent / "workflow.md"
#: Commands that run a verb, if there is not simply a command with the name of the verb.
COMMANDS = {
    "channelize": "spectra", "detect": "spectra", "integrate": "spectra", "select": "cut",
    "to_series": "dedisperse", "planes": "dedisperse", "to_barycenter": "dedisperse --barycenter",
    "locate": "calibrate --ky", "stokes": "calibrate --stokes", "flux": "flux, calibrate --flux",
    "measure_diode": "calibrate", "on_off": "switch --mode onoff", "flag_shares": "flag",
    "mask": "flag --mask", "flag_kurtosis": "flag --kurtosis", "iqrm": "flag --iqrm",
    "zero_dm": "flag --zero-dm", "flag_runs": "flag --runs", "bursts": "search bursts",
    "drifting": "search drift", "pulsars": "search pulsars",
}
_PLACE = re.compile(r"(<!-- verbs: .*? -->\n).*?(<!-- end of verbs -->)", re.DOTALL)
_FIRST = re.compile(r"Parameters\n-+\n\S[^\n]*\n((?: +[^\n]*\n)+)")


def texts(name: str) -> tuple[str, str]:
    """What a verb takes, and what it returns."""
    work, _ = work_of(name)
    text = (inspect.getdoc(work) or "") + "\n"
    summary = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=\.)\s", summary)[0].removeprefix("Return ")
    first = _FIRST.search(text)
    assert first, f"{work.__module__}: the docstring of {name} describes no first parameter"
    return " ".join(first[1].split()).rstrip("."), sentence[:1].upper() + sentence[1:].rstrip(".")


def row(name: str, commands: set[str]) -> str:
    """The row of a verb."""
    command = COMMANDS.get(name, name if name in commands else "")
    cells = (f"`{name}`", command and f"`{command.replace(', ', '`, `')}`", *texts(name))
    marked = [cell.replace("``", "`").replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(marked)} |".replace("|  |", "| |")


def table(page: str, commands: set[str]) -> str:
    """The page with the table of all verbs."""
    rows = "\n".join(["| verb | command | takes | returns |", "|---|---|---|---|",
                      *(row(name, commands) for name in registry.own_verbs())])
    return _PLACE.sub(lambda match: f"{match[1]}\n{rows}\n\n{match[2]}", page)
