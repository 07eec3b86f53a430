"""Folded profiles as the input of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastsig.errors import UsageError
from fastsig.products.validate import verify
from fastsig.pulsar.profiles import Profiles
from fastsig.run.profile_files import open_profiles

__all__ = ["verified"]


def verified(files: Sequence[str], check: bool, overrides: Mapping[str, Any]) -> Profiles:
    """Open the one file of a command, after its checksums are verified if `check` is given.

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
    return open_profiles(files[0], **overrides)
