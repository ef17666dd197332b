"""The shapes of a model's values, recorded at sizes that it accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice

import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import Binding, OpenShapes, open_shapes
from normonnx.sizes.tensor import ContradictionError
from normonnx.sizes.walk import Walk

_WALKS = 2
"""At how many bindings a model with open dimensions is walked: two that are equal by chance at one
of them are not at the other.
"""

_MOST_TRIES = 12
_MOST_NODES = 40_000
"""How many nodes are walked over in the search; most walks end at the node that does not fit."""

_SMALL = (4, 3, 6, 8, 5, 2, 7, 1)
"""Sizes for all symbols where nothing else fits: weights that fix them in a product are small."""


class Recorded:
    """Walks of a model as it came, made when the first shape is asked for.

    Args:
        model: it may change afterwards, as long as `replaced` is told.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model

    @cached_property
    def walks(self) -> tuple[Walk, ...]:
        """One for each binding, the varied sizes first."""
        return tuple(_accepted(self._model))

    def replaced(
        self,
        pairs: Iterable[tuple[ir.Value, ir.Value]],
        nodes: Iterable[ir.Node],
        opsets: Mapping[str, int],
    ) -> None:
        """Take over what is known when new nodes stand for old values.

        Args:
            pairs: old values, each with the new one that stands for it.
            nodes: the new nodes, in order.
            opsets: operator set version by domain, where they are.
        """
        pairs, nodes = list(pairs), list(nodes)
        for walk in self.walks:
            for old, new in pairs:
                walk.adopt(new, old)
            walk.go_on(nodes, opsets)


def _accepted(model: ir.Model) -> list[Walk]:
    """Walks at the first bindings that the model takes; one with gaps where it takes none."""
    inputs = [v for v in required_inputs(model) if isinstance(v.type, ir.TensorType)]
    search = _Search(model, open_shapes(inputs))
    walks: list[Walk] = []
    for candidate in search.starts():
        if len(walks) == _WALKS:
            break
        walk = search.near(candidate)
        if walk is not None and all(walk.binding != other.binding for other in walks):
            walks.append(walk)
    if walks:
        varied = search.varied([walk.binding for walk in walks])
        return walks if varied is None else [*walks, varied]
    return [Walk(model, search.shapes, next(iter(search.shapes.candidates())), tolerant=True)]


class _Search:
    """The look for sizes that a model takes.

    A node that does not fit says which size it gets and which it wants. A symbol that has the one
    is given the other; where sizes changed on the way, one that is as much or as many times larger.
    What lets the walk come farther is kept.
    """

    def __init__(self, model: ir.Model, shapes: OpenShapes) -> None:
        self.shapes = shapes
        self._model = model
        self._left = _MOST_NODES
        self._fixed: dict[str, int] = {}
        self._found = False

    def starts(self) -> Iterator[Binding]:
        """Where to look: at what the names suggest, then at small sizes while nothing is found."""
        yield from islice(self.shapes.candidates(), _MOST_TRIES)
        for size in _SMALL if not self._found and self.shapes.symbols else ():
            self._fixed.clear()
            yield dict.fromkeys(self.shapes.symbols, size)

    def near(self, candidate: Binding) -> Walk | None:
        """A walk at this binding, or at one that was changed to fit."""
        binding = {**candidate, **self._fixed}
        found = self._walk(binding)
        while isinstance(found, ContradictionError):
            better = self._better(binding, found)
            if better is None:
                return None
            changes, found = better
            binding |= changes
            self._fixed |= changes
        self._found = self._found or found is not None
        return found

    def varied(self, bindings: Sequence[Binding]) -> Walk | None:
        """A further walk in which symbols differ that had one size, or the same two, until now."""
        binding, found = dict(bindings[0]), None
        for symbol in self.shapes.symbols:
            if not _is_told_apart(symbol, binding, bindings):
                for size in _varied(binding[symbol]):
                    walk = self._walk({**binding, symbol: size})
                    if isinstance(walk, Walk):
                        binding[symbol], found = size, walk
                        break
        return found

    def _better(
        self, binding: Binding, error: ContradictionError
    ) -> tuple[dict[str, int], Walk | ContradictionError] | None:
        """A change with which the walk comes farther, and how far it comes."""
        for changes in _changes(error, binding, self.shapes.batches):
            found = self._walk({**binding, **changes})
            if isinstance(found, Walk):
                return changes, found
            if found is not None and found.after > error.after:
                return changes, found
        return None

    def _walk(self, binding: Binding) -> Walk | ContradictionError | None:
        if self._left <= 0 or not self.shapes.admissible(binding):
            return None
        try:
            return Walk(self._model, self.shapes, binding)
        except ContradictionError as error:
            self._left -= error.after
            return error


def _is_told_apart(symbol: str, binding: Binding, bindings: Sequence[Binding]) -> bool:
    """Whether a symbol has several sizes, and not always those of another one."""
    if len({other[symbol] for other in bindings}) == 1:
        return False
    alike = (
        all(other[symbol] == other[one] for other in bindings)
        for one, size in binding.items()
        if one != symbol and size == binding[symbol]
    )
    return not any(alike)


def _varied(size: int) -> Sequence[int]:
    """Other sizes for a symbol, the likeliest to be taken first."""
    return [n for n in (size + 1, 2 * size, 3 * size, 1) if n != size]


def _changes(
    error: ContradictionError, binding: Binding, batches: Sequence[str]
) -> Iterator[dict[str, int]]:
    """Sizes for symbols that may mend a misfit, the likeliest first; a batch is no likely one."""
    pairs = [(error.found, error.wanted), (error.wanted, error.found)] if error.found else []
    ordered = [*(symbol for symbol in binding if symbol not in batches), *batches]
    for found, wanted in pairs:
        symbols = [symbol for symbol in ordered if binding[symbol] == found]
        yield from ({symbol: wanted} for symbol in symbols)
        yield dict.fromkeys((s for s in symbols if s not in batches), wanted)
    for symbol in ordered:
        size = binding[symbol]
        for other in dict.fromkeys((*_others(size, pairs), 2 * size, size + 1, *_SMALL)):
            if other > 0 and other != size:
                yield {symbol: other}


def _others(size: int, pairs: Iterable[tuple[int, int]]) -> Iterator[int]:
    """As many times larger, as much larger, or what is wanted itself."""
    for found, wanted in pairs:
        yield from (size * wanted // found, size - found + wanted, wanted)
