"""Which nodes are affine maps: BatchNormalization, and Mul, Add, Sub, Div, Neg with a constant.

BatchNormalization   a = γ·(σ² + ε)^(-1/2),  b = β − μ·a       along axis 1
x·k                  a = k                  x + k, x − k       b = ±k
k − x                a = −1, b = k          x / k              a = 1/k
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.affine.map import AffineMap, varying_axis
from normonnx.affine.weights import describe
from normonnx.journal import Refusal
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.values.constants import is_float
from normonnx.values.shapes import attribute_int, normalized
from normonnx.values.zeros import makes_plain, told_apart_by

BROADCASTING = 7
"""The operator set from which operands broadcast as in NumPy, with no attributes for it."""

ARITHMETIC = frozenset({"Mul", "Add", "Sub", "Div", "Neg"})
_ADDING = frozenset({"Add", "Sub", "BatchNormalization"})


class Affine(Struct, frozen=True):
    """A node that computes `map` of `source`.

    Attributes:
        mean, deviation: of the source, where a BatchNormalization states them; float64, shape (C,).
    """

    node: ir.Node
    source: ir.Value
    map: AffineMap
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None


def recognise(context: Context, node: ir.Node) -> Affine | Refusal | None:
    """The affine map a node computes; a refusal for one that nearly does; None for any other.

    Arithmetic on constants is none: there is nothing that the map would be applied to.
    """
    if not node.outputs or context.constants.is_constant(node.outputs[0]):
        return None
    found: Affine | Refusal | None = None
    if onnx_name(node) == "BatchNormalization":
        found = _batch_normalization(context, node)
    elif onnx_name(node) in ARITHMETIC:
        found = _arithmetic(context, node)
    if isinstance(found, Affine) and (reader := _sign_needed_by(context, found)):
        return Refusal(f"it makes 0 of −0, and {describe(reader)} tells them apart")
    return found


def _sign_needed_by(context: Context, found: Affine) -> ir.Node | None:
    """Who would see that −0 is no longer made 0; a map without a shift may stand for this one."""
    if found.node.op_type not in _ADDING or not makes_plain(found.map.b):
        return None
    return told_apart_by(context.constants, found.node.outputs[0])


def _batch_normalization(context: Context, node: ir.Node) -> Affine | Refusal:
    refusal = _not_inference(context, node)
    if refusal is not None:
        return refusal
    source = node.inputs[0]
    assert source is not None
    parts = []
    for name, value in zip(("scale", "bias", "mean", "variance"), node.inputs[1:5], strict=True):
        array = context.constants.float64(value)
        if array is None:
            return Refusal(f"its {name} is not a constant", _unfrozen(value))
        if array.ndim != 1:
            return Refusal(f"its {name} has {array.ndim} dimensions: one value per element")
        parts.append(array)
    if len({array.shape for array in parts}) > 1:
        return Refusal("its parameters are of different lengths")
    scale, bias, mean, variance = parts
    epsilon = node.attributes.get("epsilon")
    eps = np.float64(np.float32(1e-5 if epsilon is None else epsilon.as_float()))
    with np.errstate(all="ignore"):
        deviation = np.sqrt(variance + eps)
        a = scale / deviation
        b = bias - mean * a
    broken = np.flatnonzero(~(np.isfinite(a) & np.isfinite(b)))
    if broken.size:
        return Refusal(
            f"its scale or shift is not finite in channel {broken[0]}: variance plus epsilon "
            "has to be above 0, and every statistic finite"
        )
    return Affine(node, source, AffineMap.along(1, a=a, b=b), mean, deviation)


def _not_inference(context: Context, node: ir.Node) -> Refusal | None:
    graph = node.graph
    opset = context.opset if graph is None else context.opset_of(graph)
    training = "it is in training mode: its statistics come from the data"
    if attribute_int(node, "training_mode", 0):
        return Refusal(training, "export the model in evaluation mode")
    if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        return Refusal(training, "export the model in evaluation mode")
    if opset < 7 and not attribute_int(node, "is_test", 0):
        return Refusal(training, "export the model in evaluation mode")
    rank = context.shapes.rank(node.inputs[0])
    # On two axes an element of a row is a channel.
    if opset < 9 and not attribute_int(node, "spatial", 1) and rank != 2:
        return Refusal("it has spatial=0: one statistic per element, not per channel")
    if len(node.inputs) < 5:
        return Refusal("it lacks inputs")
    if rank is not None and rank < 2:
        return Refusal("its input has no channel axis")
    return None


def _unfrozen(value: ir.Value | None) -> str:
    if value is not None and value.is_graph_input():
        if value.const_value is not None:
            return "the caller may override it; --freeze-initializers makes it a constant"
        return "it is an input of the graph"
    return ""


def _arithmetic(context: Context, node: ir.Node) -> Affine | Refusal | None:
    if node.op_type == "Neg":
        source = node.inputs[0]
        if source is None or not is_float(context.shapes.dtype(source)):
            return None
        return Affine(node, source, AffineMap.along(None, a=-1.0))
    if len(node.inputs) != 2:
        return None
    left, right = node.inputs
    constants = context.constants
    if constants.is_constant(left) == constants.is_constant(right):
        return None
    constant, source = (right, left) if constants.is_constant(right) else (left, right)
    assert source is not None
    if node.op_type == "Div" and constant is left:
        return None
    k = constants.float64(constant)
    if k is None or not is_float(context.shapes.dtype(constant)):
        return None
    k = _aligned(context, node, source, k)
    axis = _axis_of(context, source, k)
    if isinstance(axis, Refusal):
        return axis
    k = k.reshape(-1) if axis is None else _squeezed(context, source, k, axis)
    if axis is None:
        k = k[0]
    with np.errstate(all="ignore"):
        m = {
            "Mul": lambda: AffineMap.along(axis, a=k),
            "Div": lambda: AffineMap.along(axis, a=1.0 / k),
            "Add": lambda: AffineMap.along(axis, b=k),
            "Sub": lambda: (
                AffineMap.along(axis, b=-k)
                if constant is right
                else AffineMap.along(axis, a=-1.0, b=k)
            ),
        }[node.op_type]()
    if not m.is_finite:
        return Refusal("its constant is not finite")
    return Affine(node, source, m)


def _aligned(context: Context, node: ir.Node, source: ir.Value, k: np.ndarray) -> np.ndarray:
    """The constant in the shape in which it broadcasts; before opset 7 an attribute says where."""
    graph, axis = node.graph, node.attributes.get("axis")
    dims = context.shapes.dims(source)
    if axis is None or graph is None or context.opset_of(graph) >= BROADCASTING or dims is None:
        return k
    if node.inputs[0] is not source:  # only the second operand is laid along the first
        return k
    behind = len(dims) - normalized(axis.as_int(), len(dims)) - k.ndim
    return k.reshape(*k.shape, *(1,) * max(behind, 0)) if k.size > 1 else k.reshape(())


def _axis_of(context: Context, source: ir.Value, k: np.ndarray) -> int | Refusal | None:
    """The axis of `source` along which the constant may vary, None if it is one number."""
    dims = context.shapes.dims(source)
    if k.size == 1:
        if k.ndim == 0 or (dims is not None and k.ndim <= len(dims)):
            return None
        return Refusal("its constant may add dimensions")
    if dims is None:
        return Refusal("the rank of its input is unknown", "state the shapes of the inputs")
    if k.ndim > len(dims):
        return Refusal("its constant adds dimensions")
    offset = len(dims) - k.ndim
    for axis, extent in enumerate(k.shape):
        if extent != 1 and dims[offset + axis] != extent:
            return Refusal("broadcasting against its constant may make the tensor larger")
    varying = varying_axis(k)
    if varying is None:
        return Refusal(
            "its constant varies along several axes, and a layer takes one value for each channel"
        )
    return offset + varying


def _squeezed(context: Context, source: ir.Value, k: np.ndarray, axis: int) -> np.ndarray:
    dims = context.shapes.dims(source)
    assert dims is not None
    place = axis - (len(dims) - k.ndim)
    return k[tuple(slice(None) if i == place else 0 for i in range(k.ndim))]
