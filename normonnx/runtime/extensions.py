"""Libraries of custom operators beside ONNX Runtime's own: the user's, and that of this package."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from normonnx.errors import EnvironmentLacksError, UsageError
from normonnx.runtime import library
from normonnx.runtime.providers import PROVIDERS

_OWN_SYMBOL = b"normonnx_ort_api_version"


class Extensions(Struct, frozen=True):
    """Which libraries sessions register.

    Attributes:
        named: files of the user's libraries, which every session registers.
        own: the library of the domain normonnx to use instead of the installed one, or "".
    """

    named: tuple[str, ...] = ()
    own: str = ""

    @staticmethod
    def of(paths: Iterable[str | os.PathLike[str]]) -> Extensions:
        """The libraries that a user names; one of them may be a build of this package's.

        Raises:
            UsageError: one is not there.
        """
        named, own = [], ""
        for path in map(Path, paths):
            if not path.is_file():
                raise UsageError(
                    f"there is no library of custom operators at {path}", hint="--custom-ops PATH"
                )
            whole = str(path.resolve())
            if _OWN_SYMBOL in path.read_bytes():
                own = whole
            elif whole not in named:
                named.append(whole)
        return Extensions(tuple(named), own)

    def register(self, options: Any, providers: Iterable[Any], *, kernels: bool) -> None:
        """Register them with a session's options.

        Args:
            options: an ``onnxruntime.SessionOptions``.
            providers: of the session, as its constructor takes them.
            kernels: whether the library of the domain normonnx is among them.

        Raises:
            EnvironmentLacksError: the library of this package cannot be used; see
                `library.register_custom_ops`.
        """
        for path in self.named:
            options.register_custom_ops_library(path)
        if kernels:
            library.register_custom_ops(options, providers, path=self.own or None)

    def lacking(self, *providers: str) -> str:
        """Why there are no kernels of the domain normonnx for sessions on providers, or "".

        Args:
            providers: their names, or short names of `PROVIDERS`.
        """
        names = [PROVIDERS.get(provider, provider) for provider in providers]
        try:
            library.usable(*names, path=self.own or None)
        except EnvironmentLacksError as error:
            return error.message
        return ""
