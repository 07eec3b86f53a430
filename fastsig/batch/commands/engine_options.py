"""Options of ``fastsig batch run`` and ``retry`` that specify where the tasks run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.batch.engines.job_queue import Engine
    from fastsig.batch.tasks.shards import Shard

engine_options: Callable[[Any], Any] = common.options(
    click.option("--shard", metavar="K/N",
                 help="Divide the tasks into N parts, and process only part K; in a Slurm array, "
                      "the default is the part that belongs to the array task."),
    click.option("--dask-scheduler", metavar="ADDRESS",
                 help="Run the tasks on the Dask cluster whose scheduler has this address or wrote "
                      "this scheduler file; with local, start a cluster on this machine."),
    click.option("--dask-tls-ca", type=common.InputPath(), metavar="PATH",
                 help="Trust this certificate authority (PEM) of the Dask cluster instead of the "
                      "one in Dask's configuration."),
    click.option("--dask-tls-cert", type=common.InputPath(), metavar="PATH",
                 help="Present this certificate (PEM) to the Dask cluster."),
    click.option("--dask-tls-key", type=common.InputPath(), metavar="PATH",
                 help="Use this private key (PEM) with --dask-tls-cert."))


def shard_of(options: dict[str, Any]) -> Shard | None:
    """Return the shard that the option or the Slurm array specifies."""
    from fastsig.batch.tasks import shards

    return shards.from_environment() if options["shard"] is None else shards.parse(
        options["shard"])


def engine_of(options: dict[str, Any], note: Callable[[str], None]) -> Engine | None:
    """Return the Dask engine if the options ask for it, otherwise None."""
    from fastsig.batch.engines.dask_engine import DaskEngine, Tls

    tls = Tls(options["dask_tls_ca"], options["dask_tls_cert"], options["dask_tls_key"])
    address = options["dask_scheduler"]
    if address is None or (tls and address == "local"):
        if tls:
            raise click.UsageError("--dask-tls-... without an external scheduler; allowed: with "
                                   "--dask-scheduler tls://HOST:PORT")
        return None
    return DaskEngine(address, workers=options["workers"], tls=tls,
                      warm=not options["no_warmup"], note=note)
