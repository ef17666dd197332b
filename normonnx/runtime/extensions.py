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
_SHARED_LIBRARY = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How files of shared libraries begin: ELF, PE, Mach-O."""


class Extensions(Struct, frozen=True):
    """Which libraries sessions register.

    Attributes:
        named: files of the user's libraries, which every session registers.
        own: the library of the domain normonnx to use instead of the installed one, or "".
    """

    named: tuple[str, ...] = ()
    own: str = ""

    @staticmethod
    def of(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Extensions:
        """The libraries that a user names; one of them may be a build of this package's.

        Raises:
            UsageError: one is not there, or is no shared library; or two are this package's.
            EnvironmentLacksError: the build of this package's library does not load.
        """
        named, own = [], ""
        for path in map(Path, [paths] if isinstance(paths, str | os.PathLike) else paths):
            if not path.is_file():
                raise UsageError(
                    f"there is no library of custom operators at {path}", hint="--custom-ops PATH"
                )
            whole, content = str(path.resolve()), path.read_bytes()
            if not content.startswith(_SHARED_LIBRARY):
                raise UsageError(f"{path} is not a shared library", hint="--custom-ops PATH")
            if _OWN_SYMBOL in content:
                if own not in ("", whole):
                    raise UsageError(f"{own} and {whole} are both libraries of normonnx")
                own = whole
                library.of_this_version(own)
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
            library.register_once(options, path)
        if kernels:
            library.register_custom_ops(options, providers, path=self.own or None)

    def missing(self, *providers: str) -> str:
        """Why there are no kernels of the domain normonnx for sessions on providers, or "".

        Args:
            providers: their names, or short names of `PROVIDERS`.

        Raises:
            EnvironmentLacksError: the user names a library of this package that does not load.
        """
        names = [PROVIDERS.get(provider, provider) for provider in providers]
        if self.own or library.is_named():
            library.of_this_version(self.own or None)
        try:
            library.usable(*names, path=self.own or None)
        except EnvironmentLacksError as error:
            return error.message
        return ""
