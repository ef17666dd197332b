from __future__ import annotations

import numpy as np
import pytest

from normonnx.affine.map import AffineMap, through_reshape, varying_axis
from normonnx.values.shapes import Dim, Product, times

N = Product(1, ("n",))
S = Product(1, ("s",))
RNG = np.random.default_rng(0)


def along(axis: int | None, count: int) -> AffineMap:
    return AffineMap.along(axis, a=RNG.standard_normal(count), b=RNG.standard_normal(count))


def apply(m: AffineMap, x: np.ndarray) -> np.ndarray:
    shape = m.shape_for(x.ndim)
    return m.a.reshape(shape) * x + m.b.reshape(shape)


def test_composition_is_application_one_after_the_other() -> None:
    x = RNG.standard_normal((2, 3, 4))
    outer, inner = along(1, 3), along(1, 3)
    composed = outer.after(inner)
    assert composed is not None
    np.testing.assert_allclose(apply(composed, x), apply(outer, apply(inner, x)), rtol=1e-12)


def test_maps_along_different_axes_do_not_compose() -> None:
    assert along(1, 3).after(along(2, 3)) is None
    scalar = AffineMap.along(None, a=2.0)
    assert scalar.after(along(2, 4)) is not None
    assert along(1, 3).after(scalar) is not None


def test_a_uniform_map_has_no_axis() -> None:
    assert AffineMap.along(1, a=np.full(4, 2.0), b=np.zeros(4)).axis is None
    assert AffineMap.along(1, a=np.ones(4)).is_identity


def test_parts_of_a_map() -> None:
    m = along(1, 6)
    x = RNG.standard_normal((2, 6))
    np.testing.assert_allclose(apply(m.shift, apply(m.scale, x)), apply(m, x))
    np.testing.assert_allclose(apply(m.cut(2, 5), x[:, 2:5]), apply(m, x)[:, 2:5])
    order = np.array([5, 0, 3])
    np.testing.assert_allclose(apply(m.take(order), x[:, order]), apply(m, x)[:, order])


@pytest.mark.parametrize(
    ("source", "target", "axis", "moved"),
    [
        ((2, 3, 20), (2, 3, 4, 5), 1, 1),
        ((2, 3, 4, 5), (2, 3, 20), 1, 1),
        ((N, 3, 4, 5), (N, 3, 20), 1, 1),
        ((N, S, 8), (times((N, S)), 8), 1, 2),
        ((times((N, S)), 8), (N, S, 8), 2, 1),
        ((N, 8, 1, 1), (N, 8), 1, 1),
        ((N, 8), (N, 8, 1, 1), 1, 1),
        ((6, 4), (4, 6), 0, None),
        ((N, S), (S, N), 1, None),
        ((2, 3, 4), (6, 4), 0, None),
        ((2, 0, 4), (0, 8), 1, None),
    ],
)
def test_a_map_on_the_target_of_a_reshape_on_its_source(
    source: tuple[Dim, ...], target: tuple[Dim, ...], axis: int, moved: int | None
) -> None:
    extent = target[axis]
    m = along(axis, extent if isinstance(extent, int) else 7)
    found = through_reshape(m, source, target)
    if moved is None:
        assert found is None
        return
    assert found is not None
    assert found.axis == moved
    if all(isinstance(dim, int) for dim in (*source, *target)):
        x = RNG.standard_normal(source)
        np.testing.assert_array_equal(apply(m, x.reshape(target)), apply(found, x).reshape(target))


def test_a_map_that_repeats_goes_through_a_merge_and_a_split() -> None:
    m = along(3, 4)
    merged = through_reshape(m, (2, 5, 12), (2, 5, 3, 4))
    assert merged is not None
    assert merged.axis == 2
    np.testing.assert_array_equal(merged.a, np.tile(m.a, 3))
    split = through_reshape(merged, (2, 5, 3, 4), (2, 5, 12))
    assert split is not None
    assert split.axis == 3
    np.testing.assert_array_equal(split.a, m.a)


def test_the_axis_along_which_arrays_vary() -> None:
    a = np.arange(3.0)
    assert varying_axis(np.broadcast_to(a[:, None], (3, 4))) == 0
    assert varying_axis(np.broadcast_to(a, (4, 3))) == 1
    assert varying_axis(np.arange(12.0).reshape(3, 4)) is None
    assert varying_axis(np.ones((3, 4))) == 0
