"""Ends runs of ONNX Runtime whose time is over: one thread watches all of them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Tells runs to stop when their time is over.

    A run is told by the flag of its options, which the runtime looks at between two nodes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[int, tuple[float, Any]] = {}
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    @contextmanager
    def limiting(self, options: Any, seconds: float) -> Iterator[None]:
        """Set ``options.terminate`` if the block is still running after so many seconds."""
        if math.isinf(seconds):
            yield
            return
        end = time.monotonic() + seconds
        with self._changed:
            self._running[id(options)] = (end, options)
            # After a fork the thread is not there any more.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="normonnx", daemon=True)
                self._thread.start()
            elif end < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._running.pop(id(options), None)

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for end, options in self._running.values():
                    if end <= now:
                        options.terminate = True
                ends = [end for end, _ in self._running.values() if end > now]
                self._wakes = min(ends, default=math.inf)
                self._changed.wait(None if not ends else self._wakes - now)


CLOCK = Clock()
