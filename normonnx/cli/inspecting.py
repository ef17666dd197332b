"""``normonnx inspect`` and ``normonnx explain``: what a model is made of, what a code means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from normonnx.cli.destinations import PIPE, refuse_written
from normonnx.cli.parameters import (
    asked,
    reading,
    reporting,
    rewriting,
    talking,
)
from normonnx.cli.streams import (
    console_for_people,
    console_on,
    show_as,
    write_reports,
)
from normonnx.cli.value_types import CodeType
from normonnx.error_pages import ERRORS
from normonnx.errors import ExitCode, NormonnxError, UsageError
from normonnx.rules import RULES

if TYPE_CHECKING:
    from rich.console import Console

    from normonnx.report import Inspection


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@rewriting
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "table", "json")),
    default="text",
    show_default=True,
    help="How to print results; table is text.",
)
@reporting
@reading
@talking
def inspect(models: tuple[str, ...], **options: Any) -> ExitCode:
    """List every normalisation: what would happen, or why not.

    MODEL is a file, a directory with models anywhere below, or - for standard input. Inputs,
    outputs, operators and sizes come first. For what stays, the fact that is in the way and what
    could be done about it. Large weights in data files are not read.
    """
    from normonnx.fleet.sources import called, models_among
    from normonnx.report import Inspections

    sources = [found.source for found in models_among(models)]
    refuse_written(options["reports"], sources)
    if len(sources) > 1 and any(form != "json" for form, _ in options["reports"]):
        raise UsageError("a report on several models is written as json=PATH")
    if sources.count(PIPE) > 1:
        raise UsageError("only one of the models can come from standard input")
    console = console_for_people(options["reports"])
    results, code = _inspected(sources, called(sources), console, options)
    told = results[0] if len(sources) == 1 else Inspections(tuple(results))
    write_reports(options["reports"], told)
    if options["form"] == "json":
        show_as("json", told)
    return code


def _inspected(
    sources: Sequence[str], names: Sequence[str], console: Console, options: dict[str, Any]
) -> tuple[list[Inspection], ExitCode]:
    """Inspect models and show each as it is done; one that is refused is told and passed over.

    Returns:
        What was found, and the worst exit code.

    Raises:
        NormonnxError: the only model is refused.
    """
    from normonnx import api
    from normonnx.report import worst
    from normonnx.report.inspection_table import show_inspection
    from normonnx.report.notices import show_error
    from normonnx.report.terminal import show_line

    results, codes = [], [ExitCode.OK]
    for source, name in zip(sources, names, strict=True):
        try:
            result = replace(api.inspect(source, options=asked(options)), name=name)
        except NormonnxError as error:
            if len(sources) == 1:
                raise
            codes.append(error.exit_code)
            where = error.where if name in error.where else f"{name}: {error.where}".rstrip(": ")
            error.where = where
            show_error(error, console_on(sys.stderr))
            continue
        results.append(result)
        if options["form"] == "json":
            continue
        if options["quiet"]:
            show_line(result.line(), console)
        else:
            show_inspection(result, console, verbosity=options["verbose"])
    return results, worst(codes)


@click.command()
@click.argument("code", type=CodeType(), metavar="[CODE]", required=False)
@click.argument("model", metavar="[MODEL]", required=False)
@rewriting
@reading
def explain(code: str | None, model: str | None, **options: Any) -> ExitCode:
    """Show a rule with its conditions, or an error with the way out.

    With a MODEL, also where the rule fires in it, and where it nearly does. Without a CODE, list
    rules and errors.
    """
    from normonnx.report.inspection_table import show_inspection
    from normonnx.report.pages_text import show_error_page, show_errors, show_rule, show_rules

    console = console_for_people()
    if code is None:
        show_rules(RULES.values(), console)
        show_errors(ERRORS.values(), console)
        return ExitCode.OK
    if code in ERRORS:
        if model is not None:
            raise UsageError(f"{code} is an error, which no model has sites of")
        show_error_page(ERRORS[code], console)
        return ExitCode.OK
    show_rule(RULES[code], console)
    if model is None:
        return ExitCode.OK
    from normonnx import api
    from normonnx.simplify.rule import CODES

    if code in CODES:
        raise UsageError(
            f"{code} is about no norm, so there are no sites to list",
            hint=f"normonnx optimize {model} --dry-run lists what it would do",
        )
    result = api.inspect(model, options=asked(options))
    sites = tuple(site for site in result.sites if site.rule == code)
    console.print()
    show_inspection(replace(result, sites=sites), console, verbosity=1)
    return ExitCode.OK
