"""What is said of a target: its operators for a norm, in order, and for a norm of a sum."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from normonnx.targets.operator import AddNormOperator, Kind, NormOperator


class Target(Struct, frozen=True):
    """What a model is written for.

    Attributes:
        name: as the user gives it.
        norms: the operators for rows, the preferred first; the operator of the standard is among
            them for each kind.
        images: the operators for images, the preferred first.
        sums: operators that take the sum before a norm along, by the name of the operator that
            would normalise alone.
        domains: the version of each domain beside the default one that a model imports for it.
        improves_written: whether a norm that is one operator already may become another.
        has_library: whether its operators have kernels of ours, so that what they lack is told.
    """

    name: str
    norms: tuple[NormOperator, ...]
    images: tuple[NormOperator, ...]
    sums: Mapping[str, AddNormOperator]
    domains: Mapping[str, int]
    improves_written: bool = False
    has_library: bool = False

    @property
    def operators(self) -> tuple[NormOperator, ...]:
        """All that a norm may be written with."""
        return (*self.norms, *self.images)

    def operators_for(self, kind: Kind, highest: int | None) -> list[NormOperator]:
        """The operators that a norm may be written with, the preferred first, images' last.

        A graph whose opset is too low for all of them is offered that of the standard, so that the
        user is told which opset it takes.

        Args:
            kind: the normal form of the norm.
            highest: the highest opset that the graph can have; None for any.
        """
        rows = [operator for operator in self.norms if operator.kind == kind]
        standard = next(operator for operator in rows if not operator.domain)
        first = next((operator for operator in rows if operator.is_within(highest)), standard)
        images = [operator for operator in self.images if operator.kind == kind]
        return [
            *(operator for operator in rows if operator is first or self._adds(operator, highest)),
            *(operator for operator in images if operator.is_within(highest)),
        ]

    def sum_for(self, operator: NormOperator) -> AddNormOperator | None:
        """What takes the sum before this operator along, or None."""
        return self.sums.get(operator.name)

    def _adds(self, operator: NormOperator, highest: int | None) -> bool:
        """Whether it comes into question in any opset: with the sum it is another operator."""
        joined = self.sum_for(operator)
        return joined is not None and joined.is_within(highest)
