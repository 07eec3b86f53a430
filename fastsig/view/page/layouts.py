"""What the pages of burst candidates, pulsar candidates and drifting carriers contain."""

from __future__ import annotations

from fastsig.view.page.findings import Layout, Listed, Panel

__all__ = ["BURSTS", "HITS", "PULSARS"]

#: The page of burst candidates.
BURSTS = Layout(
    kind="bursts", row_is="candidate",
    listed=(Listed("time", "time (UTC)", "time"), Listed("dm", "DM"),
            Listed("snr", "S/N", "fixed", 1), Listed("width", "width (ms)", "plain", 3, 1e3),
            Listed("beam", "beam", "number"), Listed("n_beam", "beams", "number"),
            Listed("n_member", "events", "number"), Listed("verdict", "verdict", "text"),
            Listed("file", "file", "text")),
    ranges=(Listed("snr", "S/N"), Listed("dm", "DM"), Listed("width", "width (ms)", factor=1e3),
            Listed("time_s", "time (s)")),
    picks=("beam", "verdict"),
    searched=("file", "verdict", "reason", "time", "beams"),
    title=(Listed("snr", "S/N ", digits=4), Listed("dm", "DM "),
           Listed("width", "", "plain", 3, 1e3, " ms")),
    saved=("time", "dm", "snr", "width", "beam", "file", "verdict"),
    columns=("time", "time_s", "dm", "dm_error", "width", "snr", "valid_share", "beam", "n_member",
             "ra", "dec", "downsampling", "n_beam", "east", "north", "east_error", "north_error",
             "burst_ra", "burst_dec", "chance", "injected", "file", "verdict", "reason", "beams"),
    panels=(Panel("profile", "curve", 90), Panel("aligned spectra", "image", 250),
            Panel("S/N against time and DM", "image", 170)))

#: The page of drifting carriers.
HITS = Layout(
    kind="hits", row_is="hit",
    listed=(Listed("frequency", "frequency (MHz)", "fixed", 6),
            Listed("drift", "drift (Hz/s)", "fixed", 4), Listed("snr", "S/N", "fixed", 1),
            Listed("width", "width (Hz)", "plain", 3),
            Listed("coarse_channel", "coarse channel", "number"),
            Listed("beam", "beam", "number"), Listed("n_beam", "beams", "number"),
            Listed("event", "event", "number"),
            Listed("scan", "scan", "number"), Listed("verdict", "verdict", "text"),
            Listed("source", "source", "text"), Listed("file", "file", "text")),
    ranges=(Listed("snr", "S/N"), Listed("frequency", "frequency (MHz)"),
            Listed("drift", "drift (Hz/s)"), Listed("width", "width (Hz)")),
    picks=("beam", "scan", "verdict"),
    searched=("file", "verdict", "reason", "source", "beams"),
    title=(Listed("snr", "S/N ", digits=4), Listed("frequency", "", "fixed", 6, unit=" MHz"),
           Listed("drift", "", "plain", 4, unit=" Hz/s"),
           Listed("width", "", "plain", 3, unit=" Hz")),
    saved=("frequency", "drift", "snr", "width", "event", "scan", "file", "verdict"),
    columns=("time", "frequency", "drift", "snr", "width", "excess", "valid_share", "channel",
             "coarse_channel", "product", "beam", "ra", "dec", "source", "first_row", "last_row",
             "file", "snr_turboseti", "event", "scan", "verdict", "reason", "n_beam", "beams",
             "east", "north", "east_error", "north_error", "signal_ra", "signal_dec", "chance"),
    panels=(Panel("S/N at the drift rate of the hit against frequency", "curve", 90),
            Panel("spectra against frequency", "image", 250),
            Panel("S/N against frequency and drift rate", "image", 170)))

#: The page of pulsar candidates.
PULSARS = Layout(
    kind="pulsars", row_is="candidate",
    listed=(Listed("period", "period (s)", "plain", 9), Listed("dm", "DM", "fixed", 2),
            Listed("sigma", "sigma", "fixed", 1), Listed("snr", "S/N", "fixed", 1),
            Listed("acceleration", "acceleration (m/s\u00b2)", "plain", 3),
            Listed("duty", "duty (%)", "plain", 3, 100), Listed("method", "search", "text"),
            Listed("beam", "beam", "number"), Listed("n_beam", "beams", "number"),
            Listed("n_member", "detections", "number"), Listed("name", "known as", "text"),
            Listed("verdict", "verdict", "text"), Listed("file", "file", "text")),
    ranges=(Listed("sigma", "sigma"), Listed("snr", "S/N"), Listed("dm", "DM"),
            Listed("period", "period (s)")),
    picks=("method", "beam", "verdict"),
    searched=("file", "name", "verdict", "reason", "beams", "harmonics"),
    title=(Listed("period", "", "plain", 9, unit=" s"), Listed("dm", "DM ", "fixed", 2),
           Listed("sigma", "", "fixed", 1, unit=" sigma"), Listed("name", "", "text")),
    saved=("period", "dm", "sigma", "snr", "acceleration", "beam", "file", "name", "verdict"),
    columns=("period", "frequency", "frequency_error", "fdot", "acceleration", "fddot", "jerk",
             "dm", "dm_low", "dm_high", "sigma", "snr", "power", "n_harmonic", "r", "z", "w",
             "width", "duty", "method", "n_member", "epoch", "beam", "ra", "dec", "harmonics",
             "fold_period", "fold_period_error", "fold_pdot", "fold_pdot_error", "fold_dm",
             "fold_dm_error", "fold_snr", "fold_sigma", "file", "name", "verdict", "reason",
             "n_beam", "beams", "east", "north", "east_error", "north_error", "pulsar_ra",
             "pulsar_dec", "chance"),
    panels=(Panel("profile over a turn", "curve", 90), Panel("time against phase", "image", 170),
            Panel("frequency against phase", "image", 250)))
