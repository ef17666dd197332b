"""Small graphs in ONNX's text form, and what the engines need to work on them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
from msgspec import structs
from onnx import numpy_helper

from normonnx import pipeline
from normonnx.journal import Journal
from normonnx.options import Options
from normonnx.rewrite import Context
from normonnx.sizes.recorded import Recorded
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes


def proto(text: str, *, opset: int = 17, functions: str = "", **weights: Any) -> onnx.ModelProto:
    """A model from text; a weight is an array, or a shape for seeded float32 numbers."""
    local = ', "local" : 1' if functions else ""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}{local}]>\ng {text}\n{functions}'
    )
    for name, weight in weights.items():
        if isinstance(weight, tuple):
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            weight = rng.standard_normal(weight).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(weight), name))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


def model(text: str, *, opset: int = 17, functions: str = "", **weights: Any) -> ir.Model:
    """The same as `onnx_ir.Model`."""
    return ir.from_proto(proto(text, opset=opset, functions=functions, **weights))


def context(of: ir.Model, **options: Any) -> Context:
    """What the engines work with, for a model."""
    constants = Constants(of)
    return Context(of, constants, Shapes(of, constants), Journal(), Recorded(of), **options)


def unsimplified(of: ir.Model, options: Options | None = None, **asked: Any) -> pipeline.Outcome:
    """A run on a model in which the nodes around the norms stay as they are."""
    return pipeline.run(of, structs.replace(options or Options(), simplify=False), **asked)


def value(of: ir.Model, name: str) -> ir.Value:
    """A value of the main graph by name."""
    found: Mapping[str, ir.Value] = {
        str(v.name): v
        for v in (
            *of.graph.inputs,
            *of.graph.initializers.values(),
            *(out for node in of.graph for out in node.outputs),
        )
    }
    return found[name]


def node(of: ir.Model, name: str) -> ir.Node:
    """A node of the main graph by the name of its first output."""
    producer = value(of, name).producer()
    assert producer is not None
    return producer


def operators(of: ir.Model) -> str:
    """The operators of the main graph in order, Constant aside."""
    return " ".join(n.op_type for n in of.graph if n.op_type != "Constant")
