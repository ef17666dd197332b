"""NX205: what is taken out, padded, spread or joined twice, once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.simplify.comparing import operators, simplified, written

_W: dict[str, Any] = {
    "z": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]),
    "m1": np.int64([-1]), "m2": np.int64([-2]), "far": np.int64([1 << 40]),
    "least": np.int64([-(1 << 62)]), "s0": np.int64(0), "s1": np.int64(-1),
    "i": np.int64([2, 0, -1]), "j": np.int64([-1, 1]), "ij": np.int64([[0, 1], [2, -3]]),
    "j32": np.int32([-1, 1]), "p": np.int64([1, 0, 2, 0, 3, 0]), "n": np.int64([0, 0, -1, 0, 0, 0]),
    "f1": np.float32(1), "e": np.int64([1, 4, 5]), "e3": np.int64([3, 4, 5]),
    "v": np.int64([1, 5]), "q31": np.int64([3, 1]),
}  # fmt: skip

_ROWS: dict[str, tuple[str, str]] = {
    "Gathers of one axis": ("a = Gather (w, i) y = Gather (a, j)", "Gather"),
    "Gathers, 32 bits": ("a = Gather (w, i) y = Gather (a, j32)", "Gather"),
    "Gathers, the second of a table": ("a = Gather (w, i) y = Gather (a, ij)", "Gather"),
    "Gathers, the second of a number": ("a = Gather (w, i) y = Gather (a, s1)", "Gather"),
    "Gathers, the first of a number": ("a = Gather (w, s0) y = Gather (a, i)", "Gather Gather"),
    "Gathers, the first of a table": ("a = Gather (w, ij) y = Gather (a, j)", "Gather Gather"),
    "Gathers of two axes": (
        "a = Gather <axis=1> (w, i) y = Gather <axis=2> (a, j)", "Gather Gather"),
    "Gathers of one axis, from behind": (
        "a = Gather <axis=-1> (w, i) y = Gather <axis=2> (a, j)", "Gather"),
    "Gather and Slice": ("a = Gather (w, i) y = Slice (a, one, far, z)", "Gather"),
    "Gather and Slice backwards": ("a = Gather (w, i) y = Slice (a, m1, least, z, m2)", "Gather"),
    "Slice and Gather": ("a = Slice (w, one, far, z) y = Gather (a, j)", "Gather"),
    "Slice and a number": ("a = Slice (w, one, far, m1) y = Gather <axis=2> (a, s1)", "Gather"),
    "Slices": ("a = Slice (w, one, far, two) y = Slice (a, one, m1, m1)", "Slice"),
    "Slices, steps": ("a = Slice (w, z, far, two, two) y = Slice (a, m1, least, two, m1)",
                      "Slice"),
    "Slices that leave nothing": ("a = Slice (w, three, far, two) y = Slice (a, three, far, two)",
                                  None),
    "Pads": ("a = Pad (w, p) y = Pad (a, p)", "Pad"),
    "Pads of one number": ("a = Pad (w, p, f1) y = Pad (a, p, f1)", "Pad"),
    "Pads of two numbers": ("a = Pad (w, p, f1) y = Pad (a, p)", "Pad Pad"),
    "Pads, one cuts": ("a = Pad (w, p) y = Pad (a, n)", "Pad Pad"),
    "Pads that reflect": ("a = Pad <mode=\"edge\"> (w, p) y = Pad (a, p)", "Pad Pad"),
    "Expands": ("a = ReduceMax <axes=[0,1]> (w) b = Expand (a, e) y = Expand (b, e3)",
                "ReduceMax Expand"),
    "a reduction and a Squeeze": ("a = ReduceMean <axes=[1]> (w) y = Squeeze (a, one)",
                                  "ReduceMean"),
    "a reduction and a Squeeze of less": (
        "a = ReduceMax <axes=[0,1]> (w) y = Squeeze (a, z)", "ReduceMax Squeeze"),
    "a reduction and a Reshape": ("a = ReduceMax <axes=[0,1]> (w) y = Reshape (a, v)",
                                  "ReduceMax Reshape"),
    "a reduction and an Unsqueeze": (
        "a = ReduceMin <axes=[-1],keepdims=0> (w) y = Unsqueeze (a, m1)", "ReduceMin"),
    "a reduction and an Unsqueeze elsewhere": (
        "a = ReduceMin <axes=[-1],keepdims=0> (w) y = Unsqueeze (a, z)", "ReduceMin Unsqueeze"),
    "the place of the largest": (
        "a = ArgMax <axis=1> (w) b = Squeeze (a, one) y = Cast <to=1> (b)", "ArgMax Cast"),
    "a Split and a Concat": ("a, b = Split <axis=1> (w) y = Concat <axis=-2> (a, b)", ""),
    "a Split and a Concat in another order": (
        "a, b = Split <axis=1> (w) y = Concat <axis=1> (b, a)", "Split Concat"),
    "a Split and a Concat of another axis": (
        "a, b = Split <axis=1> (w) y = Concat <axis=0> (a, b)", "Split Concat"),
    "a Split and a Concat of less": (
        "a, b, c, d = Split <axis=1> (w) y = Concat <axis=1> (a, b, c)", None),
    "a Concat and a Split": (
        "a = Concat <axis=1> (w, w) b = Sin (a) c = Concat <axis=1> (w, w) d = Exp (w) "
        "e = Concat <axis=0> (w, d) f, g = Split (e) y = Mul (f, g)", "Exp Mul"),
    "a Concat and a Split of two parts apiece": (
        "d = ReduceMax <axes=[0]> (w) e = Concat <axis=0> (w, d) f, g = Split <axis=0> (e, q31) "
        "y = Mul (f, g)", "ReduceMax Mul"),
    "a Concat and a Split elsewhere": (
        "d = ReduceMax <axes=[0]> (w) e = Concat <axis=0> (d, w) f, g = Split <axis=0> (e, q31) "
        "y = Mul (f, g)", "ReduceMax Concat Split Mul"),
    "a Concat and a Split along another axis": (
        "d = Exp (w) e = Concat <axis=0> (w, d) f, g = Split <axis=1> (e) "
        "y = Mul (f, g)", "Exp Concat Split Mul"),
    "a Transpose that moves ones alone": (
        "a = ReduceMax <axes=[0,1]> (w) b = Transpose <perm=[0,2,1]> (a) y = Reshape (b, v)",
        "ReduceMax Reshape"),
    "a Transpose that moves others": (
        "a = ReduceMax <axes=[0]> (w) b = Transpose <perm=[0,2,1]> (a) y = Flatten (b)",
        "ReduceMax Transpose Flatten"),
}  # fmt: skip


def _model(body: str, shape: str = "3,4,5") -> onnx.ModelProto:
    used = {n: a for n, a in _W.items() if f" {n})" in body or f" {n}," in body}
    text = f"g (float[{shape}] x) => (float r) {{ w = Exp (x) {body} q = Sin (y) r = Abs (q) }}"
    model = written(text, **used)
    inferred = onnx.shape_inference.infer_shapes(model)
    [made] = [v for v in inferred.graph.value_info if v.name == "q"]
    model.graph.output[0].type.tensor_type.shape.CopyFrom(made.type.tensor_type.shape)
    return model


@pytest.mark.parametrize(("body", "left"), _ROWS.values(), ids=_ROWS.keys())
def test_one_behind_another(body: str, left: str | None) -> None:
    made = simplified(_model(body), [(3, 4, 5)])
    if left is not None:
        assert operators(made) == " ".join(["Exp", *left.split(), "Sin", "Abs"])


_ENDS = {"3": 3, "-2": -2, "7": 7, "all": 1 << 40}


@pytest.mark.parametrize("first", _ENDS.values(), ids=_ENDS.keys())
@pytest.mark.parametrize("second", _ENDS.values(), ids=_ENDS.keys())
def test_cuts_of_an_open_axis(first: int, second: int) -> None:
    """Of every length what both together leave, none included."""
    text = """g (float[n,2] x) => (float[m,2] y) {
        a = Slice (x, one, e1, z) b = Slice (a, one, e2, z) y = Exp (b) }"""
    weights = {"one": 1, "z": 0, "e1": first, "e2": second}
    model = written(text, **{n: np.int64([v]) for n, v in weights.items()})
    made = simplified(model, *([(n, 2)] for n in (0, 1, 2, 3, 4, 5, 6, 9)))
    told = (first < 0) == (second < 0) or first > 7 or second > 7
    assert operators(made) == ("Slice Exp" if told else "Slice Slice Exp")


@pytest.mark.parametrize("start", [-2, -1])
def test_a_cut_from_behind_of_an_open_axis_stays(start: int) -> None:
    text = """g (float[n,2] x) => (float[m,2] y) {
        a = Slice (x, s, far, z) b = Slice (a, one, far, z) y = Exp (b) }"""
    weights = {"one": 1, "z": 0, "s": start, "far": 1 << 40}
    model = written(text, **{n: np.int64([v]) for n, v in weights.items()})
    made = simplified(model, *([(n, 2)] for n in (0, 1, 2, 5)))
    assert operators(made) == "Slice Slice Exp"


def test_what_others_read_or_is_an_output_stays() -> None:
    text = """g (float[6] x) => (float[3] a, float[2] y, float[2] z) {
        a = Gather (x, i) y = Gather (a, j) b = Gather (x, k) z = Gather (b, j) }"""
    weights = {"i": np.int64([1, 2, 3]), "j": np.int64([0, 2]), "k": np.int64([3, 2, 1])}
    made = simplified(written(text, **weights), [(6,)])
    assert operators(made) == "Gather Gather Gather"


def test_indices_that_a_caller_may_override_stay() -> None:
    text = """g (float[6] x, int64[2] j) => (float[2] y) {
        a = Gather (x, i) b = Gather (a, j) y = Exp (b) }"""
    weights = {"i": np.int64([1, 2, 3]), "j": np.int64([0, 2])}
    assert operators(simplified(written(text, **weights), [(6,)])) == "Gather Gather Exp"


def test_within_a_body() -> None:
    text = """g (float[6] x, bool c) => (float[2] y) {
        a = Gather (x, i)
        y = If (c) <then_branch = t () => (float[2] u) { d = Gather (x, i) u = Gather (d, j) },
                    else_branch = e () => (float[2] v) { v = Gather (a, j) }> }"""
    weights = {"i": np.int64([1, 2, 3]), "j": np.int64([0, 2])}
    made = simplified(written(text, **weights), [(6,), ()])
    assert operators(made) == "Gather If Gather Gather"
