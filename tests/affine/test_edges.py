"""Kernels of another size, axes beside the map's, numbers at the edge: one digit decides each.

Of each pair the second is one fact away from the first.
"""

from __future__ import annotations

import numpy as np
import pytest

import normonnx
from normonnx.affine.map import AffineMap, through_reshape
from normonnx.affine.precision import BITS, Data, centre_of, data_of, scaled
from normonnx.affine.recognise import Affine, recognise
from normonnx.journal import Refusal
from normonnx.values.shapes import Product
from tests.affine.rows import Row, bn, channel, check
from tests.graphs import context, model, node, proto

SAME = "(float[n,4,h,w] x) => (float[] y)"
FIXED = "(float[1,4,9,9] x) => (float[] y)"
THREE, ONE, FIVE = (4, 4, 3, 3), (4, 4, 1, 1), (4, 4, 5, 5)
SIGNED = bn(4, signs=True)
BN = "y = BatchNormalization (c, s, o, m, v)"

PARALLEL = (
    Row("the second kernel is the larger one",
        f"{SAME} {{ p = Conv (x, U, b)\n q = Conv <pads=[1,1,1,1]> (x, W)\n y = Add (p, q) }}",
        "Conv", weights={"W": THREE, "U": ONE, "b": (4,)}),
    Row("the second has the bias",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (x, U, b)\n y = Add (q, p) }}",
        "Conv", weights={"W": THREE, "U": ONE, "b": (4,)}),
    Row("both have a bias",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1]> (x, W, a)\n q = Conv (x, U, b)\n y = Add (p, q) }}",
        "Conv", weights={"W": THREE, "U": ONE, "a": (4,), "b": (4,)}),
    Row("a kernel with holes lies in one without",
        f"{FIXED} {{ p = Conv <pads=[2,2,2,2]> (x, V)\n"
        "q = Conv <pads=[2,2,2,2], dilations=[2,2]> (x, W)\n y = Add (p, q) }", "Conv",
        weights={"V": FIVE, "W": THREE}),
    Row("trap: one without holes lies in none with them",
        f"{FIXED} {{ p = Conv <pads=[2,2,2,2], dilations=[2,2]> (x, W)\n"
        "q = Conv <pads=[1,1,1,1]> (x, U)\n y = Add (p, q) }", "Conv Conv Add",
        "do not align", weights={"W": THREE, "U": THREE}),
    Row("one tap lies in one with holes",
        f"{FIXED} {{ p = Conv <pads=[2,2,2,2], dilations=[2,2]> (x, W)\n"
        "q = Conv (x, U)\n y = Add (p, q) }", "Conv", weights={"W": THREE, "U": ONE}),
    Row("trap: between the taps of one with holes",
        f"{FIXED} {{ p = Conv <pads=[2,2,2,2], dilations=[2,2]> (x, W)\n"
        "q = Conv <pads=[1,1,0,0]> (x, U)\n y = Add (p, q) }", "Conv Conv Add",
        "do not align", weights={"W": THREE, "U": (4, 4, 2, 2)}),
    Row("a rectangle in a rectangle",
        f"{FIXED} {{ p = Conv <pads=[1,2,1,2]> (x, W)\n q = Conv <pads=[0,1,0,1]> (x, U)\n"
        "y = Add (p, q) }", "Conv", weights={"W": (4, 4, 3, 5), "U": (4, 4, 1, 3)}),
    Row("trap: other groups",
        f"{FIXED} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv <group=4> (x, U)\n"
        "y = Add (p, q) }", "Conv Conv Add", "other groups",
        weights={"W": THREE, "U": (4, 1, 1, 1)}),
    Row("trap: one channel that is broadcast",
        f"{FIXED} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (x, U)\n y = Add (p, q) }}",
        "Conv Conv Add", "other channels", weights={"W": THREE, "U": (1, 4, 1, 1)}),
    Row("trap: padding by name",
        f'{FIXED} {{ p = Conv <auto_pad="SAME_UPPER"> (x, W)\n q = Conv (x, U)\n y = Add (p, q) }}',
        "Conv Conv Add", "depends on the size", weights={"W": THREE, "U": ONE}),
    Row("the value itself",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1], group=2> (x, W)\n y = Add (x, p) }}", "Conv",
        weights={"W": (4, 2, 3, 3)}),
    Row("a scale and a shift beside groups",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1], group=2> (x, W)\n"
        "q = BatchNormalization (x, s, o, m, v)\n y = Add (q, p) }", "Conv",
        weights={"W": (4, 2, 3, 3), **SIGNED}),
    Row("trap: the value beside more channels of it",
        "(float[1,1,9,9] x) => (float[] y) { p = Conv <pads=[1,1,1,1]> (x, W)\n y = Add (p, x) }",
        "Conv Add", "changes the channels", weights={"W": (4, 1, 3, 3)}),
    Row("trap: one branch twice",
        f"{FIXED} {{ p = Conv (x, W)\n y = Add (p, p) }}", "Conv Add", weights={"W": THREE}),
)  # fmt: skip

ROWS = "(float[2,5,4] x) => (float[] y)"

PICKED = (
    Row("Gather of rows before the channels, by a matrix",
        f"{ROWS} {{ d = MatMul (x, W)\n c = Gather <axis=1> (d, i)\n y = Mul (c, k) }}",
        "MatMul Gather", weights={"W": (4, 3), "k": (3,), "i": np.array([[0, 1], [2, 4]])}),
    Row("Gather of one row before the channels",
        f"{ROWS} {{ d = MatMul (x, W)\n c = Gather <axis=1> (d, i)\n y = Mul (c, k) }}",
        "MatMul Gather", weights={"W": (4, 3), "k": (3,), "i": np.array(2)}),
    Row("Gather of rows before the channels",
        f"{ROWS} {{ d = MatMul (x, W)\n c = Gather <axis=1> (d, i)\n y = Mul (c, k) }}",
        "MatMul Gather", weights={"W": (4, 3), "k": (3,), "i": np.array([4, 4, 0])}),
    Row("Gather behind the channels",
        f"{FIXED} {{ d = Conv (x, W)\n c = Gather <axis=2> (d, i)\n y = Mul (c, k) }}",
        "Conv Gather", weights={"W": THREE, "k": channel(2, -1, 3, 0.5), "i": np.array([3, 3, 1])}),
    Row("Gather of other channels",
        f"{FIXED} {{ d = Conv (x, W)\n c = Gather <axis=1> (d, i)\n y = Mul (c, k) }}",
        "Conv Gather", weights={"W": THREE, "k": channel(2, -1, 3), "i": np.array([3, -4, 1])}),
    Row("trap: Gather of one channel twice",
        f"{FIXED} {{ d = Conv (x, W)\n c = Gather <axis=1> (d, i)\n y = Mul (c, k) }}",
        "Conv Gather Mul", "more than once",
        weights={"W": THREE, "k": channel(2, -1, 3), "i": np.array([3, -1, 1])}),
    Row("trap: Gather that makes several axes of the channels",
        f"{FIXED} {{ c = Mul (x, k)\n d = Gather <axis=1> (c, i)\n y = MatMul (d, W) }}",
        "Mul Gather MatMul", "over several axes",
        weights={"W": (9, 3), "k": channel(2, -1, 3, 4), "i": np.array([[3, 1], [0, 2]])}),
    Row("Gather by a matrix before the channels, forward",
        "(float[2,3,4] x) => (float[] y) { c = Mul (x, k)\n d = Gather <axis=1> (c, i)\n"
        "y = MatMul (d, W) }", "Gather MatMul",
        weights={"W": (4, 3), "k": (4,), "i": np.array([[2, 1], [0, 2]])}),
    Row("Gather behind the channels, forward",
        f"{FIXED} {{ c = Mul (x, k)\n d = Gather <axis=3> (c, i)\n y = Conv (d, W) }}",
        "Gather Conv", weights={"W": THREE, "k": channel(2, -1, 3, 4), "i": np.array([3, 1, 0])}),
    Row("Slice of the channels, backward",
        f"{FIXED} {{ d = Conv (x, W)\n c = Slice (d, from, to, axes)\n y = Mul (c, k) }}",
        "Conv Slice", weights={"W": THREE, "k": channel(2, -1), "from": np.array([1]),
                               "to": np.array([3]), "axes": np.array([1])}),
    Row("Pad with a number, forward",
        f"{FIXED} {{ c = Mul (x, k)\n d = Add (c, l)\n e = Pad (d, pads, w)\n y = Conv (e, W) }}",
        "Pad Conv", weights={"W": THREE, "k": np.float32(2), "l": np.float32(0.5),
                             "w": np.float32(3), "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])}),
    Row("trap: Pad with a number where one scale is zero",
        f"{FIXED} {{ c = Mul (x, k)\n e = Pad (c, pads, w)\n y = Conv (e, W) }}", "Mul Pad Conv",
        "with its own value",
        weights={"W": THREE, "k": channel(2, 2, 0, 2), "w": np.float32(3),
                 "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])}),
)  # fmt: skip

POOLED = (
    Row("the largest over the batch and the channels' places",
        f"{FIXED} {{ d = Conv (x, W)\n c = ReduceMax <axes=[0,2]> (d)\n y = Mul (c, k) }}",
        "Conv ReduceMax", weights={"W": THREE, "k": channel(2, 1, 3, 0.5)}),
    Row("trap: the largest where one scale is negative",
        f"{FIXED} {{ d = Conv (x, W)\n c = ReduceMax <axes=[2]> (d)\n y = Mul (c, k) }}",
        "Conv ReduceMax Mul", "a positive scale", weights={"W": THREE, "k": channel(2, 1, -3, 1)}),
    Row("a mean over all, of one number",
        f"{FIXED} {{ c = Mul (x, k)\n d = Conv (c, W)\n e = ReduceMean <keepdims=0> (d)\n"
        "y = Mul (e, k) }", "Conv ReduceMean", weights={"W": THREE, "k": np.float32(3)}),
    Row("trap: a mean over all, of a map of the channels",
        f"{FIXED} {{ c = Mul (x, k)\n d = ReduceMean (c)\n y = Conv (d, W) }}",
        "Mul ReduceMean Conv", "reduces axis 1",
        weights={"W": (3, 1, 1, 1), "k": channel(2, -1, 3, 4)}),
    Row("an average that rounds up counts nothing beyond its padding",
        "(float[1,4,8,8] x) => (float[] y) { d = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2],"
        f"strides=[3,3], ceil_mode=1, count_include_pad=1> (d)\n {BN} }}",
        "Conv AveragePool", weights={"W": THREE, **SIGNED}),
    Row("an average that rounds up, in front of a layer",
        "(float[1,4,8,8] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
        "d = AveragePool <kernel_shape=[3,3], strides=[2,2], ceil_mode=1, count_include_pad=1> (c)"
        "\n y = Conv (d, W) }", "AveragePool Conv", weights={"W": ONE, **SIGNED}),
    Row("trap: padding in an average that rounds up",
        "(float[1,4,8,8] x) => (float[] y) { d = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2],"
        f"strides=[3,3], pads=[0,0,1,1], ceil_mode=1, count_include_pad=1> (d)\n {BN} }}",
        "Conv AveragePool BatchNormalization", "counts its padding",
        weights={"W": THREE, **SIGNED}),
    Row("a maximum that rounds up, and pads",
        "(float[1,4,8,8] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
        "d = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0], ceil_mode=1> (c)"
        "\n y = Conv (d, W) }", "MaxPool Conv", weights={"W": ONE, **bn(4)}),
    Row("a crop by a Resize of what is one map everywhere",
        f"{FIXED} {{ d = Conv (x, W)\n c = Resize <mode=\"nearest\"> (d, , f)\n {BN} }}",
        "Conv Resize", weights={"W": THREE, "f": np.float32([1, 1, 2, 1]), **SIGNED}),
    Row("trap: a Resize of the channels",
        f"{FIXED} {{ d = Conv (x, W)\n c = Resize <mode=\"nearest\"> (d, , f)\n y = Mul (c, k) }}",
        "Conv Resize Mul", "may resize axis 1",
        weights={"W": THREE, "f": np.float32([1, 2, 1, 1]), "k": channel(*range(1, 9))}),
)  # fmt: skip

SHIFTED = np.float32([0.5, -1, 2, 0.25])

FED = (
    Row("a shift into a Conv in groups, with strides",
        f"{SAME} {{ c = BatchNormalization (x, s, o, m, v)\n"
        "y = Conv <group=2, strides=[2,1]> (c, W, b) }", "Conv",
        weights={"W": (6, 2, 3, 3), "b": (6,), **SIGNED}),
    Row("trap: SAME of unknown size",
        f'{SAME} {{ c = Add (x, k)\n y = Conv <auto_pad="SAME_UPPER"> (c, W) }}', "Add Conv",
        "pads with zeros behind it", weights={"W": THREE, "k": channel(*SHIFTED)}),
    Row("SAME where the kernel needs none",
        f'{FIXED} {{ c = BatchNormalization (x, s, o, m, v)\n'
        'y = Conv <auto_pad="SAME_UPPER", strides=[3,3]> (c, W) }', "Conv",
        weights={"W": ONE, **SIGNED}),
    Row("SAME_LOWER with an odd number of places",
        '(float[2,4,8,7] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n'
        'y = Conv <auto_pad="SAME_LOWER", strides=[2,3], dilations=[1,1]> (c, W, b) }',
        "Conv Add", weights={"W": (3, 4, 3, 4), "b": (3,), **SIGNED}),
    Row("more padding behind than in front, along one axis",
        "(float[2,4,8] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
        "y = Conv <pads=[0,2], strides=[2], dilations=[2]> (c, W) }", "Conv Add",
        weights={"W": (3, 4, 3), **SIGNED}),
    Row("trap: a shift alone before a padded Conv is no saving",
        f"{SAME} {{ c = Add (x, k)\n y = Conv <pads=[1,0,2,1], strides=[2,2]> (c, W) }}",
        "Add Conv", weights={"W": THREE, "k": np.float32(0.5)}),
    Row("MatMul, a shift alone",
        f"{ROWS} {{ c = Add (x, k)\n d = MatMul (c, W)\n y = Add (d, b) }}", "MatMul Add",
        weights={"W": (4, 3), "b": (3,), "k": (4,)}),
    Row("Gemm, a shift alone",
        "(float[n,4] x) => (float[] y) { c = Add (x, k)\n y = Gemm <alpha=0.5> (c, W) }", "Gemm",
        weights={"W": (4, 3), "k": (4,)}),
    Row("Gemm, a scale alone, with alpha, beta and C",
        "(float[n,4] x) => (float[] y) { c = Mul (x, k)\n"
        "y = Gemm <transB=1, alpha=0.5, beta=2.0> (c, W, b) }", "Gemm",
        weights={"W": (3, 4), "b": (3,), "k": (4,)}),
    Row("Einsum whose constant comes first",
        '(float[n,4,t] x) => (float[] y) { c = Mul (x, k)\n y = Einsum <equation="dc,nct->ndt">'
        "(W, c) }", "Einsum", weights={"W": (3, 4), "k": channel(2, -1, 0.5, 3, rank=3)}),
    Row("Einsum, one number for all",
        '(float[n,4,t] x) => (float[] y) { c = Mul (x, k)\n y = Einsum <equation="nct,cd->ntd">'
        "(c, W) }", "Einsum", weights={"W": (4, 3), "k": np.float32(3)}),
)  # fmt: skip


@pytest.mark.parametrize("row", [*PARALLEL, *PICKED, *POOLED, *FED], ids=str)
def test_row(row: Row) -> None:
    made = check(row).journal.rewrites
    assert bool(made) != row.name.startswith("trap")


def test_a_summary_tells_in_the_order_of_the_graph() -> None:
    back = Row("behind", f"{SAME} {{ c = Conv (x, W)\n {BN} }}", "Conv",
               weights={"W": THREE, **SIGNED})  # fmt: skip
    front = Row("in front", f"{SAME} {{ c = Mul (x, k)\n y = Conv (c, W) }}", "Conv",
                weights={"W": THREE, "k": channel(2, -1, 3, 4)})  # fmt: skip
    told = [check(row).journal.rewrites[0].summary for row in (back, front)]
    assert told == ["Conv·BatchNormalization → Conv", "Mul·Conv → Conv"]


# -- maps --------------------------------------------------------------------------------------

N = Product(1, ("n",))
RAMP = AffineMap.along(1, a=np.arange(1.0, 5), b=np.arange(4.0))


def test_what_a_map_is() -> None:
    one = AffineMap.along(None)
    assert one.is_identity
    assert one.shape_for(3) == ()
    assert RAMP.shape_for(3) == (-1, 1)
    assert RAMP.is_positive
    assert not AffineMap.along(1, a=np.array([1.0, 0.0])).is_positive
    assert not RAMP.is_shift
    assert not RAMP.is_scale
    assert AffineMap.along(1, a=np.array([1.0, 2.0])).is_scale
    assert AffineMap.along(1, b=np.array([1.0, 2.0])).is_shift
    assert not AffineMap.along(1, a=np.array([1.0, np.inf])).is_finite
    assert not AffineMap.along(1, b=np.array([1.0, np.nan])).is_finite


def test_parts_of_what_has_no_axis_are_itself() -> None:
    two = AffineMap.along(None, a=2.0, b=1.0)
    assert two.on(3) is two
    assert two.cut(1, 2) is two
    assert two.take(np.array([0])) is two
    a, b = two.full(3)
    assert a.tolist() == [2, 2, 2]
    assert b.tolist() == [1, 1, 1]
    assert RAMP.on(2).axis == 2


def test_maps_of_other_lengths_do_not_compose() -> None:
    assert RAMP.after(AffineMap.along(1, a=np.arange(1.0, 4))) is None
    composed = RAMP.after(AffineMap.along(None, a=2.0, b=1.0))
    assert composed is not None
    assert composed.axis == 1
    assert composed.a.tolist() == [2, 4, 6, 8]
    assert composed.b.tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("source", "target", "axis", "moved"),
    [
        ((N, 4), (N, 1, 4), 2, 1),
        ((N, 1, 4), (N, 4), 1, 2),
        ((4, N), (4, 1, N, 1), 0, 0),
        ((1, 4, N), (4, N), 0, 1),
        ((N, 4, N), (N, 2, 2, N), 1, None),
        ((2, 4), (8,), 0, None),
    ],
)
def test_reshapes_with_axes_of_one(
    source: tuple[object, ...], target: tuple[object, ...], axis: int, moved: int | None
) -> None:
    found = through_reshape(RAMP.on(axis), source, target)  # type: ignore[arg-type]
    assert (None if found is None else found.axis) == moved
    if found is not None:
        assert found.a.tolist() == RAMP.a.tolist()


def test_a_map_of_another_length_than_the_axis_is_refused() -> None:
    assert through_reshape(RAMP.on(0), (2, 3), (3, 2)) is None


def site(body: str, opset: int = 17, x: str = "float[2,4,5,4] x", **weights: object) -> object:
    m = model(f"({x}) => (float[] y) {{ {body} }}", opset=opset, **weights)
    return recognise(context(m), node(m, "y"))


def test_a_batch_normalization_says_where_its_data_lie() -> None:
    numbers = {name: np.float32([1, 2, 3, 4]) * i for i, name in enumerate("somv", 1)}
    found = site("y = BatchNormalization <epsilon=0.5> (x, s, o, m, v)", **numbers)
    assert isinstance(found, Affine)
    assert found.mean is not None
    assert found.deviation is not None
    np.testing.assert_array_equal(found.mean, [3, 6, 9, 12])
    np.testing.assert_allclose(found.deviation, np.sqrt(np.float64([4, 8, 12, 16]) + 0.5))
    data = data_of(found, AffineMap.along(None, a=2.0, b=1.0), None)
    assert data is not None
    assert data.spread is not None
    np.testing.assert_allclose(data.centre, [1, 2.5, 4, 5.5])
    np.testing.assert_allclose(data.spread, found.deviation / 2)


def test_where_shifts_and_scales_say_that_data_lie() -> None:
    shift, scale = site("y = Sub (x, k)", k=np.float32(6)), site("y = Mul (x, k)", k=np.float32(4))
    assert isinstance(shift, Affine)
    assert isinstance(scale, Affine)
    one, before = AffineMap.along(None), AffineMap.along(None, a=2.0)
    assert data_of(scale, one, None) is None
    data = data_of(shift, before, None)
    assert data is not None
    assert (data.centre, data.spread, data.unit) == (3, None, 0.5)
    again = data_of(shift, AffineMap.along(None, a=2.0, b=-6.0), data)
    assert again is not None
    assert (again.centre, again.spread, again.unit) == (6, None, 0.5)
    known = data_of(scale, AffineMap.along(None, a=2.0, b=-6.0), data)
    assert known is not None
    assert (known.centre, known.spread) == (3, 0.125)
    assert data_of(shift, one, known) is known
    assert scaled(data, AffineMap.along(None, a=-2.0)) is data  # a change of sign


def test_the_centre_of_a_map_that_is_a_constant_is_zero() -> None:
    m = AffineMap.along(0, a=np.array([2.0, 0.0, -4.0]), b=np.array([6.0, 5.0, 2.0]))
    np.testing.assert_array_equal(centre_of(m), [-3, 0, 0.5])
    assert sorted(BITS.values()) == [8, 11, 24, 53]
    assert Data(np.ones(()), None, np.ones(())).spread is None


@pytest.mark.parametrize(
    ("opset", "attributes", "stays"),
    [(6, "is_test=1, spatial=0", False), (7, "spatial=0", False), (8, "spatial=1", False)],
)
def test_on_two_axes_an_element_is_a_channel(opset: int, attributes: str, stays: bool) -> None:
    numbers = {name: np.float32([1, 2, 3, 4]) for name in "somv"}
    body = f"y = BatchNormalization <{attributes}> (x, s, o, m, v)"
    found = site(body, opset=opset, x="float[2,4] x", **numbers)
    assert isinstance(found, Affine) != stays


@pytest.mark.parametrize(("opset", "reads"), [(6, False), (7, True)])
def test_a_function_has_an_opset_of_its_own(opset: int, reads: bool) -> None:
    """Up to opset 6 a BatchNormalization trains unless it is told not to."""
    function = (
        f'<domain: "local", opset_import: ["" : {opset}]> norm (x, s, o, m, v) => (y) '
        "{ y = BatchNormalization (x, s, o, m, v) }"
    )
    weights = {name: np.float32([1, 2, 3, 4]) for name in "somv"}
    of = model(
        "(float[2,4] x) => (float[2,4] y) { y = local.norm (x, s, o, m, v) }",
        functions=function, **weights,
    )  # fmt: skip
    [body] = of.functions.values()
    found = recognise(context(of), body[0])
    assert isinstance(found, Refusal)
    assert ("training mode" in found.reason) != reads


def test_a_parameter_of_another_length_is_refused() -> None:
    numbers = {name: np.float32([1, 2, 3, 4]) for name in "som"}
    found = site("y = BatchNormalization (x, s, o, m, v)", v=np.float32([1]), **numbers)
    assert "different lengths" in str(found)


ROUNDED_UP = """(float[n,4,6,6] x) => (float[n,4,a,b] y) {{
  {before}
  d = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[0,0,{more},{more}], ceil_mode=1> (c)
  y = Conv <pads=[1,1,1,1]> (d, W)
}}"""
CENTRED = "c = BatchNormalization (x, s, o, m, v)"


@pytest.mark.parametrize(
    ("before", "more", "left", "is_told"),
    [
        (CENTRED, 0, "MaxPool Conv Add", False),
        (CENTRED, 2, "BatchNormalization MaxPool Conv", True),
        ("e = Mul (x, half) c = Add (e, half)", 2, "MaxPool Pad Conv", False),
    ],
    ids=["a window less", "onnx counts a window more", "one number is padded with"],
)
def test_no_bias_map_where_onnx_counts_windows_otherwise(
    before: str, more: int, left: str, is_told: bool
) -> None:
    """A model with a map of the size that runtimes make would not be loaded."""
    given = proto(
        ROUNDED_UP.format(before=before, more=more), W=THREE, half=np.float32([0.5]), **bn(4)
    )
    result = normonnx.optimize(given, simplify=False)
    assert [n.op_type for n in result.model.graph] == left.split(), result.report.near_misses
    assert result.report.status == "pass"
    remedies = [miss.remedy for miss in result.report.near_misses]
    assert any("otherwise than runtimes do" in remedy for remedy in remedies) == is_told
