"""The example of `to_series`; its tests are those of `test_dedisperse.py`."""

from __future__ import annotations

from typing import Any

import fastsig as fs
from fastsig.verbs import without_stream

EXAMPLE: dict[str, Any] = {}


def test_a_verb_without_arguments_has_no_section_of_parameters() -> None:
    text = fs.Chain.to_series.__doc__ or ""
    assert "Parameters" not in text and "\n\nRaises\n" in text
    assert without_stream("A.\n\nParameters\n----------\nsource : x\n    A.\n") == "A."
