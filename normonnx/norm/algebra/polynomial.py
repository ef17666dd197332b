"""Atoms, monomials and polynomials, as plain data.

    x            the subject
    E_S[x^p]     its first and second moment over a set S of its axes
    x_i          a part of x along one of its axes, and its moments over that axis
    √P           the root of another polynomial, with a positive or negative power
    log P        its logarithm, of which half a multiple is a power again once Exp is taken
    n            a dimension that only the run knows
    v            a constant that varies, or any other value of the graph, taken as it is

A monomial is a sorted tuple of (atom, power), where an atom is its number in an `Algebra`; a
polynomial maps monomials to float64 coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir
from msgspec import Struct

from normonnx.targets.placement import Groups

Monomial = tuple[tuple[int, int], ...]
Poly = Mapping[Monomial, float]

MAX_TERMS = 32
CANCELS = 1e-6
"""Terms that cancel to this fraction are gone: 1/N as a float32 constant is off by 6e-8."""

SUBJECT = 0
X: Poly = {((SUBJECT, 1),): 1.0}


class IntractableError(Exception):
    """A value that is no such polynomial; the message, if any, says why in one sentence."""


class Subject(Struct, frozen=True):
    """The atom x."""


class Moment(Struct, frozen=True):
    """The atom E_S[x^power]."""

    power: int
    over: frozenset[int]


class Cut(Struct, frozen=True):
    """An axis of the subject taken apart: which, and where each part ends."""

    axis: int
    ends: tuple[int, ...]

    def size(self, index: int) -> int:
        """The length of a part."""
        return self.ends[index] - (self.ends[index - 1] if index else 0)


class Part(Struct, frozen=True):
    """The atom of one part of x; ``along`` is the label of its own axis."""

    cut: Cut
    index: int
    along: int


class PartMoment(Struct, frozen=True):
    """The atom E[x_i^power] over the axis that was cut."""

    cut: Cut
    index: int
    power: int


class Length(Struct, frozen=True):
    """The atom of a dimension that only the run knows, by the name of its symbol."""

    symbol: str


class Root(Struct, frozen=True):
    """The atom √P; ``scale`` is what was taken out of P on its first appearance."""

    inner: tuple[tuple[Monomial, float], ...]
    scale: float


class Logarithm(Struct, frozen=True):
    """The atom log P."""

    inner: tuple[tuple[Monomial, float], ...]


class Outside(Struct, frozen=True):
    """A value that is taken as it is, lying along these axes of the subject.

    Attributes:
        value: the value.
        groups: its layout.
        constant: whether it is a constant.
        refused: whether it depends on the subject, in a way that is not interpreted.
    """

    value: ir.Value
    groups: Groups
    constant: bool = False
    refused: bool = False


Atom = Subject | Moment | Part | PartMoment | Length | Root | Logarithm | Outside


def number(value: float) -> Poly:
    """The constant polynomial."""
    return {(): value} if value else {}


def scaled(poly: Poly, factor: float) -> Poly:
    """k·P."""
    return {monomial: factor * c for monomial, c in poly.items()} if factor else {}


def plus(left: Poly, right: Poly) -> Poly:
    """P + Q."""
    return collected((*left.items(), *right.items()))


def collected(terms: Iterable[tuple[Monomial, float]]) -> Poly:
    """The sum of the terms; those that cancel but for rounding are dropped.

    Raises:
        IntractableError: if there are too many to be of use.
    """
    result: dict[Monomial, float] = {}
    for monomial, c in terms:
        old = result.get(monomial)
        if old is None:
            result[monomial] = c
        elif abs(old + c) <= CANCELS * abs(old):
            del result[monomial]
        else:
            result[monomial] = old + c
    if len(result) > MAX_TERMS:
        raise IntractableError
    return result


def monomial(powers: Mapping[int, int]) -> Monomial:
    """The product of atoms with these powers."""
    return tuple(sorted((index, power) for index, power in powers.items() if power))
