"""Faults of optimisers: each changes a correct model into one that computes something else.

A fault takes a model and a source of choices and gives the wrong model, or None where the model has
nothing that it could do wrong. Weights are changed in float64 and rounded like those of a rule with
that error; their unrounded values are handed back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
Random = np.random.Generator

_FLOATS = (np.float16, np.float32, np.float64)
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_NORMS = ("LayerNormalization", "BatchNormalization", "InstanceNormalization", "RMSNormalization")
_ALONG_AXIS = ("Softmax", "LogSoftmax", "Concat", "LayerNormalization", "ReduceMean", "Split")
_LEAST_EPSILON = 1e-5


@dataclass
class Draft:
    """A model that is being changed.

    Attributes:
        model: it.
        exact: float64 values of the weights that were changed, by name.
    """

    model: onnx.ModelProto
    exact: dict[str, Array] = field(default_factory=dict)

    def nodes(self, *op_types: str) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.op_type in op_types]

    def weight(self, name: str) -> Array | None:
        """The float64 value of a floating initializer, if the name is one's."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                array = numpy_helper.to_array(tensor)
                return array.astype(np.float64) if array.dtype in _FLOATS else None
        return None

    def store(self, name: str, array: Array) -> None:
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                dtype = numpy_helper.to_array(tensor).dtype
                tensor.CopyFrom(numpy_helper.from_array(array.astype(dtype), name))
                self.exact[name] = array

    def weights_at(self, index: int, *op_types: str) -> list[tuple[onnx.NodeProto, str, Array]]:
        """The nodes of these operators whose input number `index` is an initializer."""
        found = []
        for node in self.nodes(*op_types):
            if len(node.input) > index:
                array = self.weight(node.input[index])
                if array is not None and array.size:
                    found.append((node, node.input[index], array))
        return found


Fault = Callable[[Draft, Random], bool]


def _pick(random: Random, candidates: list[Any]) -> Any:
    return candidates[int(random.integers(len(candidates)))]


def _on_weight(index: int, change: Callable[[Array, Random], Array | None], *ops: str) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        candidates = draft.weights_at(index, *ops)
        if not candidates:
            return False
        _, name, array = _pick(random, candidates)
        changed = change(array.copy(), random)
        if changed is None or np.array_equal(changed, array):
            return False
        draft.store(name, changed)
        return True

    return fault


def _channel(factor: float) -> Callable[[Array, Random], Array | None]:
    def change(array: Array, random: Random) -> Array | None:
        array[int(random.integers(len(array)))] *= factor
        return array

    return change


def _element(array: Array, random: Random) -> Array:
    array.reshape(-1)[int(random.integers(array.size))] *= 1.01
    return array


def _rolled(axis: int) -> Callable[[Array, Random], Array | None]:
    return lambda array, _: np.roll(array, 1, axis) if array.ndim > axis else None


def _through_half(array: Array, _: Random) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(array.astype(np.float16).astype(np.float64))


def _transposed(array: Array, _: Random) -> Array | None:
    square = array.ndim >= 2 and array.shape[0] == array.shape[1]
    return np.swapaxes(array, 0, 1) if square else None


def _flipped(array: Array, _: Random) -> Array | None:
    return array[..., ::-1].copy() if array.ndim > 2 and array.shape[-1] > 1 else None


def _epsilon(change: Callable[[float], float]) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        nodes = draft.nodes(*_NORMS)
        if not nodes:
            return False
        node = _pick(random, nodes)
        held = [a for a in node.attribute if a.name == "epsilon"]
        before = held[0].f if held else _LEAST_EPSILON
        for attribute in held:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute("epsilon", change(before)))
        return True

    return fault


def _axis(step: int) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        nodes = draft.nodes(*_ALONG_AXIS)
        held = [a for node in nodes for a in node.attribute if a.name == "axis"]
        if not held:
            return False
        _pick(random, held).i += step
        return True

    return fault


def _swapped(first: int, second: int, *ops: str) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        nodes = [n for n in draft.nodes(*ops) if len(n.input) > max(first, second)]
        nodes = [n for n in nodes if n.input[first] != n.input[second]]
        if not nodes:
            return False
        inputs = _pick(random, nodes).input
        inputs[first], inputs[second] = inputs[second], inputs[first]
        return True

    return fault


def _attribute(name: str, change: Callable[[float], float], *ops: str) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        held = [a for n in draft.nodes(*ops) for a in n.attribute if a.name == name]
        if not held:
            return False
        attribute = _pick(random, held)
        attribute.f = change(attribute.f)
        return True

    return fault


def _bypassed(*ops: str) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        nodes = draft.nodes(*ops)
        if not nodes:
            return False
        node = _pick(random, nodes)
        replaced = helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        node.CopyFrom(replaced)
        return True

    return fault


FAULTS: Mapping[str, Fault] = {
    "one channel ×1.001": _on_weight(1, _channel(1.001), *_LAYERS),
    "one channel ×1.0001": _on_weight(1, _channel(1.0001), *_LAYERS),
    "one weight ×1.01": _on_weight(1, _element, *_LAYERS),
    "weight through float16": _on_weight(1, _through_half, *_LAYERS),
    "channels off by one": _on_weight(1, _rolled(0), *_LAYERS),
    "inputs off by one (wrong group)": _on_weight(1, _rolled(1), *_LAYERS),
    "weight transposed": _on_weight(1, _transposed, *_LAYERS),
    "kernel flipped": _on_weight(1, _flipped, "Conv", "ConvTranspose"),
    "bias lost": _on_weight(2, lambda b, _: np.zeros_like(b), "Conv", "ConvTranspose", "Gemm"),
    "bias negated": _on_weight(2, lambda b, _: -b, "Conv", "ConvTranspose", "Gemm"),
    "bias through float16": _on_weight(2, _through_half, "Conv", "ConvTranspose", "Gemm"),
    "bias off by one": _on_weight(2, _rolled(0), "Conv", "ConvTranspose", "Gemm"),
    "added constant ×1.001": _on_weight(1, lambda c, _: c * 1.001, "Add", "Sub"),
    "factor ×1.001": _on_weight(1, lambda c, _: c * 1.001, "Mul", "Div"),
    "epsilon ×100": _epsilon(lambda e: e * 100),
    "epsilon dropped": _epsilon(lambda e: 0.0),
    "norm scale lost": _on_weight(1, lambda s, _: np.ones_like(s), *_NORMS),
    "norm bias lost": _on_weight(2, lambda s, _: np.zeros_like(s), *_NORMS),
    "norm scale and bias swapped": _swapped(1, 2, *_NORMS),
    "axis one less": _axis(-1),
    "axis one more": _axis(1),
    "operands swapped": _swapped(0, 1, "Sub", "Div", "MatMul"),
    "slope ×1.01": _attribute("alpha", lambda a: a * 1.01, "LeakyRelu", "Elu", "Gemm"),
    "activation lost": _bypassed("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Erf"),
}


def faulty(
    model: onnx.ModelProto, random: Random, *, kinds: int, of: Mapping[str, Fault]
) -> Iterator[tuple[str, onnx.ModelProto, dict[str, Array]]]:
    """Wrong models made from a right one, by faults drawn without repetition.

    Args:
        model: the right one; it is not changed.
        random: where the choices come from.
        kinds: how many at most.
        of: the faults by their names.
    """
    names = [list(of)[i] for i in random.permutation(len(of))]
    made = 0
    for name in names:
        draft = Draft(onnx.ModelProto.FromString(model.SerializeToString()))
        if made < kinds and of[name](draft, random):
            made += 1
            yield name, draft.model, draft.exact
