"""The two normal forms, and why a polynomial that looks like one is none.

    LayerNorm    s·(x − m)·(q − m² + e)^(−1/2) + b
    RMSNorm      s·x·(q + e)^(−1/2) + b

where m = E_S[x] and q = E_S[x²] over one set S of axes. The scale s and the bias b are sums of
products of values from outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir
from msgspec import Struct, field

from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import SUBJECT, Length, Moment, Monomial, Outside, Poly, Root
from normonnx.targets import Kind

_SAME = 1e-5
"""Coefficients that agree to this fraction are the same; float32 constants are off by 6e-8."""


class NormalForm(Struct, frozen=True):
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


class Mismatch(Struct, frozen=True):
    """Why a value that divides the subject by a root of its statistics is no norm.

    Attributes:
        reason: one sentence.
        blamed: values from outside that stand where a statistic should; why they were refused is
            then the reason, if there is none of its own.
        weak: whether the reason counts only where there is no other.
    """

    reason: str
    blamed: tuple[ir.Value, ...] = ()
    weak: bool = False


class _Terms(Struct):
    """The terms of a polynomial, sorted by what of the subject is in them.

    Attributes:
        subject: coefficients of x·r.
        moments: coefficients of each moment times r.
        foreign: coefficients of r alone, where a value from outside is divided.
        rest: what has no r.
        roots: the roots that are divided by, with their powers.
        strange: whether there is a term of another kind.
    """

    subject: dict[Monomial, float] = field(default_factory=dict)
    moments: dict[int, dict[Monomial, float]] = field(default_factory=dict)
    foreign: dict[Monomial, float] = field(default_factory=dict)
    rest: dict[Monomial, float] = field(default_factory=dict)
    roots: dict[int, int] = field(default_factory=dict)
    strange: bool = False


def normal_form(algebra: Algebra, poly: Poly) -> NormalForm | Mismatch | None:
    """The normal form of a polynomial, why it has none, or None if it resembles none."""
    terms = _sorted(algebra, poly)
    if not terms.roots:
        return None
    refused = algebra.refused(poly)
    if len(terms.roots) > 1 or terms.strange:
        return Mismatch("", refused) if refused else None
    [(root, power)] = terms.roots.items()
    if not terms.subject and not terms.moments:
        return _other_value(algebra, terms, root, power)
    if power != -1:
        return _not_a_root(algebra, root)
    if terms.foreign:
        return Mismatch("", refused) if refused else None
    if not terms.subject:
        return None
    return _norm(algebra, terms, root)


def _norm(algebra: Algebra, terms: _Terms, root: int) -> NormalForm | Mismatch:
    spread = _spread(algebra, root)
    if isinstance(spread, Mismatch):
        return spread
    kind, over, epsilon = spread
    if kind == "RMSNorm" and terms.moments:
        return Mismatch("a centred value is divided by the root of a mean square that is not")
    if kind == "LayerNorm" and not terms.moments:
        return Mismatch("the variance is taken about the mean, which the value divided still has")
    if kind == "LayerNorm":
        [(index, factor)] = list(terms.moments.items())[:1]
        atom = algebra.atoms[index]
        if len(terms.moments) > 1 or atom != Moment(1, over):
            return Mismatch("the mean is taken over other axes than the variance")
        if not _opposite(terms.subject, factor):
            return Mismatch("the mean is subtracted with another factor than the value has")
    return NormalForm(
        kind=kind,
        over=over,
        epsilon=epsilon,
        scale=terms.subject,
        bias=terms.rest,
        root_scale=algebra.root_scale(root),
    )


def _sorted(algebra: Algebra, poly: Poly) -> _Terms:
    terms = _Terms()
    for term, c in poly.items():
        outside, roots, inside = _parts(algebra, term)
        place = terms.rest if not inside and not roots else _divided(terms, roots, inside)
        if place is None:
            terms.strange = True
        else:
            place[outside] = c
    return terms


def _parts(algebra: Algebra, term: Monomial) -> tuple[Monomial, dict[int, int], Monomial]:
    """Values from outside, roots with their powers, and what else there is in a monomial."""
    atoms = [(algebra.atoms[index], index, power) for index, power in term]
    outside = tuple((i, p) for atom, i, p in atoms if isinstance(atom, Outside))
    roots = {i: p for atom, i, p in atoms if isinstance(atom, Root)}
    inside = tuple((i, p) for atom, i, p in atoms if not isinstance(atom, Outside | Root))
    return outside, roots, inside


def _divided(
    terms: _Terms, roots: Mapping[int, int], inside: Monomial
) -> dict[Monomial, float] | None:
    """Where the coefficient of a term with roots belongs, by what of the subject it has.

    None where it is divided by no root or several, or has something else than x or one moment.
    """
    if any(terms.roots.get(index, power) != power for index, power in roots.items()):
        terms.strange = True
    terms.roots.update({index: power for index, power in roots.items() if power < 0})
    if len(roots) != 1 or min(roots.values()) > 0:
        return None
    if not inside:
        return terms.foreign
    if inside == ((SUBJECT, 1),):
        return terms.subject
    [(index, power), *others] = inside
    return None if others or power != 1 else terms.moments.setdefault(index, {})


def _other_value(algebra: Algebra, terms: _Terms, root: int, power: int) -> Mismatch | None:
    """A value from outside that is divided by the spread of this one."""
    divided = [
        atom
        for monomial in terms.foreign
        for index, exponent in monomial
        for atom in [algebra.atoms[index]]
        if isinstance(atom, Outside) and exponent > 0 and not atom.constant
    ]
    refused = tuple(atom.value for atom in divided if atom.refused)
    if refused:
        return Mismatch("", refused)
    spread = _spread(algebra, root)
    if power != -1 or not divided or isinstance(spread, Mismatch):
        return None
    kind, _, epsilon = spread
    if kind == "RMSNorm" and epsilon == 0:  # a norm in the sense of a length, as in a cosine
        return None
    return Mismatch(
        f"'{divided[0].value.name}' is divided by the spread of another value", weak=True
    )


def _not_a_root(algebra: Algebra, index: int) -> Mismatch | None:
    """A value divided by a sum, not by a root: √v + e, or a variance without root."""
    inner = algebra.inner(index)
    if any(isinstance(algebra.atoms[i], Root) for monomial in inner for i, _ in monomial):
        if () in inner:
            epsilon = inner[()] * algebra.root_scale(index)  # as it stands in the graph
            return Mismatch(f"epsilon ({epsilon:.3g}) is added to the root, not under it")
        return Mismatch("what it is divided by is more than one root")
    if any(isinstance(algebra.atoms[i], Moment) for monomial in inner for i, _ in monomial):
        return Mismatch("it is divided by a variance, not by the root of one")
    return None


def _spread(algebra: Algebra, root: int) -> tuple[Kind, frozenset[int], float] | Mismatch:
    """What is under the root: (LayerNorm, S, e) for q − m² + e, (RMSNorm, S, e) for q + e."""
    inner = dict(algebra.inner(root))
    epsilon = inner.pop((), 0.0)
    squares = [term for term in inner if _moment(algebra, term, 1, 2) is not None]
    square = _moment(algebra, squares[0], 1, 2) if len(squares) == 1 else None
    if square is None:
        return _foreign(algebra, inner)
    if not math.isclose(inner.pop(squares[0]), 1.0, rel_tol=_SAME):
        return Mismatch("the mean square is not what the root is taken of")
    if epsilon < 0:
        return Mismatch(f"epsilon is negative ({epsilon:.3g})")
    if not inner:
        return "RMSNorm", square.over, epsilon
    [(other, c), *more] = inner.items()
    mean = _moment(algebra, other, 2, 1)
    if more or mean is None:
        return _foreign(algebra, inner)
    if mean.over != square.over:
        return Mismatch("the mean is taken over other axes than the mean square")
    if not math.isclose(c, -1.0, rel_tol=_SAME):
        return Mismatch(f"the squared mean enters the variance {-c:.6g} times")
    return "LayerNorm", square.over, epsilon


def _moment(algebra: Algebra, term: Monomial, power: int, order: int) -> Moment | None:
    """The moment of this order that a monomial is a power of, or None."""
    if len(term) != 1 or term[0][1] != power:
        return None
    atom = algebra.atoms[term[0][0]]
    return atom if isinstance(atom, Moment) and atom.power == order else None


def _foreign(algebra: Algebra, inner: Poly) -> Mismatch:
    if any(isinstance(algebra.atoms[i], Length) for monomial in inner for i, _ in monomial):
        return Mismatch("it sums over axes whose length is not static, and takes no mean of that")
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
