"""One operator by onnx.reference: the fallback of the oracle where it has no kernel of its own.

onnx.reference takes default attributes from the newest schema of an operator; here they come from
the schema that the model's operator set means.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from normonnx.operators.kernels import Array, Inputs, Outputs
from normonnx.operators.schemas import schema_of
from normonnx.oracle.execution import LacksOperatorError

_BEFORE_IT_COULD_BE_SAID: Mapping[tuple[str, str], str] = {
    ("RoiAlign", "coordinate_transformation_mode"): "output_half_pixel",
}
"""What an operator did before it had an attribute, where that is not the attribute's default."""


class BodyFoundError(Exception):
    """The operator has no implementation but a function body, which the oracle runs itself."""

    def __init__(self, body: onnx.FunctionProto) -> None:
        super().__init__(body.name)
        self.body = body


class NeedsTypesError(Exception):
    """What the operator is depends on the types of its inputs."""


def _refuse_evaluator(proto: Any) -> Any:
    """Stands where onnx.reference would build an evaluator: the body goes to the oracle."""
    raise BodyFoundError(proto)


class StockOperator:
    """An operator of onnx.reference, ready to be called.

    Args:
        node: the node without subgraphs and without references to attributes of a function.
        opsets: operator set version by domain.
        types: types of the inputs, where they are known; some function bodies depend on them.

    Raises:
        BodyFoundError: if the operator is defined by a function body.
        NeedsTypesError: if the operator cannot be found without the types of its inputs.
        LacksOperatorError: if onnx.reference does not have it.
    """

    def __init__(
        self,
        node: onnx.NodeProto,
        opsets: Mapping[str, int],
        types: Sequence[onnx.TypeProto] | None = None,
    ) -> None:
        # A tenth of a second, which a run without such an operator does not need.
        from onnx.reference import op_run, ops
        from onnx.reference.ops import aionnxml

        version = opsets.get(node.domain)
        title = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        if version is None:
            raise LacksOperatorError(title)
        try:
            if node.domain == "ai.onnx.ml":
                form = aionnxml.load_op(node.domain, node.op_type, version)
            elif node.domain == "":
                form = ops.load_op(
                    node.domain,
                    node.op_type,
                    version,
                    node=node if types is not None else None,
                    input_types=None if types is None else list(types),
                    evaluator_cls=_refuse_evaluator,  # type: ignore[arg-type]
                )
            else:
                raise LacksOperatorError(title)
        except op_run.RuntimeContextError as error:
            raise NeedsTypesError(title) from error
        except RuntimeError as error:  # none of the operator, or none of so old a version
            raise LacksOperatorError(title) from error
        self._operator = form(
            _with_defaults(node, version, form),
            {
                "log": lambda *_: None,
                "opsets": dict(opsets),
                "verbose": 0,
                "new_ops": {},
                "existing_functions": {},
                "evaluator_cls": _refuse_evaluator,
            },
        )

    def __call__(self, inputs: Inputs) -> Outputs:
        """The outputs for these inputs, None standing for an absent one."""
        outputs: Outputs = self._operator.run(*inputs)
        return outputs


def _with_defaults(node: onnx.NodeProto, version: int, form: type) -> onnx.NodeProto:
    """The node with the defaults of its own schema, as far as the implementation knows them."""
    schema = schema_of(node.domain, node.op_type, version)
    full = onnx.NodeProto()
    full.CopyFrom(node)
    known = inspect.signature(form._run).parameters if hasattr(form, "_run") else {}
    given = {a.name for a in node.attribute}
    if schema is not None and node.op_type != "Constant":
        full.attribute.extend(
            a.default_value
            for name, a in schema.attributes.items()
            if name in known and name not in given and a.default_value.name
        )
        full.attribute.extend(
            onnx.helper.make_attribute(name, did)
            for (operator, name), did in _BEFORE_IT_COULD_BE_SAID.items()
            if node.domain == "" and operator == node.op_type and name not in schema.attributes
        )
    return full


def type_of(array: Array | None) -> onnx.TypeProto:
    """The ONNX type of an array."""
    if array is None:
        return onnx.TypeProto()
    element = onnx.helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)
    return onnx.helper.make_tensor_type_proto(element, np.shape(array))
