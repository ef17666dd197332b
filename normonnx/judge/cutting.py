"""Both models cut where chance or a hair's breadth decides what follows.

A random operator gives other numbers each time; a selection (TopK, ArgMax, Round, a comparison)
turns a difference in the last digit into a large one, so that nothing behind it says how far
rounding alone may take a model. At each such node that both models have, with the same attributes,
both are cut: what the node reads, constants that differ included, becomes an output, which is
compared like any other, and what it gives becomes an input, which is fed with what the original
gives. So the same operator reads what agrees, and what follows it starts from the same numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.inlining import inline_functions
from normonnx.judge.alignment import defaults_of
from normonnx.judge.graph_facts import is_random, selections
from normonnx.operators.attributes import attribute_key

# An attribute that is not stated means the same in every operator set so far.
_NEWEST = onnx.defs.onnx_opset_version()
# What is fed in the place of selections, on one feed, at most.
_MOST_BYTES = 1 << 28


class Place(Struct, frozen=True):
    """A node at which both models are cut.

    Attributes:
        title: how it is told of.
        old: the original's node.
        new: the optimised model's.
        given: for each output that is cut, the name of the input that stands for it.
        read: for each input that is compared, its index and the name of the output that it becomes.
    """

    title: str
    old: ir.Node
    new: ir.Node
    given: Mapping[int, str]
    read: Mapping[int, str]


class Pair(Struct, frozen=True):
    """Two models with the places at which they can be cut.

    Attributes:
        original: a copy of the original, functions inlined.
        optimized: a copy of the optimised model, likewise.
        places: where to cut.
    """

    original: ir.Model
    optimized: ir.Model
    places: tuple[Place, ...]

    @property
    def marks(self) -> dict[str, str]:
        """The values of the original to be fed, by name, with the names of the inputs."""
        return {
            str(place.old.outputs[index].name): alias
            for place in self.places
            for index, alias in place.given.items()
        }

    @property
    def read(self) -> frozenset[str]:
        """The names of the outputs that hold what the nodes read."""
        return frozenset(name for place in self.places for name in place.read.values())

    @property
    def given(self) -> frozenset[str]:
        """The names of the inputs that stand for what the nodes give."""
        return frozenset(name for place in self.places for name in place.given.values())

    @property
    def titles(self) -> tuple[str, ...]:
        """The nodes at which the models are cut."""
        return tuple(place.title for place in self.places)


def pair_of(original: ir.Model, optimized: ir.Model, *, at_selections: bool = True) -> Pair | None:
    """Two models and the nodes at which both can be cut; None where there are none.

    Args:
        original: the original.
        optimized: the optimised model.
        at_selections: whether to cut at selections, too, and not at random operators only.
    """
    if not any(True for _ in _candidates(original)) and not original.functions:
        return None
    old, new = _inlined(original), _inlined(optimized)
    places = _places(list(_candidates(old)), list(_candidates(new)))
    chosen = tuple(p for p in places if at_selections or is_random(p.old))
    return Pair(old, new, chosen) if chosen else None


def cut(pair: Pair, values: Mapping[str, object]) -> Pair | None:
    """Cut both models of a pair, whose copies are changed.

    Args:
        pair: the models.
        values: what the original gives at the places on some feed, by the names of the inputs; from
            it follow the types, and where too much would have to be fed.

    Returns:
        The pair with the places at which it was cut, None where it was cut nowhere.
    """
    places = _affordable([p for p in pair.places if _are_arrays(p, values)], values)
    for place in places:
        for model, node in ((pair.original, place.old), (pair.optimized, place.new)):
            _cut_at(model.graph, node, place, values)
    if not places:
        return None
    for model in (pair.original, pair.optimized):
        _drop_unread(model.graph)
    return Pair(pair.original, pair.optimized, tuple(places))


def altered(original: ir.Model, optimized: ir.Model) -> list[str]:
    """The original's selections that are others in the other model, by their outputs' names."""
    named = {_names(node): node for node in optimized.graph}
    pairs = ((node, named.get(_names(node))) for node in selections(original))
    return [_title(n) for n, other in pairs if other is not None and _kind(n) != _kind(other)]


def lone_random(original: ir.Model, optimized: ir.Model) -> list[str]:
    """The random operators of the original's main graph that the other model has not likewise."""
    old = [node for node in _candidates(original) if is_random(node)]
    found = {place.old for place in _places(old, list(_candidates(optimized)))}
    return [_title(node) for node in old if node not in found]


def _inlined(model: ir.Model) -> ir.Model:
    copy = model.clone()
    inline_functions(copy)
    return copy


def _candidates(model: ir.Model) -> Iterator[ir.Node]:
    """The nodes of the main graph at which a model might be cut, in order."""
    chosen = set(selections(model))
    for node in model.graph:
        if node in chosen or is_random(node):
            yield node


def _places(old: Sequence[ir.Node], new: Sequence[ir.Node]) -> Iterator[Place]:
    """The nodes that both models have: by the names of their outputs, else by their order."""
    named = {_names(node): node for node in new}
    partners = {node: named.get(_names(node)) for node in old}
    partners |= _by_order(
        [node for node in old if partners[node] is None],
        [node for node in new if node not in set(partners.values())],
    )
    for node, partner in partners.items():
        if partner is not None and _kind(node) == _kind(partner):
            yield _place(node, partner)


def _names(node: ir.Node) -> tuple[str | None, ...]:
    return tuple(value.name for value in node.outputs)


def _by_order(old: Sequence[ir.Node], new: Sequence[ir.Node]) -> dict[ir.Node, ir.Node]:
    """Partners of nodes under other names, where both models have as many of a kind."""
    result: dict[ir.Node, ir.Node] = {}
    for kind in dict.fromkeys(map(_kind, old)):
        lone, free = ([n for n in nodes if _kind(n) == kind] for nodes in (old, new))
        if len(lone) == len(free):
            result.update(zip(lone, free, strict=True))
    return result


def _place(old: ir.Node, new: ir.Node) -> Place:
    title = _title(old)
    given = {
        i: f"what {title} gives{_number(i)}"
        for i, v in enumerate(old.outputs)
        if v.name and _is_read(v)
    }
    read = {
        i: f"what {title} reads{_number(i)}"
        for i, (v, w) in enumerate(zip(old.inputs, new.inputs, strict=False))
        if v is not None and w is not None and not _are_one_constant(v, w)
    }
    return Place(title, old, new, given, read)


def _title(node: ir.Node) -> str:
    return f"{node.op_type} '{node.name or node.outputs[0].name}'"


def _number(index: int) -> str:
    return f" ({index})" if index else ""


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _kind(node: ir.Node) -> Hashable:
    """What two nodes have in common that are the same operator with the same attributes."""
    given = dict(defaults_of(node.domain, node.op_type, _NEWEST))
    given |= {name: attribute_key(a) for name, a in node.attributes.items()}
    inputs = [value is not None for value in node.inputs]
    while inputs and not inputs[-1]:
        inputs.pop()
    return node.op_identifier(), tuple(sorted(given.items())), tuple(inputs), len(node.outputs)


def _are_one_constant(old: ir.Value, new: ir.Value) -> bool:
    one, other = old.const_value, new.const_value
    if one is None or other is None or one.dtype != other.dtype:
        return False
    if one.dtype == ir.DataType.STRING:
        return bool(np.array_equal(one.numpy(), other.numpy()))
    return tuple(one.shape) == tuple(other.shape) and one.tobytes() == other.tobytes()


def _are_arrays(place: Place, values: Mapping[str, object]) -> bool:
    return all(isinstance(values.get(alias), np.ndarray) for alias in place.given.values())


def _affordable(places: Sequence[Place], values: Mapping[str, object]) -> list[Place]:
    """The random operators, and the selections as long as little has to be fed for them."""
    result, total = [], 0
    for place in sorted(places, key=lambda p: not is_random(p.old)):
        total += sum(np.asarray(values[alias]).nbytes for alias in place.given.values())
        if is_random(place.old) or total <= _MOST_BYTES:
            result.append(place)
    return result


def _cut_at(graph: ir.Graph, node: ir.Node, place: Place, values: Mapping[str, object]) -> None:
    """Let what a node reads be outputs, and what it gives inputs."""
    for index, alias in place.read.items():
        read = node.inputs[index]
        if read is not None:
            graph.outputs.append(_copied(graph, read, alias, node))
    for index, alias in place.given.items():
        array = np.asarray(values[alias])
        given = ir.Value(
            name=alias,
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            shape=ir.Shape([None] * array.ndim),
        )
        graph.inputs.append(given)
        output = node.outputs[index]
        for user, position in list(output.uses()):
            user.replace_input_with(position, given)
        for at, value in enumerate(graph.outputs):
            if value is output:
                name, output.name = str(output.name), f"{output.name} (cut)"
                graph.outputs[at] = _copied(graph, given, name, node)


def _copied(graph: ir.Graph, value: ir.Value, name: str, before: ir.Node) -> ir.Value:
    """A value under another name."""
    copy = ir.Node("", "Identity", [value])
    copy.outputs[0].name = name
    if value.dtype is not None:
        copy.outputs[0].dtype = value.dtype
    graph.insert_before(before, copy)
    return copy.outputs[0]


def _drop_unread(graph: ir.Graph) -> None:
    """Nodes and initializers that nobody reads any more."""
    for node in reversed(list(graph)):
        if not any(_is_read(value) for value in node.outputs):
            graph.remove(node, safe=True)
    outputs = set(graph.outputs)
    for name, value in list(graph.initializers.items()):
        if not value.uses() and value not in outputs and value not in graph.inputs:
            del graph.initializers[name]
