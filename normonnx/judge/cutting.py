"""Both models cut where chance or a hair's breadth decides what follows.

A random operator gives other numbers each time; a selection (TopK, ArgMax, Round, a comparison)
turns a difference in the last digit into a large one, so that nothing behind it says how far
rounding alone may take a model. At each such node that both models have, with the same attributes,
both are cut: what the node reads, constants that differ included, becomes an output, which is
compared like any other, and what it gives becomes an input, which is fed with what the original
gives. So the same operator reads what agrees, and what follows it starts from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.inlining import inline_functions
from normonnx.judge.graph_facts import is_random, selections
from normonnx.judge.pairing import (
    chosen_from,
    is_alike,
    kind_of,
    names_of,
    partners,
    title_of,
)
from normonnx.operators.names import onnx_name

# What is fed in the place of selections, on one feed, at most.
_MOST_BYTES = 1 << 28
_LIKE = frozenset(("RandomNormalLike", "RandomUniformLike"))


class Place(Struct, frozen=True):
    """A node at which both models are cut.

    Attributes:
        title: how it is told of.
        old: the original's node.
        new: the optimised model's.
        given: for each output that is cut, the name of the input that stands for it.
        read: for each input that is compared, its index and the name of the output that it becomes.
        outer: what is compared beside, by the name of the output that it becomes: the original's
            value, and the optimised model's. It is what graphs of the nodes read from outside, or
            what lies before an operator that changes no choice.
    """

    title: str
    old: ir.Node
    new: ir.Node
    given: Mapping[int, str]
    read: Mapping[int, str]
    outer: Mapping[str, tuple[ir.Value, ir.Value]] = {}


class Container(Struct, frozen=True, eq=False):
    """A node of the main graph with graphs that are judged apart, which both models have.

    Attributes:
        old: the original's node.
        new: the optimised model's.
        outer: what graphs of the second read from outside that differs, and what that is in the
            original.
    """

    old: ir.Node
    new: ir.Node
    outer: Mapping[ir.Value, ir.Value]


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
        return frozenset(
            name for place in self.places for name in (*place.read.values(), *place.outer)
        )

    @property
    def given(self) -> frozenset[str]:
        """The names of the inputs that stand for what the nodes give."""
        return frozenset(name for place in self.places for name in place.given.values())

    @property
    def titles(self) -> tuple[str, ...]:
        """The nodes at which the models are cut."""
        return tuple(place.title for place in self.places)


def pair_of(
    original: ir.Model,
    optimized: ir.Model,
    *,
    at_selections: bool = True,
    containers: Sequence[Container] = (),
) -> Pair | None:
    """Two models and the nodes at which both can be cut; None where there are none.

    Args:
        original: the original.
        optimized: the optimised model.
        at_selections: whether to cut at selections, too, and not at random operators only.
        containers: nodes of both models, or of copies, whose graphs are judged apart.
    """
    if not any(True for _ in _candidates(original)) and not original.functions and not containers:
        return None
    old, new = _inlined(original), _inlined(optimized)
    places = _places(list(_candidates(old)), list(_candidates(new)))
    chosen = [p for p in places if at_selections or is_random(p.old)]
    chosen += _around(containers, old, new)
    return Pair(old, new, tuple(chosen)) if chosen else None


def _around(containers: Sequence[Container], old: ir.Model, new: ir.Model) -> Iterator[Place]:
    """The nodes of two copies that have graphs which are judged apart."""
    nodes = [{names_of(node): node for node in model.graph} for model in (old, new)]
    values = [_by_name(model.graph) for model in (old, new)]
    for one in containers:
        place = _place(nodes[0][names_of(one.old)], nodes[1][names_of(one.new)])
        outer = {
            f"what {place.title} reads ({u.name})": (values[0][u.name], values[1][v.name])
            for v, u in one.outer.items()
        }
        yield replace(place, outer={**place.outer, **outer})


def _by_name(graph: ir.Graph) -> dict[str | None, ir.Value]:
    made = (value for node in graph for value in node.outputs)
    return {v.name: v for v in (*graph.inputs, *graph.initializers.values(), *made)}


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
    named = {names_of(node): node for node in optimized.graph}
    pairs = ((node, named.get(names_of(node))) for node in selections(original))
    return [title_of(n) for n, other in pairs if other is not None and kind_of(n) != kind_of(other)]


def lone_random(original: ir.Model, optimized: ir.Model) -> list[str]:
    """The random operators of the original's main graph that the other model has not likewise."""
    old = [node for node in _candidates(original) if is_random(node)]
    found = {place.old for place in _places(old, list(_candidates(optimized)))}
    return [title_of(node) for node in old if node not in found]


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
    for node, partner in partners(old, new).items():
        if partner is not None and is_alike(node, partner):
            yield _place(node, partner)


def _place(old: ir.Node, new: ir.Node) -> Place:
    title = title_of(old)
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
    chosen = chosen_from(old, new) if 0 in read else None
    outer = {} if chosen is None else {read.pop(0): chosen}
    return Place(title, old, new, given, read, outer)


def _number(index: int) -> str:
    return f" ({index})" if index else ""


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


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
            sized = onnx_name(node) in _LIKE  # it reads no number
            graph.outputs.append(
                _copied(graph, read, alias, node, "Shape" if sized else "Identity")
            )
    for alias, values_read in place.outer.items():
        value = values_read[node is place.new]
        graph.outputs.append(_copied(graph, value, alias, node))
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


def _copied(
    graph: ir.Graph, value: ir.Value, name: str, before: ir.Node, op_type: str = "Identity"
) -> ir.Value:
    """A value, or its shape, under another name."""
    copy = ir.Node("", op_type, [value])
    copy.outputs[0].name = name
    if value.dtype is not None and op_type == "Identity":
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
