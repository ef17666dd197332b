"""Whether an output notices elements of a constant: they are made NaN, or others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.feeds.source import Feed
from normonnx.judge.comparison import flattened
from normonnx.judge.coverage.tables import Table
from normonnx.operators.kernels import Array
from normonnx.oracle.execution import OracleFailedError
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.promotion import is_float, promote

_NO_TEXT = "no text of the model's"


def is_noticed(
    model: ir.Model,
    table: Table,
    wanted: Array,
    feed: Feed,
    outputs: Mapping[str, Any],
    deadline: float,
) -> bool:
    """Evaluate the model with other elements in a table.

    Args:
        model: the model.
        table: the constant.
        wanted: the numbers of the elements to change, as truth values.
        feed: on what.
        outputs: what the model makes of it as it is.
        deadline: when to give up, on the clock of `time.monotonic`.

    Raises:
        OverBudgetError: if the deadline passes.
        LacksOperatorError: if there is an operator that nothing here computes.
    """
    changed = _disturbed(table, wanted)
    try:
        made = Oracle(model, exact={str(table.value.name): changed}).run(
            feed.inputs, deadline=deadline
        )
    except OracleFailedError:
        return True  # as an index or a size that is none
    before, after = flattened(outputs), flattened(made.outputs)
    return not all(_equal(before[name], after[name]) for name in before)


def _disturbed(table: Table, wanted: Array) -> Array:
    array = np.array(promote(np.asarray(table.tensor.numpy())))
    places = wanted[table.labels]
    if is_float(array):
        array[places] = np.nan
    elif array.dtype.kind in "OSU":
        array = array.astype(object)
        array[places] = _NO_TEXT
    elif array.dtype == bool:
        array[places] = ~array[places]
    else:
        array[places] += array.dtype.type(1)
    return array


def _equal(before: Any, after: Any) -> bool:
    one, other = np.asarray(before), np.asarray(after)
    return one.shape == other.shape and bool(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    )
