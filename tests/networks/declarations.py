"""What a file declares of sizes: names, numbers, −1, nothing; right, or of another day."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from .assembly import Dims
from .draft import Draft, Value

Spelling = Callable[[int, int], str | int | None]
"""How an open axis of some size is declared."""


def _named(axis: int, size: int) -> str:
    return f"d{axis}_{size}"


def _minus_one(axis: int, size: int) -> int:
    return -1


def _nothing(axis: int, size: int) -> None:
    return None


SPELLINGS: tuple[Spelling, ...] = (_named, _named, _named, _minus_one, _nothing)
SCOPES = ("none", "batch", "batch", "places", "both", "both", "all")


def declare(draft: Draft, channels: int) -> tuple[dict[str, Dims], dict[str, tuple[int, ...]]]:
    """Declared sizes of the inputs, and which axes may have others than those drawn.

    Args:
        draft: the network.
        channels: the axis that the weights fix; with the scope "all" it is open in the file only.
    """
    scope, spelling = draft.one_of(SCOPES), draft.one_of(SPELLINGS)
    declared: dict[str, Dims] = {}
    opened = {}
    for value in draft.inputs:
        kept = channels % value.rank
        places = tuple(axis for axis in range(1, value.rank) if axis != kept)
        axes = {"none": (), "batch": (0,), "places": places}.get(scope, (0, *places))
        dims: list[str | int | None] = list(value.shape)
        for axis in (*axes, kept) if scope == "all" else axes:
            dims[axis] = spelling(axis, value.shape[axis])
        declared[value.name] = dims
        opened[value.name] = axes
    return declared, opened


def stale(draft: Draft, values: Sequence[Value]) -> list[onnx.ValueInfoProto]:
    """Shapes of some values in between as they were at other sizes, or at one of many."""
    kind = draft.one_of(["drawn", "drawn", "batch of one", "ones"])
    if any(node.op_type in ("If", "Loop") for node in draft.nodes):
        # ONNX Runtime makes room by what is said of their inputs, and then finds no room.
        return []
    made = []
    for value in values:
        if not draft.chance(0.5):
            continue
        shape = list(value.shape)
        if kind == "batch of one" and value.rank:
            shape[0] = 1
        elif kind == "ones":
            shape = [1] * value.rank
        made.append(helper.make_tensor_value_info(value.name, value.dtype, shape))
    return made
