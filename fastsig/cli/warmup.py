"""``fastsig warmup``: compile the kernels ahead of their first use."""

from __future__ import annotations

import time

import click

from fastsig.cli import common


@click.command()
@common.message_options(verbose=common.SAYS_NOTHING)
@common.debug_option
def warmup(quiet: bool, debug: bool) -> None:
    """Compile the numerical kernels in advance to save time later.

    Kernels are the routines that process the data. Those that commands use by default are compiled
    and cached. Kernels for other numbers of taps or channels, for some sample formats and for some
    other options are compiled when they are first used; most commands then print a message.
    """
    from fastsig_kernels import _cache
    from numba.core import event

    from fastsig.cli import warming

    begin = time.perf_counter()
    with event.install_recorder("numba:compile") as recorder:
        warming.compile_all()
    made = "compiled and cached" if _cache.is_kept() else "compiled, but could not be cached"
    state = made if recorder.buffer else "were in the cache already"
    common.say(f"kernels {state} ({time.perf_counter() - begin:.1f} s)", quiet)
