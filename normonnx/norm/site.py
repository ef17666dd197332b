"""A norm that was recognised, and a root that is part of none."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from normonnx.norm.attach import Affine
from normonnx.norm.normal_form import Kind
from normonnx.norm.source import Source

RULE = {"LayerNorm": "NX101", "RMSNorm": "NX102"}
OPERATOR = {"LayerNorm": "LayerNormalization", "RMSNorm": "RMSNormalization"}
NEEDED_OPSET = {"LayerNorm": 17, "RMSNorm": 23}


@dataclass(frozen=True, slots=True)
class NormSite:
    """A norm that can be written as one operator.

    Attributes:
        kind: LayerNorm or RMSNorm.
        root: the node that takes its root.
        x: the value that is normalised.
        output: the value that is replaced.
        axes: the normalised axes of x.
        epsilon: e, in float64.
        source: how the operator comes to read x, and its type.
        affine: scale and bias.
        saves: nodes that go less nodes that come.
    """

    kind: Kind
    root: ir.Node
    x: ir.Value
    output: ir.Value
    axes: tuple[int, ...]
    epsilon: float
    source: Source
    affine: Affine
    saves: int = 0

    @property
    def rule(self) -> str:
        """The code of its rule."""
        return RULE[self.kind]

    @property
    def key(self) -> str:
        """The key of its rewrite."""
        return f"{self.rule}:{self.output.name}"

    @property
    def needs_opset(self) -> int:
        """The first opset that has its operator."""
        return NEEDED_OPSET[self.kind]

    @property
    def nodes(self) -> int:
        """How many nodes are written."""
        beside = (self.affine.factor, self.affine.addend)
        added = self.kind == "RMSNorm" and self.affine.bias is not None
        return 1 + self.source.nodes + sum(value is not None for value in beside) + added

    @property
    def reads(self) -> frozenset[ir.Value]:
        """The values that the new nodes read."""
        operands = [o.value for o in (self.affine.scale, self.affine.bias) if o is not None]
        values = [self.x, self.affine.factor, self.affine.addend, *operands]
        return frozenset(value for value in values if value is not None)


@dataclass(frozen=True, slots=True)
class NormMiss:
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
        return RULE.get(self.kind, "NX101")

    @property
    def key(self) -> str:
        """The key of the near miss."""
        return f"{self.rule}:{self.root.outputs[0].name}"
