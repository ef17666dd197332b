"""Running the engine alone on a model, and judging what it did in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnx_ir as ir
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from normonnx.journal import Journal
from normonnx.norm import add_bodies, fuse_norms, wanted_opset
from normonnx.ops.operators import OPERATORS
from normonnx.opset import raise_opset
from normonnx.rewrite import Context
from normonnx.sizes.recorded import Recorded
from normonnx.targets import TARGETS
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
NORMS = {
    "LayerNormalization", "RMSNormalization", "GroupNormalization", "InstanceNormalization",
    "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", *OPERATORS,
}  # fmt: skip


@dataclass(frozen=True)
class Fused:
    """What became of a model."""

    proto: onnx.ModelProto
    journal: Journal

    @property
    def operators(self) -> list[str]:
        return [node.op_type for node in nodes(self.proto.graph)]

    @property
    def norms(self) -> list[str]:
        return [op for op in self.operators if op in NORMS]

    @property
    def reasons(self) -> list[str]:
        return [miss.reason for miss in self.journal.near_misses.values()]

    @property
    def readings(self) -> dict[str, float]:
        """What the constants of the original that hold a rounded 1/N were read as."""
        return dict(pair for rewrite in self.journal.rewrites for pair in rewrite.readings)

    def node(self, op_type: str) -> onnx.NodeProto:
        [node] = [node for node in nodes(self.proto.graph) if node.op_type == op_type]
        return node

    def array(self, name: str) -> np.ndarray:
        [tensor] = [t for t in self.proto.graph.initializer if t.name == name]
        return numpy_helper.to_array(tensor)


def context_of(model: ir.Model, **options: Any) -> Context:
    constants = Constants(model)
    return Context(
        model, constants, Shapes(model, constants), Journal(), Recorded(model), **options
    )


def fuse(
    proto: onnx.ModelProto,
    *,
    cap: int | None = None,
    target: str = "onnx",
    rules_on: frozenset[str] = frozenset(),
    allow_duplicate: bool = False,
) -> Fused:
    """Raise the opset as far as the norms need, and fuse them."""
    model = ir.from_proto(proto)
    options: dict[str, Any] = {
        "target": TARGETS[target],
        "rules_on": rules_on,
        "allow_duplicate": allow_duplicate,
    }
    context = context_of(model, **options)
    wanted = wanted_opset(context, cap=cap)
    if wanted > context.opset:
        raised = raise_opset(model, wanted)
        assert raised.is_made, raised.note
        context = context_of(model, **options)
    fuse_norms(context)
    add_bodies(context)
    fused = Fused(ir.to_proto(context.model), context.journal)
    onnx.checker.check_model(fused.proto, full_check=True)
    return fused


def nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes(attribute.g)


def in_float64(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every float type made double: the real numbers it stands for."""
    copy = onnx.inliner.inline_local_functions(proto)
    _widen(copy.graph)
    return copy


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        tensor.CopyFrom(_wide(tensor))
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.elem_type in FLOATS:
            kind.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value_float":
                number = numpy_helper.from_array(np.array(np.float64(attribute.f)))
                attribute.CopyFrom(onnx.helper.make_attribute("value", number))
        if node.op_type in ("LayerNormalization", "RMSNormalization"):
            kept = [a for a in node.attribute if a.name != "stash_type"]  # it knows one type only
            del node.attribute[:]
            node.attribute.extend(kept)
        if node.op_type == "GroupNormalization":  # computes in this type
            node.attribute.append(onnx.helper.make_attribute("stash_type", TensorProto.DOUBLE))
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.CopyFrom(_wide(attribute.t))
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in FLOATS:
                attribute.i = TensorProto.DOUBLE


def _read(graph: onnx.GraphProto, readings: Mapping[str, float]) -> None:
    """Put in what constants were before they were rounded, which they have to show."""
    stored = [(tensor, tensor.name) for tensor in graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _read(attribute.g, readings)
            elif node.op_type == "Constant":
                stored.append((attribute.t, node.output[0]))
    for tensor, name in stored:
        if name in readings:
            array = numpy_helper.to_array(tensor)
            assert (array.astype(np.float32) == np.float32(readings[name])).all()
            exact = np.full_like(array, readings[name])
            tensor.CopyFrom(numpy_helper.from_array(exact, tensor.name))


def _wide(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type not in FLOATS:
        return tensor
    array = numpy_helper.to_array(tensor).astype(np.float64)
    return numpy_helper.from_array(array, tensor.name)


def difference(
    original: onnx.ModelProto,
    changed: onnx.ModelProto,
    feeds: Mapping[str, np.ndarray],
    *,
    readings: Mapping[str, float] | None = None,
) -> float:
    """Largest difference of any output in float64, relative to its largest value."""
    worst = 0.0
    wide = in_float64(original)
    _read(wide.graph, readings or {})
    with np.errstate(all="ignore"):
        before = ReferenceEvaluator(wide).run(None, dict(feeds))
        after = ReferenceEvaluator(in_float64(changed)).run(None, dict(feeds))
    for a, b in zip(before, after, strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        finite = np.isfinite(a)
        scale = np.max(np.abs(a[finite]), initial=1e-300)
        worst = max(worst, float(np.max(np.abs(a - b)[finite], initial=0.0) / scale))
    return worst


def random_feeds(
    proto: onnx.ModelProto, seed: int, *, spread: float = 1.0, mean: float = 0.3
) -> dict[str, np.ndarray]:
    """Normal numbers for the inputs; a symbolic dimension is 4 long."""
    rng = np.random.default_rng(seed)
    listed = {tensor.name for tensor in proto.graph.initializer}
    feeds = {}
    for value in proto.graph.input:
        if value.name not in listed:
            dims = [d.dim_value or 4 for d in value.type.tensor_type.shape.dim]
            feeds[value.name] = mean + spread * rng.standard_normal(dims)
    return feeds
