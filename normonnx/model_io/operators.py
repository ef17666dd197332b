"""Whether each node of a standard operator has the inputs, outputs and attributes it must have.

No runtime loads a node that has not, and everything behind the door relies on it: a Conv has a
weight, an Unsqueeze of opset 11 has its axes, an attribute has the type that its name promises.
So with an operator of the default domain that the declared opset does not have. Operators of other
domains that onnx does not know are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import onnx
from msgspec import Struct
from onnx import AttributeProto, ModelProto, NodeProto, OperatorSetIdProto

from normonnx.errors import InvalidModelError
from normonnx.model_io.contents import Contents
from normonnx.model_io.opset_imports import plain

_HELD = {AttributeProto.TENSOR: "t", AttributeProto.GRAPH: "g", AttributeProto.TYPE_PROTO: "tp"}
"""The fields of attributes that are messages, by the type that asks for one."""

_OF_THE_RUNTIME = frozenset(
    """Affine Crop DynamicSlice GRUUnit GivenTensorFill ImageScaler LayerNormalization
    MeanVarianceNormalization ParametricSoftplus Scale ScaledTanh SimplifiedLayerNormalization
    ThresholdedRelu""".split()
)
"""Operators that ONNX Runtime has in the default domain in any opset, and writes itself."""

_SINGLE = onnx.defs.OpSchema.FormalParameterOption.Single


class _Form(Struct, frozen=True):
    """What a node of one operator must look like.

    Attributes:
        inputs, outputs: the least and the most of them.
        needed_inputs, needed_outputs: whether the one at this place must be there.
        required: attributes that must be there.
        types: of the attributes, by name; an enumeration of integers, as the file has them.
    """

    inputs: tuple[int, int]
    outputs: tuple[int, int]
    needed_inputs: tuple[bool, ...]
    needed_outputs: tuple[bool, ...]
    required: frozenset[str]
    types: Mapping[str, Any]


@cache
def _form(domain: str, op_type: str, version: int) -> _Form | None:
    """None for an operator that onnx does not know."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    return _Form(
        (schema.min_input, schema.max_input),
        (schema.min_output, schema.max_output),
        tuple(parameter.option == _SINGLE for parameter in schema.inputs),
        tuple(parameter.option == _SINGLE for parameter in schema.outputs),
        frozenset(name for name, a in schema.attributes.items() if a.required),
        {name: a.type for name, a in schema.attributes.items()},
    )


def refuse_malformed(model: ModelProto, contents: Contents, where: str) -> None:
    """Refuse a node that breaks the schema of its operator.

    Args:
        model: whose operator sets the main graph uses; a function names its own.
        contents: of `model`.
        where: what the error should name.

    Raises:
        InvalidModelError: there is one, or an attribute that is not what its type says.
    """
    _refuse_empty(contents, where)
    own = {f.name for f in contents.functions if plain(f.domain) == ""} | _OF_THE_RUNTIME
    for top, nodes in contents.nodes:
        imports: Iterable[OperatorSetIdProto] = (
            top.opset_import if isinstance(top, onnx.FunctionProto) else model.opset_import
        )
        versions = {plain(entry.domain): entry.version for entry in imports}
        for node in nodes:
            if plain(node.domain) == "" and node.op_type not in own:
                _refuse_absent(node, versions.get("", 0), where)
            if flaw := _flaw_at(node, versions):
                raise InvalidModelError(f"{node.op_type} node {node.name!r} {flaw}", where=where)


def _refuse_empty(contents: Contents, where: str) -> None:
    """Refuse attributes that say they hold something and do not.

    Raises:
        InvalidModelError: there is one.
    """
    for attribute in contents.attributes:
        held = _HELD.get(attribute.type)
        if held and not attribute.ref_attr_name and not attribute.HasField(held):
            kind = _type_name(attribute.type)
            raise InvalidModelError(
                f"the attribute {attribute.name!r} is a {kind} and holds none", where=where
            )


def _refuse_absent(node: NodeProto, version: int, where: str) -> None:
    """Refuse an operator of the default domain that an opset does not have.

    Raises:
        InvalidModelError: it does not.
    """
    since = _first_opset(node.op_type)
    if not version or version > onnx.defs.onnx_opset_version():
        return
    if since is None:
        raise InvalidModelError(
            f"{node.op_type} node {node.name!r}: ONNX has no operator of that name",
            where=where,
            hint="an operator of your own needs a domain of its own",
        )
    if since > version:
        raise InvalidModelError(
            f"{node.op_type} node {node.name!r} needs opset {since}, and the model declares "
            f"opset {version}",
            where=where,
            hint=f"export the model again, with opset {since} or higher",
        )


@cache
def _first_opset(op_type: str) -> int | None:
    """The first opset that has an operator; None for an operator that onnx does not know."""
    newest = onnx.defs.onnx_opset_version()
    if not onnx.defs.has(op_type):
        return None
    return next(
        version for version in range(1, newest + 1) if _form("", op_type, version) is not None
    )


def _flaw_at(node: NodeProto, versions: Mapping[str, int]) -> str:
    """What is wrong with a node in a graph that imports these operator sets, or ""."""
    version = versions.get(plain(node.domain))
    form = None if version is None else _form(plain(node.domain), node.op_type, version)
    return "" if form is None else _flaw(node, form)


def _flaw(node: NodeProto, form: _Form) -> str:
    """What is wrong with a node, or ""."""
    for given, (least, most), needed, what in (
        (node.input, form.inputs, form.needed_inputs, "input"),
        (node.output, form.outputs, form.needed_outputs, "output"),
    ):
        count = len(given)
        if not least <= count <= most:
            return f"has {count} {what}s, its operator takes {_between(least, most)}"
        if _left_out(given, needed):
            return f"leaves out an {what} that its operator needs"
    missing = set(form.required)
    for attribute in node.attribute:
        missing.discard(attribute.name)
        expected = form.types.get(attribute.name, attribute.type)
        if attribute.type != expected:
            wanted, found = (_type_name(number) for number in (int(expected), attribute.type))
            return f"has an attribute {attribute.name!r} of type {found} instead of {wanted}"
    return f"lacks the attribute {min(missing)!r}" if missing else ""


def _left_out(given: Sequence[str], needed: Sequence[bool]) -> bool:
    return "" in given and any(need and not name for name, need in zip(given, needed, strict=False))


def _between(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least} or more" if most >= 2**31 - 1 else f"{least} to {most}"


def _type_name(number: int) -> str:
    names = {value: name for name, value in onnx.AttributeProto.AttributeType.items()}
    return str(names.get(number, number))
