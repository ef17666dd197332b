"""``normonnx run``: a model once, with the library registered where it needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from normonnx.cli.parameters import (
    FILE,
    PROVIDERS,
    READING,
    custom_operators,
    reading,
)
from normonnx.cli.streams import console_for_people, console_on
from normonnx.errors import ExitCode, UsageError


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="cpu",
    show_default=True,
    help="What to run on.",
)
@click.option("--data", type=FILE, metavar="PATH", help="Inputs to use: as for verify.")
@click.option(
    "--save-outputs",
    type=FILE,
    metavar="PATH",
    help="Write inputs and outputs: an .npz, or a directory in the layout of ONNX's tests.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the inputs."
)
@custom_operators
@reading
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def run(model: str, save_outputs: Path | None, *, quiet: bool, **options: Any) -> ExitCode:
    """Run MODEL once, and show its outputs.

    The library of custom operators is registered where the model has operators of normonnx.
    Without --data, inputs are generated as `verify` does. What --save-outputs writes, --data reads.
    """
    from normonnx import running
    from normonnx.feeds import datasets
    from normonnx.report.run_table import show_runs

    if save_outputs is not None and str(save_outputs) in ("-", "", "."):
        raise UsageError(
            f"outputs cannot be saved to {str(save_outputs)!r}",
            hint="--save-outputs FILE.npz, or a directory",
        )
    asked = {name: options[name] for name in ("provider", "data", "seed", "custom_ops", *READING)}
    found = running.run(model, **asked)
    if save_outputs is not None and datasets.is_archive(save_outputs) and len(found.runs) > 1:
        raise UsageError(
            f"{len(found.runs)} sets of inputs do not fit into {save_outputs.name}",
            hint="give a directory: each becomes a test_data_set",
        )
    if not quiet:
        show_runs(found, console_for_people())
    if save_outputs is not None:
        for number, one in enumerate(found.runs):
            written = datasets.save(save_outputs, one.inputs, one.outputs, number=number)
            console_on(sys.stderr).print(f"written to {written}", soft_wrap=True)
    return ExitCode.OK
