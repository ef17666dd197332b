from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.values.constants import Constants
from normonnx.values.shapes import Product, Shapes, divide, times
from tests.graphs import model, value

N, S = Product(1, ("n",)), Product(1, ("s",))


def shapes_of(m: ir.Model) -> Shapes:
    return Shapes(m, Constants(m))


def test_products_of_dimensions() -> None:
    assert times((2, 3)) == 6
    assert times((N, 2, S)) == Product(2, ("n", "s")) == times((S, N, 2))
    assert times((N, 0)) == 0
    assert divide(times((N, S, 4)), times((S, 2))) == Product(2, ("n",))
    assert divide(N, N) == 1
    assert divide(N, S) is None
    assert divide(6, 4) is None
    assert divide(6, 0) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Reshape (x, flat)", (times((N, S)), 8)),
        ("t = Reshape (x, flat)\n h = Shape (x)\n y = Reshape (t, h)", (N, S, 8)),
        (
            "h = Shape (x)\n b = Gather (h, zero)\n u = Unsqueeze (b, zeros)\n"
            "k = Concat <axis=0> (u, minus, eight)\n y = Reshape (x, k)",
            (N, S, 8),
        ),
        (
            "h = Shape (x)\n p = ReduceProd <keepdims=0> (h)\n u = Unsqueeze (p, zeros)\n"
            "y = Reshape (x, u)",
            (times((N, S, 8)),),
        ),
        ("t = Transpose <perm=[2,0,1]> (x)\n y = Relu (t)", (8, N, S)),
        ("y = ReduceMean <axes=[-1]> (x)", (N, S, 1)),
        ("y = ReduceMean <axes=[1], keepdims=0> (x)", (N, 8)),
        ("y = MatMul (x, w)", (N, S, 5)),
        ("y = Flatten <axis=2> (x)", (times((N, S)), 8)),
        ("u = Unsqueeze (x, zeros)\n y = Squeeze (u, zeros)", (N, S, 8)),
    ],
)
def test_dimensions(body: str, expected: tuple[object, ...]) -> None:
    m = model(
        f"(float[n,s,8] x) => (float[] y) {{ {body} }}",
        opset=13,
        w=(8, 5),
        flat=np.int64([-1, 8]),
        zero=np.int64(0),
        zeros=np.int64([0]),
        minus=np.int64([-1]),
        eight=np.int64([8]),
    )
    m.graph.outputs[0].shape = None
    assert shapes_of(m).dims(value(m, "y")) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("p = MaxPool <kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]> (r)", (2, 3, 5, 11)),
        (
            'p = AveragePool <kernel_shape=[3,3], auto_pad="SAME_UPPER", strides=[2,3]> (r)',
            (2, 3, 5, 4),
        ),
        ('p = Conv <auto_pad="SAME_LOWER", strides=[2,2]> (r, w)', (2, 4, 5, 6)),
        ('p = Conv <dilations=[2,1], auto_pad="VALID"> (r, w)', (2, 4, 5, 9)),
    ],
)
def test_extents_behind_a_reshape_by_shape_arithmetic(body: str, expected: tuple[int, ...]) -> None:
    m = model(
        "(float[2,3,9,11] x) => (float[] y) { h = Shape (x)\n z = Relu (x)\n g = Add (h, nothing)\n"
        f"r = Reshape (z, g)\n {body}\n y = Relu (p) }}",
        nothing=np.int64([0, 0, 0, 0]),
        w=(4, 3, 3, 3),
    )
    assert shapes_of(m).dims(value(m, "p")) == expected


def test_a_static_shape_is_a_constant() -> None:
    m = model(
        "(float[2,6] x) => (float[] y) { h = Shape (x)\n k = Slice (h, one, two)\n"
        "m = Concat <axis=0> (minus, k)\n y = Reshape (x, m) }",
        one=np.int64([1]),
        two=np.int64([2]),
        minus=np.int64([-1]),
    )
    constants = Constants(m)
    Shapes(m, constants)
    np.testing.assert_array_equal(constants.array(value(m, "m")), [-1, 6])


def test_unknown_dimensions_are_equal_only_to_themselves() -> None:
    m = model("(float[?,4] x, float[?,4] z) => (float[] y) { y = Add (x, z) }")
    shapes = shapes_of(m)
    x, z = shapes.dims(value(m, "x")), shapes.dims(value(m, "z"))
    assert x is not None
    assert z is not None
    assert x[0] == x[0] != z[0]
    assert x[1] == z[1] == 4


def test_nothing_is_known_inside_a_function_but_what_weights_tell() -> None:
    m = model(
        "(float[2,3,9,9] x) => (float[] y) { y = local.f (x) }",
        functions='<domain: "local", opset_import: ["" : 17]> f (a) => (b) '
        "{ w = Constant <value = float[4,3,1,1] {1,1,1,1,1,1,1,1,1,1,1,1}> ()\n b = Conv (a, w) }",
    )
    function = next(iter(m.functions.values()))
    shapes = shapes_of(m)
    dims = shapes.dims(function[1].outputs[0])
    assert dims is not None
    assert dims[1] == 4
    assert len(dims) == 4
    assert shapes.dims(function.inputs[0]) is None


def test_the_model_is_left_as_it_was() -> None:
    m = model("(float[n,8] x) => (float[n,8] y) { a = Relu (x)\n y = Relu (a) }", big=(40, 40))
    before = ir.to_proto(m).SerializeToString(deterministic=True)
    shapes_of(m)
    assert ir.to_proto(m).SerializeToString(deterministic=True) == before


def test_branches_with_equal_names_are_told_apart() -> None:
    m = model(
        """(bool c, float[2,3] x) => (float[] y) {
           y = If (c) <then_branch = t () => (float[] p) { a = Transpose (x)
                                                           p = Relu (a) },
                       else_branch = e () => (float[] q) { a = Relu (x)
                                                           q = Neg (a) }>
        }"""
    )
    shapes = shapes_of(m)
    inner = m.graph[0].attributes["then_branch"].as_graph()[0].outputs[0]
    other = m.graph[0].attributes["else_branch"].as_graph()[0].outputs[0]
    assert shapes.dims(inner) == (3, 2)
    assert shapes.dims(other) == (2, 3)
