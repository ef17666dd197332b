"""Rows of tables that no index can name, by what indices are made of, do not matter."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge import Judge
from tests.judge.building import graph_model, replace_weight
from tests.judge.test_far_places import masked


def test_places_behind_a_fixed_size_do_not_matter() -> None:
    model, mask = masked("cut at once", 64)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 32
    judge = Judge(ir.from_proto(model))
    for row, status in ((20, "fail"), (63, "pass")):
        wrong = mask.copy()
        wrong[row, 0] = -1e9
        verdict = judge.judge(ir.from_proto(replace_weight(model, "mask", wrong)))
        assert verdict.status == status, verdict.first_failure


LOOKED_UP = """(int64[n] ids) => (float[n, 16] y) {{
    {index}
    y = Gather(table, i)
}}"""


@pytest.mark.parametrize(
    ("index", "row", "status"),
    [
        ("i = Clip(ids, zero, nine)", 10, "pass"),
        ("i = Clip(ids, zero, nine)", 9, "fail"),
        ("i = Clip(ids, minus, nine)", 30, "pass"),
        ("i = Min(nine, ids)", 10, "inconclusive"),  # −30 is row 10, which nobody feeds
        ("c = Clip(ids, zero, nine) i = Add(c, five)", 15, "pass"),
        ("c = Clip(ids, zero, nine) i = Add(c, five)", 4, "pass"),
        ("c = Clip(ids, zero, nine) i = Add(c, five)", 14, "fail"),
        ("i = Mod(ids, nine)", 9, "pass"),
        ("i = Mod(ids, nine)", 8, "fail"),
    ],
)
def test_rows_that_no_index_can_name_do_not_matter(index: str, row: int, status: str) -> None:
    numbers = {"zero": 0, "nine": 9, "minus": -1, "five": 5}
    read = {name: np.int64(n) for name, n in numbers.items() if name in index}
    table = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
    model = graph_model(LOOKED_UP.format(index=index), table=table, **read)
    wrong = table.copy()
    wrong[row] *= 2
    other = replace_weight(model, "table", wrong)
    verdict = Judge(ir.from_proto(model)).judge(ir.from_proto(other))
    assert verdict.status == status, verdict.first_failure


@pytest.mark.parametrize(("row", "status"), [(20, "pass"), (11, "fail")])
def test_rows_behind_the_end_of_a_range_do_not_matter(row: int, status: str) -> None:
    text = """(float[n, 12, 16] x) => (float[n, 12, 16] y) {
        shape = Shape(x)
        length = Gather(shape, one)
        places = Range(zero, length, one)
        p = Gather(table, places)
        y = Add(x, p)
    }"""
    table = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
    model = graph_model(text, table=table, zero=np.int64(0), one=np.int64(1))
    wrong = table.copy()
    wrong[row] *= 2
    verdict = Judge(ir.from_proto(model)).judge(
        ir.from_proto(replace_weight(model, "table", wrong))
    )
    assert verdict.status == status, verdict.first_failure
