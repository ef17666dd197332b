"""Feeds are what the original accepts."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.feeds.source import FeedSource, NoFeedError, Run, shapes_of
from normonnx.feeds.whole import Family
from normonnx.judge import VerifyOptions, verify
from normonnx.runtime.sessions import SessionFailedError
from tests.judge.building import graph_model

TEXT = "(float[N, M] x, int64[N] lengths) => (float[N, M] y) { y = Neg(x) }"


def source(text: str = TEXT, seed: int = 0) -> FeedSource:
    return FeedSource(ir.from_proto(graph_model(text)), seed=seed)


def test_three_sizes_where_all_is_accepted() -> None:
    feeds = source()
    feeds.ask(lambda inputs: None, deadline=math.inf)
    assert [b["M"] for b in feeds.bindings] == [17, 8, 1]
    assert feeds.refused == 0


def test_the_original_is_asked_until_two_sizes_fit() -> None:
    tried: list[tuple[int, ...]] = []

    def run(inputs: Mapping[str, Any]) -> None:
        shape = inputs["x"].shape
        tried.append(shape)
        if shape[1] < 200 or shape[0] != 1:
            raise SessionFailedError("too short")

    feeds = source()
    feeds.ask(run, deadline=math.inf)
    assert len(feeds.bindings) == 2
    assert all(b["M"] >= 200 and b["N"] == 1 for b in feeds.bindings)
    assert feeds.refused == len(tried) - 2


def test_nothing_fits() -> None:
    def run(inputs: Mapping[str, Any]) -> None:
        raise SessionFailedError("never")

    with pytest.raises(NoFeedError, match="accepts no generated inputs: never"):
        source().ask(run, deadline=math.inf)


def test_asking_ends_with_the_time() -> None:
    with pytest.raises(NoFeedError, match="takes too long"):
        source().ask(lambda inputs: None, deadline=time.monotonic() - 1)


def test_a_binding_taken_out_is_replaced() -> None:
    feeds = source()
    feeds.ask(lambda inputs: None, deadline=math.inf)
    del feeds.bindings[1:]
    feeds.ask(lambda inputs: None, deadline=math.inf)
    assert len(feeds.bindings) == 2
    assert feeds.bindings[0] != feeds.bindings[1]


def test_draws_differ_and_repeat() -> None:
    feeds, again, other = source(), source(), source(seed=1)
    for each in (feeds, again, other):
        each.ask(lambda inputs: None, deadline=math.inf)
    first, second = feeds.decisive(0), feeds.decisive(3)
    assert first.binding == second.binding
    assert first.title == second.title == "normal"
    assert not np.array_equal(first.inputs["x"], second.inputs["x"])
    np.testing.assert_array_equal(first.inputs["x"], again.decisive(0).inputs["x"])
    assert not np.array_equal(first.inputs["x"], other.decisive(0).inputs["x"])


def test_another_input_changes_no_values() -> None:
    more = TEXT.replace("int64[N] lengths", "int64[N] lengths, float[3] z")
    values = []
    for text in (TEXT, more):
        feeds = source(text)
        feeds.ask(lambda inputs: None, deadline=math.inf)
        values.append(feeds.decisive(0).inputs["x"])
    np.testing.assert_array_equal(*values)


def test_lengths_go_with_the_sequence() -> None:
    feeds = source()
    feeds.ask(lambda inputs: None, deadline=math.inf)
    feed = feeds.decisive(0)
    assert feed.inputs["lengths"].max() == feed.inputs["x"].shape[1] == 17


def test_stress_feeds_do_not_decide_on_rounding() -> None:
    feeds = source()
    feeds.ask(lambda inputs: None, deadline=math.inf)
    stress = feeds.stress(50, Family.EDGE)
    assert not stress.decisive
    assert stress.title == "edge"
    assert (stress.inputs["x"] == 0).any()


def asked(text: str, run: Run | None = None) -> FeedSource:
    feeds = FeedSource(ir.from_proto(graph_model(text, opset=18)), seed=0)
    feeds.ask(run or (lambda inputs: None), deadline=math.inf)
    return feeds


def test_sequences_are_drawn_tensor_by_tensor() -> None:
    text = "(seq(float[N,2]) s) => (int64 y) { y = SequenceLength(s) }"
    (first, *others) = asked(text).decisive(0).inputs["s"]
    assert first.shape == (2, 2)
    assert len(others) == 2
    assert not np.array_equal(first, others[0])


def test_absent_and_single_elements_go_through_their_variants() -> None:
    text = """(optional(float[2]) s, int64 r, bool b) => (y, z, w) {
        y = OptionalHasElement(s) z = Equal(r, c) w = Not(b) c = Constant<value_int = 16000>()
    }"""
    inputs = [asked(text).decisive(draw).inputs for draw in range(2)]
    assert [i["s"] is None for i in inputs] == [False, True]
    assert [int(i["r"]) for i in inputs] == [16000, 15999]
    assert [bool(i["b"]) for i in inputs] == [True, False]


def test_a_real_number_that_is_compared_lies_on_both_sides() -> None:
    text = """(float r, float[4] x) => (z, y) {
        z = Greater(s, c) s = Add(r, r2) c = Constant<value_float = 100.0>()
        r2 = Constant<value_float = 30.0>() y = Greater(x, c)
    }"""
    feeds = asked(text)
    assert [float(feeds.decisive(draw).inputs["r"]) for draw in range(3)] == [120, 20, 120]
    assert abs(feeds.decisive(0).inputs["x"]).max() < 10


def test_variants_that_the_original_refuses_are_not_drawn() -> None:
    def run(inputs: Mapping[str, Any]) -> None:
        if inputs["r"] != 8000:
            raise SessionFailedError("no such rate")

    text = """(int64 r) => (z) { z = Less(r, c) c = Constant<value_int = 8001>() }"""
    feeds = asked(text, run)
    assert [int(feeds.decisive(draw).inputs["r"]) for draw in range(3)] == [8000] * 3


def test_what_is_no_tensor_cannot_be_drawn() -> None:
    text = "(seq(seq(float[N])) s) => (int64 y) { y = SequenceLength(s) }"
    with pytest.raises(NoFeedError, match="'s' is no tensor and no sequence"):
        asked(text)


def test_shapes_of_tensors_in_sequences_and_of_what_is_absent() -> None:
    ragged = [np.ones((1, 2)), np.ones((3, 2))]
    told = shapes_of({"s": ragged, "o": None, "x": np.float32(1)})
    assert told == {"s[0]": (1, 2), "s[1]": (3, 2), "x": ()}


def test_a_verdict_on_sequences_of_different_sizes() -> None:
    text = "(seq(float[n,2]) s) => (float[m,2] y) { y = ConcatFromSequence<axis = 0>(s) }"
    model = ir.from_proto(graph_model(text))
    ragged = [np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)]
    assert (
        verify(model, model, options=VerifyOptions(data=lambda: [{"s": ragged}])).status == "pass"
    )
