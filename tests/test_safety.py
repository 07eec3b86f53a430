"""Nothing lost, nothing half-written: kills, full disks, interrupts, races."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from cli import begin, command, environment, fastsig, limiting
from streams import header, noise, write_native
from waiting import wait_for_files

import fastsig as fs
from fastsig.io.files.leftovers import sweep
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.io.files.scan import scan_files
from fastsig.io.opening import detect

OPTIONS = ("--n-chan", 64, "--products", "IQUV", "--compression", "none", "-j", 2)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 MB of voltages, whose IQUV spectra take 64 MB."""
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("safety") / "voltages.h5"
    return write_native(path, noise(rng, 4_000_000), header())


def test_kill_9_at_ten_moments(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    words = ("spectra", recording, "-o", out, *OPTIONS)
    fastsig(*words)
    out.unlink()
    begun = time.monotonic()
    fastsig(*words)
    whole = time.monotonic() - begun
    expected = out.read_bytes()
    out.unlink()
    killed = left = 0
    for moment in range(10):
        before = os.listdir(tmp_path)
        process = begin(*words)
        if moment % 2:  # while it writes, however busy the machine is
            wait_for_files(tmp_path, process, before=before)
            time.sleep(0.002 * moment)
        else:
            time.sleep(whole * (moment + 0.5) / 10)
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if out.exists():  # the kill came between the rename and the exit: a whole product
            assert out.read_bytes() == expected
            out.unlink()
        left = max(left, len(os.listdir(tmp_path)))
    assert killed >= 5 and left >= 1
    fastsig("spectra", recording, "-o", out, *OPTIONS)
    assert os.listdir(tmp_path) == ["out.h5"]
    assert out.read_bytes() == expected


def interrupted(recording: Path, folder: Path, sent: int) -> tuple[int, str]:
    """Exit code and messages of a run that gets a signal once it has begun to write."""
    for _ in range(5):
        process = begin("spectra", recording, "-o", folder / "out.h5", *OPTIONS, "--unfused")
        wait_for_files(folder, process)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
        if process.returncode:
            return process.returncode, errors
        (folder / "out.h5").unlink()  # it was done before the signal came
    pytest.fail("five runs were done before the signal came")


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                        (signal.SIGHUP, 129)])
def test_interrupts_leave_nothing(recording: Path, tmp_path: Path, sent: int, code: int) -> None:
    found, errors = interrupted(recording, tmp_path, sent)
    assert found == code, errors
    assert "nothing was left half-written" in errors and "Traceback" not in errors
    assert os.listdir(tmp_path) == []


def limit_files(size: int) -> None:
    """Writes beyond `size` fail as on a full disk, but not the reservation before."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_that_cannot_hold_the_product_is_told_before(
    recording: Path, tmp_path: Path
) -> None:
    done = fastsig("spectra", recording, "-o", tmp_path / "out.h5", *OPTIONS, code=4,
                   before=limiting(2**20))
    lines = [line for line in done.stderr.splitlines() if "out.h5" in line]
    assert len(lines) == 1 and "bytes are needed" in lines[0]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("what", ["spectra", "simulate", "view"])
def test_a_disk_that_fills_while_writing(recording: Path, tmp_path: Path, what: str) -> None:
    """No reservation, so that the write itself fails: one line, exit 4, no crash at exit."""
    calls = {
        "spectra": ("spectra", recording, "-o", tmp_path / "out.h5", *OPTIONS),
        "simulate": ("simulate", "fast-voltage", "-o", tmp_path / "out.h5", "--duration", "5ms",
                     "--bandwidth", "200MHz"),
        "view": ("view", recording, "-o", tmp_path / "out.png"),
    }
    size = 2**12 if what == "view" else 2**20
    if what == "view":  # so that no kernel has to be cached under the limit
        fastsig(*calls[what])
        os.remove(tmp_path / "out.png")
    unreserved = "import os; os.posix_fallocate = lambda *a: None\n"
    done = fastsig(*calls[what], code=4, before=unreserved, preexec=lambda: limit_files(size))
    lines = [line for line in done.stderr.splitlines() if "out." in line]
    assert len(lines) == 1 and lines[0].endswith("cannot be written: File too large"), done.stderr
    assert os.listdir(tmp_path) == []


#: A file system that neither reserves space nor states how much is free.
UNRESERVED = """
import os
os.posix_fallocate = lambda *a: None
os.statvfs = lambda file, found=os.statvfs: os.statvfs_result([*found(file)[:2], *[0] * 8])
"""


def fill(path: Path, leave: int) -> None:
    """Fill a file system, except for some pages: HDF5 notices when it flushes or closes a file."""
    room = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (room.f_bavail - leave) * room.f_bsize)


def test_a_file_larger_than_the_disk_claims_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt would fill the disk for a moment, and make other writers fail."""
    attempts: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda file, start, n: attempts.append(n))
    room = os.statvfs(tmp_path)
    free = room.f_bavail * room.f_frsize
    with pytest.raises(fs.errors.OutputError, match="out: No space left on device: up to"):
        SafeOutput(tmp_path / "out", reserve=2 * free)
    assert not attempts and not os.listdir(tmp_path)
    SafeOutput(tmp_path / "out", reserve=2**20).discard()
    assert attempts == [2**20]


def test_a_full_file_system(recording: Path, tmp_path: Path) -> None:
    """A tmpfs of 4 MiB, where this user may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system; the limit on file size stands in")
    try:
        for before in ("", UNRESERVED):
            done = fastsig("spectra", recording, "-o", small / "out.h5", *OPTIONS, code=4,
                           before=before)
            lines = [line for line in done.stderr.splitlines() if "out.h5" in line]
            assert len(lines) == 1 and "No space left on device" in lines[0]
            assert os.listdir(small) == []
        fill(small / "filling", leave=2)
        for call in (("spectra", recording, "--n-chan", 64, "--n-int", 1000),
                     ("cut", recording, "--to", "native", "--tstop", "1ms")):
            done = fastsig(*call, "-o", small / "out.h5", code=4, before=before)
            lines = [line for line in done.stderr.splitlines() if "out.h5" in line]
            assert lines == [f"fastsig: {small}/out.h5: cannot be written: No space left on device"]
            assert os.listdir(small) == ["filling"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_an_output_that_exists(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_text("precious")
    done = fastsig("spectra", recording, "-o", out, *OPTIONS, code=4)
    assert "exists; give --overwrite" in done.stderr and out.read_text() == "precious"
    fastsig("spectra", recording, "-o", out, "--n-chan", 64, "--n-int", 1000, "--overwrite")
    assert fs.open(out).shape[2] == 64


def test_places_where_nothing_can_be_written(recording: Path, tmp_path: Path) -> None:
    for out, cause in ((tmp_path / "absent" / "x.h5", "does not exist"),
                       (tmp_path, "is a folder")):
        assert cause in fastsig("spectra", recording, "-o", out, *OPTIONS, code=4).stderr


def test_a_folder_without_permission() -> None:
    """As an unprivileged user, in a child where this one is root, whom nothing stops."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                if os.getuid() == 0:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                SafeOutput(os.path.join(folder, "x.h5"))
            except fs.OutputError as error:
                code = 0 if "no permission" in str(error) else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_what_may_not_be_looked_at_is_not_missing() -> None:
    """As an unprivileged user: a closed folder, one without a list of names, names within."""
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        for name, mode in (("closed", 0o000), ("unlisted", 0o711)):
            os.mkdir(os.path.join(base, name))
            os.chmod(os.path.join(base, name), mode)
        inputs = ("closed", "closed/x.raw", "unlisted/night", "unlisted/night.*.raw", "unlisted")

        def refusals() -> None:
            for name in inputs:
                try:
                    detect(scan_files(os.path.join(base, name))[0])
                except fs.FormatError as error:
                    assert "Permission denied" in str(error), error
                else:
                    raise AssertionError(name)
            try:
                check_output(os.path.join(base, "closed", "in", "x.h5"))
            except fs.OutputError as error:
                assert "Permission denied" in str(error), error

        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                if os.getuid() == 0:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                refusals()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_file_that_comes_up_meanwhile_is_kept(tmp_path: Path) -> None:
    output = SafeOutput(tmp_path / "x")
    (tmp_path / "x").write_text("another's")
    with pytest.raises(fs.OutputError, match="was created by another program"):
        output.commit()
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_text() == "another's"


def test_only_dead_writers_leftovers_are_swept(tmp_path: Path) -> None:
    alive = SafeOutput(tmp_path / "x[1].h5")
    dead = tmp_path / ".x[1].h5.host-1-abcd.part"
    other = tmp_path / ".y.h5.host-1-abcd.part"
    for path in (dead, other):
        path.write_text("")
    assert sweep(os.fspath(tmp_path / "x[1].h5")) == [os.fspath(dead)]
    assert os.path.exists(alive.temporary) and other.exists()
    alive.discard()
    assert not os.path.exists(alive.temporary)


def test_an_error_in_the_middle_leaves_nothing(recording: Path, tmp_path: Path) -> None:
    """The input is cut while it is read: the message names it and where."""
    copy = tmp_path / "in.h5"
    copy.write_bytes(recording.read_bytes())
    chain = fs.open(copy).channelize(64).detect("I").integrate(n_int=10)
    os.truncate(copy, 5_000_000)
    with pytest.raises(fs.DataError, match=r"in\.h5: ends at byte 5000000") as caught:
        chain.write(tmp_path / "out.h5", workers=2)
    assert any("from sample" in note for note in caught.value.__notes__)
    assert os.listdir(tmp_path) == ["in.h5"]


def test_writers_of_one_name_never_take_each_others_file(tmp_path: Path) -> None:
    """Six processes begin and finish the same name over and over; each sweeps before it begins."""
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for _ in range(150):
                    with SafeOutput(tmp_path / "x", overwrite=True) as output:
                        os.write(output.descriptor, b"whole")
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [0] * 6
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() == b"whole"


def test_special_files_are_refused_and_links_followed(recording: Path, tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link.h5"
    os.mkfifo(fifo)
    call = ("spectra", recording, "--n-chan", 64, "--n-int", 1000, "--overwrite", "-o")
    assert "not a regular file" in fastsig(*call, fifo, code=4).stderr
    assert "not a regular file" in fastsig("info", fifo, code=1).stderr
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere" / "product.h5")
    fastsig(*call, link)
    assert link.is_symlink() and fs.open(tmp_path / "elsewhere" / "product.h5").shape[2] == 64
    before = recording.read_bytes()
    view = tmp_path / "v.png"
    view.symlink_to(recording)
    assert "is an input" in fastsig("view", recording, "-o", view, "--overwrite", code=4).stderr
    assert recording.read_bytes() == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(recording: Path, tmp_path: Path, closed: str) -> None:
    words = command("spectra", recording, "-o", tmp_path / "s.h5", "--n-chan", 64, "--n-int", 100)
    line = f"{shlex.join(words)} {closed}"
    assert subprocess.run(line, shell=True, env=environment(), capture_output=closed == "<&-"
                          ).returncode == 0
    fastsig("validate", tmp_path / "s.h5")


@pytest.mark.parametrize("option", [("--n-int", "99999999999999999999"), ("--integrate", "1e30s"),
                                    ("--integrate", "1e400s"), ("--set", "sample_rate=1e400")])
def test_absurd_numbers_are_usage_errors(recording: Path, tmp_path: Path, option: tuple) -> None:
    fastsig("spectra", recording, "-o", tmp_path / "x.h5", "--n-chan", 64, *option, code=2)
    assert os.listdir(tmp_path) == []


#: Python that has a signal arrive in the callback of a library, while modules are imported.
IN_A_CALLBACK = """
import os, signal, sys, weakref
class Thing:
    pass
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == "fastsig.chain":
            thing = Thing()
            ref = weakref.ref(thing, lambda _: (os.kill(os.getpid(), signal.NUMBER), None))
            del thing
sys.meta_path.insert(0, Hook())
"""


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_no_signal_is_lost_while_the_program_starts(number: str, code: int, samples: Path,
                                                    tmp_path: Path) -> None:
    words = command("spectra", samples / "frb_carrier_16MHz.h5", "-o", tmp_path / "p.h5",
                    "--n-chan", 64, before=IN_A_CALLBACK.replace("NUMBER", number))
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1].endswith("nothing was left half-written")
    assert not list(tmp_path.iterdir())
