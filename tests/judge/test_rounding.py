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
from normonnx.judge.tiers.magnitudes import Distance, Level

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
    huge = Distance(1e200, 1e200)
    levels = [Level(size, 4, 16.0**size, huge, huge) for size in (200, 199)]
    found = rounding.Rule([levels, levels], dtype=np.dtype(np.float64)).excess(levels)
    assert 0 < found.rms <= 1
    assert 0 < found.largest <= 1


def test_what_is_promised_counts_sixteen_times_what_is_seen() -> None:
    level = Level(0, 1000, 1.0, Distance(1e-6, 3e-6), Distance(1e-3, 3e-3))
    far = {0: Distance(1.0, 3.0)}
    rule = rounding.Rule([[level]], dtype=np.dtype(np.float32))
    promised = rule.excess([level], rounding.Allowance(promised=far))
    assert promised.rms == pytest.approx(1e-3 / 16e-6, rel=0.01)
    # What was seen counts as it is.
    assert rule.excess([level], rounding.Allowance(seen=far)).worst < 1


def test_what_was_seen_says_which_levels_belong_together() -> None:
    """Without a truth, a lone element that is small by cancellation is judged with its like."""
    still = Distance()
    large = Level(0, 700, 6.0, still, Distance(8e-7, 3e-6))
    lone = Level(-4, 1, 1.2e-5, still, Distance(2e-7, 2e-7))
    seen = rounding.Allowance(seen={0: Distance(1e-6, 3e-6)})
    rule = rounding.Rule([[large, lone]], [seen], dtype=np.dtype(np.float32))
    assert rule.excess([large, lone], seen).worst < 1


@pytest.mark.parametrize(
    ("count", "times", "fails"),
    [(7, 2.3, False), (7, 4.5, True), (10, 2.7, False), (100, 2.3, True), (100, 1.9, False)],
)
def test_few_elements_may_part_more_by_chance(count: int, times: float, fails: bool) -> None:
    own = Distance(1e-5, 2e-5)
    level = Level(0, count, 1.0, own, own.times(times))
    excess = rounding.Rule([[level]], dtype=np.dtype(np.float32)).excess([level])
    assert (excess.worst > 1) is fails


def test_the_limit_of_few_elements_is_what_chance_does() -> None:
    """Of two equally good models fewer than five in a thousand are beyond it."""
    random = np.random.default_rng(0)
    for count in (8, 16, 64):
        runs = np.sqrt(np.mean(random.standard_normal((2, 20_000, count)) ** 2, axis=-1))
        beyond = runs[0] > 2 * (1 + 4 / count) * runs[1]
        assert beyond.mean() < 5e-3


def test_a_lone_element_that_cancels_is_judged_with_others_of_its_output() -> None:
    far, lucky = Distance(2e-7, 3e-7), Distance(7e-10, 7e-10)
    found = [Level(-1, 36, 1.0, far, far), Level(-2, 3, 0.03, far, far)]
    lone = Level(-4, 1, 2e-4, lucky, Distance(1.2e-7, 1.2e-7))
    rule = rounding.Rule([[*found, lone]], dtype=np.dtype(np.float32))
    assert rule.excess([*found, lone]).worst < 1
