"""On which axes an operator can stand: layouts of which it normalises just the axes in question.

A layout is the axes of a value, each as the group of labels it runs over, where a label is an axis
of the value that is normalised, or a part of one; () is an axis of size 1.

trailing       all axes from one on                      LayerNormalization, RMSNormalization
consecutive    axes in a row, anywhere                   the operators of the domain normonnx
last           the last axis                             com.microsoft's Skip operators
spatial        all axes behind the channels'             InstanceNormalization
grouped        those, and a part of the channels         GroupNormalization
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

Group = tuple[int, ...]
Groups = tuple[Group, ...]

_CHANNEL = 1
"""The axis of the channels of an image."""


class Placement(Struct, frozen=True):
    """Where an operator stands on a layout.

    Attributes:
        first: the axis where its scale begins.
        span: the layout of its scale.
        groups: the labels that tell its groups apart, where it has groups.
    """

    first: int
    span: Groups
    groups: Group = ()


Placer = Callable[[Groups, frozenset[int]], Placement | None]
"""From a layout and the normalised labels to the placement, None where there is none."""


def trailing(groups: Groups, over: frozenset[int]) -> Placement | None:
    first = next((axis for axis, group in enumerate(groups) if over.intersection(group)), None)
    if first is None or not _are(groups[first:], over):
        return None
    return Placement(first, groups[first:])


def consecutive(groups: Groups, over: frozenset[int]) -> Placement | None:
    axes = [axis for axis, group in enumerate(groups) if over.intersection(group)]
    if not axes:
        return None
    first, end = axes[0], axes[-1] + 1
    if not any(groups[end:]):  # axes of size 1 at the end go with them
        end = len(groups)
    return Placement(first, groups[first:end]) if _are(groups[first:end], over) else None


def last(groups: Groups, over: frozenset[int]) -> Placement | None:
    placement = trailing(groups, over)
    return placement if placement is not None and len(placement.span) == 1 else None


def spatial(groups: Groups, over: frozenset[int]) -> Placement | None:
    rows = {label for group in groups[: _CHANNEL + 1] for label in group}
    if len(groups) <= _CHANNEL + 1 or rows & over or not _are(groups[_CHANNEL + 1 :], over):
        return None
    return Placement(_CHANNEL, (groups[_CHANNEL],))


def grouped(groups: Groups, over: frozenset[int]) -> Placement | None:
    if len(groups) <= _CHANNEL + 1 or over.intersection(groups[0]):
        return None
    channels = groups[_CHANNEL]
    apart = tuple(label for label in channels if label not in over)
    within = channels[len(apart) :]
    if channels[: len(apart)] != apart or not _are((within, *groups[_CHANNEL + 1 :]), over):
        return None
    return Placement(_CHANNEL, (channels,), apart)


def orders(groups: Groups, over: frozenset[int]) -> Iterator[Groups]:
    """Orders of the axes to try: the normalised ones last, or each in turn as the channels."""
    normalised = tuple(group for group in groups if over.intersection(group))
    rows = tuple(group for group in groups if not over.intersection(group))
    yield rows + normalised
    for axis in range(_CHANNEL + 1, len(groups)):
        others = groups[_CHANNEL:axis] + groups[axis + 1 :]
        yield (groups[0], groups[axis], *others)


def _are(groups: Groups, over: frozenset[int]) -> bool:
    """Whether the axes run over just these labels."""
    labels = [label for group in groups for label in group]
    return set(labels) == over and len(labels) == len(over)
