"""Values lie in their domain, vary, and do not depend on what else is drawn."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.feeds.kinds import Domain, Kind
from normonnx.feeds.values import stream, values, variants
from normonnx.feeds.whole import Family

INT64, FLOAT = ir.DataType.INT64, ir.DataType.FLOAT


def draw(
    domain: Domain,
    shape: tuple[int, ...],
    dtype: ir.DataType = FLOAT,
    family: Family = Family.NORMAL,
    *,
    seed: int = 0,
    extent: int = 9,
) -> np.ndarray:
    return values(domain, shape, dtype, family, stream(seed, 0, "x"), extent=extent)


def test_same_seed_same_values_and_another_name_another_stream() -> None:
    first, again = (stream(3, 1, "x").standard_normal(5) for _ in range(2))
    assert first.tolist() == again.tolist()
    for other in (stream(3, 1, "z"), stream(3, 2, "x"), stream(4, 1, "x")):
        assert other.standard_normal(5).tolist() != first.tolist()


@pytest.mark.parametrize("family", Family)
def test_indices_stay_inside_and_meet_both_ends(family: Family) -> None:
    drawn = draw(Domain(Kind.INDEX, 3, 40), (4, 9), INT64, family)
    assert drawn.dtype == np.int64
    assert (drawn.min(), drawn.max()) == (3, 40)
    assert len(np.unique(drawn)) > 10


def test_masks_are_full_or_ragged_or_mixed() -> None:
    mask = Domain(Kind.MASK, 0, 1)
    assert draw(mask, (3, 8), INT64, Family.UNIFORM).all()
    ragged = draw(mask, (30, 8), INT64, Family.NORMAL)
    assert ragged[0].all()
    assert not ragged.all()
    # Ones first, then zeros, at least one of them.
    assert (np.diff(ragged, axis=1) <= 0).all()
    assert ragged[:, 0].all()
    mixed = draw(mask, (30, 8), INT64, Family.SCALED)
    assert (np.diff(mixed, axis=1) > 0).any()
    assert mixed[:, 0].all()


def test_positions_count_up_to_the_end_of_the_table() -> None:
    drawn = draw(Domain(Kind.POSITION, 0, 5), (2, 8), INT64)
    assert drawn.tolist() == [[0, 1, 2, 3, 4, 5, 5, 5]] * 2


def test_lengths_are_at_most_the_sequence_and_one_is_full() -> None:
    drawn = draw(Domain(Kind.LENGTH, 1, 1), (50,), INT64, extent=6)
    assert (drawn.min(), drawn.max()) == (1, 6)
    assert drawn[0] == 6


def test_families_differ_in_size() -> None:
    real = Domain(Kind.REAL)
    normal, uniform, wide, edge = (
        draw(real, (2000,), family=f)
        for f in (Family.NORMAL, Family.UNIFORM, Family.WIDE, Family.EDGE)
    )
    assert abs(normal.std() - 1) < 0.1
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1
    assert 1e3 < np.abs(wide).max() <= 1e4
    assert np.abs(wide).min() < 1e-3
    assert (edge == 0).mean() > 0.4
    assert np.signbit(edge[edge == 0]).any()
    tiny = np.abs(edge[edge != 0]).min()
    assert 0 < tiny < np.finfo(np.float32).tiny


def test_half_precision_stays_finite() -> None:
    drawn = draw(Domain(Kind.REAL), (5000,), ir.DataType.FLOAT16, Family.WIDE)
    assert drawn.dtype == np.float16
    assert np.isfinite(drawn).all()


def test_positive_and_unit_domains() -> None:
    assert draw(Domain(Kind.POSITIVE), (500,)).min() > 0
    unit = draw(Domain(Kind.UNIT), (500,))
    assert 0 <= unit.min() < unit.max() <= 1


def test_statistics_of_the_first_layer_shape_the_values() -> None:
    domain = Domain(Kind.REAL, centre=np.array([10.0, -10.0]), spread=np.array([0.1, 2.0]))
    drawn = draw(domain, (400, 2, 3))
    np.testing.assert_allclose(drawn.mean(axis=(0, 2)), [10, -10], atol=0.3)
    np.testing.assert_allclose(drawn.std(axis=(0, 2)), [0.1, 2], rtol=0.1)


def test_texts_choices_and_truth_values() -> None:
    texts = draw(Domain(Kind.STRING, choices=("a", "b")), (40,), ir.DataType.STRING)
    assert set(texts) == {"a", "b"}
    chosen = draw(Domain(Kind.CHOICE, choices=(8000, 16000)), (40,), INT64)
    assert set(chosen.tolist()) == {8000, 16000}
    flags = draw(Domain(Kind.BOOL), (40,), ir.DataType.BOOL)
    assert flags.dtype == bool
    assert 0 < flags.sum() < 40


def test_scalars_have_a_value_too() -> None:
    assert draw(Domain(Kind.POSITION, 0, 5), (), INT64).shape == ()
    assert draw(Domain(Kind.REAL), (), family=Family.SCALED).shape == ()
    assert draw(Domain(Kind.MASK, 0, 1), (), INT64).shape == ()


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize(
    ("least", "most"),
    [(-1e-7, np.inf), (-1, 1), (1e5, np.inf), (-np.inf, -3), (0, 1e-3), (7, 7.5), (-1e6, 1e6)],
)
def test_values_stay_inside_of_a_range(least: float, most: float, family: Family) -> None:
    drawn = draw(Domain(Kind.REAL, least=least, most=most), (500,), family=family)
    assert (drawn > least).all()
    assert (drawn < most).all()
    assert len(np.unique(drawn)) > (1 if family is Family.EDGE else 100)


def test_a_range_that_holds_natural_values_changes_none() -> None:
    within = draw(Domain(Kind.REAL, least=-1e6, most=1e6), (50,))
    np.testing.assert_array_equal(within, draw(Domain(Kind.REAL), (50,)))


def test_masks_of_truth_values_hide_something_and_not_all() -> None:
    for family in Family:
        mask = draw(Domain(Kind.BOOL), (20, 8), ir.DataType.BOOL, family)
        assert mask.any(axis=1).all()
        hidden = draw(Domain(Kind.BOOL, inverted=True), (20, 8), ir.DataType.BOOL, family)
        np.testing.assert_array_equal(hidden, ~mask)
    ragged = draw(Domain(Kind.BOOL), (20, 8), ir.DataType.BOOL)
    assert ragged[0].all()
    assert not ragged.all()


def test_single_elements_have_variants() -> None:
    rate = Domain(Kind.CHOICE, choices=(8000, 16000, 7999))
    assert variants(rate, ()) == variants(rate, (1, 1)) == 3
    assert variants(rate, (2,)) == variants(Domain(Kind.REAL), ()) == 1
    drawn = [
        values(rate, (), INT64, Family.NORMAL, stream(0, 0, "x"), extent=1, variant=v)
        for v in range(4)
    ]
    assert [int(d) for d in drawn] == [8000, 16000, 7999, 8000]
    flags = [
        values(
            Domain(Kind.BOOL), (), ir.DataType.BOOL, Family.NORMAL, stream(0, 0, "x"),
            extent=1, variant=v,
        )
        for v in range(variants(Domain(Kind.BOOL), ()))
    ]  # fmt: skip
    assert [bool(f) for f in flags] == [True, False]


def test_asked_tokens_are_drawn() -> None:
    drawn = draw(Domain(Kind.INDEX, 0, 999, choices=(500, 499)), (3, 9), INT64)
    assert {0, 999, 500, 499} <= set(drawn.reshape(-1).tolist())


def test_pictures_are_smooth_and_fill_their_type() -> None:
    domain = Domain(Kind.INTEGER, 0, 255)
    picture = draw(domain, (2, 64, 64, 3), ir.DataType.UINT8).astype(int)
    assert picture.min() < 40
    assert picture.max() > 215
    steps = np.abs(np.diff(picture, axis=1)).mean()
    assert steps < 0.5 * np.abs(picture - picture.mean()).mean()
    noise = draw(domain, (2, 64, 64, 3), ir.DataType.UINT8, Family.UNIFORM)
    assert (noise.min(), noise.max()) == (0, 255)
