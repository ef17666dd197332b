"""What is known of one ONNX operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from normonnx.operators.kernels.call import Kernel
from normonnx.operators.known import Rule, RuleForEach, TypeRule

Indices: TypeAlias = Sequence[int]
"""Positions of inputs."""

EVERY: Indices = range(1 << 16)
"""Every input of an operator that takes any number of them."""


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of one operator; whatever is not known is not so.

    Attributes:
        domain: operator domain, "" for ONNX's own.
        name: name of the operator.
        elementwise: whether the inputs broadcast against each other and an element of the output
            depends on those elements alone that lie at its place.
        linear_in: the inputs in each of which the operator is affine while the others are constant.
        linear_jointly: whether it is affine in all of them at a time.
        moves: the inputs whose elements the outputs hold, moved, copied or left out without regard
            to their values; what fills a gap may be among them.
        reduces: whether it takes axes together.
        reads_shape_only: whether it reads the dimensions of its input and no element.
        random: whether it draws random numbers.
        control_flow: whether it runs subgraphs.
        steered_by: the inputs that say which elements are taken, and enter no result as numbers.
        jumps: whether it selects or rounds, so that a small difference becomes a large one.
        dims: dimensions of the first output.
        dims_of_each: dimensions of all outputs, where they differ.
        dtype: element type of the first output; None where onnx's schema tells.
        vector: contents of the output where it is an integer tensor that holds dimensions.
        kernel: the operator in the type of its operands, which the oracle makes float64.
        widens: the inputs that the kernel takes in a narrower type than the others, and makes
            float64 a part at a time, or after it has taken what it needs.
    """

    name: str
    domain: str = ""
    elementwise: bool = False
    linear_in: Indices = ()
    linear_jointly: bool = False
    moves: Indices = ()
    reduces: bool = False
    reads_shape_only: bool = False
    random: bool = False
    control_flow: bool = False
    steered_by: Indices = ()
    jumps: bool = False
    dims: Rule | None = None
    dims_of_each: RuleForEach | None = None
    dtype: TypeRule | None = None
    vector: Rule | None = None
    kernel: Kernel | None = None
    widens: Indices = ()


UNKNOWN = Facts(name="")
"""What is known of an operator that is not known."""
