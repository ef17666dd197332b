"""The operators that norms are written with, and which of them come into question.

    domain          operator                            since opset   normalises
    (default)       LayerNormalization                  17            all axes from one on
                    RMSNormalization                    23            all axes from one on
                    InstanceNormalization               6             all axes behind the channels'
                    GroupNormalization                  21            those, and some channels
    normonnx        FusedLayerNormalization             any           axes in a row, anywhere
                    FusedRMSNormalization               any           axes in a row, anywhere

The operators of the domain normonnx come with their body as a function of the model, one for all
nodes of an operator (so all FusedLayerNormalizations have a bias), and need no opset. They are what
is written for the target of that name, and for the others where the standard operator cannot be
had.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import onnx_ir as ir
from msgspec import Struct, field

from normonnx.norm import seats
from normonnx.norm.normal_form import Kind
from normonnx.norm.seats import Stand
from normonnx.ops.operators import DOMAIN
from normonnx.rewrite import Context
from normonnx.rules import RULES

Types = Mapping[ir.DataType, frozenset[ir.DataType]]

_ANY: Types = MappingProxyType(
    {
        ir.DataType.FLOAT16: frozenset({ir.DataType.FLOAT16, ir.DataType.FLOAT}),
        ir.DataType.BFLOAT16: frozenset({ir.DataType.BFLOAT16, ir.DataType.FLOAT}),
        ir.DataType.FLOAT: frozenset({ir.DataType.FLOAT}),
        ir.DataType.DOUBLE: frozenset({ir.DataType.DOUBLE}),
    }
)
# The standard leaves open in which type InstanceNormalization computes in half precision, and
# ONNX Runtime has no kernel of it for double.
_SINGLE: Types = MappingProxyType({ir.DataType.FLOAT: frozenset({ir.DataType.FLOAT})})


class Operator(Struct, frozen=True):
    """An operator that a norm can be written with.

    Attributes:
        name: its op_type.
        kind: the normal form it computes.
        title: what it is to a person.
        rule: the code of the rule that writes it.
        stand: where it can stand.
        opset: the first opset that has it; 0 outside the default domain.
        domain: of the operator.
        takes_bias: whether it has a bias.
        needs_bias: whether it must be given one.
        statistics: its types, with those in which the original may compute mean and root.
    """

    name: str
    kind: Kind
    title: str
    rule: str
    stand: Stand
    opset: int = 0
    domain: str = ""
    takes_bias: bool = True
    needs_bias: bool = False
    statistics: Types = field(default_factory=lambda: _ANY)


LAYER = Operator("LayerNormalization", "LayerNorm", "LayerNorm", "NX101", seats.trailing, opset=17)
RMS = Operator(
    "RMSNormalization", "RMSNorm", "RMSNorm", "NX102", seats.trailing, opset=23, takes_bias=False
)
GROUP = Operator(
    "GroupNormalization",
    "LayerNorm",
    "GroupNorm",
    "NX103",
    seats.grouped,
    opset=21,
    needs_bias=True,
)
INSTANCE = Operator(
    "InstanceNormalization",
    "LayerNorm",
    "InstanceNorm",
    "NX104",
    seats.spatial,
    opset=6,
    needs_bias=True,
    statistics=_SINGLE,
)
FUSED_LAYER = Operator(
    "FusedLayerNormalization",
    "LayerNorm",
    "LayerNorm",
    "NX101",
    seats.consecutive,
    domain=DOMAIN,
    needs_bias=True,
)
FUSED_RMS = Operator(
    "FusedRMSNormalization",
    "RMSNorm",
    "RMSNorm",
    "NX102",
    seats.consecutive,
    domain=DOMAIN,
    takes_bias=False,
)

FIRST_BODY = 7
"""The first opset in which the operators of the domain normonnx can be written as functions."""

_STANDARD: Mapping[Kind, Operator] = {"LayerNorm": LAYER, "RMSNorm": RMS}
_OWN: Mapping[Kind, Operator] = {"LayerNorm": FUSED_LAYER, "RMSNorm": FUSED_RMS}
SPATIAL = (INSTANCE, GROUP)
"""What is made for images."""


def candidates(
    context: Context, kind: Kind, highest: int | None, *, also: frozenset[str] = frozenset()
) -> list[Operator]:
    """The operators that a norm may be written with, the preferred first.

    Args:
        context: of the run, which says what for and by which rules.
        kind: the normal form of the norm.
        highest: the highest opset that the graph can have; None for any.
        also: codes of further rules.
    """
    standard = _STANDARD[kind]
    bodies = highest is None or highest >= FIRST_BODY  # for a lower opset there are none
    within_reach = highest is None or standard.opset <= highest
    own = bodies and (context.target == DOMAIN or not within_reach)
    found = [_OWN[kind]] if own else [standard]
    if own and context.target == "ort":
        found = [standard, *found]  # with the sum before it, it is another operator in any opset
    found += [
        operator
        for operator in SPATIAL
        if operator.kind == kind
        and (highest is None or operator.opset <= highest)
        and operator.rule not in context.rules_off
        and (RULES[operator.rule].by_default or operator.rule in context.rules_on | also)
    ]
    return found
