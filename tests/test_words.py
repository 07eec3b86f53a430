"""Words and phrases that an astronomer whose language is English would not write.

A plain scan of text: of pages and helps, and of comments, docstrings and messages in the code.
Blocks and spans of code are not scanned, nor is what programs print on pages, nor are strings of
one word: keys of JSON and of provenance are exempt.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

import click
import pytest
from pages import FENCE, ROOT, text_of
from test_option_tables import COMMANDS

#: Pages whose prose is scanned.
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "kernels/README.md", "bench/README.md",
         "data/samples/README.md", *sorted(
             path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")
             if "_build" not in path.parts)]
#: Folders with code; the files directly in `fastsig` are one more.
FOLDERS = ["bench", "kernels/fastsig_kernels", "fastsig", *sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "fastsig").iterdir()
    if path.is_dir() and any(path.rglob("*.py")))]

#: What is not to be written, and what to write instead.
WORDS = {
    r"tell|tells|told|telling": "report, state, list, record, show, specify",
    r"(?:a|one) (?:file|row|line|column|page|text|folder|name|card|thread|number|weight|table) "
    r"an? (?!time\b)\w+": "one file per command, a file for each command",
    r"a line each|one each|in turn round": "one line for each",
    r"one an? (?:processor|core|power|row|line|file|beam|channel|row|task|stage)":
        "one per processor",
    r"turned? round": "reversed",
    r"(?:is|are|was|were|be|been|and) meant(?! (?:to|for|by|as)\b)|meant over": "averaged",
    r"fall(?:s|ing)? (?:frequency|frequencies|in frequency|with frequency|order)|"
    r"frequenc(?:y|ies) (?:that )?falls?(?:ing)?": "descending",
    r"held against|hold against|holds against": "compared with, checked against",
    r"put right": "corrected",
    r"for want of": "for lack of",
    r"all the same(?= ?[.,;:])": "nevertheless; identical",
    r"but for": "except for",
    r"save (?:for|that|those|where|what)": "except",
    r"at the least|at the most": "at least, at most",
    r"more yet|yet more": "even more",
    r"again for more": "may be repeated",
    r"by which the edges": "name the quantity",
    r"so many (?=\w)": "this many",
    r"to what (?:half|channel|degree)": "which",
    r"what(?:ever)? it came to": "the result",
    r"in place of": "instead of",
    r"stands? in (?:its|their|the) (?:place|provenance)": "is replaced by; is recorded in",
    r"goes? into the provenance": "is recorded in the provenance",
    r"on from there|and so on and": "name what follows",
    r"likewise(?=\.)": "say what",
    r"by its? own": "on its own, separately",
    r"an? hundred thousand|some hundred": "about 100",
    r"now and then|time and again": "sometimes",
    r"thrown? away": "discarded",
    r"gives? back|given back": "returns",
    r"hands? (?:it|them|these) on": "passes",
}
PATTERNS = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): instead
            for words, instead in WORDS.items()}
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)


def prose(name: str) -> str:
    """The text of a page, line by line, without code."""
    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n")

    return _CODE.sub(lambda match: "CODE" + blank(match), FENCE.sub(blank, text_of(name)))


def faults(text: str) -> Iterator[str]:
    """What should be written otherwise, with its line."""
    for pattern, instead in PATTERNS.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{line}: {' '.join(match[0].split())!r}: {instead}"


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Comments and strings of several words of a Python file, each with its first line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_text = token.type == tokenize.COMMENT or (
            tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE") and " " in token.string)
        if is_text:
            yield token.start[0], re.sub(r"(`+)[^`]+\1|<[^<>]+>", "CODE", token.string)


@pytest.mark.parametrize("name", FOLDERS)
def test_code_has_none_of_these_words(name: str) -> None:
    folder = ROOT / name
    files = folder.glob("*.py") if name == "fastsig" else folder.rglob("*.py")
    found = [f"{path.relative_to(ROOT)}: line {line}, {fault}" for path in sorted(files)
             for line, text in texts(path.read_text(encoding="utf-8")) for fault in faults(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_none_of_these_words(name: str) -> None:
    assert not list(faults(prose(name)))


@pytest.mark.parametrize("name", COMMANDS)
def test_helps_have_none_of_these_words(name: str) -> None:
    command = COMMANDS[name]
    with click.Context(command) as context:
        found = list(faults(command.get_help(context)))
    assert not found


def test_the_words_are_found() -> None:
    text = "It tells\nwhat was meant over\ntime, a row a spectrum, of falling frequency."
    assert [fault.partition(":")[0] for fault in faults(text)] == ["1", "3", "2", "3"]
    assert not list(faults("Some files are meant to be read, a line at a time."))
    code = 'key = {"told": 1}  # it tells\nraise ValueError(f"{key} tells nothing")\n'
    assert [line for line, text in texts(code) if list(faults(text))] == [1, 2]
