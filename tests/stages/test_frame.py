"""Spectra in a frame of velocity: velocities of lines, channels, weights, what is refused."""

import warnings
from fractions import Fraction
from pathlib import Path

import astropy.constants as const
import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import LSRK, SkyCoord, SpectralCoord
from cli import fastsig
from scipy.optimize import curve_fit
from streams import MemorySpectra, MemoryVoltages
from streams import header as voltages_header

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.chain import Chain
from fastsig.errors import PlanError, UsageError
from fastsig.io.fast.spectral import F_WIDTH
from fastsig.io.fast.spectral_writer import FastSpectralWriter
from fastsig.stream.header import Header

C = const.c.to_value(u.m / u.s)
HI = 1420.405751768
PLACE = SkyCoord(187.5 * u.deg, 12.4 * u.deg)
N_CHAN, N_ROW = 2048, 12


def header(axis, *, products="AABB", rate=Fraction(1, 600), **more):
    return Header(parse_time("2021-03-04T15:06:07.5"), rate, axis, n_bits=32, telescope="FAST",
                  polarization=PolBasis("linear", PRODUCTS[products]), **more)


def band(width=F_WIDTH, middle_hz=1_419_900_000, n=N_CHAN):
    return ChannelAxis(middle_hz - (n // 2) * width, width, n)


def topocentric(velocity_m_s, times):
    """Frequencies, MHz, at which FAST sees an HI line of a velocity (LSRK, radio), by astropy."""
    site = telescopes.get("FAST").location
    at_rest = HI * (1 - velocity_m_s / C)
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for time in times:
            seen = SpectralCoord(at_rest * u.MHz, observer=site.get_itrs(time), target=SkyCoord(
                PLACE.ra, PLACE.dec, distance=1e9 * u.kpc, pm_ra_cosdec=0 * u.mas / u.yr,
                pm_dec=0 * u.mas / u.yr, radial_velocity=0 * u.km / u.s))
            still = seen.with_observer_stationary_relative_to(LSRK())
            out.append(at_rest * seen.to_value(u.MHz) / still.to_value(u.MHz))
    return np.array(out)


def line_spectra(centers_mhz, axis_mhz, fwhm_m_s=4000.0, peak=20.0, noise=0.005):
    """Bright lines over a level of 1, with noise."""
    width = fwhm_m_s / C * HI
    x = (axis_mhz - centers_mhz[:, np.newaxis]) / width
    lines = 1 + peak * np.exp(-4 * np.log(2) * x**2)
    rng = np.random.default_rng(7)
    return lines * (1 + noise * rng.standard_normal(lines.shape))


def middles(head, n):
    return head.start_time + (np.arange(n) + 0.5) * float(1 / head.sample_rate) * u.s


def fitted(data, row=None):
    """Velocity, m/s, and width of the line of all rows, or one."""
    values = data.values[:, 0] if row is None else data.values[row : row + 1, 0]
    y = values.mean(axis=0)  # NaN where a row lacks a channel
    v = data.velocity("HI").to_value(u.m / u.s)
    good = np.isfinite(y)

    def line(v, peak, middle, fwhm, level):
        return level + peak * np.exp(-4 * np.log(2) * ((v - middle) / fwhm) ** 2)

    guess = 20, v[good][y[good].argmax()], 4000, 1
    found, _ = curve_fit(line, v[good], y[good], guess)
    return found[1], abs(found[2])


@pytest.mark.parametrize("label", ["header", "half-channel"])
@pytest.mark.parametrize("velocity", [107_000.0])
def test_velocities_of_a_line_for_both_labels(tmp_path, label, velocity):
    """The file has a line at a known velocity, its labels being centres, or half a channel low."""
    true = band()
    off = F_WIDTH / 2 if label == "half-channel" else 0
    head = header(ChannelAxis(true.first_hz - off, true.step_hz, N_CHAN), products="AABBCRCI")
    lines = line_spectra(topocentric(velocity, middles(head, N_ROW)), true.centers.value)
    data = np.repeat(lines[:, np.newaxis], 4, axis=1).astype(np.float32)
    path = tmp_path / "line_tracking-M01_F_0001.fits"
    with FastSpectralWriter(path, head, data.shape) as writer:
        writer.append(data)
    found = {}
    for option in ("header", "half-channel"):
        spec = fs.open(path, label=option).frame("lsrk", rest="HI", position=PLACE)
        assert spec.stream.parameters()["label"] == option
        assert spec.header.specsys == "lsrk" and spec.header.extra["SPECSYS"] == "LSRK"
        found[option], width = fitted(spec.read())
        assert width == pytest.approx(4000, rel=0.005)
    assert abs(found[label] - velocity) < 15
    # The other option is 50 m/s off: labels matter.
    other, = set(found) - {label}
    sign = -1 if label == "header" else 1
    assert found[other] - velocity == pytest.approx(sign * 50.3, abs=15)


def test_each_row_has_its_own_shift(tmp_path):
    head = header(band(), ra_deg=PLACE.ra.deg, dec_deg=PLACE.dec.deg)
    lines = line_spectra(topocentric(50_000.0, middles(head, N_ROW)), head.channels.centers.value)
    data = np.repeat(lines[:, np.newaxis], 2, axis=1)
    before = MemorySpectra(data, head)
    after = Chain(before).frame("lsrk")
    read = after.read()
    moved = after.stream.read_columns(0, N_ROW)["frame_m_s"]
    assert np.ptp(moved) > 100  # the Earth turned by a quarter
    each = [fitted(read, row)[0] for row in range(N_ROW)]
    assert np.abs(np.array(each) - 50_000).max() < 15
    assert np.isnan(read.values[:, 0]).sum(axis=1).max() < 60


@pytest.mark.parametrize("fwhm", [150.0, 4000.0])
def test_flux_is_conserved(fwhm):
    """Over velocity; over frequency it is that of the factor, 1e-4, less or more."""
    head = header(band(), ra_deg=PLACE.ra.deg, dec_deg=PLACE.dec.deg)
    lines = line_spectra(topocentric(50_000.0, middles(head, N_ROW)), head.channels.centers.value,
                         fwhm, noise=0)
    stage = Chain(MemorySpectra(np.repeat(lines[:, np.newaxis], 2, axis=1), head)).frame("lsrk")
    found = np.nansum(stage.read().values[:, 0] - 1, axis=1) / stage.stream.factors(0, N_ROW)
    assert np.abs(found / (lines - 1).sum(axis=1) - 1).max() < 1e-4


def test_channels_are_whole_multiples_and_shared(tmp_path):
    one = MemorySpectra(np.ones((3, 1, 300)), header(band(n=300), ra_deg=10.0, dec_deg=3.0))
    two = MemorySpectra(np.ones((3, 1, 300)), header(
        band(n=300, middle_hz=1_419_900_111), ra_deg=190.0, dec_deg=-3.0))
    axes = [Chain(each).frame("barycentric").header.channels for each in (one, two)]
    for axis in axes:
        assert axis.step_hz == F_WIDTH and axis.first_hz % F_WIDTH == 0 and axis.n_chan == 300
    wide = Chain(one).frame("barycentric", width="2kHz", band=("1419.86MHz", "1419.94MHz"))
    axis = wide.header.channels
    assert (axis.first_hz, axis.step_hz, axis.n_chan) == (1_419_860_000, 2000, 41)
    values = wide.read()
    there = values.weight[0, 0] > 0
    assert there.sum() > 20 and np.allclose(values.values[0, 0, there], 1, atol=1e-5)


def test_weights_lost_channels_and_half_channels():
    axis = band(n=400)
    data = np.full((2, 1, 400), 3.0)
    data[:, :, 200] = np.nan
    data[1] = np.nan
    head = header(ChannelAxis(axis.first_hz, axis.step_hz, 400, half_channel=0), ra_deg=10.0,
                  dec_deg=3.0)
    made = Chain(MemorySpectra(data, head)).frame("lsrk").read()
    assert made.header.channels.half_channel is None
    assert not made.weight[1].any() and np.isnan(made.values[1]).all()
    kept = made.weight[0, 0] > 0
    assert 1 <= np.flatnonzero(~kept[60:-60]).size <= 3
    assert np.allclose(made.values[0, 0, kept], 3, atol=1e-5)
    assert made.weight.max() == 1


def test_the_same_whatever_rows_are_read():
    rng = np.random.default_rng(3)
    head = header(band(n=300), ra_deg=10.0, dec_deg=3.0, rate=Fraction(1, 7))
    source = MemorySpectra(rng.standard_normal((300, 1, 300)), head)
    whole = Chain(source).frame("lsrk").stream.read_block(0, 300)
    for first, n in ((0, 4), (4, 1), (101, 99), (299, 1), (300, 0)):
        part = Chain(source).frame("lsrk").stream.read_block(first, n)
        assert np.array_equal(part.data, whole.data[first : first + n], equal_nan=True)
        assert np.array_equal(part.valid, whole.valid[first : first + n])


def test_frames_that_files_state_are_respected(tmp_path):
    rng = np.random.default_rng(3)
    head = header(band(n=600), ra_deg=10.0, dec_deg=3.0)
    topo = Chain(MemorySpectra(rng.standard_normal((4, 2, 600)) + 9, head))
    made = topo.frame("lsrk", rest="OH1667")
    assert made.stream.parameters()["from_source"] == "assumed"
    for name in ("a.h5", "a-M01.hdf5"):
        made.write(tmp_path / name, to="fbh5" if name == "a.h5" else "hifast", lossy=True)
        again = fs.open(tmp_path / name)
        assert again.header.specsys == "lsrk"
        assert again.header.rest_hz == 1667.3590e6
        with pytest.raises(PlanError, match="already lsrk"):
            again.frame("lsrk")
        with pytest.raises(PlanError, match="already lsrk"):
            again.frame("LSR", rest="HI")
    again = fs.open(tmp_path / "a.h5")
    assert again.read().columns["frame_m_s"].shape == (4,)
    # On to the barycentre is the same as there at once, to the noise of a second resampling.
    twice, once = again.frame("barycentric"), topo.frame("barycentric")
    assert twice.stream.parameters()["from"] == "lsrk"
    through = again.stream.read_columns(0, 4)["frame_m_s"]
    both = (1 + through / C) * twice.stream.factors(0, 4) / once.stream.factors(0, 4) - 1
    assert np.abs(both).max() * C < 0.001
    for name in ("a.fil", "a.fits"):
        with pytest.raises(PlanError, match=r"frame of frequencies, lsrk"):
            made.write(tmp_path / name, overwrite=True)


def test_what_is_refused():
    head = header(band(n=300), ra_deg=10.0, dec_deg=3.0)

    def of(**more):
        return Chain(MemorySpectra(np.ones((2, 1, 300)), head.replace(**more)))

    with pytest.raises(UsageError, match="allowed: topocentric"):
        of().frame("galactic")
    with pytest.raises(UsageError, match="position is not known"):
        of(ra_deg=None).frame("lsrk")
    with pytest.raises(UsageError, match="telescope is not known"):
        of(telescope=None).frame("lsrk")
    with pytest.raises(UsageError, match="'galactoc'; allowed"):
        of(specsys="galactoc").frame("lsrk")
    with pytest.raises(UsageError, match="barycentric = 1"):
        of(extra={"barycentric": 1}).frame("lsrk")
    with pytest.raises(PlanError, match="frequency of channels"):
        of(channels=None).frame("lsrk")
    with pytest.raises(UsageError, match="spectra run from 1419"):
        of().frame("lsrk", band=("1300MHz", "1301MHz"))
    for width in ("0Hz", "10MHz", "-1kHz"):
        with pytest.raises(UsageError, match="allowed: above 0, up to 10000 channels"):
            of().frame("lsrk", width=width)
    with pytest.raises(UsageError, match="allowed: 1 to 67108864"):
        of().frame("lsrk", width="1e-5Hz")
    with pytest.raises(UsageError, match="0 channels of 476.837 Hz from 1419.9MHz to 1419.9MHz"):
        of().frame("lsrk", band=("1419.9MHz", "1419.9MHz"))
    with pytest.raises(PlanError, match="move by 3 channels"):
        of(extra={"frequency_moves_channels": 3.0}).frame("lsrk")
    with pytest.raises(UsageError, match="rest = 'X'"):
        of().frame("lsrk", rest="X")
    with pytest.raises(UsageError, match="lobes"):
        of().frame("lsrk", lobes=1)
    with pytest.raises(UsageError, match="position = '12'"):
        of().frame("lsrk", position="12")
    assert of(extra={"barycentric": 1}).frame("lsrk", source_frame="bary") is not None
    assert of(telescope=None, specsys="lsrk").frame("barycentric") is not None


def test_specutils_and_xarray():
    rng = np.random.default_rng(5)
    head = header(band(n=300), ra_deg=10.0, dec_deg=3.0, unit="K")
    data = rng.normal(5, 0.5, (3, 2, 300))
    data[0, 0, 7] = np.nan
    read = Chain(MemorySpectra(data, head)).frame("lsrk", rest="HI").read()
    made = read.to_specutils(convention="optical")
    assert made.flux.unit == u.K and made.flux.shape == (3, 2, 300)
    assert np.array_equal(made.mask, read.weight == 0)
    speeds = made.spectral_axis.to(u.km / u.s, doppler_rest=HI * u.MHz,
                                   doppler_convention="optical")
    assert np.allclose(speeds.value, read.velocity("HI", "optical").value, atol=1e-6)
    assert made.velocity.unit.is_equivalent(u.km / u.s)
    sigma = 1 / np.sqrt(made.uncertainty.array[1, 1][read.weight[1, 1] == 1])
    assert sigma == pytest.approx(0.5, rel=0.2)  # of 290 differences: 7 %
    given = read.to_specutils(sigma=2 * u.K).uncertainty.array
    assert given.max() == 0.25 and given.min() == 0
    with pytest.raises(fs.UsageError, match="sigma = 2 has no unit; allowed: a value in K"):
        read.to_specutils(sigma=2)
    frames = Chain(MemoryVoltages(np.zeros((1000, 1), np.int8),
                                  voltages_header(n_pol=1))).read()
    for name in ("to_specutils", "to_xarray"):
        with pytest.raises(fs.PlanError, match="voltage cannot become a"):
            getattr(frames, name)()
    table = read.to_xarray()
    assert table["velocity"].attrs["specsys"] == "lsrk"
    assert table["velocity"].attrs["convention"] == "radio"
    assert np.allclose(table["velocity"].values, read.velocity().value)
    assert "velocity" not in Chain(MemorySpectra(data, head)).to_xarray().coords
    with pytest.raises(UsageError, match="no rest frequency"):
        Chain(MemorySpectra(data, head)).read().velocity()


def test_command_line(tmp_path: Path):
    rng = np.random.default_rng(5)
    head = header(band(n=300), ra_deg=10.0, dec_deg=3.0)
    Chain(MemorySpectra(rng.normal(5, 0.5, (3, 2, 300)), head)).write(tmp_path / "in.h5")
    done = fastsig("frame", tmp_path / "in.h5", "-o", tmp_path / "out.h5", "--to", "lsrk",
                   "--rest", "HI", "--json")
    assert '"to": "lsrk"' in done.stdout and "topocentric is assumed" in done.stderr
    assert fs.open(tmp_path / "out.h5").header.rest_hz == 1420405751.768
    done = fastsig("frame", tmp_path / "out.h5", "-o", tmp_path / "no.h5", "--to", "heliocentric",
                   "--dry-run", "--explain")
    assert "frame" in done.stdout and "would write" in done.stdout
    assert not (tmp_path / "no.h5").exists()


def test_velocity_of_a_simulated_galaxy(tmp_path):
    """The simulator has its own way from the LSRK to the telescope: a disk seen face-on."""
    fastsig("simulate", "fast-scan", "-o", tmp_path, "--name", "GAL", "--beams", "1", "--mode", "F",
            "--n-chan", "2048", "--fstart", "1419.4MHz", "--duration", "10s", "--observing",
            "tracking", "--start-time", "2023-12-01T17:00:00", "--ra", "5h34m31.9s", "--dec",
            "22d0m52s", "--no-noise", "--bandpass", "flat", "--disk",
            "ra=5h34m31.9s,dec=22d0m52s,mass=1e9,velocity=100km/s,frame=lsrk,inclination=0deg,"
            "dispersion=2km/s")
    path, = tmp_path.glob("GAL*.fits")
    read = fs.open(path).frame("lsrk", rest="HI", position="5h34m31.9s,22d0m52s").read()
    values = read.values[:, 0].mean(axis=0)
    good = np.isfinite(values)
    speeds = read.velocity().to_value(u.m / u.s)[good]
    flux = values[good] - np.median(values[good])
    # The simulator's shift has the terms that `fastsig.telescopes.velocity_frames` leaves out: 5
    # m/s here.
    assert abs((speeds * flux).sum() / flux.sum() - 100e3) < 15
