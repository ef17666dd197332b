"""The first tensor at which two models part, and the parts of both that compute it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.kernels import Array

_NODES_NAMED = 4


class Part(Struct, frozen=True):
    """Some nodes of a model, as a model.

    Attributes:
        model: the nodes.
        inputs: the float64 values of what they read, rounded to its type, by name.
        nodes: the operators and names of the nodes.
    """

    model: ir.Model
    inputs: Mapping[str, Any]
    nodes: tuple[str, ...]


class Excerpt(Struct, frozen=True):
    """The part of each model that computes one tensor from tensors on which both agree.

    Attributes:
        made: the optimised model's part.
        reference: the original's.
        output: the name of the tensor in the optimised model.
        optimized: what the optimised model's part computes.
        original: what the original's part computes.
        truth: the float64 value.
    """

    made: Part
    reference: Part
    output: str
    optimized: Array
    original: Array
    truth: Array

    @property
    def nodes(self) -> tuple[str, ...]:
        """The optimised model's nodes in it."""
        return self.made.nodes

    @property
    def replaced(self) -> tuple[str, ...]:
        """The original's nodes in it."""
        return self.reference.nodes


class Divergence(Struct, frozen=True):
    """The first tensor at which the models part.

    Attributes:
        tensor: its name in the optimised model.
        producer: the operator and the name of the node that makes it there.
        excess: its distance over what is allowed.
        isolated: the same, computed alone from right inputs; None if that could not be done.
        nodes: the optimised model's nodes between the last tensors that are right and this one.
        replaced: the original's nodes there.
        compared: how many tensors were compared.
        window: these nodes as a model, with their data; None if they could not be cut out.
    """

    tensor: str
    producer: str
    excess: float
    isolated: float | None
    nodes: tuple[str, ...]
    replaced: tuple[str, ...]
    compared: int
    window: Excerpt | None = None

    def __repr__(self) -> str:
        return f"<Divergence: {self.sentence()}>"

    def sentence(self) -> str:
        """Such as ``the models first differ at 'c' (Conv 'conv2'), by 8.1× what is allowed``."""
        text = f"the models first differ at '{self.tensor}' ({self.producer}), by "
        text += _times(self.excess)
        if self.isolated is not None and self.isolated > 1:
            text += f", and by {_times(self.isolated)} when computed alone from right inputs"
        elif self.isolated is not None:
            text += "; computed alone from right inputs it is right"
        if len(self.nodes) > 1:
            text += f"; it is computed by {_listed(self.nodes)}"
        if self.replaced:
            text += f"{',' if len(self.nodes) > 1 else ';'} which replaced {_listed(self.replaced)}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain data, infinities as texts."""
        numbers = {"excess": self.excess, "isolated": self.isolated}
        return {
            "tensor": self.tensor,
            "producer": self.producer,
            **{k: str(v) if v is not None and np.isinf(v) else v for k, v in numbers.items()},
            "nodes": list(self.nodes),
            "replaced": list(self.replaced),
            "compared": self.compared,
        }


def _times(excess: float) -> str:
    return f"{excess:.3g}× what is allowed" if np.isfinite(excess) else "beyond any measure"


def _listed(nodes: tuple[str, ...]) -> str:
    more = len(nodes) - _NODES_NAMED
    text = ", ".join(nodes[:_NODES_NAMED])
    return f"{text} and {more} more" if more > 0 else text
