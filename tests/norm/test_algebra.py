"""Polynomials in x, its moments and inverse roots."""

from __future__ import annotations

import math

import onnx_ir as ir
import pytest

from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import (
    IntractableError,
    Moment,
    Outside,
    Poly,
    Root,
    X,
    number,
    plus,
    scaled,
)

ROW = frozenset({1})


@pytest.fixture
def algebra() -> Algebra:
    return Algebra(frozenset({0, 1}))


def minus(left: Poly, right: Poly) -> Poly:
    return plus(left, scaled(right, -1.0))


def variance(algebra: Algebra) -> Poly:
    mean = algebra.mean(X, ROW)
    return algebra.mean(algebra.power(minus(X, mean), 2), ROW)


def constant(algebra: Algebra, name: str, groups: tuple[tuple[int, ...], ...]) -> Poly:
    return algebra.outside(Outside(ir.Value(name=name), groups, constant=True))


def test_both_spellings_of_the_variance_are_one(algebra: Algebra) -> None:
    mean = algebra.mean(X, ROW)
    other = minus(algebra.mean(algebra.power(X, 2), ROW), algebra.product(mean, mean))
    assert variance(algebra) == other


def test_the_mean_of_a_mean_is_itself(algebra: Algebra) -> None:
    mean = algebra.mean(X, ROW)
    assert algebra.mean(mean, ROW) == mean


def test_a_mean_in_two_steps_is_a_mean_over_both(algebra: Algebra) -> None:
    first = algebra.mean(X, frozenset({0}))
    assert algebra.mean(first, ROW) == algebra.mean(X, frozenset({0, 1}))


def test_the_mean_of_the_centred_value_is_nothing(algebra: Algebra) -> None:
    assert algebra.mean(minus(X, algebra.mean(X, ROW)), ROW) == {}


def test_what_is_constant_along_the_row_leaves_the_mean(algebra: Algebra) -> None:
    k = constant(algebra, "k", ((0,), ()))
    assert algebra.mean(algebra.product(k, X), ROW) == algebra.product(k, algebra.mean(X, ROW))


def test_a_weighted_mean_is_no_moment(algebra: Algebra) -> None:
    weights = constant(algebra, "w", ((1,),))
    with pytest.raises(IntractableError, match="something else"):
        algebra.mean(algebra.product(weights, X), ROW)


def test_the_mean_of_a_cube_is_told(algebra: Algebra) -> None:
    with pytest.raises(IntractableError, match=r"x\^3"):
        algebra.mean(algebra.power(X, 3), ROW)


def test_roots_of_multiples_are_multiples_of_one_root(algebra: Algebra) -> None:
    inner = plus(variance(algebra), number(1e-3))
    root = algebra.root(inner)
    tripled = algebra.root(scaled(inner, 9.0))
    assert tripled.keys() == root.keys()
    assert next(iter(tripled.values())) == pytest.approx(3.0)


def test_inverse_roots_multiply_to_an_inverse(algebra: Algebra) -> None:
    inner = plus(variance(algebra), number(1e-3))
    inverse_root = algebra.inverse(algebra.root(inner))
    assert algebra.product(inverse_root, inverse_root) == algebra.inverse(inner)
    assert algebra.root(algebra.inverse(inner)) == inverse_root


def test_a_root_squared_is_what_is_under_it(algebra: Algebra) -> None:
    inner = plus(algebra.mean(algebra.power(X, 2), ROW), number(0.5))
    assert algebra.power(algebra.root(inner), 2) == pytest.approx(inner)


def test_the_root_of_a_square_is_not_taken_apart(algebra: Algebra) -> None:
    [((index, power),)] = algebra.root(algebra.power(X, 2))  # |x|, not x
    assert isinstance(algebra.atoms[index], Root)
    assert power == 1


def test_epsilons_that_differ_make_different_roots(algebra: Algebra) -> None:
    roots = [algebra.root(plus(variance(algebra), number(e))) for e in (1e-5, 1.001e-5, 1e-5)]
    assert roots[0] == roots[2] != roots[1]


def test_terms_that_cancel_but_for_rounding_are_gone() -> None:
    nearly = scaled(X, -(1 - 6e-8))
    assert plus(X, nearly) == {}
    assert plus(X, scaled(X, -0.999)) != {}


def test_renaming_reaches_constants_under_roots(algebra: Algebra) -> None:
    free = constant(algebra, "g", ((7,),))
    inner = plus(algebra.mean(algebra.power(X, 2), ROW), free)
    renamed = algebra.rename(algebra.root(inner), {7: (0,)})
    [((index, _),)] = renamed
    assert algebra.varies[index] == {0}


def test_too_many_terms_are_given_up(algebra: Algebra) -> None:
    total: Poly = X
    for name in "abcdefgh":
        total = plus(total, constant(algebra, name, ((1,),)))
    with pytest.raises(IntractableError):
        algebra.power(total, 2)


def test_moments_know_along_what_they_vary(algebra: Algebra) -> None:
    [((index, _),)] = algebra.mean(X, ROW)
    assert algebra.atoms[index] == Moment(1, ROW)
    assert algebra.varies[index] == {0}
    assert math.isclose(algebra.mean(scaled(X, 2.5), ROW)[((index, 1),)], 2.5)
