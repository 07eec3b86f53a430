"""Times of arrival of archives, from files to a .tim file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastsig.errors import FormatError, UsageError
from fastsig.io.files.safe import write_bytes
from fastsig.io.opening import detect_files
from fastsig.pulsar.channel_smear import smear_of
from fastsig.pulsar.profile_toas import intensity
from fastsig.pulsar.templates import Template, fit_gaussians, smooth_wiener
from fastsig.pulsar.toas import Toa, tim_text
from fastsig.run.profile_files import open_profiles
from fastsig.run.template_files import read_template

__all__ = ["SMOOTHINGS", "template_of", "write_tim"]

#: How the profile of an archive becomes a template.
SMOOTHINGS: dict[str, Callable[[Any], Template]] = {
    "wiener": smooth_wiener, "gaussians": fit_gaussians}


def template_of(path: str | os.PathLike[str], smoothing: str = "wiener") -> Template:
    """Return the template of a file: a saved template, or the smoothed profile of an archive.

    Parameters
    ----------
    path : path
        A template in ECSV, or folded profiles, whose mean total intensity is used,
        and whose smear within channels is known if fastsig folded them.
    smoothing : {"wiener", "gaussians"}
        How the profile of an archive is smoothed.

    Raises
    ------
    FormatError
        If the file is neither of these, or its profile has no significant signal.
    UsageError
        If there is no such smoothing.
    """
    if smoothing not in SMOOTHINGS:
        raise UsageError(f"smoothing = {smoothing!r}; allowed: {', '.join(SMOOTHINGS)}")
    if "profiles" not in detect_files(path).kinds:
        return read_template(path)
    total = intensity(open_profiles(path))
    mean = total.mean("time", "frequency").data[0, 0, 0]
    if not np.isfinite(mean).all():
        raise FormatError(path, "its mean profile has bins without data")
    try:
        template = SMOOTHINGS[smoothing](mean)
    except UsageError as error:
        raise FormatError(path, str(error)) from error
    smear = smear_of(total)
    return template if smear is None else replace(template, smear=smear[0])


def write_tim(toas: Sequence[Toa], path: str | os.PathLike[str], *, overwrite: bool = False
              ) -> None:
    """Write times of arrival as a .tim file in tempo2's format 1.

    Raises
    ------
    UsageError
        If there are no times, or one of them cannot be written.
    OutputError
        If the file exists or cannot be written.
    """
    write_bytes(tim_text(toas).encode(), path, overwrite=overwrite)
