"""What was reported as a bug of other simplifiers, as models of our own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simplify.comparing import operators, simplified, written


@pytest.mark.parametrize(
    ("starts", "ends", "steps"),
    [(-2, 1 << 40, 1), (1, -1, 1), (0, 4, 2), (-1, -9, -1), (-9, 9, 3), (3, 1, 1)],
)
def test_a_slice_of_a_shape(starts: int, ends: int, steps: int) -> None:
    """onnx/optimizer#263: starts from behind, ends beyond, steps."""
    text = """g (float[2,n,4,5] x) => (int64[k] y) {
        h = Shape (x) s = Slice (h, b, e, a, t) y = Mul (s, two) }"""
    given = {"b": starts, "e": ends, "a": 0, "t": steps, "two": 2}
    model = written(text, **{name: np.int64([value]) for name, value in given.items()})
    simplified(model, [(2, 3, 4, 5)], [(2, 1, 4, 5)])


@pytest.mark.parametrize(
    "given", ["start=1", "end=2", "start=-2", "start=1, end=-1", "start=9", "start=-9", "end=-9"]
)
def test_a_shape_of_some_axes(given: str) -> None:
    """onnx/optimizer#279."""
    text = f"""g (float[2,n,4,5] x) => (int64[k] y) {{
        h = Shape <{given}> (x) y = Mul (h, two) }}"""
    simplified(written(text, two=np.int64([2])), [(2, 3, 4, 5)])


@pytest.mark.parametrize("axis", [1, -1])
def test_slices_one_behind_the_other(axis: int) -> None:
    """inisis/OnnxSlim#277: along one axis each counts from what the one before leaves."""
    text = """g (float[3,9] x) => (float[3,k] y) {
        a = Slice (x, one, minus, ax) b = Slice (a, one, minus, ax) c = Slice (b, two, far, bx)
        y = Neg (c) }"""
    weights = {"one": 1, "minus": -1, "two": 2, "far": 1 << 40, "ax": 1, "bx": axis}
    simplified(written(text, **{n: np.int64([v]) for n, v in weights.items()}), [(3, 9)])


def test_a_concat_between_outputs() -> None:
    """inisis/OnnxSlim#329: what is read or given by outputs alone."""
    text = """g (float[2] x) => (float[2] y, float[2] z) {
        y = Neg (x) z = Concat <axis=0> (y) }"""
    made = simplified(written(text), [(2,)])
    assert operators(made) == "Neg Concat"


def test_a_target_that_several_read() -> None:
    """inisis/OnnxSlim#305: each of them gets the constant."""
    text = """g (float[2,6] x) => (float[3,4] y, float[3,4] z) {
        h = Shape (x) a = Gather (h, zero) t = Mul (a, two) s = Concat <axis=0> (three, t)
        y = Reshape (x, s) b = Neg (x) z = Reshape (b, s) }"""
    weights = {"zero": 0, "two": 2, "three": 3}
    model = written(text, **{n: np.int64([v]) for n, v in weights.items()})
    assert "Shape" not in operators(simplified(model, [(2, 6)])).split()


def test_a_tile_does_not_grow_into_megabytes() -> None:
    """onnxsim/onnxsim#178."""
    text = """g (float[1,4096] x) => (float[512,4096] y) { t = Tile (k, s) y = Add (x, t) }"""
    model = written(text, k=np.ones((1, 4096), np.float32), s=np.int64([512, 1]))
    made = simplified(model, [(1, 4096)])
    assert len(made.SerializeToString()) < 1 << 16


def test_an_open_batch_stays_open() -> None:
    """onnxsim/onnxsim#101, #299."""
    text = """g (float[n,3,4] x) => (float[n,12] y) {
        h = Shape (x) b = Gather (h, zero) t = Concat <axis=0> (b, minus) y = Reshape (x, t) }"""
    made = simplified(
        written(text, zero=np.int64([0]), minus=np.int64([-1])), [(2, 3, 4)], [(5, 3, 4)]
    )
    assert made.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert operators(made) == "Reshape"


@pytest.mark.parametrize("perm", ["[0,1]", "[1,0]"])
@pytest.mark.parametrize("given", ["", "<transA=1>"])
def test_a_transpose_in_front_of_a_product(perm: str, given: str) -> None:
    """microsoft/onnxruntime#32228: one that moves nothing is no transA."""
    text = f"""g (float[4,4] x, float[4,4] w) => (float[4,4] y) {{
        a = Transpose <perm={perm}> (x) y = Gemm {given} (a, w) }}"""
    made = simplified(written(text), [(4, 4), (4, 4)], part=1e-6)
    assert operators(made) == "Gemm"


def test_a_pad_that_several_read() -> None:
    """tsingmicro-toolchain/OnnxSlim#29: it stays for those that do not pad themselves."""
    text = """g (float[1,2,4,4] x) => (float[1,2,4,4] y, float[1,2,6,6] z) {
        a = Pad (x, p) y = Conv <pads=[0,0,0,0]> (a, w) z = Exp (a) }"""
    weights = {"p": np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "w": np.ones((2, 2, 3, 3), np.float32)}
    made = simplified(written(text, **weights), [(1, 2, 4, 4)], part=1e-6)
    assert sorted(operators(made).split()) == ["Conv", "Exp", "Pad"]


def test_a_pad_with_another_number_than_zero() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,2,4,4] y) { a = Pad (x, p, c) y = Conv (a, w) }"""
    weights = {"p": np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "w": np.ones((2, 2, 3, 3), np.float32)}
    made = simplified(written(text, c=np.float32(1), **weights), [(1, 2, 4, 4)])
    assert operators(made) == "Pad Conv"


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (2, 3), (1,), ()])
def test_what_is_added_to_a_product(shape: tuple[int, ...]) -> None:
    """inisis/OnnxSlim#210, #323: a Gemm adds a row; any other shape stays an Add, or is one."""
    text = "g (float[2,4] x) => (float[2,3] y) { a = MatMul (x, w) y = Add (a, b) }"
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 3), "b": shape}
    weights = {n: np.float32(rng.standard_normal(size)) for n, size in shapes.items()}
    made = simplified(written(text, **weights), [(2, 4)], part=1e-6)
    assert operators(made) in ("Gemm", "MatMul Add")


def test_statistics_that_a_training_layer_writes_are_not_shared() -> None:
    """microsoft/onnxruntime#29790: equal initializers of a BatchNormalization that trains."""
    text = """g (float[4,2] x) => (float[4,2] y, float[2] m) {
        y, m, v = BatchNormalization <training_mode=1> (x, a, b, c, d) }"""
    ones = {name: np.ones(2, np.float32) for name in "abcd"}
    made = simplified(written(text, **ones), [(4, 2)], part=1e-6)
    assert len(set(made.graph.node[0].input)) == 5
    assert list(made.graph.node[0].output) == ["y", "m", "v"]


def test_names_that_would_clash() -> None:
    """onnx/optimizer#174: what is made new has a name that nobody has, in bodies neither."""
    text = """g (float[n,3,4] x, bool c) => (float[n,12] y) {
        h = Shape (x) b = Gather (h, zero) t = Concat <axis=0> (b, minus) a = Reshape (x, t)
        y = If (c) <then_branch = q () => (float[n,12] a_shape) { a_shape = Exp (a) },
                    else_branch = r () => (float[n,12] a_shape_1) { a_shape_1 = Sin (a) }> }"""
    model = written(text, zero=np.int64([0]), minus=np.int64([-1]))
    assert operators(simplified(model, [(2, 3, 4), ()])).startswith("Reshape If")
