"""The two ways of rewriting an affine site: backward into producers, forward into readers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import onnx_ir as ir

from normonnx.affine.absorb import ABSORB, materialise
from normonnx.affine.feed import FEED
from normonnx.affine.map import AffineMap
from normonnx.affine.norm_scale import without_map
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.travel import BACKWARD, FORWARD
from normonnx.affine.weights import describe
from normonnx.journal import Refusal, RefusedError
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.rewrite import Context, Proposal, gain
from normonnx.values.shapes import CONTRADICTIONS

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


class Backward(Attempt):
    """y = m(f(x)) → f′(x)."""

    def rewrite(self) -> None:
        node, m = self.found.node, self.found.map
        out = node.outputs[0]
        self.proposal.replace(out, self._push_or_write(self.found.source, m, node, out))

    def _push_or_write(
        self,
        value: ir.Value,
        m: AffineMap,
        reader: ir.Node,
        like: ir.Value,
        *,
        must_vanish: bool = False,
    ) -> ir.Value:
        if m.is_identity:
            return value
        if must_vanish:
            new = self._push(value, m, reader, must_vanish=True)
            self.proposal.redirect(value, new)
            return new
        mark, takers = self.proposal.mark(), len(self.takers)
        try:
            new = self._push(value, m, reader, must_vanish=False)
        except RefusedError as error:
            self.obstacles.append(error.refusal)
            self.proposal.rewind(mark)
            del self.takers[takers:]
            return materialise(self.proposal, value, m, like)
        self.proposal.redirect(value, new)
        return new

    def _push(
        self, value: ir.Value, m: AffineMap, reader: ir.Node, *, must_vanish: bool
    ) -> ir.Value:
        producer = value.producer()
        if producer is None:
            what = "an input of the graph" if value.is_graph_input() else "a constant"
            raise RefusedError(f"it follows '{value.name}', {what}")
        if producer.graph is not self.proposal.graph:
            raise RefusedError(f"{describe(producer)} belongs to the enclosing graph")
        swallows = onnx_name(producer) in ABSORB
        if not (swallows and self.context.allow_duplicate):
            self._check_value(value, reader=reader)
        inner = recognise(self.context, producer)
        if isinstance(inner, Affine):
            composed = None if is_part_of_gelu(inner) else m.after(inner.map)
            if composed is not None:
                self.affine.insert(0, producer.op_type)
                return self._push_or_write(
                    inner.source, composed, producer, value, must_vanish=must_vanish
                )
        if swallows:
            new = ABSORB[producer.op_type](self.proposal, producer, m)
            self.takers.append(producer.op_type)
            self.proposal.rule = RULE_OF.get(producer.op_type, MERGE_RULE)
            return new
        if onnx_name(producer) in BACKWARD:

            def push(
                upstream: ir.Value, part: AffineMap, *, must_vanish: bool = must_vanish
            ) -> ir.Value:
                return self._push_or_write(
                    upstream, part, producer, upstream, must_vanish=must_vanish
                )

            index = value.index()
            assert index is not None
            return BACKWARD[producer.op_type](self.proposal, producer, index, m, push)
        if isinstance(inner, Affine) and is_part_of_gelu(inner):
            raise RefusedError(
                f"it follows a GELU, which ends in {describe(producer)} and is no linear map"
            )
        raise RefusedError(f"{describe(producer)} cannot take it")


class Forward(Attempt):
    """f(m(x)) → f′(x), for every f that reads m(x)."""

    is_backward = False

    def rewrite(self) -> None:
        self.proposal.rule = FORWARD_RULE
        self._spread(self.found.node.outputs[0], self.found.source, self.found.map)

    def _spread(self, old: ir.Value, new: ir.Value, m: AffineMap) -> None:
        """Give every reader of `old`, which is m(new), the value `new` instead."""
        if m.is_identity:
            self.proposal.replace(old, new)
            return
        if old.is_graph_output():
            raise RefusedError(f"'{old.name}' is an output of the graph")
        readers = [use for use in old.uses() if use.node.graph is not None]
        seen: set[ir.Node] = set()
        for use in readers:
            node = use.node
            if facts_of(node).reads_shape_only:
                continue
            if node.graph is not self.proposal.graph:
                raise RefusedError(f"{describe(node)} in a subgraph reads it")
            if node in seen:
                raise RefusedError(f"{describe(node)} reads it twice")
            seen.add(node)
            self._feed(node, use.idx, new, m)
        if not seen:
            raise RefusedError("nothing reads it")
        self.proposal.redirect(old, new)

    def _feed(self, node: ir.Node, index: int, new: ir.Value, m: AffineMap) -> None:
        outer = recognise(self.context, node)
        if isinstance(outer, Affine):
            composed = outer.map.after(m)
            if composed is not None:
                self.affine.append(node.op_type)
                self._spread(node.outputs[0], new, composed)
                return
        if onnx_name(node) in FEED:
            rests = FEED[node.op_type](self.proposal, node, index, new, m)
            self.takers.append(node.op_type)
            for old, value, rest in rests:
                self._write_rest(old, value, rest)
            return
        if onnx_name(node) in FORWARD:
            for old, value, rest in FORWARD[node.op_type](self.proposal, node, index, new, m):
                self._spread(old, value, rest)
            return
        raise RefusedError(f"{describe(node)}, which reads it, cannot take it")

    def _write_rest(self, old: ir.Value, value: ir.Value, rest: AffineMap) -> None:
        """What a layer could not take goes into the Add behind it, or is written out."""
        readers = [use for use in old.uses() if use.node.graph is not None]
        if not rest.is_identity and len(readers) == 1 and not old.is_graph_output():
            node = readers[0].node
            bias = recognise(self.context, node) if node.graph is self.proposal.graph else None
            if isinstance(bias, Affine):
                composed = bias.map.after(rest)
                if composed is not None:
                    out = node.outputs[0]
                    new = materialise(self.proposal, value, composed, out)
                    self.proposal.replace(out, new)
                    return
        self.proposal.replace(old, materialise(self.proposal, value, rest, old))


class NormScale(Forward):
    """f(γ·n(x) + β) → f′(n(x))."""

    def rewrite(self) -> None:
        node = self.found.node
        bare = without_map(self.proposal, node)
        self._spread(node.outputs[0], bare, self.found.map)
