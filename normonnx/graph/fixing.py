"""Open dimensions of a model's inputs set to sizes, wherever they are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from normonnx.errors import UsageError
from normonnx.graph.nesting import graphs_of


def fix_sizes(
    model: ir.Model, sizes: Mapping[str, int], shapes: Mapping[str, Sequence[int]]
) -> str:
    """Set open dimensions, in place.

    Args:
        model: the model.
        sizes: by the name of an open dimension of an input.
        shapes: of inputs, all dimensions, by name.

    Returns:
        What was set, in words.

    Raises:
        UsageError: there is no such dimension or input, or it is of another size.
    """
    bound = dict(sizes)
    inputs = {str(value.name): value for value in model.graph.inputs if not value.is_initializer()}
    _refuse_unknown(inputs, sizes)
    for name, shape in shapes.items():
        _bind(inputs, name, shape, bound)
    for graph in graphs_of(model):
        for value in (*graph.inputs, *graph.outputs, *(o for node in graph for o in node.outputs)):
            _set(value, bound)
    told = [f"{name} = {size}" for name, size in sizes.items()]
    told += [f"{name}: {'×'.join(map(str, shape))}" for name, shape in shapes.items()]
    return f"sizes set: {', '.join(told)}"


def _refuse_unknown(inputs: Mapping[str, ir.Value], sizes: Mapping[str, int]) -> None:
    """Every size is that of a dimension which some input leaves open."""
    dims = [dim for value in inputs.values() for dim in value.shape or ()]
    named = dict.fromkeys(str(dim.value) for dim in dims if not isinstance(dim, int) and dim.value)
    for name in sizes:
        if name not in named:
            raise UsageError(
                f"no input has an open dimension '{name}'",
                hint=f"open dimensions: {', '.join(named) or 'none'}",
            )


def _bind(
    inputs: Mapping[str, ir.Value], name: str, shape: Sequence[int], bound: dict[str, int]
) -> None:
    """Set the shape of one input, and note what its named dimensions are then."""
    value = inputs.get(name)
    if value is None:
        raise UsageError(f"no such input: '{name}'", hint=f"inputs: {', '.join(inputs)}")
    declared = [None] * len(shape) if value.shape is None else list(value.shape)
    if len(declared) != len(shape):
        raise UsageError(f"input '{name}' has {len(declared)} dimensions, not {len(shape)}")
    for axis, (dim, size) in enumerate(zip(declared, shape, strict=True)):
        fixed = dim if isinstance(dim, int) and dim > 0 else size
        key = None if dim is None or isinstance(dim, int) else dim.value
        known = fixed if key is None else bound.setdefault(key, size)
        if known != size:
            raise UsageError(f"dimension {axis} of input '{name}' is {known}, not {size}")
    value.shape = ir.Shape(shape)


def _set(value: ir.Value, bound: Mapping[str, int]) -> None:
    shape = value.shape
    if shape is None or shape.is_static():
        return
    value.shape = ir.Shape(
        [dim if isinstance(dim, int) else bound.get(str(dim.value), dim) for dim in shape]
    )
