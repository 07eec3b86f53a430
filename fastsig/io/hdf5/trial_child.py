"""The child of `fastsig.io.hdf5.trial`, which walks through HDF5 files and may hang or crash.

It is run as a script, because importing the package would take longer than the whole walk. Each
line of its standard input is a file's name and size as JSON, and it answers with a line when it is
done.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

SECONDS = 0.5  # of processor time for a member, and as much again for each GB of the file
MOST_MEMBERS = 100_000
_SMALL = 2**16  # bytes; datasets up to this size are read as a whole
_MEMORY = 2**31  # bytes that a file with a wrong size may request


def walk(path: str, seconds: float) -> None:
    """Read everything that a reader may read, except for the samples.

    Only processor time counts, so that a slow disk is not taken for a fault. The signal ends the
    process even if a library loops and the parent is gone.
    """
    import h5py

    signal.setitimer(signal.ITIMER_PROF, seconds)
    with h5py.File(path, "r", locking=False) as file:
        _attributes(file)
        seen = {_address(file)} - {None}
        groups = [file]
        while groups and len(seen) < MOST_MEMBERS:
            for item in _members(groups.pop()):
                signal.setitimer(signal.ITIMER_PROF, seconds)
                address = _address(item)
                if address in seen:
                    continue
                _look(item)
                if address is None:
                    continue  # a group that may lead back to itself
                seen.add(address)
                if isinstance(item, h5py.Group):
                    groups.append(item)


def _address(item: Any) -> Any:
    """Return the address of a member, which may have several names; None if unknown."""
    import h5py

    return _try(lambda: h5py.h5o.get_info(item.id).addr)


def _members(group: Any) -> Iterator[Any]:
    """Yield the members that are in the file itself; links are not followed."""
    import h5py

    names: list[str] = []
    _try(lambda: names.extend(group))
    for name in names:
        found: list[Any] = []
        _try(lambda name=name, found=found: found.append(group.get(name, getlink=True)))
        if found and isinstance(found.pop(), h5py.HardLink):
            _try(lambda name=name, found=found: found.append(group[name]))
        yield from found


def _look(item: Any) -> None:
    import h5py

    _attributes(item)
    if not isinstance(item, h5py.Dataset):
        return
    _try(lambda: (item.shape, item.dtype, item.id.get_create_plist().get_external_count()))
    if _try(lambda: item.is_virtual or item.id.get_create_plist().get_external_count()):
        return  # readers check bytes in other files
    if _try(lambda: item.chunks):
        _try(lambda: [item.id.get_chunk_info(at) for at in {0, item.id.get_num_chunks() - 1}])
    if _try(lambda: item.nbytes <= _SMALL):
        _try(lambda: item[()])


def _attributes(item: Any) -> None:
    names: list[str] = []
    _try(lambda: names.extend(item.attrs))
    for name in names:
        _try(lambda name=name: item.attrs[name])


def _try(action: Any) -> Any:
    """Return the result of an action; None if h5py raises, as the reader will report the error."""
    try:
        return action()
    except Exception:
        return None


def main() -> None:
    """Walk through files until standard input ends."""
    import h5py  # noqa: F401 - its time counts for no file

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory()
    for line in sys.stdin:
        path, size = json.loads(line)
        seconds = SECONDS * (1 + size / 1e9)
        _try(lambda path=path, seconds=seconds: walk(path, seconds))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(flush=True)


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit, most = used + _MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    main()
