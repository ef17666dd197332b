"""The commands that write no model: verify, inspect, explain, doctor."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from normonnx.cli.destinations import PIPE, refuse_written
from normonnx.cli.parameters import (
    FILE,
    READING,
    UNTRUSTED,
    CodeType,
    NumberType,
    asked,
    formatting,
    freezing,
    judging,
    reading,
    reporting,
    rewriting,
    talking,
)
from normonnx.cli.running import save_runs
from normonnx.cli.settings import find
from normonnx.cli.streams import (
    console_for_people,
    console_on,
    show_as,
    tell_github,
    tell_place,
    watching,
    write_reports,
)
from normonnx.error_pages import ERRORS
from normonnx.errors import ExitCode, NormonnxError, UsageError
from normonnx.rules import RULES

if TYPE_CHECKING:
    from rich.console import Console

    from normonnx.judge import Verdict
    from normonnx.report import Inspection

JUDGING = (
    "allow_cpu_fallback",
    "sqnr_min",
    "strict",
    "strict_onnx",
    "freeze_initializers",
    "save_repro",
    "untrusted",
)
"""Options of `verify` that the API takes as they are."""


@click.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("optimized", metavar="OPTIMIZED")
@judging
@click.option(
    "--sqnr-min",
    type=NumberType(),
    metavar="DB",
    help="Least ratio of signal to noise, in decibels.",
)
@click.option("--strict", is_flag=True, help="Demand the same bits.")
@click.option("--strict-onnx", is_flag=True, help="Fail on what onnx.checker complains about.")
@freezing
@click.option(
    "--allow-cpu-fallback", is_flag=True, help="Use the CPU where a provider is not there."
)
@click.option(
    "--save-repro",
    type=FILE,
    metavar="DIR",
    help="Write the smallest failing window, with data, in the layout of ONNX's tests.",
)
@click.option(
    "--save-outputs",
    type=FILE,
    metavar="PATH",
    help="Write inputs and OPTIMIZED's outputs: an .npz, or a directory in the layout of ONNX's "
    "tests.",
)
@click.option(
    "--load-outputs",
    type=FILE,
    metavar="PATH",
    help="Judge on the inputs that were saved there, and compare with the outputs: of another "
    "machine or runtime, say. Within 1e-3 relative and 1e-5 absolute, or --rtol and --atol.",
)
@click.option("--untrusted", is_flag=True, help=UNTRUSTED)
@formatting("json", "github")
@reporting
@reading
@talking
def verify(original: str, optimized: str, **options: Any) -> ExitCode:
    """Judge whether OPTIMIZED still computes what ORIGINAL computes."""
    from normonnx import api
    from normonnx.fleet.sources import called
    from normonnx.report import Verification, safe_name
    from normonnx.report.terminal import show_line, show_verification

    if original == optimized == PIPE:
        raise UsageError("only one of the models can come from standard input")
    refuse_written(options["reports"], [original, optimized])
    saved = options["load_outputs"]
    if saved is not None and options["data"] is not None:
        raise UsageError("--data and --load-outputs exclude each other")
    start = time.perf_counter()
    with watching(quiet=options["quiet"]) as watcher:
        verdict = api.verify(
            original,
            optimized,
            providers=options["providers"] or ("cpu",),
            seed=options["seed"],
            custom_ops=options["custom_ops"],
            data=options["data"] if saved is None else saved,
            rtol=options["rtol"],
            atol=options["atol"],
            **{name: options[name] for name in (*JUDGING, *READING)},
            progress=watcher,
        )
    verdict = _with_outputs(optimized, verdict, options)
    seconds = time.perf_counter() - start
    names = called([original, optimized])
    result = Verification(names[0], names[1], verdict, seconds, tuple(sys.argv[1:]))
    write_reports(options["reports"], result)
    repro = options["save_repro"]
    if repro is not None and (repro / "model.onnx").is_file() and not verdict.passed:
        tell_place(repro)
    console = console_for_people(options["reports"])
    tell_github(result, console.file)
    if show_as(options["form"], result):
        return result.exit_code
    if options["quiet"] or options["form"] != "text":
        if not verdict.passed:
            console_on(sys.stderr).print(safe_name(verdict.line()), soft_wrap=True)
        show_line(result.line(), console)
    else:
        show_verification(result, console, verbosity=options["verbose"])
    return result.exit_code


def _with_outputs(model: str, verdict: Verdict, options: dict[str, Any]) -> Verdict:
    """Save what the model gives, and compare it with what was saved.

    Returns:
        The verdict, which fails where an output is too far from what was saved.

    Raises:
        NormonnxError: something cannot be read, run or written.
    """
    save, load = options["save_outputs"], options["load_outputs"]
    if save is None and load is None:
        return verdict
    from normonnx import recorded, running

    found = running.run(
        model,
        provider=(options["providers"] or ("cpu",))[0],
        data=options["data"] if load is None else load,
        seed=options["seed"],
        custom_ops=options["custom_ops"],
        **{name: options[name] for name in READING},
    )
    if save is not None:
        save_runs(found, save)
    if load is None:
        return verdict
    compared = recorded.compare(found, load, rtol=options["rtol"], atol=options["atol"])
    if not compared.far:
        return replace(verdict, notes=(*verdict.notes, compared.sentence()))
    failure = verdict.first_failure or compared.sentence()
    return replace(verdict, status="fail", first_failure=failure)


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


@click.command()
def doctor() -> ExitCode:
    """Show versions, providers and what is missing."""
    from normonnx.doctor import diagnose
    from normonnx.report.pages_text import show_diagnosis

    diagnosis = diagnose()
    settings = find(Path.cwd())
    if settings is not None:
        note = f"defaults from {settings}, below the environment and the command line"
        diagnosis = replace(diagnosis, remarks=(*diagnosis.remarks, note))
    show_diagnosis(diagnosis, console_for_people())
    return ExitCode.OK if diagnosis.healthy else ExitCode.INCONCLUSIVE
