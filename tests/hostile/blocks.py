"""What hostile models are put together from: a norm worth fusing, and tensors that lie outside."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

OPSET = 17
FLOAT = TensorProto.FLOAT
info = helper.make_tensor_value_info


def weight(name: str = "w", rows: int = 8, columns: int = 64) -> TensorProto:
    values = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) / 7
    return numpy_helper.from_array(values, name)


def outside(location: str, name: str = "w", **fields: object) -> TensorProto:
    """A float tensor [8, 64] whose data lies at `location`; `fields` are further keys."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[8, 64])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def model(
    nodes: Iterable[NodeProto],
    *initializers: TensorProto,
    functions: Iterable[FunctionProto] = (),
    inputs: Iterable[tuple[str, int, list[int | str] | None]] = (("x", FLOAT, [2, 8]),),
    outputs: Iterable[str] = ("y",),
) -> ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [info(*given) for given in inputs],
        [info(name, FLOAT, None) for name in outputs],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)


def dense(*initializers: TensorProto) -> ModelProto:
    """``y = x·w``."""
    weights = initializers or (weight(),)
    return model([helper.make_node("MatMul", ["x", weights[0].name], ["y"])], *weights)


def norm_after(*nodes: NodeProto, initializers: Iterable[TensorProto] = ()) -> ModelProto:
    """`nodes` make ``v`` of ``x`` [2, 8]; behind it is a LayerNorm to be fused."""
    constants = [
        numpy_helper.from_array(np.array(2.0, np.float32), "two"),
        numpy_helper.from_array(np.array(1e-5, np.float32), "eps"),
        numpy_helper.from_array(np.linspace(0.5, 1.5, 8, dtype=np.float32), "gamma"),
    ]
    norm = [
        helper.make_node("ReduceMean", ["v"], ["m"], axes=[-1]),
        helper.make_node("Sub", ["v", "m"], ["d"]),
        helper.make_node("Pow", ["d", "two"], ["s"]),
        helper.make_node("ReduceMean", ["s"], ["q"], axes=[-1]),
        helper.make_node("Add", ["q", "eps"], ["e"]),
        helper.make_node("Sqrt", ["e"], ["r"]),
        helper.make_node("Div", ["d", "r"], ["n"]),
        helper.make_node("Mul", ["n", "gamma"], ["y"]),
    ]
    made = model([*nodes, *norm], *constants, *initializers)
    made.graph.value_info.append(info("v", FLOAT, [2, 8]))
    return made


def constant(tensor: TensorProto, output: str = "c") -> NodeProto:
    """A Constant node; helper.make_node would read the tensor."""
    attribute = AttributeProto(name="value", type=AttributeProto.TENSOR)
    attribute.t.CopyFrom(tensor)
    node = NodeProto(op_type="Constant", output=[output])
    node.attribute.append(attribute)
    return node


def in_attribute(tensor: TensorProto) -> ModelProto:
    return model([constant(tensor), helper.make_node("MatMul", ["x", "c"], ["y"])])


def in_subgraph(tensor: TensorProto) -> ModelProto:
    return model(
        [branch("y", body(helper.make_node("Identity", [tensor.name], ["t"]), tensor))],
        inputs=[("flag", TensorProto.BOOL, [])],
    )


def in_function(tensor: TensorProto) -> ModelProto:
    nodes = [constant(tensor), helper.make_node("MatMul", ["a", "c"], ["b"])]
    return model([call("F", "x", "y")], functions=[function("F", nodes)])


def in_subgraph_of_function(tensor: TensorProto) -> ModelProto:
    inner = [
        constant(weight("flag0", 1, 1), "z"),
        helper.make_node("Cast", ["z"], ["flags"], to=TensorProto.BOOL),
        helper.make_node("Squeeze", ["flags"], ["flag"]),
        branch("b", body(helper.make_node("Identity", [tensor.name], ["t"]), tensor)),
    ]
    return model([call("F", "x", "y")], functions=[function("F", inner)])


def in_default_of_function(tensor: TensorProto) -> ModelProto:
    made = function("F", [helper.make_node("Relu", ["a"], ["b"])])
    default = AttributeProto(name="weight", type=AttributeProto.TENSOR)
    default.t.CopyFrom(tensor)
    made.attribute_proto.append(default)
    return model([call("F", "x", "y")], functions=[made])


def in_sparse_initializer(tensor: TensorProto) -> ModelProto:
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    sparse = proto.graph.sparse_initializer.add(dims=[8, 64])
    sparse.values.CopyFrom(tensor)
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(512), "i"))
    return proto


def in_sparse_attribute(tensor: TensorProto) -> ModelProto:
    attribute = AttributeProto(name="sparse_value", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.dims.extend([8, 64])
    attribute.sparse_tensor.values.CopyFrom(tensor)
    attribute.sparse_tensor.indices.CopyFrom(numpy_helper.from_array(np.arange(512), "i"))
    node = NodeProto(op_type="Constant", output=["c"])
    node.attribute.append(attribute)
    return model([node, helper.make_node("MatMul", ["x", "c"], ["y"])])


def function(name: str, nodes: Iterable[NodeProto]) -> FunctionProto:
    """A function from ``a`` to ``b``."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], list(nodes), opsets)


def call(name: str, source: str, result: str) -> NodeProto:
    return helper.make_node(name, [source], [result], domain="own")


def body(node: NodeProto, *initializers: TensorProto) -> GraphProto:
    result = info(node.output[0], FLOAT, None)
    return helper.make_graph([node], "body", [], [result], list(initializers))


def branch(output: str, inner: GraphProto) -> NodeProto:
    """An If on ``flag`` with `inner` on both sides."""
    other = GraphProto()
    other.CopyFrom(inner)
    return helper.make_node("If", ["flag"], [output], then_branch=inner, else_branch=other)
