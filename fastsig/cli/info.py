"""``fastsig info``: show what is in files."""

from __future__ import annotations

import click

from fastsig.cli import common

# Printed for every product with channels, even if the file does not state them; not for rows in
# several states, whose values may differ.
_ALWAYS = ("frequency_mhz", "telescope", "source")
# Printed elsewhere, or not at all.
_APART = ("path", "warnings", "provenance", "cards")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.json_option
@click.option("--deep", is_flag=True,
              help="Compute the valid fraction (and, for a cube, the noise) from the whole file. "
                   "By default, up to 16 channels of a cube are read, and no fraction is shown "
                   "for spectra, DM-time planes or most voltages.")
@click.option("--cards", is_flag=True, help="Also show all header cards of each file.")
@common.set_option
@common.message_options(verbose=common.SAYS_NOTHING, quiet=common.ERRORS_ONLY)
@common.debug_option
def info(
    files: tuple[str, ...], as_json: bool, deep: bool, cards: bool, overrides: tuple[str, ...],
    quiet: bool, debug: bool,
) -> int:
    """Show the format, shape, times and frequencies of files."""
    from fastsig.errors import InputError, UsageError
    from fastsig.products import failure
    from fastsig.products.info import info as describe

    changes = common.parse_overrides(overrides)
    records, refused = [], []
    for path in files:
        try:
            records.append(describe(path, deep=deep, cards=cards, **changes))
        except (InputError, UsageError) as error:
            records.append(failure(path, error))
            refused += [error] if isinstance(error, UsageError) else []
    if len(refused) == len(files):  # no file accepts the value
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
    always = () if record["n_chan"] is None or "states" in record else _ALWAYS
    for key, value in record.items():
        if key in _APART or (value is None and key not in always):
            continue
        for line in _lines(key, value):
            click.echo(f"  {key:<16} {line}")
            key = ""
    warnings = record["warnings"]
    for warning in warnings if isinstance(warnings, list) else []:
        click.echo(f"  warning          {warning}")
    cards = record.get("cards")
    for section, values in cards.items() if isinstance(cards, dict) else ():
        click.echo(f"  cards of {section}")
        for key, value in values.items():
            text = repr(value) if isinstance(value, float) else _text(value)
            for line in str(text if value != "" else "''").splitlines():
                click.echo(f"    {key:<20} {line}")


def _lines(key: str, value: object) -> list[str]:
    """Return a value as lines of text, one for each stage or mapping, without empty entries."""
    named = key == "states"
    if key == "stages" and isinstance(value, list) and value:
        return [_text(item) for item in value]
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
