"""Where to look: the roots of a graph, and what may be the subject of one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.norm.algebra.scalars import Scalars
from normonnx.norm.match.cone import passed_by_all
from normonnx.operators.names import onnx_name
from normonnx.ops.operators import DOMAIN
from normonnx.rewrite import Context
from normonnx.values.shapes import attribute_int

_MAX_NODES = 24
_MAX_STEPS = 8
_MAX_SUBJECTS = 10
_MAX_FARTHER = 6
"""Of these so many that are beyond all that reductions are over."""

_ROOTS = frozenset({"Sqrt", "ReduceL2", "Pow", "Exp"})
NORMALISERS = frozenset(
    {"BatchNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization"}
)
"""Operators that hold a root."""

_DONE = frozenset({"LayerNormalization", "RMSNormalization"})
"""Those that are what would be written for them, unless the operators of another domain are."""

_CARRIERS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_REDUCTIONS = frozenset(
    "GlobalAveragePool ReduceL1 ReduceL2 ReduceMean ReduceSum ReduceSumSquare".split()
)
_MIXING = (
    _REDUCTIONS | NORMALISERS | frozenset("AveragePool Conv CumSum Einsum MatMul Split".split())
)
"""Operators that may put the elements of an axis together."""

_ROW_OPERATORS = frozenset(
    """Abs Add Cast CastLike Clip Div Expand Flatten Identity Max Min Mul Neg Pow Reciprocal Relu
    Reshape Sqrt Squeeze Sub Sum Transpose Unsqueeze""".split()
)
_COPIES = frozenset({"Cast", "CastLike", "Identity"})
_MULTIPLES = frozenset({"Cast", "Div", "Identity", "Mul", "Neg"})
_VIEWS = frozenset("Cast CastLike Flatten Identity Pow Reshape Squeeze Transpose Unsqueeze".split())


def roots(context: Context) -> list[ir.Node]:
    """The nodes of all graphs that may be the root of a norm, in the order of their graphs."""
    found: list[ir.Node] = []
    model = context.model
    functions = [f.graph for f in model.functions.values() if f.domain != DOMAIN]
    pending = [model.graph, *functions]
    while pending:
        for node in pending.pop(0):
            if node.domain == "" and _is_root(context, node):
                found.append(node)
            elif onnx_name(node) in _CARRIERS or node.domain != "":
                pending.extend(subgraphs(node))
    return found


def _is_root(context: Context, node: ir.Node) -> bool:
    """Sqrt, ReduceL2, Pow with half a power, or a normaliser, of something that is no constant."""
    is_constant = context.constants.is_constant
    if node.op_type not in _ROOTS | NORMALISERS or not node.inputs or is_constant(node.inputs[0]):
        return False
    if node.op_type in _DONE:
        return context.target.improves_written
    if node.op_type == "BatchNormalization":
        given = len(node.inputs) > 4 and is_constant(node.inputs[4])
        return not given or attribute_int(node, "training_mode", 0) == 1
    if node.op_type == "Exp":
        return _is_power(node)
    if node.op_type != "Pow":
        return True
    exponent = context.constants.array(node.inputs[1])
    if exponent is None or exponent.size != 1 or np.iscomplexobj(exponent):
        return False
    return abs(float(exponent.item())) == 0.5


def _is_power(node: ir.Node) -> bool:
    """Whether Exp is taken of a multiple of a logarithm."""
    pending = [node]
    for above in itertools.islice(pending, _MAX_STEPS):
        producers = [value.producer() for value in above.inputs if value is not None]
        known = [p for p in producers if p is not None and p.domain == ""]
        if any(producer.op_type == "Log" for producer in known):
            return True
        pending.extend(producer for producer in known if producer.op_type in _MULTIPLES)
    return False


def subjects(context: Context, root: ir.Node, scalars: Scalars) -> list[ir.Value]:
    """What x may be: the values that reductions above the root are over, the farthest first."""
    search = _Search(context, root.graph, scalars)
    pending = [root]
    seen: set[ir.Node] = set()
    while pending and len(seen) < _MAX_NODES:
        node = pending.pop(0)
        if node in seen or node.graph is not root.graph or node.domain != "":
            continue
        seen.add(node)
        if search.is_reduction(node) or node.op_type in NORMALISERS:
            search.over(node.inputs[0], 0)
        pending.extend(_above(node))
    ranked = sorted(search.found, key=lambda value: -search.found[value])
    passed = _spread_out(passed_by_all(context, root))
    farther = list(itertools.takewhile(lambda value: value not in search.found, passed))
    return list(dict.fromkeys([*farther[-_MAX_FARTHER:], *ranked, *passed]))[:_MAX_SUBJECTS]


def _spread_out(passed: Sequence[ir.Value]) -> list[ir.Value]:
    """Those that are read more than once or put together along an axis, and what they are views of.

    Args:
        passed: values that all ways to a root pass, the nearest first.

    Returns:
        The farthest first.
    """
    found: list[ir.Value] = []
    for value in passed:
        uses = value.uses()
        readers = [use.node for use in uses]
        is_mixed = any(reader.op_type in _MIXING for reader in readers)
        is_viewed = any(
            reader.op_type in _VIEWS and found and reader.outputs[0] is found[-1]
            for reader in readers
        )
        if len(uses) > 1 or is_mixed or is_viewed:
            found.append(value)
    return found[::-1]


def _above(node: ir.Node) -> list[ir.Node]:
    """The nodes that compute the inputs of a node, if reductions behind it may be of one root."""
    if node.op_type not in _ROW_OPERATORS and node.op_type != "BatchNormalization":
        return []
    producers = [value.producer() for value in node.inputs if value is not None]
    return [producer for producer in producers if producer is not None]


class _Search:
    """What was found above one root: possible subjects, with how far up they are."""

    def __init__(
        self, context: Context, graph: ir.Graph | ir.Function | None, scalars: Scalars
    ) -> None:
        self.context = context
        self.graph = graph
        self.scalars = scalars
        self.found: dict[ir.Value, int] = {}

    def is_reduction(self, node: ir.Node) -> bool:
        if node.op_type == "MatMul":
            return self.scalars.of(node.inputs[1]) is not None
        return node.op_type in _REDUCTIONS

    def over(self, value: ir.Value | None, steps: int, *, reduced: bool = True) -> None:
        """Note what is reduced: itself, what it is the square or deviation of, or a view of.

        Args:
            value: what may be the subject, or lead to it.
            steps: how far it is from the reduction.
            reduced: whether it is itself what is reduced, copies aside.
        """
        if value is None or self.context.constants.is_constant(value) or steps > _MAX_STEPS:
            return
        node = value.producer()
        self.found[value] = max(self.found.get(value, 0), steps)
        if node is None or node.graph is not self.graph or node.domain != "":
            return
        if self.is_reduction(node):  # a mean that is subtracted, or a mean of means
            self.over(node.inputs[0], steps + 1, reduced=False)
        elif node.op_type == "Sub":
            self.over(node.inputs[0], steps + 1, reduced=False)
            self.over(node.inputs[1], steps + 1, reduced=False)
        elif node.op_type in _VIEWS:
            self.over(node.inputs[0], steps + 1, reduced=reduced and node.op_type in _COPIES)
        elif node.op_type == "Mul" and (reduced or node.inputs[0] is node.inputs[1]):
            for operand in dict.fromkeys(node.inputs):
                self.over(operand, steps + 1, reduced=False)
