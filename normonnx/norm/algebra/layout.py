"""Along which axes of the subject a value varies.

The axes of the subject x are labels 0, 1, …; an axis of another value is the group of labels it
runs over, in order: ``(2,)`` for x's axis 2, ``(0, 1)`` for two axes that a Reshape merged, ``()``
for an axis of size 1. Where a Reshape takes an axis of the subject apart (the channels of a
GroupNorm), that axis has a label for each part.

An axis of a value from outside, of which it is not known yet along what it will lie, is a free
label; it is bound where the value meets another by broadcasting. So a mean that is broadcast along
another axis than the one it was taken over has another layout, even where both axes have the same
size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from normonnx.norm.algebra.polynomial import Cut
from normonnx.targets.placement import Group, Groups
from normonnx.values.shapes import Dim, divide, times

Cuts = Mapping[int, tuple[Dim, ...]]


class Labels:
    """The labels of one subject, with their sizes.

    Attributes:
        sizes: the dimension of each label.
        subject: the layout of the subject.
        wanted: a finer cut of the subject's axes, where a Reshape asked for one.
    """

    def __init__(self, dims: Sequence[Dim], cuts: Cuts | None = None) -> None:
        """Label the axes of the subject.

        Args:
            dims: of the subject.
            cuts: axes that get several labels, the channels of a GroupNorm say, and their sizes.
        """
        self.sizes: dict[int, Dim] = dict(enumerate(dims))
        self.wanted: Cuts | None = None
        self._cuts = dict(cuts or {})
        groups: list[Group] = []
        for axis, dim in enumerate(dims):
            group: Group = () if dim == 1 else (axis,)
            first, *others = self._cuts.get(axis, (dim,))
            self.sizes[axis] = first
            for size in others:
                group = (*group, len(self.sizes))
                self.sizes[group[-1]] = size
            groups.append(group)
        self.subject: Groups = tuple(groups)
        self._own = len(self.sizes)
        self._parts: dict[tuple[Cut, int], int] = {}

    def free(self, dims: Sequence[Dim]) -> Groups:
        """New labels for the axes of a value from outside."""
        groups: list[Group] = []
        for dim in dims:
            if dim == 1:
                groups.append(())
                continue
            label = len(self.sizes)
            self.sizes[label] = dim
            groups.append((label,))
        return tuple(groups)

    def part(self, cut: Cut, index: int) -> int:
        """The label of a part of a cut axis, the same whenever it is asked for; it is bound.

        Parts are labels of the subject, so that no value from outside is taken for one of them.
        """
        key = (cut, index)
        if key not in self._parts:
            self._parts[key] = len(self.sizes)
            self.sizes[self._parts[key]] = cut.size(index)
        return self._parts[key]

    def is_free(self, label: int) -> bool:
        """Whether the label stands for no axis of the subject."""
        return label >= self._own and label not in self._parts.values()

    def size(self, group: Group) -> Dim:
        """The dimension of an axis."""
        return times([self.sizes[label] for label in group])

    def length(self, labels: Sequence[int]) -> int | None:
        """The number of elements along the labels, if it is static."""
        size = self.size(tuple(labels))
        return size if isinstance(size, int) else None

    def broadcast(self, left: Groups, right: Groups) -> tuple[Groups, dict[int, Group]] | None:
        """The layout of an elementwise result, and what free labels were bound to.

        None where two axes that meet cannot be proved to be the same.
        """
        rank = max(len(left), len(right))
        bound: dict[int, Group] = {}
        groups: list[Group] = []
        padded = [((),) * (rank - len(side)) + side for side in (left, right)]
        for one, other in zip(*padded, strict=True):
            met = self._meet(substitute(one, bound), substitute(other, bound), bound)
            if met is None:
                return None
            groups.append(met)
        resolved = {label: _resolve(group, bound) for label, group in bound.items()}
        result = tuple(substitute(group, resolved) for group in groups)
        flat = [label for group in result for label in group]
        if len(set(flat)) != len(flat):
            return None
        return result, resolved

    def _meet(self, a: Group, b: Group, bound: dict[int, Group]) -> Group | None:
        """The axis where two meet by broadcasting, or None; a free label is bound to the other."""
        if a == b or not b:
            return a
        if not a:
            return b
        for free, other in ((a, b), (b, a)):
            if len(free) == 1 and self.is_free(free[0]) and self.size(a) == self.size(b):
                bound[free[0]] = other
                return other
        return None

    def regroup(self, groups: Groups, dims: Sequence[Dim]) -> Groups | None:
        """The layout after a Reshape to these dimensions, if no label is split."""
        pending = [label for group in groups for label in group]
        result: list[Group] = []
        for dim in dims:
            group: Group = ()
            while self.size(group) != dim:
                if not pending:
                    return None
                self._want(pending[0], divide(dim, self.size(group)))
                group = (*group, pending.pop(0))
            result.append(group)
        return None if pending else tuple(result)

    def _want(self, label: int, part: Dim | None) -> None:
        """Note that a label of the subject would have to be cut after `part` of it."""
        size = self.sizes[label]
        if self.is_free(label) or not isinstance(part, int) or not isinstance(size, int):
            return
        if not 1 < part < size or size % part or self.wanted is not None:
            return
        axis = next(axis for axis, group in enumerate(self.subject) if label in group)
        pieces: list[Dim] = []
        for own in self.subject[axis]:
            pieces += [part, size // part] if own == label else [self.sizes[own]]
        self.wanted = {**self._cuts, axis: tuple(pieces)}

    def expand(self, groups: Groups, dims: Sequence[Dim]) -> Groups | None:
        """The layout after an Expand to these dimensions."""
        if len(dims) < len(groups):
            return None
        padded = ((),) * (len(dims) - len(groups)) + groups
        result: list[Group] = []
        for group, dim in zip(padded, dims, strict=True):
            if not group:
                result.extend(self.free([dim]))
            elif self.size(group) == dim:
                result.append(group)
            else:
                return None
        return tuple(result)


def substitute(group: Group, bound: Mapping[int, Group]) -> Group:
    """The group with its free labels replaced by what they are bound to."""
    if not bound:
        return group
    return tuple(new for label in group for new in bound.get(label, (label,)))


def _resolve(group: Group, bound: Mapping[int, Group]) -> Group:
    while any(label in bound for label in group):
        group = substitute(group, bound)
    return group
