"""Messages of errors are lines that a terminal can show."""

from __future__ import annotations

from fastsig.errors import FormatError


def test_what_a_file_says_cannot_break_the_line_or_the_terminal() -> None:
    error = FormatError("x.fil", "source is J0534\n+2200\x1b[2J\x00µ, not \x7fB")
    assert str(error) == r"x.fil: source is J0534\n+2200\x1b[2J\x00µ, not \x7fB"


def test_a_long_message_lacks_its_middle() -> None:
    text = str(FormatError("x.fil", "a" * 5000 + "b"))
    assert len(text) < 1100 and text.startswith("x.fil: aaa") and text.endswith("ab")
