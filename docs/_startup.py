"""What the notebooks of the site begin with; IPython runs it, conf.py puts it in place.

`!command` shows both outputs as they come and ends the page where the exit code is not 0 (in
Jupyter it goes on). Warnings are errors, as in the tests.
"""

import os as _os
import subprocess as _subprocess
import warnings as _warnings
from pathlib import Path as _Path


def _system(line):
    line = _shell.var_expand(line, depth=1)  # {name}
    done = _subprocess.run(["bash", "-o", "pipefail", "-c", line], stdin=_subprocess.DEVNULL,
                           stdout=_subprocess.PIPE, stderr=_subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"{line}\nends with {done.returncode}")


_shell = get_ipython()  # noqa: F821
_shell.system = _system
_shell.run_line_magic("matplotlib", "inline")
_shell.run_line_magic("config", "InlineBackend.figure_formats = ['retina']")
_os.makedirs("data", exist_ok=True)
if not _os.path.exists("data/samples"):
    _os.symlink(_Path(_os.environ["FASTSIG_ROOT"], "data", "samples"), "data/samples")
_warnings.simplefilter("error")
_warnings.simplefilter("ignore", PendingDeprecationWarning)  # of ipykernel
