"""The simplifying engine: every rule looks at every node, until none finds anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import onnx_ir as ir

from normonnx.graph.nesting import graphs_within, walk
from normonnx.journal import Refusal
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, commit
from normonnx.simplify import (
    branches,
    chains,
    constants,
    nothing,
    padding,
    products,
    selections,
    siblings,
    sizes,
    transposes,
    twice,
    unread,
    views,
)
from normonnx.simplify.budget import Budget
from normonnx.simplify.rule import CONSTANTS, SHAPES, Finder
from normonnx.values.shapes import Shapes

_ROUNDS = 16
"""A round that changes nothing is the last; a chain of any length takes one or two."""


def simplify(context: Context) -> None:
    """Work out what can be, and take out what does nothing, is said twice or is not read."""
    rewrites = context.journal.rewrites
    told = len(rewrites)
    budget = Budget(context.copies.stored)
    for _ in range(_ROUNDS):
        if _round(context, told, budget) or transposes.move(context):
            continue
        if not any(rewrite.rule in (CONSTANTS, SHAPES) for rewrite in rewrites[told:]):
            break
        # onnx infers more of a model whose targets have become constants.
        context.shapes = Shapes(context.model, context.constants)
        told = len(rewrites)
    constants.store_nodes(context)
    twice.merge_initializers(context)
    unread.drop_outputs(context)


def _round(context: Context, told: int, budget: Budget) -> bool:
    """Let every rule look at every node; whether one found something.

    Args:
        context: of the run.
        told: how many rewrites there were when the sizes were last inferred.
        budget: what constants may add.
    """
    rewrites = context.journal.rewrites
    before = len(rewrites)
    unread.drop_unread(context)
    constants.look_ahead(budget, context)
    for node in list(walk(context.model.graph)):
        if node.graph is not None:
            if rewrites:
                context.shapes.look_again(node)
            _node(context, node, budget)
    for graph in graphs_within(context.model.graph):
        twice.merge_nodes(context, graph)
    return len(rewrites) > before


def _node(context: Context, node: ir.Node, budget: Budget) -> None:
    """Make the first simplification that can be made."""
    for finder in _finders(node, budget):
        found = finder(context, node)
        if found is None:
            continue
        result = commit(found.proposal, summary=found.summary)
        if not isinstance(result, Refusal):
            return


def _finders(node: ir.Node, budget: Budget) -> Iterator[Finder]:
    """The rules that may say something of a node, in the order in which they are asked."""
    if node.outputs:
        yield partial(constants.worked_out, budget)
        if name := onnx_name(node):
            yield sizes.known_numbers
            yield nothing.gives_back
            yield from _OF_OPERATOR.get(name, ())


_OF_OPERATOR: Mapping[str, Sequence[Finder]] = {
    "Transpose": (chains.transposes, views.views, products.transposed_product),
    "Add": (products.added_bias,),
    "Gemm": (products.transposed_operand,),
    "Reshape": (views.views, views.kept_axes, sizes.reshape),
    **dict.fromkeys(("Flatten", "Squeeze", "Unsqueeze"), (views.views, views.kept_axes)),
    "Cast": (chains.casts,),
    "Gather": (selections.selections,),
    "Slice": (chains.slices, selections.selections, siblings.split),
    "Pad": (padding.pads,),
    "Split": (selections.split_parts,),
    "Concat": (chains.concats, selections.joined_parts),
    "Conv": (padding.into_convolution,),
    "Expand": (sizes.expand, sizes.expands),
    "If": (branches.taken,),
}
"""The rules about one operator of ONNX's."""
