"""Which polynomials are a norm, what is said of those that nearly are, and their arithmetic."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.norm.algebra.counts import rounded_reciprocal
from normonnx.norm.algebra.normal_form import Mismatch, NormalForm, normal_form
from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import (
    MAX_TERMS,
    IntractableError,
    Outside,
    Poly,
    X,
    collected,
    monomial,
    number,
    plus,
    scaled,
)
from normonnx.values.shapes import Product

ROW = frozenset({1})
BOTH = frozenset({0, 1})


class Sums:
    """x, its statistics along the row, and values from outside."""

    def __init__(self) -> None:
        self.algebra = Algebra(BOTH)
        self.mean = self.algebra.mean(X, ROW)
        self.square = self.algebra.mean(self.algebra.power(X, 2), ROW)
        self.centred = plus(X, scaled(self.mean, -1.0))
        self.variance = plus(self.square, scaled(self.product(self.mean, self.mean), -1.0))

    def product(self, *factors: Poly) -> Poly:
        result = number(1.0)
        for factor in factors:
            result = self.algebra.product(result, factor)
        return result

    def over(self, inner: Poly, power: int = 1) -> Poly:
        """1/√P to a power."""
        return self.algebra.power(self.algebra.inverse(self.algebra.root(inner)), power)

    def value(self, name: str, **facts: bool) -> Poly:
        return self.algebra.outside(Outside(ir.Value(name=name), ((1,),), **facts))

    def form(self, *factors: Poly, bias: Poly | None = None) -> NormalForm | Mismatch | None:
        return normal_form(self.algebra, plus(self.product(*factors), bias or {}))


@pytest.fixture
def sums() -> Sums:
    return Sums()


def epsilon(inner: Poly, e: float = 1e-3) -> Poly:
    return plus(inner, number(e))


@pytest.mark.parametrize("kind", ["LayerNorm", "RMSNorm"])
def test_a_norm_with_all_its_parts(sums: Sums, kind: str) -> None:
    layer = kind == "LayerNorm"
    top, inner = (sums.centred, sums.variance) if layer else (X, sums.square)
    g, b = sums.value("g", constant=True), sums.value("b", constant=True)
    found = sums.form(g, number(3.0), top, sums.over(scaled(epsilon(inner), 4.0)), bias=b)
    assert isinstance(found, NormalForm)
    assert (found.kind, found.over, found.epsilon) == (kind, ROW, 1e-3)
    assert found.scale == {next(iter(g)): 1.5}
    assert found.bias == b
    assert found.root_scale == 4.0


def test_no_epsilon_is_one_of_zero(sums: Sums) -> None:
    found = sums.form(sums.centred, sums.over(sums.variance))
    assert isinstance(found, NormalForm)
    assert (found.epsilon, found.scale, found.bias) == (0.0, {(): 1.0}, {})


def test_numbers_that_are_off_by_float32_are_the_same(sums: Sums) -> None:
    off = 1 + 1e-7
    mean = scaled(sums.mean, -off)
    inner = plus(sums.square, scaled(sums.product(sums.mean, sums.mean), -off))
    assert isinstance(sums.form(plus(X, mean), sums.over(epsilon(inner))), NormalForm)


def reason(found: object) -> str:
    assert isinstance(found, Mismatch)
    return found.reason


def test_what_nearly_is_one_is_told(sums: Sums) -> None:
    rms, layer = epsilon(sums.square), epsilon(sums.variance)
    assert "that is not" in reason(sums.form(sums.centred, sums.over(rms)))
    assert "which the value divided still has" in reason(sums.form(X, sums.over(layer)))
    half = plus(X, scaled(sums.mean, -0.5))
    assert "another factor" in reason(sums.form(half, sums.over(layer)))
    g = sums.value("g", constant=True)
    other = plus(X, scaled(sums.product(g, sums.mean), -1.0))
    assert "another factor" in reason(sums.form(other, sums.over(layer)))
    assert "epsilon is negative (-0.001)" in reason(sums.form(X, sums.over(epsilon(rms, -2e-3))))
    twice = plus(sums.square, scaled(sums.product(sums.mean, sums.mean), -2.0))
    assert "enters the variance 2 times" in reason(
        sums.form(sums.centred, sums.over(epsilon(twice)))
    )


def test_statistics_over_other_axes_are_told(sums: Sums) -> None:
    algebra = sums.algebra
    wide = algebra.mean(X, BOTH)
    top = plus(X, scaled(wide, -1.0))
    assert "other axes than the variance" in reason(
        sums.form(top, sums.over(epsilon(sums.variance)))
    )
    inner = plus(sums.square, scaled(sums.product(wide, wide), -1.0))
    assert "other axes than the mean square" in reason(
        sums.form(sums.centred, sums.over(epsilon(inner)))
    )
    both = plus(top, scaled(sums.mean, -1.0))
    assert "other axes" in reason(sums.form(both, sums.over(epsilon(sums.variance))))


def test_what_is_under_the_root_is_told(sums: Sums) -> None:
    v = sums.value("v")
    found = sums.form(X, sums.over(plus(sums.square, v)))
    assert "depends on 'v'" in reason(found)
    assert isinstance(found, Mismatch)
    assert [str(value.name) for value in found.blamed] == ["v"]
    assert "neither a variance nor a mean square" in reason(sums.form(X, sums.over(epsilon(X))))
    n = sums.algebra.length(Product(1, ("n",)))
    long = plus(sums.square, n)
    assert "whose length is not static" in reason(sums.form(X, sums.over(long)))


def test_more_than_a_root_is_told(sums: Sums) -> None:
    root = sums.algebra.root(sums.square)
    under = sums.algebra.inverse(plus(root, number(0.25)))
    assert "epsilon (0.25) is added to the root" in reason(sums.form(X, under))
    assert "not by the root of one" in reason(sums.form(X, sums.over(epsilon(sums.square), 2)))
    g = sums.value("g", constant=True)
    more = sums.algebra.inverse(plus(root, g))
    assert "more than one root" in reason(sums.form(X, more))


def test_another_value_that_is_divided_is_a_weak_reason(sums: Sums) -> None:
    v, k = sums.value("v"), sums.value("k", constant=True)
    inverse = sums.over(epsilon(sums.variance))
    found = sums.form(v, inverse)
    assert isinstance(found, Mismatch)
    assert found.weak
    assert "'v' is divided by the spread of another value" in found.reason
    assert sums.form(k, inverse) is None
    assert sums.form(v, sums.over(epsilon(sums.variance), 2)) is None
    assert sums.form(v, sums.over(sums.square)) is None  # a length, as in a cosine
    assert isinstance(sums.form(v, sums.over(epsilon(sums.square))), Mismatch)
    refused = sums.value("r", refused=True)
    told = sums.form(refused, inverse)
    assert isinstance(told, Mismatch)
    assert [str(value.name) for value in told.blamed] == ["r"]


def test_what_resembles_no_norm(sums: Sums) -> None:
    inverse, other = sums.over(epsilon(sums.variance)), sums.over(epsilon(sums.square, 0.5))
    root = sums.algebra.root(epsilon(sums.variance))
    v = sums.value("v")
    assert sums.form(X) is None
    assert sums.form(X, root) is None
    assert sums.form(sums.centred, inverse, other) is None
    assert sums.form(sums.algebra.power(X, 2), inverse) is None
    assert sums.form(sums.mean, inverse) is None
    assert sums.form(sums.centred, inverse, bias=sums.product(v, inverse)) is None
    assert sums.form(sums.centred, inverse, bias=sums.product(sums.centred, root)) is None


# -- polynomials -------------------------------------------------------------------------------


def test_terms_are_collected() -> None:
    one, two = monomial({0: 1}), monomial({0: 2})
    assert collected([(one, 1.0), (two, 2.0), (one, 3.0)]) == {one: 4.0, two: 2.0}
    assert collected([(one, -2.0), (one, 2.0 + 1e-6)]) == {}
    assert collected([(one, 2.0), (one, -2.0 - 1e-5)]) != {}
    assert monomial({3: 0, 2: -1, 1: 2}) == ((1, 2), (2, -1))
    assert number(0.0) == scaled(X, 0.0) == {}


def test_as_many_terms_as_are_of_use() -> None:
    terms = [(monomial({i: 1}), 1.0) for i in range(MAX_TERMS + 1)]
    assert len(collected(terms[:-1])) == MAX_TERMS
    with pytest.raises(IntractableError):
        collected(terms)


def test_powers_of_roots(sums: Sums) -> None:
    inner = epsilon(sums.square)
    root = sums.algebra.root(inner)
    cube = sums.algebra.power(root, 3)
    assert cube == pytest.approx(dict(sums.product(root, inner)))
    assert sums.product(root, sums.algebra.inverse(root)) == {(): 1.0}
    assert sums.algebra.power(root, 4) == pytest.approx(dict(sums.product(inner, inner)))
    assert sums.algebra.power(scaled(X, 2.0), -2) == {((0, -2),): 0.25}
    assert sums.algebra.power(X, 0) == {(): 1.0}


def test_inverses(sums: Sums) -> None:
    inner = scaled(epsilon(sums.square), 4.0)
    assert sums.algebra.inverse(scaled(X, 4.0)) == {((0, -1),): 0.25}
    whole = sums.product(sums.algebra.inverse(inner), sums.algebra.root(inner))
    assert whole == pytest.approx(dict(sums.algebra.inverse(sums.algebra.root(inner))))
    for function in (sums.algebra.inverse, sums.algebra.root):
        with pytest.raises(IntractableError):
            function({})


def test_roots_of_monomials(sums: Sums) -> None:
    root = sums.algebra.root(epsilon(sums.square))
    fourth = sums.algebra.inverse(epsilon(sums.square))
    assert sums.algebra.root(scaled(fourth, 9.0)) == scaled(sums.algebra.inverse(root), 3.0)
    negative = sums.algebra.root(scaled(fourth, -9.0))  # no number at all: it stays a root
    assert negative != scaled(sums.algebra.inverse(root), 3.0)


def test_the_square_of_a_length(sums: Sums) -> None:
    algebra = sums.algebra
    sum_of_squares = scaled(sums.square, 8.0)
    for poly, factor in (
        (algebra.root(sum_of_squares), 8.0),
        (algebra.inverse(algebra.root(sum_of_squares)), 8.0),
        (scaled(algebra.root(sums.square), 2.0), 4.0),
    ):
        found = algebra.squared_length(poly)
        assert found is not None
        assert found[0].over == ROW
        assert math.isclose(found[1], factor)
    others = (
        X, sums.square, algebra.root(epsilon(sums.square)), algebra.root(sums.mean),
        sums.product(X, algebra.root(sums.square)), algebra.inverse(sums.square),
        plus(algebra.root(sums.square), X),
    )  # fmt: skip
    for poly in others:
        assert algebra.squared_length(poly) is None


def test_what_occurs(sums: Sums) -> None:
    algebra = sums.algebra
    n = algebra.length(Product(3, ("n", "n", "m")))
    [(term, factor)] = n.items()
    assert factor == 3.0
    assert sorted(power for _, power in term) == [1, 2]
    k, r = sums.value("k", constant=True), sums.value("r", refused=True)
    root = algebra.root(epsilon(sums.square))
    assert algebra.is_number(plus(n, number(2.0)))
    assert not algebra.is_number(plus(n, k))
    assert algebra.has_root(plus(X, root))
    assert not algebra.has_root(X)
    assert [algebra.depends_on_subject(p) for p in (X, sums.mean, root, r, k, n)] == [
        True, True, True, True, False, False,
    ]  # fmt: skip
    assert not algebra.depends_on_subject(algebra.root(plus(k, number(1.0))))
    assert [algebra.has_second_moment(p) for p in (root, sums.square, sums.mean, X)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [str(v.name) for v in algebra.refused(algebra.root(plus(r, k)))] == ["r"]


def test_means_of_what_varies_elsewhere(sums: Sums) -> None:
    algebra = sums.algebra
    across = algebra.mean(X, frozenset({0}))
    assert algebra.mean(sums.product(across, across), frozenset({0})) == sums.product(
        across, across
    )
    with pytest.raises(IntractableError, match="something else"):
        algebra.mean(sums.product(across, X), ROW)
    with pytest.raises(IntractableError, match="something else"):
        algebra.mean(sums.product(across, across), ROW)
    # A mean of means is one over both; one of squares of x is a second moment.
    assert algebra.mean(algebra.power(X, 2), ROW) == {algebra.second_moment(ROW): 1.0}


@pytest.mark.parametrize("count", [3, 5, 7, 96, 768, 1000, 12345])
def test_a_count_is_read_back(count: int) -> None:
    assert rounded_reciprocal(np.float32(1 / count)) == count
    assert rounded_reciprocal(np.nextafter(np.float32(1 / count), np.float32(1))) is None


@pytest.mark.parametrize("number", [0.0, 1.0, 2.0, -1 / 3, 0.5, 1 / 8, 0.3, 1 / 30_000_001])
def test_what_is_no_rounded_reciprocal(number: float) -> None:
    assert rounded_reciprocal(np.float32(number)) is None
