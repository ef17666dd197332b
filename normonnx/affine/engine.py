"""The affine engine: batch normalisation and constant arithmetic go to where they cost nothing.

A site is the last of a run of affine nodes. Its map travels backward, composed with every affine
node it meets, until a producer swallows it; or forward, until every reader does. What no one
swallows is written out again. Both ways are built, and the one that saves more nodes is proposed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import onnx_ir as ir

from normonnx.affine.absorb import ABSORB, materialise
from normonnx.affine.feed import FEED
from normonnx.affine.map import AffineMap
from normonnx.affine.norm_scale import NORMS, own_map, without_map
from normonnx.affine.norm_scale import RULE as RULE_NORM_SCALE
from normonnx.affine.parallel import merge_parallel
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.travel import BACKWARD, FORWARD
from normonnx.affine.weights import describe
from normonnx.journal import Rewrite
from normonnx.rewrite import (
    SHAPE_READERS,
    Context,
    Proposal,
    Refusal,
    RefusedError,
    commit,
    gain,
    miss,
)

_ROUNDS = 4
"""The engine stops when a round changes nothing; this many rounds have always been enough."""

_GELU_ROOTS = frozenset({"Erf", "Tanh"})
_GELU_DEPTH = 4

_RULE_OF = {
    "Conv": "NX001",
    "ConvTranspose": "NX001",
    "Gemm": "NX002",
    "MatMul": "NX002",
    "Einsum": "NX002",
}
_FORWARD_RULE = "NX003"
_MERGE_RULE = "NX004"


def fold_affine(context: Context) -> None:
    """Fold every affine site of the model that can be folded, and note why for the others."""
    for _ in range(_ROUNDS):
        before = len(context.journal.rewrites)
        for graph in list(context.graphs()):
            for node in reversed(list(graph)):
                if node.graph is graph:
                    _site(context, graph, node)
        merge_parallel(context)
        if RULE_NORM_SCALE in context.rules_on:
            _move_norm_scales(context)
        if len(context.journal.rewrites) == before:
            return


def _site(context: Context, graph: ir.Graph, node: ir.Node) -> None:
    found = recognise(context, node)
    if found is None:
        return
    kind = "BatchNormalization" if node.op_type == "BatchNormalization" else "affine arithmetic"
    if isinstance(found, Refusal):
        if kind == "BatchNormalization":
            rule = _RULE_OF["Conv"]
            miss(context, key=_key(node), rule=rule, site=node, kind=kind, refusal=found)
        return
    if _is_plain_bias(context, found) or is_part_of_gelu(found):
        return
    obstacles: list[Refusal] = []
    for attempt in _by_gain(context, graph, found, kind, obstacles):
        result = commit(attempt.proposal, summary=attempt.summary())
        if not isinstance(result, Refusal):
            return
        obstacles.insert(0, result)
    if kind == "BatchNormalization" or found.map.axis is not None:
        miss(
            context,
            key=_key(node),
            rule=_rule_missed(found),
            site=node,
            kind=kind,
            refusal=_joined(obstacles),
        )


def _joined(obstacles: list[Refusal]) -> Refusal:
    """What stands in the way behind it and before it, in one sentence."""
    if not obstacles:
        return Refusal("nothing near it can take the map")
    reasons = list(dict.fromkeys(obstacle.reason for obstacle in obstacles))
    remedies = [obstacle.remedy for obstacle in obstacles if obstacle.remedy]
    return Refusal("; and ".join(reasons[:2]), remedies[0] if remedies else "")


def _by_gain(
    context: Context, graph: ir.Graph, found: Affine, kind: str, obstacles: list[Refusal]
) -> Iterator[_Attempt]:
    """The ways of rewriting a site that save nodes, the best first, one alive at a time."""
    backward = _Backward(context, graph, found, kind)
    backward.build()
    obstacles.extend(backward.obstacles[:1])
    if backward.gain > 0 and not backward.obstacles:
        yield backward
        return
    backward.proposal.withdraw()
    forward = _Forward(context, graph, found, kind)
    forward.build()
    obstacles.extend(forward.obstacles[:1])
    if forward.gain > max(backward.gain, 0):
        yield forward
    else:
        forward.proposal.withdraw()
    if backward.gain > 0:
        backward = _Backward(context, graph, found, kind)
        backward.build()
        yield backward


def _key(node: ir.Node) -> str:
    return f"affine:{node.outputs[0].name}"


def _rule_missed(found: Affine) -> str:
    producer = found.source.producer()
    return _RULE_OF.get(producer.op_type, _FORWARD_RULE) if producer is not None else _FORWARD_RULE


def _is_plain_bias(context: Context, found: Affine) -> bool:
    """An Add behind a MatMul is that layer's bias, and as small as it gets."""
    producer = found.source.producer()
    return (
        found.map.is_shift
        and producer is not None
        and producer.op_type == "MatMul"
        and any(context.constants.is_constant(value) for value in producer.inputs)
    )


def is_part_of_gelu(found: Affine) -> bool:
    """The ½ of ½·x·(1 + erf(x/√2)): runtimes fuse a GELU only while all its nodes are there."""
    if found.map.axis is not None or not found.map.is_scale:
        return False
    product = found.source.producer()
    if product is None or product.op_type != "Mul":
        return False
    level = [product]
    for _ in range(_GELU_DEPTH):
        level = [p for n in level for v in n.inputs if v is not None and (p := v.producer())]
        if any(node.op_type in _GELU_ROOTS for node in level):
            return True
    return False


def _move_norm_scales(context: Context) -> None:
    for graph in list(context.graphs()):
        for node in list(graph):
            if node.graph is not graph or node.domain != "" or node.op_type not in NORMS:
                continue
            m = own_map(context, node)
            source = node.inputs[0]
            if m is None or source is None:
                continue
            attempt = _NormScale(context, graph, Affine(node, source, m), node.op_type)
            attempt.proposal.rule, attempt.proposal.least_gain = RULE_NORM_SCALE, 0
            attempt.build()
            result: Refusal | Rewrite = (
                attempt.obstacles[0]
                if attempt.obstacles
                else commit(attempt.proposal, summary=attempt.summary())
            )
            if isinstance(result, Refusal):
                miss(
                    context,
                    key=_key(node),
                    rule=RULE_NORM_SCALE,
                    site=node,
                    kind=node.op_type,
                    refusal=result,
                )


class _Attempt(ABC):
    """One way of rewriting a site: the proposal, and the facts that stood in the way."""

    is_backward = True

    def __init__(self, context: Context, graph: ir.Graph, found: Affine, kind: str) -> None:
        self.context = context
        self.found = found
        self.obstacles: list[Refusal] = []
        self.takers: list[str] = []
        self.affine = [found.node.op_type]
        self.gain = 0
        self.proposal = Proposal(
            context,
            graph,
            key=_key(found.node),
            rule=_MERGE_RULE,
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
            and use.node.op_type not in SHAPE_READERS
            and use.node.graph is not None
        ]
        if others:
            raise RefusedError(
                f"'{value.name}' is also read by {describe(others[0])}",
                f"--allow-duplicate folds into a copy of {describe(producer)}"
                if producer is not None and producer.op_type in ABSORB
                else "",
            )


class _Backward(_Attempt):
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
        swallows = producer.domain == "" and producer.op_type in ABSORB
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
            self.proposal.rule = _RULE_OF.get(producer.op_type, _MERGE_RULE)
            return new
        if producer.domain == "" and producer.op_type in BACKWARD:

            def push(
                upstream: ir.Value, part: AffineMap, *, must_vanish: bool = must_vanish
            ) -> ir.Value:
                return self._push_or_write(
                    upstream, part, producer, upstream, must_vanish=must_vanish
                )

            index = value.index()
            assert index is not None
            return BACKWARD[producer.op_type](self.proposal, producer, index, m, push)
        raise RefusedError(f"{describe(producer)} cannot take it")


class _Forward(_Attempt):
    """f(m(x)) → f′(x), for every f that reads m(x)."""

    is_backward = False

    def rewrite(self) -> None:
        self.proposal.rule = _FORWARD_RULE
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
            if node.op_type in SHAPE_READERS:
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
        if node.domain == "" and node.op_type in FEED:
            rests = FEED[node.op_type](self.proposal, node, index, new, m)
            self.takers.append(node.op_type)
            for old, value, rest in rests:
                self._write_rest(old, value, rest)
            return
        if node.domain == "" and node.op_type in FORWARD:
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


class _NormScale(_Forward):
    """f(γ·n(x) + β) → f′(n(x))."""

    def rewrite(self) -> None:
        node = self.found.node
        bare = without_map(self.proposal, node)
        self._spread(node.outputs[0], bare, self.found.map)


def affine_nodes(context: Context) -> list[Affine]:
    """Every affine node of the model, for inspection."""
    found = (recognise(context, node) for graph in context.graphs() for node in graph)
    return [site for site in found if isinstance(site, Affine)]
