"""A whole network from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto

from . import arithmetic, branches, layout, linear, picking
from .assembly import as_model
from .draft import NUMPY_TYPES, Array, Draft, UnsuitableError, Value

Operator = Callable[[Draft, Value], list[Value]]
Families = Mapping[str, Mapping[Operator, float]]

FAMILIES: Families = {
    "linear": linear.OPERATORS,
    "arithmetic": arithmetic.OPERATORS,
    "layout": layout.OPERATORS,
    "picking": picking.OPERATORS,
    "branches": branches.OPERATORS,
}
"""Operators by family, each with how often it is tried against the others of its family."""

SHARES = {"linear": 0.22, "arithmetic": 0.3, "layout": 0.16, "picking": 0.12, "branches": 0.2}
"""How often each family is tried."""

OPSETS = range(9, 23)
TYPES = (TensorProto.FLOAT,) * 7 + (TensorProto.FLOAT16,) + (TensorProto.DOUBLE,) * 2


@dataclass(frozen=True, slots=True)
class Network:
    """A random network.

    Attributes:
        seed: what it was drawn from.
        model: the model, valid by onnx.checker.
        feeds: its inputs, normally distributed.
        open: which axes of which inputs may have other sizes; not told for those of `draw`.
    """

    seed: int
    model: onnx.ModelProto
    feeds: dict[str, Array]
    open: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def resized(self, times: int, more: int) -> dict[str, Array]:
        """Inputs whose open axes have so many times their size, and so many more."""
        rng = np.random.default_rng([self.seed, times, more])
        feeds = {}
        for name, given in self.feeds.items():
            opened = self.open.get(name, ())
            shape = [times * n + more if a in opened else n for a, n in enumerate(given.shape)]
            feeds[name] = np.asarray(rng.standard_normal(shape), given.dtype)
        return feeds

    def other_feeds(self) -> dict[str, Array]:
        """Inputs with every symbolic size one larger; {} where no size is symbolic.

        Not every network runs on them: constants may only suit the sizes it was drawn for. One
        with a Split gets none, for onnx.reference does not mind when its sizes do not add up.
        """
        if any(node.op_type == "Split" for node in self.model.graph.node):
            return {}
        rng = np.random.default_rng([self.seed, 1])
        feeds, differs = {}, False
        for value in self.model.graph.input:
            kind = value.type.tensor_type
            given = self.feeds[value.name]
            grows = [bool(dim.dim_param) for dim in kind.shape.dim]
            differs |= any(grows)
            shape = [size + more for size, more in zip(given.shape, grows, strict=True)]
            feeds[value.name] = rng.standard_normal(shape).astype(given.dtype)
        return feeds if differs else {}

    @property
    def types(self) -> set[int]:
        """The floating types that occur in it."""
        tensors = [value.type.tensor_type.elem_type for value in self.model.graph.input]
        for node in self.model.graph.node:
            tensors += [a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"]
        return set(tensors)


def draw(
    seed: int,
    *,
    shares: Mapping[str, float] | None = None,
    depth: int = 12,
    symbolic: bool = True,
) -> Network:
    """A network of about `depth` operators.

    Args:
        seed: the same seed gives the same network.
        shares: how often each family of `FAMILIES` is tried, `SHARES` by default.
        depth: how many operators are tried at most.
        symbolic: whether sizes of the inputs may be declared by name.
    """
    rng = np.random.default_rng(seed)
    draft = Draft(rng, opset=draft_opset(rng))
    dtype = int(rng.choice(TYPES))
    for _ in range(1 if draft.chance(0.85) else 2):
        draft.input(_input_shape(draft), dtype)
    for _ in range(draft.between(2, depth)):
        grow(draft, FAMILIES, shares or SHARES)
    if not draft.nodes:
        draft.live.extend(draft.node("Identity", [draft.live[0]]))
    model = as_model(draft, ends(draft), _declared(draft, symbolic=symbolic))
    return Network(seed, model, feeds_of(draft))


def feeds_of(draft: Draft) -> dict[str, Array]:
    """Normally distributed inputs."""
    return {v.name: np.asarray(draft.rng.standard_normal(v.shape), NUMPY_TYPES[v.dtype])
            for v in draft.inputs}  # fmt: skip


def draft_opset(rng: np.random.Generator) -> int:
    return int(rng.choice(OPSETS))


def _input_shape(draft: Draft) -> list[int]:
    rank = draft.one_of([2, 2, 3, 3, 4, 4, 4, 4, 5])
    channels = draft.one_of([2, 3, 4, 4, 6, 8])
    # Channels and places of one size are what a wrong axis would hide behind.
    spatial = [channels if draft.chance(0.25) else draft.between(2, 6) for _ in range(rank - 2)]
    return [draft.one_of([1, 2, 2, channels]), channels, *spatial]


def grow(draft: Draft, families: Families, shares: Mapping[str, float]) -> None:
    """Add one operator of those that fit, to a recent value most of the time."""
    for _ in range(8):
        family = families[_weighted(draft, shares)]
        operator = _weighted(draft, family)
        recent = draft.chance(0.8) or len(draft.live) == 1
        x = draft.live[-1] if recent else draft.one_of(draft.live)
        point = draft.checkpoint()
        try:
            made = operator(draft, x)
        except UnsuitableError:
            draft.rewind(point)
            continue
        order = draft.rng.permutation(len(made))
        draft.live.extend(made[i] for i in order)
        return


def _weighted(draft: Draft, choices: Mapping) -> object:  # type: ignore[type-arg]
    keys = list(choices)
    weights = np.array([choices[key] for key in keys], dtype=np.float64)
    return keys[int(draft.rng.choice(len(keys), p=weights / weights.sum()))]


def ends(draft: Draft) -> list[Value]:
    """What nothing reads, and now and then a value that something reads too."""
    read = {name for node in draft.nodes for name in node.input}
    made = draft.live[len(draft.inputs) :]
    ends = [value for value in made if value.name not in read]
    inner = [value for value in made if value.name in read and draft.chance(0.05)]
    return [*ends, *inner]


def _declared(draft: Draft, *, symbolic: bool) -> dict[str, list[str | int]]:
    """Declared sizes of the inputs: half of the time the batch, sometimes the places, have names.

    One name stands for one size in the whole model.
    """
    batch, places = symbolic and draft.chance(0.5), symbolic and draft.chance(0.25)
    named = {}
    for value in draft.inputs:
        dims: list[str | int] = list(value.shape)
        if batch:
            dims[0] = f"n{value.shape[0]}"
        for axis in range(2, value.rank):
            if places:
                dims[axis] = f"s{axis}_{value.shape[axis]}"
        named[value.name] = dims
    return named
