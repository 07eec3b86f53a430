"""Every plan and function: copies, pickles, threads, interruptions, and outputs over inputs."""

import concurrent.futures
import copy
import inspect
import multiprocessing
import pickle
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from operator import attrgetter

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels._plan import Plan, PlanProtocol, SamplePlan
from fastsig_kernels._team import Crew, Team
from kernel_calls import CALLS, FUNCTIONS, PLANS, VOLTAGES, copied, function

COPIES = {
    "pickle": lambda plan: pickle.loads(pickle.dumps(plan)),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "copy": lambda plan: plan.copy(),
}
#: Plans whose results depend on the calls before.
STREAMING = {"Boxcars", "CoherentDedispersion", "FDMT", "Normalizer", "PulseSearch", "Spectrometer"}
#: Plans whose results have a number that depends on the data, or on the calls before.
COUNTED = {name for name, case in PLANS.items() if not case.methods["process"].outputs}
#: Plans that take or return voltages.
SAMPLED = {"CoherentDedispersion", "Spectrometer", "Channelizer", "Synthesizer"}


def test_the_tables_have_every_public_name():
    public = {name: getattr(fk, name) for name in fk.__all__ if not name.endswith("_nb")}
    classes = {name for name, value in public.items() if inspect.isclass(value)}
    assert set(PLANS) == classes - {"Ladder", "Layout", "SpectrometerPlan"}
    assert set(FUNCTIONS) == {name for name in public if callable(public[name])} - classes
    assert all(issubclass(getattr(fk, name), Plan) for name in PLANS)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_has_the_interface_of_all_plans(name):
    plan = PLANS[name].make()
    assert isinstance(plan, PlanProtocol) and isinstance(plan, SamplePlan) == (name in SAMPLED)
    assert isinstance(plan, fk.SpectrometerPlan) == (name == "Spectrometer")
    for part in ("compile", "copy", "memory_bytes", "process"):
        assert getattr(type(plan), part).__doc__, part
    for method in ("compile", "copy"):
        parameters = inspect.signature(getattr(plan, method)).parameters.values()
        assert all(each.default is None for each in parameters), method
    if name not in COUNTED:
        out = inspect.signature(plan.process).parameters["out"]
        assert out.kind is out.KEYWORD_ONLY and out.default is None
    plan.compile()
    PLANS[name].used(plan)
    assert isinstance(plan.memory_bytes, int) and plan.memory_bytes > 0


@pytest.mark.parametrize("name", PLANS)
def test_every_method_with_arguments_is_listed(name):
    methods = inspect.getmembers(PLANS[name].make(), inspect.ismethod)
    assert set(PLANS[name].methods) == {
        each for each, method in methods if each[0] != "_" and inspect.signature(method).parameters}


def test_only_searches_have_no_out():
    assert {"AccelerationSearch", "Boxcars", "HarmonicSearch", "PulseSearch"} == COUNTED


@pytest.mark.parametrize("name", sorted(set(PLANS) - COUNTED))
def test_results_are_in_out(name):
    case = PLANS[name]
    given = case.methods["process"].with_outputs(f"{name}.process")
    made = case.make().process(**given)
    made = made if isinstance(made, tuple) else (made,)
    expected = case.make().process(**copied(case.methods["process"].arguments))
    expected = expected if isinstance(expected, tuple) else (expected,)
    outputs = case.methods["process"].outputs
    if name == "FDMT":  # its weights are an attribute
        outputs = outputs[:1]
    for key, found, wanted in zip(outputs, made, expected, strict=True):
        assert np.shares_memory(found, given[key]) or not found.size
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("name", "tables", "work"), [
    ("Spectrometer", "_engine", "_work"), ("Channelizer", "_engine", "_work"),
    ("Synthesizer", "_table", "_folded"), ("Gridder", "_sample", "_work")])
def test_copies_share_tables_and_not_work_space(name, tables, work):
    plan = PLANS[name].make()
    PLANS[name].used(plan)
    other = plan.copy()
    PLANS[name].used(other)
    assert getattr(other, tables) is getattr(plan, tables)
    assert getattr(other, work) is not getattr(plan, work)


def test_every_output_of_a_function_is_listed():
    for name, call in CALLS.items():
        parameters = inspect.signature(function(name)).parameters
        assert {each for each in parameters if each.startswith(("out", "total_"))} <= {
            *call.outputs, *(call.arguments if name == "normalize" else ())}, name
        assert set(call.arguments) <= set(parameters), name


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", PLANS)
def test_a_copy_is_like_a_new_plan(name, way):
    case = PLANS[name]
    plan = case.make()
    expected = case.used(case.make())
    made = COPIES[way](plan)
    np.testing.assert_array_equal(case.used(made), expected)
    np.testing.assert_array_equal(case.used(plan), expected)
    assert made is not plan


def test_a_copy_has_a_state_of_its_own():
    plan = fk.Spectrometer(16, n_tap=4)
    expected = plan.copy().process(VOLTAGES)
    first = plan.process(VOLTAGES[:500])
    for way, made in COPIES.items():
        np.testing.assert_array_equal(made(plan).process(VOLTAGES), expected, way)
    np.testing.assert_array_equal(
        np.concatenate([first, plan.process(VOLTAGES[500:])]), expected)


def test_later_changes_of_the_arguments_have_no_effect():
    taps, channels = fk.prototype(32, 4, "hann").copy(), [2, 9]
    plan = fk.Spectrometer(16, taps=taps, channels=channels)
    expected = plan.copy().process(VOLTAGES)
    taps[:] = 1
    channels[:] = 0, 3
    np.testing.assert_array_equal(COPIES["pickle"](plan).process(VOLTAGES), expected)
    assert COPIES["pickle"](plan.copy(n_int=5)).n_int == 5


def test_a_plan_works_in_a_spawned_process():
    case = PLANS["Spectrometer"]
    with concurrent.futures.ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(case.used, case.make()).result(120)
    np.testing.assert_array_equal(found, case.used(case.make()))


@pytest.mark.parametrize("name", PLANS)
def test_a_second_call_is_refused_while_another_works(name):
    case = PLANS[name]
    plan = case.make()
    with plan._lock, pytest.raises(RuntimeError, match="use a copy"):
        case.used(plan)
    np.testing.assert_array_equal(case.used(plan), case.used(case.make()))


@pytest.mark.parametrize("name", PLANS)
def test_threads_that_share_a_plan(name):
    """They receive results, or are refused; the results of plans without state are right."""
    case = PLANS[name]
    plan, expected, wrong = case.make(), case.used(case.make()), []

    def work():
        for _ in range(20):
            try:
                found = case.used(plan)
                if name not in STREAMING and not np.array_equal(found, expected):
                    wrong.append(found)
            except RuntimeError as error:
                if "use a copy" not in str(error):
                    wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


@pytest.fixture
def plan():
    return fk.Spectrometer(16, n_tap=4, n_int=2)


@pytest.mark.parametrize("change", [
    {"x": VOLTAGES[:500].astype(np.int16)}, {"valid": np.array([[0, 501]])}, {"valid": [1, 2]},
    {"out": np.empty((2, 1, 16), np.float32)}, {"valid": np.array([[5, 3]])},
    {"x": np.zeros((2, 500), np.int8)}, {"out": np.empty((99, 1, 16))}])
def test_a_refused_call_leaves_the_state(plan, change):
    expected = plan.copy().process(VOLTAGES)
    first = plan.process(VOLTAGES[:300])
    weight = plan.weight
    with pytest.raises((TypeError, ValueError)):
        plan.process(**{"x": VOLTAGES[300:800], **change})
    assert np.shares_memory(plan.weight, weight)
    np.testing.assert_array_equal(
        np.concatenate([first, plan.process(VOLTAGES[300:])]), expected)


def test_lost_packed_samples_leave_the_state():
    layout = fk.Layout("packed", 2, levels=(-3, -1, 1, 3))
    plan, x = fk.Spectrometer(16, n_tap=4, layout=layout), VOLTAGES.view(np.uint8)
    expected = plan.copy().process(x)
    with pytest.raises(ValueError, match="no zero"):
        plan.process(x, valid=np.array([[0, 50]]))
    np.testing.assert_array_equal(plan.process(x), expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("place", ["_validity.energy", "_keep", "_joined"])
def test_an_interrupted_call_makes_the_plan_refuse_until_reset(plan, place, error, monkeypatch):
    expected = plan.copy().process(VOLTAGES)
    plan.process(VOLTAGES[:300])

    def interrupt(*_):
        raise error

    *parts, name = place.split(".")
    with monkeypatch.context() as patch:
        patch.setattr(attrgetter(*parts)(plan) if parts else plan, name, interrupt)
        with pytest.raises(error):
            plan.process(VOLTAGES[300:])
    for call in (lambda: plan.process(VOLTAGES[300:]), plan.flush):
        with pytest.raises(RuntimeError, match=r"interrupted; call reset\(\)"):
            call()
    np.testing.assert_array_equal(plan.copy().process(VOLTAGES), expected)
    plan.reset()
    np.testing.assert_array_equal(plan.process(VOLTAGES), expected)


@pytest.mark.parametrize("n_chan", [16, 60])
@pytest.mark.parametrize("place", [Crew, Team])
def test_threads_begin_anew_after_a_call_that_was_interrupted(n_chan, place, monkeypatch):
    """Sums of the interrupted call were added to spectra, and two threads had the same memory."""
    plan = fk.Spectrometer(n_chan, n_tap=4, n_int=3, threads=3)
    x = np.random.default_rng(1).integers(-30, 31, 101 * plan.hop).astype(np.int8)
    expected = plan.copy().process(x)
    run, call, works = place.run, type(plan._engine).call, []

    def interrupted(*arguments, **options):
        run(*arguments, **options)
        raise KeyboardInterrupt

    def noted(*arguments, **options):
        works.append(arguments[8])
        return call(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(place, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            plan.process(x)
    monkeypatch.setattr(type(plan._engine), "call", noted)
    for _ in range(3):
        plan.reset()
        np.testing.assert_array_equal(plan.process(x), expected)
        assert len(works) == len(set(map(id, works))) == 3
        works.clear()


def test_a_call_in_another_thread_that_is_about_to_return_is_no_interruption(plan, monkeypatch):
    """That thread has released the lock, but has not yet noted that nothing was interrupted."""
    plan.process(VOLTAGES)
    plan._unfinished = True
    monkeypatch.setattr(time, "sleep", lambda _: setattr(plan, "_unfinished", False))
    assert len(plan.process(VOLTAGES)) > 0


def test_an_interrupted_call_ends_after_all_of_its_threads():
    """Otherwise they would write to memory that the caller uses again."""
    at_work = []

    def slow():
        at_work.append(True)
        for _ in range(2):  # the second one comes while the call waits because of the first
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.2)
        at_work.clear()

    with pytest.raises(KeyboardInterrupt):
        Crew(2).run([lambda: None, slow])
    assert not at_work


def test_work_that_no_thread_has_begun_is_not_done_later():
    """A pool keeps what it could not give to a thread, and would do it in a later call."""
    crew, done = Crew(3), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            crew.run([partial(done.append, i) for i in range(3)])
    done.clear()
    crew.run([partial(done.append, i) for i in (7, 8, 9)])
    crew.run([partial(done.append, i) for i in (7, 8, 9)])
    assert sorted(done) == [7, 7, 8, 8, 9, 9]


_INTERRUPTED = """
import threading
from fastsig_kernels._team import Crew, Team

start = threading.Thread.start

def interrupted(thread):
    start(thread)
    raise KeyboardInterrupt

threading.Thread.start = interrupted
crew = Crew(2)
try:
    crew.run([int, int])
except KeyboardInterrupt:
    threading.Thread.start = start
    crew.run([int, int])
    print("done")
"""


def test_a_program_ends_if_the_start_of_a_thread_was_interrupted():
    """A pool of `concurrent.futures` would wait for that thread, of which it has no record."""
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True,
                          timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_threads_end_with_their_plan():
    crew, before = Crew(3), threading.active_count()
    crew.run([int, int, int])
    assert threading.active_count() == before + 2
    del crew
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def refuse(*_):
    raise RuntimeError("can't start new thread")


def test_memory_that_cannot_be_had_leaves_the_state(plan, monkeypatch):
    expected = plan.copy().process(VOLTAGES)
    first = plan.process(VOLTAGES[:300])

    def empty(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "empty", empty)
        with pytest.raises(MemoryError):
            plan.process(VOLTAGES[300:])
    np.testing.assert_array_equal(
        np.concatenate([first, plan.process(VOLTAGES[300:])]), expected)


def overlapping(a, b, shift):
    """Return copies of two arrays that share memory, the second `shift` bytes after the first."""
    memory = np.zeros(max(a.nbytes, b.nbytes) + shift, np.uint8)
    first = memory[: a.nbytes].view(a.dtype).reshape(a.shape)
    second = memory[shift : shift + b.nbytes].view(b.dtype).reshape(b.shape)
    second[...] = b
    first[...] = a
    return first, second


PAIRS = [(name, output, other) for name, call in CALLS.items() for output in call.outputs
         for other in dict.fromkeys((*call.arguments, *call.outputs))
         if other != output and (other in call.outputs
                                 or isinstance(call.arguments[other], np.ndarray))]


@pytest.mark.parametrize(("name", "output", "other"), PAIRS)
def test_an_output_over_another_array_is_refused(name, output, other):
    call = CALLS[name]
    given = call.with_outputs(name)
    shift = 4 if call.in_place == other else 0
    given[other], given[output] = overlapping(given[other], given[output], shift)
    with pytest.raises(ValueError, match="memory of another array"):
        function(name)(**given)


def test_outputs_of_plans_over_inputs_are_refused():
    voltages, out = overlapping(VOLTAGES, np.empty((59, 1, 16), np.float32), 0)
    plan = fk.Spectrometer(16, n_tap=4)
    with pytest.raises(ValueError, match="memory of another array"):
        plan.process(voltages, out=out)
    bank = fk.Channelizer(16, n_tap=4)
    _, frames = overlapping(VOLTAGES, np.empty((59, 16), np.complex64), 0)
    voltages = frames.reshape(-1).view(np.int8)[: VOLTAGES.size]
    with pytest.raises(ValueError, match="memory of another array"):
        bank.process(voltages, out=frames)
    inverse = fk.Synthesizer(16, n_tap=4, oversample=2)
    spectra = np.zeros((inverse.n_lag, 16), np.complex64)
    with pytest.raises(ValueError, match="memory of another array"):
        inverse.process(spectra, out=spectra.view(np.float32).reshape(-1)[: inverse.hop])
    transform = fk.fft_plan(64)
    memory = np.ones(65, np.complex64)
    with pytest.raises(ValueError, match="memory of another array"):
        transform.process(memory[:64], out=memory[1:])
    np.testing.assert_allclose(transform.process(memory[:64], out=memory[:64])[0], 64)


def test_neighbours_in_memory_do_not_overlap():
    memory = np.zeros((2, *FUNCTIONS["widen"].arguments["codes"].shape), np.float32)
    call = copied(FUNCTIONS["apply_gain"].arguments)
    call["values"] = memory[0]
    assert fk.apply_gain(**call, out=memory[1]) is not memory
    both = np.zeros((6, 4, 32), np.float32)
    call["values"] = both[:, :, ::2]
    fk.apply_gain(**call, out=both[:, :, 1::2])


def test_a_table_without_thresholds_is_refused():
    call = copied(FUNCTIONS["sum_threshold"].arguments)
    with pytest.raises(ValueError, match="thresholds: found none"):
        fk.sum_threshold(**{**call, "thresholds": np.empty(0)})
    for axis in (1.0, True, "1"):
        with pytest.raises(TypeError, match="axis"):
            fk.sum_threshold(**{**call, "axis": axis})
