"""Which values of two models are equal by structure: the same operators on the same inputs.

Values are numbered from the inputs on: an input by its name, a constant by its bits, and what a
node makes by its operator, its attributes and the numbers of what it reads. Two values of one
number are equal on every feed, whatever they and their nodes are called.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.contents import Contents
from normonnx.inlining import inline_functions
from normonnx.judge.graph_facts import is_random
from normonnx.operators.attributes import attribute_key
from normonnx.operators.meaning import Change, change_at
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import schema_of

_NO_VALUE = 0
_OVERRIDABLE = 4
"""The IR version before which every initializer had to be listed as an input."""
_PLAIN = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


class Keys:
    """Small numbers in the place of keys, shared by the models that are compared."""

    def __init__(self) -> None:
        """Begin with no key."""
        self.contents: Contents = Contents()
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable) -> int:
        """The number of a key, from 1 on."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)


class Numbering:
    """The values of one model by number.

    Args:
        model: the model, its functions inlined as far as they can be.
        keys: where the numbers come from.
        cuts: names of values that stand for themselves, like inputs.

    Attributes:
        of: the number of each value, those inside subgraphs included.
        made: the numbers of what each node makes, cut or not.
        graphs: the number of each subgraph of a node: what its outputs are.
    """

    def __init__(self, model: ir.Model, keys: Keys, cuts: frozenset[str] = frozenset()) -> None:
        self.of: dict[ir.Value, int] = {}
        self.made: dict[ir.Node, tuple[int, ...]] = {}
        self.graphs: dict[ir.Graph, int] = {}
        self._model = model
        self._keys = keys
        self._cuts = cuts
        self._functions: dict[ir.OperatorIdentifier, int] = {}
        for value in model.graph.inputs:
            default = 0 if value.const_value is None else self._content(value.const_value)
            is_listed = bool(default) and model.ir_version < _OVERRIDABLE
            given = keys.number(("input", value.name, default))
            self.of[value] = default if is_listed else given
        self._graph(model.graph, dict(model.opset_imports))

    def outputs(self) -> dict[str, int]:
        """The numbers of the model's outputs by name."""
        return {str(v.name): self.number(v) for v in self._model.graph.outputs}

    def _content(self, tensor: ir.TensorProtocol) -> int:
        return self._keys.number(("constant", self._keys.contents.number(tensor)))

    def number(self, value: ir.Value | None) -> int:
        if value is None:
            return _NO_VALUE
        found = self.of.get(value)
        if found is None:
            if value.const_value is not None and value.producer() is None:
                found = self._content(value.const_value)
            else:
                found = self._keys.number(("alone", id(value)))
            self.of[value] = found
        return found

    def _graph(self, graph: ir.Graph | ir.Function, imports: Mapping[str, int]) -> None:
        cuts = self._cuts if graph is self._model.graph else frozenset()
        for node in graph:
            self.made[node] = tuple(self._made(node, imports))
            for value, number in zip(node.outputs, self.made[node], strict=True):
                cut = value.name in cuts
                self.of[value] = self._keys.number(("cut", value.name)) if cut else number

    def _made(self, node: ir.Node, imports: Mapping[str, int]) -> list[int]:
        """The numbers of the outputs of a node."""
        if onnx_name(node) == "Identity":
            return [self.number(node.inputs[0])]
        tensor = constant_tensor(node)
        if tensor is not None:
            return [self._content(tensor)]
        inputs = [self.number(value) for value in node.inputs]
        while inputs and inputs[-1] == _NO_VALUE:
            inputs.pop()
        key = (
            self._operator(node, imports),
            self._attributes(node, imports),
            tuple(inputs),
            self._chance(node),
        )
        return [self._keys.number((key, index)) for index in range(len(node.outputs))]

    def _chance(self, node: ir.Node) -> Hashable:
        """What tells two draws of random numbers apart: the names of the node and its outputs."""
        function = self._model.functions.get(node.op_identifier())
        drawn = is_random(node) or (
            function is not None and any(map(is_random, function.all_nodes()))
        )
        return (node.name, *(v.name for v in node.outputs)) if drawn else ()

    def _operator(self, node: ir.Node, imports: Mapping[str, int]) -> Hashable:
        identifier = node.op_identifier()
        function = self._model.functions.get(identifier)
        if function is None:
            version = imports.get(node.domain, 0)
            return (node.domain, node.op_type, _meaning(node.domain, node.op_type, version))
        if identifier not in self._functions:
            self._functions[identifier] = 0  # a function that calls itself is no model
            for index, value in enumerate(function.inputs):
                self.of[value] = self._keys.number(("parameter", index))
            self._graph(function, dict(function.opset_imports) or imports)
            body = tuple(self.number(value) for value in function.outputs)
            defaults = tuple(
                (name, attribute_key(a))
                for name, a in sorted(function.attributes.items())
                if a.value is not None
            )
            self._functions[identifier] = self._keys.number(("function", body, defaults))
        return self._functions[identifier]

    def _attributes(self, node: ir.Node, imports: Mapping[str, int]) -> Hashable:
        stated = []
        given = defaults_of(node.domain, node.op_type, imports.get(node.domain, 0))
        for name, attribute in sorted(node.attributes.items()):
            key = self._attribute(name, attribute, imports)
            if given.get(name) != key:
                stated.append((name, key))
        return tuple(stated)

    def _attribute(self, name: str, attribute: ir.Attr, imports: Mapping[str, int]) -> Hashable:
        if attribute.is_ref():
            return ("of the call", attribute.ref_attr_name)
        if attribute.type == ir.AttributeType.TENSOR:
            return self._content(attribute.value)
        if attribute.type == ir.AttributeType.GRAPH:
            return self._body(name, attribute.as_graph(), imports)
        if attribute.type == ir.AttributeType.GRAPHS:
            graphs = attribute.as_graphs()
            return tuple(self._body(f"{name} {i}", g, imports) for i, g in enumerate(graphs))
        return attribute_key(attribute)

    def _body(self, name: str, graph: ir.Graph, imports: Mapping[str, int]) -> int:
        for index, value in enumerate(graph.inputs):
            self.of[value] = self._keys.number(("formal", name, index, len(graph.inputs)))
        self._graph(graph, imports)
        outputs = tuple(self.number(value) for value in graph.outputs)
        self.graphs[graph] = self._keys.number(("graph", outputs))
        return self.graphs[graph]


class Alignment(Struct, frozen=True):
    """Two models side by side.

    Attributes:
        original: the original, its functions inlined as far as they can be.
        optimized: the other model, likewise.
        before: the original, numbered.
        after: the other model, numbered.
        keys: what numbers the values of both.
        equal: the outputs that are equal by structure.
    """

    original: ir.Model
    optimized: ir.Model
    before: Numbering
    after: Numbering
    keys: Keys
    equal: frozenset[str]

    @property
    def is_equal(self) -> bool:
        """Whether every output is."""
        return self.equal.issuperset(str(v.name) for v in self.original.graph.outputs)


def align(original: ir.Model, optimized: ir.Model) -> Alignment:
    """Number the values of two models, which are read and never changed."""
    models = [_inlined(original), _inlined(optimized)]
    keys = Keys()
    before, after = (Numbering(model, keys) for model in models)
    found = after.outputs()
    equal = frozenset(name for name, n in before.outputs().items() if found.get(name) == n)
    return Alignment(models[0], models[1], before, after, keys, equal)


def _inlined(model: ir.Model) -> ir.Model:
    if not model.functions:
        return model
    copy = model.clone()
    inline_functions(copy)
    return copy


def constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """The tensor of a Constant node, in whichever attribute it is; None for any other node."""
    if onnx_name(node) != "Constant":
        return None
    attribute = next(iter(node.attributes.data.values()), None)
    if attribute is None or attribute.is_ref():
        return None
    if attribute.type == ir.AttributeType.TENSOR:
        tensor: ir.TensorProtocol = attribute.value  # as_tensor asks for every method of it
        return tensor
    dtype = _PLAIN.get(attribute.name)
    return None if dtype is None else ir.tensor(np.asarray(attribute.value, dtype=dtype))


@lru_cache(maxsize=4096)
def _meaning(domain: str, op_type: str, version: int) -> int:
    """The oldest opset in which the operator means what it means in this one."""
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return version
    if domain:
        return int(schema.since_version)
    while version > 1 and change_at(op_type, version) in (None, Change.EXTENDED):
        if schema_of("", op_type, version - 1) is None:
            break
        version -= 1
    return version


@lru_cache(maxsize=4096)
def defaults_of(domain: str, op_type: str, version: int) -> Mapping[str, Hashable]:
    """What an operator takes an attribute for that is not stated."""
    schema = schema_of(domain, op_type, version)
    attributes = {} if schema is None else schema.attributes
    return {
        name: attribute_key(ir.serde.deserialize_attribute(known.default_value))
        for name, known in attributes.items()
        if known.default_value.type != onnx.AttributeProto.UNDEFINED
    }
