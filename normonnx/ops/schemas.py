"""ONNX schemas of the operators, for onnx's checker and shape inference.

They are not needed to use a model that carries the operators as functions; onnx keeps them per
process, so they are registered only on request. ONNX Runtime does not see them.
"""

from __future__ import annotations

import onnx
from onnx import defs
from onnx.shape_inference import InferenceContext

from normonnx.ops.operators import (
    DEFAULT_AXIS,
    DEFAULT_EPSILON,
    DOMAIN,
    DTYPES,
    OPERATORS,
    VERSION,
    Operator,
    Slot,
)


def register_schemas() -> None:
    """Make the operators known to onnx in this process; again is no harm."""
    for operator in OPERATORS.values():
        if not defs.has(operator.name, DOMAIN):
            defs.register_schema(schema_for(operator))


def deregister_schemas() -> None:
    """Make onnx forget the operators."""
    for name in OPERATORS:
        if defs.has(name, DOMAIN):
            defs.deregister_schema(name, VERSION, DOMAIN)


def schema_for(operator: Operator) -> defs.OpSchema:
    """The schema of one operator, with inference of types and of shapes, symbols included."""
    schema = defs.OpSchema(
        operator.name,
        DOMAIN,
        VERSION,
        doc=operator.doc,
        inputs=[_formal(slot) for slot in operator.inputs],
        outputs=[_formal(slot) for slot in operator.outputs],
        type_constraints=[
            ("T", _types(operator.dtype), "The type of the data."),
            ("S", _types(operator.dtype, "float"), "The type of the parameters: T, or float."),
        ],
        attributes=[
            defs.OpSchema.Attribute(
                "axis",
                onnx.helper.make_attribute("axis", DEFAULT_AXIS),
                "The first normalised axis; Scale spans them all.",
            ),
            defs.OpSchema.Attribute(
                "epsilon",
                onnx.helper.make_attribute("epsilon", DEFAULT_EPSILON),
                "Added to the variance.",
            ),
        ],
    )
    schema.set_type_and_shape_inference_function(_infer)
    return schema


def _types(dtype: str, *others: str) -> list[str]:
    names = dict.fromkeys((dtype, *others)) if dtype else DTYPES
    return [f"tensor({name})" for name in names]


def _formal(slot: Slot) -> defs.OpSchema.FormalParameter:
    option = defs.OpSchema.FormalParameterOption
    return defs.OpSchema.FormalParameter(
        slot.name,
        slot.type,
        slot.doc,
        param_option=option.Optional if slot.optional else option.Single,
    )


def _infer(context: InferenceContext) -> None:
    """Every output has the type and shape of X."""
    x = context.get_input_type(0)
    for index in range(context.get_num_outputs()):
        context.set_output_type(index, x)
