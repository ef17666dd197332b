"""Rows of features that lead to the nodes of a tree ensemble that differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Array

_ENSEMBLES = frozenset(("TreeEnsembleClassifier", "TreeEnsembleRegressor"))
_MOST = 256
_ANY = math.inf
_Bounds = Callable[[float, float], tuple[float, float]]
# By mode: between what a feature lies on the way to the true child, and to the false one, by the
# number that it is compared with and the step to the next one.
_WAYS: Mapping[str, tuple[_Bounds, _Bounds]] = {
    "BRANCH_LEQ": (lambda v, step: (-_ANY, v), lambda v, step: (v + step, _ANY)),
    "BRANCH_LT": (lambda v, step: (-_ANY, v - step), lambda v, step: (v, _ANY)),
    "BRANCH_GTE": (lambda v, step: (v, _ANY), lambda v, step: (-_ANY, v - step)),
    "BRANCH_GT": (lambda v, step: (v + step, _ANY), lambda v, step: (-_ANY, v)),
    "BRANCH_EQ": (lambda v, step: (v, v), lambda v, step: (v + step, _ANY)),
    "BRANCH_NEQ": (lambda v, step: (v + step, _ANY), lambda v, step: (v, v)),
}


class _Ensemble:
    """The attributes of a node that holds trees."""

    def __init__(self, node: ir.Node) -> None:
        def get(name: str) -> list[Any]:
            attribute = node.attributes.get(name)
            return [] if attribute is None else list(attribute.value)

        self.nodes = list(zip(get("nodes_treeids"), get("nodes_nodeids"), strict=False))
        self.features = get("nodes_featureids")
        self.values = get("nodes_values")
        self.modes = get("nodes_modes")
        children = (get("nodes_truenodeids"), get("nodes_falsenodeids"))
        self.links = list(zip(*children, strict=False))
        kind = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
        leaves = zip(get(f"{kind}_treeids"), get(f"{kind}_nodeids"), strict=False)
        self.leaves = list(zip(leaves, get(f"{kind}_ids"), get(f"{kind}_weights"), strict=False))
        self._parents = {
            (tree, child): (number, way)
            for number, ((tree, _), links) in enumerate(zip(self.nodes, self.links, strict=False))
            if self.modes[number] != "LEAF"
            for way, child in enumerate(links)
        }

    def fields(self, number: int) -> tuple[Any, ...]:
        """What a node of a tree is."""
        lists = (self.features, self.values, self.modes, self.links)
        return tuple(each[number] for each in lists)

    def row(
        self, at: tuple[int, int], asked: Mapping[int, float], width: int, dtype: np.dtype[Any]
    ) -> Array | None:
        """Features that lead to a node, and hold what else is asked; None where they cannot."""
        bounds = dict.fromkeys(asked, (-_ANY, _ANY))
        for _ in self.nodes:  # no more, whatever is said of parents
            if at not in self._parents:
                break
            number, way = self._parents[at]
            feature, value = self.features[number], self.values[number]
            step = float(np.spacing(dtype.type(abs(value) or 1)))
            low, high = _WAYS[self.modes[number]][way](value, step)
            known = bounds.get(feature, (-_ANY, _ANY))
            bounds[feature] = (max(low, known[0]), min(high, known[1]))
            at = self.nodes[number]
        row = np.zeros(width, dtype=dtype)
        for feature, (low, high) in bounds.items():
            if feature >= width or low > high:
                return None
            row[feature] = asked.get(feature, _between(low, high))
        return row


def tree_rows(node: ir.Node, other: ir.Node, width: int, dtype: np.dtype[Any]) -> Iterator[Array]:
    """Rows that lead to what differs between two ensembles, as one block."""
    if node.op_type not in _ENSEMBLES:
        return
    one, two = _Ensemble(node), _Ensemble(other)
    rows = [row for row in _rows(one, two, width, dtype) if row is not None]
    if rows:
        yield np.stack(rows)


def _rows(
    one: _Ensemble, two: _Ensemble, width: int, dtype: np.dtype[Any]
) -> Iterator[Array | None]:
    if one.nodes != two.nodes:
        return
    for number in [n for n in range(len(one.nodes)) if one.fields(n) != two.fields(n)][:_MOST]:
        feature, value, before = one.features[number], one.values[number], two.values[number]
        numbers = ((value + before) / 2, value, before)
        wanted = [{feature: n} for n in numbers] + [{two.features[number]: n} for n in numbers]
        for asked in (*wanted, {}):
            yield one.row(one.nodes[number], asked, width, dtype)
    differ = [a[0] for a, b in zip(one.leaves, two.leaves, strict=False) if a != b]
    for at in differ[:_MOST]:
        yield one.row(at, {}, width, dtype)


def _between(low: float, high: float) -> float:
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2
    return low + 1 if math.isfinite(low) else high - 1 if math.isfinite(high) else 0.0
