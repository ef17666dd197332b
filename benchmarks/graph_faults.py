"""Faults that are no slip in a layer's weights: what is lost, cut, swapped or rounded in a graph.

Groups of an output or of a value in the middle, one output of many, rows of tables, bodies of If,
Loop and Scan, one number of a large weight, paths through another type, integers, selections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.judge_faults import Draft, Fault

Array = np.ndarray[Any, Any]
Random = np.random.Generator

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_GRAPH = onnx.AttributeProto.GRAPH
_OTHERS: Mapping[str, str] = {
    "ArgMax": "ArgMin",
    "ArgMin": "ArgMax",
    "Greater": "Less",
    "Less": "Greater",
    "Max": "Min",
    "Min": "Max",
    "Round": "Floor",
    "Floor": "Ceil",
}
# Elements that a group has at least, and its share of the output.
LEAST_ELEMENTS, LEAST_SHARE = 8, 0.01
LARGE = 10_000


def _pick(random: Random, found: list[Any]) -> Any:
    return found[int(random.integers(len(found)))]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside a graph's nodes."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == _GRAPH:
                yield attribute.g
                yield from _graphs(attribute.g)


def _typed(draft: Draft) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Type and shape of what nodes of the main graph make; a size that is open is 0."""
    inferred = onnx.shape_inference.infer_shapes(draft.model)
    made = {name for node in inferred.graph.node for name in node.output}
    found = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        kind = value.type.tensor_type
        if value.name in made and kind.HasField("shape"):
            found[value.name] = kind.elem_type, tuple(d.dim_value for d in kind.shape.dim)
    return found


def _changed(draft: Draft, name: str, nodes: Callable[[str], list[onnx.NodeProto]]) -> None:
    """Put nodes behind the node that makes a value; they make it from what it was."""
    graph = draft.model.graph
    before = f"{name} (right)"
    for place, node in enumerate(graph.node):
        if name in node.output:
            node.output[list(node.output).index(name)] = before
            for offset, made in enumerate(nodes(before), start=1):
                graph.node.insert(place + offset, made)
            return


def _factor(draft: Draft, name: str, factor: Array) -> None:
    constant = f"{name} (factor)"
    draft.model.graph.initializer.append(numpy_helper.from_array(factor, constant))
    _changed(draft, name, lambda before: [helper.make_node("Mul", [before, constant], [name])])


def _group(times: float, *, inside: bool) -> Fault:
    """A run of places along one axis, of an output or of a value in the middle."""

    def fault(draft: Draft, random: Random) -> bool:
        outputs = {value.name for value in draft.model.graph.output}
        found = [
            (name, kind, shape, axis)
            for name, (kind, shape) in _typed(draft).items()
            for axis, size in enumerate(shape)
            if kind in _FLOATS and size > 1 and (name in outputs) is not inside
        ]
        if not found:
            return False
        name, kind, shape, axis = _pick(random, found)
        size = shape[axis]
        others = int(np.prod([n or 2 for i, n in enumerate(shape) if i != axis]))
        count = max(1, min(int(np.ceil(LEAST_ELEMENTS / others)), int(np.ceil(LEAST_SHARE * size))))
        factor = np.ones([size if i == axis else 1 for i in range(len(shape))])
        start = int(random.integers(size - count + 1))
        np.moveaxis(factor, axis, 0)[start : start + count] = times
        _factor(draft, name, factor.astype(helper.tensor_dtype_to_np_dtype(kind)))
        return True

    return fault


def _one_output(times: float) -> Fault:
    def fault(draft: Draft, random: Random) -> bool:
        typed = _typed(draft)
        names = [v.name for v in draft.model.graph.output]
        found = [n for n in names if n in typed and typed[n][0] in _FLOATS]
        if len(names) < 2 or not found:
            return False
        name = _pick(random, found)
        dtype = helper.tensor_dtype_to_np_dtype(typed[name][0])
        _factor(draft, name, np.array(times, dtype))
        return True

    return fault


def _outputs_swapped(draft: Draft, random: Random) -> bool:
    typed = _typed(draft)
    names = [v.name for v in draft.model.graph.output if v.name in typed]
    pairs = [(a, b) for a in names for b in names if a < b and typed[a] == typed[b]]
    if not pairs:
        return False
    swapped = _pick(random, pairs)
    other = dict(zip(swapped, reversed(swapped), strict=True))
    for node in draft.model.graph.node:
        for names_of in (node.output, node.input):
            for place, name in enumerate(names_of):
                names_of[place] = other.get(name, name)
    return True


def _stored(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The initializers of a graph, and the values of its Constant nodes."""
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (a.t for a in node.attribute if a.name == "value")


def _read_by(graph: onnx.GraphProto, *operators: tuple[str, int]) -> set[str]:
    return {
        node.input[index]
        for node in graph.node
        for op_type, index in operators
        if node.op_type == op_type and len(node.input) > index
    }


def _write(tensor: onnx.TensorProto, array: Array) -> None:
    dtype = numpy_helper.to_array(tensor).dtype
    tensor.CopyFrom(numpy_helper.from_array(array.astype(dtype), tensor.name))


def _number(
    change: Callable[[Array, Random], None],
    wanted: Callable[[onnx.GraphProto, onnx.TensorProto, Array], bool],
    *,
    bodies: bool = False,
) -> Fault:
    """Stored numbers of the main graph, or of the graphs inside it, or what these read."""

    def fault(draft: Draft, random: Random) -> bool:
        main = draft.model.graph
        graphs = list(_graphs(main)) if bodies else [main]
        found = [
            (tensor, numpy_helper.to_array(tensor).copy())
            for graph in graphs
            for tensor in _stored(graph)
            if wanted(graph, tensor, numpy_helper.to_array(tensor))
        ]
        if bodies:
            read = {name for graph in graphs for node in graph.node for name in node.input}
            arrays = [(t, numpy_helper.to_array(t).copy()) for t in main.initializer]
            found += [(t, a) for t, a in arrays if t.name in read and wanted(main, t, a)]
        if not found:
            return False
        tensor, array = _pick(random, found)
        before = array.copy()
        change(array, random)
        _write(tensor, array)
        changed = not np.array_equal(numpy_helper.to_array(tensor), before.astype(array.dtype))
        if changed and array.dtype.kind == "f" and tensor.name:
            draft.exact[tensor.name] = numpy_helper.to_array(tensor).astype(np.float64)
        return changed

    return fault


def _is_float(_: onnx.GraphProto, __: onnx.TensorProto, array: Array) -> bool:
    return array.dtype.kind == "f" and array.size > 0


def _is_integer(_: onnx.GraphProto, __: onnx.TensorProto, array: Array) -> bool:
    return array.dtype.kind in "iu" and array.size > 0


def _is_table(graph: onnx.GraphProto, tensor: onnx.TensorProto, array: Array) -> bool:
    read = _read_by(graph, ("Gather", 0), ("Slice", 0), ("GatherElements", 0))
    return array.dtype.kind == "f" and array.ndim > 1 and tensor.name in read


def _is_large(_: onnx.GraphProto, __: onnx.TensorProto, array: Array) -> bool:
    return array.dtype.kind == "f" and array.size >= LARGE


def _row(times: float) -> Callable[[Array, Random], None]:
    def change(array: Array, random: Random) -> None:
        array[int(random.integers(len(array)))] *= times

    return change


def _far_corner(array: Array, random: Random) -> None:
    """The last places of a table or of a mask, which only the longest feeds read."""
    corner = array[-1] if array.ndim < 3 else array[-1, -1]
    corner[...] = corner[::-1].copy() if np.ptp(corner) else corner * 1.001


def _one(change: Callable[[Any], Any]) -> Callable[[Array, Random], None]:
    def changed(array: Array, random: Random) -> None:
        place = int(random.integers(array.size))
        flat = array.reshape(-1)
        flat[place] = change(flat[place])

    return changed


def _through(kind: int) -> Fault:
    """A value of the graph goes through another type and back."""

    def fault(draft: Draft, random: Random) -> bool:
        found = [(n, k) for n, (k, _) in _typed(draft).items() if k in _FLOATS and k != kind]
        if not found:
            return False
        name, back = _pick(random, found)
        narrow = f"{name} (narrow)"

        def casts(before: str) -> list[onnx.NodeProto]:
            return [
                helper.make_node("Cast", [before], [narrow], to=kind),
                helper.make_node("Cast", [narrow], [name], to=back),
            ]

        _changed(draft, name, casts)
        return True

    return fault


def _another_selection(draft: Draft, random: Random) -> bool:
    graphs = [draft.model.graph, *_graphs(draft.model.graph)]
    found = [node for graph in graphs for node in graph.node if node.op_type in _OTHERS]
    if not found:
        return False
    node = _pick(random, found)
    node.op_type = _OTHERS[node.op_type]
    return True


def _smallest_first(draft: Draft, random: Random) -> bool:
    found = draft.nodes("TopK")
    if not found:
        return False
    node = _pick(random, found)
    kept = [a for a in node.attribute if a.name != "largest"]
    largest = next((a.i for a in node.attribute if a.name == "largest"), 1)
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("largest", 1 - largest)])
    return True


def _branches_swapped(draft: Draft, random: Random) -> bool:
    found = draft.nodes("If")
    if not found:
        return False
    node = _pick(random, found)
    first, second = (
        next(a for a in node.attribute if a.name == n) for n in ("then_branch", "else_branch")
    )
    first.name, second.name = second.name, first.name
    return True


GRAPH_FAULTS: Mapping[str, Fault] = {
    "group of an output zeroed": _group(0.0, inside=False),
    "group of an output ×1.001": _group(1.001, inside=False),
    "group of an output inverted": _group(-1.0, inside=False),
    "group inside zeroed": _group(0.0, inside=True),
    "group inside ×1.001": _group(1.001, inside=True),
    "group inside inverted": _group(-1.0, inside=True),
    "one output of many ×1.001": _one_output(1.001),
    "one output of many zeroed": _one_output(0.0),
    "outputs swapped": _outputs_swapped,
    "one row of a table ×1.001": _number(_row(1.001), _is_table),
    "one row of a table zeroed": _number(_row(0.0), _is_table),
    "far corner of a table": _number(_far_corner, _is_table),
    "body: one number ×1.01": _number(_one(lambda v: v * 1.01), _is_float, bodies=True),
    "body: one row zeroed": _number(_row(0.0), _is_float, bodies=True),
    "branches swapped": _branches_swapped,
    "one of 10⁴ weights or more ×1.001": _number(_one(lambda v: v * 1.001), _is_large),
    "one of 10⁴ weights or more +0.001": _number(_one(lambda v: v + 1e-3), _is_large),
    "value through float16": _through(TensorProto.FLOAT16),
    "value through bfloat16": _through(TensorProto.BFLOAT16),
    "value through int32": _through(TensorProto.INT32),
    "one integer +1": _number(_one(lambda v: v + 1), _is_integer),
    "another selection": _another_selection,
    "smallest instead of largest": _smallest_first,
}
