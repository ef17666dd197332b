"""One row of the zoo: a micro-model in ONNX's text form and what has to become of it."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
Weight = Array | np.generic | Sequence[int]

IR_VERSIONS = {7: 4, 9: 4, 11: 6, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 21: 10, 22: 10, 23: 11}


@dataclass(frozen=True, slots=True)
class Fires:
    """The rewrite has to happen.

    Attributes:
        becomes: the operators of the result, Constant nodes aside, each as often as it occurs,
            such as ``Conv Relu Conv``; or "" where only `gone` and `has` matter.
        gone: operators of which none may be left.
        has: operators each of which must be there, as often as it is named.
    """

    becomes: str = ""
    gone: str = ""
    has: str = ""


@dataclass(frozen=True, slots=True)
class Stays:
    """The site has to be left alone, with a reason.

    Attributes:
        has: operators each of which must still be there, as often as it is named.
        reason: a part of the reason given, "" where the site is no near miss at all.
    """

    has: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """Whatever happens, the numbers must stay right."""


Expectation = Fires | Stays | Right


@dataclass(frozen=True, slots=True)
class Case:
    """A micro-model and its expectation.

    Attributes:
        name: what is special about it.
        expect: what has to become of it.
        graph: inputs, outputs and nodes in the text form of `onnx.parser`; an output of type
            ``float[]`` gets the shape that inference finds.
        weights: initializers by name; a tuple of sizes stands for seeded numbers of that shape.
        opset: version of the default domain.
        ir_version: 0 for the one that belongs to the opset.
        functions: model-local functions in text form, of domain ``local``.
        listed: initializers that are graph inputs as well.
        tolerance: allowed difference in units of the output's largest magnitude; 0 for the
            one that belongs to the output's type.
        feed: values for inputs that only some values suit.
    """

    name: str
    expect: Expectation
    graph: str
    weights: Mapping[str, Weight] = field(default_factory=dict)
    opset: int = 17
    ir_version: int = 0
    functions: str = ""
    listed: Sequence[str] = ()
    tolerance: float = 0.0
    feed: Mapping[str, Array] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """The model, its initializers drawn from the names of case and weight."""
        local = ', "local" : 1' if self.functions else ""
        ir_version = self.ir_version or IR_VERSIONS[self.opset]
        text = (
            f'<ir_version: {ir_version}, opset_import: ["" : {self.opset}{local}]>\n'
            f"zoo {self.graph}\n{self.functions}"
        )
        model = onnx.parser.parse_model(text)
        for name, weight in self.weights.items():
            given = isinstance(weight, np.ndarray | np.generic)
            array = np.asarray(weight) if given else self._draw(name, weight)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
            if name in self.listed:
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                listed = helper.make_tensor_value_info(name, kind, array.shape)
                model.graph.input.append(listed)
        _number(model)
        _state_output_shapes(model)
        return model

    def _draw(self, name: str, shape: Sequence[int]) -> Array:
        seed = zlib.crc32(f"{self.name}/{name}".encode())
        return np.random.default_rng(seed).standard_normal(tuple(shape)).astype(np.float32)


def batch_norm(prefix: str, channels: int, dtype: type = np.float32) -> dict[str, Array]:
    """Parameters of a BatchNormalization, ``<prefix>s, o, m, v``; one negative scale among them."""
    rng = np.random.default_rng(zlib.crc32(f"{prefix}{channels}".encode()))
    scale = rng.uniform(0.3, 1.7, channels)
    scale[channels // 2] *= -1
    parameters = {
        "s": scale,
        "o": rng.uniform(-1, 1, channels),
        "m": rng.uniform(-1, 1, channels),
        "v": rng.uniform(0.05, 2.5, channels),
    }
    return {f"{prefix}{kind}": value.astype(dtype) for kind, value in parameters.items()}


def operators(graph: onnx.GraphProto | onnx.FunctionProto) -> Counter[str]:
    """How often each operator occurs, subgraphs included, Constant aside."""
    found: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type != "Constant":
            found[node.op_type] += 1
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                found += operators(body)
    return found


def _number(model: onnx.ModelProto) -> None:
    """Names for the nodes, which the text form leaves without."""
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"


def _state_output_shapes(model: onnx.ModelProto) -> None:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output
    for stated, found in zip(model.graph.output, inferred, strict=True):
        if not stated.type.tensor_type.HasField("shape"):
            stated.CopyFrom(found)
