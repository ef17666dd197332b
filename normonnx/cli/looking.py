"""The commands that write no model: verify, inspect, explain, doctor."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from normonnx.cli.destinations import PIPE
from normonnx.cli.parameters import (
    FILE,
    READING,
    UNTRUSTED,
    RuleCodeType,
    asked,
    freezing,
    judging,
    reading,
    reporting,
    rewriting,
    talking,
)
from normonnx.cli.settings import find
from normonnx.cli.streams import console_for_people, tell_github, watching, write_reports
from normonnx.errors import ExitCode, UsageError
from normonnx.rules import RULES

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
    "--sqnr-min", type=float, metavar="DB", help="Least ratio of signal to noise, in decibels."
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
@click.option("--untrusted", is_flag=True, help=UNTRUSTED)
@reporting
@reading
@talking
def verify(original: str, optimized: str, **options: Any) -> ExitCode:
    """Judge whether OPTIMIZED still computes what ORIGINAL computes."""
    from normonnx import api
    from normonnx.report import Verification
    from normonnx.report.terminal import show_line, show_verification

    if original == optimized == PIPE:
        raise UsageError("only one of the models can come from standard input")
    start = time.perf_counter()
    with watching(quiet=options["quiet"]) as watcher:
        verdict = api.verify(
            original,
            optimized,
            providers=options["providers"] or ("cpu",),
            seed=options["seed"],
            custom_ops=options["custom_ops"],
            data=options["data"],
            rtol=options["rtol"],
            atol=options["atol"],
            **{name: options[name] for name in (*JUDGING, *READING)},
            progress=watcher,
        )
    names = [Path(name).name or name for name in (original, optimized)]
    seconds = time.perf_counter() - start
    result = Verification(names[0], names[1], verdict, seconds, tuple(sys.argv[1:]))
    write_reports(options["reports"], result)
    console = console_for_people(options["reports"])
    tell_github(result, console.file)
    if options["quiet"]:
        show_line(result.line(), console)
    else:
        show_verification(result, console, verbosity=options["verbose"])
    return result.exit_code


@click.command()
@click.argument("model", metavar="MODEL")
@rewriting
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="How to print it.",
)
@reporting
@reading
@talking
def inspect(model: str, **options: Any) -> ExitCode:
    """List every normalisation: what would happen, or why not.

    For what stays, the fact that is in the way and what could be done about it. Large weights in
    data files are not read.
    """
    from normonnx import api
    from normonnx.report import render_json
    from normonnx.report.terminal import show_inspection, show_line

    result = api.inspect(model, options=asked(options))
    write_reports(options["reports"], result)
    if options["form"] == "json":
        click.echo(render_json(result), nl=False)
        return ExitCode.OK
    console = console_for_people(options["reports"])
    if options["quiet"]:
        show_line(result.line(), console)
    else:
        show_inspection(result, console, verbosity=options["verbose"])
    return ExitCode.OK


@click.command()
@click.argument("code", type=RuleCodeType(), metavar="[CODE]", required=False)
@click.argument("model", metavar="[MODEL]", required=False)
@rewriting
@reading
def explain(code: str | None, model: str | None, **options: Any) -> ExitCode:
    """Show a rule: picture, equation, conditions.

    With a MODEL, also where the rule fires in it, and where it nearly does. Without a CODE, list
    the rules.
    """
    from normonnx.report.terminal import show_inspection, show_rule, show_rules

    console = console_for_people()
    if code is None:
        show_rules(RULES.values(), console)
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
    from normonnx.report.terminal import show_diagnosis

    diagnosis = diagnose()
    settings = find(Path.cwd())
    if settings is not None:
        note = f"defaults from {settings}, below the environment and the command line"
        diagnosis = replace(diagnosis, remarks=(*diagnosis.remarks, note))
    show_diagnosis(diagnosis, console_for_people())
    return ExitCode.OK if diagnosis.healthy else ExitCode.INCONCLUSIVE
