"""The chains in Python whose products `same_products.py` compares.

Modules may be renamed and functions moved between two commits that are compared: all that is not
`fastsig.open` and a verb of its chains is looked up by `public`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from products_made import floor

import fastsig as fs

# -- What may have moved --------------------------------------------------------------------------


def public(*names: str) -> Any:
    """The function or class of the first name that one module defines, the simulator left out."""
    package = Path(fs.__file__).parent
    for name in names:
        pattern = re.compile(rf"^(def|class) {name}\b", re.MULTILINE)
        places = [path for path in sorted(package.rglob("*.py"))
                  if "simulate" not in path.parts and pattern.search(path.read_text())]
        if len(places) == 1:
            module = ".".join(places[0].relative_to(package.parent).with_suffix("").parts)
            return getattr(import_module(module.removesuffix(".__init__")), name)
    raise LookupError(f"{' or '.join(names)}: not defined, or by several modules")


def write_many(chains: list[Any], paths: list[str], **options: Any) -> None:
    """Write several chains of one pass."""
    streams = [getattr(chain, "stream", chain) for chain in chains]
    public("write_many")(streams, paths, **options)


def calibrated(path: Any, tcal: str, measuring: dict[str, Any], **options: Any) -> Any:
    """The chain of a calibrated scan."""
    stream = fs.open(path).stream
    solution = public("solve")(stream, tcal, **measuring)
    return fs.Chain(public("calibrated")(stream, solution, **options))


def staged(chain: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """A stage of a chain: by the chain's verb, or by its class where that is no verb."""
    if name.lower() in dir(chain):
        return getattr(chain, name.lower())(*arguments, **options)
    return fs.Chain(public(name)(chain.stream, *arguments, **options))


# -- Chains ---------------------------------------------------------------------------------------

CHAINS: dict[str, Callable[[], object]] = {}
CARRIER, LOWER = "in/frb_carrier_16MHz.h5", "in/pulsar_lower_8MHz.h5"
COARSE = [f"in/frb_coarse_16MHz.000{number}.raw" for number in (0, 1)]
HI = [f"in/SIMHI_onoff-M01_W_000{number}.fits" for number in (1, 2)]


def case(function: Callable[[], object]) -> Callable[[], object]:
    """Put a case into the table, by its name."""
    CHAINS[function.__name__.replace("_", "-")] = function
    return function


def powers(path: Any = CARRIER, n_chan: int = 256, products: str = "I", **options: Any) -> Any:
    """Detected spectra, not integrated."""
    return fs.open(path).channelize(n_chan, **options).detect(products)


def at_the_floor(write: Callable[[int], object]) -> None:
    """Write with the least memory that the plan can do with."""
    try:
        write(1)
    except fs.PlanError as error:
        write(floor(str(error)))


@case
def integrate() -> None:
    powers().integrate(n_int=16).write("p.h5", workers=2)


@case
def integrate_one_worker() -> None:
    powers().integrate(n_int=16).write("p.h5", workers=1)


@case
def integrate_unfused() -> None:
    powers().integrate(n_int=16).write("p.h5", fused=False)


@case
def rows_before_integrate() -> None:
    for first in (3, 8, 1000):
        chain = powers()
        chain.select(rows=(first, len(chain))).integrate(n_int=16).write(f"{first}.h5")


@case
def rows_before_deep_integrate() -> None:
    powers(n_chan=64).select(rows=(3, 9000)).integrate(n_int=1000).write("p.h5", workers=2)


@case
def rows_oversampled() -> None:
    for ratio in ("4/3", "32/27"):
        for first in (3, 8):
            chain = powers(n_chan=128, products="IQUV", oversample=ratio)
            name = f"{ratio.replace('/', '-')}.{first}.h5"
            chain.select(rows=(first, len(chain))).integrate(n_int=12).write(name)


@case
def rows_coarse() -> None:
    powers(COARSE, 16, "AABBCRCI").select(rows=(5, 600)).integrate(n_int=8).write("p.h5")


@case
def rows_and_channels_lower() -> None:
    chain = powers(LOWER, 64, "IQUV").select(rows=(7, 1500), channels=(3, 50))
    chain.integrate(n_int=9).write("p.h5")


@case
def rows_of_voltages() -> None:
    fs.open(CARRIER)[4097:2_000_001].channelize(256).detect("AABB").integrate(n_int=16).write("p.h5")


@case
def channels_before_integrate() -> None:
    powers().select(channels=(100, 140)).integrate(n_int=16).write("p.h5")
    powers().select(channels=(7, 8)).integrate(n_int=16).write("one.h5")


@case
def channels_after_integrate() -> None:
    powers().integrate(n_int=16).select(channels=(100, 140)).write("p.h5")


@case
def channels_before_and_after_n_freq() -> None:
    powers(n_chan=512).select(channels=(64, 320)).integrate(n_int=16, n_freq=4).write("before.h5")
    powers(n_chan=512).integrate(n_int=16, n_freq=4).select(channels=(16, 80)).write("after.h5")


@case
def rows_after_integrate() -> None:
    powers().integrate(n_int=16).select(rows=(5, 77)).write("p.h5")


@case
def integrate_twice() -> None:
    powers().integrate(n_int=8).integrate(n_int=5, n_freq=2).write("p.h5", workers=2)


@case
def integrate_twice_deep() -> None:
    powers(n_chan=64).integrate(n_int=300).integrate(n_int=7).write("deep.h5", workers=2)


@case
def deep() -> None:
    for workers in (1, 2):
        powers(n_chan=64, products="AABB").integrate(n_int=5000).write(
            f"{workers}.h5", workers=workers)


@case
def deep_band() -> None:
    powers(n_chan=64).select(channels=(10, 20)).integrate(n_int=5000).write("p.h5", workers=2)
    powers(n_chan=64).integrate(n_int=5000).select(channels=(10, 20)).write("after.h5", workers=2)


@case
def deep_oversampled_rows() -> None:
    chain = powers(n_chan=64, oversample="4/3").select(rows=(5, 9000))
    chain.integrate(n_int=777).write("p.h5", workers=2)


@case
def flag_then_integrate() -> None:
    powers("in/rfi.h5", 128).flag(n_segment=64).integrate(n_int=10).write("p.h5", workers=2)


@case
def flag_then_deep_integrate() -> None:
    powers("in/rfi.h5", 64).flag(n_segment=100).integrate(n_int=500).write("p.h5", workers=2)


@case
def integrate_then_flag() -> None:
    chain = powers("in/rfi.h5", 128, "IQUV").integrate(n_int=10)
    chain.flag(n_segment=32, protect="1403MHz-1404MHz").write("p.h5", workers=1)


@case
def flag_baseline_integrate() -> None:
    chain = fs.open("in/night.fits").flag(protect="1419.5MHz-1421MHz")
    chain.baseline(order=3, protect=["1419.5MHz-1421MHz"]).integrate(n_int=4).write("p.h5")


@case
def kurtosis() -> None:
    powers("in/rfi.h5", 64).integrate(n_int=100, flag_sigma=3.5).write("p.h5")
    powers("in/rfi.h5", 64, "IQUV").integrate(n_int=400, flag_sigma=3).write("deep.h5", workers=2)
    powers("in/rfi.h5", 64).integrate(n_int=64, n_freq=4, flag_sigma=3).write("averaged.h5")


@case
def kurtosis_then_channels() -> None:
    powers("in/rfi.h5", 64).integrate(n_int=100, flag_sigma=3.5).select(channels=(9, 30)).write(
        "p.h5")


@case
def ripple_then_integrate() -> None:
    chain = fs.open("in/kelvin.h5").baseline("ripple-fourier", n_rows=7, period=["0.5MHz"])
    chain.integrate(n_int=3).write("p.h5", workers=2)


@case
def baseline_both() -> None:
    chain = fs.open("in/kelvin.h5").baseline(order=4)
    write_many(chain.stream.kept(), ["kept.h5", "removed.h5"], workers=2)


@case
def several_of_one_read() -> None:
    voltages = fs.open(CARRIER)
    voltages = getattr(voltages, "shared", lambda: voltages)()  # of old trees; others need none
    chains = [voltages.channelize(64).detect("AABB").integrate(n_int=40),
              voltages.channelize(1024).detect("I").integrate(n_int=3),
              voltages.channelize(128, oversample="4/3").detect("I").integrate(n_int=500)]
    write_many(chains, ["a.h5", "b.h5", "c.h5"], workers=2)


@case
def several_with_bands() -> None:
    voltages = fs.open(CARRIER)
    voltages = getattr(voltages, "shared", lambda: voltages)()  # of old trees; others need none
    chains = [voltages.channelize(64).detect("I").select(rows=(3, 5000)).integrate(n_int=9),
              voltages.channelize(256).detect("I").select(channels=(9, 99)).integrate(n_int=30)]
    at_the_floor(lambda memory: write_many(chains, ["a.h5", "b.h5"], workers=1, memory=memory))


@case
def little_memory() -> None:
    chain = powers(n_chan=1024).integrate(n_int=20)
    at_the_floor(lambda memory: chain.write("p.h5", memory=memory))


@case
def calibrated_kelvin() -> None:
    calibrated(HI, "12.5K", {"gain_time": "20s"}).write("p.h5")


@case
def calibrated_flux() -> None:
    cabin = next(str(path) for path in Path("in").glob("DRIFT_2*.xlsx"))
    chain = calibrated("in/DRIFT_drifting-M02_W_0001.fits", "12.5K", {}, stokes="I", flux=True,
                       ky=cabin)
    chain.write("p.h5")
    chain.frame("lsrk", rest="HI").baseline(order=1).integrate(n_int=5).write("framed.h5")


@case
def stokes_and_flux() -> None:
    chain = staged(fs.open("in/kelvin.h5"), "Stokes", "IQUV", sign_v=-1)
    staged(chain, "Flux", gain="16K/Jy").integrate(n_int=4).write("p.h5")


@case
def frame_of_frames() -> None:
    fs.open("in/M01.h5").frame("barycentric").integrate(n_int=6, n_freq=2).write("p.h5", workers=2)


@case
def sliced_by_time_and_frequency() -> None:
    import astropy.units as u

    fs.open("in/M01.h5")[3 * u.s : 31 * u.s, 1415 * u.MHz : 1416 * u.MHz].write("p.h5")
    fs.open(COARSE)[1000:20000, 2:6].write("p.raw", lossy=True)


@case
def formats_of_chains() -> None:
    chain = powers(n_chan=128, products="AABBCRCI").integrate(n_int=64)
    for name, options in {"g.h5": {"compression": "gzip"}, "n.h5": {"compression": "none"},
                          "8.h5": {"bits": 8}, "s.fil": {}, "p.fits": {"bits": 16},
                          "h.h5": {"to": "hifast"}}.items():
        chain.write(name, lossy=True, **options)


@case
def read_values() -> str:
    """What `read` returns, in pieces; the numbers are the product."""
    chain = powers(n_chan=64, products="IQUV").select(rows=(3, 4000)).integrate(n_int=7)
    for first, n in ((0, 10), (33, 1), (100, 57)):
        data = chain.read(first, n)
        Path(f"{first}.values").write_bytes(data.values.tobytes() + data.weight.tobytes())
    return repr(chain)


@case
def gridded() -> None:
    fs.grid(["in/M01.h5", "in/M02.h5"], rest="HI", axis="VRAD").write("p.fits", workers=2)


@case
def explained() -> str:
    return powers().integrate(n_int=16).explain(workers=2, memory=10**9)
