"""Over which operator sets an operator means the same.

Mostly the schemas tell: a new form with the same inputs, further element types, and further inputs
and attributes that may be left out, means what the old one meant. Where a schema does not show a
change, or shows one that is none, a table says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

import onnx
from msgspec import Struct

from normonnx.operators.schemas import schema_of

Schema = onnx.defs.OpSchema


class Change(Enum):
    """What a new form of an operator is to the one before."""

    EXTENDED = "it means the same, and more"
    AXES_MOVED = "it means the same, and its axes, an attribute until then, are an input"
    OTHER = "it may mean something else"


REVIEWED = range(8, 24)
"""The opsets whose changes were read, in onnx's changelog, for what the schemas do not show. What
another opset changed may mean anything."""

FLATTENING = frozenset({"Hardmax", "LogSoftmax", "Softmax"})
"""They worked on the axis and all behind it as one, and work on the axis alone from opset 13 on."""

FLATTENING_UNTIL = 12

_CHANGED = frozenset(
    {
        *((name, FLATTENING_UNTIL + 1) for name in FLATTENING),
        ("AveragePool", 11),  # how many windows there are without pads of its own
        ("ConvTranspose", 11),  # on which side the odd pad is
        ("OneHot", 11),  # negative indices count from the end
        ("DequantizeLinear", 13),  # a scale per channel
        ("QuantizeLinear", 13),
        ("RoiAlign", 16),  # the default of the new attribute is not what it did before
        ("LpPool", 18),  # how windows at the end are counted
        ("Resize", 18),
        ("Split", 18),  # has to say into how many parts
        ("AveragePool", 19),  # how windows at the end are counted
        ("Resize", 19),
        ("GroupNormalization", 21),  # a scale per channel, no longer per group
    }
)
"""Forms that mean something else, or may, although their schema does not show it."""

_UNCHANGED = frozenset(
    {
        ("Constant", 11),  # its value may be given otherwise
        ("Gemm", 11),  # C may be left out
        ("BatchNormalization", 14),
    }
)
"""Forms that mean the same with one output, although their schema looks different."""


@lru_cache(maxsize=4096)
def change_at(op_type: str, opset: int) -> Change | None:
    """How an operator of ONNX's domain changed with an opset.

    Args:
        op_type: the operator.
        opset: the opset that may have brought a new form.

    Returns:
        None where the form is the one of the opset before.
    """
    old, new = schema_of("", op_type, opset - 1), schema_of("", op_type, opset)
    if old is None or new is None:
        return None if old is new else Change.OTHER
    if old.since_version == new.since_version:
        return None
    if (op_type, opset) in _CHANGED or opset not in REVIEWED or new.deprecated:
        return Change.OTHER
    if (op_type, opset) in _UNCHANGED or _extends(old, new):
        return Change.EXTENDED
    return Change.AXES_MOVED if _moves_axes(old, new) else Change.OTHER


def means_the_same(op_type: str, current: int, wanted: int) -> bool:
    """Whether an operator means at one opset what it means at a later one, axes moved or not."""
    if schema_of("", op_type, current) is None:
        return False
    changes = {change_at(op_type, opset) for opset in range(current + 1, wanted + 1)}
    return Change.OTHER not in changes


def can_be_read(op_type: str, written_for: int, opset: int) -> bool:
    """Whether an operator, as it is written for one opset, means the same in another.

    In an earlier one only where it has the same form there: what is new may be used.
    """
    if written_for <= opset:
        moved = axes_moved(op_type, written_for, opset)
        return means_the_same(op_type, written_for, opset) and not moved
    later = range(opset + 1, written_for + 1)
    known = schema_of("", op_type, opset) is not None
    return known and all(change_at(op_type, one) is None for one in later)


def axes_moved(op_type: str, current: int, wanted: int) -> bool:
    """Whether the axes of an operator become an input on the way to a later opset."""
    opsets = range(current + 1, wanted + 1)
    return any(change_at(op_type, opset) is Change.AXES_MOVED for opset in opsets)


def _extends(old: Schema, new: Schema) -> bool:
    """Whether the new form only takes more types, and more that may be left out."""
    return (
        _same_attributes(old, new, gone=frozenset())
        and _extends_parameters(_parameters(old, old.inputs), _parameters(new, new.inputs))
        and _extends_parameters(_parameters(old, old.outputs), _parameters(new, new.outputs))
    )


def _moves_axes(old: Schema, new: Schema) -> bool:
    """Whether the new form is the old one with its attribute axes as a second input."""
    if "axes" not in old.attributes or "axes" in new.attributes or len(new.inputs) != 2:
        return False
    return (
        new.inputs[1].name == "axes"
        and _same_attributes(old, new, gone=frozenset({"axes"}))
        and _extends_parameters(_parameters(old, old.inputs), _parameters(new, new.inputs[:1]))
        and _extends_parameters(_parameters(old, old.outputs), _parameters(new, new.outputs))
    )


def _same_attributes(old: Schema, new: Schema, *, gone: frozenset[str]) -> bool:
    kept = set(old.attributes) - gone
    if not kept <= set(new.attributes):
        return False
    if any(new.attributes[name].required for name in set(new.attributes) - kept):
        return False
    return all(
        new.attributes[name].type == old.attributes[name].type
        and new.attributes[name].required == old.attributes[name].required
        and new.attributes[name].default_value == old.attributes[name].default_value
        for name in kept
    )


class _Parameter(Struct, frozen=True):
    """An input or output of a form: whether it may be left out or repeated, and its types."""

    option: Schema.FormalParameterOption
    types: frozenset[str]


def _parameters(schema: Schema, formal: Sequence[Schema.FormalParameter]) -> tuple[_Parameter, ...]:
    """Inputs or outputs of a form; a type has a name there, or is one itself."""
    named = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    return tuple(
        _Parameter(one.option, frozenset(named.get(one.type_str, [one.type_str]))) for one in formal
    )


def _extends_parameters(old: Sequence[_Parameter], new: Sequence[_Parameter]) -> bool:
    if len(new) < len(old):
        return False
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    return all(one.option == optional for one in new[len(old) :]) and all(
        before.option == after.option and before.types <= after.types
        for before, after in zip(old, new, strict=False)
    )
