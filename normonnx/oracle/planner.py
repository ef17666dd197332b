"""How each node of a graph is computed: by a kernel, by its function, or by onnx.reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.kernels import Call, Inputs, Kernel, Outputs
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import schema_of
from normonnx.operators.table import facts_of
from normonnx.oracle import control_flow, promotion
from normonnx.oracle.execution import (
    Attributes,
    Frame,
    LacksOperatorError,
    Plan,
    Runner,
    Step,
    Weights,
    walk,
)
from normonnx.oracle.reference import (
    BodyFoundError,
    NeedsTypesError,
    StockOperator,
    type_of,
)

_TYPED: dict[tuple[str, str], Kernel] = {
    ("", "Constant"): promotion.constant,
    ("", "ConstantOfShape"): promotion.constant_of_shape,
}
_CASTS = frozenset(("Cast", "CastLike"))
# Meaningless on a value that is carried in another type than the model's.
_BITWISE = frozenset(("BitCast",))


class Planner:
    """Prepares graphs to run.

    Args:
        functions: the functions of the model.
        exact_attributes: float attributes of nodes as they were meant, before float32.

    Attributes:
        missing: operators met so far that nothing here computes.
    """

    def __init__(
        self,
        functions: Mapping[ir.OperatorIdentifier, ir.Function],
        *,
        exact_attributes: Mapping[ir.Node, Mapping[str, float]] | None = None,
    ) -> None:
        self._functions = functions
        self._exact_attributes = exact_attributes or {}
        self._plans: dict[ir.OperatorIdentifier, Plan] = {}
        self.missing: set[str] = set()

    def plan(self, graph: ir.Graph | ir.GraphView | ir.Function, opsets: Mapping[str, int]) -> Plan:
        """Prepare a graph: a runner for each node, and when each value is dropped."""
        steps = [Step(node, self._runner(node, opsets)) for node in graph]
        local = {v for step in steps for v in step.node.outputs} | set(graph.inputs)
        local -= set(graph.outputs)
        last: dict[ir.Value, Step] = {}
        for step in steps:
            for value in (*step.node.outputs, *control_flow.reads(step.node)):
                if value in local:
                    last[value] = step
        for value, step in last.items():
            step.drops = (*step.drops, value)
        return Plan(tuple(graph.inputs), tuple(graph.outputs), tuple(steps))

    def _runner(self, node: ir.Node, opsets: Mapping[str, int]) -> Runner:
        if control_flow.is_control(node):
            return control_flow.runner(self.plan, node, opsets)
        function = self._functions.get(node.op_identifier())
        if function is not None:
            return self._call(node, function, opsets)
        if any(a.is_ref() for a in node.attributes.values()):
            return lambda inputs, frame, exact: self._operator(node, opsets, frame.attributes)(
                inputs, frame, exact
            )
        return self._operator(node, opsets, {})

    def _operator(self, node: ir.Node, opsets: Mapping[str, int], bound: Attributes) -> Runner:
        attributes = _resolved(node, bound)
        call = _call_of(node, attributes, opsets, self._exact_attributes.get(node, {}))
        key = (node.domain, node.op_type)
        is_cast = onnx_name(node) in _CASTS
        kernel = _TYPED.get(key) or facts_of(node).kernel
        if kernel is None and not is_cast:
            return self._stock(node, attributes, opsets)
        rare: list[Runner] = []

        def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
            if kernel is None:
                outputs = promotion.cast(call, inputs, exact=exact)
            else:
                outputs = kernel(call, inputs)
            if outputs is None:
                if not rare:
                    rare.append(self._stock(node, attributes, opsets))
                outputs = rare[0](inputs, frame, exact)
            return outputs

        return run

    def _stock(self, node: ir.Node, attributes: Attributes, opsets: Mapping[str, int]) -> Runner:
        if subgraphs(node) or onnx_name(node) in _BITWISE:
            return self._lack(node.op_type)
        proto = onnx.NodeProto()
        proto.op_type, proto.domain = node.op_type, node.domain
        proto.input.extend("" if v is None else str(v.name) for v in node.inputs)
        proto.output.extend(v.name or "" for v in node.outputs)
        proto.attribute.extend(ir.to_proto(a) for a in attributes.values())
        try:
            operator = StockOperator(proto, opsets)
        except BodyFoundError as found:
            return self._body(node, found.body, attributes, opsets)
        except NeedsTypesError:
            return self._typed_body(node, proto, attributes, opsets)
        except LacksOperatorError as error:
            return self._lack(str(error))
        return lambda inputs, frame, exact: operator(inputs)

    def _lack(self, title: str) -> Runner:
        self.missing.add(title)

        def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
            raise LacksOperatorError(title)

        return run

    def _typed_body(
        self,
        node: ir.Node,
        proto: onnx.NodeProto,
        attributes: Attributes,
        opsets: Mapping[str, int],
    ) -> Runner:
        """A function body that depends on the types of the inputs, known when they are there."""

        def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
            try:
                StockOperator(proto, opsets, [type_of(a) for a in inputs])
            except BodyFoundError as found:
                return self._body(node, found.body, attributes, opsets)(inputs, frame, exact)
            raise LacksOperatorError(node.op_type)

        return run

    def _body(
        self,
        node: ir.Node,
        body: onnx.FunctionProto,
        attributes: Attributes,
        opsets: Mapping[str, int],
    ) -> Runner:
        """The function body by which the standard defines the operator."""
        schema = schema_of(node.domain, node.op_type, opsets[node.domain])
        given = dict(attributes)
        for name, attribute in (schema.attributes if schema is not None else {}).items():
            if name not in given and attribute.default_value.name:
                given[name] = ir.serde.deserialize_attribute(attribute.default_value)
        function = ir.serde.deserialize_function(body)
        plan = self.plan(function, dict(function.opset_imports))
        return lambda inputs, frame, exact: _entered(plan, inputs, given, frame, node)

    def _call(self, node: ir.Node, function: ir.Function, opsets: Mapping[str, int]) -> Runner:
        """A call of a function of the model, whose body is prepared once."""
        identifier = function.identifier()
        if identifier not in self._plans:
            self._plans[identifier] = self.plan(function, dict(function.opset_imports) or opsets)
        plan = self._plans[identifier]
        defaults = {name: a for name, a in function.attributes.items() if a.value is not None}

        meant = {
            name: _Meant(name, ir.AttributeType.FLOAT, value)
            for name, value in self._exact_attributes.get(node, {}).items()
        }

        def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
            given = {**defaults, **_resolved(node, frame.attributes), **meant}
            return _entered(plan, inputs, given, frame, node)

        return run


def compute(node: ir.Node, inputs: Inputs, opsets: Mapping[str, int]) -> Outputs:
    """The outputs of one operator without subgraphs, in the types of its inputs.

    Args:
        node: the operator; its attributes are values, not references.
        inputs: as many as the node has, None standing for an absent one.
        opsets: operator set version by domain.

    Raises:
        Exception: of whatever kind, where the operator or such inputs are not supported.
    """
    run = Planner({})._operator(node, opsets, {})
    return run(inputs, Frame({}, Weights({})), False)


def _entered(
    plan: Plan, inputs: Inputs, attributes: Attributes, outer: Frame, node: ir.Node
) -> Outputs:
    padded = [*inputs, *[None] * (len(plan.inputs) - len(inputs))]
    frame = outer.inner(dict(zip(plan.inputs, padded, strict=True)), attributes)
    return tuple(walk(plan, frame)[: len(node.outputs)])


def _resolved(node: ir.Node, bound: Attributes) -> Attributes:
    """The attributes of a node, references replaced by what the function was called with."""
    result = {}
    for name, attribute in node.attributes.items():
        if not attribute.is_ref():
            result[name] = attribute
        elif attribute.ref_attr_name in bound:
            source = bound[str(attribute.ref_attr_name)]
            result[name] = type(source)(name, source.type, source.value)
    return result


def _call_of(
    node: ir.Node, attributes: Attributes, opsets: Mapping[str, int], exact: Mapping[str, float]
) -> Call:
    """The call as kernels see it: defaults filled in, floats as the float32 values they are."""
    since, defaults = _defaults(node.domain, node.op_type, opsets.get(node.domain, 1))
    values = dict(defaults)
    values.update((name, _plain(attribute)) for name, attribute in attributes.items())
    values.update(exact)
    names = [v.name for v in node.outputs]
    while names and not names[-1]:
        names.pop()
    return Call(node.op_type, since, values, len(names))


@lru_cache(maxsize=2048)
def _defaults(domain: str, op_type: str, version: int) -> tuple[int, dict[str, Any]]:
    """Since when an operator has had this form, and its attributes that have a default."""
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return 1, {}
    return schema.since_version, {
        name: _plain(ir.serde.deserialize_attribute(attribute.default_value))
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }


class _Meant(ir.Attr):
    """A float attribute that a function is called with, as it was before float32."""


def _plain(attribute: ir.Attr) -> Any:
    if isinstance(attribute, _Meant):
        return attribute.value
    if attribute.type == ir.AttributeType.FLOAT:
        return float(np.float32(attribute.value))
    if attribute.type == ir.AttributeType.FLOATS:
        return [float(np.float32(v)) for v in attribute.value]
    return attribute.value
