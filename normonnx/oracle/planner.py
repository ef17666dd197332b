"""How each node of a graph is computed: by a kernel, by its function, or by onnx.reference."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.kernels import Inputs, Kernel, Outputs
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import schema_of
from normonnx.operators.table import facts_of
from normonnx.oracle import control_flow, promotion
from normonnx.oracle.calls import Meant, call_of, resolved
from normonnx.oracle.dependence import cast_target, depends_on
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
from normonnx.oracle.known import CASTS, Known
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
        self._lacks = 0

    def plan(self, graph: ir.Graph | ir.GraphView | ir.Function, opsets: Mapping[str, int]) -> Plan:
        """Prepare a graph: a runner for each node, and when each value is dropped."""
        steps = [self._step(node, opsets) for node in graph]
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

    def _step(self, node: ir.Node, opsets: Mapping[str, int]) -> Step:
        before = self._lacks
        run = self._prepared(node, opsets)
        is_call = node.op_identifier() in self._functions
        widens = () if is_call else tuple(facts_of(node).widens)
        return Step(node, run, self._depends(node), (), self._lacks > before, widens)

    def _depends(self, node: ir.Node) -> tuple[ir.Value | None, ...] | None:
        """As `depends_on`; a call of a function may do anything."""
        return None if node.op_identifier() in self._functions else depends_on(node)

    def _prepared(self, node: ir.Node, opsets: Mapping[str, int]) -> Runner:
        """How to compute a node; one that the standard does not allow so is one that lacks."""
        try:
            return self._runner(node, opsets)
        except Exception as error:
            return self._lack(f"{node.op_type} '{node.name}' ({error})")

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
        attributes = resolved(node, bound)
        meant = dict(self._exact_attributes.get(node, {}))
        if (target := cast_target(node)) is not None:
            meant["to"] = target
        call = call_of(node, attributes, opsets, meant)
        key = (node.domain, node.op_type)
        is_cast = onnx_name(node) in CASTS
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
        self._lacks += 1

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
        return lambda inputs, frame, exact: _entered(plan, inputs, given, frame, node)[0]

    def _call(self, node: ir.Node, function: ir.Function, opsets: Mapping[str, int]) -> Runner:
        """A call of a function of the model, whose body is prepared once."""
        identifier = function.identifier()
        if identifier not in self._plans:
            self._plans[identifier] = self.plan(function, dict(function.opset_imports) or opsets)
        plan = self._plans[identifier]
        defaults = {name: a for name, a in function.attributes.items() if a.value is not None}

        meant = {
            name: Meant(name, ir.AttributeType.FLOAT, value)
            for name, value in self._exact_attributes.get(node, {}).items()
        }

        def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
            given = {**defaults, **resolved(node, frame.attributes), **meant}
            known = (frame.known(value) for value in node.inputs)
            pairs = zip(plan.inputs, known, strict=False)
            constants = {value: found for value, found in pairs if found is not None}
            outputs, found = _entered(plan, inputs, given, frame, node, constants)
            frame.constants.update(found)
            return outputs

        return run


def computable(plan: Plan) -> Plan:
    """The part of a plan that needs no operator that nothing here computes."""
    gone: set[ir.Value] = set()
    steps = []
    for step in plan.steps:
        if step.lacking or not gone.isdisjoint(control_flow.reads(step.node)):
            gone.update(step.node.outputs)
        else:
            steps.append(step)
    outputs = tuple(value for value in plan.outputs if value not in gone)
    return Plan(plan.inputs, outputs, tuple(steps))


def compute(
    node: ir.Node,
    inputs: Inputs,
    opsets: Mapping[str, int],
    *,
    bound: Attributes | None = None,
    exact: bool = False,
) -> Outputs:
    """The outputs of one operator without subgraphs, in the types of its inputs.

    Args:
        node: the operator.
        inputs: as many as the node has, None standing for an absent one.
        opsets: operator set version by domain.
        bound: what a function that it is in is called with, for the attributes that refer to it.
        exact: whether what is cast to a float type becomes float64, as the inputs are.

    Raises:
        Exception: of whatever kind, where the operator or such inputs are not supported.
    """
    run = Planner({})._operator(node, opsets, bound or {})
    return run(inputs, Frame({}, Weights({})), exact)


def _entered(
    plan: Plan,
    inputs: Inputs,
    attributes: Attributes,
    outer: Frame,
    node: ir.Node,
    constants: dict[ir.Value, Known] | None = None,
) -> tuple[Outputs, dict[ir.Value, Known]]:
    """The outputs of a node that is a function, and those of them that are constants."""
    padded = [*inputs, *[None] * (len(plan.inputs) - len(inputs))]
    frame = outer.inner(dict(zip(plan.inputs, padded, strict=True)), attributes, constants)
    outputs = tuple(walk(plan, frame)[: len(node.outputs)])
    pairs = zip(node.outputs, plan.outputs, strict=False)
    found = {mine: frame.constants[its] for mine, its in pairs if its in frame.constants}
    return outputs, found
