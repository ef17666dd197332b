"""Attributes of operators of ai.onnx.ml that differ: whether a feed shows it, and feeds that do.

They hold tables and trees of which a feed passes most by. A feed shows a difference where the node
gives something else, of what it reads on that feed, with the original's attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.reaching import Changes, handing
from normonnx.judge.alignment import Alignment, Numbering
from normonnx.judge.coverage.trees import tree_rows
from normonnx.judge.pairing import names_of, title_of
from normonnx.operators.attributes import attribute_key
from normonnx.operators.kernels import Array, Inputs
from normonnx.operators.names import MACHINE_LEARNING
from normonnx.oracle.planner import compute

_KEYS = ("keys_int64s", "keys_strings", "keys_floats", "cats_int64s", "cats_strings")
_LISTS = (ir.AttributeType.FLOATS, ir.AttributeType.INTS)
_NUMBERS = (*_LISTS, ir.AttributeType.FLOAT, ir.AttributeType.INT)
_ROWS = 64
_BLOCKS = 8
_MOST_KEYS = 4096


class Setting(Struct, frozen=True, eq=False):
    """A node of the optimised model, and the one of the original with other attributes."""

    node: ir.Node
    other: ir.Node

    @property
    def names(self) -> list[str]:
        """The attributes that differ."""
        names = {**self.other.attributes, **self.node.attributes}
        return [n for n in names if _key(self.node, n) != _key(self.other, n)]

    def __str__(self) -> str:
        return f"{', '.join(self.names)} of {title_of(self.node)}"


def settings_of(aligned: Alignment) -> tuple[Setting, ...]:
    """The nodes that differ by attributes; paired by what they give, else by their order."""
    new = _unlike(aligned.optimized, aligned.after, aligned.before)
    old = _unlike(aligned.original, aligned.before, aligned.after)
    pairs = ((node, _partner(node, old, new)) for node in new)
    found = (Setting(node, other) for node, other in pairs if other is not None)
    return tuple(setting for setting in found if setting.names)


def _partner(node: ir.Node, old: Sequence[ir.Node], new: Sequence[ir.Node]) -> ir.Node | None:
    alike, beside = ([n for n in nodes if n.op_type == node.op_type] for nodes in (old, new))
    named = next((other for other in alike if names_of(other) == names_of(node)), None)
    if named is None and len(alike) == len(beside):
        return alike[beside.index(node)]
    return named


def _unlike(model: ir.Model, own: Numbering, other: Numbering) -> list[ir.Node]:
    known = {number for numbers in other.made.values() for number in numbers}
    nodes = (node for node in model.graph.all_nodes() if node.domain == MACHINE_LEARNING)
    return [node for node in nodes if not known.issuperset(own.made.get(node, ()))]


def _key(node: ir.Node, name: str) -> object:
    attribute = node.attributes.get(name)
    return None if attribute is None else attribute_key(attribute)


def is_shown(
    setting: Setting, inputs: Inputs, outputs: Sequence[Any], opsets: Mapping[str, int]
) -> bool:
    """Whether a node gives something else with the original's attributes."""
    try:
        before = compute(setting.other, inputs, opsets, exact=True)
    except Exception:  # whatever keeps it from being computed, nothing is shown
        return False
    return not all(_same(a, b).all() for a, b in zip(before, outputs, strict=False))


def setting_feeds(
    setting: Setting,
    inputs: Sequence[ir.Value],
    drawn: Mapping[str, Any],
    opsets: Mapping[str, int],
) -> Iterator[Changes]:
    """Inputs with which a node gives something else with the original's attributes."""
    for value in inputs:
        array = np.asarray(drawn[str(value.name)])
        if not array.size:
            continue
        for rows in _candidates(setting, array):
            differ = _differing(setting, rows, opsets)
            changes = handing(value, setting.node, rows[differ], array) if differ.any() else None
            if changes is not None:
                yield changes
                break


def _candidates(setting: Setting, array: Array) -> Iterator[Array]:
    """What the node may read, shaped as an input of the model."""
    keys = [_listed(one, name) for one in (setting.node, setting.other) for name in _KEYS]
    pool = [key for several in keys for key in several][:_MOST_KEYS]
    if pool and isinstance(pool[0], str) != (array.dtype.kind == "O"):
        return
    if pool:
        pool.append("none of these" if isinstance(pool[0], str) else max(pool) + 1)
        filled = np.array(pool, dtype=array.dtype)
        shape = (len(pool), *(1,) * (array.ndim - 1))
        yield np.broadcast_to(filled.reshape(shape), (len(pool), *array.shape[1:])).copy()
    if array.dtype.kind != "f":
        return
    width = array.shape[-1] if array.ndim else 1
    yield from tree_rows(setting.node, setting.other, width, array.dtype)
    random = np.random.default_rng(0)
    told = np.array([*_told(setting), np.nan])
    for _ in range(_BLOCKS):
        rows = random.standard_normal((_ROWS, *array.shape[1:]))
        rows *= 10.0 ** random.integers(-1, 3, rows.shape)
        chosen = random.random(rows.shape) < 0.5
        yield np.where(chosen, random.choice(told, rows.shape), rows).astype(array.dtype)


def _told(setting: Setting) -> Iterator[float]:
    """The numbers that differ, and those between them."""
    for name in setting.names:
        pairs = [np.asarray(_listed(one, name)) for one in (setting.other, setting.node)]
        if any(a.dtype.kind not in "iuf" for a in pairs):
            continue
        yield from (float(x) for a in pairs for x in np.unique(a)[:_ROWS])
        if pairs[0].shape == pairs[1].shape:
            unlike = pairs[0] != pairs[1]
            yield from ((pairs[0] + pairs[1])[unlike] / 2).tolist()[:_ROWS]


def _listed(node: ir.Node, name: str) -> Sequence[Any]:
    attribute = node.attributes.get(name)
    if attribute is None or attribute.is_ref():
        return []
    if attribute.type == ir.AttributeType.STRINGS:
        return attribute.as_strings()
    if attribute.type not in _NUMBERS:
        return []
    return list(attribute.value) if attribute.type in _LISTS else [attribute.value]


def _differing(setting: Setting, rows: Array, opsets: Mapping[str, int]) -> Array:
    """Which rows both nodes make something else of."""
    found = np.zeros(len(rows), dtype=bool)
    try:
        pairs = [compute(one, [rows], opsets) for one in (setting.node, setting.other)]
    except Exception:  # what cannot be computed is not found
        return found
    for one, other in zip(*pairs, strict=False):
        same = _same(one, other)
        if same.shape[:1] == found.shape:
            found |= ~same.reshape(len(rows), -1).all(axis=1)
    return found


def _same(one: Any, other: Any) -> Array:
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape:
        return np.zeros(1, dtype=bool)
    equal: Array = np.asarray(a == b)
    if a.dtype.kind == b.dtype.kind == "f":
        equal |= np.isnan(a) & np.isnan(b)
    return equal
