"""The layout of the page of a batch, in HTML.

Names, headers and messages on it may be hostile: all text is escaped by `fastsig.view.page.html`,
links are percent-encoded relative paths, and the page's policy allows only the project's script.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections import Counter
from html import escape
from urllib.parse import quote

from fastsig.batch.ledger.states import STATES
from fastsig.batch.ledger.status import Row, Status
from fastsig.batch.report.thumbnails import Thumbnails
from fastsig.work.counted import counted

__all__ = ["GENERATOR", "page_of"]

#: Generator that a page states if it may be replaced.
GENERATOR = "fastsig batch report"

_MOST_PICTURES = 3_300_000  # characters of all thumbnails: 300 of the largest size
_MOST_ROWS = 20_000
_MOST_CAUSES = 8_000_000  # characters of all causes; further ones are truncated
_CUT = 300  # characters of a truncated cause
_MOST_MEANINGS = 5  # of thumbnails, in the notes
_MOST_NAMES = 200  # stale products that are listed, and products of one task that are linked
_COLUMNS = ("", "task", "state", "time (s)", "memory (MB)", "tries", "ended (UTC)", "products",
            "cause")

#: Styles of states; those that are not listed are "bad".
_KINDS = {"done": "good", "waiting": "idle", "running": "busy", "killed": "again",
          "preempted": "again", "abandoned": "again", "stale": "again"}


def page_of(status: Status, folder: str, where: str, *, title: str = "batch",
            thumbnails: Thumbnails | None = None, seconds: float = 0.0,
            reload: float | None = None) -> bytes:
    """Return the page of a status, with links relative to the folder `where`."""
    from fastsig.view.page.html import document

    rows = sorted(status.rows, key=_rank)
    shown = rows[:_MOST_ROWS]
    table = _Table(folder, where, thumbnails or Thumbnails(), seconds)
    lines = "".join(map(table.line, shown))
    notes = table.notes
    if len(rows) > len(shown):
        n_left = len(rows) - len(shown)
        notes.append(f"{counted(n_left, 'more task')} cannot be shown here; batch status lists all "
                     "tasks.")
    live = "" if reload is None or not status.workers else f' data-reload="{max(1, round(reload))}"'
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in _COLUMNS)
    shown_notes = "".join(f"<p class=caption>{_text(note)}</p>\n" for note in notes)
    body = (f"{_totals(status)}{_bar(status)}{_facts(status)}{shown_notes}"
            f"<main{live}><table class=tasks><thead><tr>{head}</tr></thead>\n<tbody>\n{lines}"
            f"</tbody></table></main>\n{_stale(status)}")
    lead = f"{folder} · written {_utc(time.time())} UTC"
    return document(_plain(title), body, ("report.js",), lead=_plain(lead),
                    styles=("report.css",), generator=GENERATOR)


def _rank(row: Row) -> tuple[int, int, bool, str]:
    """Return the sort key of a row: failures first, then running, waiting and finished tasks.

    Of tasks in the same state, those with warnings come first.
    """
    kinds = ("bad", "again", "busy", "idle", "good")
    return kinds.index(_kind(row.state)), list(STATES).index(row.state), not row.warnings, row.name


def _kind(state: str) -> str:
    return _KINDS.get(state, "bad")


def _plain(text: str) -> str:
    """Return text that can be encoded, with control characters and marks of direction escaped."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(repr(sign)[1:-1] if unicodedata.category(sign) in ("Cc", "Cf") else sign
                   for sign in text) if not text.isprintable() else text


def _text(text: str) -> str:
    return escape(_plain(text))


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _totals(status: Status) -> str:
    """Return the counts, which the script turns into buttons that filter the table."""
    items = [f'<li data-state="" class=all><b>{len(status.rows)}</b> tasks</li>']
    for state, n in status.counts.items():
        meaning = escape(STATES[state].meaning)
        items.append(f'<li data-state="{state}" class={_kind(state)} title="{meaning}">'
                     f"<b>{n}</b> {state}</li>")
    return f"<ul class=totals>{''.join(items)}</ul>\n"


def _bar(status: Status) -> str:
    """Return a bar with the shares of the states, in SVG, as the policy allows no styles."""
    at, parts = 0.0, []
    kinds = dict.fromkeys(("good", "busy", "bad", "again", "idle"), 0)
    for state, n in status.counts.items():
        kinds[_kind(state)] += n
    for kind, n in kinds.items():
        width = 1000 * n / max(1, len(status.rows))
        parts.append(f'<rect x="{at:.2f}" width="{width:.2f}" height="10" class="{kind}"/>')
        at += width
    return (f'<svg class=bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" '
            f'aria-label="shares of the states">{"".join(parts)}</svg>\n')


def _facts(status: Status) -> str:
    rows = [row for row in status.rows if row.at]
    size = sum(size for row in status.rows if row.state == "done" for _, size, _ in row.outputs)
    parts = [f"{sum(row.seconds for row in rows):.1f} s of work", f"{_size(size)} of products"]
    if rows:
        parts.append(f"most memory of a task {_size(max(row.peak_bytes for row in rows))}")
        parts.append(f"last record {_utc(max(row.at for row in rows))} UTC")
        hosts = sorted({row.host for row in rows})
        parts.append(f"recorded on {', '.join(hosts[:5])}"
                     + (f" and {len(hosts) - 5} more hosts" if len(hosts) > 5 else ""))
    if status.warned:
        parts.append(f"{counted(status.warned, 'task')} with warnings")
    parts.append(f"at work: {', '.join(status.workers)}" if status.workers else "no run is at work")
    return f"<p class=lead>{_text(' · '.join(parts))}</p>\n"


def _stale(status: Status) -> str:
    if not status.stale:
        return ""
    names = "".join(f"<li>{_text(name)}</li>" for name in status.stale[:_MOST_NAMES])
    more = len(status.stale) - _MOST_NAMES
    return (f"<details><summary>Stale products ({len(status.stale)}): no task of the recipe makes "
            f"them</summary><ul>{names}</ul>{f'<p>and {more} more</p>' if more > 0 else ''}"
            "</details>\n")


def _size(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"


class _Table:
    """The rows of the table, and how much of the page's limits they have used."""

    def __init__(self, folder: str, where: str, thumbnails: Thumbnails, seconds: float) -> None:
        self._folder, self._where, self._thumbnails = folder, where, thumbnails
        self._until = time.monotonic() + seconds
        self._pictures, self._causes = _MOST_PICTURES, _MOST_CAUSES
        self._meanings: Counter[str] = Counter()
        self._without = self._cut = 0

    @property
    def notes(self) -> list[str]:
        """Notes on what the thumbnails show, and on what was left out."""
        notes = [f"Thumbnails of {counted(n, 'task')}: {meaning}."
                 for meaning, n in self._meanings.most_common(_MOST_MEANINGS)]
        if len(self._meanings) > _MOST_MEANINGS:
            notes.append("Other thumbnails: hold the pointer over one to read what it shows.")
        if self._without:
            notes.append(f"No picture of {counted(self._without, 'finished task')} is shown: it is "
                         "not made yet, or the pictures above reach the limit of "
                         f"{_MOST_PICTURES / 1e6:g} MB.")
        if self._cut:
            notes.append(f"{counted(self._cut, 'long message')} shortened; the logs contain the "
                         "full text.")
        return notes

    def line(self, row: Row) -> str:
        """Return a row of the table."""
        kind = _kind(row.state)
        ended = row.state not in ("waiting", "running") and row.at
        cells = [
            f"<td>{self._picture(row)}</td>", f"<th scope=row>{self._name(row)}</th>",
            f"<td><span class={kind}>{row.state}</span></td>",
            _number(row.seconds, f"{row.seconds:.2f}"),
            _number(row.peak_bytes, f"{row.peak_bytes / 1e6:.0f}"),
            _number(row.attempt, str(row.attempt)),
            _number(row.at if ended else 0, _utc(row.at).replace(" ", " ")),
            f"<td>{self._products(row)}</td>", f"<td>{self._cause(row)}</td>"]
        return f"<tr data-state={row.state}>{''.join(cells)}</tr>\n"

    def _href(self, path: str) -> str:
        """Return a relative link, which cannot contain a scheme or a quote."""
        return "./" + quote(os.fsencode(os.path.relpath(path, self._where)))

    def _picture(self, row: Row) -> str:
        key, made = self._thumbnails.of(row, self._folder, self._until)
        if made is None or len(made.picture) > self._pictures:
            self._without += 1
        if not made or not made.picture or len(made.picture) > self._pictures:
            return ""
        self._pictures -= len(made.picture)
        self._meanings[made.meaning] += 1
        meaning = _text(made.meaning)
        target = next((name for name, _, _ in row.outputs if name.lower().endswith(".png")),
                      row.outputs[0][0])
        return (f'<a href="{self._href(os.path.join(self._folder, target))}"><img alt="{meaning}" '
                f'loading=lazy data-key="{key}" src="data:image/webp;base64,{made.picture}" '
                f'title="{meaning}"></a>')

    def _name(self, row: Row) -> str:
        """Return the cell with name, inputs and log."""
        first = os.path.basename(row.inputs[0]) if row.inputs else ""
        more = f" and {len(row.inputs) - 1} more" if len(row.inputs) > 1 else ""
        title = _text("\n".join(row.inputs[:20]).replace("\n", " · "))
        log = f' · <a href="{self._href(row.log)}">log</a>' if row.log else ""
        return (f"{_text(row.name)}<small title=\"{title}\">{_text(first + more)}{log}</small>")

    def _products(self, row: Row) -> str:
        there = [(name, size) for name, size, _ in row.outputs if size >= 0]
        links = [f'<a href="{self._href(os.path.join(self._folder, name))}">{_text(name)}</a> '
                 f"<small>{_size(size)}</small>" for name, size in there[:_MOST_NAMES]]
        if len(there) > _MOST_NAMES:
            links.append(f"and {len(there) - _MOST_NAMES} more")
        return "<br>".join(links)

    def _cause(self, row: Row) -> str:
        """Return why the task is not done, and its warnings, in full as long as there is space."""
        step = f"<small>{_text(row.step)}</small> " if row.step else ""
        lines = [f"<div class=cause>{step}{self._fitting(row.error)}</div>"] if row.error else []
        lines += [f"<div class=warning>warning: {self._fitting(line)}</div>"
                  for line in row.warnings]
        return "".join(lines)

    def _fitting(self, cause: str) -> str:
        if len(cause) > max(_CUT, self._causes):
            self._cut += 1
            cause = f"{cause[:_CUT]} ..."
        self._causes -= len(cause)
        return _text(cause)


def _number(value: float, text: str) -> str:
    """Return a cell that is sorted by its number; empty if that is 0."""
    return f'<td data-sort="{value:.10g}">{text}</td>' if value else "<td></td>"
