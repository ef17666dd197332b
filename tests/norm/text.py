"""Models from ONNX's text form, with weights drawn from a seed or given."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

Weight = np.ndarray | np.generic | Sequence[int]

TWO = np.float32(2)
EPSILON = np.float32(1e-5)
ROW = 8
"""The length of a row in most models of these tests."""


def model(
    graph: str,
    weights: dict[str, Weight] | None = None,
    *,
    opset: int = 17,
    dtype: type = np.float32,
    functions: str = "",
    listed: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model; a weight given by its shape gets random numbers of that shape and `dtype`.

    Every model has `two`, `eps`, `g` and `b` if it mentions them.
    """
    given: dict[str, Weight] = {"two": TWO, "eps": EPSILON, "g": (ROW,), "b": (ROW,)}
    given |= weights or {}
    local = ', "local" : 1' if functions else ""
    version = 11 if opset > 22 else 8
    text = f'<ir_version: {version}, opset_import: ["" : {opset}{local}]> m {graph} {functions}'
    proto = onnx.parser.parse_model(text)
    read = {name for node in _nodes(proto.graph) for name in node.input}
    for name, weight in given.items():
        if name not in read or any(value.name == name for value in proto.graph.input):
            continue
        if isinstance(weight, np.ndarray | np.generic):
            array = np.asarray(weight)
        else:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            array = rng.standard_normal(tuple(weight))
        if array.dtype.kind == "f":
            array = array.astype(dtype)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    for name in listed:
        [tensor] = [t for t in proto.graph.initializer if t.name == name]
        proto.graph.input.append(
            onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
        )
    return proto


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found.extend(_nodes(attribute.g))
    return found


LAYER = (
    "m = ReduceMean <axes=[-1]> (x) d = Sub (x, m) p = Pow (d, two) v = ReduceMean <axes=[-1]> (p)"
    " e = Add (v, eps) r = Sqrt (e) n = Div (d, r)"
)
"""A LayerNorm of x without scale and bias, n."""

RMS = "p = Pow (x, two) v = ReduceMean <axes=[-1]> (p) e = Add (v, eps) r = Sqrt (e) n = Div (x, r)"
"""An RMSNorm of x without scale, n."""

WHOLE = f"{LAYER} k = Mul (n, g) y = Add (k, b)"
"""A LayerNorm of x with scale and bias, y."""


def layer(nodes: str, *, x: str = "float[2,3,8] x", y: str = "float[2,3,8] y") -> str:
    """A graph from x to y."""
    return f"({x}) => ({y}) {{ {nodes} }}"
