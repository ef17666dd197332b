"""NX201: what depends on constants alone is stored, by value, within a budget."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import normonnx
from tests.networks.execution import opened
from tests.simplify.comparing import initializers, operators, simplified, written

_UNIT = 2.0**-23


def test_a_weight_that_is_computed() -> None:
    rng = np.random.default_rng(1)
    w, k = rng.standard_normal((5, 4)).astype(np.float32), np.float32([2, 0.3, 7, 1, 0.1])
    model = written(
        """g (float[n,4] x) => (float[n,5] y) {
        t = Transpose <perm=[1,0]> (w) s = Sqrt (k) v = Mul (t, s) y = MatMul (x, v) }""",
        w=w, k=k,
    )  # fmt: skip
    made = simplified(model, [(3, 4)], part=8 * _UNIT)
    assert operators(made) == "MatMul"
    (weight,) = initializers(made).values()
    exact = w.T.astype(np.float64) * np.sqrt(k.astype(np.float64))
    assert np.array_equal(weight, exact.astype(np.float32))  # rounded once


@pytest.mark.parametrize(
    ("body", "weights", "expected"),
    [
        ("c = Mul (a, b)", {"a": np.int32(2_000_000_000), "b": np.int32(3)}, np.int32(1705032704)),
        ("c = Add (a, b)", {"a": np.uint8([250]), "b": np.uint8([10])}, np.uint8([4])),
        ("c = Div (a, b)", {"a": np.int64([-7, 7]), "b": np.int64(2)}, np.int64([-3, 3])),
        ("c = Mod (a, b)", {"a": np.int64([-7, 7]), "b": np.int64(3)}, np.int64([2, 1])),
        (
            "d = Cast <to=10> (a) c = Cast <to=1> (d)",
            {"a": np.float32([0.1, 1e5, 1e-9, -0.0])},
            np.float32([0.1, 1e5, 1e-9, -0.0]).astype(np.float16).astype(np.float32),
        ),
        (
            "d = Cast <to=7> (a) c = Cast <to=1> (d)",
            {"a": np.float32([-1.7, 2.5])},
            np.float32([-1, 2]),
        ),
        ("c = Shape (a)", {"a": np.zeros((2, 0, 3), np.float32)}, np.int64([2, 0, 3])),
        ("c = Range (a, b, d)", {"a": np.int64(5), "b": np.int64(0), "d": np.int64(-2)},
         np.int64([5, 3, 1])),
        ("c = NonZero (a)", {"a": np.float32([[0, 1], [2, 0]])}, np.int64([[0, 1], [1, 0]])),
        ("c = And (a, b)", {"a": np.bool_([1, 1, 0]), "b": np.bool_([1, 0, 0])},
         np.bool_([1, 0, 0])),
    ],
)  # fmt: skip
def test_types_compute_as_they_do(
    body: str, weights: dict[str, np.ndarray], expected: np.ndarray
) -> None:
    """Integers wrap and divide towards zero, casts round; beside the value of ONNX Runtime."""
    model = written(f"g (float[1] x) => () {{ y = Neg (x) {body} }}", **weights)
    kind = helper.np_dtype_to_tensor_dtype(expected.dtype)
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Identity", ["c"], ["z"]))
    model.graph.output.append(helper.make_tensor_value_info("z", kind, expected.shape))
    made = simplified(model, [(1,)])
    feeds = {"x": np.zeros(1, np.float32)}
    for one in (model, made):
        _, z = opened(one).run(["y", "z"], feeds)
        assert z.dtype == expected.dtype
        assert np.array_equal(z, expected)
    assert operators(made) in ("Neg", "Neg Identity")


def test_a_mask_of_infinities() -> None:
    mask = np.array([[0, 1], [0, 0]], bool)
    model = written(
        """g (float[2,2] x) => (float[2,2] y) {
        m = Where (mask, low, zero) a = Add (x, m) y = Softmax <axis=-1> (a) }""",
        mask=mask, low=np.float32(-np.inf), zero=np.float32(0),
    )  # fmt: skip
    made = simplified(model, [(2, 2)])
    assert operators(made) == "Add Softmax"
    expected = np.where(mask, -np.inf, 0).astype(np.float32)
    assert np.array_equal(*initializers(made).values(), expected)


def test_not_a_number_is_left() -> None:
    model = written(
        "g (float[1] x) => (float[1] y) { c = Sqrt (k) y = Add (x, c) }", k=np.float32([-1])
    )
    assert operators(simplified(model, [(1,)])) == "Sqrt Add"


@pytest.mark.parametrize(
    "kind", ["RandomNormal <seed=1.0, shape=[4]> ()", "RandomUniformLike <seed=1.0> (k)",
             "Bernoulli <seed=1.0> (k)"]
)  # fmt: skip
def test_what_is_random_stays(kind: str) -> None:
    """Also where a seed makes it the same in every session."""
    model = written(
        f"g (float[4] x) => (float[4] y) {{ r = {kind} c = Abs (r) y = Add (x, c) }}",
        k=np.float32([0.5] * 4),
    )
    assert kind.split()[0] in operators(simplified(model, [(4,)]))


_OVERRIDABLE = "g (float[4] x, float[4] k) => (float[4] y) { c = Sqrt (k) y = Add (x, c) }"


def test_what_a_caller_may_override_is_no_constant() -> None:
    model = written(_OVERRIDABLE, k=np.float32([1, 4, 9, 16]))
    made = simplified(model, [(4,)])
    assert operators(made) == "Sqrt Add"
    feeds = {"x": np.zeros(4, np.float32), "k": np.float32([4, 4, 4, 4])}
    assert np.array_equal(opened(made).run(None, feeds)[0], [2, 2, 2, 2])


def test_unless_it_is_frozen() -> None:
    model = written(_OVERRIDABLE, k=np.float32([1, 4, 9, 16]))
    result = normonnx.optimize(model, verify=False, freeze_initializers=True)
    made = onnx.ModelProto.FromString(result.to_bytes(unverified=True))
    assert operators(made) == "Add"
    assert [value.name for value in made.graph.input] == ["x"]


def test_a_constant_does_not_grow_into_megabytes() -> None:
    shape = np.int64([512, 512])
    fill = written(
        "g (float[512,512] x) => (float[512,512] y) { c = ConstantOfShape (s) y = Add (x, c) }",
        s=shape,
    )
    grown = written(
        "g (float[512,512] x) => (float[512,512] y) { c = Expand (k, s) y = Mul (x, c) }",
        s=shape, k=np.float32([3]),
    )  # fmt: skip
    for model in (fill, grown):
        made = simplified(model, [(512, 512)])
        assert len(made.SerializeToString()) < 1 << 12


def test_a_large_weight_may_be_another_large_one() -> None:
    """It is no larger than what goes with it."""
    w = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
    model = written(
        "g (float[1,300] x) => (float[1,300] y) { t = Transpose (w) y = MatMul (x, t) }", w=w
    )
    made = simplified(model, [(1, 300)], part=300 * _UNIT)
    assert operators(made) == "MatMul"
    assert len(made.SerializeToString()) < len(model.SerializeToString()) + 100


def test_constants_of_a_branch() -> None:
    model = written(
        """g (float[2] x, bool c) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] u) {
                        i = Constant <value = float[2] {4.0, 9.0}> () j = Sqrt (i) u = Add (x, j) },
                    else_branch = e () => (float[2] v) { h = Sqrt (k) v = Mul (x, h) }> }""",
        k=np.float32([4, 16]),
    )
    made = simplified(model, [(2,), ()])
    assert operators(made) == "If Mul Add"
    assert sorted(a.tolist() for a in initializers(made).values()) == [[2, 3], [2, 4]]


def test_an_output_of_a_branch_stays_computed() -> None:
    """Runtimes want a branch to compute what it gives."""
    model = written(
        """g (bool c) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] u) { u = Sqrt (k) },
                    else_branch = e () => (float[2] v) { v = Neg (k) }> }""",
        k=np.float32([4, 16]),
    )
    assert operators(simplified(model, [()])) == "If Neg Sqrt"


def test_an_output_that_is_constant() -> None:
    model = written(
        "g (float[2] x) => (float[2] y, float[2] z) { y = Neg (x) z = Sqrt (k) }",
        k=np.float32([4, 16]),
    )
    made = simplified(model, [(2,)])
    assert operators(made) == "Neg"
    assert np.array_equal(opened(made).run(["z"], {"x": np.zeros(2, np.float32)})[0], [2, 4])


@pytest.mark.parametrize("ir", [3, 4, 8])
def test_constant_nodes_become_initializers(ir: int) -> None:
    """IR version 3 wants each initializer to be an input: it is raised."""
    model = written(
        "g (float[2] x) => (float[2] y) { k = Constant <value = float[2] {1.0, 2.0}> () "
        "y = Pow (x, k) }",
        ir=ir,
        opset=8,
    )
    made = simplified(model, [(2,)])
    assert operators(made) == "Pow"
    assert made.ir_version == max(ir, 4)


@pytest.mark.parametrize(
    "given",
    [
        {"value_float": 1.5}, {"value_floats": [1.5, 2.0]}, {"value_int": 3},
        {"value_ints": [3, 4]}, {"value": numpy_helper.from_array(np.float32([1, 2]))},
    ],
)  # fmt: skip
def test_every_form_of_a_constant(given: dict[str, object]) -> None:
    (array,) = ([value] if np.isscalar(value) else value for value in given.values())
    kind = TensorProto.INT64 if "int" in next(iter(given)) else TensorProto.FLOAT
    nodes = [
        helper.make_node("Constant", [], ["k"], **given),
        helper.make_node("Add", ["x", "k"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, [2])],
        [helper.make_tensor_value_info("y", kind, [2])],
    )  # fmt: skip
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    assert array is not None
    assert operators(simplified(model, [(2,)])) == "Add"


def test_texts_and_sparse_tensors_stay_as_they_are() -> None:
    model = written(
        """g (string[1] x) => (bool[1] y) {
        k = Constant <value_string = "a"> () s = Identity (k) y = Equal (x, s) }""",
        opset=19,
    )
    made = simplified(model)
    assert operators(made)[-5:] == "Equal"
    words = helper.make_tensor("w", TensorProto.STRING, [2], [b"a", b"b"])
    model = written(
        "g (string[1] x) => (bool[1] y) { s = Gather (w, i) y = Equal (x, s) }",
        opset=19, i=np.int64([1]),
    )  # fmt: skip
    model.graph.initializer.append(words)
    assert operators(simplified(model)) == "Gather Equal"


def test_an_operator_of_another_domain_is_not_worked_out() -> None:
    model = written(
        "g (float[2] x) => (float[2] y) { s = Abs (k) c = my.Sqrt (s) y = Add (x, c) }",
        domains=["my"], k=np.float32([-4, 16]),
    )  # fmt: skip
    made = simplified(model)
    assert operators(made) == "Sqrt Add"
    assert [a.tolist() for a in initializers(made).values()] == [[4, 16]]


def test_metadata_and_names_follow() -> None:
    model = written(
        "g (float[2] x) => (float[2] y) { c = Sqrt (k) y = Add (x, c) }", k=np.float32([4, 16])
    )
    made = simplified(model, [(2,)])
    assert list(initializers(made)) == ["c"]


def test_indices_may_be_larger_than_what_they_are_made_of() -> None:
    """As weights may not."""
    text = "g (float[9] x) => (float[4096] y) { i = Tile (k, r) y = Gather (x, i) }"
    model = written(text, k=np.arange(1024) % 9, r=np.int64([4]))
    assert operators(simplified(model, [(9,)])) == "Gather"
    text = "g (float[4096] x) => (float[4096] y) { i = Tile (k, r) y = Mul (x, i) }"
    model = written(text, k=np.ones(1024, np.float32) / 3, r=np.int64([4]))
    assert operators(simplified(model, [(4096,)])) == "Tile Mul"


def test_a_constant_that_is_an_output_stays_a_node() -> None:
    model = written(
        "g (float[2] x) => (float[2] y, float[2] k) "
        "{ k = Constant <value = float[2] {1.5, 2.5}> () y = Add (x, k) }"
    )
    assert operators(simplified(model, [(2,)])) == "Constant Add"
