"""The columns of a table of pulsar candidates."""

from __future__ import annotations

from fastsig.search.findings import Column

__all__ = ["COLUMNS", "OPTIONAL"]

#: Columns of every table, in their order.
COLUMNS: dict[str, Column] = {
    "period": Column("f8", "s", "period at the epoch", 15),
    "frequency": Column("f8", "Hz", "frequency at the epoch", 12),
    "frequency_error": Column("f8", "Hz", "standard error of the frequency", 12),
    "fdot": Column("f8", "Hz / s", "first derivative of the frequency", 15),
    "acceleration": Column("f8", "m / s2", "acceleration along the line of sight that causes fdot, "
                                           "positive towards the observer", 6),
    "dm": Column("f8", "pc / cm3", "dispersion measure: middle of the range in which the S/N is "
                               "below that of the best detection by at most 1, or by a tenth if "
                               "that is more", 4),
    "sigma": Column("f8", "", "significance after all trials of the search, in standard "
                              "deviations of a Gaussian", 3),
    "snr": Column("f8", "", "S/N of the folded pulse: measured by fast folding, estimated from the "
                            "power of the harmonics", 3),
    "power": Column("f8", "", "sum of the powers of the harmonics, each of mean 1 in noise; nan "
                              "for fast folding", 4),
    "n_harmonic": Column("i4", None, "number of harmonics that were summed; 0 for fast folding"),
    "r": Column("f8", "", "mean frequency, in bins of the Fourier spectrum; for fast folding, "
                          "number of turns in the series", 4),
    "z": Column("f8", "", "drift of the frequency over the series, in Fourier bins", 4),
    "width": Column("f8", "s", "width of the boxcar with the highest S/N; nan if it was not "
                               "measured", 9),
    "duty": Column("f8", "", "width as a fraction of the period; nan if it was not measured", 6),
    "method": Column("U", None, "search with the best detection: fourier or ffa (fast folding)"),
    "n_member": Column("i8", None, "number of detections that form the candidate"),
    "dm_low": Column("f8", "pc / cm3", "lowest dispersion measure of the detections", 4),
    "dm_high": Column("f8", "pc / cm3", "highest dispersion measure of the detections", 4),
    "epoch": Column("epoch", None, "start of the series, or of its segment, at the reference "
                                   "frequency: TDB if the frame in the meta is barycentric, "
                                   "otherwise UTC at the telescope"),
    "beam": Column("i4", None, "number of the beam; -1 if it is not known"),
    "ra": Column("f8", "deg", "right ascension of the beam, ICRS; nan if it is not known", 7),
    "dec": Column("f8", "deg", "declination of the beam, ICRS; nan if it is not known", 7),
    "file": Column("U", None, "name of the file that contains the first spectrum searched"),
}

#: Columns that some tables have, after the others.
OPTIONAL: dict[str, Column] = {
    "fddot": Column("f8", "Hz / s2", "second derivative of the frequency", 18),
    "jerk": Column("f8", "m / s3", "jerk along the line of sight that causes fddot, positive "
                                   "towards the observer", 9),
    "w": Column("f8", "", "change of the drift over the series, in Fourier bins", 3),
    "segment": Column("i4", None, "number of the segment with the most significant detection, from "
                                  "1 on; 0 for the whole"),
    "segment_start": Column("f8", "s", "start of this segment, from that of the series", 6),
    "segment_length": Column("f8", "s", "length of this segment", 6),
    "n_segment": Column("i4", None, "number of segments in which the signal was found"),
    "name": Column("U", None, "name of the known pulsar that the candidate may be, with the "
                              "ratio of the frequencies if it is not 1; empty for none"),
    "harmonics": Column("U", None, "ratios of the frequencies of weaker detections that "
                                   "belong to the candidate"),
    "fold_period": Column("f8", "s", "period at the epoch, from folding", 15),
    "fold_period_error": Column("f8", "s", "standard error of the period from folding", 15),
    "fold_pdot": Column("f8", "", "derivative of the period, from folding", 20),
    "fold_pdot_error": Column("f8", "", "standard error of the derivative of the period", 20),
    "fold_dm": Column("f8", "pc / cm3", "dispersion measure from folding", 4),
    "fold_dm_error": Column("f8", "pc / cm3", "standard error of the dispersion measure from "
                                              "folding", 4),
    "fold_snr": Column("f8", "", "S/N of the folded pulse", 3),
    "fold_sigma": Column("f8", "", "significance of the folded pulse after the trials of "
                                   "folding", 3),
    "n_beam": Column("i4", None, "number of beams in which the signal was found"),
    "beams": Column("U", None, "beams in which the signal was found, each with its S/N, in "
                               "descending order of S/N"),
    "verdict": Column("U", None, "accepted, doubtful or interference, after a comparison of beams"),
    "reason": Column("U", None, "reason for the verdict"),
    "east": Column("f8", "arcmin", "estimated offset to the east from the telescope's position"),
    "north": Column("f8", "arcmin", "estimated offset to the north"),
    "east_error": Column("f8", "arcmin", "standard error of the offset to the east"),
    "north_error": Column("f8", "arcmin", "standard error of the offset to the north"),
    "pulsar_ra": Column("f8", "deg", "estimated right ascension, ICRS; nan if that of the beam is "
                                     "not known"),
    "pulsar_dec": Column("f8", "deg", "estimated declination, ICRS; nan if that of the beam is not "
                                      "known"),
    "chance": Column("f8", "", "probability that another beam has such a candidate by chance"),
}
