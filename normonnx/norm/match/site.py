"""A norm that was recognised, and a root that is part of none."""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct

from normonnx.norm.match.attach import AffineParameters
from normonnx.norm.match.residual import Residual
from normonnx.norm.match.source import Source
from normonnx.targets import TARGETS, NormOperator

_LAYER_NORM = "NX101"
_RULES = {
    operator.title: operator.rule for target in TARGETS.values() for operator in target.operators
}
"""The rules by what a norm is to a person."""


class NormSite(Struct, frozen=True):
    """A norm that can be written as one operator.

    Attributes:
        operator: what it is written with.
        root: the node that takes its root.
        x: the value that is normalised.
        output: the value that is replaced.
        axes: the normalised axes of x.
        epsilon: e, in float64.
        source: how the operator comes to read x, and its type.
        affine: scale and bias.
        groups: how many groups of channels are normalised apart, 0 where all are alike.
        residual: the sum that is taken along, or None.
        saves: nodes that go less nodes that come.
    """

    operator: NormOperator
    root: ir.Node
    x: ir.Value
    output: ir.Value
    axes: tuple[int, ...]
    epsilon: float
    source: Source
    affine: AffineParameters
    groups: int = 0
    residual: Residual | None = None
    saves: int = 0

    @property
    def kind(self) -> str:
        """What it is to a person."""
        return self.operator.title

    @property
    def rule(self) -> str:
        """The code of its rule."""
        return self.operator.rule

    @property
    def key(self) -> str:
        """The key of its rewrite."""
        return f"{self.rule}:{self.output.name}"

    @property
    def needs_opset(self) -> int:
        """The first opset that has its operator, 0 where that comes with the model."""
        return self.operator.opset if self.residual is None else 0

    @property
    def outputs(self) -> list[ir.Value]:
        """The values that are replaced."""
        if self.residual is None or not self.residual.is_read:
            return [self.output]
        return [self.output, self.residual.total]

    @property
    def worth(self) -> bool:
        """Whether writing it is a gain."""
        return self.saves >= self.least_gain

    @property
    def least_gain(self) -> int:
        """How many nodes it must save: none where one of as many has a faster kernel."""
        faster = self.operator.domain != "" and self.root.op_type == "LayerNormalization"
        return 0 if faster else 1

    @property
    def nodes(self) -> int:
        """How many nodes are written."""
        beside = (self.affine.factor, self.affine.addend)
        added = not self.operator.takes_bias and self.affine.bias is not None
        return 1 + self.source.nodes + sum(value is not None for value in beside) + added

    @property
    def reads(self) -> frozenset[ir.Value]:
        """The values that the new nodes read."""
        operands = [o.value for o in (self.affine.scale, self.affine.bias) if o is not None]
        sources = [self.x]
        if self.residual is not None:
            sources = [self.residual.x, self.residual.other]
        values = [*sources, self.affine.factor, self.affine.addend, *operands]
        return frozenset(value for value in values if value is not None)


class NormMiss(Struct, frozen=True):
    """A root whose surroundings look like a norm and are none that can be written.

    Attributes:
        kind: what it looks like.
        root: the node.
        reason: one sentence.
        remedy: what the user could do, or "".
        weight: how near it comes; of several reasons the heaviest counts.
    """

    kind: str
    root: ir.Node
    reason: str
    remedy: str = ""
    weight: int = 1

    @property
    def rule(self) -> str:
        """The code of the rule that nearly fired."""
        return _RULES.get(self.kind, _LAYER_NORM)

    @property
    def key(self) -> str:
        """The key of the near miss."""
        return f"{self.rule}:{self.root.outputs[0].name}"
