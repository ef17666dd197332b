"""Discrete outputs: equal, or choices that the truth cannot tell apart."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.judge.tiers import discrete
from tests.judge.building import graph_model


def choice(text: str, output: int = 0) -> discrete.Choice | None:
    model = ir.from_proto(graph_model(text))
    return discrete.choice_behind(model.graph.outputs[output])


def test_choices_are_found_behind_operators_that_keep_the_order() -> None:
    found = choice(
        """(float[2,3,4] x) => (int32[2,4] y) {
            i = ArgMax<axis = 1, keepdims = 0>(x)
            y = Cast<to = 6>(i)
        }"""
    )
    assert found is not None
    assert (found.data.name, found.axis, found.keepdims) == ("x", 1, False)


def test_the_indices_of_topk_are_a_choice_and_its_values_are_not() -> None:
    text = "(float[2,5] x, int64[1] k) => (float[2,2] v, int64[2,2] i) { v, i = TopK(x, k) }"
    assert choice(text, 0) is None
    found = choice(text, 1)
    assert found is not None
    assert (found.axis, found.keepdims) == (-1, True)


def test_other_integers_are_no_choice() -> None:
    assert choice("(float[3] x) => (int64[3] y) { y = Cast<to = 7>(x) }") is None


def excused(o: list[int], y: list[int], truth: np.ndarray, error: float) -> bool:
    data = ir.Value(name="x")
    picked = discrete.Choice(data, 1, True)
    computed = truth + error
    return discrete.excused(picked, np.array([o]), np.array([y]), truth, computed)


def test_near_ties_are_excused_and_clear_winners_are_not() -> None:
    truth = np.array([[1.0, 1.0 + 1e-7, 0.2]])
    assert excused([0], [1], truth, 1e-6)
    assert not excused([0], [1], truth, 1e-9)
    assert not excused([1], [2], truth, 1e-6)


def test_several_choices_are_compared_one_by_one() -> None:
    truth = np.array([[3.0, 2.0, 2.0 + 1e-8, 1.0]])
    assert excused([0, 1], [0, 2], truth, 1e-6)
    assert not excused([0, 1], [0, 3], truth, 1e-6)


def test_an_impossible_choice_is_never_excused() -> None:
    assert not excused([0], [9], np.ones((1, 3)), 1.0)
    assert not excused([0], [-1], np.ones((1, 3)), 1.0)
