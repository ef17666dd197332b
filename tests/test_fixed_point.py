"""A second run finds nothing that the first did not: what is written is a fixed point."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import normonnx
from tests.graphs import proto

TARGETS = ("onnx", "ort", "normonnx")


def ran(model: bytes, feeds: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0], np.float64)


def settles(of: onnx.ModelProto, feeds: dict[str, np.ndarray], target: str = "onnx") -> list[str]:
    """The rewrites of a model, which are right and of which nothing more comes; their summaries."""
    of.graph.output[0].type.tensor_type.ClearField("shape")
    once = normonnx.optimize(of, target=target, verify=False)
    twice = normonnx.optimize(once.to_bytes(), target=target, verify=False)
    assert [rewrite.summary for rewrite in twice.report.rewrites] == []
    assert twice.to_bytes() == once.to_bytes()
    before, after = ran(of.SerializeToString(), feeds), ran(once.to_bytes(), feeds)
    loose = any(array.dtype == np.float16 for array in feeds.values())
    np.testing.assert_allclose(
        after, before, rtol=0, atol=(1e-2 if loose else 1e-5) * np.abs(before).max()
    )
    misses = {(miss.rule, miss.site) for miss in once.report.near_misses}
    assert misses == {(miss.rule, miss.site) for miss in twice.report.near_misses}
    return [rewrite.summary for rewrite in once.report.rewrites]


def bn(*names: str, channels: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(names))
    found = {}
    for name in names:
        for what in "gbm":
            found[name + what] = rng.normal(size=channels).astype(np.float32)
        found[name + "v"] = rng.uniform(0.5, 2, channels).astype(np.float32)
    return found


def x(*shape: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}


@pytest.mark.parametrize("target", TARGETS)
def test_a_size_that_a_fold_makes_known_lets_a_sum_with_zeros_go(target: str) -> None:
    """Of a BatchNormalization's output only the input tells; of a product the constant does."""
    m = proto(
        """(float[1,d,1] x) => (float[] y) {
          a = Add (x, c) b = BatchNormalization (a, pg, pb, pm, pv) y = Sub (b, z)
        }""",
        c=np.float32(0.7), z=np.zeros((4, 1), np.float32), **bn("p"),
    )  # fmt: skip
    assert settles(m, x(1, 4, 1), target) == ["Add·BatchNormalization → Mul·Add", "Sub → nothing"]


@pytest.mark.parametrize("target", TARGETS)
def test_maps_on_the_branches_of_a_split_with_open_sizes_outside(target: str) -> None:
    m = proto(
        """(float[?,?,5,3] x) => (float[] y) {
          a, b = Split <axis=-3> (x, parts)
          c = BatchNormalization (a, pg, pb, pm, pv)
          d = BatchNormalization (b, qg, qb, qm, qv)
          e = BatchNormalization (d, rg, rb, rm, rv)
          y = Concat <axis=-3> (e, c)
        }""",
        opset=15, parts=np.array([5, 2]), **bn("p", channels=5), **bn("q", "r", channels=2),
    )  # fmt: skip
    assert settles(m, x(2, 7, 5, 3), target)


@pytest.mark.parametrize("target", TARGETS)
def test_a_norm_in_a_branch_of_which_onnx_infers_no_rank(target: str) -> None:
    m = proto(
        """(float[n,6,1] x) => (float[] y) {
          r = ReduceMax <keepdims=0> (x) f = Greater (r, zero)
          z = If (f) <
            then_branch = t () => (float[] p) { p = Add (x, one) },
            else_branch = e () => (float[] q) {
              m = ReduceMean (x, over) d = Sub (x, m) s = ReduceSumSquare (d, over)
              v = Mul (s, sixth) w = Add (v, eps) u = Sqrt (w) k = Div (d, u) q = Dropout (k)
            }
          >
          a = MatMul (w3, z) y = BatchNormalization (a, pg, pb, pm, pv)
        }""",
        opset=19, zero=np.float32(0), one=np.float32(1), over=np.array([-2]),
        sixth=np.float32(1 / 6), eps=np.float32(1e-5), w3=(3, 6), **bn("p", channels=3),
    )  # fmt: skip
    settled = settles(m, x(2, 6, 1), target)
    assert "MatMul·BatchNormalization → MatMul" in settled


_NORM = """m = ReduceMean <axes=[-1]> ({0}) d = Sub ({0}, m) q = Mul (d, d)
  v = ReduceMean <axes=[-1]> (q) w = Add (v, eps) s = Sqrt (w) n = Div (d, s)"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_norm_that_is_weighed_again_once_what_reads_it_is_folded(
    target: str, opset: int, dtype: type
) -> None:
    m = proto(
        f"""(float[n,2,3] x) => (float[] y) {{
          {_NORM.format("x")}
          h = Mul (n, g) l = Add (h, b) t = Transpose <perm=[0,2,1]> (l)
          i = Mul (t, k) j = Sub (t, i) o = BatchNormalization (j, pg, pb, pm, pv)
          u = Mul (k, o) y = Mul (t, u)
        }}""",
        opset=opset, eps=np.float32(1e-5), g=(3,), b=(3,), k=(3, 1), **bn("p", channels=3),
    )  # fmt: skip
    if dtype is np.float16:
        _in_half(m)
    feeds = {"x": x(2, 2, 3)["x"].astype(dtype)}
    assert settles(m, feeds, target)


def _in_half(m: onnx.ModelProto) -> None:
    for value in (*m.graph.input, *m.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for tensor in m.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


@pytest.mark.parametrize("target", TARGETS)
def test_a_norm_that_a_fold_uncovers_raises_the_opset_in_the_same_run(target: str) -> None:
    """The spread of the rows is taken of a value that a product stands in front of."""
    m = proto(
        f"""(float[n,5,8] x) => (float[] y) {{
          a = MatMul (x, k) c = Mul (a, g) e = Add (c, b) {_NORM.format("e")}
          y = MatMul (n, l)
        }}""",
        opset=13, eps=np.float32(1e-5), g=(8,), b=(8,), k=(8, 8), l=(8, 8),
    )  # fmt: skip
    settled = settles(m, x(2, 5, 8), target)
    assert len(settled) == 2


def test_a_function_of_ours_that_came_with_the_model_is_made_for_a_further_norm() -> None:
    """One for the last axis alone says nothing of a norm over another axis."""
    one = proto(
        f"(float[n,4,8] x) => (float[n,4,8] y) {{ {_NORM.format('x')} y = Neg (n) }}",
        opset=13, eps=np.float32(1e-5),
    )  # fmt: skip
    m = onnx.load_from_string(normonnx.optimize(one, target="normonnx", verify=False).to_bytes())
    further = proto(
        "(float[n,4,8] y) => (float[n,4,8] z) {"
        + _NORM.format("y").replace("-1", "1").replace("n = ", "z = ")
        + "}",
        opset=13, eps=np.float32(1e-5),
    )  # fmt: skip
    both = onnx.compose.merge_models(m, further, io_map=[("y", "y")], prefix2="further_")
    before = both.SerializeToString()
    after = normonnx.optimize(both, target="normonnx", verify=False)
    assert [rewrite.rule for rewrite in after.report.rewrites] == ["NX101"]
    feeds = x(2, 4, 8)
    np.testing.assert_allclose(ran(after.to_bytes(), feeds), ran(before, feeds), atol=1e-5)
