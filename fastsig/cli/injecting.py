"""``--inject N``: bursts added to spectra before excision, and how many of them a search finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

__all__ = ["Injections", "compared", "inject"]


class Injections(NamedTuple):
    """Bursts that were added to spectra.

    Parameters
    ----------
    bursts : list of Injection
    live : float
        Share of the channels that have noise after excision, and therefore bursts.
    """

    bursts: list[Any]
    live: float


def inject(chain: Any, excised: Callable[[Any], Any], options: dict[str, Any]
           ) -> tuple[Any, Injections]:
    """Return spectra with bursts whose S/N is in units of the noise after excision.

    Parameters
    ----------
    chain : Chain
        Spectra as recorded.
    excised : callable
        Returns a chain without interference.
    options : dict
        Those of ``search bursts``.
    """
    from fastsig.chain import Chain
    from fastsig.reductions.bursts.injected import Injected, noise_of, planned
    from fastsig.reductions.bursts.searching import searches_of

    search, = searches_of(excised(chain).stream, options["dms"], **plan_options(options))
    drawn = planned(search.stream, search.plan, options["inject"], options["seed"])
    noise = noise_of(search.stream)
    constant = search.plan.dm_plan.recording.constant
    made = Chain(Injected(chain.stream, drawn, noise, constant))
    return made, Injections(drawn, float((noise > 0).mean()))


def plan_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of ``search bursts`` that its plan needs."""
    return {"widths": options["width"], **{
        key: options[key] for key in ("loss", "threshold", "constant", "switch")}}


def compared(found: Any, injections: Injections, stream: Any, wanted: Any, options: dict[str, Any]
             ) -> Any:
    """Compare candidates with the bursts that were injected, and report how many were found."""
    from fastsig.reductions.bursts.injected import completeness
    from fastsig.reductions.bursts.table import late_of

    made = completeness(found, injections.bursts, float(late_of(stream)), wanted,
                        live=injections.live)
    if not options["as_json"]:
        click.echo(f"found {made.n_found} of {len(injections.bursts)} injected bursts")
        for by, name in (("snr", "S/N"), ("dm", "DM"), ("width_s", "width (s)")):
            for row in made.rows(by):
                click.echo(f"{name} {row['low']:g} to {row['high']:g}: {row['n_found']} of "
                           f"{row['n_injected']}, mean S/N found / injected "
                           f"{row['mean_snr_ratio']:.3f}")
    return found.with_columns(injected=made.column(len(found))).with_meta(
        completeness={"seed": options["seed"], **made.record()})
