"""Where telescopes are, offline; plug-ins."""

from __future__ import annotations

import tomllib
from pathlib import Path

import astropy.units as u
import pytest

import fastsig as fs
from fastsig import plugins, telescopes
from fastsig.io.fbh5.reader import TELESCOPES

TABLES = Path(telescopes.__file__).parent


def test_both_positions_of_fast() -> None:
    timing = telescopes.get("FAST").location.to_geodetic("WGS84")
    assert timing.lon.deg == pytest.approx(106.8566669, abs=1e-7)
    assert timing.lat.deg == pytest.approx(25.6529518, abs=1e-7)
    assert timing.height.to_value(u.m) == pytest.approx(1110.0288, abs=1e-4)
    header = telescopes.get("fast", site="header").location.to_geodetic("WGS84")
    assert header.height.to_value(u.m) == pytest.approx(1138.7, abs=0.01)
    with pytest.raises(fs.UsageError, match="timing, header"):
        telescopes.get("FAST", site="old")


# Longitudes and latitudes as maps and other lists have them.
MAPS = {
    "GBT": (-79.83983, 38.43312), "Parkes": (148.26351, -32.99841),
    "Arecibo": (-66.75278, 18.34420), "Effelsberg": (6.88360, 50.52480),
    "LOFAR": (6.86984, 52.91512), "VLA": (-107.61828, 34.07875), "CHIME": (-119.62368, 49.32071),
    "Jodrell": (-2.30857, 53.23652), "LWA1": (-107.62784, 34.06894),
    "MeerKAT": (21.44389, -30.71106), "ATA": (-121.47333, 40.81783), "Nancay": (2.19748, 47.37360),
    "GMRT": (74.04974, 19.09651), "Ooty": (76.66611, 11.38333), "SRT": (9.24515, 39.49307),
    "MWA": (116.67081, -26.70332), "LWA-SV": (-106.88567, 34.34833), "FAST": (106.85667, 25.65295),
}


def test_every_telescope_is_where_maps_have_it() -> None:
    assert set(MAPS) == set(telescopes.names())
    for name, (lon, lat) in MAPS.items():
        where = telescopes.get(name).location.to_geodetic("WGS84")
        assert where.lon.deg == pytest.approx(lon, abs=0.01), name
        assert where.lat.deg == pytest.approx(lat, abs=0.01), name
        assert -100 < where.height.to_value(u.m) < 2500


def test_names_and_codes_are_those_of_the_readers() -> None:
    for name in telescopes.names():
        each = telescopes.get(name)
        assert each.sigproc is None or TELESCOPES[each.sigproc] == name
        assert all(telescopes.get(alias.upper()) is each for alias in each.aliases)
    missing = set(TELESCOPES.values()) - set(telescopes.names())
    assert missing == {"Fake", "KAT-7"}  # of KAT-7 there is no position with a source
    codes = [telescopes.get(name).tempo for name in telescopes.names()]
    assert len({code for code in codes if code}) == sum(code is not None for code in codes)
    with pytest.raises(fs.UsageError, match="'Hubble'; there are FAST, GBT"):
        telescopes.get("Hubble")


def test_each_figure_has_its_source() -> None:
    sites = tomllib.loads((TABLES / "sites.toml").read_text(encoding="utf-8"))
    assert all(site["source"] for row in sites.values() for site in row["sites"].values())
    for name in ("fast_l19.toml", "gbt_l.toml"):
        table = tomllib.loads((TABLES / name).read_text(encoding="utf-8"))
        assert all(part["source"] for part in table.values() if isinstance(part, dict)), name


def test_receivers_by_name() -> None:
    assert telescopes.get("FAST").receiver().title == telescopes.get("FAST").receiver("l19").title
    with pytest.raises(fs.UsageError, match="of Parkes; allowed: none"):
        telescopes.get("Parkes").receiver()
    with pytest.raises(fs.UsageError, match="half_gain"):
        telescopes.get("FAST").receiver(half_gain=3)


class Point:
    """An entry point."""

    def __init__(self, name: str, item: object) -> None:
        self.name, self.item = name, item

    def load(self) -> object:
        return self.item


def test_a_telescope_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        api = 1

    class Old:
        api = 0

    dish = telescopes.Telescope("Dish", "A dish", (6.4e6, 0.0, 0.0), "a map", aliases=("D1",))
    points = [Point("dish", dish), Point("other", Other), Point("old", Old)]
    monkeypatch.setattr(plugins, "entry_points",
                        lambda group: points if group == "fastsig.telescopes" else [])
    telescopes._telescopes.cache_clear()
    telescopes._called.cache_clear()
    try:
        with pytest.warns(fs.FastsigWarning) as caught:
            assert telescopes.get("d1") is dish
        assert sorted(str(item.message).split()[1] for item in caught) == ["old", "other"]
        assert telescopes.names()[-1] == "Dish" and telescopes.get("GBT").itoa == "GB"
    finally:
        telescopes._telescopes.cache_clear()
        telescopes._called.cache_clear()
