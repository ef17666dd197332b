"""Texts, and tables and trees in attributes of ai.onnx.ml: what no drawn feed reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.judge.building import Array, graph_model, judge, replace_weight

RANDOM = np.random.default_rng(5)
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def learned(
    op_type: str, read: tuple[int, list[Any]], made: tuple[int, list[Any]], **attributes: Any
) -> onnx.ModelProto:
    """A model of one operator of ai.onnx.ml."""
    node = helper.make_node(op_type, ["x"], ["y"], name="node", domain="ai.onnx.ml", **attributes)
    x, y = (helper.make_tensor_value_info(n, *k) for n, k in (("x", read), ("y", made)))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "g", [x], [y])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def with_entry(model: onnx.ModelProto, name: str, index: int, value: Any) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        for attribute in node.attribute:
            if attribute.name == name:
                values = attribute.ints or attribute.floats or attribute.strings
                values[index] = value
    return changed


def test_an_entry_of_an_encoder_is_reached() -> None:
    model = learned(
        "LabelEncoder",
        (INT64, ["N"]),
        (STRING, ["N"]),
        keys_int64s=list(range(1000, 1100)),
        values_strings=[f"s{i}" for i in range(100)],
        default_string="unknown",
    )
    assert judge(model, with_entry(model, "values_strings", 77, b"zz")).status == "fail"
    assert judge(model, with_entry(model, "keys_int64s", 3, 5000)).status == "fail"


def test_an_entry_of_an_encoder_of_texts_is_reached() -> None:
    keys = [f"word {i}" for i in range(50)]
    model = learned(
        "LabelEncoder",
        (STRING, ["N"]),
        (INT64, ["N"]),
        keys_strings=keys,
        values_int64s=list(range(50)),
        default_int64=-1,
    )
    assert judge(model, with_entry(model, "values_int64s", 31, 9)).status == "fail"
    assert judge(model, with_entry(model, "keys_strings", 31, b"word")).status == "fail"
    other = onnx.ModelProto()
    other.CopyFrom(model)
    next(a for a in other.graph.node[0].attribute if a.name == "default_int64").i = -7
    assert judge(model, other).status == "fail"


def test_a_category_is_reached() -> None:
    cats = [10, 20, 30, 40, 50]
    model = learned("OneHotEncoder", (INT64, ["N"]), (FLOAT, ["N", 5]), cats_int64s=cats, zeros=1)
    assert judge(model, with_entry(model, "cats_int64s", 4, 60)).status == "fail"


def tree(depth: int = 7, features: int = 4) -> onnx.ModelProto:
    """A full tree whose leaves are seldom reached by chance."""
    inner = 2**depth - 1
    count = 2 * inner + 1
    numbers = list(range(count))
    return learned(
        "TreeEnsembleRegressor",
        (FLOAT, ["N", features]),
        (FLOAT, ["N", 1]),
        n_targets=1,
        nodes_treeids=[0] * count,
        nodes_nodeids=numbers,
        nodes_featureids=[n % features if n < inner else 0 for n in numbers],
        nodes_modes=["BRANCH_LEQ" if n < inner else "LEAF" for n in numbers],
        nodes_values=[float(v) for v in RANDOM.standard_normal(count)],
        nodes_truenodeids=[2 * n + 1 if n < inner else 0 for n in numbers],
        nodes_falsenodeids=[2 * n + 2 if n < inner else 0 for n in numbers],
        nodes_hitrates=[1.0] * count,
        nodes_missing_value_tracks_true=[0] * count,
        target_ids=[0] * (inner + 1),
        target_nodeids=numbers[inner:],
        target_treeids=[0] * (inner + 1),
        target_weights=[float(v) for v in RANDOM.standard_normal(inner + 1)],
    )


def _leaf_of(model: onnx.ModelProto, x: Array) -> int:
    """Where a row ends, counted among the leaves."""
    given = {a.name: list(a.ints) + list(a.floats) for a in model.graph.node[0].attribute}
    node, inner = 0, len(given["nodes_values"]) // 2
    while node < inner:
        below = x[given["nodes_featureids"][node]] <= given["nodes_values"][node]
        node = 2 * node + (1 if below else 2)
    return node - inner


def test_every_leaf_of_a_tree_that_can_be_reached_is() -> None:
    model = tree()
    rows = RANDOM.standard_normal((2000, 4)) * 3
    reached = sorted({_leaf_of(model, row) for row in rows})
    for leaf in (reached[0], reached[len(reached) // 2], reached[-1]):
        other = with_entry(model, "target_weights", leaf, 9.0)
        assert judge(model, other).status == "fail", leaf


def test_a_threshold_moved_by_a_thousandth_is_seen() -> None:
    model = tree(3)
    value = next(a for a in model.graph.node[0].attribute if a.name == "nodes_values").floats[1]
    assert judge(model, with_entry(model, "nodes_values", 1, value + 1e-3)).status == "fail"


def test_a_leaf_that_no_row_reaches_is_named() -> None:
    model = tree(2, 1)
    for index, value in enumerate((0.0, 1.0, -1.0)):
        model = with_entry(model, "nodes_values", index, value)
    # x ≤ 0 and x > 1 is no number
    verdict = judge(model, with_entry(model, "target_weights", 1, 9.0))
    assert verdict.status == "inconclusive"
    assert "no feed shows that target_weights of TreeEnsembleRegressor 'node' differ" in (
        verdict.line()
    )


def texts(*words: str) -> Array:
    return np.array(words, dtype=object)


def test_a_row_of_a_table_of_texts_is_reached() -> None:
    model = graph_model(
        "(int64[N] ids) => (string[N] y) { y = Gather(words, ids) }",
        words=texts(*(f"w{i}" for i in range(300))),
    )
    words = texts(*(f"w{i}" if i != 222 else "other" for i in range(300)))
    assert judge(model, replace_weight(model, "words", words)).status == "fail"


def test_a_text_that_is_compared_with_is_fed() -> None:
    model = graph_model(
        "(string[N] x) => (bool[N] y) { y = Equal(x, word) }", opset=19, word=texts("cat")
    )
    assert judge(model, replace_weight(model, "word", texts("dog"))).status == "fail"


@pytest.mark.parametrize("name", ["scale", "offset"])
def test_what_every_feed_shows_needs_no_choice(name: str) -> None:
    model = learned(
        "Scaler",
        (FLOAT, ["N", 4]),
        (FLOAT, ["N", 4]),
        offset=[0.0, 1.0, 2.0, 3.0],
        scale=[1.0, 2.0, 3.0, 4.0],
    )
    verdict = judge(model, with_entry(model, name, 2, 3.5))
    assert verdict.status == "fail"
    assert not verdict.unseen


def test_texts_among_the_weights_are_none_that_move() -> None:
    text = "(string[N] x) => (string[N] y) { y = StringConcat(x, ending) }"
    model = graph_model(text, opset=20, ending=texts("a"))
    assert judge(model, replace_weight(model, "ending", texts("b"))).status == "fail"
