"""``fastsig samples``: copy the sample recordings that the documentation uses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from fastsig.cli import common
from fastsig.work.counted import counted


@click.command()
@click.argument("folder", required=False, default="data/samples", metavar="[FOLDER]")
@click.option("--overwrite", is_flag=True,
              help="Replace existing files that differ from the samples.")
@click.option("--list", "only_list", is_flag=True,
              help="List the files and their sizes without copying them.")
@common.message_options(verbose=common.SAYS_SWEPT,
                        quiet="Print no messages except warnings, errors and the output of --list.")
@common.debug_option
def samples(folder: str, overwrite: bool, only_list: bool, quiet: bool, debug: bool) -> None:
    """Copy the sample recordings into a folder.

    The default FOLDER is data/samples, where the examples in the documentation expect to
    find the recordings.
    """
    files = sorted(path for path in source().iterdir() if path.suffix != ".py")
    if only_list:
        for path in files:
            click.echo(f"{path.name:<32} {path.stat().st_size / 1e6:6.2f} MB")
        return
    _copy([path for path in files if not _is_there(path, os.path.join(folder, path.name))],
          folder, overwrite=overwrite)
    common.say(f"{counted(len(files), 'file')} in {folder}", quiet)


def source() -> Path:
    """Return the folder of the samples, in the installed package or in the source tree."""
    import fastsig
    from fastsig.errors import InputError

    package = Path(fastsig.__file__).resolve().parent
    for path in (package / "samples", package.parent / "data" / "samples"):
        if path.is_dir():
            return path
    raise InputError(package / "samples", "the sample recordings are not installed")


def _is_there(path: Path, target: str) -> bool:
    """Whether a target has the same bytes as a sample."""
    import filecmp

    return os.path.isfile(target) and filecmp.cmp(path, target, shallow=False)


def _copy(files: list[Path], folder: str, *, overwrite: bool) -> None:
    from fastsig.errors import OutputError
    from fastsig.io.files.safe import SafeOutput, check_output

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, os.strerror(error.errno or 0)) from error
    for path in files:  # before any is written
        check_output(os.path.join(folder, path.name), overwrite=overwrite)
    for path in files:
        with SafeOutput(os.path.join(folder, path.name), overwrite=overwrite) as made:
            try:
                with path.open("rb") as sample, open(made.descriptor, "wb", closefd=False) as out:
                    shutil.copyfileobj(sample, out)
            except OSError as error:
                raise made.error(error) from error
