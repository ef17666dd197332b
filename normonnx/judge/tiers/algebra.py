"""Tier 2: both models in float64, the optimised one with its weights before they were rounded.

    max|y₆₄ − t| ≤ 1e-9·max|t| + 64·2⁻²⁹·max|o − t|

A correct rewrite agrees to 1e-14. The second term is what float64 itself may lose on a model that
loses much in float32: 2⁻²⁹ is the ratio of their roundings. Where float32 loses everything, that
says too little: what moving every value by an ulp of float64 does to the original is added tenfold.

Of a model that another tool made, only the rounded weights are known. It may in addition be ten
times as far as rounding every weight and value of the original to the type of these weights moves
the original: a fold by hand rounds a few times, and a wrong one is off by more.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.rounded import is_rounded
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

RELATIVE = 1e-9
_AMPLIFIED = 64 * 2.0**-29
# How much farther than the original with everything rounded once more, in float64 or as foreign
# weights are.
ROUNDED = 10.0
# What weights in float32 explain without a look at how much the model makes of it.
PLAIN = 1e-6
# Half an ulp, and what computing it in float64 may lose.


class AlgebraResult(Struct, frozen=True):
    """How far the two models are in float64.

    Attributes:
        output: the output where they are farthest, relative to what is allowed.
        relative: max|y₆₄ − t| / max|t| there.
        excess: distance over what is allowed.
    """

    output: str
    relative: float
    excess: float


def compare_in_float64(
    truth: Mapping[str, Array],
    optimized: Mapping[str, Array],
    own: Mapping[str, float],
    explained: Mapping[str, float] | None = None,
    relative: float = RELATIVE,
) -> AlgebraResult:
    """Compare the float outputs of both models, evaluated in float64 on the same feed.

    Args:
        truth: the original's outputs.
        optimized: the optimised model's outputs.
        own: the original's own greatest distance to the truth, by output.
        explained: what rounding adds to what is allowed, by output.
        relative: the share of its largest element by which an output may differ.
    """
    worst = AlgebraResult("", 0.0, 0.0)
    for name, t in truth.items():
        y = optimized.get(name)
        if y is None or t.dtype != np.float64 or not t.size:
            continue
        if y.shape != t.shape:
            return AlgebraResult(name, np.inf, np.inf)
        defined = np.isfinite(t)
        if not np.isfinite(y[defined]).all():
            return AlgebraResult(name, np.inf, np.inf)
        far = float(np.abs(y[defined] - t[defined]).max(initial=0.0))
        if not far:
            continue
        scale = float(np.abs(t[defined]).max(initial=0.0))
        allowed = relative * scale + _AMPLIFIED * own.get(name, 0.0)
        allowed += (explained or {}).get(name, 0.0)
        excess = far / allowed if allowed else np.inf
        if excess > worst.excess:
            worst = AlgebraResult(name, far / scale if scale else np.inf, excess)
    return worst


def unfaithful(
    model: ir.Model,
    exact: Mapping[str, Array],
    attributes: Mapping[ir.Node, Mapping[str, float]] | None = None,
) -> str | None:
    """The first stored weight or attribute that is not its exact value rounded once, as a sentence.

    Args:
        model: the model.
        exact: float64 values of weights by name.
        attributes: float attributes of nodes before their rounding to float32.
    """
    for name, stored in _stored(model, exact):
        wanted = np.asarray(exact[name])
        if stored.shape != wanted.shape:
            return f"weight '{name}' has shape {stored.shape}, its exact value {wanted.shape}"
        off = ~is_rounded(stored, wanted)
        if off.any():
            count = int(off.sum())
            return f"weight '{name}' is not its exact value rounded: {count} elements differ"
    for node, floats in (attributes or {}).items():
        for name, wide in floats.items():
            held = np.float32(node.attributes[name].as_float())
            if held != np.float32(wide):
                return f"{name} of '{node.name}' is {held}, and not {wide} rounded"
    return None


def _stored(model: ir.Model, names: Container[str]) -> Iterator[tuple[str, Array]]:
    """The initializers and Constant nodes of these names as they are stored."""
    for graph in model.graphs():
        for name, tensor in (*_initializers(graph), *_constants(graph)):
            if name in names:
                yield name, np.asarray(tensor.numpy())


def _initializers(graph: ir.Graph) -> Iterator[tuple[str, ir.TensorProtocol]]:
    for name, value in graph.initializers.items():
        if value.const_value is not None:
            yield name, value.const_value


def _constants(graph: ir.Graph) -> Iterator[tuple[str, ir.TensorProtocol]]:
    for node in graph:
        if onnx_name(node) == "Constant" and "value" in node.attributes:
            yield str(node.outputs[0].name), node.attributes["value"].as_tensor()
