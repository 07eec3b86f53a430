"""Folded profiles as the input of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastsig.errors import UsageError
from fastsig.products.validate import verify
from fastsig.pulsar.profiles import Profiles
from fastsig.run.profile_files import read_recorded

__all__ = ["verified"]


def verified(files: Sequence[str], overrides: Mapping[str, Any], *, check: bool = False,
             whole: bool = False) -> Profiles:
    """Open the one file of a command, after its checksums are verified if `check` is given.

    The provenance has the hash of the `whole` file, or of its first and last MiB.

    Raises
    ------
    UsageError
        If there are several files.
    FormatError, DataError
        If the file contains no profiles, cannot be read, or has a wrong checksum.
    """
    if len(files) != 1:
        raise UsageError(f"{files[0]} and {len(files) - 1} more: archives of profiles are separate "
                         "recordings; allowed: one")
    if check:
        verify(files[0])
    return read_recorded(files[0], overrides, whole=whole)
