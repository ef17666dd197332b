"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from normonnx.cli.value_types import (
    NumberType,
    ReportTargetType,
    RuleCodeType,
    ShapeType,
    SizeType,
    ToleranceType,
)
from normonnx.options import Options
from normonnx.targets import NAMES

PROVIDERS = ("cpu", "cuda")

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path(path_type=Path)

UNTRUSTED = "Refuse linked data files; run ONNX Runtime in a process of its own."


def _together(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


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
