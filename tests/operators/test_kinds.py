"""What kind an operator is, held to onnx.reference on small random tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.graph.dims import Dims
from normonnx.operators.table import FACTS

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(5)


def _real(*shape: int) -> Array:
    return RANDOM.uniform(0.1, 0.9, shape)


def _whole(*shape: int) -> Array:
    return RANDOM.integers(0, 3, shape)


def _truth(*shape: int) -> Array:
    return RANDOM.integers(0, 2, shape).astype(bool)


def _ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


Inputs = list[Array]
Case = tuple[Callable[[], Inputs], dict[str, Any]]


def _one(**attributes: Any) -> Case:
    return lambda: [_real(3, 4)], attributes


def _two(**attributes: Any) -> Case:
    return lambda: [_real(3, 4), _real(3, 4)], attributes


TRUTHS: Case = (lambda: [_truth(3, 4), _truth(3, 4)], {})
INTEGERS: Case = (lambda: [_whole(3, 4), _whole(3, 4)], {})
SPECIAL: dict[str, Case] = {
    **dict.fromkeys("And Or Xor".split(), TRUTHS),
    **dict.fromkeys("BitwiseAnd BitwiseOr BitwiseXor".split(), INTEGERS),
    "Acosh": (lambda: [1 + _real(3, 4)], {}),
    "BatchNormalization": (lambda: [_real(2, 3, 4), *(_real(3) for _ in range(4))], {}),
    "BitShift": (
        lambda: [_whole(3, 4).astype(np.uint32), _whole(3, 4).astype(np.uint32)],
        {"direction": "LEFT"},
    ),
    "BitwiseNot": (lambda: [_whole(3, 4)], {}),
    "AffineGrid": (lambda: [_real(1, 2, 3), _ints(1, 1, 3, 4)], {}),
    "CenterCropPad": (lambda: [_real(3, 4), _ints(2, 6)], {}),
    "DeformConv": (
        lambda: [
            *(_real(1, 1, 3, 3), _real(1, 1, 2, 2), _real(1, 8, 2, 2)),
            *(_real(1), _real(1, 4, 2, 2)),
        ],
        {"kernel_shape": [2, 2]},
    ),
    "GridSample": (lambda: [_real(1, 1, 3, 3), _real(1, 2, 2, 2)], {}),
    "MaxUnpool": (
        lambda: [_real(1, 1, 1, 2), _ints(1, 6).reshape(1, 1, 1, 2)],
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    ),
    "Cast": _one(to=onnx.TensorProto.INT64),
    "Clip": (lambda: [_real(3, 4), np.array(0.3), np.array(0.6)], {}),
    "Col2Im": (lambda: [_real(1, 4, 4), _ints(4, 4), _ints(2, 2)], {"strides": [2, 2]}),
    "Compress": (lambda: [_real(3, 4), np.array([True, False, True])], {"axis": 0}),
    "Concat": _two(axis=1),
    "Conv": (lambda: [_real(1, 2, 5, 5), _real(3, 2, 3, 3), _real(3)], {}),
    "ConvTranspose": (lambda: [_real(1, 2, 5, 5), _real(2, 3, 3, 3), _real(3)], {}),
    "CumSum": (lambda: [_real(3, 4), np.array(1)], {}),
    "AveragePool": (lambda: [_real(1, 2, 6, 6)], {"kernel_shape": [2, 2]}),
    "DepthToSpace": (lambda: [_real(1, 4, 2, 3)], {"blocksize": 2}),
    "Dropout": _one(),
    "Einsum": (lambda: [_real(3, 4), _real(4, 2)], {"equation": "ij,jk->ik"}),
    "Expand": (lambda: [_real(3, 1), _ints(2, 3, 4)], {}),
    "Gather": (lambda: [_real(3, 4), _ints(2, 0)], {}),
    "GatherElements": (lambda: [_real(3, 4), _whole(3, 4)], {"axis": 0}),
    "GatherND": (lambda: [_real(3, 4), _whole(2, 2)], {}),
    "Gemm": (lambda: [_real(3, 4), _real(4, 2), _real(3, 2)], {}),
    "GlobalAveragePool": (lambda: [_real(1, 2, 3, 4)], {}),
    "GroupNormalization": (lambda: [_real(2, 4, 3), _real(4), _real(4)], {"num_groups": 2}),
    "InstanceNormalization": (lambda: [_real(2, 3, 4), _real(3), _real(3)], {}),
    "LayerNormalization": (lambda: [_real(3, 4), _real(4), _real(4)], {}),
    "MatMul": (lambda: [_real(3, 4), _real(4, 2)], {}),
    "Mod": _two(fmod=1),
    "Not": (lambda: [_truth(3, 4)], {}),
    "OneHot": (lambda: [_whole(3), np.array(4), _real(2)], {}),
    "Pad": (lambda: [_real(3, 4), _ints(1, 0, 0, 2), np.array(0.5)], {}),
    "RMSNormalization": (lambda: [_real(3, 4), _real(4)], {}),
    "ReduceMean": (lambda: [_real(3, 4), _ints(1)], {}),
    "ReduceSum": (lambda: [_real(3, 4), _ints(1)], {}),
    "Reshape": (lambda: [_real(3, 4), _ints(2, -1)], {}),
    "ReverseSequence": (lambda: [_real(3, 4), _ints(1, 2, 3, 2)], {}),
    "Resize": (
        lambda: [_real(1, 1, 3, 4), _real(0), _real(0), _ints(1, 1, 6, 8)],
        {"mode": "linear"},
    ),
    "ScatterElements": (lambda: [_real(3, 4), _whole(1, 4), _real(1, 4)], {}),
    "ScatterND": (lambda: [_real(3, 4), _ints(2, 0).reshape(2, 1), _real(2, 4)], {}),
    "Slice": (lambda: [_real(3, 4), _ints(1), _ints(4), _ints(1)], {}),
    "SpaceToDepth": (lambda: [_real(1, 1, 4, 4)], {"blocksize": 2}),
    "Split": _one(axis=1, num_outputs=2),
    "Squeeze": (lambda: [_real(3, 1, 4), _ints(1)], {}),
    "Tile": (lambda: [_real(3, 4), _ints(2, 1)], {}),
    "Transpose": _one(),
    "Trilu": (lambda: [_real(3, 4)], {}),
    "Unsqueeze": (lambda: [_real(3, 4), _ints(0)], {}),
    "Where": (lambda: [_truth(3, 4), _real(3, 4), _real(3, 4)], {}),
}
NOT_TRIED = {
    "Scatter": "the old name of ScatterElements",
    "TensorScatter": "of opset 24",
    "Upsample": "gone since opset 10",
    **dict.fromkeys(
        """ConcatFromSequence SequenceAt SequenceConstruct SequenceErase SequenceInsert
        SplitToSequence Optional OptionalGetElement""".split(),
        "its values are no tensors",
    ),
}


def _case(name: str) -> Case:
    if name in SPECIAL:
        return SPECIAL[name]
    inputs = onnx.defs.get_schema(name).inputs
    variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
    both = len(inputs) > 1 or inputs[0].option == variadic
    return _two() if both else _one()


def _run(name: str, inputs: Inputs, attributes: dict[str, Any]) -> list[Array]:
    names = [f"x{i}" for i in range(len(inputs))]
    outputs = ["y", "z"] if name == "Split" else ["y"]
    node = onnx.helper.make_node(name, names, outputs, **attributes)
    infos = [
        onnx.helper.make_tensor_value_info(
            one, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for one, array in zip(names, inputs, strict=True)
    ]
    ends = [onnx.helper.make_empty_tensor_value_info(one) for one in outputs]
    graph = onnx.helper.make_graph([node], "g", infos, ends)
    opsets = [onnx.helper.make_opsetid("", 23)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    feeds = dict(zip(names, inputs, strict=True))
    return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feeds)]


def _named(kind: str) -> list[str]:
    return [
        name
        for (domain, name), facts in FACTS.items()
        if not domain and getattr(facts, kind) and name not in NOT_TRIED
    ]


@pytest.mark.parametrize("name", _named("elementwise"))
def test_an_element_depends_on_those_at_its_place_alone(name: str) -> None:
    draw, attributes = _case(name)
    inputs, others = draw(), draw()
    (y,) = _run(name, inputs, attributes)
    assert y.shape == (3, 4)
    for index, array in enumerate(inputs):
        if array.shape != (3, 4):
            continue
        mixed = list(inputs)
        mixed[index] = array.copy()
        mixed[index][1, 2] = others[index][1, 2]
        (changed,) = _run(name, mixed, attributes)
        np.testing.assert_array_equal(
            np.delete(y.reshape(-1), 6), np.delete(changed.reshape(-1), 6)
        )


@pytest.mark.parametrize("name", _named("linear_in"))
def test_it_is_affine_in_each_of_these_inputs(name: str) -> None:
    draw, attributes = _case(name)
    facts, inputs, others = FACTS["", name], draw(), draw()
    tried = [i for i in range(len(inputs)) if i in facts.linear_in]
    assert tried
    together = [tried] if facts.linear_jointly else []
    for indices in (*([i] for i in tried), *together):
        a, b, total, nothing = (list(inputs) for _ in range(4))
        for i in indices:
            b[i], total[i] = others[i], inputs[i] + others[i]
            nothing[i] = np.zeros_like(inputs[i])
        ends = (_run(name, one, attributes) for one in (a, b, total, nothing))
        for ya, yb, y, zero in zip(*ends, strict=True):
            np.testing.assert_allclose(y, ya + yb - zero, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", _named("moves"))
def test_what_moves_elements_has_no_others(name: str) -> None:
    draw, attributes = _case(name)
    inputs = draw()
    moved = [inputs[i] for i in range(len(inputs)) if i in FACTS["", name].moves]
    assert moved
    allowed = np.unique(np.concatenate([[0.0], *(array.reshape(-1) for array in moved)]))
    for y in _run(name, inputs, attributes):
        assert np.isin(y, allowed).all()


def test_whatever_is_not_tried_is_there() -> None:
    assert all(("", name) in FACTS for name in NOT_TRIED)


class Recorded:
    """What is known of the inputs of one node, all of which are there."""

    def __init__(self, node: ir.Node, inputs: Inputs) -> None:
        self._arrays: dict[ir.Value | None, Array] = dict(zip(node.inputs, inputs, strict=True))

    def dims(self, value: ir.Value | None) -> Dims | None:
        array = self._arrays.get(value)
        return None if array is None else array.shape

    def rank(self, value: ir.Value | None) -> int | None:
        dims = self.dims(value)
        return None if dims is None else len(dims)

    def static(self, value: ir.Value | None) -> tuple[int, ...] | None:
        array = self._arrays.get(value)
        return None if array is None else array.shape

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        array = self._arrays.get(value)
        return None if array is None else ir.DataType.from_numpy(array.dtype)

    def vector(self, value: ir.Value | None) -> Dims | None:
        array = self._arrays.get(value)
        if array is None or array.dtype != np.int64 or array.ndim > 1:
            return None
        return tuple(int(number) for number in array.reshape(-1))


KINDS = ("elementwise", "linear_in", "moves")


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            name
            for kind in KINDS
            for name in _named(kind)
            if FACTS["", name].dims or FACTS["", name].dims_of_each
        }
    ),
)
def test_the_rule_for_dimensions_gives_the_shape_that_comes_out(name: str) -> None:
    facts = FACTS["", name]
    draw, attributes = _case(name)
    inputs = draw()
    node = ir.node(name, [ir.Value(name=f"x{i}") for i in range(len(inputs))], attributes)
    node.outputs[0].name = "y"
    known = Recorded(node, inputs)
    ys = _run(name, inputs, attributes)
    if facts.dims_of_each is not None:
        node = ir.node(name, node.inputs, attributes, num_outputs=len(ys))
        found = facts.dims_of_each(known, node)
    else:
        assert facts.dims is not None
        found = [facts.dims(known, node)]
    for dims, y in zip(found, ys, strict=True):
        assert dims is not None
        # What is no number is left open, and may be any.
        assert len(dims) == y.ndim
        numbers = [d if isinstance(d, int) else size for d, size in zip(dims, y.shape, strict=True)]
        assert tuple(numbers) == y.shape
