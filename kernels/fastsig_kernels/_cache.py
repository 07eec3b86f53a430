"""The cache of compiled kernels: an entry expires when any source that it depends on changes.

numba checks only the file of a kernel, but code from other modules is compiled into it too. Here
the name of each cache file contains a digest of the kernel's module and of all modules that it
imports, directly or indirectly.

If no folder can be written to, kernels are loaded from the folder that is readable, if any, or
compiled in each process.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import llvmlite
import numpy as np
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.runtime.nrt import rtsys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_warned = False
_IMPORT = re.compile(rb"^[ \t]*from \.(\w*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


# numba's choices of a folder: NUMBA_CACHE_DIR, that of the module, that of the user.
_Stated, _Beside, _Home = CompileResultCacheImpl._locator_classes[:3]


class _Filled(_Stated):  # type: ignore[misc,valid-type]
    """The folder in NUMBA_CACHE_DIR, if it has kernels of this package, although read-only."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Any:
        """Return the place of a function's files, or None."""
        if not config.CACHE_DIR:  # type: ignore[attr-defined]
            return None
        found = cls(py_func, py_file)
        return found if _has_kernels(found.get_cache_path()) else None


class _KnownHome(_Home):  # type: ignore[misc,valid-type]
    """The folder of the user, if the user has one; otherwise numba creates a folder named ~."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Any:
        """Return the place of a function's files, or None."""
        known = os.path.isabs(cls(py_func, py_file).get_cache_path())
        return super().from_function(py_func, py_file) if known else None


class _LastResort(_Beside):  # type: ignore[misc,valid-type]
    """The folder of the module, although it is read-only or does not exist."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Any:
        """Return the place of a function's files."""
        return cls(py_func, py_file)


class _Places(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_Stated, _Filled, _Beside, _KnownHome, _LastResort]  # noqa: RUF012


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, with file names derived from the source of the function.

    Machine code is loaded without the modules that only the compiler needs. Before its first
    kernel, numba prepares the compiler even if the kernel is in the cache: it imports 250 modules,
    including `scipy.linalg` and `numpy.f2py`, in 0.3 s. Machine code needs only numba's run time,
    because it calls functions of it. Kernels that are not in the cache are compiled afterwards,
    and the compiler then prepares itself.

    Parameters
    ----------
    py_func : function
        A function of a module of this package.
    """

    _impl_class = _Places

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        module = py_func.__module__.rpartition(".")[2]
        self._base = self._impl.filename_base
        self._digest = digest(module)
        self._cache_file = IndexDataCacheFile(
            self.cache_path, f"{self._base}.{self._digest}", self._digest)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function for a signature, or None if it is not in the cache."""
        rtsys.initialize(target_context)
        try:
            return self._load_overload(sig, target_context)
        except NotADirectoryError:
            return None
        except Exception as error:  # a damaged file can raise anything
            _warn("read", self.cache_path, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a compiled form, if possible; the first save removes those of earlier sources."""
        try:
            self._save(sig, data)
        except Exception as error:  # as above, since the index is read first
            _warn("write to", self.cache_path, error)

    def _save(self, sig: Any, data: Any) -> None:
        self._impl.locator.ensure_cache_path()
        # The index is read, extended and written. Of two concurrent processes, one would lose its
        # form, or both would choose the same name.
        with _alone(self.cache_path):
            if not os.path.exists(self._cache_file._index_path):
                self._remove_old()
            super().save_overload(sig, data)

    def _remove_old(self) -> None:
        """Remove forms that this Python compiled from an earlier source or earlier imports."""
        name, _, rest = self._base.rpartition("-")
        python = rest.partition(".")[2]
        old = re.compile(rf"{re.escape(name)}-\d+\.{re.escape(python)}\.(?!{self._digest})\w+\."
                         r"(nbi|\d+\.nbc)")
        for entry in os.listdir(self.cache_path):
            if old.fullmatch(entry):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.cache_path, entry))


def is_kept() -> bool:
    """Whether all kernels that were compiled so far could be saved."""
    return not _warned


def _has_kernels(folder: str) -> bool:
    """Whether there are compiled kernels in a folder."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".nbi") for entry in entries)
    except OSError:
        return False


def _warn(action: str, folder: str, error: Exception) -> None:
    """Report the first failure; kernels then work, but each process compiles them."""
    global _warned
    if not _warned:
        _warned = True
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"fastsig_kernels cannot {action} its folder of compiled kernels, {folder} ({reason}), "
            "so each process compiles kernels again, which takes seconds: set NUMBA_CACHE_DIR to "
            "a folder that can be written to", RuntimeWarning, stacklevel=2)


@cache
def digest(module: str) -> str:
    """Return 16 hexadecimal digits of a hash of a module's sources and the library versions.

    Parameters
    ----------
    module : str
        Name of a module of this package, without the name of the package.
    """
    found = hashlib.sha256(f"{llvmlite.__version__} {np.__version__}".encode())
    for name in sorted(imported(module)):
        found.update(name.encode() + b"\0" + _text(name))
    return found.hexdigest()[:16]


def imported(module: str) -> set[str]:
    """Return a module and all modules of this package that it imports, directly or indirectly."""
    found, new = set(), {module}
    while new:
        found |= new
        new = {name for each in new for name in _imports(each)} - found
    return found


@cache
def _imports(module: str) -> frozenset[str]:
    """Return the modules that a module imports, including imports within functions."""
    found = set()
    for name, names in _IMPORT.findall(_text(module)):
        found |= {name} if name else set(re.findall(rb"\w+", names))
    return frozenset(name.decode() for name in found) & _modules()


@cache
def _modules() -> frozenset[str]:
    return frozenset(name[:-3] for name in os.listdir(_FOLDER) if name.endswith(".py"))


@cache
def _text(module: str) -> bytes:
    with open(os.path.join(_FOLDER, f"{module}.py"), "rb") as file:
        return file.read()


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Exclude other processes, if the file system supports locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = os.path.join(folder, ".fastsig-lock")
            file = stack.enter_context(open(path, "a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
