"""SIGPROC's numbers for telescopes, and its way of writing angles: one table for all its readers.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information;
PRESTO, sigproc.py and sigproc_fb.c, for the telescopes that came later.
"""

from __future__ import annotations

from fractions import Fraction

from fastsig.io.files.cards import hms_text

__all__ = ["TELESCOPES", "day_of", "degrees_of", "packed_angle", "telescope_number"]

_SURE_DIGITS = 15  # of a decimal number, that a float64 gives back
_NANOSECONDS = 86400 * 10**9  # of a day

#: Telescopes by number. Number 9 is another telescope in every table: SIGPROC has the 140 ft,
#: sigpyproc Effelsberg's LOFAR station.
TELESCOPES = {
    0: "Fake", 1: "Arecibo", 2: "Ooty", 3: "Nancay", 4: "Parkes", 5: "Jodrell", 6: "GBT",
    7: "GMRT", 8: "Effelsberg", 9: "ATA", 10: "SRT", 11: "LOFAR", 12: "VLA", 20: "CHIME",
    21: "FAST", 30: "MWA", 64: "MeerKAT", 65: "KAT-7",
}


def telescope_number(name: str | None) -> int | None:
    """The number of a telescope, whatever the case of its name; None where it has none."""
    return next((number for number, known in TELESCOPES.items()
                 if name is not None and known.casefold() == name.casefold()), None)


def degrees_of(packed: Fraction, per_unit: int) -> float | None:
    """Degrees from an angle written as ``hhmmss.s`` (`per_unit` 15) or ``ddmmss.s`` (1).

    None where it is no angle: minutes or seconds above 60, or beyond a turn or a pole.
    """
    whole, seconds = divmod(abs(packed), 100)
    units, minutes = divmod(whole, 100)
    found = units + Fraction(minutes, 60) + seconds / 3600
    if minutes > 59 or seconds > 60 or found > (24 if per_unit == 15 else 90) or (
            per_unit == 15 and packed < 0):
        return None
    return float(found * per_unit * (-1 if packed < 0 else 1))


def packed_angle(degrees: float, per_unit: int) -> float:
    """The inverse of `degrees_of`, to the last place of a float64 or 1e-9 s."""
    return float(hms_text(degrees, per_unit).replace(":", ""))


def day_of(number: float) -> Fraction:
    """The day (MJD) that a float64 stands for.

    The decimal number of up to 15 digits that it is the nearest to, as someone typed it. Where that
    takes more digits, which a float does not hold, the float itself, as all other programs take it:
    its shortest text is up to 0.3 us off.
    """
    text = repr(float(number))
    if sum(map(str.isdigit, text.rstrip("0"))) <= _SURE_DIGITS:
        return Fraction(text)
    # To the nanosecond, which all other headers hold exactly; the float has steps of 0.6 us.
    return Fraction(round(Fraction(float(number)) * _NANOSECONDS), _NANOSECONDS)
