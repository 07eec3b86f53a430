"""All files that are generated from the code, in full or in part.

``python docs/generated.py --write`` writes them: the tables of options and the list of commands
from the commands, the stub of the verbs and the table in ``docs/workflow.md`` from the stages
and measurements, and the stub of the kernels from their index. Without ``--write`` it lists the
files that are out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kernel_stub
import option_tables
import verb_stub
import workflow_table

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "python docs/generated.py --write"


def files() -> dict[str, str]:
    """Names of all generated files, and the text that each should have."""
    from fastsig.cli.main import cli

    commands = dict(option_tables.commands(cli))
    found = option_tables.pages(cli) | {
        verb_stub.STUB: verb_stub.stub(),
        kernel_stub.STUB: kernel_stub.stub(),
        workflow_table.PAGE: workflow_table.table(
            workflow_table.PAGE.read_text(encoding="utf-8"), set(commands))}
    return {path.relative_to(ROOT).as_posix(): text for path, text in found.items()}


def stale() -> dict[str, str]:
    """Those of the files that are out of date or missing, with the text that they should have."""
    return {name: text for name, text in files().items()
            if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text}


def main() -> None:
    """Write the files, or list those that are out of date."""
    found = stale()
    if "--write" in sys.argv[1:]:
        for name, text in found.items():
            (ROOT / name).write_text(text, encoding="utf-8")
            print(f"{name}: written")
    elif found:
        sys.exit(f"{', '.join(found)}: out of date; {COMMAND}")


if __name__ == "__main__":
    main()
