"""Networks that compute sizes and constants, as exporters write them: `draw_sized(seed)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .sized.control import looped, squeezed_if
from .sized.filling import expanded, filled, grown, masked, positions
from .sized.idle import dead, nothing, twice
from .sized.layout import heads, picked, pooled, resized, split, there_and_back, turned
from .sized.sketch import Array, Sketch, Tensor
from .sized.values import cast_about, constant_chain, foreign, random, sequence, text

_OPSETS = (7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)


@dataclass
class Sized:
    """A network.

    Attributes:
        seed: of its drawing.
        model: it.
        shapes: of its inputs, a text for a size that is open.
        sizes: of the open ones, as it was drawn.
        overridden: initializers that the caller may override, with other values for them.
    """

    seed: int
    model: onnx.ModelProto
    shapes: dict[str, tuple[int | str, ...]]
    sizes: dict[str, int]
    overridden: dict[str, Array]

    def feeds(self, sizes: dict[str, int]) -> dict[str, Array]:
        """Inputs at some sizes."""
        rng = np.random.default_rng([self.seed, *sizes.values()])
        found: dict[str, Array] = {}
        for value in self.model.graph.input:
            if value.name not in self.shapes:
                continue
            shape = [sizes.get(str(d), d) for d in self.shapes[value.name]]
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            if dtype.kind == "O":
                found[value.name] = np.full(shape, "b", object)
            elif dtype.kind == "b":
                found[value.name] = rng.random(shape) < 0.5  # type: ignore[arg-type]
            else:
                found[value.name] = np.asarray(rng.standard_normal(shape) * 2, dtype)  # type: ignore[arg-type]
        return found


Step = Callable[[Sketch, Tensor], "Tensor | None"]

_STEPS: tuple[tuple[Step, float], ...] = (
    (there_and_back, 3), (heads, 2), (expanded, 2), (grown, 1), (filled, 2), (positions, 2),
    (resized, 2), (split, 2), (squeezed_if, 2), (looped, 1), (turned, 3), (cast_about, 2),
    (nothing, 5), (twice, 2), (pooled, 1), (constant_chain, 3), (masked, 1), (text, 0.7),
    (sequence, 0.7), (random, 0.4), (foreign, 0.7), (dead, 1), (picked, 0.2),
)  # fmt: skip


def draw_sized(seed: int) -> Sized:
    """A network of 2 to 8 steps."""
    rng = np.random.default_rng([seed, 19])
    version = int(rng.choice([3, 4, 8, 10], p=[0.1, 0.2, 0.4, 0.3]))
    s = Sketch(rng, int(rng.choice(_OPSETS)), version)
    rank = int(rng.choice([1, 2, 3, 4], p=[0.1, 0.25, 0.35, 0.3]))
    drawn = [int(n) for n in rng.choice([1, 2, 3, 4, 6], rank)]
    sizes = {f"d{axis}": n for axis, n in enumerate(drawn) if s.chance(0.45)}
    shape = tuple(f"d{axis}" if f"d{axis}" in sizes else n for axis, n in enumerate(drawn))
    x = Tensor("x", np.zeros(drawn, np.float32))
    found, kept = x, []
    weights = np.array([weight for _, weight in _STEPS])
    for place in rng.choice(len(_STEPS), int(rng.integers(2, 9)), p=weights / weights.sum()):
        made = _STEPS[place][0](s, found)
        if made is not None and made.array.size <= 1 << 14:
            found = made
            kept.append(made)
    overridden = {}
    if version > 3 and s.chance(0.4):
        free = Tensor("free", np.array(0.0 if s.chance(0.5) else 1.0, np.float32))
        s.weights.append(numpy_helper.from_array(free.array, free.name))
        found = s.op(s.pick(["Add", "Mul"]), [found, free], found.array)
        overridden["free"] = np.array(2.5, np.float32)
        kept.append(found)
    return _closed(s, seed, shape, sizes, kept[-2:] or [x], overridden)


def _closed(
    s: Sketch, seed: int, shape: tuple[int | str, ...], sizes: dict[str, int], kept: list[Tensor],
    overridden: dict[str, Array],
) -> Sized:  # fmt: skip
    """The model: outputs are what is kept, and a size of it."""
    if s.chance(0.3):
        kept = [*kept, s.op("Shape", [kept[-1]], np.array(kept[-1].shape, np.int64))]
    if s.chance(0.1):
        kept = [*kept, s.op("Identity", [Tensor("x", kept[0].array)], kept[0].array)]
    if kept[0].name == "x":
        kept = [s.op("Identity", [kept[0]], kept[0].array)]
    unnamed = s.pick([None, None, None, -1])
    dims = [unnamed if isinstance(d, str) and s.chance(0.3) else d for d in shape]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)]
    shapes: dict[str, tuple[int | str, ...]] = {"x": shape}
    if any("text" in node.input for node in s.nodes):
        inputs.append(helper.make_tensor_value_info("text", TensorProto.STRING, [1]))
        shapes["text"] = (1,)
    given = s.weights if s.version == 3 else [w for w in s.weights if w.name in overridden]
    inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in given]
    names = list(dict.fromkeys(value.name for value in kept))
    arrays = {value.name: value.array for value in kept}
    outputs = [
        helper.make_tensor_value_info(
            name,
            TensorProto.INT64 if arrays[name].dtype == np.int64 else TensorProto.FLOAT,
            [None] * arrays[name].ndim,
        )
        for name in names
    ]
    graph = helper.make_graph(s.nodes, "drawn", inputs, outputs, s.weights)
    opsets = [helper.make_opsetid("", s.opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, ir_version=s.version, opset_imports=opsets)
    return Sized(seed, model, shapes, sizes, overridden)
