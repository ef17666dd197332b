"""What is said of an operator that a norm, or a norm of a sum, can be written with.

Each method that can say no gives the sentence that the user reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.journal import Refusal
from normonnx.targets.placement import Groups, Placer

Kind = Literal["LayerNorm", "RMSNorm"]
"""The normal forms."""

Types = Mapping[ir.DataType, frozenset[ir.DataType]]

ANY_FLOAT: Types = MappingProxyType(
    {
        ir.DataType.FLOAT16: frozenset({ir.DataType.FLOAT16, ir.DataType.FLOAT}),
        ir.DataType.BFLOAT16: frozenset({ir.DataType.BFLOAT16, ir.DataType.FLOAT}),
        ir.DataType.FLOAT: frozenset({ir.DataType.FLOAT}),
        ir.DataType.DOUBLE: frozenset({ir.DataType.DOUBLE}),
    }
)
"""Every float type, with those in which mean and root may be computed for it."""

_EPSILON = {ir.DataType.DOUBLE: 1e-9}
"""How far epsilon may be from a float32 number, by type, relative to it; 1e-6 in the others."""


class NormOperator(Struct, frozen=True):
    """An operator that a norm can be written with.

    Attributes:
        name: its op_type.
        kind: the normal form it computes.
        title: what it is to a person.
        rule: the code of the rule that writes it.
        placer: on which axes it can stand.
        opset: the default-domain opset that the model must have for it; 0 for none.
        first_opset: the first default-domain opset of a graph in which it can be written.
        domain: of the operator.
        attributes: which it has beside epsilon, of "axis", "num_groups" and "stash_type".
        takes_bias: whether it has a bias.
        needs_bias: whether it must be given one.
        is_for_images: whether it normalises what lies behind an axis of channels.
        statistics: its types, with those in which the original may compute mean and root.
        by_choice: why it is written only if its rule is asked for; None where it always is.
    """

    name: str
    kind: Kind
    title: str
    rule: str
    placer: Placer
    opset: int = 0
    first_opset: int = 0
    domain: str = ""
    attributes: frozenset[str] = frozenset()
    takes_bias: bool = True
    needs_bias: bool = False
    is_for_images: bool = False
    statistics: Types = field(default_factory=lambda: ANY_FLOAT)
    by_choice: Refusal | None = None

    @property
    def has_groups(self) -> bool:
        """Whether it normalises groups of channels apart."""
        return "num_groups" in self.attributes

    def is_within(self, highest: int | None) -> bool:
        """Whether a graph that can have this opset at most can have the operator."""
        return highest is None or max(self.opset, self.first_opset) <= highest

    def refuses_types(self, dtype: ir.DataType | None, statistics: ir.DataType | None) -> str:
        """Why it cannot stand for a norm of these types; "" where it can.

        Args:
            dtype: of the norm; None if it is not known.
            statistics: in which the original takes mean and root; None if it is not known.
        """
        if dtype is None or statistics not in self.statistics.get(dtype, ()):
            return "its statistics are computed in another type than the operator would use"
        return ""

    def refuses_opset(self, opset: int) -> Refusal | None:
        """Why it cannot be written in a model of this opset; None where it can."""
        if opset >= self.opset:
            return None
        return Refusal(
            f"{self.name} needs opset {self.opset}, the model has {opset}",
            f"allow opset {self.opset} (--opset {self.opset}, or no cap)",
        )

    def refuses_epsilon(self, epsilon: float, dtype: ir.DataType) -> Refusal | None:
        """Why its attribute cannot hold an epsilon; None where it can.

        Args:
            epsilon: of the original, in float64.
            dtype: of the norm, which says how exact epsilon must be.
        """
        if abs(float(np.float32(epsilon)) - epsilon) <= _EPSILON.get(dtype, 1e-6) * epsilon:
            return None
        return Refusal(
            f"epsilon {epsilon!r} is no float32 number, and an attribute can only hold it "
            f"as one, in a {dtype.name.lower()} graph",
            "choose an epsilon that is, such as a power of two",
        )


class AddNormOperator(Struct, frozen=True):
    """An operator that adds two values before it normalises.

    Attributes:
        name: its op_type.
        domain: of the operator.
        outputs: how many outputs it has if the sum is wanted; the sum is the last.
        placer: on which axes it can stand.
        first_opset: the first default-domain opset of a graph in which it can be written.
        attributes: which it has beside epsilon, as for `NormOperator`.
        types: of X; None for all that the operator without the sum takes.
        ranks: of how many axes X may have; None for any.
        repeats: whether the residual may be one sample, of three axes or two, that is added to each
            of those of X.
    """

    name: str
    domain: str
    outputs: int
    placer: Placer
    first_opset: int = 0
    attributes: frozenset[str] = frozenset()
    types: frozenset[ir.DataType] | None = None
    ranks: frozenset[int] | None = None
    repeats: bool = False

    def is_within(self, highest: int | None) -> bool:
        """Whether a graph that can have this opset at most can have the operator."""
        return highest is None or self.first_opset <= highest

    def takes(self, dtype: ir.DataType, groups: Groups, over: frozenset[int]) -> bool:
        """Whether it takes sums of a type and a layout, normalised over these labels."""
        return (
            (self.types is None or dtype in self.types)
            and (self.ranks is None or len(groups) in self.ranks)
            and self.placer(groups, over) is not None
        )
