"""What can be given on the command line: types of values, and options that commands share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from normonnx.cli.destinations import PIPE, STDOUT
from normonnx.error_pages import ERRORS
from normonnx.options import Options
from normonnx.rules import RULES
from normonnx.targets import NAMES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROVIDERS = ("cpu", "cuda")
REPORT_FORMATS = ("json", "html", "junit", "markdown")

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
ReportTarget: TypeAlias = "tuple[str, Path]"

FILE = click.Path(path_type=Path)

UNTRUSTED = "Refuse linked data files; run ONNX Runtime in a process of its own."


def _together(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class RuleCodeType(click.ParamType[str]):
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


class ReportTargetType(click.ParamType[ReportTarget]):
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


class NumberType(click.ParamType["int | float"]):
    """A number of at least, or of more than, a bound.

    Args:
        least: the bound.
        above: whether the bound itself is too little.
        whole: whether it has to be a whole number.
    """

    name = "number"

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


class SizeType(click.ParamType["tuple[str, int]"]):
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


class ShapeType(click.ParamType["tuple[str, tuple[int, ...]]"]):
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


class ToleranceType(click.ParamType["tuple[str, float]"]):
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
    help="Treat initializers that are also inputs as constants, which callers cannot override.",
)
"""Option of every command that asks what a caller may override."""

rewriting: Decorator = _together(
    click.option(
        "--target",
        type=click.Choice(NAMES),
        default="onnx",
        show_default=True,
        help="Which operators may be written: standard ones, ONNX Runtime's, or normonnx's own.",
    ),
    click.option(
        "--opset",
        type=NumberType(1, whole=True),
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
        type=NumberType(0, whole=True),
        default=0,
        show_default=True,
        help="Seed of the generated inputs.",
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
    help="Write a report, such as html=report.html: html, json, junit or markdown; repeat for "
    "several.",
)

COLOUR = "normonnx.colour"
"""Where the context keeps what --color says."""


def formatting(*forms: str) -> Decorator:
    """The option that says how results are printed.

    Args:
        forms: besides text.
    """
    return click.option(
        "--format",
        "form",
        type=click.Choice(("text", *forms)),
        default="text",
        show_default=True,
        help="How to print results.",
    )


def _keep_colour(ctx: click.Context, _param: click.Parameter, value: str) -> None:
    ctx.meta[COLOUR] = value


everywhere: Decorator = _together(
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_keep_colour,
        help="Whether to print in colour.",
    ),
    click.option(
        "--config",
        type=FILE,
        metavar="FILE",
        expose_value=False,
        help="A TOML file with defaults, instead of the nearest pyproject.toml.",
    ),
    click.option(
        "--isolated",
        is_flag=True,
        expose_value=False,
        help="Take no defaults from pyproject.toml or the environment.",
    ),
)
"""Options of every command; `settings` reads the last two before there is a command."""

talking: Decorator = _together(
    click.option("-q", "--quiet", is_flag=True, help="Print the last line only."),
    click.option("-v", "--verbose", count=True, help="Print more; -vv with tracebacks."),
)
