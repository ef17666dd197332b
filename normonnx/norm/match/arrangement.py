"""The layout on which an operator stands, and the Transposes it takes to get there and back."""

from __future__ import annotations

from msgspec import Struct

from normonnx.targets.placement import Groups, Placement, Placer, orders


class Arrangement(Struct, frozen=True):
    """The layout of the operator, and the permutations on the way in and out, if needed."""

    groups: Groups
    placement: Placement
    before: tuple[int, ...] | None
    after: tuple[int, ...] | None

    @property
    def nodes(self) -> int:
        """How many Transposes it takes."""
        return (self.before is not None) + (self.after is not None)

    @property
    def is_trailing(self) -> bool:
        """Whether the scale lies along all axes from one on."""
        return not self.behind

    @property
    def behind(self) -> int:
        """How many axes lie behind those of the scale."""
        return len(self.groups) - self.placement.first - len(self.placement.span)


def arrange(
    source: Groups, output: Groups, over: frozenset[int], placer: Placer
) -> Arrangement | None:
    """The cheapest way from a value of one layout to a norm of another, or None.

    Args:
        source: the layout of the value that is read.
        output: the layout of the value that is written.
        over: the normalised labels.
        placer: on which axes the operator can stand.
    """
    if permutation(source, output) is None:
        return None
    found: list[Arrangement] = []
    for groups in (source, output, *orders(source, over)):
        placement = placer(groups, over)
        if placement is None:
            continue
        before = None if groups == source else permutation(source, groups)
        after = None if groups == output else permutation(groups, output)
        found.append(Arrangement(groups, placement, before, after))
    return min(found, key=lambda one: one.nodes, default=None)


def permutation(source: Groups, target: Groups) -> tuple[int, ...] | None:
    """The perm of a Transpose that takes one layout to another; axes of size 1 are alike."""
    if len(source) != len(target):
        return None
    free = list(range(len(source)))
    perm: list[int] = []
    for group in target:
        axis = next((axis for axis in free if source[axis] == group), None)
        if axis is None:
            return None
        free.remove(axis)
        perm.append(axis)
    return tuple(perm)
