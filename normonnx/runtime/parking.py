"""Sessions of large models: however many there are, one at a time is in memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from normonnx.runtime.isolation import IsolatedSession
from normonnx.runtime.sessions import Session

AnySession: TypeAlias = "Session | IsolatedSession | ParkedSession"

_loaded: list[weakref.ref[ParkedSession]] = []


class Folder:
    """A folder for the files of a model, which goes with the last session that reads them."""

    def __init__(self) -> None:
        self.path: Path = Path(tempfile.mkdtemp(prefix="normonnx-"))
        self._end = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class ParkedSession:
    """Used like a `Session`; it is left when another one is asked to run, and loaded again.

    Args:
        start: loads the model.
        files: what it reads, kept as long as this.

    Attributes:
        ran: the provider that it runs on, as the runtime calls it.

    Raises:
        SessionFailedError: if the runtime does not load it.
        EnvironmentLacksError: if the provider is not there.
    """

    def __init__(
        self, start: Callable[[], Session | IsolatedSession], files: object = None
    ) -> None:
        self._start = start
        self._files = files
        self._session: Session | IsolatedSession | None = None
        self.ran: str = self._awake().ran

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, in the order of the model.

        Raises:
            SessionFailedError: if the runtime does not run the model on these inputs.
        """
        return self._awake().run(feeds)

    def _awake(self) -> Session | IsolatedSession:
        if self._session is None:
            for reference in _loaded:
                other = reference()
                if other is not None:
                    other._session = None
            _loaded[:] = [weakref.ref(self)]
            self._session = self._start()
        return self._session
