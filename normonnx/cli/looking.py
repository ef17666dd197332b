"""``normonnx verify`` and ``normonnx doctor``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from normonnx.cli.destinations import PIPE, refuse_written
from normonnx.cli.parameters import (
    FILE,
    READING,
    UNTRUSTED,
    formatting,
    freezing,
    judging,
    reading,
    reporting,
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
from normonnx.cli.value_types import NumberType
from normonnx.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from normonnx.judge import Verdict

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
