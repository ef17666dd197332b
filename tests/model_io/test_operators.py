"""A node must have what its operator needs; what onnx does not know is taken as it is."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, helper
from small_models import constant_function, model, weight

from normonnx import model_io
from normonnx.errors import InvalidModelError


def with_node(node: NodeProto) -> ModelProto:
    proto = model(weight())
    proto.graph.node.append(node)
    return proto


def in_function(node: NodeProto) -> ModelProto:
    function = constant_function(weight())
    function.node.append(node)
    return model(weight(), functions=(function,))


def in_branch(node: NodeProto) -> ModelProto:
    inner = helper.make_graph(
        [node, helper.make_node("Identity", ["x"], ["t"])],
        "inner",
        [],
        [helper.make_tensor_value_info("t", 1, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["e"])],
        "other",
        [],
        [helper.make_tensor_value_info("e", 1, None)],
    )
    flag = helper.make_node("Constant", [], ["flag"], value_int=1)
    node = helper.make_node("If", ["flag"], ["z"], then_branch=inner, else_branch=other)
    proto = model(weight())
    proto.graph.node.extend([flag, node])
    return proto


MALFORMED = {
    "too few inputs": (helper.make_node("Conv", ["x"], ["o"]), "has 1 inputs.* takes 2 to 3"),
    "too many inputs": (helper.make_node("Relu", ["x", "x"], ["o"]), "has 2 inputs.* takes 1"),
    "none of many": (helper.make_node("Concat", [], ["o"], axis=0), "takes 1 or more"),
    "too many outputs": (helper.make_node("Relu", ["x"], ["o", "p"]), "has 2 outputs"),
    "input left out": (helper.make_node("Sub", ["", "x"], ["o"]), "leaves out an input"),
    "output left out": (helper.make_node("Relu", ["x"], [""]), "leaves out an output"),
    "attribute missing": (helper.make_node("Concat", ["x"], ["o"]), "lacks the attribute 'axis'"),
    "attribute of another type": (
        helper.make_node("Softmax", ["x"], ["o"], axis="last"),
        "'axis' of type STRING instead of INT",
    ),
}


@pytest.mark.parametrize("place", [with_node, in_function, in_branch])
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_node_is_refused(case: str, place: Callable[[NodeProto], ModelProto]) -> None:
    node, sentence = MALFORMED[case]
    if place is in_function:
        renamed = NodeProto()
        renamed.CopyFrom(node)
        renamed.input[:] = [name and "a" for name in node.input]
        node = renamed
    with pytest.raises(InvalidModelError, match=sentence):
        model_io.load(place(node))


WELL_FORMED = {
    "optional input left out": helper.make_node("Clip", ["x", "", "x"], ["o"]),
    "optional output left out": helper.make_node("Dropout", ["x"], ["o", ""]),
    "unknown operator": helper.make_node("Nothing", [], ["o"], domain="own"),
    "operator of ONNX Runtime": helper.make_node("ScaledTanh", ["x"], ["o"]),
    "domain of somebody": helper.make_node("Conv", [], ["o"], domain="own"),
    "attribute of somebody": helper.make_node("Relu", ["x"], ["o"], note="mine"),
    "any number of inputs": helper.make_node("Sum", ["x"] * 40, ["o"]),
}


@pytest.mark.parametrize("case", WELL_FORMED)
def test_well_formed_node_is_taken(case: str) -> None:
    assert model_io.load(with_node(WELL_FORMED[case])).model.graph


@pytest.mark.parametrize("kind", ["TENSOR", "GRAPH", "TYPE_PROTO"])
def test_an_attribute_that_holds_nothing_is_refused(kind: str) -> None:
    empty = AttributeProto(name="note", type=AttributeProto.AttributeType.Value(kind))
    node = NodeProto(op_type="Nothing", domain="own", output=["o"], attribute=[empty])
    for place in (with_node, in_function, in_branch):
        with pytest.raises(InvalidModelError, match=f"'note' is a {kind} and holds none"):
            model_io.load(place(node))
    empty.ref_attr_name = "which"
    node = NodeProto(op_type="Nothing", domain="own", output=["o"], attribute=[empty])
    function = constant_function(weight())
    function.node.append(node)
    function.attribute.append("which")
    assert model_io.load(model(weight(), functions=(function,))).model.functions


@pytest.mark.parametrize("place", [with_node, in_function, in_branch])
def test_an_operator_that_the_opset_lacks_is_refused(
    place: Callable[[NodeProto], ModelProto],
) -> None:
    with pytest.raises(InvalidModelError, match="ONNX has no operator of that name"):
        model_io.load(place(helper.make_node("Nothing", ["x"], ["o"])))
    proto = with_node(helper.make_node("Gelu", ["x"], ["o"]))
    proto.opset_import[0].version = 19
    with pytest.raises(InvalidModelError, match="needs opset 20, and the model declares opset 19"):
        model_io.load(proto)
    proto.opset_import[0].version = 20
    assert model_io.load(proto).model.graph


def test_a_function_of_the_model_may_have_any_name() -> None:
    function = constant_function(weight())
    function.domain, function.name = "", "Nothing"
    proto = with_node(helper.make_node("Nothing", [], ["o"]))
    proto.functions.append(function)
    assert model_io.load(proto).model.functions


def test_the_opset_decides() -> None:
    """Axes of a Squeeze were an attribute, and are an input."""
    node = helper.make_node("Squeeze", ["x"], ["o"], axes=[0])
    proto = with_node(node)
    proto.opset_import[0].version = 11
    assert model_io.load(proto).model.graph
    node = helper.make_node("Unsqueeze", ["x"], ["o"], axes=[0])
    with pytest.raises(InvalidModelError, match="has 1 inputs"):
        model_io.load(with_node(node))


def test_references_to_attributes_of_the_function_are_taken() -> None:
    reference = AttributeProto(name="axis", ref_attr_name="which", type=AttributeProto.INT)
    node = NodeProto(op_type="Softmax", input=["a"], output=["o"], attribute=[reference])
    function = constant_function(weight())
    function.node.append(node)
    function.attribute.append("which")
    assert onnx.defs.has("Softmax")
    assert model_io.load(model(weight(), functions=(function,))).model.functions
