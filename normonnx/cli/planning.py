"""``normonnx apply``: the rewrites of a reviewed plan, on a new checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from normonnx.cli.destinations import destinations, refuse_written
from normonnx.cli.optimizing import carry_out
from normonnx.cli.parameters import (
    FILE,
    UNTRUSTED,
    asked,
    formatting,
    judging,
    reading,
    reporting,
    talking,
)
from normonnx.errors import ExitCode, UsageError


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN")
@click.argument("model", metavar="MODEL")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write the result, - for standard output.  [default: <name>.optimized.onnx]",
)
@click.option("--in-place", is_flag=True, help="Write the result over the model itself.")
@click.option("--partial", is_flag=True, help="Make what still fits, where not all of it does.")
@click.option("--no-verify", is_flag=True, help="Do not judge the result.")
@judging
@click.option("--dry-run", is_flag=True, help="Do everything, list the rewrites, write nothing.")
@click.option("--untrusted", is_flag=True, help=UNTRUSTED)
@formatting("json", "github")
@reporting
@reading
@talking
def apply(plan: Path, model: str, **options: Any) -> ExitCode:
    """Make the rewrites of a PLAN on MODEL, and no others.

    `normonnx optimize --plan PATH` writes a plan; it is a file to read and to shorten. MODEL is
    another checkpoint of the same architecture. What of the plan no longer fits is named, and then
    nothing is written unless --partial says so.
    """
    from normonnx.fleet import Task
    from normonnx.fleet.sources import models_among
    from normonnx.plan import Plan

    reviewed = Plan.load(plan)
    place = (
        None
        if options["dry_run"]
        else destinations(
            models_among([model]), options["output"], None, in_place=options["in_place"]
        )[0]
    )
    task = Task(
        model,
        place,
        asked(options, verify=not options["no_verify"]),
        plan=reviewed,
        partial=options["partial"],
    )
    refuse_written(options["reports"], [model, str(plan)], [place])
    if place is not None and place.resolve() == Path(plan).resolve():
        raise UsageError(f"the result would overwrite the plan {str(plan)!r}", hint="use -o FILE")
    run = carry_out([task], {**options, "jobs": 1, "check": False, "diff": False})
    return run.exit_code
