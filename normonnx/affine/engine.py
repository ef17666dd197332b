"""The affine engine: batch normalisation and constant arithmetic go to where they cost nothing.

A site is the last of a run of affine nodes. Its map travels backward, composed with every affine
node it meets, until a producer swallows it; or forward, until every reader does. What no one
swallows is written out again. Both ways are built, and the one that saves more nodes is proposed.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.affine.absorb import ABSORB
from normonnx.affine.attempts import (
    FORWARD_RULE,
    MERGE_RULE,
    RULE_OF,
    Attempt,
    is_part_of_gelu,
    key_of,
)
from normonnx.affine.backward import Backward
from normonnx.affine.forward import Forward, NormScale
from normonnx.affine.norm_scale import NORMS, own_map
from normonnx.affine.norm_scale import RULE as RULE_NORM_SCALE
from normonnx.affine.parallel import merge_parallel
from normonnx.affine.precision import must_not_cancel
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.stored import is_of_constants, store
from normonnx.affine.weights import describe
from normonnx.journal import Refusal, RefusedError, Rewrite
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.rewrite import Context, commit, miss
from normonnx.values.unread import is_left_unread

_ROUNDS = 4
"""The engine stops when a round changes nothing; this many rounds have always been enough."""


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
    if is_of_constants(context, node):
        store(context, graph, node)
        return
    found = recognise(context, node)
    if found is None:
        return
    kind = "BatchNormalization" if node.op_type == "BatchNormalization" else "affine arithmetic"
    if isinstance(found, Refusal):
        layer = _layer_behind(context, node)
        if kind == "BatchNormalization" or layer is not None:
            name = "Conv" if layer is None else onnx_name(layer)
            rule = RULE_OF.get(name, MERGE_RULE)
            miss(context, key=key_of(node), rule=rule, site=node, kind=kind, refusal=found)
        return
    if _is_plain_bias(context, found) or is_part_of_gelu(found):
        return
    obstacles: list[Refusal] = []
    for attempt in _by_gain(context, graph, found, kind, obstacles):
        result = commit(attempt.proposal, summary=attempt.summary())
        if not isinstance(result, Refusal):
            return
        obstacles.insert(0, result)
    notable = any(o.is_notable or is_left_unread(o.reason) for o in obstacles)
    if kind == "BatchNormalization" or found.map.axis is not None or notable:
        miss(
            context,
            key=key_of(node),
            rule=_rule_missed(found),
            site=node,
            kind=kind,
            refusal=_joined(obstacles),
        )


def _layer_behind(context: Context, node: ir.Node) -> ir.Node | None:
    """The layer that a constant is applied to, if it takes maps; what is added to a MatMul aside.

    Of positions that are added to every row, and of masks, there is nothing to tell.
    """
    sources = [v for v in node.inputs if v is not None and not context.constants.is_constant(v)]
    layer = sources[0].producer() if sources else None
    if layer is None or onnx_name(layer) not in ABSORB:
        return None
    is_added = node.op_type in ("Add", "Sub") and onnx_name(layer) in ("MatMul", "Einsum")
    return None if is_added else layer


def _rank(obstacle: Refusal) -> bool:
    """What is notable comes first."""
    return not obstacle.is_notable


def _undone(context: Context, found: Affine) -> Refusal | None:
    """Why a map is not to be moved away from the one beside it that takes it back, or is taken."""
    try:
        for inner in _made_by(context, found.source):
            _must_not_cancel(context, inner, found)
        for outer in _read_by(context, found.node.outputs[0]):
            _must_not_cancel(context, found, outer)
    except RefusedError as error:
        return error.refusal
    return None


def _must_not_cancel(context: Context, inner: Affine, outer: Affine) -> None:
    names = f"{describe(inner.node)} and {describe(outer.node)}"
    must_not_cancel(inner.map, outer.map, context.shapes.dtype(outer.source), of=names)


def _made_by(context: Context, value: ir.Value) -> Iterator[Affine]:
    """The map that a value comes from, elements being moved at most."""
    producer = value.producer()
    while producer is not None:
        site = recognise(context, producer)
        if isinstance(site, Affine):
            yield site
        source = producer.inputs[0] if _only_moves(producer) else None
        producer = None if source is None else source.producer()


def _read_by(context: Context, value: ir.Value) -> Iterator[Affine]:
    """The maps that read a value, elements being moved at most."""
    pending = [value]
    while pending:
        for node in {use.node: None for use in pending.pop().uses()}:
            site = recognise(context, node)
            if isinstance(site, Affine):
                yield site
            elif _only_moves(node):
                pending.append(node.outputs[0])


def _only_moves(node: ir.Node) -> bool:
    return tuple(facts_of(node).moves) == (0,)


def _joined(obstacles: list[Refusal]) -> Refusal:
    """What stands in the way behind it and before it, in one sentence."""
    if not obstacles:
        return Refusal("nothing near it can take the map")
    reasons = list(dict.fromkeys(o.reason for o in sorted(obstacles, key=_rank)))
    remedies = [obstacle.remedy for obstacle in obstacles if obstacle.remedy]
    return Refusal("; and ".join(reasons[:2]), remedies[0] if remedies else "")


def _by_gain(
    context: Context, graph: ir.Graph, found: Affine, kind: str, obstacles: list[Refusal]
) -> Iterator[Attempt]:
    """The ways of rewriting a site that save nodes, the best first, one alive at a time."""
    undone = _undone(context, found)
    if undone is not None:
        obstacles.append(undone)
        return
    backward = Backward(context, graph, found, kind)
    backward.build()
    obstacles.extend(sorted(backward.obstacles, key=_rank)[:1])
    if backward.gain > 0 and not backward.obstacles:
        yield backward
        return
    backward.proposal.withdraw()
    if not backward.obstacles:
        obstacles.append(Refusal("folded backward, it would leave as many nodes"))
    forward = Forward(context, graph, found, kind)
    forward.build()
    obstacles.extend(sorted(forward.obstacles, key=_rank)[:1])
    if forward.gain > max(backward.gain, 0):
        yield forward
    else:
        forward.proposal.withdraw()
        if not forward.obstacles:
            obstacles.append(Refusal("folded forward, it would leave as many nodes"))
    if backward.gain > 0:
        backward = Backward(context, graph, found, kind)
        backward.build()
        yield backward


def _rule_missed(found: Affine) -> str:
    producer = found.source.producer()
    return RULE_OF.get(onnx_name(producer), FORWARD_RULE) if producer is not None else FORWARD_RULE


def _is_plain_bias(context: Context, found: Affine) -> bool:
    """An Add behind a MatMul is that layer's bias, and as small as it gets."""
    producer = found.source.producer()
    return (
        found.map.is_shift
        and producer is not None
        and onnx_name(producer) == "MatMul"
        and any(context.constants.is_constant(value) for value in producer.inputs)
    )


def _move_norm_scales(context: Context) -> None:
    for graph in list(context.graphs()):
        for node in list(graph):
            if node.graph is not graph or onnx_name(node) not in NORMS:
                continue
            m = own_map(context, node)
            source = node.inputs[0]
            if m is None or source is None:
                continue
            attempt = NormScale(context, graph, Affine(node, source, m), node.op_type)
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
                    key=key_of(node),
                    rule=RULE_NORM_SCALE,
                    site=node,
                    kind=node.op_type,
                    refusal=result,
                )
