"""Names of a package that are imported when they are first used (PEP 562).

Most runs need a small part of the product: what is not judged needs no judge, and what is shown on
a terminal needs no HTML.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attributes_of(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__``.

    Args:
        package: the module whose attributes these are.
        homes: the module that defines each of them.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find
