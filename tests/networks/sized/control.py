"""Steps with graphs within: an If on a size, a Loop."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from .sketch import Sketch, Tensor


def squeezed_if(s: Sketch, x: Tensor) -> Tensor | None:
    """An axis of 1 taken away by an If on its size, as PyTorch writes squeeze(dim)."""
    if s.opset < 11:
        return None
    wide = s.unsqueeze(x, [1 if x.rank else 0]) if s.chance(0.7) else x
    axis = 1 if wide is not x and x.rank else 0
    if wide.rank < 1:
        return None
    is_one = s.op("Equal", [s.dim(wide, axis), s.constant([1])], [wide.shape[axis] == 1])
    if s.chance(0.5):
        is_one = s.squeeze(is_one, [0])
    inner = s.within(0)
    taken = (
        inner.squeeze(wide, [axis]) if wide.shape[axis] == 1 else inner.op("Identity", [wide], 0)
    )
    then = helper.make_graph(inner.nodes, "then", [], [_info(taken.name)], inner.weights)
    other = s.within(500)
    kept = other.op("Identity", [wide], wide.array)
    if s.chance(0.3):
        kept = other.op("Add", [kept, other.constant(0.5, np.float32)], wide.array)
    otherwise = helper.make_graph(other.nodes, "else", [], [_info(kept.name)], other.weights)
    array = np.squeeze(wide.array, axis) if wide.shape[axis] == 1 else wide.array
    return s.op("If", [is_one], array, then_branch=then, else_branch=otherwise)


def _info(name: str) -> onnx.ValueInfoProto:
    return helper.make_value_info(name, helper.make_tensor_type_proto(TensorProto.FLOAT, None))


def looped(s: Sketch, x: Tensor) -> Tensor | None:
    """A state that grows in a Loop, or is scaled by a constant of the body."""
    if s.opset < 11 or not x.rank:
        return None
    grows = s.chance(0.5)
    inner = s.within(700)
    state = Tensor(inner.fresh(), x.array)
    size = inner.dim(state, 0)
    if grows:
        left = inner.concat([state, x], 0)
    else:
        half = inner.constant(0.5, np.float32)
        same = inner.op("Reshape", [state, inner.op("Shape", [state], np.array(x.shape))], x.array)
        left = inner.op("Mul", [same, inner.op("Sqrt", [half], 0.7)], x.array)
    go_on = inner.op("Identity", [Tensor(f"{state.name}_go", np.array(True))], True)
    body = helper.make_graph(
        inner.nodes, "body",
        [helper.make_tensor_value_info(f"{state.name}_i", TensorProto.INT64, []),
         helper.make_tensor_value_info(f"{state.name}_go", TensorProto.BOOL, []),
         _info(state.name)],
        [helper.make_value_info(go_on.name, helper.make_tensor_type_proto(TensorProto.BOOL, [])),
         _info(left.name),
         helper.make_value_info(size.name, helper.make_tensor_type_proto(TensorProto.INT64, None))],
        inner.weights,
    )  # fmt: skip
    name, sizes = s.fresh(), s.fresh()
    s.nodes.append(helper.make_node(
        "Loop", [s.constant(2).name, s.constant(True, bool).name, x.name], [name, sizes], body=body
    ))  # fmt: skip
    array = np.concatenate([x.array] * 3, 0) if grows else x.array
    return Tensor(name, array)
