"""NX205: chains of nodes that lay elements out anew, as one node or none."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import normonnx
from tests.graphs import proto
from tests.simplify.comparing import operators, simplified, written

_I = {
    "z": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]),
    "m1": np.int64([-1]), "m2": np.int64([-2]), "z0": np.int64([0, 3]), "s64": np.int64([6, 4]),
    "s0": np.int64([0, -1]), "s24": np.int64([2, 12]), "s234": np.int64([2, 3, 4]),
    "end": np.int64([1 << 62]), "least": np.int64([-(1 << 62)]), "flat": np.int64([-1]),
}  # fmt: skip

_ROWS: dict[str, tuple[str, str, int]] = {
    "Transposes that undo each other": (
        "a = Transpose <perm=[1,2,0]> (x) y = Transpose <perm=[2,0,1]> (a)", "", 17),
    "Transposes by default": ("a = Transpose (x) y = Transpose (a)", "", 17),
    "Transposes that do not": (
        "a = Transpose <perm=[1,2,0]> (x) y = Transpose <perm=[1,0,2]> (a)", "Transpose", 17),
    "three Transposes": (
        "a = Transpose <perm=[1,2,0]> (x) b = Transpose <perm=[1,2,0]> (a) "
        "y = Transpose <perm=[1,2,0]> (b)", "", 17),
    "Reshapes": ("a = Reshape (x, s64) y = Reshape (a, s24)", "Reshape", 17),
    "Reshape there and back": ("a = Reshape (x, s64) y = Reshape (a, s234)", "", 17),
    "a 0 of the second": ("a = Reshape (x, s64) y = Reshape (a, s0)", "Reshape", 17),
    "Flatten and back": ("a = Flatten (x) y = Reshape (a, s234)", "", 17),
    "Unsqueezes": ("a = Unsqueeze (x, z) y = Unsqueeze (a, one)", "Reshape", 17),
    "Unsqueeze and Squeeze": ("a = Unsqueeze (x, one) y = Squeeze (a, one)", "", 17),
    "Unsqueezes from behind": ("a = Unsqueeze (x, m1) y = Unsqueeze (a, m2)", "Reshape", 17),
    "Unsqueeze of opset 11": (
        "a = Unsqueeze <axes=[-1]> (x) y = Squeeze <axes=[3]> (a)", "", 11),
    "Slices of two axes": ("a = Slice (x, z, one, one) y = Slice (a, one, end, two)", "Slice", 17),
    "Slices of one axis": ("a = Slice (x, one, end, two) y = Slice (a, one, end, two)",
                           "Slice", 17),
    "Slices of one axis, from behind": (
        "a = Slice (x, one, end, two) y = Slice (a, one, end, m1)", "Slice", 17),
    "a Slice backwards and another": (
        "a = Slice (x, m1, least, one, m1) y = Slice (a, one, end, two)", "Slice", 17),
    "Concats": ("a = Concat <axis=1> (x, x) y = Concat <axis=1> (a, x)", "Concat", 17),
    "Concats, one axis from behind": (
        "a = Concat <axis=-2> (x, x) y = Concat <axis=1> (a, x)", "Concat", 17),
    "Concats of two axes": (
        "a = Concat <axis=1> (x, x) b = Concat <axis=1> (x, x) y = Concat <axis=0> (a, b)",
        "Concat Concat", 17),
    "a Concat that is joined twice": ("a = Concat <axis=1> (x, x) y = Concat <axis=1> (a, a)",
                                      "Concat Concat", 17),
}  # fmt: skip


@pytest.mark.parametrize(("body", "left", "opset"), _ROWS.values(), ids=_ROWS.keys())
def test_a_chain(body: str, left: str, opset: int) -> None:
    used = {n: a for n, a in _I.items() if f" {n})" in body or f" {n}," in body}
    text = f"g (float[2,3,4] x) => (float r) {{ w = Exp (x) {body} v = Sin (y) r = Abs (v) }}"
    model = written(text.replace("(x,", "(w,").replace("(x)", "(w)").replace(", x", ", w")
                    .replace("Exp (w)", "Exp (x)"), opset=opset, **used)  # fmt: skip
    rank = {"Unsqueezes": 5, "Unsqueezes from behind": 5}
    shape = model.graph.output[0].type.tensor_type.shape
    name = next(name for name, row in _ROWS.items() if row == (body, left, opset))
    flat = ("Reshapes", "a 0 of the second")
    for _ in range(2 if name in flat else rank.get(name, 3)):
        shape.dim.add()
    made = simplified(model, [(2, 3, 4)])
    assert operators(made) == " ".join(["Exp", *left.split(), "Sin", "Abs"])


_DTYPES = {
    "bool": np.bool_, "int8": np.int8, "uint8": np.uint8, "int32": np.int32, "int64": np.int64,
    "float16": np.float16, "float": np.float32, "double": np.float64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("came", "between", "wanted", "left"),
    [
        ("float16", "float", "float16", 0),
        ("float16", "double", "float", 1),
        ("float", "double", "float", 0),
        ("float", "double", "float16", 1),
        ("int32", "int64", "int32", 0),
        ("int32", "double", "int32", 0),
        ("int8", "float", "int8", 0),
        ("uint8", "int32", "float", 1),
        ("bool", "int64", "bool", 0),
        ("bool", "float", "int64", 1),
        ("float", "float16", "float", 2),
        ("double", "float", "double", 2),
        ("int64", "int32", "int64", 2),
        ("int32", "float", "int32", 2),
        ("int64", "double", "int64", 2),
        ("float", "int32", "float", 2),
        ("float", "int64", "float", 2),
        ("int32", "bool", "int32", 2),
        ("float", "bool", "float", 2),
        ("int8", "uint8", "int32", 2),
        ("int32", "uint8", "int32", 2),
    ],
)
def test_casts(came: str, between: str, wanted: str, left: int) -> None:
    """A Cast is passed by where it holds every number that it reads."""
    kinds = {n: helper.np_dtype_to_tensor_dtype(np.dtype(d)) for n, d in _DTYPES.items()}
    text = f"""g ({came}[4,5] x) => ({wanted}[5,4] y) {{
        b = Cast <to={kinds[between]}> (x) c = Cast <to={kinds[wanted]}> (b) y = Transpose (c) }}"""
    made = simplified(written(text), [(4, 5)])
    assert operators(made).count("Cast") == left


def test_a_number_is_written_as_a_text_in_its_own_type() -> None:
    text = f"""g (int32[2] x) => (string[2] y) {{
        b = Cast <to={TensorProto.DOUBLE}> (x) y = Cast <to={TensorProto.STRING}> (b) }}"""
    assert operators(simplified(written(text), [(2,)])) == "Cast Cast"


def test_how_a_cast_to_eight_bits_overflows_stays_said() -> None:
    """`saturate=0` gives infinity or NaN where the number is too large."""
    text = f"""g (float16[3] x) => (float[3] y) {{
        b = Cast <to={TensorProto.FLOAT}> (x)
        c = Cast <to={TensorProto.FLOAT8E4M3FN}, saturate=0> (b)
        y = Cast <to={TensorProto.FLOAT}> (c) }}"""
    made = simplified(written(text, opset=19, ir=9), [(3,)])
    narrow = [n for n in made.graph.node for a in n.attribute if a.name == "saturate" and a.i == 0]
    assert len(narrow) == 1


def test_what_lies_between_and_is_read_stays() -> None:
    text = """g (float[2,3] x) => (float[2,3] y, float[3,2] z) {
        a = Transpose (x) y = Transpose (a) z = Neg (a) }"""
    assert operators(simplified(written(text), [(2, 3)])).count("Transpose") in (1, 2)


def test_what_lies_between_and_is_an_output_stays() -> None:
    text = """g (float[2,3] x) => (float[2,2,3] y, float[4,3] z) {
        z = Concat <axis=0> (x, x) a = Concat <axis=0> (z, x) b = Reshape (z, s) y = Neg (b) }"""
    made = simplified(written(text, s=np.int64([2, 2, 3])), [(2, 3)])
    assert operators(made) == "Concat Reshape Neg"


@pytest.mark.parametrize("sizes", [(2, 3), (1, 1), (0, 3)])
def test_reshapes_of_open_sizes(sizes: tuple[int, int]) -> None:
    text = """g (float[n,m,4] x) => (float[n,m,4] y) {
        h = Shape (x) a = Flatten <axis=2> (x) b = Relu (a) c = Reshape (b, h) y = Neg (c) }"""
    simplified(written(text), [(*sizes, 4)])


def test_a_chain_through_an_if() -> None:
    """What lies before it is in another graph."""
    text = """g (float[2,3] x, bool c) => (float[2,3] y) {
        a = Transpose (x)
        y = If (c) <then_branch = t () => (float[2,3] u) { u = Transpose (a) },
                    else_branch = e () => (float[2,3] v) { p = Exp (a) v = Transpose (p) }> }"""
    made = simplified(written(text), [(2, 3), ()])
    assert operators(made).startswith("Transpose If")


@pytest.mark.parametrize("opset", [13, 18])
def test_a_reduction_that_drops_its_axis_counts_it_from_the_front(opset: int) -> None:
    """ONNX Runtime keeps an axis counted from the end where the tensor is empty."""
    reduce = "ReduceMax <axes = [-1]> (x)" if opset == 13 else "ReduceMax (x, last)"
    text = f"(float[N, 1] x) => (float[N] y) {{ a = {reduce} y = Squeeze (a, last) }}"
    given = proto(text, opset=opset, last=np.array([-1]))
    made = onnx.ModelProto.FromString(
        normonnx.optimize(given, verify=False).to_bytes(unverified=True)
    )
    assert [node.op_type for node in made.graph.node] == ["ReduceMax"]
    for model in (given, made):
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for shape in ((0, 1), (3, 1)):
            [y] = session.run(None, {"x": np.ones(shape, np.float32)})
            assert y.shape == shape[:1]
