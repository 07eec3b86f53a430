"""The numbers of telescopes and the notation of angles in SIGPROC, for all its readers.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information;
PRESTO, sigproc.py and sigproc_fb.c, for telescopes that were added later.
"""

from __future__ import annotations

from fractions import Fraction

from fastsig.io.files.cards import hms_text

__all__ = ["TELESCOPES", "day_of", "degrees_of", "packed_angle", "telescope_number"]

_SURE_DIGITS = 15  # digits of a decimal number that a float64 preserves
_NANOSECONDS = 86400 * 10**9  # per day

#: Telescopes by number. Number 9 differs between tables: it is the 140 ft in SIGPROC, and
#: Effelsberg's LOFAR station in sigpyproc.
TELESCOPES = {
    0: "Fake", 1: "Arecibo", 2: "Ooty", 3: "Nancay", 4: "Parkes", 5: "Jodrell", 6: "GBT",
    7: "GMRT", 8: "Effelsberg", 9: "ATA", 10: "SRT", 11: "LOFAR", 12: "VLA", 20: "CHIME",
    21: "FAST", 30: "MWA", 64: "MeerKAT", 65: "KAT-7",
}


def telescope_number(name: str | None) -> int | None:
    """Return the number of a telescope, ignoring the case of its name; None if it has none."""
    return next((number for number, known in TELESCOPES.items()
                 if name is not None and known.casefold() == name.casefold()), None)


def degrees_of(packed: Fraction, per_unit: int) -> float | None:
    """Return degrees from an angle written as ``hhmmss.s`` (`per_unit` 15) or ``ddmmss.s`` (1).

    None if it is not an angle: minutes or seconds exceed 60, or it is beyond a turn or a pole.
    """
    whole, seconds = divmod(abs(packed), 100)
    units, minutes = divmod(whole, 100)
    found = units + Fraction(minutes, 60) + seconds / 3600
    if minutes > 59 or seconds > 60 or found > (24 if per_unit == 15 else 90) or (
            per_unit == 15 and packed < 0):
        return None
    return float(found * per_unit * (-1 if packed < 0 else 1))


def packed_angle(degrees: float, per_unit: int) -> float:
    """Return the inverse of `degrees_of`, to the last digit of a float64 or 1e-9 s."""
    return float(hms_text(degrees, per_unit).replace(":", ""))


def day_of(number: float) -> Fraction:
    """Return the day (MJD) that a float64 represents.

    This is the decimal number of up to 15 digits of which it is the nearest float, as someone
    typed it. If more digits are needed, which a float does not preserve, it is the float itself,
    as in all other programs: its shortest text is up to 0.3 us off.
    """
    text = repr(float(number))
    if sum(map(str.isdigit, text.rstrip("0"))) <= _SURE_DIGITS:
        return Fraction(text)
    # Rounded to 1 ns, which all other headers can store exactly; the float has steps of 0.6 us.
    return Fraction(round(Fraction(float(number)) * _NANOSECONDS), _NANOSECONDS)
