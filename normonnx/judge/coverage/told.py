"""What no feed reached, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normonnx.judge.coverage.bounds import Bound
from normonnx.judge.coverage.changed import Selection
from normonnx.judge.coverage.record import Record
from normonnx.judge.coverage.settings import Setting
from normonnx.judge.coverage.tables import Table
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

_MOST_NAMED = 4


def sentences(
    left: Sequence[tuple[Table, Array]],
    untaken: Sequence[Selection],
    hidden: Sequence[Setting],
    bounds: Sequence[Bound],
    record: Record,
) -> list[str]:
    """A sentence for each table and branch, the last with what can be done.

    Args:
        left: the tables, with the numbers that no feed reached.
        untaken: the branches that no feed took.
        hidden: nodes of which no feed shows that attributes differ.
        bounds: numbers that no size was above.
        record: what the feeds reached.
    """
    found = []
    for selection in untaken:
        verb = "picks" if onnx_name(selection.node) == "Where" else "takes"
        found.append(f"no feed {verb} {selection}, which is not the original's")
    found += [
        f"no feed reaches {_part(table, missing, record)}, which the original does not have"
        for table, missing in left
    ]
    found += [f"no feed shows that {setting} differ from the original's" for setting in hidden]
    found += [f"no feed has a size above the {bound}" for bound in bounds]
    return [*found[:-1], *(f"{last}: give --data that does" for last in found[-1:])]


def _part(table: Table, missing: Array, record: Record) -> str:
    """What is missing of a table: rows, where it is looked up by rows, or elements."""
    name = f"'{table.value.name}'"
    axis = next((k.axis for (one, _), k in record.lookups.items() if one is table), table.axis)
    if axis is None and (missing.all() or table.labels.ndim != 1):
        return name
    numbers = np.flatnonzero(missing)
    if axis is not None and table.axis != axis:
        numbers = np.unique(np.nonzero(missing[table.labels])[axis])
    what = "element" if axis is None else "row"
    named = ", ".join(map(str, numbers[:_MOST_NAMED].tolist()))
    more = numbers.size - _MOST_NAMED
    plural = "" if numbers.size == 1 else "s"
    return f"{what}{plural} {named}{f' and {more:,} more' if more > 0 else ''} of {name}"
