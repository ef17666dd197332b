"""The rules of operators that normalise: spellings of a norm when there are others around them.

    BatchNormalization       s[c]·(x − m[c])·(v[c] + e)^(−1/2) + b[c]
    InstanceNormalization    the same with m and v over the axes behind the channel's
    LayerNormalization       s·(x − m)·(v + e)^(−1/2) + b  over all axes from one on
    RMSNormalization         s·x·(q + e)^(−1/2)            over all axes from one on

Keras writes LayerNorm as a BatchNormalization in training mode between Reshapes, its converter to
ONNX with the mean and variance it should have computed as inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import IntractableError, Poly, number, plus
from normonnx.norm.algebra.rules.arithmetic import difference, product, sum_of
from normonnx.values.shapes import attribute_int, normalized

_EPSILON = float(np.float32(1e-5))
"""The default of all of them."""

_BIAS = 2

_SPATIAL = 7
"""From which opset on BatchNormalization is in inference form unless it says otherwise."""

_TRAINING = 14
"""From which opset on an attribute says so, and the statistics are those of the batch."""


Lay = Callable[[Interpreter, ir.Node, int, Form], Form]
"""How an input of the node is laid along x."""


def _channel(it: Interpreter, node: ir.Node, place: int, x: Form) -> Form:
    """An input that has one number per channel, laid along axis 1."""
    form = it.form(node.inputs[place])
    if len(form.groups) != 1 or len(x.groups) < 2:
        raise IntractableError
    return Form(form.poly, ((), form.groups[0], *((),) * (len(x.groups) - 2)))


def _trailing(it: Interpreter, node: ir.Node, place: int, x: Form) -> Form:
    """An input that broadcasts along the last axes."""
    return it.form(node.inputs[place])


def batch_normalization(it: Interpreter, node: ir.Node) -> Form:
    opset = it.context.opset_of(it.graph)
    if opset < _SPATIAL or attribute_int(node, "spatial", 1) == 0:
        raise IntractableError(f"BatchNormalization '{node.name}' has a form of its own")
    x = it.form(node.inputs[0])
    if attribute_int(node, "training_mode", 0) and opset >= _TRAINING:
        over = _labels(x, {0, *range(2, len(x.groups))})
        return _normalised(it, node, x, over)
    if opset < _TRAINING and len(node.outputs) > 1:
        raise IntractableError(f"BatchNormalization '{node.name}' is in training mode")
    centred = _combined(it, node, difference, x, _channel(it, node, 3, x))
    return _scaled(it, node, centred, _channel(it, node, 4, x))


def instance_normalization(it: Interpreter, node: ir.Node) -> Form:
    x = it.form(node.inputs[0])
    return _normalised(it, node, x, _labels(x, set(range(2, len(x.groups)))))


def layer_normalization(it: Interpreter, node: ir.Node) -> Form:
    x, over = _rows(it, node)
    return _normalised(it, node, x, over, lay=_trailing)


def rms_normalization(it: Interpreter, node: ir.Node) -> Form:
    x, over = _rows(it, node)
    square = Form(it.algebra.mean(it.algebra.power(x.poly, 2), over), ((),) * len(x.groups))
    return _scaled(it, node, x, square, lay=_trailing)


def _rows(it: Interpreter, node: ir.Node) -> tuple[Form, frozenset[int]]:
    x = it.form(node.inputs[0])
    rank = len(x.groups)
    first = normalized(attribute_int(node, "axis", -1), rank)
    return x, _labels(x, set(range(first, rank)))


def _labels(x: Form, places: set[int]) -> frozenset[int]:
    return frozenset(label for place in places for label in x.groups[place])


def _normalised(
    it: Interpreter, node: ir.Node, x: Form, over: frozenset[int], *, lay: Lay = _channel
) -> Form:
    """The operator with its own statistics, which are taken over the labels `over`."""
    algebra = it.algebra
    mean = algebra.mean(x.poly, over)
    square = algebra.mean(algebra.power(x.poly, 2), over)
    spread = difference(algebra, square, algebra.power(mean, 2))
    centred = difference(algebra, x.poly, mean)
    return _scaled(it, node, Form(centred, x.groups), Form(spread, ((),) * len(x.groups)), lay=lay)


def _scaled(
    it: Interpreter, node: ir.Node, centred: Form, spread: Form, *, lay: Lay = _channel
) -> Form:
    """s·(x − m)·(v + e)^(−1/2) + b."""
    epsilon = node.attributes.get("epsilon")
    e = _EPSILON if epsilon is None else epsilon.as_float()
    root = it.algebra.root(plus(spread.poly, number(e)))
    y = _combined(it, node, product, centred, Form(it.algebra.inverse(root), spread.groups))
    y = _combined(it, node, product, y, lay(it, node, 1, y))
    if len(node.inputs) > _BIAS and node.inputs[_BIAS] is not None:
        y = _combined(it, node, sum_of, y, lay(it, node, _BIAS, y))
    return y


def _combined(
    it: Interpreter,
    node: ir.Node,
    combine: Callable[[Algebra, Poly, Poly], Poly],
    left: Form,
    right: Form,
) -> Form:
    a, b, groups = it.align(left, right, node)
    return Form(combine(it.algebra, a, b), groups)
