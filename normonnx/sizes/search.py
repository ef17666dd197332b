"""The look for sizes that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import onnx_ir as ir

from normonnx.sizes.dimensions import Binding, OpenShapes
from normonnx.sizes.solving import solutions
from normonnx.sizes.tensor import ContradictionError
from normonnx.sizes.walk import Walk

_MOST_TRIES = 12
_MOST_NODES = 40_000
"""How many nodes are walked over in the search; most walks end at the node that does not fit."""

_MOST_IN_DOUBT = 4_000
"""As many for what does not fit in branches that may not be taken: such a walk goes to the end."""

_SMALL = (4, 3, 6, 8, 5, 2, 7, 1)
"""Sizes for all symbols where nothing else fits: weights that fix them in a product are small."""


class Search:
    """The look for sizes that a model takes.

    A node that does not fit says which size it gets and which it wants. A symbol that has the one
    is given the other; where sizes changed on the way, one that is as much or as many times larger.
    What lets the walk come farther is kept.
    """

    def __init__(self, model: ir.Model, shapes: OpenShapes, *, every_branch: bool = False) -> None:
        """Begin a search.

        Args:
            model: only read.
            shapes: of its inputs.
            every_branch: whether those should fit, too, that are not taken.
        """
        self.shapes = shapes
        self._every_branch = every_branch
        self._model = model
        self._left = _MOST_NODES
        self._fixed: dict[str, int] = {}
        self._left_in_doubt = _MOST_IN_DOUBT
        self._found = False

    @property
    def gives_up(self) -> bool:
        """Whether nothing was found for branches that need not be taken, and the look is over."""
        return self._left_in_doubt <= 0

    def starts(self) -> Iterator[Binding]:
        """Where to look: at what the names suggest, then at small sizes while nothing is found."""
        yield from islice(self.shapes.candidates(), _MOST_TRIES)
        for size in _SMALL if not self._found and self.shapes.symbols else ():
            self._fixed.clear()
            yield dict.fromkeys(self.shapes.symbols, size)

    def near(self, candidate: Binding) -> Walk | None:
        """A walk at this binding, or at one that was changed to fit.

        Of walks that only miss in a branch that need not be taken, the one that comes farthest.
        """
        binding, farthest = {**candidate, **self._fixed}, None
        found = self._walk(binding)
        while found is not None:
            if isinstance(found, Walk):
                farthest = found
            better = self._better(binding, found)
            if better is None:
                break
            changes, found = better
            binding |= changes
            self._fixed |= changes
        self._found = self._found or (farthest is not None and not farthest.misfits)
        return farthest

    def varied(self, walks: Sequence[Walk]) -> Walk | None:
        """A further walk in which symbols differ that had one size, or the same two, until now."""
        bindings = [walk.binding for walk in walks]
        binding, found = dict(bindings[0]), None
        for symbol in self.shapes.symbols:
            if not _is_told_apart(symbol, binding, bindings):
                for size in _varied(binding[symbol]):
                    walk = self._walk({**binding, symbol: size})
                    if isinstance(walk, Walk) and len(walk.misfits) <= len(walks[0].misfits):
                        binding[symbol], found = size, walk
                        break
        return found

    def _better(
        self, binding: Binding, found: Walk | ContradictionError
    ) -> tuple[Binding, Walk | ContradictionError] | None:
        """A change with which the walk comes farther, and how far it comes."""
        error, in_doubt = self._misfit(found), isinstance(found, Walk)
        if error is None:
            return None

        def misfit(changes: Binding) -> ContradictionError | None:
            other = self._walk({**binding, **changes})
            return ContradictionError("not tried") if other is None else self._misfit(other)

        simple = _changes(error, binding, self.shapes.batches)
        for changes in chain(simple, solutions(misfit, binding, error)):
            if in_doubt and self.gives_up:
                return None
            other = self._walk({**binding, **changes})
            if other is not None:
                left = self._misfit(other)
                if left is None or left.place > error.place:
                    return changes, other
        return None

    def _walk(self, binding: Binding) -> Walk | ContradictionError | None:
        if self._left <= 0 or not self.shapes.admissible(binding):
            return None
        try:
            walk = Walk(self._model, self.shapes, binding)
        except ContradictionError as error:
            self._left -= error.after
            return error
        if self._misfit(walk) is not None:
            self._left_in_doubt -= walk.nodes
        return walk

    def _misfit(self, found: Walk | ContradictionError) -> ContradictionError | None:
        """What first did not fit, None if all did."""
        if isinstance(found, ContradictionError):
            return found
        noted = [*found.misfits, *(found.beside if self._every_branch else ())]
        return min(noted, key=lambda error: error.after, default=None)


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
