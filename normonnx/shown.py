"""Results show themselves: one line at a prompt, a page in a notebook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any


class Shown:
    """A result that can say in one line what it is."""

    __slots__ = ()

    @abstractmethod
    def line(self) -> str:
        """One stable line."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain data."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.line().removeprefix('normonnx: ')}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the report in a frame of its own."""
        return _pages[0](self)


def _line(shown: Shown) -> str:
    from html import escape  # for notebooks alone

    return f"<pre>{escape(shown.line())}</pre>"


_pages: list[Callable[[Shown], str]] = [_line]


def render_pages_with(page: Callable[[Shown], str]) -> None:
    """Say what makes a page of a result, for notebooks; without it they show its line."""
    _pages[0] = page
