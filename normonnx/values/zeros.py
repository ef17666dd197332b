"""The sign of zero: what makes 0 of −0, and who can tell them apart.

−0 + 0 = 0      −0 − 0 = −0      1/0 = ∞      1/−0 = −∞
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.values.constants import Constants, is_float

Array = np.ndarray[Any, Any]

_FARTHEST = 64
"""So many values are followed."""

_WITHOUT_SIGN = frozenset(
    """Abs Acos Acosh Cos Cosh Equal Exp Greater GreaterOrEqual HardSigmoid IsInf IsNaN Less
    LessOrEqual Log Sigmoid Sign Softplus""".split()
)
"""Operators that give the same for both zeros."""

_SELECTIONS = frozenset(
    {"MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Resize", "Upsample"}
)


def makes_plain(added: Array) -> bool:
    """Whether adding an array makes 0 of −0 anywhere: 0 does, −0 does not.

    Any other number leaves neither of them.
    """
    return bool(((added == 0) & ~np.signbit(added)).any())


def told_apart_by(constants: Constants, value: ir.Value) -> ir.Node | None:
    """A node that tells −0 from 0 in a value, or in what is computed from it; None for none.

    What takes many elements together, as a layer does, is not followed: its zeros are sums.
    """
    pending = [value]
    for value in itertools.islice(pending, _FARTHEST):
        for use in value.uses():
            if _tells(constants, use.node, use.idx):
                return use.node
            if _passes_on(constants, use.node, use.idx):
                pending.extend(out for out in use.node.outputs if out not in pending)
    return None


def _tells(constants: Constants, node: ir.Node, index: int) -> bool:
    test = _TELLS.get(onnx_name(node))
    return test is not None and test(constants, node, index)


def _passes_on(constants: Constants, node: ir.Node, index: int) -> bool:
    """Whether an output of a node may be a zero of the sign that an input has."""
    name, facts = onnx_name(node), facts_of(node)
    if name in ("Add", "Sub"):
        return _adds_minus_zero(constants, node, index)
    if name in ("Cast", "CastLike"):
        return is_float(node.outputs[0].dtype or ir.DataType(attribute_int(node, "to", 0)))
    is_steering = index in facts.steered_by
    follows = facts.elementwise or index in facts.moves or name in _SELECTIONS
    return follows and not is_steering and name not in _WITHOUT_SIGN


def _adds_minus_zero(constants: Constants, node: ir.Node, index: int) -> bool:
    """Whether −0 may be added to an operand: anything else takes its sign."""
    given = constants.float64(node.inputs[1 - index])
    if given is None:
        return True
    added = -given if node.op_type == "Sub" and index == 0 else given
    return bool(((added == 0) & np.signbit(added)).any())


def _has_negative_power(constants: Constants, node: ir.Node, index: int) -> bool:
    exponent = constants.float64(node.inputs[1])
    return index == 0 and (exponent is None or bool((exponent < 0).any()))


_TELLS: Mapping[str, Callable[[Constants, ir.Node, int], bool]] = {
    "Reciprocal": lambda constants, node, index: True,
    "Div": lambda constants, node, index: index == 1,
    "Pow": _has_negative_power,
    "Cast": lambda constants, node, index: attribute_int(node, "to", 0) == ir.DataType.STRING,
}
"""By operator whether it tells the zeros of an input apart."""
