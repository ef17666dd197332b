"""One way of rewriting an affine site: what backward and forward have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import onnx_ir as ir

from normonnx.affine.absorb import ABSORB
from normonnx.affine.map import AffineMap
from normonnx.affine.recognise import Affine
from normonnx.affine.weights import describe
from normonnx.journal import Refusal, RefusedError
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.rewrite import Context, Proposal, gain
from normonnx.values.shapes import CONTRADICTIONS

IDENTITY = AffineMap.along(None)

_GELU_ROOTS = frozenset({"Erf", "Tanh"})
_GELU_DEPTH = 4

RULE_OF = {
    "Conv": "NX001",
    "ConvTranspose": "NX001",
    "Gemm": "NX002",
    "MatMul": "NX002",
    "Einsum": "NX002",
}
FORWARD_RULE = "NX003"
MERGE_RULE = "NX004"


def key_of(node: ir.Node) -> str:
    return f"affine:{node.outputs[0].name}"


def is_part_of_gelu(found: Affine) -> bool:
    """The ½ of ½·x·(1 + erf(x/√2)): runtimes fuse a GELU only while all its nodes are there."""
    if found.map.axis is not None or not found.map.is_scale:
        return False
    product = found.source.producer()
    if product is None or onnx_name(product) != "Mul":
        return False
    level = [product]
    for _ in range(_GELU_DEPTH):
        level = [p for n in level for v in n.inputs if v is not None and (p := v.producer())]
        if any(onnx_name(node) in _GELU_ROOTS for node in level):
            return True
    return False


class Attempt(ABC):
    """One way of rewriting a site: the proposal, and the facts that stood in the way."""

    is_backward = True

    def __init__(self, context: Context, graph: ir.Graph, found: Affine, kind: str) -> None:
        self.context = context
        self.found = found
        self.obstacles: list[Refusal] = []
        self.takers: list[str] = []
        self.affine: list[str] = [found.node.op_type]
        self.gain: int = 0
        self.proposal: Proposal = Proposal(
            context,
            graph,
            key=key_of(found.node),
            rule=MERGE_RULE,
            site=found.node,
            kind=kind,
        )

    def build(self) -> None:
        """Build the proposal and count its gain, or note the obstacle."""
        try:
            self.rewrite()
        except RefusedError as error:
            self.obstacles.append(error.refusal)
            self.proposal.withdraw()
            return
        except CONTRADICTIONS:
            self.obstacles.append(Refusal("the sizes near it contradict one another"))
            self.proposal.withdraw()
            return
        self.gain = gain(self.proposal)

    @abstractmethod
    def rewrite(self) -> None:
        """Fill the proposal, or raise RefusedError."""

    def summary(self) -> str:
        """Such as ``Conv·BatchNormalization → Conv``."""
        takers = list(dict.fromkeys(self.takers))
        old = [*takers, *self.affine] if self.is_backward else [*self.affine, *takers]
        new = takers or [node.op_type for node in self.proposal.nodes]
        return f"{'·'.join(old)} → {'·'.join(new) or 'nothing'}"

    def _check_value(self, value: ir.Value, *, reader: ir.Node | None) -> None:
        """Only the site may read a value that is to vanish, and it must be of this graph."""
        producer = value.producer()
        if value.is_graph_output():
            raise RefusedError(f"'{value.name}' is an output of the graph")
        others = [
            use.node
            for use in value.uses()
            if use.node is not reader
            and not facts_of(use.node).reads_shape_only
            and use.node.graph is not None
        ]
        if others:
            raise RefusedError(
                f"'{value.name}' is also read by {describe(others[0])}",
                f"--allow-duplicate folds into a copy of {describe(producer)}"
                if producer is not None and onnx_name(producer) in ABSORB
                else "",
            )
