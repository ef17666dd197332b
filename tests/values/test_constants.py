from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from normonnx.graph.nesting import walk
from normonnx.values.constants import Constants
from tests.graphs import model, proto, value

X = "(float[2,3] x) => (float[2,3] y)"


@pytest.mark.parametrize(
    ("body", "weights", "expected"),
    [
        ("k = Identity (w)", {"w": np.float32([1, 2, 3])}, [1, 2, 3]),
        ("k = Cast <to=1> (w)", {"w": np.int64([1, 2])}, [1, 2]),
        ("k = Constant <value_floats=[1.5, 2.5]> ()", {}, [1.5, 2.5]),
        ("k = Constant <value_int=7> ()", {}, 7),
        ("k = Constant <value = float[2] {3, 4}> ()", {}, [3, 4]),
        (
            "k = ConstantOfShape <value = float[1] {0.5}> (w)",
            {"w": np.int64([2, 2])},
            [[0.5, 0.5], [0.5, 0.5]],
        ),
        ("k = Expand (w, s)", {"w": np.float32([2]), "s": np.int64([3])}, [2, 2, 2]),
        ("a = Sqrt (w)\n k = Reciprocal (a)", {"w": np.float32([4, 16])}, [0.5, 0.25]),
        (
            "k = Reshape (w, s)",
            {"w": np.float32([1, 2, 3, 4]), "s": np.int64([2, 2])},
            [[1, 2], [3, 4]],
        ),
    ],
)
def test_value(body: str, weights: dict[str, np.ndarray], expected: object) -> None:
    m = model(f"{X} {{ {body}\n y = Identity (x) }}", **weights)
    constants = Constants(m)
    k = value(m, "k")
    assert constants.is_constant(k)
    array = constants.array(k)
    assert array is not None
    np.testing.assert_array_equal(array, expected)


def test_what_depends_on_an_input_is_no_constant() -> None:
    m = model(f"{X} {{ a = Add (x, w)\n y = Mul (a, w) }}", w=(3,))
    constants = Constants(m)
    assert not constants.is_constant(value(m, "x"))
    assert not constants.is_constant(value(m, "a"))
    assert constants.array(value(m, "a")) is None
    assert not constants.is_constant(None)


def test_random_numbers_are_no_constant() -> None:
    m = model(f"{X} {{ k = RandomNormal <shape=[3]> ()\n y = Add (x, k) }}")
    assert not Constants(m).is_constant(value(m, "k"))


def test_an_initializer_that_a_caller_may_override_is_no_constant_unless_frozen() -> None:
    p = proto(f"{X} {{ y = Add (x, w) }}", w=(3,))
    info = p.graph.input.add()
    info.CopyFrom(p.graph.input[0])
    info.name = "w"
    info.type.tensor_type.shape.dim.pop(0)
    m = ir.from_proto(p)
    assert not Constants(m).is_constant(value(m, "w"))
    assert Constants(m, frozen_inputs=True).is_constant(value(m, "w"))


def test_arithmetic_is_exact_in_float64() -> None:
    # 1 + 2^-30 is 1 in float32: the real number is kept.
    tiny = np.float32(2.0**-30)
    m = model(f"{X} {{ k = Add (w, one)\n y = Mul (x, k) }}", w=tiny, one=np.float32(1))
    constants = Constants(m)
    assert constants.array(value(m, "k")) == np.float32(1)
    assert constants.float64(value(m, "k")) == 1 + 2.0**-30


def test_casts_between_floats_round_nothing_in_float64() -> None:
    third = np.float32(1) / np.float32(3)
    m = model(f"{X} {{ h = Cast <to=10> (w)\n k = Cast <to=1> (h)\n y = Mul (x, k) }}", w=third)
    constants = Constants(m)
    assert constants.array(value(m, "k")) == np.float32(np.float16(third))
    assert constants.float64(value(m, "k")) == np.float64(third)


def test_bfloat16_is_read() -> None:
    m = model(f"{X} {{ k = Cast <to=1> (w)\n y = Mul (x, k) }}", w=np.float32([1]))
    m.graph.initializers["w"].const_value = ir.Tensor(
        np.array([1.5], dtype=ml_dtypes.bfloat16), dtype=ir.DataType.BFLOAT16, name="w"
    )
    assert Constants(m).float64(value(m, "k")) == 1.5


def test_expansion_bombs_are_not_worked_out() -> None:
    m = model(
        "(float x) => (float y) { k = ConstantOfShape (s)\n r = ReduceSum (k)\n y = Add (x, r) }",
        s=np.int64([1 << 20, 1 << 20]),
    )
    constants = Constants(m)
    assert constants.array(value(m, "k")) is None
    assert constants.float64(value(m, "r")) is None


def test_the_attribute_of_a_function_is_no_constant() -> None:
    m = model(
        "(float[3] x) => (float[3] y) { y = local.f <c=2.0> (x) }",
        functions='<domain: "local", opset_import: ["" : 17]> f <c> (a) => (b) '
        "{ k = Constant <value_float: float = @c> ()\n b = Mul (a, k) }",
    )
    function = next(iter(m.functions.values()))
    constants = Constants(m)
    assert not constants.is_constant(function[0].outputs[0])


def test_walk_visits_subgraphs_behind_their_node() -> None:
    m = model(
        """(bool c, float[3] x) => (float[3] y) {
           a = Relu (x)
           y = If (c) <then_branch = t () => (float[3] p) { p = Neg (a) },
                       else_branch = e () => (float[3] q) { q = Abs (a) }>
        }"""
    )
    assert [n.op_type for n in walk(m.graph)] == ["Relu", "If", "Neg", "Abs"]
