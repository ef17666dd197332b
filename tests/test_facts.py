"""Facts of a model are counted everywhere in it, and no weight is read for them."""

from __future__ import annotations

import onnx_ir as ir
from onnx import TensorProto, helper

from normonnx.facts import facts_of


def test_counts_reach_subgraphs_and_functions() -> None:
    info = helper.make_tensor_value_info
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [1.0] * 6)
    index = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    then = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["t"])], "then", [], [info("t", TensorProto.FLOAT, None)]
    )
    otherwise = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["e"])],
        "else",
        [],
        [info("e", TensorProto.FLOAT, None)],
        [weight],
    )
    twice = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    graph = helper.make_graph(
        [
            helper.make_node("If", ["c"], ["f"], then_branch=then, else_branch=otherwise),
            helper.make_node("Twice", ["f"], ["y"], domain="own"),
        ],
        "g",
        [info("c", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, [2, 3])],
        [info("y", TensorProto.FLOAT, None)],
        [index],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[twice], ir_version=8)
    facts = facts_of(ir.from_proto(model))
    assert facts.operators == {"Add": 2, "If": 1, "Relu": 1, "own::Twice": 1}
    assert (facts.nodes, facts.opset, facts.ir_version) == (5, 17, 8)
    assert (facts.parameters, facts.nbytes) == (6, 24 + 16)


def test_weights_stay_unread() -> None:
    tensor = ir.ExternalTensor(
        "missing.bin", 0, None, ir.DataType.FLOAT, shape=ir.Shape([3, 5]), name="w"
    )
    value = ir.Value(name="w", const_value=tensor)
    graph = ir.Graph([], [], nodes=[], initializers=[value], opset_imports={"": 17}, name="g")
    facts = facts_of(ir.Model(graph, ir_version=8))
    assert (facts.parameters, facts.nbytes) == (15, 60)
