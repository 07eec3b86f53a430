"""``fastsig info``: what files are."""

from __future__ import annotations

import click

from fastsig.cli import common

# Stated even where the file does not, of what has channels.
_ALWAYS = ("frequency_mhz", "telescope", "source")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.json_option
@click.option("--deep", is_flag=True,
              help="Read the whole file where its header does not give the valid share.")
@common.set_option
@common.quiet_options
@common.debug_option
def info(
    files: tuple[str, ...], as_json: bool, deep: bool, overrides: tuple[str, ...], quiet: bool,
    debug: bool,
) -> int:
    """Tell what each FILE is: format, shape, times, frequencies, validity."""
    from fastsig.errors import InputError, UsageError
    from fastsig.products import failure
    from fastsig.products.info import info as describe

    changes = common.parse_overrides(overrides)
    records, refused = [], []
    for path in files:
        try:
            records.append(describe(path, deep=deep, **changes))
        except (InputError, UsageError) as error:
            records.append(failure(path, error))
            refused += [error] if isinstance(error, UsageError) else []
    if len(refused) == len(files):  # no file knows such a value
        raise refused[0]
    if as_json:
        common.print_json(records)
    for record in records:
        if "error" in record:
            common.say(f"fastsig: {record['error']}")
        elif not as_json and not quiet:
            _print(record)
    return int(any("error" in record for record in records))


def _print(record: dict[str, object]) -> None:
    click.echo(record["path"])
    always = () if record["n_chan"] is None else _ALWAYS
    for key, value in record.items():
        if key in ("path", "warnings", "provenance") or (value is None and key not in always):
            continue
        for line in _lines(value, named=key == "states"):
            click.echo(f"  {key:<16} {line}")
            key = ""
    warnings = record["warnings"]
    for warning in warnings if isinstance(warnings, list) else []:
        click.echo(f"  warning          {warning}")


def _lines(value: object, named: bool = False) -> list[str]:
    """A value as text; of a list of mappings a line for each, of what is known, perhaps by name."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ["  ".join(f"{key} {_text(item)}" if named else _text(item)
                          for key, item in row.items() if item not in (None, ""))
                for row in value]
    return [_text(value)]


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
