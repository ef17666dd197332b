"""Which value the operator reads: the subject, or what is the same numbers in another form.

Casts, Transposes and Reshapes of x are x to the algebra. The operator has one type, so it reads
the copy that has the type of its output; and everything that the old nodes compute must come from
that copy, or the two would not be expressions over the same input.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from msgspec import Struct

from normonnx.journal import RefusedError
from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.polynomial import Outside, X
from normonnx.norm.algebra.rules.arithmetic import HOLDS
from normonnx.norm.match.arrangement import Arrangement, arrange
from normonnx.targets import NormOperator
from normonnx.targets.placement import Groups


class Source(Struct, frozen=True):
    """What the operator reads.

    Attributes:
        value: a value of the graph.
        cast: whether it must be cast to `dtype` first.
        dtype: the type of the operator.
        arrangement: where the operator stands.
    """

    value: ir.Value
    cast: bool
    dtype: ir.DataType
    arrangement: Arrangement

    @property
    def nodes(self) -> int:
        """How many nodes are needed beside the operator to bring the value into place."""
        return self.arrangement.nodes + self.cast


def find_source(
    it: Interpreter, root: ir.Node, output: ir.Value, over: frozenset[int], operator: NormOperator
) -> Source:
    """The cheapest source of a norm over the labels `over`.

    Raises:
        RefusedError: there is none.
    """
    dtype, statistics = (it.context.shapes.dtype(v) for v in (output, root.outputs[0]))
    reason = operator.refuses_types(dtype, statistics)
    if reason or dtype is None:
        raise RefusedError(reason)
    form = it.form(output)
    needed = _needed(it, output)
    best: Source | None = None
    for value, groups in _copies(it):
        own = it.context.shapes.dtype(value)
        if own is None or dtype not in HOLDS[own] or not _suffices(it, needed, value):
            continue
        layout = arrange(groups, form.groups, over, operator.placer)
        if layout is not None:
            found = Source(value, own != dtype, dtype, layout)
            if best is None or found.nodes < best.nodes:
                best = found
    if best is None:
        raise RefusedError("no Transpose takes the axes of x to those of the output")
    return best


def _copies(it: Interpreter) -> Iterator[tuple[ir.Value, Groups]]:
    """The subject and its casts and views, the subject first."""
    for value, form in it.forms().items():
        if form is not None and form.poly == X:
            yield value, form.groups


def _needed(it: Interpreter, output: ir.Value) -> dict[ir.Value, list[ir.Value]]:
    """Every value between the subject and the output, with the values it is computed from."""
    needed: dict[ir.Value, list[ir.Value]] = {}
    pending = [output]
    while pending:
        value = pending.pop()
        form, node = it.forms().get(value), value.producer()
        if value in needed or value is it.subject or form is None or node is None:
            continue
        if _is_outside(it, form, value):
            continue
        needed[value] = [v for v in node.inputs if v is not None]
        pending.extend(needed[value])
    return needed


def _is_outside(it: Interpreter, form: Form, value: ir.Value) -> bool:
    if not it.depends(form):
        return True
    monomials = list(form.poly)
    if len(monomials) != 1 or len(monomials[0]) != 1:
        return False
    atom = it.algebra.atoms[monomials[0][0][0]]
    return isinstance(atom, Outside) and atom.value is value


def _suffices(it: Interpreter, needed: dict[ir.Value, list[ir.Value]], value: ir.Value) -> bool:
    """Whether nothing reads the subject, or what leads from it to this value, but through it."""
    if value is it.subject:
        return True
    above: set[ir.Value] = {value}
    pending = [value]
    while pending:
        for before in needed.get(pending.pop(), ()):
            if before not in above:
                above.add(before)
                pending.append(before)
    before_it = {one for one in above if one is it.subject or one in needed} - {value}
    return all(before_it.isdisjoint(inputs) for user, inputs in needed.items() if user not in above)
