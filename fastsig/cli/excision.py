"""Options that excise interference from spectra, shared by the commands that search them."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common

__all__ = ["NAMES", "excise", "excision_options", "flag_option", "parameters_of"]

_STATISTICS = ("std", "modulation", "mean", "skewness", "kurtosis")

#: Names of the options' values, in the order in which they are applied.
NAMES = ("mask", "kurtosis", "kurtosis_n_sum", "iqrm", "iqrm_statistic", "zero_dm", "runs")

#: The flag of commands that flag interference before they use spectra.
flag_option = click.option("--flag", "flagged", is_flag=True,
                           help="Flag interference first, as fastsig flag does by default.")

#: The options. A command passes their values on to `excise`.
excision_options = common.options(
    click.option("--mask", type=common.InputPath(), multiple=True, metavar="FILE",
                 help="Give weight 0 to the regions listed in this file: a .mask file of "
                      "PRESTO's rfifind, or text with lines such as \"1378MHz-1385MHz 3s-5s\". "
                      "May be repeated."),
    click.option("--kurtosis", type=float, metavar="SHARE",
                 help="In each time segment, flag channels with a kurtosis or skewness unlike "
                      "that of noise, and spectra with impulses in most channels. In each "
                      "product, flag at most this fraction of noise, e.g. 0.001."),
    click.option("--kurtosis-n-sum", metavar="N|measured",
                 help="With --kurtosis, assume N samples of each polarisation per value, or "
                      "measure N and ignore the skewness (measured).  [default: the number of "
                      "independent samples]"),
    click.option("--iqrm", type=float, metavar="X",
                 help="Use IQRM to flag, in each segment of time, channels whose statistic exceeds "
                      "that of surrounding channels by more than X standard deviations, e.g. 3."),
    click.option("--iqrm-statistic", type=click.Choice(_STATISTICS), default="std",
                 show_default=True,
                 help="With --iqrm, compare this statistic. The statistic std is the standard "
                      "deviation over time; modulation, intended for spectra that still contain "
                      "the bandpass, is std divided by the mean."),
    click.option("--zero-dm", type=click.Choice(["mean", "zdot"]),
                 help="Remove signals that arrive in all channels at the same time: subtract the "
                      "mean over the band (mean), or this mean scaled to the strength of the "
                      "signal in each channel (zdot)."),
    click.option("--runs", type=float, metavar="X",
                 help="Flag runs of 1 to 64 samples in time or in frequency that deviate from the "
                      "levels of their channels. X is the threshold for one sample, in standard "
                      "deviations, e.g. 6."),
)


def parameters_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `excision_options` among the options of a command, and remove them."""
    return {name: options.pop(name) for name in NAMES}


def excise(chain: Any, given: dict[str, Any], *, protect: str | None = None,
           n_segment: int | None = None, together: bool = True) -> Any:
    """Return a chain without what the options excise, each with a stage of its own.

    Masks come first. The mean over the band is removed after the tests of channels, since values
    are not powers after that, and before the test of runs, which finds what is left.

    Parameters
    ----------
    chain : Chain
        Spectra.
    given : dict
        Values of `NAMES`, as from `parameters_of`.
    protect : str, optional
        Frequency intervals that are never flagged.
    n_segment : int, optional
        Spectra in a segment.
    together : bool
        Whether a sample that is flagged in one product is flagged in all products.
    """
    if given["kurtosis"] is None and given["kurtosis_n_sum"] is not None:
        raise click.UsageError("--kurtosis-n-sum without --kurtosis; allowed: both")
    for path in given["mask"]:
        chain = chain.mask(path, protect=protect)
    segments = {"n_segment": n_segment, "protect": protect, "together": together}
    if given["kurtosis"] is not None:
        chain = chain.flag_kurtosis(noise_share=given["kurtosis"],
                                    n_sum=_n_sum(given["kurtosis_n_sum"]), **segments)
    if given["iqrm"] is not None:
        chain = chain.iqrm(threshold=given["iqrm"], statistic=given["iqrm_statistic"], **segments)
    if given["zero_dm"] is not None:
        chain = chain.zero_dm(method=given["zero_dm"], n_segment=n_segment)
    if given["runs"] is not None:
        chain = chain.flag_runs(threshold=given["runs"], **segments)
    return chain


def _n_sum(text: str | None) -> float | str | None:
    """Return a number of samples, or "measured"."""
    if text is None or text == "measured":
        return text
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--kurtosis-n-sum {text}; allowed: a number, or measured"
                               ) from None
