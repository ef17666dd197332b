"""``normonnx run``: a model once, with the library registered where it needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from normonnx.cli.parameters import (
    FILE,
    PROVIDERS,
    READING,
    custom_operators,
    reading,
    talking,
)
from normonnx.cli.streams import console_for_people, tell_place
from normonnx.cli.value_types import NumberType
from normonnx.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from normonnx.running import Runs


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
    "--seed",
    type=NumberType(0, whole=True),
    default=0,
    show_default=True,
    help="Seed of the generated inputs.",
)
@custom_operators
@reading
@talking
def run(model: str, save_outputs: Path | None, *, quiet: bool, **options: Any) -> ExitCode:
    """Run MODEL once, and show its outputs.

    The library of custom operators is registered where the model has operators of normonnx.
    Without --data, inputs are generated as `verify` does. What --save-outputs writes, --data reads.
    """
    from normonnx import running
    from normonnx.report.run_table import show_runs

    if save_outputs is not None and str(save_outputs) in ("-", "", "."):
        raise UsageError(
            f"outputs cannot be saved to {str(save_outputs)!r}",
            hint="--save-outputs FILE.npz, or a directory",
        )
    asked = {name: options[name] for name in ("provider", "data", "seed", "custom_ops", *READING)}
    found = running.run(model, **asked)
    show_runs(found, console_for_people(), quiet=quiet)
    if save_outputs is not None:
        save_runs(found, save_outputs)
    return ExitCode.OK


def save_runs(found: Runs, path: Path) -> None:
    """Write inputs and outputs of each run, and say so.

    Raises:
        UsageError: they do not fit there.
        WriteError: the system refuses.
    """
    from normonnx.feeds import datasets

    if datasets.is_archive(path) and len(found.runs) > 1:
        raise UsageError(
            f"{len(found.runs)} sets of inputs do not fit into {path.name}",
            hint="give a directory: each becomes a test_data_set",
        )
    for number, one in enumerate(found.runs):
        tell_place(datasets.save(path, one.inputs, one.outputs, number=number))
