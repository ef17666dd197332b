"""The numbers of two sides that are the same operators, compared as they stand.

Each value of both sides is brought into the form scale ⊙ source + shift. Where an old value and the
one that stands for it have the same source, scale and shift, they are the same function at every
size; nothing is evaluated. A window that is none of this kind is left to other proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.oracle.execution import Frame, Weights, walk
from normonnx.oracle.planner import Planner
from normonnx.proof.linear import arithmetic, moves, products
from normonnx.proof.linear.arithmetic import Rule
from normonnx.proof.linear.form import (
    OF_TERMS,
    TOLERANCE,
    Array,
    Form,
    OtherOperatorError,
    Source,
    Table,
    difference,
    of_rank,
)
from normonnx.proof.linear.operand import Operand, Operator
from normonnx.proof.window import Side, Window
from normonnx.sizes.walk import Walk

_OLD = frozenset({"broadcast", "consumed_inputs"})
"""Attributes by which operators of opset 6 and before align their operands in other ways."""

_RULES: Mapping[str, Rule] = {**arithmetic.RULES, **moves.RULES, **products.RULES}


def same_numbers(window: Window, old: Side, new: Side) -> float | None:
    """How far the numbers of two sides are apart, None where they cannot be compared so.

    Args:
        window: what is proved.
        old: the nodes as they are.
        new: the nodes that stand for them.

    Returns:
        The largest difference of two numbers, relative to the terms of which they are sums.
    """
    worst: float | None = None
    for at in window.recorded.walks:
        table = Table()
        try:
            with np.errstate(all="ignore"):
                off = _compared(window, old, new, at, table)
        except Exception:  # of whatever kind: the sides are left to be evaluated
            return None
        if off is None:
            return None
        worst = off if worst is None else max(worst, off)
        if not table.rests_on_sizes:
            break
    return worst


def _compared(window: Window, old: Side, new: Side, at: Walk, table: Table) -> float | None:
    inputs = dict.fromkeys((*new.inputs, *old.inputs))
    forms = {value: _input(value, at, table) for value in inputs}
    side = _Side(window, at, table)
    olds, news = side.outputs(old, dict(forms)), side.outputs(new, dict(forms))
    worst = 0.0
    for one, other in zip(olds, news, strict=True):
        if not isinstance(one, Form) or not isinstance(other, Form):
            return None
        if one.source is not other.source or one.shape != other.shape:
            return None
        if one.is_short != other.is_short:
            return None
        of_scale = difference(one.scale, other.scale)
        of_shift = difference(one.shift, other.shift, one.terms)
        if not (of_scale <= TOLERANCE and of_shift <= OF_TERMS):
            return None
        worst = max(worst, of_scale, of_shift)
    return max(worst, table.worst)


def _input(value: ir.Value, at: Walk, table: Table) -> Operand:
    tensor = at.tensor(value)
    if tensor is None:
        raise OtherOperatorError(f"the size of '{value.name}' is not known")
    if not tensor.dtype.is_floating_point():
        contents = at.contents(value)
        if contents is not None:
            table.rests_on_sizes = True
            return contents
    return _plain(table.source(("input", value)), tensor.shape)


def _plain(source: Source, shape: tuple[int, ...]) -> Form:
    ones, zeros = np.ones((1,) * len(shape)), np.zeros((1,) * len(shape))
    return Form(source, ones, zeros, zeros, shape)


class _Side:
    """The forms of what the nodes of a side give."""

    def __init__(self, window: Window, at: Walk, table: Table) -> None:
        self._window = window
        self._at = at
        self._table = table
        self._planner = Planner(window.functions, exact_attributes=window.exact_attributes)

    def outputs(self, side: Side, known: dict[ir.Value, Operand]) -> list[Operand]:
        known.update(side.constants)
        for node in side.nodes:
            operands = [None if value is None else known[value] for value in node.inputs]
            known.update(zip(node.outputs, self._outputs(node, operands), strict=False))
        return [known[value] for value in side.outputs]

    def _outputs(self, node: ir.Node, operands: Sequence[Operand]) -> list[Operand]:
        facts = facts_of(node)
        drops = onnx_name(node) == "Dropout" and len(node.inputs) > 2  # by chance, in training
        if facts.random or facts.control_flow or subgraphs(node) or drops:
            raise OtherOperatorError(f"{node.op_type} is none whose numbers can be compared")
        run = self._runner(node)
        if not any(isinstance(operand, Form) for operand in operands):
            return list(run([o if isinstance(o, np.ndarray) else None for o in operands]))
        tensor = self._at.tensor(node.outputs[0])
        first = node.inputs[0]
        read = None if first is None else self._at.tensor(first)
        if tensor is None:
            raise OtherOperatorError(f"the size of '{node.outputs[0].name}' is not known")
        operator = Operator(
            node,
            operands,
            tensor.shape,
            self._table,
            (node.domain, node.op_type, self._attributes(node)),
            self._window.exact_attributes.get(node, {}),
            read is not None and read.dtype.is_floating_point(),
            self._window.opsets.get(node.domain, 0),
            lambda arrays: np.asarray(run(arrays)[0]),
        )
        rule = _RULES.get(onnx_name(node), moves.moved)
        plain = tensor.dtype.is_floating_point() and _OLD.isdisjoint(node.attributes)
        form = rule(operator) if plain else None
        return [form] if form is not None else list(self._opaque(operator))

    def _opaque(self, operator: Operator) -> list[Form]:
        """Any other operator: the same where everything that it reads is."""
        key: list[Any] = [*operator.key]
        numbers: list[Array] = []
        for operand in operator.operands:
            if isinstance(operand, Form):
                key.append((operand.source, operand.shape))
                numbers += _numbers(operand)
            else:
                key.append(None if operand is None else (operand.shape, operand.dtype))
                numbers += [] if operand is None else [operand]
        return [
            self._opaque_output(value, (*key, index), numbers)
            for index, value in enumerate(operator.node.outputs)
        ]

    def _opaque_output(self, value: ir.Value, key: tuple[Any, ...], numbers: list[Array]) -> Form:
        tensor = self._at.tensor(value)
        if tensor is None and value.name:
            raise OtherOperatorError(f"the size of '{value.name}' is not known")
        shape = () if tensor is None else tensor.shape
        return _plain(self._table.source((*key, shape), numbers), shape)

    def _attributes(self, node: ir.Node) -> tuple[Any, ...]:
        exact = self._window.exact_attributes.get(node, {})
        return tuple(
            sorted(
                (name, attribute_key(attribute) if name not in exact else exact[name])
                for name, attribute in node.attributes.items()
            )
        )

    def _runner(self, node: ir.Node) -> Callable[[Sequence[Array | None]], Sequence[Array]]:
        view = ir.GraphView([], node.outputs, nodes=[node])

        def run(arrays: Sequence[Array | None]) -> Sequence[Array]:
            plan = self._planner.plan(view, self._window.opsets)
            given = {
                value: array
                for value, array in zip(node.inputs, arrays, strict=False)
                if value is not None and array is not None
            }
            return walk(plan, Frame(given, Weights({})))

        return run


def _numbers(form: Form) -> list[Array]:
    if form.is_short:
        raise OtherOperatorError("a value with a border is read")
    return [of_rank(part, len(form.shape)) for part in (form.scale, form.shift)]
