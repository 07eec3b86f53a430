"""Prints how the memory of a process of a session grows while it writes many short files.

The output is the number of files, the growth of the memory that is not shared with the process
which it was forked from, in kB, and the growth of what Python has allocated, in bytes; both from
the 20th file on.
"""

from __future__ import annotations

import os
import re
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from live_runs import Endless
from streams import noise

from fastsig.live import children
from fastsig.live.rehearsal import rehearse
from fastsig.live.settings import Settings, Source
from fastsig.live.sinks import rolling

_FIRST = 20


def own_kb() -> int:
    found = re.search("Private_Dirty: *([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text())
    assert found is not None
    return int(found[1])


def main(kind: str, place: str) -> None:
    settings = Settings(place, record="native" if kind == "record" else None,
                        spectra=kind == "spectra", n_chan=16, time="1ms", roll_s=Fraction(1, 100))
    live = Endless(noise(np.random.default_rng(1), 600_000))
    children.share_heap()
    rehearse(Source("-", "", "none"), settings)

    def work(report: Any) -> int:
        children.use_small_pages()
        found: list[tuple[int, int]] = []

        def said(what: dict[str, Any]) -> None:
            if "wrote" in what:
                found.append((own_kb(), tracemalloc.get_traced_memory()[0]))

        rolling(kind, live, settings, "", said, lambda: live).run(workers=2)
        growth = np.subtract(found[-2], found[_FIRST])  # the last file is short
        print(len(found), *growth)
        return 0

    tracemalloc.start()
    os.waitpid(children.start(kind, work).pid, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
