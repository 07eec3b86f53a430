"""The page and the metrics that a session serves to this machine."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastsig as fs
from fastsig.live.metrics import Served, metrics_text, place_of
from fastsig.live.page import pages_of

STATUS: dict[str, Any] = {
    "pid": 1, "running_s": 3.0, "clock_steps": 2, "stopping": False, "folder": "night",
    "sources": [{"source": 'udp://x:1"', "label": "s1", "receiver": {}, "receivers_begun": 1,
                 "receiver_deaths": 0, "sink_deaths": 0,
                 "ring": {"received": 9, "placed": 7, "lost": 2, "silent_s": 0.5},
                 "levels": {"rms": {"X": 20.5, "Y": 19.25}},
                 "sinks": {"spectra": {"state": "running", "files": 3, "rows": 4, "weight": 0.5},
                           "picture": {"state": "failed", "files": 0, "weight": None}}}]}


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c"
    "6360000002000001e221bc330000000049454e44ae426082")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "s1-live.png").write_bytes(PIXEL)
    pages = pages_of(str(tmp_path), ["s1-"], lambda: STATUS) | {
        "/metrics": lambda: ("text/plain", metrics_text(STATUS).encode())}
    made, stop = Served(("127.0.0.1", 0), pages), threading.Event()

    def work() -> None:
        while not stop.wait(0.01):
            made.answer()

    thread = threading.Thread(target=work)
    thread.start()
    yield made
    stop.set()
    thread.join()
    made.close()


def test_the_page_in_a_browser(served: Served, browser: Any) -> None:
    page, troubles = browser.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda each: troubles.append(each.text))
    page.goto(f"http://127.0.0.1:{served.port}/")
    page.wait_for_selector("body[data-ready=yes]", state="attached", timeout=10_000)
    text = page.inner_text("body")
    assert "running for 3 s, to night" in text and 'udp://x:1"' in text
    assert page.inner_text("td.bad >> nth=0") == "2" and "20.50" in text and "failed" in text
    page.wait_for_function("document.images[0].naturalWidth == 1")
    page.close()
    assert not [each for each in troubles if "favicon" not in each and "404" not in each]


def get(served: Served, path: str, host: str = "127.0.0.1") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}{path}",
                                     headers={"Host": f"{host}:{served.port}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: bytes = answer.read()
    return found


def test_only_this_machine_is_answered(served: Served) -> None:
    text = get(served, "/metrics").decode()
    assert 'fastsig_lost_total{source="udp://x:1\\""} 2' in text
    assert "\nfastsig_clock_steps_total 2\n" in text
    assert 'fastsig_level_rms{source="udp://x:1\\"",pol="Y"} 19.25' in text
    for path, host in (("/metrics", "elsewhere.example"), ("/../etc/passwd", "127.0.0.1"),
                       ("/nothing", "127.0.0.1")):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(served, path, host)
    with socket.create_connection(("127.0.0.1", served.port)) as rude:
        rude.sendall(b"\xff\x00 nonsense\r\n\r\n")
        assert b"404" in rude.recv(1000)
    assert get(served, "/status.json").startswith(b'{"pid": 1')


def test_places() -> None:
    assert place_of("127.0.0.1:9400") == ("127.0.0.1", 9400) and place_of("x.prom") is None
    for text in ("0.0.0.0:9400", "127.0.0.1:99999", "example.org:80"):
        with pytest.raises(fs.UsageError, match=r"allowed: 127.0.0.1:PORT"):
            place_of(text)
