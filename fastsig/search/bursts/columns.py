"""The columns of a table of burst candidates."""

from __future__ import annotations

from fastsig.search.findings import Column

__all__ = ["COLUMNS", "OPTIONAL"]

#: Columns of every table, in their order; `time` is a UTC time.
COLUMNS: dict[str, Column] = {
    "time": Column("time", None, "UTC of the centre of the pulse at the reference frequency"),
    "time_s": Column("f8", "s", "time of the pulse after the start of the recording", 9),
    "dm": Column("f8", "pc / cm3", "dispersion measure", 4),
    "dm_error": Column("f8", "pc / cm3", "standard error of the dispersion measure", 4),
    "width": Column("f8", "s", "width of the boxcar with the highest S/N", 9),
    "snr": Column("f8", "", "S/N in the boxcar with the highest S/N", 3),
    "valid_share": Column("f8", "", "fraction of the samples of the boxcar that were valid", 4),
    "low_mhz": Column("f8", "MHz", "lower edge of the band that was searched", 6),
    "high_mhz": Column("f8", "MHz", "upper edge of the band that was searched", 6),
    "beam": Column("i4", None, "number of the beam; -1 if it is not known"),
    "ra": Column("f8", "deg", "right ascension of the beam, ICRS; nan if it is not known", 7),
    "dec": Column("f8", "deg", "declination of the beam, ICRS; nan if it is not known", 7),
    "n_member": Column("i8", None, "number of events above the threshold that form the candidate"),
    "dm_low": Column("f8", "pc / cm3", "lowest dispersion measure of the events", 4),
    "dm_high": Column("f8", "pc / cm3", "highest dispersion measure of the events", 4),
    "first_row": Column("i8", None, "first spectrum of the boxcar at the reference frequency, "
                                    "counted from the start of the scan at the full rate"),
    "last_row": Column("i8", None, "last spectrum of the boxcar, counted as first_row"),
    "downsampling": Column("i4", None, "number of spectra that were summed before the search"),
    "file": Column("U", None, "name of the file that contains first_row"),
}

#: Columns that some tables have, after the others.
OPTIONAL: dict[str, Column] = {
    "mjd_bary": Column("f8", "d", "arrival time at the solar system's barycentre and at infinite "
                                  "frequency (MJD, TDB)", 11),
    "injected": Column("i4", None, "number of the injected burst that was found; -1 for none"),
    "verdict": Column("U", None, "accepted, interference or doubtful, after a comparison of beams"),
    "reason": Column("U", None, "reason for the verdict"),
    "n_beam": Column("i4", None, "number of beams in which the signal was found"),
    "beams": Column("U", None, "beams in which the signal was found, each with its S/N"),
    "east": Column("f8", "arcmin", "estimated offset to the east from the telescope's position"),
    "north": Column("f8", "arcmin", "estimated offset to the north from the telescope's position"),
    "east_error": Column("f8", "arcmin", "standard error of the offset to the east"),
    "north_error": Column("f8", "arcmin", "standard error of the offset to the north"),
    "burst_ra": Column("f8", "deg", "estimated right ascension of the burst, ICRS; nan if the "
                                    "position of the beam is not known"),
    "burst_dec": Column("f8", "deg", "estimated declination of the burst, ICRS"),
    "chance": Column("f8", "", "probability that a candidate of another beam agrees by chance"),
}
