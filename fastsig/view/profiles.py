"""The page of folded profiles: two turns of the profile, against time, frequency and trials.

Panels, from top left: position angle, if there is linear polarisation; the profile; profiles
against time; at the right, facts, and profiles against frequency; and, if a search for the best
values was made, chi^2 against dispersion measure, period and its derivative.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.errors import PlanError
from fastsig.pulsar.off_pulse import off_pulse_or_lowest
from fastsig.pulsar.polarization_profile import debiased, pa_error
from fastsig.pulsar.profile_measurements import four_stokes
from fastsig.pulsar.profiles import Profiles
from fastsig.stream.slices import product_indices
from fastsig.view.figures import COLORS, legend_above, new_figure, time_unit
from fastsig.view.look import Look, Shades, in_powers, powers, value_label
from fastsig.view.profile_facts import facts
from fastsig.view.profile_images import Image, by_frequency, by_time, twice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Trials", "draw_page"]

F8 = NDArray[np.float64]

_LEAST_LINEAR = 4.0  # L over its noise, from which an angle is drawn


class Trials(NamedTuple):
    """Reduced chi^2 of profiles against values that were tried.

    Parameters
    ----------
    curves : mapping
        Values that were tried and chi^2 of each, by name: ``"dm"`` (pc cm^-3), ``"period"``
        (s) and ``"pdot"``.
    plane : (periods, derivatives, chi^2) or None
        chi^2 of shape (derivative, period).
    """

    curves: Mapping[str, tuple[F8, F8]]
    plane: tuple[F8, F8, F8] | None = None

    @classmethod
    def of(cls, improvement: Any) -> Trials:
        """Return the maps of an improvement of period, derivative and dispersion measure.

        Parameters
        ----------
        improvement : object
            With ``dof``, and ``trials`` that has ``frequency_hz``, ``derivative_hz_s``, ``dm``,
            ``chi2_dm`` and ``chi2`` of shape (frequency, derivative).
        """
        made, dof = improvement.trials, max(1, improvement.dof)
        middle = made.frequency_hz[len(made.frequency_hz) // 2]
        periods, pdots = 1 / made.frequency_hz[::-1], -made.derivative_hz_s[::-1] / middle**2
        chi2 = made.chi2[::-1, ::-1].T / dof
        return cls({"dm": (made.dm, made.chi2_dm / dof), "period": (periods, chi2.max(axis=0)),
                    "pdot": (pdots, chi2.max(axis=1))}, (periods, pdots, chi2))


def draw_page(profiles: Profiles, product: str | None = None, look: Look | None = None,
              trials: Trials | None = None) -> Figure:
    """Draw the page of profiles.

    Parameters
    ----------
    profiles : Profiles
    product : str, optional
        The product to draw; by default, Stokes I, with L, V and position angles if the products
        allow.
    look : Look, optional
        Colours.
    trials : Trials, optional
        Chi^2 against values that were tried.
    """
    if not np.isfinite(profiles.data).any():
        raise PlanError(f"{profiles.path}: no profile has data")
    shown, stokes = _shown(profiles, product)
    look = look or Look()
    mean = shown.mean("time", "frequency").data[0, 0, 0].astype(np.float64)
    off = off_pulse_or_lowest(mean)
    figure, axes = _panels(shown, stokes is not None, trials)
    _draw_profile(axes["profile"], mean, off, shown, alone=stokes is None)
    if stokes is not None:
        _draw_polarization(axes["angle"], axes["profile"], stokes, off)
        axes["angle"].tick_params(labelbottom=False)
    if "time" in axes:
        axes["profile"].tick_params(labelbottom=False)
        _draw_image(figure, axes["time"], by_time(shown, off), shown, look, _time_label(shown))
    else:
        axes["profile"].set_xlabel("phase (turns)")
    if "frequency" in axes:
        _draw_image(figure, axes["frequency"], by_frequency(shown, off), shown, look,
                    "frequency (MHz)")
    _write_facts(axes["facts"], profiles)
    if trials is not None:
        _draw_trials(figure, axes, trials)
    axes["profile"].set_xlim(0, 2)
    figure.suptitle(_title(profiles), fontsize=10)
    return figure


def _shown(profiles: Profiles, product: str | None) -> tuple[Profiles, Profiles | None]:
    """Return the product that is drawn, and the mean Stokes parameters if they are known."""
    if product is not None:
        product_indices([product], profiles.names, profiles.path)
        return _aligned(profiles[product]), None
    names = set(profiles.names)
    full = {"I", "Q", "U", "V"} <= names or ({"AA", "BB", "CR", "CI"} <= names and
                                             profiles.header.polarization.kind != "unknown")
    if full:
        aligned = _aligned(profiles)
        return aligned.stokes("I"), four_stokes(aligned).mean("time", "frequency")
    total = {"AA", "BB"} <= names
    return _aligned(profiles.stokes("I") if total else profiles[profiles.names[0]]), None


def _aligned(profiles: Profiles) -> Profiles:
    """Return profiles with aligned channels, or as they are if that is not possible."""
    if not profiles.dm or profiles.dedispersed:
        return profiles
    known = bool(np.isfinite(profiles.periods).all())
    return profiles.dedisperse() if known else profiles.replace(dm=None)


def _panels(shown: Profiles, polarized: bool, trials: Trials | None
            ) -> tuple[Figure, dict[str, Any]]:
    """Return the figure and its panels by name; those against phase share its axis."""
    flat = shown.n_subint == shown.n_chan == 1 and trials is None
    figure = new_figure(14 if trials else 11, 5 if flat else 8.5)
    columns = (1, 1, 0.8) if trials else (1, 1)
    grid = figure.add_gridspec(3, len(columns), width_ratios=columns, height_ratios=(
        (0.5, 1, 2.4) if polarized else (0.05, 1.3, 2.4)))
    axes: dict[str, Any] = {}
    first, last = int(polarized), 2 if shown.n_subint > 1 else 3
    axes["profile"] = figure.add_subplot(grid[first:last, 0])
    if shown.n_subint > 1:
        axes["time"] = figure.add_subplot(grid[2, 0], sharex=axes["profile"])
    if polarized:
        axes["angle"] = figure.add_subplot(grid[0, 0], sharex=axes["profile"])
    axes["facts"] = figure.add_subplot(grid[:2, 1])
    if shown.n_chan > 1:
        axes["frequency"] = figure.add_subplot(grid[2, 1], sharex=axes["profile"])
    if trials is not None:
        right = grid[:, 2].subgridspec(3 if trials.plane else len(trials.curves), 1)
        names = [name for name in ("dm", "period", "pdot") if name in trials.curves]
        names = [*names[:2], "plane"] if trials.plane else names
        axes |= {f"trial {name}": figure.add_subplot(right[k]) for k, name in enumerate(names)}
    return figure, axes


def _draw_profile(axes: Any, mean: F8, off: NDArray[np.bool_], shown: Profiles, *, alone: bool
                  ) -> None:
    n = len(mean)
    level = float(np.nanmean(mean[off]))
    values = twice(mean - level)
    power, text = powers(values)
    phase = (np.arange(2 * n) + 0.5) / n
    axes.plot(phase, values, color="black", lw=1.1, drawstyle="steps-mid",
              label=shown.names[0])
    axes.axhline(0, color="0.5", lw=0.6)
    noise = float(np.nanstd(mean[off]))
    if noise > 0 and alone:
        middle = float(np.angle(np.exp(2j * np.pi * phase[:n])[off].mean())) / (2 * np.pi) % 1
        axes.errorbar([middle], [0.8 * np.nanmax(values)], yerr=noise, color=COLORS[1], lw=1.2,
                      capsize=3)
        axes.annotate("±1σ", (middle, 0.8 * np.nanmax(values)), xytext=(5, 0), fontsize=8,
                      textcoords="offset points", va="center", color=COLORS[1])
    axes.set_ylabel(value_label(shown.names[0], shown.header.unit, None, text))
    in_powers(axes.yaxis, power)
    axes.grid(alpha=0.3)


def _draw_polarization(angle: Any, axes: Any, stokes: Profiles, off: NDArray[np.bool_]) -> None:
    """Draw L without its bias, V, and the position angle with its error."""
    q, u, v = (row - np.nanmean(row[off]) for row in stokes.data[0, 1:, 0].astype(np.float64))
    noise = float(np.sqrt((np.nanvar(q[off]) + np.nanvar(u[off])) / 2))
    linear = np.hypot(q, u)
    true = debiased(linear, noise) if noise > 0 else linear
    n = len(v)
    phase = (np.arange(2 * n) + 0.5) / n
    axes.plot(phase, twice(true), color=COLORS[1], lw=1.0, drawstyle="steps-mid", label="L")
    axes.plot(phase, twice(v), color=COLORS[0], lw=1.0, drawstyle="steps-mid", label="V")
    legend_above(axes, 3)
    seen = twice(linear > max(_LEAST_LINEAR * noise, 1e-3 * float(np.nanmax(linear))))
    error = twice(np.degrees(pa_error(true / noise))) if noise > 0 else np.zeros(2 * n)
    degrees = twice(np.degrees(0.5 * np.arctan2(u, q)))
    angle.errorbar(phase[seen], degrees[seen], yerr=error[seen], fmt=".", ms=3, lw=0.7,
                   color="black")
    angle.set_ylim(-95, 95)
    angle.set_yticks([-90, -45, 0, 45, 90])
    angle.set_ylabel("PA (deg)")
    angle.grid(alpha=0.3)


def _draw_image(figure: Any, axes: Any, image: Image, shown: Profiles, look: Look,
                label: str) -> None:
    shades = Shades.of(image.values, look, shown.names[0], image.unit)
    drawn = axes.imshow(twice(shades.values), aspect="auto", origin="lower", norm=shades.norm,
                        interpolation="nearest", cmap=shades.cmap, extent=(0, 2, *image.edges))
    bar = figure.colorbar(drawn, ax=axes, extend=shades.extend, ticks=shades.ticks,
                          location="bottom", aspect=40, pad=0.02)
    in_powers(bar.ax.xaxis, shades.power)
    scale = ", asinh scale" if shades.label.endswith("asinh scale") else (
        ", dB" if look.scale == "db" else "")
    bar.set_label(f"{image.name}{scale}" if image.name else shades.label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.set_xlabel("phase (turns)")
    axes.set_ylabel(label)


def _time_label(shown: Profiles) -> str:
    return f"s after {iso(shown.header.start_time)[:19]}"


def _draw_trials(figure: Any, axes: Mapping[str, Any], trials: Trials) -> None:
    words = {"dm": "dispersion measure (pc cm$^{-3}$)", "period": "period - {:.9g} s ({})",
             "pdot": "period derivative"}
    for name, (tried, chi2) in trials.curves.items():
        panel = axes.get(f"trial {name}")
        if panel is None:
            continue
        label = words[name]
        if name == "period":
            tried, label = _after_middle(tried, label)
        panel.plot(tried, chi2, color=COLORS[0], lw=1.0)
        panel.axvline(tried[int(np.nanargmax(chi2))], color=COLORS[1], lw=0.8, ls="--")
        panel.set_xlabel(label)
        panel.set_ylabel("reduced $\\chi^2$")
        panel.grid(alpha=0.3)
    if trials.plane is not None:
        periods, pdots, chi2 = trials.plane
        tried, label = _after_middle(periods, words["period"])
        panel = axes["trial plane"]
        drawn = panel.pcolormesh(tried, pdots, chi2, shading="nearest")
        figure.colorbar(drawn, ax=panel, label="reduced $\\chi^2$")
        row, column = np.unravel_index(int(np.nanargmax(chi2)), chi2.shape)
        panel.plot(tried[column], pdots[row], "+", color=COLORS[1], ms=10)
        panel.set_xlabel(label)
        panel.set_ylabel(words["pdot"])


def _after_middle(periods: F8, label: str) -> tuple[F8, str]:
    """Return periods relative to their middle in a suitable unit, and the label that says so."""
    middle = float(periods[len(periods) // 2])
    unit, scale = time_unit(float(np.ptp(periods)) or 1.0)
    return (periods - middle) / scale, label.format(middle, unit)


def _title(profiles: Profiles) -> str:
    header = profiles.header
    name = os.path.basename(profiles.path.rstrip("/"))
    return " · ".join(filter(None, (name, header.telescope, header.source)))


def _write_facts(axes: Any, profiles: Profiles) -> None:
    axes.axis("off")
    lines = facts(profiles)
    lines.pop("path", None)
    for column, text in ((0.0, "\n".join(lines)), (0.34, "\n".join(lines.values()))):
        axes.text(column, 1.0, text, va="top", ha="left", fontsize=8.5, linespacing=1.35,
                  transform=axes.transAxes, color="0.35" if column == 0 else "black")
