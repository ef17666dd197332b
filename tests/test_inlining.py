"""Functions in the place of their calls, with the attributes of each call bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import normonnx
from normonnx.inlining import inline_functions

OPSET = 17


def function(
    name: str,
    inputs: list[str],
    outputs: list[str],
    nodes: list[onnx.NodeProto],
    *,
    attributes: list[str] | None = None,
    defaults: list[onnx.AttributeProto] | None = None,
    opset: int = OPSET,
) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_function(
        "local", name, inputs, outputs, nodes, imports, attributes or [], defaults or []
    )


def model(
    nodes: list[onnx.NodeProto],
    functions: list[onnx.FunctionProto],
    shape: list[int | str],
    **weights: np.ndarray,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(shape))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8)


def referring(node: onnx.NodeProto, name: str, kind: int, to: str) -> onnx.NodeProto:
    """The node, with an attribute that is the function's."""
    node.attribute.append(onnx.AttributeProto(name=name, type=kind, ref_attr_name=to))
    return node


def ran(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


def check(proto: onnx.ModelProto, x: np.ndarray, *, left: int = 0) -> ir.Model:
    made = ir.from_proto(proto)
    inline_functions(made)
    assert len(made.functions) == left
    inlined = ir.to_proto(made)
    onnx.checker.check_model(inlined, full_check=True)
    np.testing.assert_array_equal(ran(inlined, x), ran(proto, x))
    return made


def conv_bn() -> onnx.ModelProto:
    """A Conv whose pads are the call's, in a function with a BatchNormalization behind it."""
    random = np.random.default_rng(0)
    conv = helper.make_node("Conv", ["x", "w"], ["c"], name="conv")
    body = [
        referring(conv, "pads", onnx.AttributeProto.INTS, "around"),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["y"], name="bn"),
    ]
    f = function("Block", ["x", "w", "s", "b", "m", "v"], ["y"], body, attributes=["around"])
    weights = {name: random.random(4).astype(np.float32) + 0.5 for name in "sbmv"}
    nodes = [
        helper.make_node(
            "Block", ["x", "w", *"sbmv"], ["h"], domain="local", name="first", around=[1, 1, 1, 1]
        ),
        helper.make_node(
            "Block", ["h", "w", *"sbmv"], ["y"], domain="local", name="second", around=[0, 0, 0, 0]
        ),
    ]
    kernel = random.standard_normal((4, 4, 3, 3)).astype(np.float32)
    return model(nodes, [f], ["N", 4, 6, 6], w=kernel, **weights)


X4 = np.random.default_rng(1).standard_normal((2, 4, 6, 6)).astype(np.float32)
X2 = np.random.default_rng(2).standard_normal((3, 8)).astype(np.float32)


def test_attributes_of_each_call_are_bound() -> None:
    made = check(conv_bn(), X4)
    pads = [n.attributes["pads"].as_ints() for n in made.graph if n.op_type == "Conv"]
    assert [list(p) for p in pads] == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert all(str(node.name).startswith("Block/") for node in made.graph)


def test_a_fold_in_a_function_is_right() -> None:
    result = normonnx.optimize(conv_bn())
    assert result.passed
    assert [node.op_type for node in result.model.graph] == ["Conv", "Conv"]
    assert "1 function inlined" in result.report.notes


def test_a_norm_in_a_function_is_fused() -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["m"])
    square = helper.make_node("ReduceMean", ["q"], ["v"])
    body = [
        referring(mean, "axes", onnx.AttributeProto.INTS, "over"),
        helper.make_node("Sub", ["x", "m"], ["d"]),
        helper.make_node("Mul", ["d", "d"], ["q"]),
        referring(square, "axes", onnx.AttributeProto.INTS, "over"),
        helper.make_node("Add", ["v", "eps"], ["e"]),
        helper.make_node("Sqrt", ["e"], ["r"]),
        helper.make_node("Div", ["d", "r"], ["y"]),
    ]
    f = function("Norm", ["x", "eps"], ["y"], body, attributes=["over"])
    nodes = [helper.make_node("Norm", ["x", "eps"], ["y"], domain="local", over=[-1])]
    proto = model(nodes, [f], ["N", 8], eps=np.float32(1e-5).reshape(()))
    check(proto, X2)
    result = normonnx.optimize(proto)
    assert result.passed
    assert [node.op_type for node in result.model.graph] == ["LayerNormalization"]


def test_defaults_and_omitted_inputs() -> None:
    leaky = helper.make_node("LeakyRelu", ["x"], ["t"])
    body = [
        referring(leaky, "alpha", onnx.AttributeProto.FLOAT, "slope"),
        helper.make_node("Clip", ["t", "low", "high"], ["y"]),
    ]
    f = function(
        "Act", ["x", "low", "high"], ["y"], body, defaults=[helper.make_attribute("slope", 0.5)]
    )
    nodes = [
        helper.make_node("Act", ["x", "", "top"], ["h"], domain="local"),
        helper.make_node("Act", ["h"], ["y"], domain="local", slope=0.25),
    ]
    check(model(nodes, [f], ["N", 8], top=np.float32(0.75).reshape(())), X2)


def test_functions_that_call_functions_and_names_that_clash() -> None:
    inner = function("Inner", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"], name="neg")])
    outer = function(
        "Outer",
        ["x"],
        ["y"],
        [
            helper.make_node("Inner", ["x"], ["h"], domain="local"),
            helper.make_node("Inner", ["h"], ["k"], domain="local"),
            helper.make_node("Mul", ["k", "h"], ["y"]),
        ],
    )
    nodes = [
        helper.make_node("Outer", ["x"], ["h"], domain="local"),
        helper.make_node("Outer", ["h"], ["k"], domain="local"),
        helper.make_node("Add", ["k", "h"], ["y"]),
    ]
    check(model(nodes, [inner, outer], ["N", 8]), X2)


def test_in_a_branch() -> None:
    f = function("F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    out = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 8])]
    then = helper.make_graph([helper.make_node("F", ["x"], ["z"], domain="local")], "t", [], out)
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["z"])], "e", [], out)
    nodes = [
        helper.make_node("F", ["x"], ["a"], domain="local"),
        helper.make_node("If", ["flag"], ["b"], then_branch=then, else_branch=other),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    check(model(nodes, [f], ["N", 8], flag=np.array(True)), X2)


def test_what_stays() -> None:
    """Another meaning's, one that hands an input on, and the operators of normonnx."""
    old = function("Old", ["x"], ["y"], [helper.make_node("Softmax", ["x"], ["y"])], opset=12)
    nodes = [helper.make_node("Old", ["x"], ["y"], domain="local")]
    assert inline_functions(ir.from_proto(model(nodes, [old], ["N", 8]))) == []
    trained = helper.make_node("BatchNormalization", [*"xssss"], ["y", "m", "v"])
    old = function("Old", [*"xs"], ["y"], [trained], opset=9)
    ones = np.ones(8, np.float32)
    nodes = [helper.make_node("Old", ["x", "s"], ["y"], domain="local")]
    assert inline_functions(ir.from_proto(model(nodes, [old], ["N", 8], s=ones))) == []
    nodes = [helper.make_node("Old", ["x"], ["y"], domain="local")]
    through = function("Through", ["x"], ["y", "x"], [helper.make_node("Abs", ["x"], ["y"])])
    nodes = [helper.make_node("Through", ["x"], ["y", "same"], domain="local")]
    assert inline_functions(ir.from_proto(model(nodes, [through], ["N", 8]))) == []
    norm = function("Norm", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    norm.domain = "normonnx"
    proto = model([helper.make_node("Norm", ["x"], ["y"], domain="normonnx")], [norm], ["N", 8])
    proto.opset_import.append(helper.make_opsetid("normonnx", 1))
    check(proto, X2, left=1)


@pytest.mark.parametrize(
    ("written_for", "opset"), [(13, 17), (14, 17), (17, 14), (15, 17), (17, 16)]
)
def test_another_opset_in_which_the_operators_mean_the_same(written_for: int, opset: int) -> None:
    """With attributes of each call: the axes of a norm, and its epsilon."""
    told = {"axes": onnx.AttributeProto.INTS}
    [mean, variance] = [
        referring(helper.make_node("ReduceMean", [one], [other]), "axes", told["axes"], "axes")
        for one, other in (("x", "m"), ("q", "v"))
    ]
    epsilon = referring(
        helper.make_node("Constant", [], ["e"]), "value_float", onnx.AttributeProto.FLOAT, "eps"
    )
    body = [
        mean,
        helper.make_node("Sub", ["x", "m"], ["d"]),
        helper.make_node("Mul", ["d", "d"], ["q"]),
        variance,
        epsilon,
        helper.make_node("Add", ["v", "e"], ["w"]),
        helper.make_node("Sqrt", ["w"], ["s"]),
        helper.make_node("Div", ["d", "s"], ["y"]),
    ]
    f = function("Norm", ["x"], ["y"], body, attributes=["axes", "eps"], opset=written_for)
    nodes = [
        helper.make_node("Norm", ["x"], ["h"], domain="local", axes=[-1], eps=1e-3),
        helper.make_node("Norm", ["h"], ["y"], domain="local", axes=[1], eps=0.25),
    ]
    proto = model(nodes, [f], ["N", 8])
    proto.opset_import[0].version = opset
    check(proto, X2)
    result = normonnx.optimize(proto, simplify=False)
    assert result.passed
    assert len(result.report.rewrites) == 2


@pytest.mark.parametrize(("written_for", "opset"), [(18, 17), (17, 18), (12, 11)])
def test_another_opset_in_which_an_operator_has_another_form_stays(
    written_for: int, opset: int
) -> None:
    """Its axes are an input, or it takes what it did not take before."""
    made = helper.make_node("ReduceMin", ["x"], ["y"], keepdims=1)
    f = function("Least", ["x"], ["y"], [made], opset=written_for)
    proto = model([helper.make_node("Least", ["x"], ["y"], domain="local")], [f], ["N", 8])
    proto.opset_import[0].version = opset
    assert inline_functions(ir.from_proto(proto)) == []


def test_more_nodes_than_fit_into_memory_are_not_made() -> None:
    """Forty functions that call each other twice would be 2⁴⁰ nodes."""
    functions = [function("F0", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])]
    for n in range(1, 40):
        body = [
            helper.make_node(f"F{n - 1}", ["x"], ["h"], domain="local"),
            helper.make_node(f"F{n - 1}", ["h"], ["y"], domain="local"),
        ]
        functions.append(function(f"F{n}", ["x"], ["y"], body))
    nodes = [helper.make_node("F39", ["x"], ["y"], domain="local")]
    made = ir.from_proto(model(nodes, functions, ["N", 8]))
    assert inline_functions(made) == []
    assert len(made.functions) == 40


def test_where_nothing_else_is_done_the_model_is_as_it_came(tmp_path: Path) -> None:
    f = function("F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    proto = model([helper.make_node("F", ["x"], ["y"], domain="local")], [f], ["N", 8])
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    result = normonnx.optimize(path)
    assert result.passed
    assert result.report.notes == ()
    assert result.to_bytes() == path.read_bytes()


@pytest.mark.parametrize("target", ["onnx", "normonnx"])
def test_the_optimised_model_has_no_functions_but_ours(target: str) -> None:
    result = normonnx.optimize(conv_bn(), target=target)
    assert all(domain == "normonnx" for domain, _, _ in result.model.functions)


def test_imports_that_do_not_agree_leave_the_model_as_it_was() -> None:
    """Two functions may want another version of a domain that the model does not import."""
    first = function("P", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    second = function("Q", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])])
    first.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    second.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    nodes = [
        helper.make_node("P", ["x"], ["h"], domain="local"),
        helper.make_node("Q", ["h"], ["y"], domain="local"),
    ]
    made = ir.from_proto(model(nodes, [first, second], ["N", 8]))
    assert inline_functions(made) == ["1 function inlined"]
    assert [key[1] for key in made.functions] == ["Q"]


def test_a_call_that_fits_no_function_leaves_the_model_as_it_was() -> None:
    f = function("F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    nodes = [
        helper.make_node("F", ["x"], ["h"], domain="local"),
        helper.make_node("F", ["h", "x"], ["y"], domain="local"),
    ]
    proto = model(nodes, [f], ["N", 8])
    made = ir.from_proto(proto)
    assert inline_functions(made) == []
    assert ir.to_proto(made).graph == ir.to_proto(ir.from_proto(proto)).graph
    assert len(made.functions) == 1


def test_a_function_that_nobody_calls_stays_as_it_is() -> None:
    f = function("F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    made = ir.from_proto(model([helper.make_node("Neg", ["x"], ["y"])], [f], ["N", 8]))
    assert inline_functions(made) == []
    ((_, kept),) = made.functions.items()
    assert [node.name for node in kept] == [""]


def test_names_of_dimensions_mean_something_in_their_function_alone() -> None:
    f = function(
        "F",
        ["x"],
        ["y"],
        [helper.make_node("Abs", ["x"], ["t"]), helper.make_node("Neg", ["t"], ["y"])],
    )
    f.value_info.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, ["N", 8]))
    nodes = [
        helper.make_node("F", ["x"], ["h"], domain="local"),
        helper.make_node("Concat", ["h", "h"], ["k"], axis=0),
        helper.make_node("F", ["k"], ["y"], domain="local"),
    ]
    proto = model(nodes, [f], ["M", 8])
    proto.ir_version = 10
    made = ir.from_proto(proto)
    assert inline_functions(made) == ["1 function inlined"]
    between = [v for n in made.graph for v in n.outputs if v.name != "y"]
    dims = [v.shape[0] for v in between if v.shape is not None]
    assert not any(isinstance(d, ir.SymbolicDim) and d.value == "N" for d in dims)


def test_nothing_to_rewrite_under_a_cap_is_nothing_to_write(tmp_path: Path) -> None:
    f = function("F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])])
    path = tmp_path / "model.onnx"
    onnx.save(model([helper.make_node("F", ["x"], ["y"], domain="local")], [f], ["N", 8]), path)
    result = normonnx.optimize(path, opset=13)
    assert result.to_bytes() == path.read_bytes()
    assert result.report.notes == ("opset stays 17: a model is never brought down to 13",)
