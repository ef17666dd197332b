"""What is written for each target, and for opsets that have no operator for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnxruntime
import pytest

from normonnx.ops.functions import FIRST_OPSET
from normonnx.targets.fused import FIRST_BODY

from .fusing import Fused, difference, fuse, random_feeds
from .text import LAYER, RMS, WHOLE, Weight, layer, model

RMS_SCALED = f"{RMS} y = Mul (n, g)"
TWO = "float[n,3,8] h, float[n,3,8] r0"
ADDED = "x = Add (h, r0)"
AGAIN = "z = Neg (x)"
YZ = "float[n,3,8] y, float[n,3,8] z"
FLN, FAL = "FusedLayerNormalization", "FusedAddLayerNormalization"
FRN, FAR = "FusedRMSNormalization", "FusedAddRMSNormalization"
SKIP, SIMPLE = "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"
LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)


def ran(proto: onnx.ModelProto, feeds: dict[str, np.ndarray], level: object) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    types = {v.name: v.type.tensor_type.elem_type for v in proto.graph.input}
    cast = {k: a.astype(onnx.helper.tensor_dtype_to_np_dtype(types[k])) for k, a in feeds.items()}
    return [np.asarray(out, np.float64) for out in session.run(None, cast)]


def check(proto: onnx.ModelProto, fused: Fused, *, tolerance: float = 1e-5) -> None:
    """Right in float64 by onnx's reference, and in ONNX Runtime at every level."""
    feeds = random_feeds(proto, 3)
    if "com.microsoft" not in {node.domain for node in fused.proto.graph.node}:
        assert difference(proto, fused.proto, feeds) < tolerance
    expected = ran(proto, feeds, LEVELS[0])
    for level in LEVELS:
        for a, b in zip(expected, ran(fused.proto, feeds, level), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(a).max())


def test_bodies_begin_where_they_can() -> None:
    assert FIRST_BODY == FIRST_OPSET


@pytest.mark.parametrize("opset", [11, 13, 16])
@pytest.mark.parametrize(("body", "operator"), [(WHOLE, FLN), (RMS_SCALED, FRN)])
def test_a_capped_opset_gets_a_function(body: str, operator: str, opset: int) -> None:
    proto = model(layer(body), opset=opset)
    fused = fuse(proto, cap=opset)
    assert fused.operators == [operator]
    imports = {entry.domain: entry.version for entry in fused.proto.opset_import}
    assert imports == {"": opset, "normonnx": 1}
    [function] = fused.proto.functions
    assert (function.domain, function.name) == ("normonnx", operator)
    assert {e.domain: e.version for e in function.opset_import}[""] == opset
    check(proto, fused)


def by_runtime(proto: onnx.ModelProto, path: Path) -> list[str]:
    """The operators of what ONNX Runtime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return sorted(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("body", [WHOLE, RMS_SCALED], ids=["LayerNorm", "RMSNorm"])
def test_onnx_runtime_fuses_the_function_as_it_would_the_original(
    body: str, dtype: type, tmp_path: Path
) -> None:
    half = dtype is np.float16
    graph = layer(body)
    if half:
        inner = f"x = Cast <to=1> (h) {body.replace('y = ', 'o = ')} y = Cast <to=10> (o)"
        graph = layer(inner, x="float16[2,3,8] h", y="float16[2,3,8] y")
    exact = {name: np.float32([0.5, 1, -2, 0.25, 1, 3, -1, 8]) for name in "gb"}
    proto = model(graph, exact, opset=13)
    fused = fuse(proto, cap=13)
    assert fused.proto.functions
    made = by_runtime(fused.proto, tmp_path / "fused.onnx")
    assert made == by_runtime(proto, tmp_path / "original.onnx")
    assert half or len(made) == 1
    check(proto, fused, tolerance=2e-3 if half else 1e-5)


@pytest.mark.parametrize(("opset", "target"), [(11, "onnx"), (16, "onnx"), (17, "normonnx")])
@pytest.mark.parametrize("body", [WHOLE, RMS_SCALED], ids=["LayerNorm", "RMSNorm"])
def test_a_function_of_doubles_keeps_their_digits(body: str, opset: int, target: str) -> None:
    """ONNX Runtime loses the epsilon of a spelled RMSNorm in float64, where it sees one."""
    graph = layer(body, x="double[n,3,8] x", y="double[n,3,8] y")
    weights: dict[str, Weight] = {"eps": np.float64(2.0**-4), "two": np.float64(2)}
    proto = model(graph, weights, dtype=np.float64, opset=opset)
    fused = fuse(proto, cap=opset, target=target)
    assert fused.proto.functions
    check(proto, fused, tolerance=1e-12)


def test_the_standard_operator_is_taken_where_the_cap_allows_it() -> None:
    fused = fuse(model(layer(WHOLE), opset=13), cap=17)
    assert fused.operators == ["LayerNormalization"]
    assert not fused.proto.functions


@pytest.mark.parametrize(("body", "operator"), [(WHOLE, FLN), (RMS_SCALED, FRN)])
@pytest.mark.parametrize("opset", [13, 17, 23])
def test_the_own_target_raises_no_opset(body: str, operator: str, opset: int) -> None:
    if opset > 17:
        body = body.replace(" <axes=[-1]> (x)", " (x, last)").replace(
            " <axes=[-1]> (p)", " (p, last)"
        )
    proto = model(layer(body), {"last": np.array([-1])}, opset=opset)
    fused = fuse(proto, target="normonnx")
    assert fused.operators == [operator]
    assert fused.proto.opset_import[0].version == opset
    check(proto, fused)


def test_channels_first_needs_no_transposes() -> None:
    body = WHOLE.replace("-1", "1")
    shape = {"x": "float[n,8,4,5] x", "y": "float[n,8,4,5] y"}
    proto = model(layer(body, **shape), {"g": (8, 1, 1), "b": (8, 1, 1)})
    fused = fuse(proto, target="normonnx")
    assert fused.operators == [FLN]
    assert {a.name: a.i for a in fused.node(FLN).attribute}["axis"] == 1
    check(proto, fused)


def test_layouts_of_one_operator_share_its_function() -> None:
    second = WHOLE.replace("-1", "1").replace("(x", "(t")
    for name in "mdpverknyg":
        second = second.replace(f"{name} = ", f"{name}2 = ")
        second = second.replace(f"({name},", f"({name}2,").replace(f"({name})", f"({name}2)")
        second = second.replace(f", {name})", f", {name}2)")
    second = second.replace("(k2, b)", "(k2, b2)")
    proto = model(
        layer(f"{WHOLE.replace('y = Add', 't = Add')} {second.replace('y2 =', 'y =')}",
              x="float[2,8,8] x", y="float[2,8,8] y"),
        {"g2": (8, 1), "b2": (8, 1)},
    )  # fmt: skip
    fused = fuse(proto, target="normonnx")
    assert fused.operators == [FLN, FLN]
    assert len(fused.proto.functions) == 1
    check(proto, fused)


BRANCH: dict[str, Weight] = {"c": (8,)}


@pytest.mark.parametrize(("target", "norm", "operator"), [
    ("normonnx", WHOLE, FAL), ("normonnx", RMS_SCALED, FAR),
    ("ort", WHOLE, SKIP), ("ort", RMS_SCALED, SIMPLE),
])  # fmt: skip
@pytest.mark.parametrize("again", [True, False], ids=["read again", "read once"])
@pytest.mark.parametrize("biased", [True, False], ids=["bias before", "no bias"])
def test_the_residual_goes_along(
    target: str, norm: str, operator: str, again: bool, biased: bool
) -> None:
    added = "h2 = Add (h, c) x = Add (r0, h2)" if biased else ADDED
    body = f"{added} {norm} {AGAIN if again else ''}"
    y = YZ if again else "float[n,3,8] y"
    proto = model(layer(body, x=TWO, y=y), BRANCH, opset=13)
    fused = fuse(proto, target=target)
    assert fused.operators == ([operator, "Neg"] if again else [operator])
    assert fused.proto.opset_import[0].version == 13
    outputs = [name for name in fused.node(operator).output if name]
    assert len(outputs) == 1 + again
    given = [name for name in fused.node(operator).input if name]
    assert given[:2] == ["h", "r0"]
    assert ("c" in given) == biased
    check(proto, fused)


def test_the_sum_is_an_output_of_the_model() -> None:
    proto = model(layer(f"{ADDED} {WHOLE}", x=TWO, y="float[n,3,8] y, float[n,3,8] x"))
    fused = fuse(proto, target="normonnx")
    assert fused.operators == [FAL]
    assert [value.name for value in fused.proto.graph.output] == ["y", "x"]
    check(proto, fused)


def test_for_the_default_target_the_sum_stays() -> None:
    proto = model(layer(f"{ADDED} {WHOLE} {AGAIN}", x=TWO, y=YZ))
    assert fuse(proto).operators == ["Add", "LayerNormalization", "Neg"]


@pytest.mark.parametrize("second", ["float[3,8] r0", "float[n,3,1] r0"])
def test_a_sum_that_broadcasts_is_no_residual(second: str) -> None:
    x = f"float[n,3,8] h, {second}"
    proto = model(layer(f"{ADDED} {WHOLE} {AGAIN}", x=x, y=YZ))
    fused = fuse(proto, target="normonnx")
    assert fused.operators == ["Add", FLN, "Neg"]
    check(proto, fused)
    assert any("side of Add 'x' is repeated to fit the other" in why for why in fused.reasons)


@pytest.mark.parametrize(
    ("sides", "joined"),
    [
        ("float[n,3,8] h, float[3,8] r0", True),
        ("float[n,3,8] h, float[1,3,8] r0", True),
        ("float[3,8] h, float[n,3,8] r0", True),
        ("float[n,3,8] h, float[n,3,1] r0", False),
        ("float[n,3,8] h, float[1,1,8] r0", False),
        ("float[1,3,8] h, float[n,3,1] r0", False),
    ],
)
def test_onnx_runtime_adds_one_sample_to_each(sides: str, joined: bool) -> None:
    proto = model(layer(f"{ADDED} {WHOLE} {AGAIN}", x=sides, y=YZ))
    fused = fuse(proto, target="ort")
    assert ("SkipLayerNormalization" in fused.operators) == joined
    check(proto, fused)


def test_a_value_added_to_itself_is_no_residual() -> None:
    proto = model(layer(f"x = Add (h, h) {WHOLE}", x="float[n,3,8] h", y="float[n,3,8] y"))
    fused = fuse(proto, target="normonnx")
    assert fused.operators == [FLN]  # a norm of h, with a quarter of epsilon
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6


def test_skip_is_for_rows_only() -> None:
    four = "float[n,2,3,8] h, float[n,2,3,8] r0"
    proto = model(layer(f"{ADDED} {WHOLE}", x=four, y="float[n,2,3,8] y"))
    assert fuse(proto, target="ort").operators == ["Add", "LayerNormalization"]
    assert fuse(proto, target="normonnx").operators == [FAL]


def test_nodes_with_and_without_bias_and_sum_share_a_function() -> None:
    first = f"h2 = Add (h, c) x = Add (r0, h2) {LAYER} k = Mul (n, g) t = Add (k, b)"
    second = ("x3 = Add (t, x) m3 = ReduceMean <axes=[-1]> (x3) d3 = Sub (x3, m3)"
              " p3 = Mul (d3, d3) v3 = ReduceMean <axes=[-1]> (p3) e3 = Add (v3, eps)"
              " r3 = Sqrt (e3) y = Div (d3, r3)")  # fmt: skip
    proto = model(layer(f"{first} {second}", x=TWO, y="float[n,3,8] y"), BRANCH)
    fused = fuse(proto, target="normonnx")
    assert [op for op in fused.operators if op != "Constant"] == [FAL, FAL]
    [function] = fused.proto.functions
    assert len(function.input) == 5
    assert len(function.output) == 2
    check(proto, fused)


@pytest.mark.parametrize(("target", "expected"), [
    ("onnx", ["Add", "LayerNormalization", "Neg"]),
    ("ort", [SKIP, "Neg"]), ("normonnx", [FAL, "Neg"]),
])  # fmt: skip
def test_operators_that_are_there_already(target: str, expected: list[str]) -> None:
    body = f"{ADDED} y = LayerNormalization <axis=-1> (x, g, b) {AGAIN}"
    proto = model(layer(body, x=TWO, y=YZ))
    fused = fuse(proto, target=target)
    assert fused.operators == expected
    check(proto, fused)


def test_an_operator_alone_is_exchanged_for_a_faster_one() -> None:
    proto = model(layer("y = LayerNormalization <axis=-1> (x, g, b)"))
    assert fuse(proto, target="normonnx").operators == [FLN]
    assert fuse(proto, target="ort").operators == ["LayerNormalization"]
    assert not fuse(proto).journal.rewrites


def test_an_operator_whose_mean_is_read_stays() -> None:
    body = "y, mean = LayerNormalization <axis=-1> (x, g, b)"
    proto = model(layer(body, y="float[2,3,8] y, float[2,3,1] mean"))
    assert fuse(proto, target="normonnx").operators == ["LayerNormalization"]


def test_one_operator_for_several_types() -> None:
    second = WHOLE.replace("(x", "(x2").replace(", g)", ", g2)").replace(", b)", ", b2)")
    for name in "mdpvernky":
        second = second.replace(f"{name} = ", f"{name}2 = ").replace(f"({name},", f"({name}2,")
        second = second.replace(f"({name})", f"({name}2)").replace(f", {name})", f", {name}2)")
    second = second.replace("two", "two2").replace("eps", "eps2").replace("y2 = ", "y2 = ")
    weights: dict[str, Weight] = {"two2": np.float64(2), "eps2": np.float64(2**-10)}
    proto = model(
        layer(f"{WHOLE} {second}", x="float[2,3,8] x, double[2,3,8] x2",
              y="float[2,3,8] y, double[2,3,8] y2"), {**weights, "g2": (8,), "b2": (8,)},
    )  # fmt: skip
    for tensor in proto.graph.initializer:
        if tensor.name in ("two2", "eps2", "g2", "b2"):
            wide = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            if tensor.name == "eps2":
                wide = np.asarray(2.0**-10)
            tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    fused = fuse(proto, target="normonnx")
    assert fused.norms == [FLN, f"{FLN}_double"]
    assert {function.name for function in fused.proto.functions} == {FLN, f"{FLN}_double"}
    check(proto, fused)
    # What is added to a model that has an operator for one type already, by another run.
    again = fuse(fused.proto, target="normonnx")
    assert again.proto == fused.proto


def test_what_is_there_for_a_type_keeps_its_name() -> None:
    """A norm of doubles, beside an operator that an earlier run wrote for float32."""
    earlier = fuse(model(layer(WHOLE)), target="normonnx")
    assert earlier.norms == [FLN]
    weights: dict[str, Weight] = {"eps": np.float64(2.0**-10), "two": np.float64(2)}
    wide = model(layer(WHOLE, x="double[2,3,8] x", y="double[2,3,8] y"), weights, dtype=np.float64)
    wide.ir_version = earlier.proto.ir_version
    both = onnx.compose.merge_models(earlier.proto, wide, io_map=[], prefix2="wide_")
    fused = fuse(both, target="normonnx")
    assert fused.norms == [FLN, f"{FLN}_double"]
    check(both, fused)


@pytest.mark.parametrize(("target", "version"), [("normonnx", 8), ("onnx", 7)])
def test_functions_need_a_version_of_the_format(target: str, version: int) -> None:
    proto = model(layer(WHOLE))
    proto.ir_version = 7
    fused = fuse(proto, target=target)
    assert fused.norms
    assert fused.proto.ir_version == version


def test_inside_a_branch_and_a_function() -> None:
    inner = f"{LAYER} k = Mul (n, g) z = Add (k, b)"
    proto = model(
        "(float[2,3,8] x, bool f) => (float[2,3,8] y) { y = If (f) <then_branch = t () =>"
        f" (float[2,3,8] z) {{ {inner} }}, else_branch = e () => (float[2,3,8] q) {{"
        " q = Neg (x) }> }", opset=13)  # fmt: skip
    fused = fuse(proto, cap=13)
    assert fused.norms == [FLN]
    assert len(fused.proto.functions) == 1


@pytest.mark.parametrize(
    ("target", "norms"), [("ort", ["LayerNormalization"]), ("normonnx", [FLN])]
)
def test_a_sum_around_a_branch_stays_there(target: str, norms: list[str]) -> None:
    inner = f"{LAYER} k = Mul (n, g) w = Add (k, b)"
    proto = model(
        f"({TWO.replace('n,', '2,')}, bool f) => (float[2,3,8] y, float[2,3,8] z) {{ {ADDED}"
        f" {AGAIN} y = If (f) <then_branch = t () => (float[2,3,8] w) {{ {inner} }},"
        " else_branch = e () => (float[2,3,8] q) { q = Neg (x) }> }"
    )
    fused = fuse(proto, target=target)
    assert fused.norms == norms
    assert "Add" in [node.op_type for node in fused.proto.graph.node]
    feeds = {**random_feeds(proto, 3), "f": np.array(True)}
    for level in LEVELS:
        for a, b in zip(ran(proto, feeds, level), ran(fused.proto, feeds, level), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


# -- what is quantised next ----------------------------------------------------------------------

QUANTISED = f"{WHOLE.replace('y = ', 'n2 = ')} y = QuantizeLinear (n2, step, zero)"
QUANTISATION: dict[str, Weight] = {"step": np.float32(0.05), "zero": np.int8(3)}


@pytest.mark.parametrize(
    ("nodes", "weights", "operator"),
    [
        (QUANTISED, QUANTISATION, FLN),
        (f"{QUANTISED} z = Neg (n2)", QUANTISATION, FLN),
        (f"{RMS_SCALED.replace('y = ', 'n2 = ')} y, s, o = DynamicQuantizeLinear (n2)", {}, FRN),
    ],
)
def test_quantising_a_norm_is_noted_for_our_operators(
    nodes: str, weights: dict[str, Weight], operator: str
) -> None:
    kind = "uint8" if "Dynamic" in nodes else "int8"
    outputs = f"{kind}[2,3,8] y" + (", float[2,3,8] z" if "z = " in nodes else "")
    proto = model(layer(nodes, y=outputs), weights)
    fused = fuse(proto, target="normonnx")
    assert fused.norms == [operator]
    [near] = fused.journal.near_misses.values()
    assert near.kind == "quantised norm"
    assert operator in near.reason
    assert "no quantised output" in near.reason
    assert not fuse(proto).journal.near_misses


def test_no_note_where_something_is_between() -> None:
    proto = model(layer(QUANTISED.replace("(n2, step", "(t, step").replace(
        "y = Quant", "t = Tanh (n2) y = Quant"), y="int8[2,3,8] y"), QUANTISATION)  # fmt: skip
    assert not fuse(proto, target="normonnx").journal.near_misses


@pytest.mark.parametrize("axes", ["1", "2", "1,2", "3"])
@pytest.mark.parametrize("target", ["onnx", "normonnx"])
def test_a_bias_that_is_added_behind_an_rms_norm(axes: str, target: str) -> None:
    """It lies along the axes that are normalised, wherever they are in the value."""
    over = [int(axis) for axis in axes.split(",")]
    shape = tuple(
        n if axis in over else 1 for axis, n in enumerate((2, 8, 5, 6)) if axis >= over[0]
    )
    body = RMS.replace("-1", axes) + " k = Mul (n, g) c = Neg (b) y = Add (k, c)"
    image = {"x": "float[2,8,5,6] x", "y": "float[2,8,5,6] y"}
    proto = model(layer(body, **image), {"g": shape, "b": shape}, opset=17)
    fused = fuse(proto, target=target)
    assert len(fused.norms) == 1, fused.reasons
    assert not fused.reasons
    assert "Neg" not in fused.operators
    if target == "normonnx":
        assert fused.operators == [FRN, "Add"]
    check(proto, fused)
