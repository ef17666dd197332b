"""Functions of the model, with attributes that refer to those of the call."""

from __future__ import annotations

import onnx
from onnx import helper

from . import keeping
from .draft import Draft, Value

DOMAIN = "local"
REFERABLE = (
    onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT, onnx.AttributeProto.INTS,
    onnx.AttributeProto.STRING,
)  # fmt: skip


def _referred(
    draft: Draft, nodes: list[onnx.NodeProto]
) -> tuple[list[str], list[onnx.AttributeProto], list[onnx.AttributeProto]]:
    """Turn attributes of the nodes into references.

    Returns:
        Names of attributes without a default, those with one, and what the call gives.
    """
    plain, defaults, given = [], [], []
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type not in REFERABLE or not draft.chance(0.7):
                continue
            value = onnx.AttributeProto()
            value.CopyFrom(attribute)
            value.name = f"{attribute.name}_{len(plain) + len(defaults)}"
            kind = attribute.type
            name = attribute.name
            attribute.Clear()
            attribute.name, attribute.type = name, kind
            attribute.ref_attr_name = value.name
            if draft.chance(0.3):
                defaults.append(value)
            else:
                plain.append(value.name)
                given.append(value)
    return plain, defaults, given


def call(draft: Draft, x: Value) -> list[Value]:
    """A block as a function, called once or twice; its weights come in as inputs."""
    draft.need(x.rank >= 2)
    name = f"Block{len(draft.functions)}"
    point = draft.checkpoint()
    y = keeping.block(draft, x)
    nodes = draft.cut(point)
    made = {output for node in nodes for output in node.output}
    read = list(dict.fromkeys(i for node in nodes for i in node.input if i and i not in made))
    plain, defaults, given = _referred(draft, nodes)
    inner = {name: f"{name}_in" for name in read}
    for node in nodes:
        node.input[:] = [inner.get(one, one) for one in node.input]
    draft.functions.append(
        helper.make_function(
            DOMAIN, name, [inner[one] for one in read], [y.name], nodes,
            [helper.make_opsetid("", draft.opset)], plain, defaults,
        )
    )  # fmt: skip
    draft.domains.setdefault(DOMAIN, 1)
    for _ in range(draft.one_of([1, 1, 2])):
        inputs: list[Value | str] = [x if one == x.name else one for one in read]
        bound = {one.name: helper.get_attribute_value(one) for one in given}
        x = draft.stated(name, inputs, x.shape, dtype=x.dtype, domain=DOMAIN, **bound)
    return [x]


OPERATORS = {call: 1}
