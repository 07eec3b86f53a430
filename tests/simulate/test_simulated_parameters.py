"""Parameters: what they may be, and what is said where they may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import astropy.units as u
import pytest

from fastsig import simulate
from fastsig.cli.main import cli
from fastsig.errors import UsageError
from fastsig.io.native.reader import open as open_native
from fastsig.simulate import (
    Burst,
    Carrier,
    Diode,
    FastSpectra,
    FastVoltage,
    Line,
    Loss,
    Pulsar,
    RfiBurst,
    Source,
)
from fastsig.simulate.truth import decimal
from fastsig.simulate.values import from_text

BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: FastVoltage(duration="5MHz"), "duration = '5MHz'"),
    (lambda: FastVoltage(duration=0), "duration = 0"),
    (lambda: FastVoltage(duration="nan s"), "duration = 'nan s'"),
    (lambda: FastVoltage(duration="1s", bandwidth="501MHz"), "bandwidth = 5.01e"),
    (lambda: FastVoltage(duration="1s", bandwidth=0), "bandwidth = 0"),
    (lambda: FastVoltage(duration="1s", fstart="-1Hz"), "fstart = -1"),
    (lambda: FastVoltage(duration="1s", sideband="both"),
     "sideband = 'both'; allowed: upper, lower"),
    (lambda: FastVoltage(duration="1s", bandpass="real"), "bandpass = 'real'; allowed: fast, flat"),
    (lambda: FastVoltage(duration="1s", seed=-1), "seed = -1"),
    (lambda: FastVoltage(duration="1s", seed=2**64), "seed = 18446744073709551616"),
    (lambda: FastVoltage(duration="1s", seed="x"), "seed = 'x'"),
    (lambda: FastVoltage(duration="1s", level=0), "level = 0; allowed: above 0"),
    (lambda: FastVoltage(duration="1s", tsys="-3K"), "tsys = '-3K'; allowed: above 0 K"),
    (lambda: FastVoltage(duration="1s", start_time="soon"), "'soon' is not a UTC time"),
    (lambda: FastVoltage(duration="1s", line=Line("1K", "1MHz", "2GHz")), "line = 2000 MHz"),
    (lambda: FastVoltage(duration="1s", carriers=[Carrier("900MHz")]), "carrier frequency = 900"),
    (lambda: FastVoltage(duration="1s", rfi=[RfiBurst(0, "1s", "900MHz", "1.2GHz")]),
     "rfi low = 900"),
    (lambda: FastVoltage(duration="1s", line=Line("1K", "1Hz")), "line fwhm needs an FFT of"),
    (lambda: FastVoltage(duration="1s", fstart=0, pulsar=Pulsar("1s", 1)), "fstart = 0"),
    (lambda: simulate.fast_voltage("x.h5", duration="1us", workers=0), "workers = 0"),
    (lambda: Source("1K", "1K", "1K", 0), r"q\^2 \+ u\^2 \+ v\^2 up to"),
    (lambda: Source("-1K"), "source i = -1"),
    (lambda: Pulsar(0, 1), "pulsar period = 0"),
    (lambda: Pulsar("1s", -1), "pulsar dm = -1"),
    (lambda: Pulsar("1s", 1, duty=0.6), "pulsar duty = 0.6"),
    (lambda: Pulsar("1s", 1, linear=0.8, circular=0.8), r"pulsar linear = 4/5, circular = 4/5"),
    (lambda: Burst(0, 0, 1), "burst fwhm = 0"),
    (lambda: Diode(period=10, on=11), "diode on = 11"),
    (lambda: Diode(period=2.5), "diode period = 2.5"),
    (lambda: Diode("warm"), "diode temperature = 'warm'"),
    (lambda: RfiBurst(0, "1s", "5Hz", "4Hz"), "allowed: low below high"),
    (lambda: Loss(1.5), "loss fraction = 1.5"),
    (lambda: Loss(packets="Z:3"), "loss packets = 'Z:3'"),
    (lambda: Loss(packets="X:5-3"), "loss packets = 'X:5-3'"),
    (lambda: from_text(Pulsar, "--pulsar", "period=1ms"), "pulsar lacks dm"),
    (lambda: from_text(Pulsar, "--pulsar", "speed=1"), "pulsar= 'speed=1'; allowed: KEY=VALUE"),
    (lambda: from_text(Loss, "--loss", "fraction=0.1,fraction=0.2"), "at most once"),
    (lambda: from_text(Loss, "--loss", "0.1"), "loss= '0.1'"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_parameters_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(("option", "text"), [
    ("--pulsar", "speed=3"), ("--carrier", "level=1"), ("--rfi", "low"), ("--loss", "fraction=x")])
def test_bad_options_of_the_command_line(option: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(UsageError, match=option.strip("-")):
        cli.main(["simulate", "fast-voltage", "-o", str(path), option, text],
                 standalone_mode=False)
    assert not list(tmp_path.iterdir())


def test_components_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    cli.main(["simulate", "fast-voltage", "-o", str(path), "--duration", "10us", "--no-noise",
              "--carrier", "frequency=1.1GHz", "--carrier", "frequency=1.2GHz,drift=1MHz/s",
              "--dispersion-constant", "4148.808", "--burst", "time=1us,fwhm=1us,dm=0.1",
              "--rfi", "start=0,duration=1us,low=1GHz,high=1.1GHz", "--tsys", "25K", "-q"],
             standalone_mode=False)
    stream = open_native(path)
    stream.close()
    assert stream.truth == FastVoltage(
        duration="10us", noise=False,
        carriers=[Carrier("1.1GHz"), Carrier("1.2GHz", drift="1e6Hz/s")],
        dispersion_constant=4148.808, burst=Burst("1us", "1us", 0.1), tsys="25K",
        rfi=[RfiBurst(0, "1us", "1GHz", "1.1GHz")]).truth


def test_text_quantity_and_exact_number_are_the_same() -> None:
    text = Pulsar("5 ms", "10 pc/cm3", peak="30K", angle="90deg")
    assert text == Pulsar(5 * u.ms, 10 * u.pc / u.cm**3, peak="30K", angle=(90 * u.deg).to(u.rad))
    assert text == Pulsar("0.005s", 10, peak=Fraction(30), angle=Fraction(90))
    assert text == from_text(Pulsar, "--pulsar", "period=5ms, dm=10, peak=30K, angle=90deg")
    assert text.period == Fraction(1, 200)


def test_widths_in_velocity() -> None:
    line = Line("1K", "10km/s", frequency="1GHz")
    assert line.fwhm == Fraction(10**4 * 10**9, 299_792_458)


def test_loss_packets_from_text() -> None:
    assert from_text(Loss, "--loss", "packets=X:3-5+Y:7").packets == (("X", 3, 5), ("Y", 7, 7))


@pytest.mark.parametrize(("value", "text"), [
    (Fraction(1, 8), "0.125"), (Fraction(-5, 2), "-2.5"), (Fraction(10), "10"),
    (Fraction(1, 3), "1/3"), (Fraction(0), "0"), (Fraction("1420405751.768"), "1420405751.768"),
    (Fraction(-1, 200), "-0.005")])
def test_decimal_text_is_exact(value: Fraction, text: str) -> None:
    assert decimal(value) == text
    assert Fraction(decimal(value)) == value


@pytest.mark.parametrize(("part", "what"), [
    ({"burst": Burst("9s", "1ms", 10)}, "burst time = 9 s; allowed: -0.0260"),
    ({"burst": Burst("-27ms", "1ms", 10)}, "burst time = -0.027 s"),
    ({"pulsar": Pulsar("1s", 10, time="0.5s")}, "pulsar time = 0.5 s"),
    ({"rfi": [RfiBurst("1s", "1s", "1.1GHz", "1.2GHz")]}, "rfi start = 1 s; allowed: 0 to 0.0"),
])
@pytest.mark.parametrize("make", [FastVoltage, partial(FastSpectra, integration="64us", n_chan=64)])
def test_what_lies_outside_the_recording_is_refused(
        make: Callable[..., Any], part: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(what)):
        make(duration="10ms", **part)


def test_a_burst_is_recorded_in_part() -> None:
    # The bottom of the band still has the burst, 23 ms after the top.
    for time in ("-26ms", "12.9ms"):
        FastSpectra(duration="10ms", integration="64us", n_chan=64, burst=Burst(time, "1ms", 10))
    # The pulse before the recording, and one of many after its nominal time.
    for time in ("-0.02s", "-12.99s", "7s"):
        FastSpectra(duration="10ms", integration="64us", n_chan=64,
                    pulsar=Pulsar("1s", 10, time=time, duty="0.01"))
