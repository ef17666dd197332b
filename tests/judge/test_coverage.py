"""What no drawn feed reaches: a feed is chosen that does, or the verdict names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import Judge, Verdict, VerifyOptions, verify
from tests.judge.building import Array, graph_model, replace_weight, run_ort
from tests.judge.test_alignment import branching, noisy

RANDOM = np.random.default_rng(7)


def judge(one: onnx.ModelProto, other: onnx.ModelProto, **options: Any) -> Verdict:
    return verify(ir.from_proto(one), ir.from_proto(other), options=VerifyOptions(**options))


def normal(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def given(**arrays: Any) -> Callable[[], list[dict[str, Any]]]:
    """One feed of the user."""
    return lambda: [{name: np.asarray(a) for name, a in arrays.items()}]


LOOKUP = """(int64[B, S] ids) => (float[B, S, 8] y) {
    e = Gather(table, ids)
    y = MatMul(e, w)
}"""


def lookup(rows: int = 5000, text: str = LOOKUP, **more: Array) -> onnx.ModelProto:
    return graph_model(text, table=normal(rows, 16), w=normal(16, 8), **more)


def with_row(model: onnx.ModelProto, row: int, name: str = "table") -> onnx.ModelProto:
    """The model with one row of a table scaled."""
    [stored] = [t for t in model.graph.initializer if t.name == name]
    changed = onnx.numpy_helper.to_array(stored).copy()
    changed[row] = changed[row] * 3 + 1
    return replace_weight(model, name, changed)


def test_one_row_of_a_table_is_reached() -> None:
    model = lookup()
    verdict = judge(model, with_row(model, 4321))
    assert verdict.status == "fail"
    assert verdict.feeds[-1].title == "reaches 'table'"
    assert verdict.feeds[-1].decisive
    assert not verdict.unseen


def test_one_judge_reaches_what_differs_in_each_model() -> None:
    model = lookup()
    judging = Judge(ir.from_proto(model))
    for row in (4321, 1234):
        verdict = judging.judge(ir.from_proto(with_row(model, row)))
        assert verdict.status == "fail", row


@pytest.mark.parametrize(
    ("indices", "row"),
    [
        ("i = Add(ids, three)", 4321),  # ids are drawn below 4997
        ("i = Cast <to: int = 6> (ids)", 17),
        ("i = Clip(ids, zero, last)", 4000),
    ],
)
def test_a_row_is_reached_behind_what_moves_its_index(indices: str, row: int) -> None:
    text = f"""(int64[B, S] ids) => (float[B, S, 8] y) {{
        {indices}
        e = Gather(table, i)
        y = MatMul(e, w)
    }}"""
    numbers = {"three": np.int64(3), "zero": np.int64(0), "last": np.int64(4500)}
    model = lookup(text=text, **{k: v for k, v in numbers.items() if k in indices})
    assert judge(model, with_row(model, row)).status == "fail"


def test_a_row_that_no_index_reaches_does_not_matter() -> None:
    text = """(int64[B, S] ids) => (float[B, S, 8] y) {
        i = Clip(ids, zero, last)
        e = Gather(table, i)
        y = MatMul(e, w)
    }"""
    model = lookup(text=text, zero=np.int64(0), last=np.int64(4000))
    other = with_row(model, 4500)
    ids = np.arange(5000, dtype=np.int64)[None]
    assert np.array_equal(run_ort(model, {"ids": ids})[0], run_ort(other, {"ids": ids})[0])
    verdict = judge(model, other)
    assert verdict.status == "pass"
    assert not verdict.unseen


def test_a_row_that_the_data_do_not_reach_is_named() -> None:
    model = lookup()
    verdict = judge(model, with_row(model, 4321), data=given(ids=[[1, 2, 3]]))
    assert verdict.status == "inconclusive"
    [sentence] = verdict.unseen
    assert "row 4321 of 'table'" in sentence
    assert sentence in verdict.line()
    assert "give --data that does" in verdict.line()
    assert verdict.to_dict()["unseen"] == [sentence]
    reached = judge(model, with_row(model, 4321), data=given(ids=[[1, 4321, 3]]))
    assert reached.status == "fail"


@pytest.mark.parametrize(
    ("picked", "ids"),
    [
        ("e = GatherND(table, ids)", "int64[B, S, 1] ids"),
        ("h = OneHot(ids, depth, values) e = MatMul(h, table)", "int64[B, S] ids"),
        ("i = Mul(ids, two) e = Gather(table, i)", "int64[B, S] ids"),  # found by chance
    ],
)
def test_other_ways_to_look_up_a_row(picked: str, ids: str) -> None:
    text = f"({ids}) => (float[B, S, 8] y) {{ {picked} y = MatMul(e, w) }}"
    numbers = {"depth": np.int64(60), "values": np.array([0, 1], np.float32), "two": np.int64(2)}
    model = lookup(60, text, **{k: v for k, v in numbers.items() if k in picked})
    row = 4 if "two" in picked else 47
    assert judge(model, with_row(model, row)).status == "fail"


def test_a_row_is_reached_in_front_of_what_has_no_reference() -> None:
    text = """(int64[5] ids) => (float[5, 3] y) {
        e = Gather(table, ids)
        y = com.microsoft.CDist <metric: string = "sqeuclidean"> (e, w)
    }"""
    model = graph_model(text, table=normal(900, 8), w=normal(3, 8))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert judge(model, with_row(model, 789), rtol=1e-4, atol=1e-4).status == "fail"


def test_many_rows_are_reached_by_several_feeds() -> None:
    model = lookup(rows=900)
    table = onnx.numpy_helper.to_array(model.graph.initializer[0])
    near = replace_weight(model, "table", table * np.float32(1.0001))
    verdict = judge(model, near, rtol=1e-2, atol=1e-2)
    assert verdict.passed, verdict.line()
    assert any(feed.title == "reaches 'table'" for feed in verdict.feeds)


def test_whole_numbers_in_a_table_are_reached() -> None:
    text = """(int64[B, S] ids) => (int64[B, S] y) { y = Gather(table, ids) }"""
    model = graph_model(text, table=np.arange(3000))
    changed = np.arange(3000)
    changed[2999 - 7] += 1
    assert judge(model, replace_weight(model, "table", changed)).status == "fail"


def test_equal_weights_under_other_names_are_no_difference() -> None:
    model = lookup(rows=40)
    renamed = onnx.ModelProto()
    renamed.CopyFrom(model)
    renamed.graph.initializer[0].name = "embedding"
    renamed.graph.node[0].input[0] = "embedding"
    assert judge(model, renamed).line() == "parity PASS  equal by structure: nothing to run"


POSITIONS = """(int64[B, S] ids) => (float[B, S, 8] y) {
    e = Gather(table, ids)
    size = Shape(ids)
    length = Gather(size, one)
    row = Slice(positions, zero, length)
    p = Add(e, row)
    y = MatMul(p, w)
}"""


def positions() -> onnx.ModelProto:
    places = {"one": np.array([1]), "zero": np.array([0])}
    return lookup(rows=30, text=POSITIONS, positions=normal(64, 16), **places)


def test_late_rows_of_a_table_of_positions_are_reached() -> None:
    model = positions()
    verdict = judge(model, with_row(model, 61, "positions"))
    assert verdict.status == "fail"
    assert verdict.feeds[-1].binding["S"] >= 62


def test_rows_behind_a_fixed_slice_are_nobodys() -> None:
    text = """(float[N, 4] x) => (float[N, 4] y) {
        t = Slice(table, zero, two)
        s = ReduceSum <keepdims: int = 0> (t, zero)
        y = Add(x, s)
    }"""
    places = {"zero": np.array([0]), "two": np.array([2])}
    model = graph_model(text, table=normal(9, 4), **places)
    verdict = judge(model, with_row(model, 7))
    assert verdict.passed, verdict.line()


@pytest.mark.parametrize("flag", [True, False])
def test_both_branches_are_taken(flag: bool) -> None:
    model, other = branching(2.0), branching(2.0 * 1.3)
    x = np.ones(3, np.float32)
    same = np.array_equal(
        *(run_ort(m, {"x": x, "flag": np.array(flag)})[0] for m in (model, other))
    )
    assert same is not flag
    assert judge(model, other).status == "fail"


def test_a_branch_that_no_data_take_is_named() -> None:
    data = given(x=np.ones(3, np.float32), flag=False)
    verdict = judge(branching(2.0), branching(2.6), data=data)
    assert verdict.status == "inconclusive"
    assert "the then branch of If 'choice'" in verdict.line()


GUARDED = """(float[N, 4] x) => (float[N, 4] y) {{
    far = {condition}
    a = Mul(x, factor)
    b = MatMul(x, w)
    y = Where(far, a, b)
}}"""


@pytest.mark.parametrize(
    ("condition", "bound"),
    [("Greater(x, bound)", 40.0), ("Less(x, bound)", -75.0), ("Greater(x, bound)", 1e9)],
)
def test_a_rare_side_of_a_condition_is_taken(condition: str, bound: float) -> None:
    text = GUARDED.format(condition=condition)
    weights = {"w": normal(4, 4), "factor": np.float32(2), "bound": np.float32(bound)}
    model = graph_model(text, **weights)
    verdict = judge(model, replace_weight(model, "factor", np.float32(2.6)))
    assert verdict.status == "fail", verdict.line()


def test_a_side_that_is_never_taken_is_named() -> None:
    text = """(float[N, 4] x) => (float[N, 4] y) {
        square = Mul(x, x)
        never = Less(square, zero)
        a = Mul(x, factor)
        b = MatMul(x, w)
        y = Where(never, a, b)
    }"""
    weights = {"w": normal(4, 4), "factor": np.float32(2), "zero": np.float32(0)}
    model = graph_model(text, **weights)
    verdict = judge(model, replace_weight(model, "factor", np.float32(2.6)))
    assert verdict.status == "inconclusive"
    assert "input 1 of Where 'Where_4'" in verdict.line()


def test_one_weight_behind_columns_that_are_never_chosen_is_named() -> None:
    text = """(float[N, 4] x) => (float[N, 4] y) {
        some = Less(x, bounds)
        a = MatMul(x, v)
        b = MatMul(x, w)
        y = Where(some, a, b)
    }"""
    bounds = np.array([0, 0, 0, -np.inf], np.float32)  # the last column never
    model = graph_model(text, v=normal(4, 4), w=normal(4, 4), bounds=bounds)
    changed = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    changed[2, 3] *= 1.5
    verdict = judge(model, replace_weight(model, "v", changed))
    assert verdict.status == "inconclusive"
    assert "'v'" in verdict.line()
    changed[2, 1] *= 1.5
    assert judge(model, replace_weight(model, "v", changed)).status == "fail"


def test_a_bound_that_is_seldom_touched_is_reached() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) { y = Clip(x, low, high) }"
    model = graph_model(text, low=np.float32(-1), high=np.float32(30))
    assert judge(model, replace_weight(model, "high", np.float32(31))).status == "fail"


def test_an_output_that_is_not_compared_is_no_pass() -> None:
    verdict = judge(noisy("draw"), noisy("draw", mean=100.0))
    assert verdict.status == "fail"
    assert "has no such random operator" in verdict.first_failure


def test_proved_rewrites_need_no_feed() -> None:
    model = lookup()
    other = ir.from_proto(with_row(model, 4321))
    verdict = verify(ir.from_proto(model), other, certified=1)
    assert verdict.passed
    assert not verdict.unseen


def test_constants_that_the_original_computes_are_no_difference() -> None:
    """As a tool writes that works out what depends on constants alone."""
    text = """(float[N, 4] x) => (float[N, 4] y) {
        late = Greater(x, far)
        root = Sqrt(width)
        fill = Div(one, root)
        y = Where(late, fill, x)
    }"""
    folded = """(float[N, 4] x) => (float[N, 4] y) {
        late = Greater(x, far)
        y = Where(late, stored, x)
    }"""
    width, one, far = np.float32(48), np.float32(1), np.float32(1e30)
    stored = np.nextafter(one / np.sqrt(width), one)
    verdict = judge(
        graph_model(text, width=width, one=one, far=far),
        graph_model(folded, stored=stored, far=far),
    )
    assert verdict.passed, verdict.line()
    wrong = graph_model(folded, stored=stored * np.float32(1.01), far=far)
    verdict = judge(graph_model(text, width=width, one=one, far=far), wrong)
    assert not verdict.passed


def test_what_puts_sizes_together_is_seen_at_several_sizes() -> None:
    """The way in which exporters write an Expand to sizes of which some are −1."""
    text = """(float[N, S] x) => (float[N, S] y) {{
        size = Shape(x)
        minus = Mul(ones, negative)
        same = Equal({wanted}, minus)
        sizes = Where(same, ones, {wanted})
        e = Expand(row, sizes)
        y = Add(x, e)
    }}"""
    weights = {"negative": np.int64(-1), "row": normal(1)}
    computed = graph_model(
        text.format(wanted="size").replace(
            "size = Shape",
            "two = Shape(pair) "
            "ones = ConstantOfShape <value: tensor = int64[1] {1}> (two) size = Shape",
        ),
        pair=np.array([1, 2]),
        **weights,
    )
    stored = graph_model(text.format(wanted="size"), ones=np.array([1, 1]), **weights)
    verdict = judge(computed, stored)
    assert verdict.passed, verdict.line()
    assert not any(feed.title.startswith("reaches") for feed in verdict.feeds)


MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.parametrize("name", ["transformer_prenorm", "conv1d_batchnorm", "gru_layernorm"])
def test_ordinary_rewrites_leave_nothing_unseen(name: str, tmp_path: Path) -> None:
    import normonnx

    path = MODELS / f"{name}.onnx"
    result = normonnx.optimize(path, verify=False)
    result.save(tmp_path / "m.onnx", unverified=True)
    verdict = normonnx.verify(path, tmp_path / "m.onnx")
    assert verdict.passed, verdict.line()
    assert not verdict.unseen
    assert all(
        f.title in ("normal", "uniform", "scaled normal", "edge", "wide") for f in verdict.feeds
    )


SCALED = """(int64[1, 3] ids) => (float[1, 3, 8] y) {
    e = Gather(table, ids)
    s = Mul(e, factor)
    y = MatMul(s, w)
}"""
FOLDED = """(int64[1, 3] ids) => (float[1, 3, 8] y) {
    s = Gather(scaled, ids)
    y = MatMul(s, w)
}"""


def test_a_factor_in_a_table_is_seen_without_looking_up_its_rows() -> None:
    table, w, factor = normal(2000, 16), normal(16, 8), np.float32(7.3)
    model = graph_model(SCALED, table=table, w=w, factor=factor)
    scaled = table * factor
    verdict = judge(model, graph_model(FOLDED, scaled=scaled, w=w))
    assert verdict.passed, verdict.line()
    assert not any(feed.title.startswith("reaches") for feed in verdict.feeds)
    # A row that is wrong among them is looked up.
    scaled[1234] *= 1.5
    verdict = judge(model, graph_model(FOLDED, scaled=scaled, w=w))
    assert verdict.status == "fail"
    assert verdict.feeds[-1].title == "reaches 'scaled'"


def test_what_depends_on_the_length_is_seen_at_a_greater_one() -> None:
    text = """(float[N, S] x) => (float[N, S] y) {
        size = Shape(x)
        length = Gather(size, one)
        places = Range(zero, length, step)
        late = Greater(places, last)
        far = Mul(x, factor)
        y = Where(late, far, x)
    }"""
    weights = {"one": np.int64(1), "zero": np.int64(0), "step": np.int64(1), "last": np.int64(20)}
    model = graph_model(text, **weights, factor=np.float32(2))
    verdict = judge(model, replace_weight(model, "factor", np.float32(2.2)))
    assert verdict.status == "fail", verdict.line()


def microsoft(text: str, **weights: Array) -> onnx.ModelProto:
    model = graph_model(text, **weights)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model


EMBEDDED = """(int32[B, S] ids, int32[B, S] kinds) => (float[B, S, 16] y, int32[B] m) {
    y, m = com.microsoft.EmbedLayerNormalization (ids, kinds, words, places, sorts, scale, shift)
}"""


@pytest.mark.parametrize(("name", "row"), [("words", 876), ("places", 100), ("sorts", 5)])
def test_rows_of_an_operator_that_looks_up_and_computes(name: str, row: int) -> None:
    weights = {"words": normal(900, 16), "places": normal(128, 16), "sorts": normal(7, 16)}
    model = microsoft(EMBEDDED, **weights, scale=normal(16), shift=normal(16))
    other = with_row(model, row, name)
    assert judge(model, other).status == "fail"
    data = given(ids=np.zeros((1, 3), np.int32), kinds=np.zeros((1, 3), np.int32))
    verdict = judge(model, other, data=data)
    assert verdict.status == "inconclusive"
    assert f"row {row} of '{name}'" in verdict.line()


@pytest.mark.parametrize("row", [90, 127])
def test_rows_of_the_tables_of_a_rotation(row: int) -> None:
    text = """(float[B, 2, S, 16] x, int64[B, S] at) => (float[B, 2, S, 16] y) {
        y = com.microsoft.RotaryEmbedding (x, at, cosine, sine)
    }"""
    model = microsoft(text, cosine=normal(128, 8), sine=normal(128, 8))
    assert judge(model, with_row(model, row, "cosine")).status == "fail"


CUT_OFF = """(float[B, S, 4] x) => (float[B, S, 4] y) {
    a = Relu(x)
    y = Slice(a, first, last, axis)
}"""
BY_SIZE = """(float[B, S, 4] x) => (float[B, S, 4] y) {
    size = Shape(x)
    length = Gather(size, one)
    is_long = Greater(length, bound)
    y = If (is_long) <
        then_branch = a () => (float[B, S, 4] p) { p = Neg(x) },
        else_branch = b () => (float[B, S, 4] q) { q = Abs(x) }
    >
}"""


@pytest.mark.parametrize("last", [32, 100, 1000])
def test_what_is_cut_off_at_a_larger_size_is_seen(last: int) -> None:
    model = graph_model("(float[B, S, 4] x) => (float[B, S, 4] y) { y = Relu(x) }")
    ends = {"first": np.array([0]), "last": np.array([last]), "axis": np.array([1])}
    other = graph_model(CUT_OFF, **ends)
    assert judge(model, other).status == "fail"
    data = [{"x": normal(1, n, 4)} for n in (3, 5)]
    verdict = judge(model, other, data=lambda: data)
    assert verdict.status == "inconclusive"
    assert f"no feed has a size above the {last} that Slice 'Slice_1' reads" in verdict.line()


@pytest.mark.parametrize("bound", [101, 200, 90])
def test_a_bound_of_a_length_is_met(bound: int) -> None:
    model = graph_model(BY_SIZE, one=np.int64(1), bound=np.int64(100))
    assert judge(model, replace_weight(model, "bound", np.array(bound))).status == "fail"


def test_what_is_cut_off_an_axis_of_one_size_is_no_question() -> None:
    text = "(float[B, S, 8] x) => (float[B, S, 4] y) {{ {} }}"
    split = graph_model(text.format("y, z = Split<axis = 2>(x)"))
    ends = {"first": np.array([0]), "last": np.array([4]), "axis": np.array([2])}
    cut = graph_model(text.format("y = Slice(x, first, last, axis)"), **ends)
    assert judge(split, cut).passed
