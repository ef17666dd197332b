"""If, Loop, Scan, SequenceMap: graphs inside nodes, which see the values of those around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.kernels import Inputs, Outputs
from normonnx.oracle.execution import Frame, OracleFailedError, Plan, Runner, walk

Planning = Callable[[ir.Graph, Mapping[str, int]], Plan]

# A loop that goes round more often has no end that anybody waits for.
_MOST_TRIPS = 1_000_000
_CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))


def is_control(node: ir.Node) -> bool:
    """Whether the node runs graphs of its own."""
    return node.domain == "" and node.op_type in _CONTROL


def reads(node: ir.Node) -> set[ir.Value]:
    """The values that a node reads, those read inside its graphs included."""
    result = {v for v in node.inputs if v is not None}
    for graph in subgraphs(node):
        result.update(graph.outputs)
        for inner in graph:
            result |= reads(inner)
    return result


def runner(plan: Planning, node: ir.Node, opsets: Mapping[str, int]) -> Runner:
    """How to compute a node that runs graphs of its own."""
    plans = {
        name: plan(attribute.as_graph(), opsets)
        for name, attribute in node.attributes.items()
        if attribute.type == ir.AttributeType.GRAPH
    }
    if node.op_type == "If":
        return _branch(plans["then_branch"], plans["else_branch"])
    if node.op_type == "Loop":
        return _loop(plans["body"], node)
    if node.op_type == "SequenceMap":
        return _map(plans["body"], len(node.outputs))
    return (_scan_of_batch if opsets.get("", 1) < 9 else _scan)(plans["body"], node)


def _branch(then: Plan, otherwise: Plan) -> Runner:
    def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
        chosen = then if inputs[0] is not None and inputs[0].reshape(-1)[0] else otherwise
        return tuple(walk(chosen, frame))

    return run


def _loop(body: Plan, node: ir.Node) -> Runner:
    outputs = len(node.outputs)

    def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
        trips, condition = (*inputs, None, None)[:2]
        limit = None if trips is None else int(trips.reshape(-1)[0])
        going = condition is None or bool(condition.reshape(-1)[0])
        carried = list(inputs[2:])
        collected: list[list[Any]] = [[] for _ in range(outputs - len(carried))]
        for number in _rounds(limit, node) if going else ():
            iteration = (np.asarray(number, dtype=np.int64), np.asarray(going), *carried)
            frame.values.update(zip(body.inputs, iteration, strict=True))
            again, *results = walk(body, frame)
            going = bool(np.asarray(again).reshape(-1)[0])
            carried = results[: len(carried)]
            for column, item in zip(collected, results[len(carried) :], strict=True):
                column.append(item)
            if not going:
                break
        return (*carried, *(_stacked(column) for column in collected))

    return run


def _rounds(limit: int | None, node: ir.Node) -> Iterator[int]:
    """The numbers of the rounds of a loop, as long as somebody may wait for its end."""
    if limit is not None and limit <= _MOST_TRIPS:
        yield from range(limit)
        return
    yield from range(_MOST_TRIPS)
    raise OracleFailedError(
        f"Loop '{node.name}' has not ended after {_MOST_TRIPS:,} rounds: its condition stays true "
        "on these inputs (give it a number of rounds, or other data)"
    )


def _stacked(column: list[Any]) -> Any:
    """The results of a scan output; a loop that never ran gives an empty tensor."""
    return np.stack(column) if column else np.empty((0,), dtype=np.float64)


def _map(body: Plan, outputs: int) -> Runner:
    """A body for each element of the first sequence and of the others; tensors stay."""

    def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
        collected: list[list[Any]] = [[] for _ in range(outputs)]
        first: Any = inputs[0]
        for number in range(len(first)):
            given = (v[number] if isinstance(v, list) else v for v in inputs)
            frame.values.update(zip(body.inputs, given, strict=True))
            for column, item in zip(collected, walk(body, frame), strict=True):
                column.append(item)
        return tuple(collected)  # type: ignore[arg-type]

    return run


def _ints(node: ir.Node, name: str, size: int) -> list[int]:
    """An attribute with a number for each of so many values, all zero by default."""
    attribute = node.attributes.get(name)
    return [0] * size if attribute is None else [int(v) for v in attribute.as_ints()]


def _scan_of_batch(body: Plan, node: ir.Node) -> Runner:
    """Scan of opset 8: lengths first, then states ``[N, …]`` and sequences ``[N, T, …]``.

    Each sample is scanned on its own, up to its length; behind that its results are zero.
    """
    scanned = node.attributes["num_scan_inputs"].as_int()
    states = len(node.inputs) - 1 - scanned
    results = len(node.outputs) - states
    backwards = _ints(node, "directions", scanned)

    def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
        lengths, *given = inputs
        sequences = [np.asarray(array) for array in given[states:]]
        samples, most = sequences[0].shape[:2]
        made: list[list[Any]] = []
        for sample in range(samples):
            length = most if lengths is None else int(lengths[sample])
            columns = [
                _turned(sequence[sample, :length], backward)
                for sequence, backward in zip(sequences, backwards, strict=True)
            ]
            carried = [np.asarray(array)[sample] for array in given[:states]]
            carried, collected = _stepped(body, frame, carried, columns, results)
            made.append([*carried, *(_lengthened(_stacked(c), most) for c in collected)])
        return tuple(np.stack(column) for column in zip(*made, strict=True))

    return run


def _lengthened(rows: Any, most: int) -> Any:
    """With rows of zeros behind, up to so many."""
    return np.pad(rows, [(0, most - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def _scan(body: Plan, node: ir.Node) -> Runner:
    scanned = node.attributes["num_scan_inputs"].as_int()
    states = len(node.inputs) - scanned
    results = len(node.outputs) - states
    axes = _ints(node, "scan_input_axes", scanned)
    backwards = _ints(node, "scan_input_directions", scanned)
    out_axes = _ints(node, "scan_output_axes", results)
    out_backwards = _ints(node, "scan_output_directions", results)

    def run(inputs: Inputs, frame: Frame, exact: bool) -> Outputs:
        columns = [
            _turned(np.moveaxis(np.asarray(array), axis, 0), backward)
            for array, axis, backward in zip(inputs[states:], axes, backwards, strict=True)
        ]
        carried, collected = _stepped(body, frame, list(inputs[:states]), columns, results)
        scans = [
            _along(_stacked(_turned(column, backward)), axis, column)
            for column, axis, backward in zip(collected, out_axes, out_backwards, strict=True)
        ]
        return (*carried, *scans)

    return run


def _stepped(
    body: Plan, frame: Frame, carried: list[Any], columns: list[Any], results: int
) -> tuple[list[Any], list[list[Any]]]:
    """What is carried through the steps of a scan, and what each of them gives."""
    states = len(carried)
    collected: list[list[Any]] = [[] for _ in range(results)]
    for row in zip(*columns, strict=True):
        frame.values.update(zip(body.inputs, (*carried, *map(np.asarray, row)), strict=True))
        made = walk(body, frame)
        carried = made[:states]
        for column, item in zip(collected, made[states:], strict=True):
            column.append(item)
    return carried, collected


def _turned(sequence: Any, backward: int) -> Any:
    """In the direction of the scan."""
    return sequence[::-1] if backward else sequence


def _along(stacked: Any, axis: int, column: list[Any]) -> Any:
    """The steps of a scan along the axis that they belong to; of none there is no axis."""
    return np.moveaxis(stacked, 0, axis) if column else stacked
