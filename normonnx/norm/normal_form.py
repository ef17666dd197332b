"""The two normal forms, and why a polynomial that looks like one is none.

    LayerNorm    s·(x − m)·(q − m² + e)^(−1/2) + b
    RMSNorm      s·x·(q + e)^(−1/2) + b

where m = E_S[x] and q = E_S[x²] over one set S of axes. The scale s and the bias b are sums of
products of values from outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from normonnx.norm.algebra import SUBJECT, Algebra, Moment, Monomial, Outside, Poly, Root

Kind = Literal["LayerNorm", "RMSNorm"]

_SAME = 1e-5
"""Coefficients that agree to this fraction are the same; float32 constants are off by 6e-8."""


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A value that is a norm of the subject.

    Attributes:
        kind: which of the two.
        over: the labels of the subject's axes that are normalised.
        epsilon: e.
        scale: s, as monomials of values from outside with their coefficients.
        bias: b, likewise; empty where there is none.
        root_scale: what was taken out of the root: N where it holds a sum over N elements.
    """

    kind: Kind
    over: frozenset[int]
    epsilon: float
    scale: Poly
    bias: Poly
    root_scale: float


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a value that divides the subject by a root of its statistics is no norm.

    Attributes:
        reason: one sentence.
        blamed: values from outside that stand where a statistic should.
    """

    reason: str
    blamed: tuple[ir.Value, ...] = ()


@dataclass(frozen=True, slots=True)
class _Terms:
    """The terms of a polynomial: coefficients of x·r, of m·r, and what has no r."""

    subject: Poly
    mean: Mapping[int, Poly]
    rest: Poly
    root: int


def normal_form(algebra: Algebra, poly: Poly) -> NormalForm | Mismatch | None:
    """The normal form of a polynomial, why it has none, or None if it resembles none."""
    terms = _split(algebra, poly)
    if terms is None or isinstance(terms, Mismatch):
        return terms
    spread = _spread(algebra, terms.root)
    if isinstance(spread, Mismatch):
        return spread
    kind, over, epsilon = spread
    mean = {index: c for index, c in terms.mean.items() if c}
    if kind == "RMSNorm" and mean:
        return Mismatch("a centred value is divided by the root of a mean square that is not")
    if kind == "LayerNorm" and not mean:
        return Mismatch("the variance is taken about the mean, which the value divided still has")
    if kind == "LayerNorm":
        [(index, factor)] = list(mean.items())[:1]
        atom = algebra.atoms[index]
        if len(mean) > 1 or not isinstance(atom, Moment) or atom.power != 1 or atom.over != over:
            return Mismatch("the mean is taken over other axes than the variance")
        if not _opposite(terms.subject, factor):
            return Mismatch("the mean is subtracted with another factor than the value has")
    return NormalForm(
        kind=kind,
        over=over,
        epsilon=epsilon,
        scale=terms.subject,
        bias=terms.rest,
        root_scale=algebra.root_scale(terms.root),
    )


def _split(algebra: Algebra, poly: Poly) -> _Terms | Mismatch | None:
    subject: dict[Monomial, float] = {}
    mean: dict[int, dict[Monomial, float]] = {}
    rest: dict[Monomial, float] = {}
    roots: set[int] = set()
    strange = False
    for monomial, c in poly.items():
        outside = tuple((i, p) for i, p in monomial if isinstance(algebra.atoms[i], Outside))
        inside = [(i, p) for i, p in monomial if not isinstance(algebra.atoms[i], Outside)]
        if not inside:
            rest[outside] = c
            continue
        own = [(i, p) for i, p in inside if isinstance(algebra.atoms[i], Root)]
        others = [(i, p) for i, p in inside if not isinstance(algebra.atoms[i], Root)]
        if others == [(SUBJECT, 1)] and own:
            roots.update(i for i, _ in own)
            subject[outside] = c
        elif len(others) == 1 and others[0][1] == 1 and own:
            mean.setdefault(others[0][0], {})[outside] = c
            roots.update(i for i, _ in own)
        else:
            strange = True
        if own and (len(own) > 1 or own[0][1] != -1):
            if len(own) == 1 and own[0][1] == -2:
                return _not_a_root(algebra, own[0][0]) if others else None
            strange = True
    if not subject or strange or len(roots) != 1:
        return None
    return _Terms(subject, mean, rest, roots.pop())


def _not_a_root(algebra: Algebra, index: int) -> Mismatch | None:
    """A value divided by a sum, not by a root: √v + e, or a variance without root."""
    inner = algebra.inner(index)
    if any(isinstance(algebra.atoms[i], Root) for monomial in inner for i, _ in monomial):
        if () in inner:
            return Mismatch(f"epsilon ({inner[()]:.3g}) is added to the root, not under it")
        return Mismatch("what it is divided by is more than one root")
    if any(isinstance(algebra.atoms[i], Moment) for monomial in inner for i, _ in monomial):
        return Mismatch("it is divided by a variance, not by the root of one")
    return None


def _spread(algebra: Algebra, root: int) -> tuple[Kind, frozenset[int], float] | Mismatch:
    """What is under the root: (LayerNorm, S, e) for q − m² + e, (RMSNorm, S, e) for q + e."""
    inner = dict(algebra.inner(root))
    epsilon = inner.pop((), 0.0)
    second = [
        (monomial, atom)
        for monomial in inner
        if len(monomial) == 1 and monomial[0][1] == 1
        for atom in [algebra.atoms[monomial[0][0]]]
        if isinstance(atom, Moment) and atom.power == 2
    ]
    if len(second) != 1:
        return _foreign(algebra, inner)
    monomial, atom = second[0]
    if not math.isclose(inner.pop(monomial), 1.0, rel_tol=_SAME):
        return Mismatch("the mean square is not what the root is taken of")
    if epsilon < 0:
        return Mismatch(f"epsilon is negative ({epsilon:.3g})")
    if not inner:
        return "RMSNorm", atom.over, epsilon
    if len(inner) == 1:
        [(other, c)] = inner.items()
        first = algebra.atoms[other[0][0]] if len(other) == 1 and other[0][1] == 2 else None
        if isinstance(first, Moment) and first.power == 1:
            if first.over != atom.over:
                return Mismatch("the mean is taken over other axes than the mean square")
            if math.isclose(c, -1.0, rel_tol=_SAME):
                return "LayerNorm", atom.over, epsilon
            return Mismatch(f"the squared mean enters the variance {-c:.6g} times")
    return _foreign(algebra, inner)


def _foreign(algebra: Algebra, inner: Poly) -> Mismatch:
    values = {
        atom.value: None
        for monomial in inner
        for index, _ in monomial
        for atom in [algebra.atoms[index]]
        if isinstance(atom, Outside)
    }
    if values:
        names = ", ".join(f"'{value.name}'" for value in values)
        return Mismatch(f"what is under the root depends on {names}", tuple(values))
    return Mismatch("what is under the root is neither a variance nor a mean square")


def _opposite(scale: Poly, mean: Poly) -> bool:
    return scale.keys() == mean.keys() and all(
        math.isclose(c, -mean[monomial], rel_tol=_SAME) for monomial, c in scale.items()
    )
