"""One norm as one operator: what it reads, its scale and bias, the sum it takes along.

Whatever does not fit is a sentence, raised as a `RefusedError` where it is found.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.journal import Refusal, RefusedError
from normonnx.norm.algebra.interpret import Interpreter
from normonnx.norm.algebra.normal_form import NormalForm
from normonnx.norm.match.attach import (
    AffineParameters,
    Operand,
    ParameterSpec,
    attach,
    shape_of,
)
from normonnx.norm.match.follow import LENGTH, SURE
from normonnx.norm.match.residual import Residual, find_residual
from normonnx.norm.match.savings import dead, dying
from normonnx.norm.match.search import NORMALISERS
from normonnx.norm.match.site import NormMiss, NormSite
from normonnx.norm.match.source import Source, find_source
from normonnx.targets import NormOperator

_MAX_SPREAD = 1 << 14
"""How many numbers the scale and bias may get that save a few nodes around an operator."""


def fit(
    it: Interpreter, root: ir.Node, output: ir.Value, norm: NormalForm, operator: NormOperator
) -> NormSite | NormMiss:
    """A norm written with an operator, or why it cannot be.

    Args:
        it: the values of the graph as polynomials in one subject.
        root: the node that takes the root of the norm.
        output: the value that is the norm.
        norm: its normal form.
        operator: what it is to be written with.
    """
    try:
        return _Fit(it, root, output, norm, operator).site()
    except RefusedError as error:
        refusal = error.refusal
        return NormMiss(operator.title, root, refusal.reason, refusal.remedy, weight=SURE + 5)


class _Fit(Struct, frozen=True):
    """A norm and the operator that is tried on it."""

    it: Interpreter
    root: ir.Node
    output: ir.Value
    norm: NormalForm
    operator: NormOperator

    def site(self) -> NormSite:
        """The norm as the operator.

        Raises:
            RefusedError: the operator does not fit.
        """
        it, norm, operator = self.it, self.norm, self.operator
        self._refuse_length()
        source = find_source(it, self.root, self.output, norm.over, operator)
        groups = self._groups(source)
        _refuse(operator.refuses_epsilon(norm.epsilon, source.dtype))
        spec = self._spec(source)
        affine = self._affine(spec)
        residual = None
        if _is_fixed(affine):
            shape = shape_of(it, spec)
            residual = find_residual(it.context, operator, source, shape, self.root.graph)
        affine = self._with_bias(affine, spec, residual)
        self._refuse_spreading(affine)
        site = NormSite(
            operator=operator,
            root=self.root,
            x=source.value,
            output=self.output,
            axes=self._axes(source.value),
            epsilon=norm.epsilon,
            source=source,
            affine=affine,
            groups=groups,
            residual=residual,
        )
        if residual is not None:
            goes = residual.total.producer() in dead([self.output], site.reads)
            site = replace(site, residual=replace(residual, is_read=not goes))
        return replace(site, saves=dying(site.outputs, site.reads) - site.nodes)

    def _refuse_length(self) -> None:
        """Refuse a division by the length of a row, unless a factor makes a mean of the sum."""
        norm = self.norm
        length = self.it.labels.length(sorted(norm.over))
        if norm.kind != "RMSNorm" or length is None or length <= 1:
            return
        made_up = any(math.isclose(abs(c), 1.0, rel_tol=1e-5) for c in norm.scale.values())
        if math.isclose(norm.root_scale, length, rel_tol=1e-5) and not made_up:
            raise RefusedError(LENGTH)

    def _groups(self, source: Source) -> int:
        """How many groups of channels are normalised apart, 0 where all are alike."""
        if not self.operator.has_groups:
            return 0
        groups = self.it.labels.length(source.arrangement.placement.groups)
        if groups is None:
            raise RefusedError("the number of groups is not static")
        return groups

    def _spec(self, source: Source) -> ParameterSpec:
        """What scale and bias must be."""
        wide = source.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE)
        statistics = self.it.context.shapes.dtype(self.root.outputs[0])
        span = source.arrangement.placement.span
        behind = 0 if self.operator.takes_bias else source.arrangement.behind
        return ParameterSpec(
            span,
            (*span, *((),) * behind),
            source.dtype,
            exactly=not wide and statistics != source.dtype,
        )

    def _affine(self, spec: ParameterSpec) -> AffineParameters:
        """Scale and bias as far as the norm has them."""
        it, norm = self.it, self.norm
        affine = attach(it, spec, it.form(self.output).groups, norm.scale, norm.bias)
        if not isinstance(affine, str):
            return affine
        if shape_of(it, spec) is None:
            raise RefusedError(
                "the length of the normalised axes is not static",
                "give the model's inputs fixed sizes there",
            )
        raise RefusedError(affine)

    def _with_bias(
        self, affine: AffineParameters, spec: ParameterSpec, residual: Residual | None
    ) -> AffineParameters:
        """The same with a bias of zeros where the operator must have one and there is none."""
        operator = self.operator
        needed = operator.needs_bias or (residual is not None and operator.takes_bias)
        if affine.bias is not None or not needed:
            return affine
        shape = shape_of(self.it, spec)
        if shape is None:
            raise RefusedError("the length of its scale is not static")
        return replace(affine, bias=Operand(array=np.zeros(shape)))

    def _refuse_spreading(self, affine: AffineParameters) -> None:
        """Refuse what would cost more in weights than the nodes around an operator are worth."""
        operands = [operand for operand in (affine.scale, affine.bias) if operand is not None]
        spread = sum(operand.array.size for operand in operands if operand.array is not None)
        if self.root.op_type in NORMALISERS and spread > _MAX_SPREAD:
            raise RefusedError(f"its scale would have to be spread over {spread} numbers")

    def _axes(self, x: ir.Value) -> tuple[int, ...]:
        """The normalised axes of what the operator reads."""
        groups = self.it.form(x).groups
        return tuple(
            axis for axis, group in enumerate(groups) if self.norm.over.intersection(group)
        )


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise RefusedError(refusal.reason, refusal.remedy)


def _is_fixed(affine: AffineParameters) -> bool:
    """Whether scale and bias are constants, which are there wherever the operator is put."""
    operands = [operand for operand in (affine.scale, affine.bias) if operand is not None]
    return all(o.value is None or o.value.producer() is None for o in operands)
