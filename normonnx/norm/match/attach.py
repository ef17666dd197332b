"""Which scale and bias the operator can take, and what must stay beside it.

A LayerNormalization takes a scale and a bias of the shape of the normalised axes, an
RMSNormalization a scale, an InstanceNormalization or GroupNormalization both with one number per
channel. Constants that vary along those axes only are multiplied out in float64; a constant or a
runtime tensor that has just that shape and type is taken as it is. Whatever else
multiplies or is added (a modulation per row, a residual) stays a Mul or an Add behind the operator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.norm.algebra.interpret import Interpreter
from normonnx.norm.algebra.polynomial import Monomial, Outside, Poly
from normonnx.operators.names import onnx_name
from normonnx.targets.placement import Group, Groups

Array = np.ndarray[Any, np.dtype[np.float64]]

_LARGEST_SCALE = 1 << 24
"""Elements of a scale or bias that is multiplied out: a shape may claim any number of them."""


class Operand(Struct, frozen=True):
    """A scale or a bias as the operator will have it.

    Attributes:
        array: its float64 value, of the shape the operator wants; None if `value` is taken.
        value: a value of the graph that is taken as it is.
    """

    array: Array | None = None
    value: ir.Value | None = None


class AffineParameters(Struct, frozen=True):
    """How a scale and a bias are written.

    Attributes:
        scale: of the operator.
        bias: of the operator, or to be added if it takes none; None for no bias.
        factor: a value that multiplies the operator's output, or None.
        addend: a value that is then added, or None.
    """

    scale: Operand
    bias: Operand | None
    factor: ir.Value | None
    addend: ir.Value | None


class ParameterSpec(Struct, frozen=True):
    """What scale and bias must be: the type of the operator and the layout of its scale.

    Attributes:
        span: the layout of its scale, and of its bias if it has one.
        added: the layout of a bias that is added behind it, counted from the last axis.
        dtype: its element type.
        exactly: whether constants must be exact in that type, because the original multiplied and
            added in a wider one.
    """

    span: Groups
    added: Groups
    dtype: ir.DataType
    exactly: bool


def attach(
    it: Interpreter, spec: ParameterSpec, output: Groups, scale: Poly, bias: Poly
) -> AffineParameters | str:
    """Fit scale and bias to the operator, or say what does not fit."""
    own_scale, factor = _factored(it, spec, output, scale)
    if own_scale is None:
        return "its scale is no product of constants and one other value"
    own_bias: Operand | None = None
    addend: ir.Value | None = None
    if bias:
        if factor is None:
            own_bias = _operand(it, replace(spec, span=spec.added), bias)
        if own_bias is None:
            addend = _single(it, spec, bias, output)
            if addend is None:
                return "its bias is no constant that varies along the axes the operator has it for"
    return AffineParameters(own_scale, own_bias, factor, addend)


def shape_of(it: Interpreter, spec: ParameterSpec) -> tuple[int, ...] | None:
    """The shape of the scale, if it is static."""
    sizes = [it.labels.size(group) for group in spec.span]
    return (
        tuple(s for s in sizes if isinstance(s, int))
        if all(isinstance(s, int) for s in sizes)
        else None
    )


def _factored(
    it: Interpreter, spec: ParameterSpec, output: Groups, scale: Poly
) -> tuple[Operand | None, ir.Value | None]:
    """The scale as an operand times at most one value of another shape."""
    whole = _operand(it, spec, scale)
    if whole is not None or len(scale) != 1:
        return whole, None
    [(monomial, c)] = scale.items()
    for position, (index, power) in enumerate(monomial):
        atom = it.algebra.atoms[index]
        rest = monomial[:position] + monomial[position + 1 :]
        if power != 1 or not isinstance(atom, Outside) or not _fits(it, spec, atom, output):
            continue
        own = _operand(it, spec, {rest: c})
        if own is not None:
            return own, atom.value
    return None, None


def _operand(it: Interpreter, spec: ParameterSpec, poly: Poly) -> Operand | None:
    taken = _taken_as_it_is(it, spec, poly)
    if taken is not None:
        return Operand(value=taken)
    array = _evaluated(it, spec, poly)
    if array is None or (spec.exactly and not _is_exact(array, spec.dtype)):
        return None
    return Operand(array=array)


def _taken_as_it_is(it: Interpreter, spec: ParameterSpec, poly: Poly) -> ir.Value | None:
    """A value that has the shape and the type which the operator wants."""
    if len(poly) != 1:
        return None
    [(monomial, c)] = poly.items()
    if c != 1.0 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = it.algebra.atoms[monomial[0][0]]
    if not isinstance(atom, Outside) or atom.groups != spec.span:
        return None
    value = atom.value
    if it.context.shapes.dtype(value) != spec.dtype:
        return None
    # A derived constant is worked out and written, so that what derives it can go.
    derived = it.context.constants.is_constant(value) and not (
        value.is_initializer() or value.producer() is None or _is_constant_node(value)
    )
    return None if derived else value


def _is_constant_node(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and onnx_name(producer) == "Constant"


def _single(it: Interpreter, spec: ParameterSpec, poly: Poly, output: Groups) -> ir.Value | None:
    """The one value that the polynomial is, if it lines up with the output."""
    if len(poly) != 1:
        return None
    [(monomial, c)] = poly.items()
    if c != 1.0 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = it.algebra.atoms[monomial[0][0]]
    if not isinstance(atom, Outside) or not _fits(it, spec, atom, output):
        return None
    return atom.value


def _fits(it: Interpreter, spec: ParameterSpec, atom: Outside, output: Groups) -> bool:
    """Whether a value of the right type lies, counted from the last axis, along the output."""
    if len(atom.groups) > len(output) or it.context.shapes.dtype(atom.value) != spec.dtype:
        return False
    pairs = zip(reversed(atom.groups), reversed(output), strict=False)
    return all(group in ((), own) for group, own in pairs)


def _evaluated(it: Interpreter, spec: ParameterSpec, poly: Poly) -> Array | None:
    """The polynomial as a float64 array of the shape of the scale, if it is constant there."""
    shape = shape_of(it, spec)
    order = [label for group in spec.span for label in group]
    lengths = _lengths(it, order)
    if shape is None or lengths is None or math.prod(shape) > _LARGEST_SCALE:
        return None
    total = np.zeros(lengths)
    for monomial, c in poly.items():
        term = _monomial(it, monomial, c, order)
        if term is None:
            return None
        total = total + term
    return total.reshape(shape)


def _monomial(it: Interpreter, monomial: Monomial, c: float, order: list[int]) -> Array | None:
    term = np.full((1,) * len(order), c)
    for index, power in monomial:
        atom = it.algebra.atoms[index]
        if not isinstance(atom, Outside):
            return None
        exact = it.context.constants.float64(atom.value)
        if exact is None:
            return None
        laid = _laid_out(it, exact, atom.groups, order)
        if laid is None:
            return None
        with np.errstate(all="ignore"):
            term = term * laid**power
    return term if np.isfinite(term).all() else None


def _laid_out(it: Interpreter, array: Array, groups: Groups, order: list[int]) -> Array | None:
    """The array with one axis per label in `order`, of size 1 where it does not vary."""
    flat: Group = tuple(label for group in groups for label in group)
    lengths = _lengths(it, flat)
    if lengths is None or any(label not in order for label in flat):
        return None
    spread = array.reshape(lengths)
    spread = spread.transpose(sorted(range(len(flat)), key=lambda axis: order.index(flat[axis])))
    present = dict(zip(flat, lengths, strict=True))
    return spread.reshape([present.get(label, 1) for label in order])


def _lengths(it: Interpreter, labels: Sequence[int]) -> list[int] | None:
    """How many places each label has, None where one is not static."""
    lengths = [it.labels.length((label,)) for label in labels]
    static = [length for length in lengths if length is not None]
    return static if len(static) == len(lengths) else None


def _is_exact(array: Array, dtype: ir.DataType) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.array_equal(array.astype(dtype.numpy()).astype(np.float64), array))
