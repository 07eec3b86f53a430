"""Commands on folded profiles: what ``convert`` and ``cut`` do with them."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, driver

__all__ = ["copy_profiles", "has_profiles"]

#: Options that apply to streams only, and their values if they are not given.
_OF_STREAMS = {"scale": 1.0, "file_size": None, "one_thread": False, "dspsr_header": False,
               "explain": False}


def has_profiles(files: tuple[str, ...]) -> bool:
    """Return whether the first file contains folded profiles."""
    from fastsig.errors import FormatError
    from fastsig.io.opening import detect
    from fastsig.registry import kinds

    try:
        return len(files) > 0 and os.path.isfile(files[0]) and (
            "profiles" in kinds(detect(files[0])[1]))
    except FormatError:  # reported when the file is opened
        return False


def copy_profiles(files: tuple[str, ...], output: str, to: str | None, options: dict[str, Any],
                  rows: slice = slice(None), band: slice = slice(None), usual: str | None = None
                  ) -> None:
    """Write the selected subintegrations, channels and products of an archive, and report on it.

    `usual` is the format if neither `to` nor the extension of the output specifies one.
    """
    from fastsig.products.profiles import verified
    from fastsig.run.profile_files import format_of, losses_of, selected, write_profiles

    for name, default in _OF_STREAMS.items():
        if options.get(name, default) != default:
            raise click.UsageError(f"--{name.replace('_', '-')} has no meaning for folded profiles")
    found = verified(files, common.parse_overrides(options["overrides"]),
                     check=options["verify"], whole=options["hash_inputs"])
    made = selected(found, rows, band, options["products"])
    kind = format_of(output, to, usual)
    bits = None if options["bits"] is None else int(options["bits"])
    cautions = losses_of(made, kind)
    record = {"outputs": [output], "format": kind, "n_time": made.n_subint,
              "n_bits": (bits or 16) if kind == "psrfits" else None, "cautions": cautions}
    if options["dry_run"]:
        _print_dry_run(record, options["as_json"])
        return
    write_profiles(made, output, to=kind, overwrite=options["overwrite"], bits=bits)
    for each in cautions:
        common.say(f"note: {output}: {each}", options["quiet"])
    if options["as_json"]:
        common.print_json({**record, "bytes": [os.path.getsize(output)]})
    common.say(f"wrote {output}", options["quiet"])


def _print_dry_run(record: dict[str, Any], as_json: bool) -> None:
    output = record["outputs"][0]
    if as_json:
        common.print_json({**record, "dry_run": True, "free_bytes": driver.free_bytes(output)})
        return
    click.echo(f"would write {output}: {record['n_time']} subintegrations as {record['format']}, "
               f"{driver.free_bytes(output) / 1e6:.0f} MB free")
    for each in record["cautions"]:
        click.echo(f"note: {output}: {each}")
