"""A network on paper: nodes and weights in the order and under the names an exporter gives them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Number = np.float32 | np.int64


class Network:
    """Collects nodes and weights and writes them as an ONNX model.

    All weights are drawn from one stream of uniform numbers, which numpy makes from integers
    alone, so that the same seed gives the same bytes on every machine.

    Args:
        name: name of the graph; it also seeds the weights.
        opset: version of the default domain.
        ir_version: the IR version the exporter of that time wrote.
        producer: name and version of the exporter whose habits are followed.
        suffix: what that exporter puts behind a node's name to name its output.
    """

    def __init__(
        self, name: str, *, opset: int, ir_version: int, producer: tuple[str, str], suffix: str
    ) -> None:
        self.name = name
        self.suffix = suffix
        self._rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        self._opset = opset
        self._ir_version = ir_version
        self._producer = producer
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(
        self, name: str, shape: Sequence[int | str], dtype: int = int(TensorProto.FLOAT)
    ) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> None:
        self._outputs.append(
            helper.make_tensor_value_info(name, int(TensorProto.FLOAT), list(shape))
        )

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Array:
        """float32 numbers of the given shape, uniform between low and high."""
        unit = self._rng.random(tuple(shape))
        return np.asarray(low + (high - low) * unit, np.float32)

    def fan_in(self, shape: Sequence[int], fan_in: int) -> Array:
        """float32 weights that keep the variance of what passes through them (He, uniform)."""
        bound = sqrt(6.0 / fan_in)
        return self.uniform(shape, -bound, bound)

    def gains(self, channels: int, *, negative: bool = True) -> Array:
        """Scales as training leaves them: around 1, and where allowed one in eight negative."""
        gains = self.uniform((channels,), 0.4, 1.6)
        if negative:
            gains[self._rng.random(channels) < 0.125] *= -1
        return gains

    def weight(self, name: str, value: Array | Number) -> str:
        """An initializer of that name."""
        self._weights[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def shared(self, name: str, draw: Callable[[], Array]) -> str:
        """An initializer that several calls of one module read: drawn at the first."""
        return name if name in self._weights else self.weight(name, draw())

    def constant(self, name: str, value: Array | Number) -> str:
        """A Constant node, the way the TorchScript exporter writes numbers."""
        return self.node("Constant", [], name, value=numpy_helper.from_array(np.asarray(value)))

    def node(
        self, op_type: str, inputs: Sequence[str], name: str, *, out: str = "", **attributes: Any
    ) -> str:
        """A node with one output; returns the output's name."""
        output = out or name + self.suffix
        self._nodes.append(helper.make_node(op_type, inputs, [output], name=name, **attributes))
        return output

    def split(self, value: str, parts: Sequence[int], name: str, *, axis: int) -> list[str]:
        """Split of opset 13 and later, sizes as a Constant."""
        sizes = self.constant(f"{name}_sizes", np.array(parts, np.int64))
        outputs = [f"{name}_output_{index}" for index in range(len(parts))]
        self._nodes.append(helper.make_node("Split", [value, sizes], outputs, name=name, axis=axis))
        return outputs

    def model(self) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._weights.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self._opset)],
            ir_version=self._ir_version,
            producer_name=self._producer[0],
            producer_version=self._producer[1],
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def torch_network(name: str, *, opset: int) -> Network:
    """A network in the manner of PyTorch's TorchScript exporter."""
    return Network(
        name,
        opset=opset,
        ir_version={13: 7, 14: 7, 17: 8}[opset],
        producer=("pytorch", "2.6.0"),
        suffix="_output_0",
    )


def keras_network(name: str) -> Network:
    """A network in the manner of Keras and tf2onnx."""
    return Network(name, opset=13, ir_version=7, producer=("tf2onnx", "1.16.1"), suffix=":0")
