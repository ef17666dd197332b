"""What ONNX Runtime is told of shapes by the library: nothing where nothing is known.

It tells an unknown rank as rank 0 and an unknown dimension as -1. Handed on, the first stopped a
third of real models from loading, and the second ended the process in a Slice (`std::clamp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from nodes import session
from onnx import TensorProto, helper

from normonnx.ops.operators import DOMAIN, OPERATORS, UNTYPED, VERSION, Operator
from normonnx.ops.references import reference

_OPSET = 13
_SIZES = (2, 3, 8)
_TYPES = {
    "float": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "double": TensorProto.DOUBLE,
}
_TOLERANCE = {"float": 1e-5, "float16": 1e-2, "double": 1e-10}

Dim = int | str | None
# How X is declared; None is an unknown rank.
_DECLARED: dict[str, Sequence[Dim] | None] = {
    "known": _SIZES,
    "partly known": (None, 3, 8),
    "known at the end": (None, None, 8),
    "symbolic": ("batch", "seq", 8),
    "symbolic and unknown": ("batch", None, None),
    "nothing but the rank": (None, None, None),
    "negative": (-1, -1, 8),
    "no rank": None,
}
# What reads Y, and what becomes of the shape [2, 3, 8].
_READERS = (
    "MatMul",
    "Reshape",
    "Flatten",
    "Concat",
    "Split",
    "Slice",
    "Slice from the end",
    "Gather",
    "Transpose",
    "Expand",
    "Shape",
)


def _constant(name: str, values: Any, dtype: Any = np.int64) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(values, dtype), name)


def _reader(reader: str, dtype: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes from y to z, and their constants."""
    node = helper.make_node
    kind = helper.tensor_dtype_to_np_dtype(_TYPES[dtype])
    if reader == "MatMul":
        weight = _constant("w", np.linspace(-1, 1, 32).reshape(8, 4), kind)
        return [node("MatMul", ["y", "w"], ["z"])], [weight]
    if reader == "Reshape":
        return [node("Reshape", ["y", "to"], ["z"])], [_constant("to", [0, -1])]
    if reader == "Flatten":
        return [node("Flatten", ["y"], ["z"], axis=2)], []
    if reader == "Concat":
        return [node("Concat", ["y", "y"], ["z"], axis=-1)], []
    if reader == "Split":
        parts = [node("Split", ["y"], ["a", "b"], axis=2), node("Add", ["a", "b"], ["z"])]
        return parts, []
    if reader.startswith("Slice"):
        ends = ([1], [3]) if reader == "Slice" else ([-3], [-1])
        bounds = [_constant("from", ends[0]), _constant("to", ends[1]), _constant("axis", [2])]
        return [node("Slice", ["y", "from", "to", "axis"], ["z"])], bounds
    if reader == "Gather":
        return [node("Gather", ["y", "at"], ["z"], axis=1)], [_constant("at", [2, 0])]
    if reader == "Transpose":
        return [node("Transpose", ["y"], ["z"], perm=[2, 0, 1])], []
    if reader == "Expand":
        return [node("Expand", ["y", "to"], ["z"])], [_constant("to", [2, 3, 8])]
    assert reader == "Shape"
    return [node("Shape", ["y"], ["s"]), node("Cast", ["s"], ["z"], to=_TYPES[dtype])], []


def _expected(reader: str, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if reader == "MatMul":
        return y @ np.linspace(-1, 1, 32).reshape(8, 4)
    if reader == "Flatten":
        return y.reshape(6, 8)
    if reader == "Split":
        return y[..., :4] + y[..., 4:]
    results = {
        "Reshape": y.reshape(2, -1),
        "Concat": np.concatenate([y, y], -1),
        "Slice": y[..., 1:3],
        "Slice from the end": y[..., -3:-1],
        "Gather": y[:, [2, 0]],
        "Transpose": y.transpose(2, 0, 1),
        "Expand": y,
        "Shape": np.asarray(y.shape, np.float64),
    }
    return results[reader]


def _model(
    operator: Operator,
    reader: str,
    declared: Sequence[Dim] | None,
    *,
    dtype: str = "float",
    place: str = "main",
    hidden: bool = False,
) -> onnx.ModelProto:
    """X → the operator → a reader; `hidden` puts a Reshape of unknown rank before all."""
    kind = _TYPES[dtype]
    names = [slot.name for slot in operator.inputs]
    wide = ("X", "Residual")
    given = [n if n not in wide or not hidden else f"{n}_hidden" for n in names]
    norm = helper.make_node(operator.name, given, ["y"], domain=DOMAIN, axis=-1, epsilon=1e-5)
    after, constants = _reader(reader, dtype)
    nodes = [norm, *after]
    before = []
    if hidden:
        before = [
            helper.make_node("Reshape", [n, "any_shape"], [f"{n}_hidden"])
            for n in names
            if n in wide
        ]
    parameters = [
        _constant(n, np.linspace(0.5, 1.5, 8), helper.tensor_dtype_to_np_dtype(kind))
        for n in names
        if n not in wide
    ]
    inputs = [helper.make_tensor_value_info(n, kind, declared) for n in names if n in wide]
    if hidden:
        inputs.append(helper.make_tensor_value_info("any_shape", TensorProto.INT64, ["rank"]))
    output = [helper.make_tensor_value_info("z", kind, None)]
    imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, VERSION)]
    functions = []
    stored = [*parameters, *constants]
    if place == "function":
        held = [helper.make_node("Constant", [], [c.name], value=c) for c in constants]
        function = helper.make_function("local", "F", given, ["z"], [*held, *nodes], imports)
        functions.append(function)
        nodes = [helper.make_node("F", given, ["z"], domain="local")]
        imports = [*imports, helper.make_opsetid("local", 1)]
        stored = parameters
    elif place == "branch":
        result = [helper.make_tensor_value_info("z", kind, None)]
        then = helper.make_graph(nodes, "then", [], result)
        other = helper.make_graph(
            [helper.make_node("Neg", ["X"], ["other"])],
            "else",
            [],
            [helper.make_tensor_value_info("other", kind, None)],
        )
        inputs.append(helper.make_tensor_value_info("which", TensorProto.BOOL, []))
        nodes = [
            helper.make_node("If", ["which"], ["z"], then_branch=then, else_branch=other),
        ]
    graph = helper.make_graph([*before, *nodes], "g", inputs, output, initializer=stored)
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8)


def _check(model: onnx.ModelProto, operator: Operator, reader: str, dtype: str, lib: Path) -> None:
    """It loads and gives what it should, with ONNX Runtime's optimisations off and on."""
    random = np.random.default_rng(1)
    kind = helper.tensor_dtype_to_np_dtype(_TYPES[dtype])
    values = {
        slot.name: random.standard_normal(_SIZES).astype(kind)
        if slot.name in ("X", "Residual")
        else np.linspace(0.5, 1.5, 8).astype(kind)
        for slot in operator.inputs
    }
    y = reference(operator.name, [values[slot.name] for slot in operator.inputs])[0]
    wanted = _expected(reader, y)
    feeds = {i.name: values.get(i.name) for i in model.graph.input}
    feeds |= {"which": np.asarray(True), "any_shape": np.asarray(_SIZES, np.int64)}
    for optimise in (False, True):
        made = session(model, lib, optimise=optimise)
        taken = {i.name: feeds[i.name] for i in made.get_inputs()}
        (z,) = made.run(None, taken)
        assert z.shape == wanted.shape
        np.testing.assert_allclose(
            z.astype(np.float64), wanted, rtol=_TOLERANCE[dtype], atol=_TOLERANCE[dtype]
        )


@pytest.mark.parametrize("reader", _READERS)
@pytest.mark.parametrize("declared", _DECLARED)
@pytest.mark.parametrize("op_type", UNTYPED)
def test_whatever_is_declared_of_x(op_type: str, declared: str, reader: str, library: Path) -> None:
    operator = UNTYPED[op_type]
    model = _model(operator, reader, _DECLARED[declared])
    _check(model, operator, reader, "float", library)


@pytest.mark.parametrize("place", ["main", "branch", "function"])
@pytest.mark.parametrize("reader", _READERS)
@pytest.mark.parametrize("op_type", UNTYPED)
def test_a_rank_that_only_running_tells(
    op_type: str, reader: str, place: str, library: Path
) -> None:
    operator = UNTYPED[op_type]
    model = _model(operator, reader, ("batch", "seq", 8), place=place, hidden=True)
    _check(model, operator, reader, "float", library)


@pytest.mark.parametrize("declared", _DECLARED)
@pytest.mark.parametrize("place", ["branch", "function"])
@pytest.mark.parametrize("op_type", UNTYPED)
def test_in_subgraphs_and_functions(op_type: str, place: str, declared: str, library: Path) -> None:
    operator = UNTYPED[op_type]
    model = _model(operator, "Slice from the end", _DECLARED[declared], place=place)
    _check(model, operator, "Slice from the end", "float", library)


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("op_type", UNTYPED)
def test_the_types_of_the_outputs_follow(op_type: str, dtype: str, library: Path) -> None:
    """Under the plain name and under that of the type."""
    for name in (op_type, f"{op_type}_{dtype}"):
        operator = OPERATORS[name]
        model = _model(operator, "MatMul", None, dtype=dtype, hidden=True)
        _check(model, operator, "MatMul", dtype, library)


@pytest.mark.parametrize("op_type", UNTYPED)
def test_symbols_stay(op_type: str, library: Path) -> None:
    model = _model(UNTYPED[op_type], "Transpose", ("batch", "seq", 8))
    assert session(model, library).get_outputs()[0].shape == [8, "batch", "seq"]
    model = _model(UNTYPED[op_type], "Transpose", _SIZES)
    assert session(model, library).get_outputs()[0].shape == [8, 2, 3]


@pytest.mark.parametrize("op_type", UNTYPED)
def test_unknown_dimensions_are_not_taken_for_equal(op_type: str, library: Path) -> None:
    """A dimension without a name is its own: one name for two of them would say they agree."""
    model = _model(UNTYPED[op_type], "Transpose", (None, None, 8))
    shape = session(model, library).get_outputs()[0].shape
    assert shape[0] == 8
    assert not any(isinstance(one, int) and one < 0 for one in shape)
    assert shape[1] is None or shape[1] != shape[2]


@pytest.mark.parametrize("op_type", [name for name, one in UNTYPED.items() if one.residual])
def test_the_sum_has_the_shape_of_x(op_type: str, library: Path) -> None:
    model = _model(UNTYPED[op_type], "Transpose", ("batch", "seq", 8))
    del model.graph.node[1:]
    model.graph.node[0].output.append("z")
    made = session(model, library)
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 31):
        assert made.get_outputs()[0].shape == ["batch", "seq", 8]
    feeds = {i.name: np.ones(_SIZES, np.float32) for i in made.get_inputs()}
    assert made.run(None, feeds)[0].shape == _SIZES


def test_names_are_for_their_type_alone(library: Path) -> None:
    model = _model(OPERATORS["FusedRMSNormalization_float16"], "MatMul", _SIZES, dtype="float")
    with pytest.raises(Exception, match="Type"):
        session(model, library)
