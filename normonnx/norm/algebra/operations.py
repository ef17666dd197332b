"""What can be done with polynomials in x, its moments and its inverse roots.

E[·] is linear and takes out what does not vary along S. Scalars are taken out of roots,
√(k·P) = √k·√P, so that a rescaled variance has the same root as the variance itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import onnx_ir as ir
from msgspec.structs import replace

from normonnx.norm.algebra.layout import substitute
from normonnx.norm.algebra.polynomial import (
    SUBJECT,
    Atom,
    Cut,
    IntractableError,
    Length,
    Logarithm,
    Moment,
    Monomial,
    Outside,
    Part,
    PartMoment,
    Poly,
    Root,
    Subject,
    collected,
    monomial,
    number,
    plus,
    scaled,
)
from normonnx.targets.placement import Group
from normonnx.values.shapes import Dim

_MAX_HALVES = 8


class Algebra:
    """The atoms met around one subject, and the operations that need to know them."""

    def __init__(self, axes: frozenset[int]) -> None:
        """Begin with the subject, which varies along `axes`."""
        self.atoms: list[Atom] = [Subject()]
        self.varies: list[frozenset[int]] = [axes]
        self._depends: list[bool] = [True]
        self._index: dict[Atom, int] = {}

    def outside(self, atom: Outside) -> Poly:
        """A value from outside as a polynomial."""
        labels = frozenset(label for group in atom.groups for label in group)
        return {((self._atom(atom, labels), 1),): 1.0}

    def length(self, dim: Dim) -> Poly:
        """A dimension as a polynomial."""
        if isinstance(dim, int):
            return number(float(dim))
        powers: dict[int, int] = {}
        for symbol in dim.symbols:
            index = self._atom(Length(symbol), frozenset())
            powers[index] = powers.get(index, 0) + 1
        return {monomial(powers): float(dim.factor)}

    def depends_on_subject(self, poly: Poly) -> bool:
        """Whether x occurs: itself, under a moment or a root, or in a value that was refused."""
        return any(self._depends[index] for term in poly for index, _ in term)

    def is_number(self, poly: Poly) -> bool:
        """Whether only numbers and dimensions occur."""
        return all(isinstance(self.atoms[index], Length) for term in poly for index, _ in term)

    def has_root(self, poly: Poly) -> bool:
        """Whether a root occurs."""
        return any(self._is_root(index) for term in poly for index, _ in term)

    def has_second_moment(self, poly: Poly) -> bool:
        """Whether a mean square occurs, under a root too."""
        return any(isinstance(a, Moment) and a.power == 2 for a in self._all_atoms(poly))

    def squared_length(self, poly: Poly) -> tuple[Moment, float] | None:
        """(q, k) of a polynomial √(k·q) or 1/√(k·q) with q = E[x²], None for all others."""
        if len(poly) != 1:
            return None
        [(term, c)] = poly.items()
        if len(term) != 1 or abs(term[0][1]) != 1 or not self._is_root(term[0][0]):
            return None
        inner = self.inner(term[0][0])
        if len(inner) != 1:
            return None
        [(square, k)] = inner.items()
        atom = self.atoms[square[0][0]] if len(square) == 1 and square[0][1] == 1 else None
        if not isinstance(atom, Moment) or atom.power != 2:
            return None
        return atom, k * c ** (2 * term[0][1])

    def refused(self, poly: Poly) -> tuple[ir.Value, ...]:
        """The values, under roots too, that depend on the subject but were refused."""
        atoms = self._all_atoms(poly)
        return tuple(atom.value for atom in atoms if isinstance(atom, Outside) and atom.refused)

    def _all_atoms(self, poly: Poly) -> Iterator[Atom]:
        for term in poly:
            for index, _ in term:
                atom = self.atoms[index]
                yield atom
                if isinstance(atom, Root | Logarithm):
                    yield from self._all_atoms(dict(atom.inner))

    def product(self, left: Poly, right: Poly) -> Poly:
        """P·Q; an even positive power of a root is multiplied out."""
        plain: list[tuple[Monomial, float]] = []
        for a, ca in left.items():
            for b, cb in right.items():
                powers = dict(a)
                for index, power in b:
                    powers[index] = powers.get(index, 0) + power
                squared = next((i for i, p in powers.items() if p > 1 and self._is_root(i)), None)
                if squared is None:
                    plain.append((monomial(powers), ca * cb))
                    continue
                powers[squared] -= 2
                rest = {monomial(powers): ca * cb}
                plain.extend(self.product(rest, self.inner(squared)).items())
        return collected(plain)

    def power(self, poly: Poly, exponent: int) -> Poly:
        """P^n for a small integer n."""
        if exponent < 0:
            return self.power(self.inverse(poly), -exponent)
        result = number(1.0)
        for _ in range(exponent):
            result = self.product(result, poly)
        return result

    def inverse(self, poly: Poly) -> Poly:
        """1/P: of a monomial by its powers, of a sum as √P^(−2)."""
        if not poly:
            raise IntractableError
        if len(poly) == 1:
            [(term, c)] = poly.items()
            return {tuple((index, -power) for index, power in term): 1.0 / c}
        [(term, c)] = self.root(poly).items()
        return {tuple((index, -2 * power) for index, power in term): 1.0 / c**2}

    def root(self, poly: Poly) -> Poly:
        """√P as a multiple of a single root."""
        if not poly:
            raise IntractableError
        lead = poly[max(poly, key=lambda term: self._rank(term, poly[term]))]
        scale = abs(lead)
        unit = scaled(poly, 1.0 / scale)
        if len(unit) == 1:
            [(term, c)] = unit.items()
            if c > 0 and all(p % 2 == 0 and self._is_root(i) for i, p in term):
                return {tuple((i, p // 2) for i, p in term): math.sqrt(scale)}
        return {((self._root(unit, scale), 1),): math.sqrt(scale)}

    def logarithm(self, poly: Poly) -> Poly:
        """Log P as an atom."""
        varies = frozenset[int]().union(*(self.varies[i] for m in poly for i, _ in m))
        return {((self._atom(Logarithm(tuple(sorted(poly.items()))), varies), 1),): 1.0}

    def exponential(self, poly: Poly) -> Poly:
        """Exp of a sum of halves of logarithms: a product of powers.

        Raises:
            IntractableError: for the exponential of anything else.
        """
        result = number(1.0)
        for term, c in poly.items():
            atom = self.atoms[term[0][0]] if len(term) == 1 and term[0][1] == 1 else None
            halves = round(2 * c)
            if not isinstance(atom, Logarithm) or halves != 2 * c or abs(halves) > _MAX_HALVES:
                raise IntractableError
            inner = dict(atom.inner)
            base = inner if halves % 2 == 0 else self.root(inner)
            result = self.product(result, self.power(base, halves if halves % 2 else halves // 2))
        return result

    def inner(self, root: int) -> Poly:
        """The polynomial under a root."""
        atom = self.atoms[root]
        assert isinstance(atom, Root)
        return dict(atom.inner)

    def root_scale(self, root: int) -> float:
        """What was taken out of the polynomial under a root when it was met first."""
        atom = self.atoms[root]
        assert isinstance(atom, Root)
        return atom.scale

    def mean(self, poly: Poly, over: frozenset[int]) -> Poly:
        """E_S[P].

        Raises:
            IntractableError: for the mean of something else than 1, x and x².
        """
        terms: list[tuple[Monomial, float]] = []
        for term, c in poly.items():
            varying = [(i, p) for i, p in term if self.varies[i] & over]
            rest = {tuple((i, p) for i, p in term if not self.varies[i] & over): c}
            taken = self._mean_of(varying, over) if varying else number(1.0)
            terms.extend(self.product(rest, taken).items())
        return collected(terms)

    def part(self, cut: Cut, index: int, along: int) -> Poly:
        """x_i, or what it is where it is but one element wide."""
        if cut.size(index) == 1:
            return self._part_moment(cut, index, 1)
        labels = self.varies[SUBJECT] - {cut.axis} | {along}
        return {((self._atom(Part(cut, index, along), labels), 1),): 1.0}

    def _part_moment(self, cut: Cut, index: int, power: int) -> Poly:
        """E[x_i^p]; that of the last part is what the others leave of the whole's."""
        over = frozenset({cut.axis})
        if index < len(cut.ends) - 1:
            atom = self._atom(PartMoment(cut, index, power), self.varies[SUBJECT] - over)
            return {((atom, 1),): 1.0}
        whole: Poly = {((self._moment(power, over), 1),): cut.ends[-1] / cut.size(index)}
        for other in range(index):
            share = -cut.size(other) / cut.size(index)
            whole = plus(whole, scaled(self._part_moment(cut, other, power), share))
        return whole

    def second_moment(self, over: frozenset[int]) -> Monomial:
        """E_S[x²] as a monomial."""
        return ((self._moment(2, over), 1),)

    def rename(self, poly: Poly, bound: Mapping[int, Group]) -> Poly:
        """The polynomial with free labels of its atoms replaced by what they are bound to."""
        if not bound:
            return poly
        terms: list[tuple[Monomial, float]] = []
        for term, c in poly.items():
            powers: dict[int, int] = {}
            for index, power in term:
                new = self._renamed(index, bound)
                powers[new] = powers.get(new, 0) + power
            terms.append((monomial(powers), c))
        return collected(terms)

    def _mean_of(self, varying: list[tuple[int, int]], over: frozenset[int]) -> Poly:
        if len(varying) == 1:
            index, power = varying[0]
            atom = self.atoms[index]
            if isinstance(atom, Subject) and power in (1, 2):
                return {((self._moment(power, over), 1),): 1.0}
            if isinstance(atom, Moment) and power == 1 and not atom.over & over:
                return {((self._moment(atom.power, atom.over | over), 1),): 1.0}
            if isinstance(atom, Part) and power in (1, 2) and over == {atom.along}:
                return self._part_moment(atom.cut, atom.index, power)
            if isinstance(atom, Subject) and power > 2:
                raise IntractableError(f"a mean is taken of x^{power}, where a norm takes x²")
        raise IntractableError("a mean is taken of something else than x and x²")

    def _is_root(self, index: int) -> bool:
        return isinstance(self.atoms[index], Root)

    def _moment(self, power: int, over: frozenset[int]) -> int:
        return self._atom(Moment(power, over), self.varies[SUBJECT] - over)

    def _root(self, inner: Poly, scale: float) -> int:
        for index, atom in enumerate(self.atoms):
            if isinstance(atom, Root) and _alike(dict(atom.inner), inner):
                return index
        varies = frozenset[int]().union(*(self.varies[i] for m in inner for i, _ in m))
        return self._atom(Root(tuple(sorted(inner.items())), scale), varies)

    def _renamed(self, index: int, bound: Mapping[int, Group]) -> int:
        if not self.varies[index].intersection(bound):
            return index
        atom = self.atoms[index]
        if isinstance(atom, Outside):
            groups = tuple(substitute(group, bound) for group in atom.groups)
            labels = frozenset(label for group in groups for label in group)
            return self._atom(replace(atom, groups=groups), labels)
        if isinstance(atom, Logarithm):
            [(renamed, _)] = self.logarithm(self.rename(dict(atom.inner), bound))
            return renamed[0]
        assert isinstance(atom, Root)
        return self._root(self.rename(dict(atom.inner), bound), atom.scale)

    def _atom(self, atom: Atom, varies: frozenset[int]) -> int:
        index = self._index.get(atom)
        if index is None:
            index = self._index[atom] = len(self.atoms)
            self.atoms.append(atom)
            self.varies.append(varies)
            self._depends.append(self._is_dependent(atom))
        return index

    def _is_dependent(self, atom: Atom) -> bool:
        if isinstance(atom, Root | Logarithm):
            return self.depends_on_subject(dict(atom.inner))
        return not isinstance(atom, Outside | Length) or (
            isinstance(atom, Outside) and atom.refused
        )

    def _rank(self, term: Monomial, c: float) -> tuple[bool, float]:
        """Roots are scaled by their second moment, or else by their largest coefficient."""
        atom = self.atoms[term[0][0]] if len(term) == 1 and term[0][1] == 1 else None
        return isinstance(atom, Moment) and atom.power == 2, abs(c)


def _alike(left: Poly, right: Poly) -> bool:
    return left.keys() == right.keys() and all(
        math.isclose(c, right[term], rel_tol=1e-5) for term, c in left.items()
    )
