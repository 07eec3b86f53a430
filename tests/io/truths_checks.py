"""What is known of some recordings besides their numbers: twins, a burst, pulsars, GBTIDL's.

Each makes a function that takes a stream and the folder of all files, and gives `Check`s.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from truths_table import Check, equal

import fastsig as fs
from fastsig.axes.time import elapsed
from fastsig.errors import FastsigWarning
from fastsig.io.sdfits import reader as sdfits

Special = Callable[[Any, Path], Iterator[Check]]

_K = 1 / 2.41e-4  # s MHz^2 cm^3 / pc


def _values(path: Path, **options: Any) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        stream = fs.open(path, **options).stream
    return stream, stream.read_block(0, stream.shape[0]).data


def _series(stream: Any) -> np.ndarray:
    return stream.read_block(0, stream.shape[0]).data[:, 0].astype(np.float64)


def twin(name: str, n: int | None = None, **options: Any) -> Special:
    """The same spectra, channels and times as another file has in its first `n` spectra."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        other, data = _values(where / name, **options)
        count = min(len(data), stream.shape[0]) if n is None else n
        mine = stream.read_block(0, count).data
        same = np.array_equal(mine, data[:count], equal_nan=True)
        yield equal(f"like {name}:", f"{count} equal spectra",
                    f"{count if same else 'no'} equal spectra")
        late = float(elapsed(stream.start_time, other.start_time)) * 1e9
        # A float64 of days, as SIGPROC has it, has steps of 0.6 us.
        yield Check("  its start", "within 630 ns", f"{late:+.0f} ns", abs(late) < 630)
        axes = [each.header.channels for each in (stream, other)]
        same = axes[0] == axes[1] and stream.header.sample_rate == other.header.sample_rate
        yield equal("  its channels and rate", "equal", "equal" if same else f"{axes}")
    return checks


def follows(name: str) -> Special:
    """Begins where another file ends, to the rounding of two day numbers."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        late = float(elapsed(_values(where / name)[0].stop_time, stream.start_time)) * 1e9
        yield Check(f"after {name}", "within 1260 ns", f"{late:+.0f} ns", abs(late) < 1260)
    return checks


def correlation(name: str, expected: float) -> Special:
    """Correlation with a file of more bits, channels' means taken off."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        mine, other = _series(stream), _values(where / name)[1][:, 0].astype(np.float64)
        mine, other = mine - mine.mean(axis=0), other - other.mean(axis=0)
        found = float((mine * other).sum() / np.sqrt((mine**2).sum() * (other**2).sum()))
        yield Check(f"correlation with {name}", f"{expected:.3f} to 0.01",
                    f"{found:.3f}", abs(found - expected) < 0.01)
    return checks


def _delays(stream: Any, dm: float) -> np.ndarray:
    """Spectra by which channels are late against the highest."""
    mhz = stream.frequency.to_value("MHz")
    delay = _K * dm * (mhz**-2.0 - mhz.max() ** -2.0) * float(stream.header.sample_rate)
    return np.round(delay).astype(int)


def _dedispersed(data: np.ndarray, delay: np.ndarray) -> np.ndarray:
    n = len(data) - int(delay.max())
    return np.sum([data[late : late + n, chan] for chan, late in enumerate(delay)], axis=0)


def burst(dm: float, seconds: float, least: float, n: int) -> Special:
    """The brightest two spectra of the best of some dispersion measures, in the first `n`."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        data = stream.read_block(0, n).data[:, 0]
        data = (data - np.median(data, axis=0)) / data.std(axis=0)
        found = []
        for each in dm + np.array([-10, -5, 0, 5, 10]):
            series = _dedispersed(data, _delays(stream, each))
            pair = (series[1:] + series[:-1]) / np.sqrt(2)
            pair = (pair - np.median(pair)) / (1.4826 * np.median(np.abs(pair - np.median(pair))))
            found.append((float(pair.max()), float(each), int(pair.argmax())))
        snr, best, row = max(found)
        when = row / float(stream.header.sample_rate)
        yield Check("burst", f"at {seconds} s, DM {dm:g}, S/N above {least:g}",
                    f"at {when:.4f} s, DM {best:g}, S/N {snr:.1f}",
                    abs(when - seconds) < 1e-4 and best == dm and snr > least)
    return checks


def _chi(series: np.ndarray, rate: float, period: float, n_bin: int = 64) -> float:
    """Reduced chi-square of a profile."""
    phase = (np.arange(len(series)) / rate / period % 1 * n_bin).astype(int)
    counts = np.bincount(phase, minlength=n_bin)
    means = np.bincount(phase, series, minlength=n_bin) / counts
    return float((counts * (means - series.mean()) ** 2).sum() / series.var() / (n_bin - 1))


def fold(period: float, expected: dict[float, float]) -> Special:
    """Reduced chi-square of a fold in 64 bins, at some dispersion measures."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        data, rate = stream.read_block(0, stream.shape[0]).data[:, 0], stream.header.sample_rate
        for dm, most in expected.items():
            single = data.shape[1] == 1
            series = data[:, 0] if single else _dedispersed(data, _delays(stream, dm))
            found = _chi(series.astype(np.float64), float(rate), period)
            yield Check(f"fold at {period:g} s, DM {dm:g}: chi2r", f"{most:g}", f"{found:.1f}",
                        abs(found / most - 1) < 0.005)
    return checks


# GBT


def tables(*shapes: tuple[int, int]) -> Special:
    """Rows and channels of the tables of an SDFITS file."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        found = sdfits.table(stream.files[0])
        number = np.array(found.rows["TABLE"])
        seen = [found.spectra(number == each).shape for each in np.unique(number)]
        yield equal("tables", str(list(shapes)), str(seen))
        found.close()
    return checks


def tsys(expected: float) -> Special:
    """TSYS of the first row picked, K."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        found = float(stream.header.extra["TSYS"])
        yield Check("TSYS", f"{expected} K", f"{found:.6g} K", abs(found / expected - 1) < 1e-5)
    return checks


def diode(expected: float) -> Special:
    """Tsys, K, that the rows of the scan picked give, from the diode's two states."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        found = sdfits.table(stream.files[0])
        rows = found.rows
        picked = (rows["SCAN"] == stream.header.extra["SCAN"]) & (rows["TABLE"] == 1)
        on, off = (found.spectra(np.flatnonzero(picked & (rows["CAL"] == cal))[:1]).astype("f8")
                   for cal in "TF")
        seen = float(_tsys(on, off, np.array([stream.header.extra["TCAL"]], float))[0])
        yield Check("Tsys", f"{expected} K", f"{seen:.7f} K", abs(seen / expected - 1) < 1e-6)
        found.close()
    return checks


def total_power(name: str) -> Special:
    """Mean of the diode's two states is what GBTIDL printed, and so are frequencies."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        lines = (where / name).read_text().splitlines()[3:]
        ghz, counts = np.array([line.split() for line in lines], float).T
        on, off = (_values(Path(stream.files[0]), ifnum=0, plnum=0, cal=cal)[1] for cal in "TF")
        mean = (on[0, 0].astype("f8") + off[0, 0]) / 2
        off_by = np.abs(mean[::-1] / counts - 1)
        worst = float(np.nanmax(off_by)) if np.isnan(off_by).sum() < 2 else np.nan
        yield Check(f"power in {Path(name).name}", "to 5e-7", f"to {worst:.1e}", worst < 5e-7)
        if "TOPO" in name:
            apart = float(np.abs(stream.frequency.to_value("GHz")[::-1] - ghz).max()) * 1e9
            yield Check("  its frequencies", "to 2e-6 Hz", f"to {apart:.1e} Hz", apart < 2e-6)
    return checks


def getps(of: str, plnum: int, expected: float, most_k: float, n: int, smooth: int = 1) -> Special:
    """(on - off) / off times Tsys, from the rows of `of`, is the spectrum that GBTIDL made.

    Tsys of each integration is that of the off, from the inner 80 % of channels; integrations are
    averaged by exposure over Tsys^2.
    """
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        found = sdfits.table(where / of)
        rows = found.rows

        def state(scan: int, cal: str) -> tuple[Any, Any]:
            picked = np.flatnonzero((rows["SCAN"] == scan) & (rows["CAL"] == cal)
                                    & (rows["PLNUM"] == plnum) & (rows["IFNUM"] == 0))[:n]
            return found.spectra(picked).astype("f8"), rows[picked]

        (on1, on1_rows), (on0, on_rows) = state(152, "T"), state(152, "F")
        (off1, off1_rows), (off0, off_rows) = state(153, "T"), state(153, "F")
        noise = _tsys(off1, off0, np.array(off_rows["TCAL"], float))
        times = [np.array(a["EXPOSURE"], float) + np.array(b["EXPOSURE"], float)
                 for a, b in ((on_rows, on1_rows), (off_rows, off1_rows))]
        sig, ref = (on1 + on0) / 2, (off1 + off0) / 2
        if smooth > 1:
            ref = np.array([np.convolve(each, np.ones(smooth) / smooth, "same") for each in ref])
        each = noise[:, np.newaxis] * (sig / ref - 1)
        weight = times[0] * times[1] / (times[0] + times[1]) / noise**2
        mean = np.average(each, axis=0, weights=weight)
        system = float(np.sqrt(np.average(noise**2, weights=weight)))
        yield Check("Tsys", f"{expected} K", f"{system:.5f} K", abs(system / expected - 1) < 1e-6)
        inner = slice(smooth, len(mean) - smooth)
        off_by = np.abs(mean[::-1] - stream.read_block(0, 1).data[0, 0])[inner]
        # A channel is blanked, and those that are smoothed with it.
        lost, worst = int(np.isnan(off_by).sum()), float(np.nanmax(off_by))
        yield Check("getps", f"within {most_k:g} K", f"within {worst:.1e} K",
                    lost <= smooth and worst < most_k)
        found.close()
    return checks


def _tsys(on: np.ndarray, off: np.ndarray, diode: np.ndarray) -> np.ndarray:
    """K, of each row, from the diode's rows."""
    n = on.shape[1]
    inner = slice(n // 10, n - n // 10 + 1)  # as GBTIDL has it, both ends included
    off_mean = off[:, inner].mean(axis=1)
    return diode * off_mean / (on - off)[:, inner].mean(axis=1) + diode / 2


def baseline(name: str, regions: tuple[tuple[int, int], ...], most: float) -> Special:
    """A cubic through some channels is the model that GBTIDL fitted."""
    def checks(stream: Any, where: Path) -> Iterator[Check]:
        # Channels are counted in the order of the file, which falls in frequency.
        mine = stream.read_block(0, 1).data[0, 0, ::-1].astype("f8")
        model = _values(where / name)[1][0, 0, ::-1].astype("f8")
        use = np.concatenate([np.arange(low, high + 1) for low, high in regions])
        fitted = np.polynomial.Polynomial.fit(use, mine[use], 3)(np.arange(len(mine)))
        worst = float(np.abs(fitted - model).max())
        yield Check(f"cubic of {Path(name).name}", f"within {most:g} K", f"within {worst:.1e} K",
                    worst < most)
    return checks
