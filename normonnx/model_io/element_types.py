"""Whether the inputs of a node that must be of one type are: no runtime loads a model where not.

Types are followed from inputs and initializers through the main graph, as far as the schemas of
the operators name them. What they leave open (a Cast, control flow) is taken as it is, and so are
opsets that are older than what runtimes promise to load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cache

import onnx
from msgspec import Struct
from onnx import ModelProto, NodeProto, TensorProto

from normonnx.errors import InvalidModelError
from normonnx.model_io.opset_imports import plain

_Parameter = onnx.defs.OpSchema.FormalParameter
_FIRST_OPSET = 7
_VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic


class _Variables(Struct, frozen=True):
    """The type that each input and output of an operator has, by its name in the schema.

    Attributes:
        inputs, outputs: "" where the schema does not name one for all nodes.
        rest_of_inputs, rest_of_outputs: of those beyond.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rest_of_inputs: str
    rest_of_outputs: str


@cache
def _variables(domain: str, op_type: str, version: int) -> _Variables | None:
    """None for an operator that onnx does not know."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    named = {constraint.type_param_str for constraint in schema.type_constraints}

    def of(parameters: Sequence[_Parameter]) -> tuple[tuple[str, ...], str]:
        names = tuple(p.type_str if _is_one_type(p, named) else "" for p in parameters)
        is_open = bool(parameters) and parameters[-1].option == _VARIADIC
        return names, names[-1] if is_open else ""

    (inputs, more_inputs), (outputs, more_outputs) = of(schema.inputs), of(schema.outputs)
    return _Variables(inputs, outputs, more_inputs, more_outputs)


def _is_one_type(parameter: _Parameter, named: Set[str]) -> bool:
    """Whether all that stands here has the type that the schema names."""
    is_mixed = parameter.option == _VARIADIC and not parameter.is_homogeneous
    return parameter.type_str in named and not is_mixed


def refuse_mixed_types(model: ModelProto, where: str) -> None:
    """Refuse a node of the main graph whose inputs are of two types where they must be of one.

    Args:
        model: its operator sets are each imported once.
        where: what the error should name.

    Raises:
        InvalidModelError: there is one.
    """
    versions = {plain(entry.domain): entry.version for entry in model.opset_import}
    if versions.get("", _FIRST_OPSET) < _FIRST_OPSET:
        return
    types = {
        info.name: info.type.tensor_type.elem_type
        for info in model.graph.input
        if info.type.HasField("tensor_type")
    }
    types.update((tensor.name, tensor.data_type) for tensor in model.graph.initializer)
    types.pop("", None)
    for node in model.graph.node:
        domain = plain(node.domain)
        version = versions.get(domain)
        form = None if version is None else _variables(domain, node.op_type, version)
        if form is None:
            continue
        bound = _bound(node, form, types, where)
        for name, variable in _pairs(node.output, form.outputs, form.rest_of_outputs):
            if variable in bound:
                types[name] = types[bound[variable]]


def _bound(
    node: NodeProto, form: _Variables, types: Mapping[str, int], where: str
) -> dict[str, str]:
    """An input that has each type of the operator."""
    bound: dict[str, str] = {}
    for name, variable in _pairs(node.input, form.inputs, form.rest_of_inputs):
        if not types.get(name):
            continue
        first = bound.setdefault(variable, name)
        if types[first] != types[name]:
            told = (f"{n!r} is {TensorProto.DataType.Name(types[n])}" for n in (first, name))
            raise InvalidModelError(
                f"{node.op_type} node {node.name!r} needs inputs of one type, "
                f"and {' and '.join(told)}",
                where=where,
                hint="put a Cast before one of them",
            )
    return bound


def _pairs(names: Sequence[str], variables: tuple[str, ...], rest: str) -> list[tuple[str, str]]:
    """Names of values with the types that they have by the schema, where it names one."""
    beyond = (rest,) * max(len(names) - len(variables), 0)
    paired = zip(names, (*variables, *beyond), strict=False)
    return [(name, variable) for name, variable in paired if name and variable]
