"""Count norms in a model by plain looking, knowing nothing of normonnx.

The counts are meant to check normonnx's own report, so they are as simple as can be: a decomposed
norm is a square root of a mean (or sum) of squares that something is divided by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
LAYOUT = ("Identity", "Dropout", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
ARITHMETIC = ("Mul", "Add", "Sub", "Div")
ON_THE_WAY_UP = (*ARITHMETIC, *LAYOUT, "Max", "Clip", "Relu", "Cast")
MEANS = ("ReduceMean", "ReduceSum", "ReduceSumSquare", "GlobalAveragePool", "MatMul")
SQUARES = ("Mul", "Pow")


@dataclass
class Census:
    """How many there are of what.

    Attributes:
        nodes: all nodes but Constant, those of subgraphs and functions too.
        batchnorms: BatchNormalization nodes.
        foldable: those of them behind a Conv, ConvTranspose, Gemm or MatMul (with or without an
            Add of a constant, a new layout in between) of which nothing else reads the numbers.
        arithmetic: Mul, Add, Sub and Div with a constant on one side.
        decomposed: norms spelled out: roots of a mean of squares that something is divided by.
        layernorms: LayerNormalization nodes.
        rmsnorms: RMSNormalization nodes.
    """

    nodes: int = 0
    batchnorms: int = 0
    foldable: int = 0
    arithmetic: int = 0
    decomposed: int = 0
    layernorms: int = 0
    rmsnorms: int = 0


def take(model: onnx.ModelProto) -> Census:
    """The census of a model, over its graph, all subgraphs and all functions."""
    census = Census()
    for graph in (*graphs(model.graph), *(g for f in model.functions for g in graphs(f))):
        _Room(graph, model).count(census)
    return census


def graphs(graph: onnx.GraphProto | onnx.FunctionProto
           ) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:  # fmt: skip
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from graphs(body)


class _Room:
    """One graph: who makes and who reads what."""

    def __init__(self, graph: onnx.GraphProto | onnx.FunctionProto, model: onnx.ModelProto) -> None:
        self.graph = graph
        self.makers = {output: node for node in graph.node for output in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for value in node.input:
                self.readers.setdefault(value, []).append(node)
        self.uses: Counter[str] = Counter()
        for room in graphs(graph):
            for node in room.node:
                self.uses.update(node.input if node.op_type != "Shape" else ())
            self.uses.update(getattr(o, "name", o) for o in room.output)
        self.constants = {tensor.name for g in graphs(model.graph) for tensor in _stored(g)}

    def count(self, census: Census) -> None:
        for node in self.graph.node:
            census.nodes += node.op_type != "Constant"
            census.batchnorms += node.op_type == "BatchNormalization"
            census.foldable += node.op_type == "BatchNormalization" and self._foldable(node)
            census.arithmetic += node.op_type in ARITHMETIC and any(map(self._constant, node.input))
            census.decomposed += self._is_root(node) and self._divides(node) and self._of_mean(node)
            census.layernorms += node.op_type == "LayerNormalization"
            census.rmsnorms += node.op_type == "RMSNormalization"

    def _constant(self, value: str) -> bool:
        maker = self.makers.get(value)
        if maker is not None and maker.op_type in (*LAYOUT, "Cast"):
            return self._constant(maker.input[0])
        return value in self.constants or (maker is not None and maker.op_type == "Constant")

    def _foldable(self, norm: onnx.NodeProto) -> bool:
        if any(attribute.name == "training_mode" and attribute.i for attribute in norm.attribute):
            return False
        value = norm.input[0]
        while self.uses[value] == 1 and (maker := self.makers.get(value)) is not None:
            if maker.op_type in LINEAR:
                return self._constant(maker.input[1])
            if maker.op_type == "Add" and any(map(self._constant, maker.input)):
                value = next(v for v in maker.input if not self._constant(v))
            elif maker.op_type in LAYOUT:
                value = maker.input[0]
            else:
                return False
        return False

    def _is_root(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "Sqrt":
            return True
        exponent = self._number(node.input[1]) if node.op_type == "Pow" else None
        return exponent in (0.5, -0.5)

    def _divides(self, root: onnx.NodeProto) -> bool:
        """Whether something is divided by the root: Div by it, Reciprocal of it, Mul by x^-½."""
        for reader in self.readers.get(root.output[0], []):
            if reader.op_type in ("Reciprocal", "Mul"):
                return True
            if reader.op_type == "Div" and reader.input[1] == root.output[0]:
                return True
        return False

    def _of_mean(self, root: onnx.NodeProto) -> bool:
        """Whether a mean of squares is found going up from the root through arithmetic."""
        values, seen = [(root.input[0], 0)], set()
        while values:
            value, depth = values.pop()
            maker = self.makers.get(value)
            if maker is None or value in seen or depth > 8:
                continue
            seen.add(value)
            if maker.op_type in MEANS and self._of_square(maker):
                return True
            if maker.op_type in ON_THE_WAY_UP:
                values += [(source, depth + 1) for source in maker.input]
        return False

    def _of_square(self, mean: onnx.NodeProto) -> bool:
        maker = self.makers.get(mean.input[0])
        while maker is not None and maker.op_type in (*LAYOUT, "Cast"):
            maker = self.makers.get(maker.input[0])
        if mean.op_type == "ReduceSumSquare":
            return True
        if maker is None or maker.op_type not in SQUARES:
            return False
        left, right = maker.input[:2]
        return self._number(right) == 2.0 if maker.op_type == "Pow" else left == right

    def _number(self, value: str) -> float | None:
        """A constant of one element."""
        maker = self.makers.get(value)
        if maker is not None and maker.op_type in ("Identity", "Cast", "CastLike"):
            return self._number(maker.input[0])
        tensors = [attribute.t for attribute in maker.attribute] if maker is not None else [
            tensor for tensor in getattr(self.graph, "initializer", []) if tensor.name == value
        ]  # fmt: skip
        for tensor in tensors:
            array = onnx.numpy_helper.to_array(tensor)
            if array.size == 1:
                return float(array.reshape(()))
        return None


def _stored(graph: onnx.GraphProto | onnx.FunctionProto) -> list[onnx.TensorProto]:
    return list(getattr(graph, "initializer", []))
