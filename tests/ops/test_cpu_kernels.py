"""The kernels of the library on the CPU, through ONNX Runtime, against float64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from nodes import (
    DTYPES,
    SHAPES,
    TOLERANCES,
    Node,
    assert_close,
    expected,
    feeds,
    model,
    run,
    session,
    variants,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,
)

from normonnx.ops.functions import FIRST_IR_VERSION
from normonnx.ops.operators import DOMAIN, UNTYPED, VERSION

TYPES = [(dtype, parameters) for dtype in DTYPES for parameters in dict.fromkeys((dtype, "float"))]


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize(("dtype", "parameters"), TYPES)
def test_every_type_and_every_optional(
    library: Path, op_type: str, dtype: str, parameters: str
) -> None:
    for inputs, outputs in variants(op_type):
        node = Node(op_type, dtype, parameters, (7, 130), (130,), inputs=inputs, outputs=outputs)
        made = session(model(node), library)
        for mean in (0.0, 50.0):
            given = feeds(node, mean=mean)
            assert_close(node, run(node, made, given), expected(node, given))


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize(("shape", "scale", "axis"), SHAPES)
def test_every_shape(
    library: Path, op_type: str, shape: tuple[int, ...], scale: tuple[int, ...], axis: int
) -> None:
    for dtype in DTYPES:
        node = Node(op_type, dtype, shape=shape, scale=scale, axis=axis)
        given = feeds(node)
        assert_close(node, run(node, session(model(node), library), given), expected(node, given))


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_every_instruction_set(library: Path, isa: str) -> None:
    environment = {**os.environ, "NORMONNX_CPU_ISA": isa, "NORMONNX_LIBRARY": str(library)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("one_isa.py"))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout.startswith("runs "):
        pytest.skip(f"this machine has no {isa}: it {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mean", [1e3, 1e5, -1e6])
@pytest.mark.parametrize("axis", [-1, 1])
def test_a_large_mean_costs_no_digits(library: Path, mean: float, axis: int) -> None:
    shape, scale = ((8, 1024), (1024,)) if axis == -1 else ((2, 512, 40), (512,))
    node = Node("FusedLayerNormalization", shape=shape, scale=scale, axis=axis)
    given = feeds(node, mean=mean)
    assert_close(node, run(node, session(model(node), library), given), expected(node, given))


def test_a_constant_row_gives_the_bias(library: Path) -> None:
    node = Node("FusedLayerNormalization", shape=(3, 100), scale=(100,))
    given = feeds(node)
    given["X"][:] = np.array([[0.1], [1e9], [-3e-30]], np.float32)
    (y,) = run(node, session(model(node), library), given)
    np.testing.assert_array_equal(y, np.tile(given["Bias"], (3, 1)))


def test_an_outlier_in_front_of_its_row(library: Path) -> None:
    node = Node("FusedLayerNormalization", shape=(4, 1024), scale=(1024,))
    given = feeds(node)
    given["X"][:, 0] = 1e4
    got, want = run(node, session(model(node), library), given), expected(node, given)
    assert np.abs(got[0] - want[0]).max() < 2e-5 * np.abs(want[0]).max()


def _rows(array: np.ndarray, axis: int) -> np.ndarray:
    return array if axis == -1 else array[0].T


@pytest.mark.parametrize("op_type", UNTYPED)
def test_what_is_not_a_number_stays_in_its_row(library: Path, op_type: str) -> None:
    for shape, scale, axis in (((6, 70), (70,), -1), ((1, 70, 6), (70,), 1)):
        node = Node(op_type, shape=shape, scale=scale, axis=axis)
        given = feeds(node)
        clean = (
            run(node, session(model(node), library), given)[0]
            .reshape(shape)
            .squeeze(0 if axis == 1 else ())
        )
        rows = np.moveaxis(given["X"], axis, -1).reshape(6, 70)
        rows = rows.copy()
        rows[1, 3], rows[4, 69] = np.nan, np.inf
        given["X"] = np.ascontiguousarray(
            rows if axis == -1 else np.moveaxis(rows.reshape(1, 6, 70), -1, 1)
        )
        dirty = run(node, session(model(node), library), given)[0].squeeze(0 if axis == 1 else ())
        if axis == 1:
            clean, dirty = clean.T, dirty.T
        assert np.isnan(dirty[1]).all()
        assert np.isnan(dirty[4]).any()
        keep = [0, 2, 3, 5]
        np.testing.assert_array_equal(dirty[keep], clean[keep])


@pytest.mark.parametrize("epsilon", [0.0, 1e-12, 1e6])
def test_epsilon(library: Path, epsilon: float) -> None:
    node = Node("FusedAddRMSNormalization", epsilon=epsilon)
    given = feeds(node)
    assert_close(node, run(node, session(model(node), library), given), expected(node, given))


def test_epsilon_zero_on_zeros_is_as_the_arithmetic_says(library: Path) -> None:
    node = Node("FusedRMSNormalization", epsilon=0.0)
    given = feeds(node) | {"X": np.zeros((4, 64), np.float32)}
    (y,) = run(node, session(model(node), library), given)
    assert np.isnan(y).all()


def test_a_sum_beyond_half_precision_is_still_normalised(library: Path) -> None:
    node = Node("FusedAddLayerNormalization", "float16", inputs=4, outputs=1)
    given = feeds(node)
    given["X"] = np.where(given["X"] > 0, 60000, 50000).astype(np.float16)
    given["Residual"] = np.full((4, 64), 30000, np.float16)
    assert_close(node, run(node, session(model(node), library), given), expected(node, given))


@pytest.mark.parametrize("dtype", ["float", "bfloat16"])
def test_a_batch_does_not_change_a_bit(library: Path, dtype: str) -> None:
    if dtype not in DTYPES:
        pytest.skip("this ONNX Runtime has no way to feed bfloat16")
    for n in (7, 130, 768, 4097):
        whole = Node("FusedAddLayerNormalization", dtype, shape=(23, n), scale=(n,))
        given = feeds(whole)
        many = run(whole, session(model(whole), library), given)
        one = Node("FusedAddLayerNormalization", dtype, shape=(1, n), scale=(n,))
        made = session(model(one), library)
        for row in (0, 1, 22):
            rows = {name: given[name][row : row + 1] for name in ("X", "Residual")}
            alone = run(one, made, {**given, **rows})
            for got, want in zip(alone, many, strict=True):
                np.testing.assert_array_equal(got[0].astype(float), want[row].astype(float))


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_results_too_large_for_the_caches(library: Path, dtype: str) -> None:
    """They go past the caches, where rows are whole vectors; others go as usual."""
    for n in (1024, 1000):
        node = Node("FusedLayerNormalization", dtype, shape=(9000, n), scale=(n,))
        given = feeds(node, mean=3.0)
        assert_close(node, run(node, session(model(node), library), given), expected(node, given))


def test_parameters_that_are_not_numbers(library: Path) -> None:
    """NaN comes through in whatever bits it has, also where it is rounded to bfloat16."""
    if "bfloat16" not in DTYPES:
        pytest.skip("this ONNX Runtime has no way to feed bfloat16")
    for n in (64, 5000):
        node = Node("FusedLayerNormalization", "bfloat16", "float", (2, n), (n,))
        given = feeds(node)
        bits = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0xFFC00000], np.uint32)
        given["Bias"][:4] = bits.view(np.float32)
        (y,) = run(node, session(model(node), library), given)
        assert np.isnan(y[:, :4].astype(float)).all()
        assert np.isfinite(y[:, 4:].astype(float)).all()


def test_threads_do_not_change_a_bit(library: Path) -> None:
    for shape, scale, axis in (((700, 768), (768,), -1), ((3, 96, 1000), (96,), 1)):
        node = Node("FusedAddLayerNormalization", shape=shape, scale=scale, axis=axis)
        given = feeds(node)
        one, four = (
            run(node, session(model(node), library, threads=threads), given) for threads in (1, 4)
        )
        np.testing.assert_array_equal(one[0], four[0])


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize("optimise", [True, False])
def test_the_same_with_and_without_the_library(library: Path, op_type: str, optimise: bool) -> None:
    for shape, scale, axis in (SHAPES[0], SHAPES[4], SHAPES[6]):
        node = Node(op_type, shape=shape, scale=scale, axis=axis)
        proto, given = model(node, function=True), feeds(node)
        kernel = run(node, session(proto, library, optimise=optimise), given)
        function = run(node, session(proto, optimise=optimise), given)
        assert_close(node, kernel, [one.astype(np.float64) for one in function])


def test_the_kernel_wins_over_the_function(library: Path) -> None:
    node = Node("FusedLayerNormalization", axis=None, epsilon=None)
    proto = model(node, function=True)
    for body in proto.functions:
        body.node.append(onnx.helper.make_node("Neg", [body.output[0]], ["negated"]))
        body.output[0] = "negated"
    given = feeds(node)
    (want,) = expected(node, given)
    assert_close(node, run(node, session(proto, library), given), [want])
    assert_close(node, run(node, session(proto), given), [-want])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Scale": (5,)}, r"Scale \[5\] is not what X \[4, 64\] has from axis -1 on"),
        ({"Scale": ()}, r"Scale \[\] is not what X"),
        ({"Bias": (63,)}, r"Bias \[63\] does not have the shape of Scale \[64\]"),
        ({"Residual": (4, 1)}, r"Residual \[4, 1\] does not have the shape of X \[4, 64\]"),
        ({"XBias": (1, 64)}, r"XBias \[1, 64\] does not have the shape of Scale"),
        ({"X": ()}, "axis -1 is not an axis of X"),
    ],
)
def test_shapes_that_do_not_fit(
    library: Path, changed: dict[str, tuple[int, ...]], message: str
) -> None:
    node = Node("FusedAddLayerNormalization")
    proto = model(node)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.ClearField("shape")
    given = feeds(node)
    given.update({name: np.ones(shape, np.float32) for name, shape in changed.items()})
    with pytest.raises((InvalidArgument, Fail), match=message):
        session(proto, library).run(None, given)


def test_an_axis_that_is_not_there(library: Path) -> None:
    node = Node("FusedRMSNormalization", axis=2)
    with pytest.raises((InvalidArgument, Fail), match="axis 2 is not an axis of X"):
        session(model(node), library).run(None, feeds(node))


def test_types_that_do_not_fit(library: Path) -> None:
    proto = model(Node("FusedRMSNormalization"))
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    with pytest.raises((InvalidGraph, Fail), match="Type Error"):
        session(proto, library)


@pytest.mark.parametrize("change", ["no Y", "no Scale", "too few", "too many"])
def test_inputs_and_outputs_that_are_not_those_of_the_operator(library: Path, change: str) -> None:
    proto = model(Node("FusedAddLayerNormalization"))
    (node,) = proto.graph.node
    if change == "no Y":
        node.output[0] = ""
        del proto.graph.output[0]
    elif change == "no Scale":
        node.input[2] = ""
    elif change == "too few":
        del node.input[2:]
    else:
        node.input.append("X")
    with pytest.raises(InvalidGraph, match="FusedAddLayerNormalization"):
        session(proto, library)


def test_a_bias_of_another_type_than_its_scale(library: Path) -> None:
    """Refused, or, by an ONNX Runtime that puts casts around the node, right."""
    node = Node("FusedLayerNormalization", "float16", "float")
    proto = model(node)
    proto.graph.input[2].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    given = feeds(node)
    given["Bias"] = given["Bias"].astype(np.float16)
    try:
        made = session(proto, library)
    except (InvalidGraph, Fail, NotImplemented) as refused:
        assert "FusedLayerNormalization" in str(refused)  # noqa: PT017
    else:
        assert_close(node, run(node, made, given), expected(node, given))


def test_symbolic_shapes_reach_the_outputs(library: Path) -> None:
    proto = model(Node("FusedAddLayerNormalization", shape=(4, 9, 64)))
    for value in (*proto.graph.input[:2], *proto.graph.output):
        value.type.tensor_type.ClearField("shape")
    shape = proto.graph.input[0].type.tensor_type.shape
    shape.dim.add().dim_param = "batch"
    shape.dim.add().dim_param = "time"
    shape.dim.add().dim_value = 64
    y, total = (output.shape for output in session(proto, library).get_outputs())
    assert y == ["batch", "time", 64]
    # Before 1.31 the library may not ask about outputs that a node can leave out: no shape.
    old = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 31)
    assert total == ([] if old else y)


def test_a_sum_of_unknown_shape_is_there(library: Path) -> None:
    node = Node("FusedAddLayerNormalization", shape=(4, 9, 64))
    proto = model(node)
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    given = feeds(node)
    assert_close(node, run(node, session(proto, library), given), expected(node, given))


_STANDARD = {
    "LayerNormalization": "FusedLayerNormalization",
    "RMSNormalization": "FusedRMSNormalization",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_onnx_backend_cases(library: Path) -> None:
    from onnx.backend.test.loader import load_model_tests

    cases = [case for case in load_model_tests(kind="node") if case.model is not None]
    if not cases:
        pytest.skip("this onnx keeps its cases in files")
    seen = 0
    for case in cases:
        if [node.op_type in _STANDARD for node in case.model.graph.node] == [True]:
            seen += 1
            proto = onnx.ModelProto.FromString(case.model.SerializeToString())
            (old,) = proto.graph.node
            op_type = _STANDARD[old.op_type]
            node = onnx.helper.make_node(op_type, list(old.input), [old.output[0]], domain=DOMAIN)
            node.attribute.extend(one for one in old.attribute if one.name != "stash_type")
            proto.graph.node[0].CopyFrom(node)
            del proto.graph.output[1:]
            # Nothing of the default domain is left, so any version of it will do.
            del proto.opset_import[:]
            proto.opset_import.extend(map(onnx.helper.make_opsetid, ("", DOMAIN), (17, VERSION)))
            proto.ir_version = FIRST_IR_VERSION
            for inputs, outputs in case.data_sets:
                names = [value.name for value in proto.graph.input]
                (y,) = session(proto, library).run(None, dict(zip(names, inputs, strict=True)))
                np.testing.assert_allclose(
                    y, outputs[0], rtol=case.rtol, atol=TOLERANCES["float"], err_msg=case.name
                )
    # onnx hands out fewer once another test has collected some of its cases in this process.
    assert seen >= 19
