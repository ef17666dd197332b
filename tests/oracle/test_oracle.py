"""The oracle walks any model in float64: control flow, functions, types, memory, time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normonnx.oracle import execution
from normonnx.oracle.execution import (
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
)
from normonnx.oracle.oracle import Oracle
from tests.judge.building import graph_model, node_model, run_ort


def evaluate(model: onnx.ModelProto, feeds: dict[str, Any], **options: Any) -> dict[str, Any]:
    return Oracle(ir.from_proto(model), **options).run(feeds).outputs


def test_float_weights_and_inputs_become_float64() -> None:
    weight = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    model = graph_model("(float[2] x) => (float[2] y) { y = MatMul(x, w) }", w=weight)
    x = np.array([0.1, 0.7], np.float32)
    (y,) = evaluate(model, {"x": x}).values()
    assert y.dtype == np.float64
    assert y.tolist() == (x.astype(np.float64) @ weight.astype(np.float64)).tolist()


def test_half_precision_keeps_its_stored_weights() -> None:
    model = graph_model(
        "(float16[1] x) => (float16[1] y) { y = Mul(x, w) }", w=np.array([0.1], np.float16)
    )
    (y,) = evaluate(model, {"x": np.array([3], np.float16)}).values()
    assert y.tolist() == [3 * float(np.float16(0.1))]


def test_casts_between_floats_do_not_round() -> None:
    text = """(float[2] x) => (float[2] y) {
        h = Cast<to = 10>(x)
        e = CastLike(x, h)
        s = Add(h, e)
        y = Cast<to = 1>(s)
    }"""
    x = np.array([0.1, 1 / 3], np.float32)
    (y,) = evaluate(graph_model(text), {"x": x}).values()
    assert y.tolist() == (2 * x.astype(np.float64)).tolist()


ROUND_TRIP = "h = Cast<to = 10>(v) r = Cast<to = 1>(h)"
TWICE = f'<domain: "local", opset_import: ["" : 17]> trip (v) => (r) {{ {ROUND_TRIP} }}'


@pytest.mark.parametrize(
    "body",
    [
        f"{ROUND_TRIP.replace('(v)', '(w)')} y = Mul(x, r)",
        "r = local.trip(w) y = Mul(x, r)",
        "e = Neg(w) n = local.trip(e) r = Neg(n) y = Mul(x, r)",
        f"""y = If(yes) <then_branch = t () => (float[2] p) {{
                {ROUND_TRIP.replace("(v)", "(w)")} p = Mul(x, r) }},
            else_branch = f () => (float[2] q) {{ q = Neg(x) }}>""",
        f"""y = Loop(two, yes, x) <body = b (int64 i, bool c, float[2] s)
            => (bool d, float[2] t) {{
                d = Identity(c) {ROUND_TRIP.replace("(v)", "(w)")} t = Mul(s, r) }}>""",
    ],
)
def test_casts_of_constants_round(body: str) -> None:
    w = np.array([1.0002, 1 / 3], np.float32)
    model = graph_model(
        f"(float[2] x) => (float[2] y) {{ {body} }}",
        functions=TWICE, w=w, yes=np.array(True), two=np.int64(2),
    )  # fmt: skip
    x = np.array([0.1, 3], np.float32)
    (y,) = evaluate(model, {"x": x}).values()
    rounded = w.astype(np.float16).astype(np.float64)
    times = 2 if "Loop" in body else 1
    assert y.tolist() == (x.astype(np.float64) * rounded**times).tolist()
    [seen] = run_ort(model, {"x": x})
    np.testing.assert_allclose(y, seen, rtol=1e-6)


def test_casts_of_what_a_caller_gives_do_not() -> None:
    model = graph_model(
        "(float[2] x) => (float[2] y) { r = local.trip(w) a = local.trip(x) y = Mul(a, r) }",
        functions=TWICE, w=np.zeros(2, np.float32),
    )  # fmt: skip
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    x, w = np.array([[0.1, 3], [1.0002, 1 / 3]], np.float32)
    (y,) = evaluate(model, {"x": x, "w": w}).values()
    assert y.tolist() == (x.astype(np.float64) * w.astype(np.float64)).tolist()


def test_exact_weights_of_a_cast_to_a_type_that_holds_them() -> None:
    model = graph_model(
        "(float[1] x) => (float[1] y) { c = Cast<to = 1>(w) y = Mul(x, c) }",
        w=np.array([1 / 3], np.float32),
    )
    (y,) = evaluate(model, {"x": np.ones(1, np.float32)}, exact={"w": np.array([1 / 3])}).values()
    assert y.tolist() == [1 / 3]


def test_integers_stay_integers() -> None:
    text = """(float[3] x) => (int64[3] y, bool[3] z) {
        i = Cast<to = 7>(x)
        two = Constant<value_int = 2>()
        y = Mul(i, two)
        z = Greater(i, two)
    }"""
    y, z = evaluate(graph_model(text), {"x": np.array([1.9, -2.5, 3], np.float32)}).values()
    assert (y.dtype, y.tolist()) == (np.int64, [2, -4, 6])
    assert z.tolist() == [False, False, True]


def test_exact_weights_replace_the_stored_ones() -> None:
    model = graph_model(
        "(float[1] x) => (float[1] y) { y = Mul(x, w) }", w=np.array([0.1], np.float32)
    )
    exact = {"w": np.array([0.1])}
    (y,) = evaluate(model, {"x": np.ones(1, np.float32)}, exact=exact).values()
    assert y.tolist() == [0.1]


def test_attribute_floats_are_the_stored_float32() -> None:
    node = ir.node("LeakyRelu", [ir.val("x", ir.DataType.FLOAT, [1])], {"alpha": 0.1})
    graph = ir.Graph(node.inputs, node.outputs, nodes=[node], opset_imports={"": 17})
    node.outputs[0].name = "y"
    (y,) = Oracle(ir.Model(graph, ir_version=8)).run({"x": np.array([-1.0])}).outputs.values()
    assert y.tolist() == [-float(np.float32(0.1))]


def test_loop_carries_and_collects() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "step"], ["next"]),
            helper.make_node("Less", ["next", "limit"], ["again"]),
            helper.make_node("Mul", ["next", "next"], ["square"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("square", TensorProto.FLOAT, []),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["trips", "", "x"], ["last", "squares"], body=body)],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("step", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("limit", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("trips", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("last", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("squares", TensorProto.FLOAT, ["n"]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    feeds = {"x": 1.0, "step": 0.5, "limit": 2.4}
    for trips in (10, 2, 0):
        given: dict[str, Any] = {k: np.array(v, np.float32) for k, v in feeds.items()}
        given["trips"] = np.array(trips)
        for got, wanted in zip(evaluate(model, given).values(), run_ort(model, given), strict=True):
            assert got.shape == wanted.shape
            assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize("direction", [0, 1])
def test_scan_runs_both_ways(direction: int) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "row"], ["next"]),
            helper.make_node("Identity", ["next"], ["out"]),
        ],
        "body",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("state", "row")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("next", "out")],
    )
    node = helper.make_node(
        "Scan",
        ["x", "rows"],
        ["last", "sums"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[direction],
        scan_output_axes=[1],
    )
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("last", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("sums", TensorProto.FLOAT, [2, 3]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    feeds = {"x": np.ones(2, np.float32), "rows": np.arange(6, dtype=np.float32).reshape(2, 3)}
    for got, wanted in zip(evaluate(model, feeds).values(), run_ort(model, feeds), strict=True):
        assert got.tolist() == wanted.tolist()


def test_branches_see_the_values_around_them() -> None:
    text = """(float[2] x, bool c) => (float[2] y) {
        s = Add(x, x)
        y = If(c) <
            then_branch = a () => (float[2] t) { t = Mul(s, x) },
            else_branch = b () => (float[2] e) { e = Neg(s) }
        >
    }"""
    model = graph_model(text)
    x = np.array([2, 3], np.float32)
    for condition, wanted in ((True, [8, 18]), (False, [-4, -6])):
        (y,) = evaluate(model, {"x": x, "c": np.array(condition)}).values()
        assert y.tolist() == wanted


def test_functions_get_their_attributes() -> None:
    functions = """
    <domain: "local", opset_import: ["" : 17]>
    Leak <slope> (a) => (b) { b = LeakyRelu<alpha: float = @slope>(a) }
    """
    text = """(float[1] x) => (float[1] y, float[1] z) {
        y = local.Leak<slope = 0.5>(x)
        z = local.Leak<slope = 0.25>(x)
    }"""
    x = np.array([-4], np.float32)
    y, z = evaluate(graph_model(text, functions=functions), {"x": x}).values()
    assert (y.tolist(), z.tolist()) == ([-2.0], [-1.0])


def test_operators_defined_by_a_function_body_are_walked() -> None:
    x = np.linspace(-2, 2, 7)
    for op_type, opset, attributes in (
        ("MeanVarianceNormalization", 17, {"axes": [0]}),
        ("HardSwish", 17, {}),
        ("Mish", 18, {}),
    ):
        evaluation = Oracle(ir.from_proto(node_model(op_type, [x], opset=opset, **attributes)))
        (y,) = evaluation.run({"x0": x}).outputs.values()
        assert y.dtype == np.float64
        assert y.shape == x.shape
    np.testing.assert_allclose(y, x * np.tanh(np.log1p(np.exp(x))), rtol=1e-14)


def test_default_attributes_are_those_of_the_operator_set() -> None:
    # Softmax's axis is 1 by default before operator set 13, and −1 from there on.
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    old, new = (
        evaluate(node_model("Softmax", [x], opset=opset), {"x0": x})["y0"] for opset in (11, 13)
    )
    np.testing.assert_allclose(old.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(new.sum(axis=2), 1)


@pytest.mark.parametrize("opset", [10, 15, 16])
def test_an_attribute_that_came_later_is_what_was_done_before_it(opset: int) -> None:
    rois = np.array([[0, 0, 5, 5], [1, 1, 7, 6]], np.float32)
    model = graph_model(
        "(float[1,2,8,8] x) => (float[2,2,3,3] y) "
        "{ y = RoiAlign <output_height=3, output_width=3, sampling_ratio=2> (x, r, n) }",
        opset=opset,
        r=rois,
        n=np.zeros(2, np.int64),
    )
    x = np.random.default_rng(0).standard_normal((1, 2, 8, 8), dtype=np.float32)
    (y,) = evaluate(model, {"x": x}).values()
    np.testing.assert_allclose(y, run_ort(model, {"x": x})[0], rtol=1e-4, atol=1e-5)


def test_sizes_are_computed_in_the_types_of_the_model() -> None:
    # float32: 30·(1/3) rounds to 10, and Ceil gives 10; in float64 the stored ⅓ would give 11.
    text = """(float[n] x) => (int64[1] y) {
        s = Shape(x)
        f = Cast<to = 1>(s)
        g = Mul(f, third)
        h = Ceil(g)
        y = Cast<to = 7>(h)
    }"""
    model = graph_model(text, third=np.array(1 / 3, np.float32))
    x = np.zeros(30, np.float32)
    assert run_ort(model, {"x": x})[0].tolist() == [10]
    (y,) = evaluate(model, {"x": x}).values()
    assert y.tolist() == [10]


def test_values_are_dropped_after_their_last_use() -> None:
    text = "(float[4] x) => (float[4] y) { a = Neg(x) b = Abs(a) c = Exp(b) y = Add(c, c) }"
    model = ir.from_proto(graph_model(text))
    oracle = Oracle(model)
    drops = [[str(v.name) for v in step.drops] for step in oracle._plan.steps]
    assert drops == [["x"], ["a"], ["b"], ["c"]]
    wanted = next(v for node in model.graph for v in node.outputs if v.name == "b")
    evaluation = oracle.run({"x": np.array([1, -2, 3, -4], np.float32)}, also=[wanted])
    assert evaluation.extras["b"].tolist() == [1, 2, 3, 4]


def test_what_cannot_be_computed_is_named() -> None:
    x = np.ones(2, np.float32)
    oracle = Oracle(ir.from_proto(node_model("Mystery", [x], domain="org.example")))
    assert oracle.missing == ("org.example.Mystery",)
    with pytest.raises(LacksOperatorError, match="Mystery"):
        oracle.run({"x0": x})


def test_an_operator_that_is_too_old_to_be_computed_is_named() -> None:
    """onnx's reference knows Dropout from opset 7 on."""
    text = "(float[2] x) => (float[2] y) { y = Dropout <is_test=1> (x) }"
    model = graph_model(text)
    model.opset_import[0].version = 6
    oracle = Oracle(ir.from_proto(model))
    assert oracle.missing == ("Dropout",)


def test_a_failing_operator_is_named() -> None:
    text = "(float[2] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }"
    oracle = Oracle(ir.from_proto(graph_model(text)))
    with pytest.raises(OracleFailedError, match="Gather 'Gather_0'"):
        oracle.run({"x": np.ones(2, np.float32), "i": np.array([7])})


def test_what_fails_beside_an_operator_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise MemoryError("no room")

    monkeypatch.setattr(execution, "multiplications", full)
    oracle = Oracle(ir.from_proto(graph_model("(float[n] x) => (float[n] y) { y = Neg(x) }")))
    with pytest.raises(OracleFailedError, match="no room"):
        oracle.run({"x": np.ones(2, np.float32)})


def test_a_deadline_is_kept() -> None:
    text = "(float[2] x) => (float[2] y) { y = Neg(x) }"
    oracle = Oracle(ir.from_proto(graph_model(text)))
    with pytest.raises(OverBudgetError):
        oracle.run({"x": np.ones(2, np.float32)}, deadline=time.monotonic() - 1)


def test_an_operator_in_lower_precision_is_told() -> None:
    theta = np.eye(2, 3, dtype=np.float32)[None]
    inputs = [theta, np.array([1, 1, 2, 2])]
    model = ir.from_proto(node_model("AffineGrid", inputs, opset=20))
    evaluation = Oracle(model).run({"x0": theta, "x1": inputs[1]})
    assert evaluation.narrow == ("AffineGrid",)


def test_work_is_counted_in_multiplications() -> None:
    weight = np.ones((8, 4, 3, 3), np.float32)
    x = np.ones((2, 4, 10, 10), np.float32)
    evaluation = Oracle(ir.from_proto(node_model("Conv", [x, weight]))).run({"x0": x, "x1": weight})
    assert evaluation.multiplications == 2 * 8 * 8 * 8 * 4 * 9


def test_a_loop_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normonnx.oracle.control_flow._MOST_TRIPS", 1000)
    text = """(float[4] x) => (float[4] y) {
        yes = Constant <value = bool {1}> ()
        y = Loop (, yes, x) <body = b (int64 i, bool on, float[4] s) => (bool still, float[4] t) {
            a = ReduceMax <keepdims = 0> (s)
            still = Less(a, most)
            t = Mul(s, k)
        }>
    }"""
    numbers = {"most": np.float32(8), "k": np.float32(2)}
    oracle = Oracle(ir.from_proto(graph_model(text, **numbers)))
    x = np.ones(4, np.float32)
    assert np.array_equal(oracle.run({"x": x}).outputs["y"], 16 * x)
    with pytest.raises(OracleFailedError, match="has not ended after 1,000 rounds"):
        oracle.run({"x": 0 * x})
