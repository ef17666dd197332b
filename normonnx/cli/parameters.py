"""What can be given on the command line: types of values, and options that commands share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from normonnx.options import Options
from normonnx.rules import RULES
from normonnx.targets import NAMES

if TYPE_CHECKING:
    from click import ParamType
    from click.shell_completion import CompletionItem
else:

    class ParamType(click.ParamType):
        """What click calls so, which takes the type of its values only since click 8.4."""

        def __class_getitem__(cls, _: object) -> type[click.ParamType]:
            return click.ParamType


PROVIDERS = ("cpu", "cuda")
REPORT_FORMATS = ("json", "html", "junit", "markdown")

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
ReportTarget: TypeAlias = "tuple[str, Path]"

FILE = click.Path(path_type=Path)

UNTRUSTED = "Refuse linked data files; run ONNX Runtime in a process of its own."


class RuleCodeType(ParamType[str]):
    """A rule's code or name, with suggestions for what is nearly one."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The code in capitals."""
        code = str(value).upper()
        names = {rule.name: rule.code for rule in RULES.values()}
        code = names.get(str(value).lower(), code)
        if code not in RULES:
            self.fail(f"no such rule: {value!r}. {_suggestion(code, RULES)}", param, ctx)
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
        return form, Path(path)


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


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known)}."


def _by_output(
    _ctx: click.Context, _param: click.Parameter, value: Iterable[tuple[str, float]]
) -> dict[str, float] | None:
    """Tolerances by output, "" for all; None where none is given."""
    return dict(value) or None


def _by_name(
    _ctx: click.Context, _param: click.Parameter, value: Iterable[tuple[str, Any]]
) -> dict[str, Any]:
    """What was given for each name; the last counts."""
    return dict(value)


def _together(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def asked(given: Mapping[str, Any], **more: Any) -> Options:
    """What a command was asked for, of its options by name; what it lacks has its default."""
    fields = {f: given[f] for f in Options.__struct_fields__ if given.get(f) not in (None, ())}
    return Options().but(**fields, **more)


reading: Decorator = _together(
    click.option(
        "--allow-data-dir",
        type=FILE,
        multiple=True,
        metavar="DIR",
        help="A further directory that external data may lie in.",
    ),
    click.option(
        "--allow-hardlinks", is_flag=True, help="Accept data files that have several names."
    ),
)
"""Options of every command that reads a model."""

freezing: Decorator = click.option(
    "--freeze-initializers",
    is_flag=True,
    help="Take initializers that are inputs too for constants.",
)
"""Option of every command that asks what a caller may override."""

rewriting: Decorator = _together(
    click.option(
        "--target",
        type=click.Choice(NAMES),
        default="onnx",
        show_default=True,
        help="Whose operators may be written.",
    ),
    click.option(
        "--opset",
        type=click.IntRange(min=1),
        metavar="INT",
        help="The highest opset the result may have.  [default: what is needed]",
    ),
    freezing,
    click.option(
        "--allow-duplicate",
        is_flag=True,
        help="Copy a layer that others read too, to fold into the copy.",
    ),
    click.option(
        "--set",
        "sizes",
        type=SizeType(),
        multiple=True,
        callback=_by_name,
        metavar="NAME=SIZE",
        help="Set an open dimension of the inputs for good; repeat for several.",
    ),
    click.option(
        "--set-input",
        "input_shapes",
        type=ShapeType(),
        multiple=True,
        callback=_by_name,
        metavar="NAME=SIZES",
        help="Set the shape of an input for good, as x=1,3,640,640; repeat for several.",
    ),
    click.option(
        "--rule",
        "rules_on",
        type=RuleCodeType(),
        multiple=True,
        metavar="CODE",
        help="Use a rule that is off by default; repeat for several.",
    ),
    click.option(
        "--no-rule",
        "rules_off",
        type=RuleCodeType(),
        multiple=True,
        metavar="CODE",
        help="Do not use a rule; repeat for several.",
    ),
)
"""Options of every command that rewrites, or says what it would rewrite."""

simplifying: Decorator = click.option(
    "--no-simplify",
    "simplify",
    flag_value=False,
    default=True,
    help="Fold and fuse only; leave the rest of the graph as it is.",
)
"""Option of the command that also shortens what is around the norms."""

READING = ("allow_data_dir", "allow_hardlinks")

custom_operators: Decorator = click.option(
    "--custom-ops",
    type=FILE,
    multiple=True,
    metavar="PATH",
    help="A library of the model's own operators for ONNX Runtime; repeat for several.",
)
"""Option of every command that runs a model."""


def _tolerance(name: str, told: str) -> Decorator:
    """An option that takes tolerances by output."""
    kind = ToleranceType()
    return click.option(name, type=kind, multiple=True, callback=_by_output, help=told)


judging: Decorator = _together(
    click.option(
        "--provider",
        "providers",
        type=click.Choice(PROVIDERS),
        multiple=True,
        help="What to compare on; repeat for several.  [default: cpu]",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the generated inputs.",
    ),
    click.option(
        "--data",
        type=FILE,
        metavar="PATH",
        help="Inputs to use: .npz, .npy, or ONNX test data directory.",
    ),
    _tolerance(
        "--rtol",
        "Judge by a fixed relative tolerance, of all outputs or of one; repeat for several.",
    ),
    _tolerance("--atol", "As --rtol, an absolute tolerance."),
    custom_operators,
)
"""Options of every command that compares models."""

reporting: Decorator = click.option(
    "--report",
    "reports",
    type=ReportTargetType(),
    multiple=True,
    metavar="FORMAT=PATH",
    help="Write a report, such as html=report.html; repeat for several.",
)

talking: Decorator = _together(
    click.option("-q", "--quiet", is_flag=True, help="Print the last line only."),
    click.option("-v", "--verbose", count=True, help="Print more; -vv with tracebacks."),
)
