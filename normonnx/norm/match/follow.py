"""From a root downwards: which values behind it are a norm, and how near the others come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import onnx_ir as ir

from normonnx.norm.algebra.interpret import Interpreter
from normonnx.norm.algebra.normal_form import Mismatch, NormalForm, normal_form
from normonnx.norm.match.site import NormMiss

_MAX_FOLLOWED = 40

SURE = 10
"""Weight of a near miss whose subject is surely the right one; then no other subject counts."""

LENGTH = "it divides by the root of a sum of squares, not of their mean (L2 norm)"
"""Why what has the form of an RMSNorm but for a factor N under the root is none."""


def norms_behind(
    it: Interpreter, root: ir.Node, misses: list[NormMiss]
) -> dict[ir.Value, NormalForm]:
    """Which of the values that follow from the root have a normal form, the nearest first.

    Args:
        it: the values of the graph as polynomials in one subject.
        root: the node.
        misses: where to note the values that resemble a norm and are none.
    """
    norms: dict[ir.Value, NormalForm] = {}
    pending = [root.outputs[0]]
    seen = set(pending)
    for value in itertools.islice(_drain(pending), _MAX_FOLLOWED):
        norm = normal_form(it.algebra, it.form(value).poly)
        if isinstance(norm, Mismatch):
            misses.append(_mismatch(it, root, norm))
        elif norm is not None:
            norms[value] = norm
            if is_modulated(it, norm):
                continue
        new = [out for out in _computed_from(it, value) if out not in seen]
        seen.update(new)
        pending.extend(out for out in new if it.rooted(out))
        misses.extend(_refused(it, root, new))
    return norms


def is_modulated(it: Interpreter, norm: NormalForm) -> bool:
    """Whether scale or bias have a part that no operator takes: one that differs by row."""
    return it.is_modulated(norm.scale, norm.over) or it.is_modulated(norm.bias, norm.over)


def is_sure(it: Interpreter, root: ir.Node) -> bool:
    """Whether the root is one of moments of the subject, all of it understood."""
    own = it.form(root.outputs[0]).poly
    return it.algebra.has_second_moment(own) and not it.algebra.refused(own)


def _drain(pending: list[ir.Value]) -> Iterator[ir.Value]:
    while pending:
        yield pending.pop(0)


def _computed_from(it: Interpreter, value: ir.Value) -> list[ir.Value]:
    """The first outputs of the nodes of the graph that read a value."""
    readers = [node for node in value.consumers() if node.graph is it.graph and node.outputs]
    return [node.outputs[0] for node in readers]


def _refused(it: Interpreter, root: ir.Node, values: list[ir.Value]) -> list[NormMiss]:
    """Near misses of those of the values that depend on the root in a way not interpreted."""
    refused = [value for value in values if not it.rooted(value) and value in it.refusals]
    return [_mismatch(it, root, Mismatch("", (value,))) for value in refused]


def _mismatch(it: Interpreter, root: ir.Node, mismatch: Mismatch) -> NormMiss:
    """A near miss: the heavier, the surer it is that the subject was the right one."""
    reasons = [it.refusals[value] for value in mismatch.blamed if value in it.refusals]
    weight = 2 if mismatch.weak else 3 if mismatch.blamed else 4
    weight += SURE if is_sure(it, root) else 0
    reason = reasons[0] if reasons else mismatch.reason
    if reasons and _is_length(it, root):
        reason = f"{LENGTH}; and {reason}"
    return NormMiss("norm", root, reason, weight=weight)


def _is_length(it: Interpreter, root: ir.Node) -> bool:
    """Whether the root is √(N·q), or its inverse: the length of a row, with nothing added."""
    squared = it.algebra.squared_length(it.form(root.outputs[0]).poly)
    if squared is None:
        return False
    moment, factor = squared
    length = it.labels.length(sorted(moment.over))
    return length is not None and length > 1 and math.isclose(factor, length, rel_tol=1e-5)
