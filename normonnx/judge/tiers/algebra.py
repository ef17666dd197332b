"""Tier 2: both models in float64, the optimised one with its weights before they were rounded.

    max|y₆₄ − t| ≤ 1e-9·max|t| + 64·2⁻²⁹·max|o − t|

for each group of elements of like size (`magnitudes`). A correct rewrite agrees to 1e-14. The
second term is what float64 itself may lose on a model that loses much in float32: 2⁻²⁹ is the ratio
of their roundings. Where float32 loses everything, that says too little: what moving every value by
an ulp of float64 does to the original is added tenfold.

Of a model that another tool made, only the rounded weights are known. It may differ by 1e-6 of the
largest element of a group; or be ten times as far as rounding every weight and value of the
original to the type of these weights moves the original: a fold by hand rounds a few times, and a
wrong one is off by more. How far the original is from the truth as it runs says nothing here: an
output in float16 hides what its float32 weights do.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.rounded import is_rounded
from normonnx.judge.tiers.magnitudes import NOWHERE, BySize, groups, levels, together
from normonnx.judge.tiers.rounding import same
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

RELATIVE = 1e-9
AMPLIFIED = 64 * 2.0**-29
# How much farther than the original with everything rounded once more, in float64 or as foreign
# weights are.
ROUNDED = 10.0
# What weights in float32 explain without a look at how much the model makes of it.
PLAIN = 1e-6


class AlgebraResult(Struct, frozen=True):
    """How far the two models are in float64.

    Attributes:
        output: the output where they are farthest, relative to what is allowed.
        relative: max|y₆₄ − t| / max|t| there, of elements of like size.
        excess: distance over what is allowed.
        undecided: why that says nothing of an output that differs, or "".
    """

    output: str
    relative: float
    excess: float
    undecided: str = ""

    @property
    def gravity(self) -> tuple[bool, bool, float, float]:
        """How much there is to tell."""
        return self.excess > 1, bool(self.undecided), self.excess, self.relative


class Slack(Struct, frozen=True):
    """What two models may differ by in float64.

    Attributes:
        relative: of the largest element of a group.
        own: of the original's own greatest distance to the truth in it.
        explained: what rounding adds, by output and level.
    """

    relative: float = RELATIVE
    own: float = AMPLIFIED
    explained: Mapping[str, BySize] = {}


EXACT = Slack()
"""Where the weights are known before they were rounded."""
FOREIGN = Slack(PLAIN, 0.0)
"""Where only the rounded weights are known, before looking at what rounding them does."""


def compare_in_float64(
    truth: Mapping[str, Array],
    optimized: Mapping[str, Array],
    originals: Mapping[str, Array],
    slack: Slack = EXACT,
) -> AlgebraResult:
    """Compare the float outputs of both models, evaluated in float64 on the same feed.

    Args:
        truth: the original's outputs.
        optimized: the optimised model's outputs.
        originals: the original's outputs as it runs, from which its own distances follow.
        slack: what they may differ by.
    """
    worst = AlgebraResult("", 0.0, 0.0)
    for name, t in truth.items():
        y = optimized.get(name)
        if y is None or t.dtype != np.float64 or not t.size:
            continue
        if y.shape != t.shape or _parts(t, y, originals.get(name)):
            return AlgebraResult(name, np.inf, np.inf)
        worst = max(
            worst, _farthest(name, t, y, originals.get(name), slack), key=lambda r: r.gravity
        )
    return worst


def _parts(t: Array, y: Array, o: Array | None) -> bool:
    """Whether elements are finite in one and not in the other, or infinite with another sign.

    What the original itself has finite as it runs may be finite where float64 has it not.
    """
    defined = np.isfinite(t)
    if defined.all() and np.isfinite(y).all():
        return False
    meant = (
        ~defined if o is None or o.shape != t.shape else ~defined & same(o.astype(np.float64), t)
    )
    return not (np.isfinite(y[defined]).all() and same(t, y)[meant].all())


def _farthest(name: str, t: Array, y: Array, o: Array | None, slack: Slack) -> AlgebraResult:
    """The group of elements of one output that is farthest over what is allowed."""
    defined = np.isfinite(t) & np.isfinite(y)
    td = t[defined]
    far = np.abs(y[defined] - td)
    worst = AlgebraResult("", 0.0, 0.0)
    if not far.any():
        return worst
    own = np.zeros_like(td)
    if o is not None and o.shape == t.shape:
        with np.errstate(invalid="ignore"):
            own = np.abs(o[defined].astype(np.float64) - td)
        own[~np.isfinite(own)] = 0.0
    found = levels(td, own, far)
    grouping = groups([found])
    more = slack.explained.get(name, {})
    for group in dict.fromkeys(grouping.values()):
        inside = [level for level in found if grouping[level.size] == group]
        whole = together(inside)
        if not whole.optimized.largest:
            continue
        explained = max(more.get(level.size, NOWHERE).largest for level in inside)
        allowed = slack.relative * whole.magnitude + slack.own * whole.original.largest + explained
        excess = whole.optimized.largest / allowed if allowed else np.inf
        relative = whole.optimized.largest / whole.magnitude if whole.magnitude else np.inf
        worst = max(worst, AlgebraResult(name, relative, excess), key=lambda r: r.gravity)
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
