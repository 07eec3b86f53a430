"""``python -m bench toas``: an hour of a binary millisecond pulsar, from spectra to PINT's fit.

The simulator computes the phases of a polyco by itself. The commands simulate, fold and measure
times of arrival as a user does; PINT then compares them with the ephemeris from which the polyco
was made, and fits it. A bright pulsar shows whether the folded phase drifts. In a faint one, whose
own noise does not count, errors are tested. The template is that of a third recording.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.time import Time, TimeDelta

import fastsig as fs
from bench import machine
from fastsig.cli.main import run as command
from fastsig.pulsar.arrival import match_template
from fastsig.pulsar.par import from_par
from fastsig.pulsar.profile_toas import intensity
from fastsig.run.polyco_files import write_polyco
from fastsig.run.toa_files import template_of
from fastsig.telescopes.earth import offline
from fastsig.telescopes.kernels import kernel_of

START = "2026-01-01T00:30:00"
EPHEMERIS = """\
PSR J1234+0500
RAJ 12:34:00
DECJ 05:00:00
F0 650.123456789
F1 -1e-15
PEPOCH 61000
POSEPOCH 61000
DM 3
BINARY ELL1
A1 1.2
PB 0.4
TASC 61040.5
EPS1 1e-5
EPS2 2e-5
TZRMJD 61041
TZRFRQ 1500
TZRSITE fast
EPHEM DE440
UNITS TDB
"""
#: 100 MHz in 8 channels; the upper edge of the band has the frequency of the polyco.
_BAND = ("--integration", "96us", "--n-chan", "8", "--fstart", "1400MHz", "--bandwidth", "100MHz",
         "--bandpass", "flat", "--start-time", START)
_N_BIN = "64"
#: Parameters that are fitted together: an hour is a tenth of the orbit, too little for all.
FITS = (("F0",), ("F0", "TASC"), ("F0", "A1"), ("F0", "DM"))
_SITE = "fast_without_clocks"
#: Bounds: drift in the recording, turns; and results in standard deviations.
DRIFT, SIGMAS = 1e-4, 3.0


@dataclass(frozen=True)
class Figure:
    """A measured value, its error, and what it should be.

    Parameters
    ----------
    name : str
    found, error, true : float
    most : float
        Bound of the difference to the truth, beside that in standard deviations.
    """

    name: str
    found: float
    error: float
    true: float
    most: float = np.inf

    @property
    def sigmas(self) -> float:
        """Distance from the truth in standard deviations."""
        return (self.found - self.true) / self.error

    @property
    def is_right(self) -> bool:
        """Whether the value is within its bounds."""
        return abs(self.sigmas) < SIGMAS and abs(self.found - self.true) < self.most


def run(*, quick: bool, keep: bool, folder: Path | None = None) -> list[Figure]:
    """Measure all figures, print them in Markdown, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="toas")
    print(machine.headline(record))
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seconds, subint, faint = (40, 4, 0.3) if quick else (3600, 24, 0.1)
        _archives(place, seconds, subint, faint)
        found = [_drift(place, seconds), *_times(place)]
    print("\n".join(table(found)))
    if keep:
        made = [{**asdict(each), "is_right": each.is_right} for each in found]
        print(f"wrote {machine.save(record, made)}", file=sys.stderr)
    return found


def _archives(folder: Path, seconds: int, subint: int, faint: float) -> None:
    """Simulate and fold all recordings, and measure times."""
    par, polyco = folder / "a.par", folder / "a.polyco"
    par.write_text(EPHEMERIS)
    start, margin = Time(START, scale="utc"), TimeDelta(60.0, format="sec", scale="tai")
    write_polyco(from_par(par, "FAST", start - margin, start + seconds * margin / 60 + margin,
                          mhz=1500.0), polyco, overwrite=True)
    for name, duration, peak, seed in (
            ("bright", seconds, 8, 1), ("faint", seconds, faint, 2), ("standard", 30, 20, 3)):
        file = folder / f"{name}.fits"
        _fastsig("simulate", "fast-psrfits", "-o", file, "--duration", f"{duration}s", *_BAND,
                 "--seed", seed, "--pulsar",
                 f"polyco={polyco},duty=0.08,peak={peak}K,linear=0.5,circular=0.2,rm=100")
        phase = ("--polyco", polyco) if name == "standard" else ("--par", par)
        _fastsig("fold", file, "-o", folder / f"{name}.ar", *phase, "--n-bin", _N_BIN, "--subint",
                 f"{subint}s", "--n-chan", 8)
        file.unlink()
    _fastsig("toas", folder / "faint.ar", "-o", folder / "faint.tim", "--n-chan", 8, "--template",
             folder / "standard.ar", "--site", _SITE)


def _fastsig(*words: Any) -> None:
    """Run a command; its messages are not shown unless it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = command([*map(str, words), "-q", "--overwrite"])
    if code:
        raise RuntimeError(f"fastsig {' '.join(map(str, words))}: exit {code}\n{out.getvalue()}")


def _drift(folder: Path, seconds: int) -> Figure:
    """Return the drift of the phase of the folded profiles over the recording, turns."""
    total = intensity(fs.open_profiles(folder / "bright.ar")).mean("frequency")
    template = template_of(folder / "standard.ar").sampled(total.n_bin)
    shifts = match_template(total.data[:, 0, 0], template)
    weights = shifts.error**-2.0
    since = total.offsets / seconds
    since = since - np.average(since, weights=weights)
    spread = float((weights * since**2).sum())
    slope = float((weights * since * shifts.shift).sum()) / spread
    return Figure("drift, turns in the recording", slope, spread**-0.5, 0.0, DRIFT)


def _times(folder: Path) -> Iterator[Figure]:
    """Yield what PINT makes of the times of arrival."""
    from pint.fitter import WLSFitter
    from pint.residuals import Residuals
    from pint.toa import get_TOAs

    with _pint():
        true = _model(folder)
        toas = get_TOAs(str(folder / "faint.tim"), ephem="de440", include_bipm=False, planets=False)
        errors = toas.get_errors().to_value("us")
        late = Residuals(toas, true, subtract_mean=False).time_resids.to_value("us")
        yield from _scatter(late, errors)
        for names in FITS:
            fitter = WLSFitter(toas, _model(folder, names))
            fitter.fit_toas()
            for name in names:
                one, other = getattr(fitter.model, name), getattr(true, name)
                label = f"{name} - {name} of the ephemeris, fitted with {', '.join(names)}"
                yield Figure(label, float(one.value - other.value),
                             float(one.uncertainty_value), 0.0)


def _scatter(late: np.ndarray, errors: np.ndarray) -> Iterator[Figure]:
    """Yield how well residuals, us, agree with their errors."""
    n, weights = late.size, errors**-2.0
    mean = np.average(late, weights=weights)
    ratio = (late - mean) / errors
    yield Figure(f"mean of {n} residuals, us", float(mean), float(weights.sum() ** -0.5), 0.0)
    yield Figure("reduced chi^2", float((ratio**2).sum() / (n - 1)), float(np.sqrt(2 / n)), 1.0)
    share = 0.6827
    yield Figure("share within their error", float((np.abs(ratio) < 1).mean()),
                 float(np.sqrt(share * (1 - share) / n)), share)


def _model(folder: Path, free: tuple[str, ...] = ()) -> Any:
    """Return PINT's model of the ephemeris, of which some parameters are free."""
    from pint.models import get_model

    model = get_model(str(folder / "a.par"))
    model.TZRSITE.value = _SITE
    model.free_params = list(free)
    return model


@contextlib.contextmanager
def _pint() -> Iterator[None]:
    """A context in which PINT reads nothing from the network: FAST has no clock files in it."""
    import warnings

    from astropy.coordinates import solar_system_ephemeris
    from loguru import logger
    from pint import solar_system_ephemerides
    from pint.observatory.topo_obs import TopoObs

    from fastsig import telescopes

    kernel = kernel_of(None)
    solar_system_ephemerides.loaded_ephems["de440"] = kernel.path
    TopoObs(_SITE, location=telescopes.get("FAST").location, clock_file="", apply_gps2utc=False,
            overwrite=True)
    logger.disable("pint")
    with warnings.catch_warnings(), offline(), solar_system_ephemeris.set(kernel.path):
        warnings.simplefilter("ignore")
        yield


def table(found: list[Figure]) -> list[str]:
    """Return the figures as a table in Markdown."""
    rows = [["figure", "found", "error", "expected", "sigmas", ""], ["---"] * 6]
    rows += [[each.name, f"{each.found:.4g}", f"{each.error:.2g}", f"{each.true:g}",
              f"{each.sigmas:.2f}", "" if each.is_right else "out of bounds"] for each in found]
    return ["| " + " | ".join(row) + " |" for row in rows]
