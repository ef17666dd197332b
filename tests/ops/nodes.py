"""Models of one node, feeds for them, and what they should give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from normonnx.ops.functions import FIRST_IR_VERSION, function_for
from normonnx.ops.operators import DOMAIN, OPERATORS, VERSION, Slot
from normonnx.ops.references import reference

Array = np.ndarray[Any, Any]

DTYPES = {
    "float": ir.DataType.FLOAT,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "double": ir.DataType.DOUBLE,
}
if not hasattr(onnxruntime.OrtValue, "ortvalue_from_numpy_with_onnx_type"):
    del DTYPES["bfloat16"]  # before 1.20 Python has no way to feed it
# Half a unit in the last place of a result near 1, twice over, and what float arithmetic adds.
TOLERANCES = {"float": 4e-6, "float16": 2e-3, "bfloat16": 1.6e-2, "double": 1e-11}
# (X, Scale, axis): trailing axes, one axis, axes in the middle; odd, long, 1, nothing.
SHAPES = (
    ((4, 768), (768,), -1),
    ((3, 1), (1,), -1),
    ((5, 33), (33,), 1),
    ((3, 5001), (5001,), -1),
    ((2, 3, 4, 5), (4, 5), -2),
    ((2, 3, 4, 5), (3,), 1),
    ((2, 6, 4, 5), (6, 4), -3),
    ((2, 70, 67), (70,), 1),
    ((0, 8), (8,), -1),
    ((3, 0), (0,), -1),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its operator, types, shapes and what it leaves out."""

    op_type: str
    dtype: str = "float"
    parameters: str = ""
    shape: tuple[int, ...] = (4, 64)
    scale: tuple[int, ...] = (64,)
    axis: int | None = -1
    epsilon: float | None = 1e-5
    inputs: int = 9
    outputs: int = 9

    @property
    def first_after_scale(self) -> int:
        return (-1 if self.axis is None else self.axis) % len(self.shape) + len(self.scale)

    @property
    def taken(self) -> tuple[Slot, ...]:
        return OPERATORS[self.op_type].inputs[: self.inputs]

    @property
    def given(self) -> tuple[Slot, ...]:
        return OPERATORS[self.op_type].outputs[: self.outputs]

    def type_of(self, slot: Slot) -> ir.DataType:
        return DTYPES[self.dtype if slot.type == "T" else self.parameters or self.dtype]

    def shape_of(self, slot: Slot) -> tuple[int, ...]:
        return self.shape if slot.name in ("X", "Residual", "Y", "Sum") else self.scale


def variants(op_type: str) -> list[tuple[int, int]]:
    """How many inputs and outputs a node of this operator may have."""
    operator = OPERATORS[op_type]
    required = sum(not slot.optional for slot in operator.inputs)
    return [
        (inputs, outputs)
        for inputs in range(required, len(operator.inputs) + 1)
        for outputs in range(1, len(operator.outputs) + 1)
    ]


def model(node: Node, opset: int = 17, *, function: bool = False) -> onnx.ModelProto:
    """A model of the node; `function` carries the operator's function with it."""
    attributes = {
        name: value
        for name, value in (("axis", node.axis), ("epsilon", node.epsilon))
        if value is not None
    }
    made = onnx.helper.make_node(
        node.op_type,
        [slot.name for slot in node.taken],
        [slot.name for slot in node.given],
        domain=DOMAIN,
        **attributes,
    )

    def infos(slots: Sequence[Slot]) -> list[onnx.ValueInfoProto]:
        return [
            onnx.helper.make_tensor_value_info(
                slot.name, int(node.type_of(slot)), node.shape_of(slot)
            )
            for slot in slots
        ]

    functions = []
    if function:
        names = {slot.name for slot in node.taken}
        body = function_for(
            node.op_type,
            opset,
            dtype=DTYPES[node.dtype],
            trailing=node.first_after_scale == len(node.shape),
            has_bias="Bias" in names,
            has_x_bias="XBias" in names,
            has_sum=len(node.given) > 1,
        )
        functions.append(ir.to_proto(body))
    return onnx.helper.make_model(
        onnx.helper.make_graph([made], "one", infos(node.taken), infos(node.given)),
        opset_imports=[
            onnx.helper.make_opsetid("", opset),
            onnx.helper.make_opsetid(DOMAIN, VERSION),
        ],
        functions=functions,
        ir_version=FIRST_IR_VERSION if opset <= 20 else 10,
    )


def feeds(node: Node, *, mean: float = 0.0, seed: int = 0) -> dict[str, Array]:
    """Seeded normal inputs; X about `mean`."""
    random = np.random.default_rng(seed)
    return {
        slot.name: (
            random.standard_normal(node.shape_of(slot)) + (mean if slot.name == "X" else 0)
        ).astype(node.type_of(slot).numpy())
        for slot in node.taken
    }


def expected(node: Node, given: dict[str, Array]) -> list[Array]:
    """What the node should give, in float64; sums of float and less are added in float32."""
    operator = OPERATORS[node.op_type]
    inputs = {name: array.astype(np.float64) for name, array in given.items()}
    if "Residual" in inputs and node.dtype != "double":
        spread = node.scale + (1,) * (len(node.shape) - node.first_after_scale)
        total = given["X"].astype(np.float32) + given["Residual"].astype(np.float32)
        if "XBias" in given:
            total = total + given["XBias"].astype(np.float32).reshape(spread)
        inputs["X"] = total.astype(np.float64)
        inputs["Residual"] = np.zeros_like(inputs["X"])
        inputs.pop("XBias", None)
    return list(
        reference(
            node.op_type,
            [inputs.get(slot.name) for slot in operator.inputs],
            axis=-1 if node.axis is None else node.axis,
            epsilon=1e-5 if node.epsilon is None else node.epsilon,
        )
    )[: len(node.given)]


def session(
    proto: onnx.ModelProto, library: Any = None, *, threads: int = 1, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """A quiet session on the CPU, with the library if there is one to register."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if library is not None:
        options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(node: Node, made: onnxruntime.InferenceSession, given: dict[str, Array]) -> list[Array]:
    """Run a session; bfloat16 goes in and comes out as ONNX Runtime's own tensors."""
    if not any(array.dtype == ml_dtypes.bfloat16 for array in given.values()):
        return [np.asarray(output) for output in made.run(None, given)]
    binding = made.io_binding()
    for name, array in given.items():
        if array.dtype == ml_dtypes.bfloat16:
            value = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                array.view(np.uint16), int(ir.DataType.BFLOAT16)
            )
        else:
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        binding.bind_ortvalue_input(name, value)
    outputs = []
    for slot in node.given:
        raw = np.zeros(node.shape_of(slot), np.uint16)
        value = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            raw, int(ir.DataType.BFLOAT16)
        )
        binding.bind_ortvalue_output(slot.name, value)
        outputs.append((raw, value))
    made.run_with_iobinding(binding)
    return [raw.view(ml_dtypes.bfloat16) for raw, _ in outputs]


def assert_close(node: Node, got: Sequence[Array], want: Sequence[Array]) -> None:
    """Every output within the tolerance of its type."""
    assert len(got) == len(want)
    for one, truth in zip(got, want, strict=True):
        assert one.shape == truth.shape
        error = np.abs(one.astype(np.float64) - truth) / np.maximum(1, np.abs(truth))
        assert error.max(initial=0.0) < TOLERANCES[node.dtype], node
