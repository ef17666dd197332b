"""A node as kernels see it: with the defaults of its schema, and floats as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Call
from normonnx.operators.schemas import schema_of
from normonnx.oracle.execution import Attributes


class Meant(ir.Attr):
    """A float attribute that a function is called with, as it was before float32."""


def resolved(node: ir.Node, bound: Attributes) -> Attributes:
    """The attributes of a node, references replaced by what the function was called with."""
    result = {}
    for name, attribute in node.attributes.items():
        if not attribute.is_ref():
            result[name] = attribute
        elif attribute.ref_attr_name in bound:
            source = bound[str(attribute.ref_attr_name)]
            result[name] = type(source)(name, source.type, source.value)
    return result


def call_of(
    node: ir.Node, attributes: Attributes, opsets: Mapping[str, int], exact: Mapping[str, Any]
) -> Call:
    """The call as kernels see it: defaults filled in, floats as the float32 values they are."""
    since, defaults = _defaults(node.domain, node.op_type, opsets.get(node.domain, 1))
    values = dict(defaults)
    values.update((name, _plain(attribute)) for name, attribute in attributes.items())
    values.update(exact)
    names = [v.name for v in node.outputs]
    while names and not names[-1]:
        names.pop()
    return Call(node.op_type, since, values, len(names))


@lru_cache(maxsize=2048)
def _defaults(domain: str, op_type: str, version: int) -> tuple[int, dict[str, Any]]:
    """Since when an operator has had this form, and its attributes that have a default."""
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return 1, {}
    return schema.since_version, {
        name: _plain(ir.serde.deserialize_attribute(attribute.default_value))
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }


def _plain(attribute: ir.Attr) -> Any:
    if isinstance(attribute, Meant):
        return attribute.value
    if attribute.type == ir.AttributeType.FLOAT:
        return float(np.float32(attribute.value))
    if attribute.type == ir.AttributeType.FLOATS:
        return [float(np.float32(v)) for v in attribute.value]
    return attribute.value
