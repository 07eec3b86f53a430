"""Order, bounds and the first error of the scheduler; plug-ins that fail."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import threading
import time

import pytest
from waiting import wait_for

import fastsig as fs
from fastsig import plugins, registry
from fastsig.work import signals
from fastsig.work.scheduler import run


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_order_and_few_are_in_flight(workers: int) -> None:
    lock, flying, most, out = threading.Lock(), 0, 0, []

    def work(task: int) -> int:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.002 * (task * 7919 % 3))
        return task * 10

    def consume(task: int, result: int) -> None:
        nonlocal flying
        with lock:
            flying -= 1
        out.append(result)

    run(range(60), work, consume, workers=workers)
    assert out == [10 * n for n in range(60)] and most <= workers + 2


@pytest.mark.parametrize("place", ["work", "consume"])
def test_the_first_error_is_raised_and_the_rest_stops(place: str) -> None:
    done = []

    def work(task: int) -> int:
        if place == "work" and task == 5:
            raise KeyError("five")
        done.append(task)
        return task

    def consume(task: int, result: int) -> None:
        if place == "consume" and task == 5:
            raise KeyError("five")

    with pytest.raises(KeyError, match="five") as caught:
        run(range(1000), work, consume, workers=3, describe=lambda task: f"task number {task}")
    assert len(done) < 30
    if place == "work":
        assert caught.value.__notes__ == ["while making task number 5"]


def test_signals_wait_for_a_good_moment() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        signal.raise_signal(signal.SIGINT)
        seen.append("went on")
        signals.check()
        seen.append("never")
    assert seen == ["went on"]
    with pytest.raises(KeyboardInterrupt), signals.held():  # at the end, where nobody checks
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), signals.held():  # a second one does not wait
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        seen.append("never")
    assert seen == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_ends_a_run_at_once() -> None:
    begun = []

    def work(task: int) -> int:
        begun.append(task)
        if task == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return task

    with pytest.raises(KeyboardInterrupt), signals.held():
        run(range(10**6), work, lambda *a: None, workers=2)
    assert 20 < len(begun) < 100


def test_a_signal_is_seen_while_a_block_takes_its_time() -> None:
    interrupted, found = threading.Event(), []

    def work(task: int) -> None:
        if task == 0:
            os.kill(os.getpid(), signal.SIGINT)
        found.append(interrupted.wait(20))

    def handle(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(KeyboardInterrupt), signals.held():
            run([0, 1], work, lambda *a: None, workers=2)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for(lambda: found)
    assert all(found)


class Point:
    """An entry point that loads as told."""

    def __init__(self, name: str, item: object) -> None:
        self.name, self.item = name, item

    def load(self) -> object:
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


def test_a_failing_plug_in_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Good:
        """A stage."""

        api = 1

    class Old:
        api = 0

    points = [Point("good", Good), Point("old", Old), Point("broken", ImportError("no module"))]
    monkeypatch.setattr(plugins, "entry_points",
                        lambda group: points if group == "fastsig.stages" else [])
    registry.stages.cache_clear()
    try:
        with pytest.warns(fs.FastsigWarning) as caught:
            assert registry.stages()[-1] == "good"
        assert sorted(str(item.message).split()[1] for item in caught) == ["broken", "old"]
        with pytest.warns(fs.FastsigWarning):
            assert registry.stage("good") is Good
    finally:
        registry.stages.cache_clear()
    assert importlib.metadata.version("pytest")
