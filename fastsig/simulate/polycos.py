"""TEMPO polycos for simulated pulsars, read as exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from fastsig.errors import FormatError

__all__ = ["Block", "polyco_blocks"]


class Block(NamedTuple):
    """A block of a polyco: phase in turns, frequency in Hz, times in minutes."""

    middle: Fraction  # of a day, MJD
    phase: Fraction
    hertz: Fraction
    half_span: Fraction
    coefficients: tuple[Fraction, ...]


def polyco_blocks(path: str) -> tuple[list[Block], Fraction]:
    """Return the blocks of a TEMPO polyco, and its dispersion measure.

    Raises
    ------
    FormatError
        If the file cannot be read as a polyco.
    """
    try:
        with open(path, encoding="ascii") as file:
            words = [line.replace("D", "E").split() for line in file if line.strip()]
        blocks, at, dm = [], 0, Fraction(0)
        while at < len(words):
            first, second = words[at : at + 2]
            middle, dm = Fraction(first[3]), Fraction(first[4])
            minutes, count = int(second[3]), int(second[4])
            lines = -(-count // 3)
            numbers = [Fraction(word) for line in words[at + 2 : at + 2 + lines] for word in line]
            if len(numbers) != count:
                raise ValueError("coefficients are missing")
            blocks.append(Block(middle, Fraction(second[0]), Fraction(second[1]),
                                 Fraction(minutes, 2), tuple(numbers)))
            at += 2 + lines
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise FormatError(path, f"is not a polyco: {error}") from error
    if not blocks:
        raise FormatError(path, "contains no polyco")
    return blocks, dm
