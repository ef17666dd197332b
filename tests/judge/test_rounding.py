"""What the types of a model promise, wherever they are, and distances of any size."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

import normonnx
from normonnx.judge.tiers import rounding
from normonnx.judge.tiers.declared import declared_types

_SPELLED = (
    ("ReduceMean", ["x"], "m", {"axes": [-1]}),
    ("Sub", ["x", "m"], "d", {}),
    ("Mul", ["d", "d"], "q", {}),
    ("ReduceMean", ["q"], "v", {"axes": [-1]}),
    ("Add", ["v", "eps"], "e", {}),
    ("Sqrt", ["e"], "r", {}),
    ("Div", ["d", "r"], "n", {}),
    ("Mul", ["n", "g"], "y", {}),
)


def in_a_branch() -> onnx.ModelProto:
    """A float16 norm in the body of an If."""
    nodes = [helper.make_node(op, i, [o], **a) for op, i, o, a in _SPELLED]
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [None, 16])]
    then = helper.make_graph(nodes, "then", [], result)
    other = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["z"])],
        "else",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT16, [None, 16])],
    )
    weights = {
        "eps": np.float16(1e-3).reshape(()),
        "g": np.linspace(0.5, 2, 16).astype(np.float16),
    }
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["out"], then_branch=then, else_branch=other)],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["N", 16]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT16, ["N", 16])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_values_within_graphs_have_types() -> None:
    model = ir.from_proto(in_a_branch())
    known = declared_types(model)
    (node,) = model.graph
    assert known[node.outputs[0]] == np.float16
    body = node.attributes["then_branch"].as_graph()
    assert all(known[value] == np.float16 for inner in body for value in inner.outputs)


@pytest.mark.parametrize("target", ["onnx", "normonnx"])
def test_a_half_precision_norm_in_a_branch_is_no_error(target: str) -> None:
    """ONNX Runtime computes the body in float32 here and there: its types promise no more."""
    result = normonnx.optimize(in_a_branch(), target=target)
    assert result.passed
    assert not result.report.reverted
    assert len(result.report.rewrites) == 1


def test_distances_of_any_size_can_be_pooled() -> None:
    metrics = rounding.Metrics
    huge = dict.fromkeys(metrics.__struct_fields__, 0.0)
    huge |= {"rms_original": 1e200, "max_original": 1e200, "rms_optimized": 1e200, "ulp": 1e-20}
    huge |= {"elements": 4, "comparable": 1.0, "max_optimized": 1e200}
    one = metrics(**huge)
    pooled = rounding.pooled_distance([one, one], [rounding.NOTHING, rounding.NOTHING])
    assert pooled == pytest.approx(1e220)
    found = rounding.excess(one, pooled, double=False)
    assert 0 < found.rms <= 1
    assert 0 < found.largest <= 1
