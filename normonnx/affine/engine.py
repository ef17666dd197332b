"""The affine engine: batch normalisation and constant arithmetic go to where they cost nothing.

A site is the last of a run of affine nodes. Its map travels backward, composed with every affine
node it meets, until a producer swallows it; or forward, until every reader does. What no one
swallows is written out again. Both ways are built, and the one that saves more nodes is proposed.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.affine.attempts import (
    FORWARD_RULE,
    RULE_OF,
    Attempt,
    Backward,
    Forward,
    NormScale,
    is_part_of_gelu,
    key_of,
)
from normonnx.affine.norm_scale import NORMS, own_map
from normonnx.affine.norm_scale import RULE as RULE_NORM_SCALE
from normonnx.affine.parallel import merge_parallel
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.stored import is_of_constants, store
from normonnx.journal import Refusal, Rewrite
from normonnx.operators.names import onnx_name
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
        if kind == "BatchNormalization":
            rule = RULE_OF["Conv"]
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
    unread = any(is_left_unread(obstacle.reason) for obstacle in obstacles)
    if kind == "BatchNormalization" or found.map.axis is not None or unread:
        miss(
            context,
            key=key_of(node),
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
) -> Iterator[Attempt]:
    """The ways of rewriting a site that save nodes, the best first, one alive at a time."""
    backward = Backward(context, graph, found, kind)
    backward.build()
    obstacles.extend(backward.obstacles[:1])
    if backward.gain > 0 and not backward.obstacles:
        yield backward
        return
    backward.proposal.withdraw()
    if not backward.obstacles:
        obstacles.append(Refusal("what stays behind it is as large as it is"))
    forward = Forward(context, graph, found, kind)
    forward.build()
    obstacles.extend(forward.obstacles[:1])
    if forward.gain > max(backward.gain, 0):
        yield forward
    else:
        forward.proposal.withdraw()
        if not forward.obstacles:
            obstacles.append(Refusal("what its readers leave over is as large as it is"))
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
