"""The site: `make docs` builds it, and runs the pages that are notebooks as it goes.

A page whose first lines say ``file_format: mystnb`` is run here, in a fresh folder that holds
data/samples; a command or a cell that fails ends the build. All other pages are run by
tests/test_docs.py. CONTRIBUTING.md tells the rules for both.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from pygments.lexer import RegexLexer, bygroups, using  # noqa: E402
from pygments.lexers import PythonLexer  # noqa: E402
from pygments.token import Generic, Text  # noqa: E402

from fastsig import __version__, registry  # noqa: E402

# What the kernels of the notebooks inherit.
_home = tempfile.mkdtemp(prefix="fastsig-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
_startup = Path(_home, "profile_default", "startup")
_startup.mkdir(parents=True)
shutil.copy(DOCS / "_startup.py", _startup / "00-docs.py")
(_startup.parent / "ipython_kernel_config.py").write_text(
    "get_config().IPKernelApp.log_level = 50\n")  # it complains about its own connection
os.environ.update(
    IPYTHONDIR=_home,
    FASTSIG_ROOT=str(ROOT),
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    PYTHONPATH=os.pathsep.join(
        [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
)

project = "fastsig"
author = "The fastsig developers"
copyright = "the fastsig developers, BSD-3-Clause"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_nb"]
exclude_patterns = ["_build"]

myst_enable_extensions = []  # formulae are text: a reader may have no network
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 200
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings tell them, with shapes and units
autodoc_preserve_defaults = True
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
python_use_unqualified_type_names = True
# Names in single quotes link where they are on a page; parameters and formulae are not.
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", "(numpy|collections)\\..*")]

html_theme = "pydata_sphinx_theme"
html_title = f"fastsig {release}"
html_static_path = ["_static"]
html_css_files = ["fastsig.css"]
html_sidebars = {name: [] for name in ("astronomers", "operators", "engineers")}  # alone
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "fastsig"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "pygments_light_style": "tango",
}


def _rubrics(app, what, name, obj, options, lines):
    """Turn headings of docstrings of modules into rubrics; numpydoc leaves them as they are."""
    if what == "module":
        for at in range(len(lines) - 1, 0, -1):
            if lines[at] and set(lines[at]) == {"-"}:
                lines[at - 1 : at + 1] = [f".. rubric:: {lines[at - 1]}", ""]


def _stages(app, docname, source):
    """Put a section for each module of a stage into the page of stages."""
    if docname != "reference/stages":
        return
    modules = dict.fromkeys(registry.stage(name).__module__ for name in registry.stages())
    source[0] = source[0].replace("% stages", "\n\n".join(
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```"
        for name in modules))


class Cell(RegexLexer):
    """Python with commands after `!` that may go on over several lines."""

    name = "cell"
    tokens = {"root": [  # noqa: RUF012
        (r"(!)((?:\\\n|[^\n])*\n?)", bygroups(Generic.Prompt, Text)),
        (r"(?:(?!!)[^\n]*\n)+", using(PythonLexer)),
    ]}


def setup(app):  # noqa: D103
    app.add_lexer("ipython3", Cell)
    app.connect("source-read", _stages)
    app.connect("autodoc-process-docstring", _rubrics, priority=900)
