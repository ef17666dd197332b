"""Sizes of one or two symbols at which a node gets what it wants.

A size that a node gets grows with each symbol, in steps where there are strides on the way; where
several symbols meet in it (a picture that is flattened), it is the product of what each makes of
its own. So each is looked at alone, the others held, and a target is halved in on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from math import gcd

from msgspec import Struct

from normonnx.sizes.dimensions import Binding
from normonnx.sizes.tensor import ContradictionError

Probe = Callable[[Binding], ContradictionError | None]
"""What does not fit first when some symbols have other sizes, None where all does."""

_STEPS = (1, 2, 4, 8, 16, 32, 64)
"""How much larger a symbol is made to see how it counts."""

_LARGEST = 1 << 13
_MOST_PAIRS = 8


class _Side(Struct):
    """What a node gets of one symbol, the others held; or what it wants, where that is open.

    Attributes:
        symbol: whose size is changed.
        probe: walks at other sizes.
        error: the misfit that is to be mended.
        wants: whether the open size is the wanted one.
        known: the open size at each size of the symbol; 0 where the node is not reached.
    """

    symbol: str
    probe: Probe
    error: ContradictionError
    wants: bool
    known: dict[int, int]

    @property
    def fixed(self) -> int:
        """The size that the node does not let go of."""
        return self.error.found if self.wants else self.error.wanted

    def at(self, size: int) -> int:
        """The open size there; one below all others where the node is not reached."""
        if size not in self.known:
            self.known[size] = self._open(self.probe({self.symbol: size}))
        return self.known[size]

    def _open(self, misfit: ContradictionError | None) -> int:
        if misfit is None:
            return self.fixed
        if misfit.place != self.error.place:
            return self.fixed if misfit.place > self.error.place else 0
        pair = (misfit.wanted, misfit.found) if self.wants else (misfit.found, misfit.wanted)
        return pair[0] if pair[1] == self.fixed else 0

    def reaches(self, target: int) -> int | None:
        """The smallest size at which the open one is the target, None if there is none."""
        low, high = 0, 1
        while self.at(high) < target:
            low, high = high, 2 * high
            if high > _LARGEST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle) < target else (low, middle)
        return high if self.at(high) == target else None


def solutions(probe: Probe, binding: Binding, error: ContradictionError) -> Iterator[Binding]:
    """Changes at which the node may get what it wants, the simplest first.

    Args:
        probe: walks at the binding with some sizes changed.
        binding: the sizes now.
        error: what does not fit there.
    """
    if not error.found or not error.wanted:
        return
    sides = [side for symbol in binding if (side := _side(symbol, probe, binding, error))]
    for side in sides:
        size = side.reaches(side.fixed)
        if size is not None:
            yield {side.symbol: size}
    for one, other in combinations(sides, 2):
        if one.wants == other.wants:
            yield from _pairs(one, other)


def _side(symbol: str, probe: Probe, binding: Binding, error: ContradictionError) -> _Side | None:
    """A symbol on which what the node gets, or wants, depends."""
    size = binding[symbol]
    misfits = [probe({symbol: size + step}) for step in _STEPS]
    there = [m for m in misfits if m is not None and m.place == error.place]
    found, wanted = {m.found for m in there}, {m.wanted for m in there}
    wants = found == {error.found}
    if not there or (wants and wanted == {error.wanted}) or not (wants or wanted == {error.wanted}):
        return None
    side = _Side(symbol, probe, error, wants, {})
    for step in (0, *_STEPS):
        side.at(size + step)
    return side


def _pairs(one: _Side, other: _Side) -> Iterator[Binding]:
    """Sizes of two symbols whose shares multiply to what is wanted, those most alike first."""
    units = [gcd(*side.known.values()) for side in (one, other)]
    now = one.error.wanted if one.wants else one.error.found
    # now = c·f·g, and the units are c·g and c·f.
    if not all(units) or (one.fixed * now) % (units[0] * units[1]):
        return
    product = one.fixed * now // (units[0] * units[1])
    factors = [n for n in range(1, min(product, _LARGEST) + 1) if product % n == 0]
    factors.sort(key=lambda n: max(n, product // n))
    for share in factors[:_MOST_PAIRS]:
        sizes = one.reaches(share * units[0]), other.reaches(product // share * units[1])
        if sizes[0] is not None and sizes[1] is not None:
            yield {one.symbol: sizes[0], other.symbol: sizes[1]}
