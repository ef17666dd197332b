"""From a draft to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import helper

from .draft import Draft, Value

IR_VERSIONS = {range(9, 11): 5, range(11, 13): 6, range(13, 15): 7, range(15, 19): 8}
FUNCTIONS_SINCE = 8
"""The IR version that has functions."""

Dims = Sequence[str | int | None] | None
"""Declared sizes; None for one without a name, or for all of them."""


def as_model(
    draft: Draft,
    outputs: Sequence[Value],
    declared: Mapping[str, Dims],
    stated: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """The network as a model.

    Args:
        draft: what was drawn.
        outputs: values to hand out.
        declared: dimensions of inputs by name.
        stated: what the file says of values in between.
    """
    graph = helper.make_graph(
        draft.nodes,
        "network",
        [helper.make_tensor_value_info(v.name, v.dtype, declared[v.name]) for v in draft.inputs],
        [helper.make_tensor_value_info(v.name, v.dtype, [None] * v.rank) for v in outputs],
        draft.initializers,
        value_info=stated,
    )
    ir_version = next((v for span, v in IR_VERSIONS.items() if draft.opset in span), 10)
    if draft.functions:
        ir_version = max(ir_version, FUNCTIONS_SINCE)
    domains = {"": draft.opset, **draft.domains}
    opsets = [helper.make_opsetid(name, version) for name, version in domains.items()]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=ir_version, functions=draft.functions
    )
