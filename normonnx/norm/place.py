"""Where the operator stands: which axes it normalises, and the transposes it needs for that.

LayerNormalization and RMSNormalization normalise all axes from one on. A norm over other axes (the
channels of NCHW) is written between Transposes, unless the value that is read or the one that is
written lies right already.
"""

from __future__ import annotations

from dataclasses import dataclass

from normonnx.norm.layout import Groups


@dataclass(frozen=True, slots=True)
class Plan:
    """The layout of the operator, and the permutations on the way in and out, if needed."""

    groups: Groups
    first: int
    before: tuple[int, ...] | None
    after: tuple[int, ...] | None

    @property
    def nodes(self) -> int:
        """How many Transposes it takes."""
        return (self.before is not None) + (self.after is not None)


def plan(source: Groups, output: Groups, over: frozenset[int]) -> Plan | None:
    """The cheapest way from a value of one layout to a norm of another, or None."""
    if permutation(source, output) is None:
        return None
    rows = tuple(group for group in source if not over.intersection(group))
    normalised = tuple(group for group in source if over.intersection(group))
    plans = []
    for groups in (source, output, rows + normalised):
        first = first_axis(groups, over)
        if first is None:
            continue
        before = None if groups == source else permutation(source, groups)
        after = None if groups == output else permutation(groups, output)
        plans.append(Plan(groups, first, before, after))
    return min(plans, key=lambda p: p.nodes, default=None)


def first_axis(groups: Groups, over: frozenset[int]) -> int | None:
    """The axis from which on exactly the labels `over` lie, or None."""
    first = next((axis for axis, group in enumerate(groups) if over.intersection(group)), None)
    if first is None:
        return None
    trailing = [label for group in groups[first:] for label in group]
    return first if set(trailing) == over and len(trailing) == len(over) else None


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
