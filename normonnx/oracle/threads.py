"""The threads of NumPy's matrix products: for small ones several cost more than they save."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from msgspec import Struct


class Threads(Struct, frozen=True):
    """How many threads a library of matrix products uses.

    Attributes:
        get: tells it.
        set: says it.
    """

    get: Callable[[], int]
    set: Callable[[int], None]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let matrix products use one thread; without effect where the library is not OpenBLAS."""
    threads = of_numpy()
    before = 1 if threads is None else threads.get()
    if threads is None or before == 1:
        yield
        return
    threads.set(1)
    try:
        yield
    finally:
        threads.set(before)


@cache
def of_numpy() -> Threads | None:
    """The threads of the OpenBLAS that comes with NumPy, None if none does."""
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    for file in (file for folder in folders for file in folder.glob("*openblas*")):
        try:
            library = ctypes.CDLL(str(file))
        except OSError:
            continue
        for start, end in (("scipy_openblas", "64_"), ("scipy_openblas", ""), ("openblas", "64_")):
            getter = getattr(library, f"{start}_get_num_threads{end}", None)
            setter = getattr(library, f"{start}_set_num_threads{end}", None)
            if getter is not None and setter is not None:
                getter.restype, setter.restype = ctypes.c_int, None
                setter.argtypes = [ctypes.c_int]
                return Threads(getter, setter)
    return None
