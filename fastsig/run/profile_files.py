"""Files of folded profiles: open them by content, write them by extension."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastsig import registry
from fastsig._version import __version__
from fastsig.errors import FormatError, UsageError
from fastsig.io.files.provenance import file_record
from fastsig.io.files.safe import check_output
from fastsig.io.opening import detect_files
from fastsig.pulsar.profiles import Profiles
from fastsig.stream.header import override_text

__all__ = ["format_of", "losses_of", "open_profiles", "read_recorded",
           "selected", "write_profiles"]

_SUFFIXES = {".ar": "psrfits", ".fits": "psrfits", ".rf": "psrfits", ".cf": "psrfits",
             ".sm": "psrfits", ".std": "psrfits", ".ecsv": "ecsv"}
_MOST_ROWS = 2**21  # of a table; a file of more than 256 MiB is not read again


def open_profiles(path: str | os.PathLike[str], **overrides: Any) -> Profiles:
    """Open a file of folded profiles.

    Parameters
    ----------
    path : path
        A PSRFITS file in fold mode, or a table of profiles that fastsig wrote (.ecsv).
    **overrides
        Values that replace those of the file: ``period="0.7s"``, ``dm=30``, ``telescope=...`` and
        the other overrides of `fastsig.open`.

    Raises
    ------
    FormatError
        If the file contains no profiles, or cannot be understood.
    DataError
        If the file cannot be read.
    UsageError
        If an override is not allowed.

    Examples
    --------
    >>> import fastsig as fs
    >>> fs.open_profiles("data/samples/nothing.ar")
    Traceback (most recent call last):
    fastsig.errors.MissingFileError: data/samples/nothing.ar: No such file or directory
    """
    return read_recorded(path, overrides)


def read_recorded(path: str | os.PathLike[str], overrides: Mapping[str, Any], *,
                  whole: bool = False) -> Profiles:
    """Open a file as `open_profiles`, with the hash of its ends or of the `whole` file recorded."""
    detected = detect_files(path)
    if "profiles" not in detected.kinds:
        raise FormatError(detected.files[0], f"contains {' or '.join(detected.kinds)} "
                          f"({detected.name}); allowed here: folded profiles")
    found: Profiles = detected.module.read_profiles(detected.files[0], **overrides)
    given = {key: override_text(key, value) for key, value in overrides.items()}
    return found.replace(provenance=_read(found, given, whole))


def _read(profiles: Profiles, overrides: Mapping[str, str], whole: bool) -> dict[str, Any]:
    """Return the provenance of what is made from a file."""
    record = {"name": os.path.basename(profiles.path),
              "files": [file_record(profiles.path, whole=whole)], "overrides": dict(overrides)}
    if profiles.provenance:
        record["made_by"] = dict(profiles.provenance)
    return {"fastsig": __version__, "inputs": [record]}


def selected(profiles: Profiles, rows: slice, band: slice, products: str | None = None
             ) -> Profiles:
    """Return the subintegrations, channels and products of a command, recorded in the provenance.

    Stokes parameters that the profiles lack are computed.
    """
    from fastsig.axes.polarization import PRODUCTS

    part = profiles[rows, band]
    if products is not None:
        wanted = PRODUCTS.get(products) or tuple(name.strip() for name in products.split(","))
        if not set(wanted) <= set(part.names) and set(wanted) <= set("IQUV"):
            part = part.stokes(wanted[0] if wanted in (("I",), ("V",)) else "IQUV")
        part = part if part.names == wanted else part[list(wanted)]
    chosen = {"rows": rows, "channels": band}
    parameters = {key: [None if end is None else str(end) for end in (each.start, each.stop)]
                  for key, each in chosen.items() if each != slice(None)}
    if products is not None:
        parameters["products"] = list(part.names)
    if not parameters:
        return part
    stages = [*part.provenance.get("stages", ()), {"stage": "select", "parameters": parameters}]
    return part.replace(provenance={**part.provenance, "stages": stages})


def format_of(path: str | os.PathLike[str], to: str | None = None, usual: str | None = None
              ) -> str:
    """Return the format of a file to be written: `to`, that of the extension, or the usual one.

    Raises
    ------
    UsageError
        If profiles cannot be written in this format, or the extension indicates none.
    """
    name = os.fspath(path)
    allowed = ", ".join(registry.profile_writers())
    found = to or _SUFFIXES.get(os.path.splitext(name)[1].lower(), usual)
    if found is None:
        raise UsageError(f"{name}: its extension indicates no format of profiles; allowed: .ar, "
                         ".fits, .ecsv, or --to psrfits|ecsv")
    if found not in registry.profile_writers():
        raise UsageError(f"{name}: profiles cannot be written as {found!r}; allowed: {allowed}")
    return found


def losses_of(profiles: Profiles, kind: str) -> list[str]:
    """Describe in plain words the parts of profiles that a file in a format cannot hold."""
    from fastsig.io.psrfits_fold.writer import cautions

    return cautions(profiles) if kind == "psrfits" else []


def write_profiles(profiles: Profiles, path: str | os.PathLike[str], *, to: str | None = None,
                   overwrite: bool = False, bits: int | None = None) -> None:
    """Write profiles as a file, whole or not at all.

    Parameters
    ----------
    profiles : Profiles
    path : path
        The file.
    to : {"psrfits", "ecsv"}, optional
        The format; by default, that of the extension: PSRFITS for .ar and .fits, and a table with a
        row for each value of phase for .ecsv.
    overwrite : bool
        Whether an existing file may be replaced.
    bits : {16, 32}, optional
        Bits of a number in PSRFITS; 16 by default.

    Raises
    ------
    UsageError
        If an option is not allowed.
    PlanError
        If the format cannot contain these profiles.
    OutputError
        If the file exists or cannot be written.
    """
    kind = format_of(path, to)
    check_output(path, overwrite=overwrite,
                 inputs=[profiles.path] if os.path.exists(profiles.path) else [])
    if kind == "ecsv":
        if bits is not None:
            raise UsageError(f"bits = {bits}; allowed: with psrfits")
        _write_table(profiles, path, overwrite)
        return
    from fastsig.io.psrfits_fold.writer import write_profiles as write

    write(profiles, path, overwrite=overwrite, n_bits=16 if bits is None else bits)


def _write_table(profiles: Profiles, path: str | os.PathLike[str], overwrite: bool) -> None:
    from fastsig.io.ecsv.tables import write_table

    n = profiles.n_subint * profiles.n_chan * profiles.n_bin
    if n > _MOST_ROWS:
        raise UsageError(f"{os.fspath(path)}: a table of {profiles.n_subint} subintegrations x "
                         f"{profiles.n_chan} channels x {profiles.n_bin} bins; allowed: "
                         f"{_MOST_ROWS} rows, so average or select first")
    write_table(profiles.to_table(), path, kind="profiles", provenance=profiles.provenance,
                overwrite=overwrite)
