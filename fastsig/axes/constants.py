"""Physical constants, each defined once."""

from fractions import Fraction

__all__ = ["DISPERSION_CONSTANT", "HI_REST_HZ", "SPEED_OF_LIGHT"]

#: m/s, exact (SI).
SPEED_OF_LIGHT = 299_792_458

#: MHz^2 pc^-1 cm^3 s, the value fixed by convention in pulsar astronomy (Manchester & Taylor 1972),
#: not the 4148.808 that follows from newer constants.
DISPERSION_CONSTANT = 1 / Fraction("2.41e-4")

#: Rest frequency of the hyperfine line of neutral hydrogen, Hz (Hellwig et al. 1970).
HI_REST_HZ = Fraction("1420405751.768")
