"""The verbs that come with fastsig, as a base class of `Chain`; see `fastsig.verbs`.

Type checkers and editors read the stub beside this file. ``python docs/generated.py --write``
generates it from the stages, and a test compares them.
"""

from __future__ import annotations

from fastsig import registry
from fastsig.verbs import Verb

__all__ = ["OwnVerbs"]

OwnVerbs = type("OwnVerbs", (), {
    "__doc__": "Verbs of chains that come with fastsig.", "__module__": __name__,
    **{name: Verb(name) for name in registry.own_verbs()}})
