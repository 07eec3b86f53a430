"""Names of products: templates with fields, and how their values are inserted into paths.

A field never inserts a separator, a leading dot or a control character: values from headers and
file names are cleaned first. A name never leaves the output folder through ``..``; links are
checked when tasks are made.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from fastsig.batch.recipe.suggestions import nearest
from fastsig.errors import UsageError

__all__ = ["BASIC", "FAST", "HEADER", "MOST_BYTES", "PROJECT", "check_template", "clean",
           "fields_of", "fill", "known_fields", "of_group"]

#: Fields of every recording.
BASIC = ("stem", "name", "parent")
#: Fields from the names of FAST's files.
FAST = ("project", "mode", "beam", "band", "chunk")
#: Fields that all files of a project and mode share.
PROJECT = ("project", "mode", "band")
#: Fields from headers: the first file of each recording is opened to read them.
HEADER = ("source", "telescope", "start", "beam")

#: Most bytes of a file name: the system's 255, less those that a temporary name adds (with a host
#: name).
MOST_BYTES = 160
_FIELD_BYTES = 100
_FIELD = re.compile(r"\{([^{}]*)\}")


def of_group(group: str) -> tuple[str, ...]:
    """Return the fields that are read from file names, for a way of grouping files."""
    return {"fast": FAST, "project": PROJECT}.get(group, ())


def known_fields(group: str) -> list[str]:
    """Return the fields that names in the first step may contain."""
    header = [field for field in HEADER if (group, field) != ("project", "beam")]
    return [*BASIC, *of_group(group), *header]


def fields_of(template: str) -> list[str]:
    """Return the fields of a template, in order."""
    return [name.strip() for name in _FIELD.findall(template)]


def check_template(template: object, known: Iterable[str], *, outside: bool = False) -> None:
    """Refuse a template that has unknown fields, or leads out of its folder.

    Raises
    ------
    UsageError
        The message states what is allowed.
    """
    if not isinstance(template, str) or not template.strip():
        raise UsageError("allowed: a name, such as {stem}.h5")
    known = list(dict.fromkeys(known))
    for field in _FIELD.findall(template):
        if field not in known:
            raise UsageError(f"no such field {{{field}}}{_near(field, known)}")
    if re.search(r"[{}]", _FIELD.sub("", template)):
        raise UsageError("an unmatched brace; allowed: fields such as {stem}")
    if _controls(template):
        raise UsageError("contains a control character")
    if not outside:
        _check_relative(_FIELD.sub("x", template))


def _near(field: str, known: list[str]) -> str:
    hint = nearest(field.strip(), known)
    return hint or f"; allowed: {', '.join(known)}"


def _controls(text: str) -> bool:
    return any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def _check_relative(path: str) -> None:
    parts = path.split("/")
    if path.startswith(("/", "~")):
        raise UsageError("an absolute path; allowed: a name within output.folder")
    if ".." in parts:
        raise UsageError("leads out of output.folder through '..'; allowed: a name within it")
    if any(part == "" or part.startswith(".") for part in parts):
        raise UsageError("has a part that is empty or begins with a dot; allowed: visible names")


def clean(text: str) -> str:
    """Return text from a header or a file name in a form that is safe as part of a name.

    Letters, digits, ``+ - . _ = , @ % ~`` and inner spaces are kept; any other character becomes
    ``_``. The result has no leading dot, dash or tilde and at most 100 bytes.
    """
    text = unicodedata.normalize("NFC", text).strip()
    out = "".join(letter if letter.isalnum() or letter in "+-._=,@%~ " else "_" for letter in text)
    if out[:1] in (".", "-", "~"):
        out = "_" + out[1:]
    out = out.encode("utf-8", "replace")[:_FIELD_BYTES].decode("utf-8", "ignore").rstrip()
    return out


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return a template with its fields filled in; unknown fields are left as they are.

    Raises
    ------
    UsageError
        If a field is empty, or the name is too long or leads out of its folder.
    """
    def one(match: re.Match[str]) -> str:
        value = fields.get(match[1], match[0])
        if not value:
            raise UsageError(f"{template}: {{{match[1]}}} is empty or unknown for this input; "
                             "allowed: another field, or a value in inputs.set")
        return value

    path = _FIELD.sub(one, template)
    for part in path.split("/"):
        if len(part.encode("utf-8", "surrogateescape")) > MOST_BYTES:
            raise UsageError(f"{path}: a name of more than {MOST_BYTES} bytes; allowed: a shorter "
                             "one")
    _check_relative(_FIELD.sub("x", path))
    return path
