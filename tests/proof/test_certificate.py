"""The certificate itself must refuse: each wrong rewrite here is one that a rule could make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import normonnx
from normonnx.journal import Refusal
from normonnx.rewrite import Proposal, commit
from tests.graphs import context, model, node, proto, value

CONV = """(float[2,3,9,9] x) => (float[] y) {
  c = Conv <pads=[1,1,1,1]> (x, w, b)
  z = Mul (c, k)
  d = Add (z, l)
  y = Relu (d)
}"""
WEIGHTS = {"w": (4, 3, 3, 3), "b": (4,), "k": (4, 1, 1), "l": (4, 1, 1)}


def fold(change: Callable[[dict[str, np.ndarray]], None], *, attributes: bool = True) -> object:
    """Conv·Mul·Add → Conv with the right numbers, changed."""
    m = model(CONV, **WEIGHTS)
    ctx = context(m)
    parts = {name: ctx.constants.float64(value(m, name)) for name in "wbkl"}
    k, shift = parts["k"].reshape(-1), parts["l"].reshape(-1)
    numbers = {"w": parts["w"] * k[:, None, None, None], "b": parts["b"] * k + shift}
    change(numbers)
    p = Proposal(ctx, m.graph, key="k", rule="NX001", site=node(m, "d"), kind="affine arithmetic")
    inputs = [value(m, "x")] + [p.constant(numbers[n], ir.DataType.FLOAT, n) for n in "wb"]
    kept = dict(node(m, "c").attributes) if attributes else {}
    p.replace(value(m, "d"), p.node("Conv", inputs, kept))
    return commit(p, summary="")


def scaled(name: str, index: int, factor: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(numbers: dict[str, np.ndarray]) -> None:
        numbers[name][index] *= factor

    return change


def test_the_right_fold_is_certified() -> None:
    assert not isinstance(fold(lambda numbers: None), Refusal)


@pytest.mark.parametrize(
    "change",
    [
        scaled("w", 1, 1 + 1e-7),
        scaled("w", 3, -1.0),
        scaled("b", 0, 1 + 1e-7),
        scaled("b", 2, 0.0),
        lambda numbers: numbers.update(w=numbers["w"][::-1].copy()),
        lambda numbers: numbers.update(w=numbers["w"].swapaxes(2, 3).copy()),
        lambda numbers: numbers.update(b=np.roll(numbers["b"], 1)),
        lambda numbers: numbers.update(w=numbers["w"].astype(np.float32).astype(np.float64)),
    ],
)
def test_wrong_numbers_are_refused(change: Callable[[dict[str, np.ndarray]], None]) -> None:
    refusal = fold(change)
    assert isinstance(refusal, Refusal)
    assert "certificate" in refusal.reason


def test_a_lost_attribute_is_refused() -> None:
    assert isinstance(fold(lambda numbers: None, attributes=False), Refusal)


def norm(op_type: str, epsilon: float, axis: int, *, square: bool = False) -> object:
    """A decomposed LayerNorm over the last axis, replaced by what the arguments say."""
    rows = 6 if square else 5
    m = model(
        f"""(float[n,{rows},6] x) => (float[] y) {{
          m = ReduceMean <axes=[-1]> (x)
          c = Sub (x, m)
          s = Mul (c, c)
          v = ReduceMean <axes=[-1]> (s)
          e = Add (v, eps)
          r = Sqrt (e)
          y = Div (c, r)
        }}""",
        eps=np.float32(1e-5),
    )
    ctx = context(m)
    p = Proposal(ctx, m.graph, key="k", rule="NX101", site=node(m, "y"), kind="LayerNorm")
    extents = (6,) if axis == -1 else (rows, 6)
    scale = p.constant(np.ones(extents), ir.DataType.FLOAT, "ones")
    attributes = {"axis": axis, "epsilon": epsilon}
    p.replace(value(m, "y"), p.node(op_type, [value(m, "x"), scale], attributes))
    return commit(p, summary="")


def test_the_right_fusion_is_certified() -> None:
    assert not isinstance(norm("LayerNormalization", float(np.float32(1e-5)), -1), Refusal)


@pytest.mark.parametrize(
    ("op_type", "epsilon", "axis"),
    [
        ("LayerNormalization", 0.0, -1),
        ("LayerNormalization", 1.01e-5, -1),
        ("LayerNormalization", float(np.float32(1e-5)), -2),
        ("RMSNormalization", float(np.float32(1e-5)), -1),
    ],
)
@pytest.mark.parametrize("square", [False, True])
def test_a_wrong_fusion_is_refused(op_type: str, epsilon: float, axis: int, square: bool) -> None:
    assert isinstance(norm(op_type, epsilon, axis, square=square), Refusal)


def drawn_layer(op_type: str, number: int) -> tuple[ir.Model, np.ndarray, str]:
    """A convolution of random geometry, a scale and a shift behind it.

    Returns:
        The model, the scale as it broadcasts against the weight, and the model's text.
    """
    random = np.random.default_rng(number)
    slid = op_type == "Conv"
    rank = int(random.integers(1, 3))
    group = int(random.choice([1, 1, 2, 4])) if slid else 1
    each, filters = (1, 1) if group == 4 else (int(random.integers(1, 4)), 2)
    kernel = [int(k) for k in random.integers(1, 6, rank)]
    dilations = [int(d) for d in random.integers(1, 3, rank)]
    strides = [int(s) for s in random.integers(1, 4, rank)]
    pads = [int(random.integers(0, k)) for k in (*kernel, *kernel)]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    sizes = [str(s + int(random.integers(0, 30))) for s in spans]
    if random.random() < 0.3:
        sizes = ["h", "w"][:rank]
    channels = ",".join(["n" if random.random() < 0.5 else "1", str(group * each), *sizes])
    text = f"""(float[{channels}] x) => (float[] y) {{
      c = {op_type} <group={group}, strides={strides}, dilations={dilations}, pads={pads}> (x, w, b)
      z = Mul (c, k)
      y = Add (z, l)
    }}"""
    out = group * filters
    spread = (out, *(1,) * rank)
    shape = (out, each, *kernel) if slid else (each, out, *kernel)
    m = model(text, w=shape, b=(out,), k=spread, l=spread)
    k = context(m).constants.float64(value(m, "k"))
    assert k is not None
    return m, k.reshape(out, *(1,) * (rank + 1)) if slid else k, text


@pytest.mark.parametrize("number", range(60))
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_no_number_of_a_fold_may_be_another(op_type: str, number: int) -> None:
    """However small the window is, each weight and each bias counts in it."""
    random = np.random.default_rng([number, 1])
    for wrong in ("", "w", "b"):
        m, factor, text = drawn_layer(op_type, number)
        ctx = context(m)
        w, b, shift = (ctx.constants.float64(value(m, name)) for name in "wbl")
        assert w is not None
        assert b is not None
        assert shift is not None
        numbers = {"w": w * factor, "b": b * factor.reshape(-1) + shift.reshape(-1)}
        if wrong:
            place = tuple(random.integers(extent) for extent in numbers[wrong].shape)
            numbers[wrong][place] += 1e-5
        site = node(m, "y")
        p = Proposal(ctx, m.graph, key="k", rule="NX001", site=site, kind="affine arithmetic")
        inputs = [value(m, "x")] + [p.constant(numbers[n], ir.DataType.FLOAT, n) for n in "wb"]
        p.replace(value(m, "y"), p.node(op_type, inputs, dict(node(m, "c").attributes)))
        made = commit(p, summary="")
        if wrong:
            assert isinstance(made, Refusal), text
            assert "differ" in made.reason
        else:
            assert not isinstance(made, Refusal), (text, made)


def test_what_is_right_at_some_sizes_only_is_refused() -> None:
    """A mean over 8 elements, of an axis whose length nobody knows."""
    m = model("(float[n,c] x) => (float[n,1] y) { s = ReduceSum (x, a) y = Mul (s, k) }",
              a=np.array([1]), k=np.float32(1 / 8))  # fmt: skip
    ctx = context(m)
    p = Proposal(ctx, m.graph, key="k", rule="NX001", site=node(m, "y"), kind="affine arithmetic")
    p.replace(value(m, "y"), p.node("ReduceMean", [value(m, "x"), value(m, "a")], {"keepdims": 1}))
    p.least_gain = 0
    made = commit(p, summary="")
    assert isinstance(made, Refusal)
    assert "differ" in made.reason


def test_each_integer_of_a_quantised_kernel_counts() -> None:
    text = """(float[1,2,h,w] x) => (float[] y) {
      d = DequantizeLinear <axis=0> (q, s) c = Conv <pads=[1,1,1,1], strides=[3,3]> (x, d)
      y = Mul (c, k)
    }"""
    q = np.random.default_rng(0).integers(-99, 99, (4, 2, 3, 3)).astype(np.int8)
    for place in [None, *np.ndindex(2, 3, 3)]:
        m = model(text, q=q, s=np.full(4, 0.25, np.float32), k=(4, 1, 1))
        ctx = context(m)
        k = ctx.constants.float64(value(m, "k"))
        assert k is not None
        p = Proposal(ctx, m.graph, key="k", rule="NX001", site=node(m, "y"), kind="affine")
        scale = p.constant(0.25 * np.abs(k.reshape(-1)), ir.DataType.FLOAT, "scale")
        integers = q * np.sign(k).astype(np.int8)[..., None]
        if place is not None:
            integers[(1, *place)] += 1
        inputs = [p.integers(integers, "integers"), scale]
        weight = p.node("DequantizeLinear", inputs, {"axis": 0})
        inputs = [value(m, "x"), weight]
        p.replace(value(m, "y"), p.node("Conv", inputs, dict(node(m, "c").attributes)))
        assert isinstance(commit(p, summary=""), Refusal) == (place is not None), place


def test_a_window_that_reads_a_scalar_is_evaluated() -> None:
    m = model(
        """(float[n,4] x, float s) => (float[n,4] y) {
          a = Identity (x)
          y = Mul (a, s)
        }"""
    )
    p = Proposal(context(m), m.graph, key="k", rule="NX201", site=node(m, "y"), kind="scale")
    p.replace(value(m, "y"), p.node("Mul", [value(m, "x"), value(m, "s")], {}))
    assert not isinstance(commit(p, summary=""), Refusal)


def test_a_fold_in_a_branch_that_no_recorded_size_takes() -> None:
    text = """(float[n,d] x) => (float[n,m] y) {
      z = Size (x) s = Greater (z, none)
      y = If (s) <
        then_branch = t () => (float[n,m] p) { p = Neg (x) },
        else_branch = e () => (float[n,m] q) { r = MatMul (x, w) q = Mul (r, k) }
      >
    }"""
    m = model(text, w=(19, 3), k=(3,), none=np.array(0))
    ctx = context(m)
    body = node(m, "y").attributes["else_branch"].as_graph()
    last = body[-1]
    weight = ctx.constants.float64(value(m, "w")) * ctx.constants.float64(value(m, "k"))
    for numbers, right in ((weight * (1 + 1e-7), False), (weight, True)):
        p = Proposal(ctx, body, key="k", rule="NX003", site=last, kind="test")
        folded = p.constant(numbers, ir.DataType.FLOAT, "v")
        p.replace(last.outputs[0], p.node("MatMul", [value(m, "x"), folded]))
        assert isinstance(commit(p, summary=""), Refusal) is not right


@pytest.mark.parametrize(
    "made",
    [
        "p = MaxPool <kernel_shape=[3], strides=[2], pads=[0,2], ceil_mode=1> (x)",
        "p = MaxPool <kernel_shape=[1], strides=[4], ceil_mode=1> (x)",
        'p = MaxPool <kernel_shape=[4], strides=[3], dilations=[2], auto_pad="SAME_UPPER"> (x)',
        'p = ConvTranspose <strides=[2], output_padding=[1], auto_pad="SAME_UPPER"> (x, w)',
    ],
)
def test_a_size_that_onnx_infers_and_runtimes_do_not_make_is_no_constant(made: str) -> None:
    before = proto(
        f"""(float[1,2,6] x) => (float[1,2,m] y) {{
          {made}
          s = Shape <start=2> (p) n = Cast <to=1> (s) a = Mul (p, n) y = Mul (a, half)
        }}""",
        w=(2, 2, 3), half=np.float32(0.5),
    )  # fmt: skip
    after = normonnx.optimize(before, verify=False).to_bytes(unverified=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    expected, found = (
        onnxruntime.InferenceSession(of, options).run(None, {"x": x})[0]
        for of in (before.SerializeToString(), after)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
