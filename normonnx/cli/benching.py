"""``normonnx bench``: how fast models are, one against the other."""

from __future__ import annotations

import sys
from typing import Any

import click
from msgspec.structs import replace

from normonnx.cli.destinations import PIPE, refuse_written
from normonnx.cli.parameters import (
    FILE,
    PROVIDERS,
    custom_operators,
    formatting,
    reading,
    reporting,
    talking,
)
from normonnx.cli.streams import console_for_people, show_as, watching, write_reports
from normonnx.cli.value_types import NumberType, SizeType
from normonnx.errors import ExitCode, UsageError


@click.command()
@click.argument("models", metavar="ORIGINAL OPTIMIZED...", nargs=-1, required=True)
@click.option(
    "--provider",
    "providers",
    type=click.Choice(PROVIDERS),
    multiple=True,
    help="What to run on; repeat for several.  [default: cpu]",
)
@click.option(
    "--level",
    "levels",
    type=click.Choice(("off", "basic", "extended", "all")),
    multiple=True,
    help="Of ONNX Runtime's own optimisations; repeat for several.  [default: all]",
)
@click.option(
    "--threads",
    type=NumberType(0, whole=True),
    multiple=True,
    help="Within an operator, 0 as the runtime likes; repeat for several.  [default: 0]",
)
@click.option(
    "--seconds",
    type=NumberType(0, above=True),
    default=3.0,
    show_default=True,
    help="How long to measure in each setting.",
)
@click.option(
    "--size",
    "sizes",
    type=SizeType(),
    multiple=True,
    metavar="NAME=SIZE",
    help="Size of an open dimension, such as batch=8; repeat for several.",
)
@click.option("--data", type=FILE, metavar="PATH", help="Inputs to use: as for verify.")
@click.option(
    "--seed",
    type=NumberType(0, whole=True),
    default=0,
    show_default=True,
    help="Seed of the generated inputs.",
)
@click.option("--profile", is_flag=True, help="Say where the time goes, before and after.")
@custom_operators
@formatting("json")
@reporting
@reading
@talking
def bench(models: tuple[str, ...], **options: Any) -> ExitCode:
    """Measure how fast models are in ONNX Runtime, against ORIGINAL.

    Runs are interleaved and warmed up. The ratio comes with its 95 % confidence interval; FASTER
    and SLOWER are said only where that leaves no doubt.
    """
    from normonnx import api
    from normonnx.fleet.sources import called
    from normonnx.report.bench_table import show_bench
    from normonnx.report.terminal import show_line

    refuse_written(options["reports"], models)
    if models.count(PIPE) > 1:
        raise UsageError("only one of the models can come from standard input")
    with watching(quiet=options["quiet"]) as watcher:
        result = api.bench(
            *models,
            providers=options["providers"] or ("cpu",),
            levels=options["levels"] or ("all",),
            threads=options["threads"] or (0,),
            seconds=options["seconds"],
            sizes=dict(options["sizes"]),
            data=options["data"],
            seed=options["seed"],
            custom_ops=options["custom_ops"],
            profile=options["profile"],
            allow_data_dir=options["allow_data_dir"],
            allow_hardlinks=options["allow_hardlinks"],
            progress=watcher,
        )
    result = replace(result, command=tuple(sys.argv[1:])).named(*called(models))
    write_reports(options["reports"], result)
    console = console_for_people(options["reports"])
    if show_as(options["form"], result):
        return result.exit_code
    if not options["quiet"]:
        show_bench(result, console)
    show_line(result.line(), console)
    return result.exit_code
