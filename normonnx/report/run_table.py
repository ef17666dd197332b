"""What a model made of its inputs, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from normonnx.report.layout import duration, print_columns
from normonnx.report.names import safe_name

if TYPE_CHECKING:
    from normonnx.running import Ran, Runs

_COLUMNS = ("", "name", "type", "shape", "least", "mean", "largest")
_FEW = 4


def show_runs(found: Runs, console: Console, *, quiet: bool = False) -> None:
    """Each run with its inputs and outputs, and the line for scripts, which alone is not quiet."""
    for one in () if quiet else found.runs:
        sizes = "".join(f", {safe_name(name)} = {size}" for name, size in one.sizes.items())
        console.print(Text(f"inputs: {safe_name(one.title)}{sizes}"), soft_wrap=True)
        rows = [*_rows("in", one.inputs), *_rows("out", one.outputs)]
        cells = [[Text(cell) for cell in row] for row in (_COLUMNS, *rows)]
        print_columns(cells, console)
    console.print(Text(_line(found)), soft_wrap=True)


def _line(found: Runs) -> str:
    count = len(found.runs)
    parts = [
        f"{safe_name(found.name)}, {count} run{'' if count == 1 else 's'}",
        found.provider,
        found.kernels,
        duration(_fastest(found.runs)),
    ]
    return "normonnx: RAN " + " · ".join(part for part in parts if part)


def _fastest(runs: tuple[Ran, ...]) -> float:
    return min(one.seconds for one in runs)


def _rows(side: str, values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        if isinstance(value, list):
            yield (side, safe_name(name), f"sequence of {len(value)}", "", "", "", "")
            for index, item in enumerate(value[:_FEW]):
                yield _row("", f"{name}[{index}]", item)
        else:
            yield _row(side, name, value)


def _row(side: str, name: str, value: Any) -> tuple[str, ...]:
    array = np.asarray(value)
    text = array.dtype.kind in "OU"
    head = (side, safe_name(name), "string" if text else array.dtype.name, str(list(array.shape)))
    if value is None or text or not array.size or array.dtype.kind == "b":
        return (*head, "", "", "")
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if array.dtype.kind == "c":
        return (*head, "", f"{wide.mean():.6g}", "")
    return (*head, *(f"{number:.6g}" for number in (wide.min(), wide.mean(), wide.max())))
