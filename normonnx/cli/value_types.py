"""Types of the values that options and arguments take, with errors that say what would do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from normonnx.cli.destinations import PIPE, STDOUT
from normonnx.error_pages import ERRORS
from normonnx.rules import RULES

if TYPE_CHECKING:
    from click import ParamType
    from click.shell_completion import CompletionItem
else:

    class ParamType(click.ParamType):
        """What click calls so, which takes the type of its values only since click 8.4."""

        def __class_getitem__(cls, _: object) -> type[click.ParamType]:
            return click.ParamType


REPORT_FORMATS = ("json", "html", "junit", "markdown")

ReportTarget: TypeAlias = "tuple[str, Path]"


class RuleCodeType(ParamType[str]):
    """A rule's code or name, with suggestions for what is nearly one."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The code in capitals."""
        code = str(value).upper()
        names = {rule.name: rule.code for rule in RULES.values()}
        code = names.get(str(value).lower(), code)
        if code not in RULES:
            self.fail(f"no such rule: {value!r}. {suggestion(code, RULES)}", param, ctx)
        return code

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The codes that begin like what is typed."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(code, help=rule.name)
            for code, rule in RULES.items()
            if code.startswith(incomplete.upper())
        ]


class CodeType(RuleCodeType):
    """A rule's code or name, or an error's code."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The code in capitals."""
        code = str(value).upper()
        if code in ERRORS:
            return code
        if code.startswith("NX-"):
            self.fail(f"no such error: {value!r}. {suggestion(code, ERRORS)}", param, ctx)
        return super().convert(value, param, ctx)


class ReportTargetType(ParamType[ReportTarget]):
    """``FORMAT=PATH``; the path ``-`` is standard output."""

    name = "format=path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ReportTarget:
        """The format and the path."""
        form, _, path = str(value).partition("=")
        if form not in REPORT_FORMATS or not path:
            known = ", ".join(f"{name}=PATH" for name in REPORT_FORMATS)
            self.fail(f"{value!r} is none of {known}.", param, ctx)
        return form, Path(PIPE if path in STDOUT else path)


class NumberType(ParamType["int | float"]):
    """A number of at least, or of more than, a bound.

    Args:
        least: the bound.
        above: whether the bound itself is too little.
        whole: whether it has to be a whole number.
    """

    name: str = "number"

    def __init__(self, least: int | None = None, *, above: bool = False, whole: bool = False):
        self._least, self._above, self._whole = least, above, whole
        self.name = "integer" if whole else "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """The number."""
        bound = "" if self._least is None else f" {self._bound} {self._least}"
        try:
            number = int(str(value)) if self._whole else float(value)
        except ValueError:
            self.fail(f"{value!r} is not a {self._kind}{bound}", param, ctx)
        least = self._least
        if least is not None and not (number > least or (number == least and not self._above)):
            self.fail(f"{value!r} is not a {self._kind}{bound}", param, ctx)
        return number

    @property
    def _kind(self) -> str:
        return "whole number" if self._whole else "number"

    @property
    def _bound(self) -> str:
        return "above" if self._above else "of at least"


class SizeType(ParamType["tuple[str, int]"]):
    """``NAME=SIZE`` of an open dimension."""

    name = "name=size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """The name and the size."""
        if isinstance(value, tuple):
            return value
        name, _, size = str(value).rpartition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            self.fail(f"{value!r} is not NAME=SIZE with a size of at least 1.", param, ctx)
        return name, int(size)


class ShapeType(ParamType["tuple[str, tuple[int, ...]]"]):
    """``NAME=SIZE,SIZE,…`` of an input."""

    name = "name=sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """The name and the sizes."""
        if isinstance(value, tuple):
            return value
        name, _, sizes = str(value).rpartition("=")
        each = sizes.split(",")
        if not name or not all(size.isdecimal() and int(size) > 0 for size in each):
            self.fail(f"{value!r} is not NAME=SIZE,SIZE,… with sizes of at least 1.", param, ctx)
        return name, tuple(map(int, each))


class ToleranceType(ParamType["tuple[str, float]"]):
    """``VALUE`` for all outputs, or ``OUTPUT=VALUE``."""

    name = "[output=]value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """The name of the output, "" for all, and the value."""
        if isinstance(value, tuple):
            return value
        name, _, number = str(value).rpartition("=")
        try:
            bound = float(number)
        except ValueError:
            bound = -1.0
        if not bound >= 0:
            self.fail(f"{value!r} is not [OUTPUT=]VALUE with a value of at least 0.", param, ctx)
        return name, bound


def suggestion(word: str, known: Iterable[str]) -> str:
    """A sentence with what is nearly `word`, or with all there is."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known)}."
