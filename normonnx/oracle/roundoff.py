"""What rounding alone does to a model: an evaluation in which every value is rounded to its type.

A runtime may be luckier than the types of a model promise. ONNX Runtime's CPU kernels compute much
of a float16 model in float32, and an output of four elements may happen to lie near the truth. What
the types promise is found by rounding each value in float64, up or down by chance:

    ⌊v/ulp + u⌋·ulp,    u uniform in [0, 1)

which leaves alone what needs no rounding, and has no bias. Its variance is twice that of rounding
to nearest, so distances found with it are divided by √2. Values of float64 are rounded already:
they are moved by an ulp at most.

A sum of K products is rounded K times on its way, which rounding its end leaves out. Runtimes sum
blocks of some hundred products; with S the sum, Q the sum of the squares of the products, b the
length of a block and ε a rounding's own share of what is rounded, the sum then is off by about

    ε·√(Q·b/2 + S²·b²/3K + (K/b)·(S²/3 + Q/2))

where the partial sums grow evenly towards S, and as far as chance takes them beside.

Weights are moved by an ulp at most as well. A fold rounds them once more, so a model whose outputs
hang on their last bit, such as one that subtracts a mean from values close to it and divides by
next to nothing, has no claim to more.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.graph.ulps import ulps_at
from normonnx.operators.kernels import Array
from normonnx.operators.table import facts_of

_BLOCK = 128
"""How many products are summed before the next sum begins."""
BY_CHANCE = math.sqrt(2.0)
"""How much farther values are that are rounded by chance than those rounded to nearest."""
# What rounding to nearest moves numbers by, in units in the last place of the largest of their
# kind, times what is divided by afterwards.
_OF_A_SUM = BY_CHANCE * 0.75 / math.sqrt(12.0)

_DOUBLE = np.dtype(np.float64)
Types = Mapping[ir.Value, np.dtype[Any]]


class Roundoff:
    """Rounds the values of one evaluation.

    Args:
        types: the float type of each value; one for all; values without one stay as they are.
        seed: of the chance.
        weights: disturb the stored weights as well, each by an ulp at most, as if they had been
            rounded once more.
        inputs: disturb what the model is given likewise. A sum rounds inside, too, where its terms
            cancel, and only a term that moves shows it.
        steady: values that stay as they are.
        sums: whether sums of products are rounded on their way too, in float32 at least.
    """

    def __init__(
        self,
        types: Types | np.dtype[Any],
        *,
        seed: int,
        weights: bool = False,
        inputs: bool = False,
        steady: Container[ir.Value] = (),
        sums: bool = False,
    ) -> None:
        self.sums = sums
        self._types = types
        self._random = np.random.Generator(np.random.PCG64(seed))
        self.weights = weights
        self._inputs = inputs
        self._steady = steady

    def given(self, value: ir.Value, array: Any) -> Any:
        """What becomes of an input."""
        dtype = self._type_of(value)
        return array if dtype is None or not self._inputs else self._moved(array, dtype)

    def value(self, value: ir.Value, array: Any) -> Any:
        """What becomes of a computed value."""
        dtype = self._type_of(value)
        if dtype is None or not _is_double(array):
            return array
        if dtype == _DOUBLE:
            return self._moved(array, dtype)
        unit = ulps_at(np.abs(array), dtype)
        rounded: Array = np.floor(array / unit + self._random.random(array.shape)) * unit
        return rounded

    def summed(self, value: ir.Value, array: Any, squares: Any, terms: int) -> Any:
        """What becomes of sums of so many products each, given the sums of their squares."""
        dtype = self._type_of(value)
        if dtype is None or not _is_double(array):
            return array
        wide = _DOUBLE if dtype == _DOUBLE else np.dtype(np.float32)
        block = min(terms, _BLOCK)
        with np.errstate(over="ignore"):
            grown = np.square(array) / 3
            inside = squares * block / 2 + grown * block**2 / terms
            spread = np.sqrt(inside + terms / block * (grown + squares / 2))
        share = _OF_A_SUM * float(np.finfo(wide).eps)
        far = share * spread * self._random.standard_normal(array.shape)
        moved: Array = np.where(np.isfinite(far), array + far, array)
        return moved

    def weight(self, value: ir.Value, array: Any) -> Any:
        """What becomes of a stored one."""
        dtype = self._type_of(value)
        return array if dtype is None or not self.weights else self._moved(array, dtype)

    def _moved(self, array: Any, dtype: np.dtype[Any]) -> Any:
        """By an ulp at most; zeros stay."""
        if not _is_double(array):
            return array
        unit = ulps_at(np.abs(array), dtype)
        moved: Array = array + unit * self._random.uniform(-1, 1, array.shape) * (array != 0)
        return moved

    def _type_of(self, value: ir.Value) -> np.dtype[Any] | None:
        if value in self._steady:
            return None
        return self._types.get(value) if isinstance(self._types, Mapping) else self._types


def steering(graph: ir.Graph) -> set[ir.Value]:
    """The values that only say which elements are taken, such as the factors of a Resize.

    No runtime rounds them otherwise than the model says, and a digit of them moves whole elements.
    """
    read: set[ir.Value | None] = set(graph.outputs)
    for node in reversed(list(graph)):
        if not read.isdisjoint(node.outputs):
            read.update(_as_numbers(node))
        for inner in subgraphs(node):
            read.update(v for one in inner.all_nodes() for v in one.inputs)
            read.update(inner.outputs)
    values = {v for node in graph for v in node.outputs} | set(graph.initializers.values())
    return {value for value in values if value not in read}


def _as_numbers(node: ir.Node) -> list[ir.Value | None]:
    """What a node reads and does not only go by."""
    steered_by = facts_of(node).steered_by
    return [value for index, value in enumerate(node.inputs) if index not in steered_by]


def _is_double(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == _DOUBLE
