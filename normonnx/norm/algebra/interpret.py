"""Nodes of a graph as polynomials in one subject: which values, and how far.

The rules of the operators are in `rules`; a value without a rule, or whose rule declines, is taken
as it is, as an atom from outside. So a site is never lost for what happens beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir
from msgspec import Struct

from normonnx.norm.algebra.layout import Cuts, Labels
from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import IntractableError, Outside, Poly, X, number
from normonnx.norm.algebra.scalars import Scalars
from normonnx.rewrite import Context
from normonnx.targets.placement import Groups
from normonnx.values.constants import is_float
from normonnx.values.shapes import CONTRADICTIONS, Dim

_MAX_DEPTH = 16


class Form(Struct, frozen=True):
    """What a value is: a polynomial, and along which axes of the subject its own axes lie."""

    poly: Poly
    groups: Groups


Rule = Callable[["Interpreter", ir.Node], Form]
PartRule = Callable[["Interpreter", ir.Node, int], Form]
"""The rule of an operator with several outputs: what the one of this index is."""


class Interpreter:
    """The values of one graph as polynomials in one subject.

    Attributes:
        subject: the value called x.
        dtype: its element type.
        labels: its axes.
        algebra: the atoms met so far.
        refusals: why a value could not be interpreted, where there is something to say.
    """

    def __init__(
        self,
        context: Context,
        graph: ir.Graph,
        subject: ir.Value,
        *,
        rules: Mapping[str, Rule],
        part_rules: Mapping[str, PartRule],
        scalars: Scalars,
        cuts: Cuts | None = None,
    ) -> None:
        """Prepare to interpret values of `graph`.

        Raises:
            IntractableError: if the rank or the type of the subject is not known.
        """
        dims, dtype = context.shapes.dims(subject), context.shapes.dtype(subject)
        if dims is None or dtype is None:
            raise IntractableError(f"the rank or type of '{subject.name}' is not known")
        if not is_float(dtype):
            raise IntractableError
        self.context = context
        self.graph = graph
        self.subject = subject
        self.dtype = dtype
        self.labels: Labels = Labels(dims, cuts)
        axes = frozenset(axis for group in self.labels.subject for axis in group)
        self.algebra: Algebra = Algebra(axes)
        self.refusals: dict[ir.Value, str] = {}
        self._rules = rules
        self._part_rules = part_rules
        self._scalars = scalars
        self._forms: dict[ir.Value, Form | None] = {subject: Form(X, self.labels.subject)}
        self._depth = 0

    def form(self, value: ir.Value | None) -> Form:
        """The value as a polynomial, at worst as an atom of its own.

        Raises:
            IntractableError: if not even the rank of the value is known.
        """
        if value is None:
            raise IntractableError
        if value not in self._forms:
            self._forms[value] = None
            self._depth += 1
            try:
                self._forms[value] = self._form(value)
            finally:
                self._depth -= 1
        form = self._forms[value]
        if form is None:
            raise IntractableError
        return form

    def forms(self) -> Mapping[ir.Value, Form | None]:
        """All values interpreted so far."""
        return self._forms

    def dims(self, value: ir.Value) -> tuple[Dim, ...]:
        """The dimensions of a value.

        Raises:
            IntractableError: if they are not known.
        """
        dims = self.context.shapes.dims(value)
        if dims is None:
            raise IntractableError(f"the dimensions of '{value.name}' are not known")
        return dims

    def scalar(self, value: ir.Value | None) -> float | None:
        """The number that a constant holds everywhere, or None."""
        return self._scalars.of(value)

    def depends(self, form: Form) -> bool:
        """Whether the subject occurs in it."""
        return self.algebra.depends_on_subject(form.poly)

    def rooted(self, value: ir.Value) -> bool:
        """Whether a root of the subject's statistics occurs in the value."""
        try:
            form = self.form(value)
        except IntractableError:
            return False
        return self.algebra.has_root(form.poly)

    def is_modulated(self, poly: Poly, over: frozenset[int]) -> bool:
        """Whether a value occurs that is no constant and varies along more than these labels."""
        return any(
            isinstance(atom, Outside)
            and not atom.constant
            and not self.algebra.varies[index] <= over
            for monomial in poly
            for index, _ in monomial
            for atom in [self.algebra.atoms[index]]
        )

    def align(self, left: Form, right: Form, node: ir.Node) -> tuple[Poly, Poly, Groups]:
        """Two operands of an elementwise node over common labels.

        Raises:
            IntractableError: if the axes that broadcasting puts together are not the same ones.
        """
        common = self.labels.broadcast(left.groups, right.groups)
        if common is None:
            raise IntractableError(
                f"{node.op_type} '{node.name}' puts different axes together by broadcasting"
            )
        groups, bound = common
        rename = self.algebra.rename
        return rename(left.poly, bound), rename(right.poly, bound), groups

    def _form(self, value: ir.Value) -> Form | None:
        if self.context.constants.is_constant(value):
            return self._constant(value)
        vector = self.context.shapes.vector(value)
        if vector is not None and len(vector) == 1:  # a dimension, cast to the subject's type
            return Form(self.algebra.length(vector[0]), ((),) * len(self.dims(value)))
        node = value.producer()
        rule = None if node is None else self._rule(node, value)
        if node is None or rule is None:
            return self._outside(value)
        try:
            form = rule(self, node)
        except (IntractableError, *CONTRADICTIONS) as error:
            reason = self._refusal(node, str(error))
            if reason:
                self.refusals[value] = reason
            return self._outside(value, refused=bool(reason))
        kept = self.depends(form) or self.algebra.is_number(form.poly)  # however often it occurs
        return form if kept else self._outside(value)

    def _constant(self, value: ir.Value) -> Form | None:
        """A constant as the number that it holds everywhere, or as it is."""
        k = self.scalar(value)
        if k is None:
            return self._outside(value)
        dims = self.context.shapes.dims(value)
        return None if dims is None else Form(number(k), self.labels.free(dims))

    def _rule(self, node: ir.Node, value: ir.Value) -> Rule | None:
        """The rule for a value that a node computes, or None where it is taken as it is."""
        if node.graph is not self.graph or self._depth > _MAX_DEPTH or node.domain != "":
            return None
        dtype = self.context.shapes.dtype(value)
        if not (dtype is None or is_float(dtype)):
            return None
        of_parts = self._part_rules.get(node.op_type)
        if of_parts is not None:
            return lambda it, one: of_parts(it, one, one.outputs.index(value))
        return self._rules.get(node.op_type) if value is node.outputs[0] else None

    def _refusal(self, node: ir.Node, reason: str) -> str:
        """Why a node that depends on the subject was refused, it or one before it; or ""."""
        forms = [self._forms.get(value) for value in node.inputs if value is not None]
        if not any(form is not None and self.depends(form) for form in forms):
            return ""
        inherited = [self.refusals[v] for v in node.inputs if v is not None and v in self.refusals]
        return inherited[0] if inherited else reason

    def _outside(self, value: ir.Value, *, refused: bool = False) -> Form | None:
        dims = self.context.shapes.dims(value)
        if dims is None:
            return None
        groups = self.labels.free(dims)
        constant = self.context.constants.is_constant(value)
        atom = Outside(value, groups, constant=constant, refused=refused)
        return Form(self.algebra.outside(atom), groups)
