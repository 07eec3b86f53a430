"""Run code of other packages, each time in a process of its own.

It is forked from one that has imported the package: blimpy takes two seconds for that. Packages
leave the interpreter on errors and warn at import.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

_FORKING = """
import json, os, sys, traceback, warnings
warnings.simplefilter("ignore")
told = os.fdopen(os.dup(1), "w")
__import__(sys.argv[1])
for line in sys.stdin:
    code, arguments, folder, output = json.loads(line)
    pid = os.fork()
    if pid == 0:
        end = 1
        try:
            file = os.open(output, os.O_WRONLY)
            os.dup2(file, 1), os.dup2(file, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(folder)
            sys.argv = ["-c", *arguments]
            exec(code, {"__name__": "__main__"})
            end = 0
        except SystemExit as error:
            end = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(end)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=told, flush=True)
"""


@lru_cache
def _forking(package: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _FORKING, package], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(process.communicate)
    return process


def run(package: str, code: str, *arguments: Any, cwd: Path | None = None) -> None:
    """Run code that uses a package, with arguments, and see that it ends well."""
    process = _forking(package)
    assert process.stdin is not None and process.stdout is not None
    with tempfile.NamedTemporaryFile("r") as output:
        folder = str(cwd or Path.cwd())
        print(json.dumps([code, [*map(str, arguments)], folder, output.name]), file=process.stdin,
              flush=True)
        end = process.stdout.readline()
        assert end == "0\n", f"exit {end}\n{output.read()[-3000:]}"
