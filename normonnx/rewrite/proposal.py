"""A proposal: new nodes, attached to nothing, and the old values they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from normonnx.graph.exact import Maker
from normonnx.journal import RefusedError
from normonnx.operators.table import facts_of
from normonnx.rewrite.context import Context

UNNAMED = "normonnx:"
"""Prefix of the names that the outputs of new nodes have until they are committed."""

_SAFE_ITEMSIZE = 4
"""Types of this many bytes and more do not lose channels to denormals."""


class Proposal:
    """New nodes, attached to nothing, and the old values they stand for."""

    def __init__(
        self, context: Context, graph: ir.Graph, *, key: str, rule: str, site: ir.Node, kind: str
    ) -> None:
        """Begin a proposal.

        Args:
            context: of the run.
            graph: where the new nodes will live.
            key: stable name of the rewrite, see `journal.Rewrite`.
            rule: code of the rule.
            site: the node the rewrite is about.
            kind: what that is to a person, such as ``BatchNormalization``.
        """
        self.context = context
        self.graph = graph
        self.key = key
        self.rule = rule
        self.site: str = str(site.name or site.outputs[0].name)
        self.kind = kind
        self.nodes: list[ir.Node] = []
        self.constants: dict[ir.Value, np.ndarray] = {}
        self.makers: dict[ir.Value, Maker] = {}
        self.exact_attributes: dict[ir.Node, dict[str, float]] = {}
        self.successors: dict[ir.Node, ir.Node] = {}
        self.readings: dict[ir.Value, np.ndarray] = {}
        self.replacements: list[tuple[ir.Value, ir.Value]] = []
        self.redirects: dict[ir.Value, ir.Value] = {}
        self.least_gain = 1

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        like: ir.Value | None = None,
        outputs: int = 1,
        instead_of: ir.Node | None = None,
    ) -> ir.Value:
        """Add a node, and hand back its first output.

        Args:
            op_type: its operator.
            inputs: values of the graph or of this proposal; None for an omitted one.
            attributes: Python values or `onnx_ir.Attr`; floats are certified as given here and
                stored as float32.
            domain: its operator set.
            like: a value of the same dimensions and type as the output.
            outputs: how many it has; one that gets the name "" is left out.
            instead_of: a node whose name it takes over if that one goes.
        """
        attributes = {k: v for k, v in (attributes or {}).items() if v is not None}
        exact = {k: v for k, v in attributes.items() if isinstance(v, float)}
        new = self._attach(
            ir.node(op_type, list(inputs), attributes, domain=domain, num_outputs=outputs)
        )
        if exact:
            self.exact_attributes[new] = exact
        if instead_of is not None:
            self.successors[new] = instead_of
        if like is not None:
            self.context.shapes.adopt(new.outputs[0], like)
        return new.outputs[0]

    def _attach(self, new: ir.Node) -> ir.Node:
        for index, out in enumerate(new.outputs):
            out.name = f"{UNNAMED}{len(self.nodes)}:{index}"
        self.nodes.append(new)
        return new

    def like(self, old: ir.Node, inputs: Sequence[ir.Value | None]) -> ir.Value:
        """Add a node that is `old` but for its inputs."""
        return self.outputs(old, inputs)[0]

    def outputs(
        self,
        old: ir.Node,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
    ) -> Sequence[ir.Value]:
        """Add a node that is `old` but for its inputs, and hand back all its outputs.

        Args:
            old: the node it is like.
            inputs: values of the graph or of this proposal; None for an omitted one.
            attributes: those that are others, or new.
        """
        new = self._attach(
            ir.node(
                old.op_type,
                list(inputs),
                {**old.attributes, **(attributes or {})},
                domain=old.domain,
                num_outputs=len(old.outputs),
            )
        )
        new.metadata_props.update(old.metadata_props)
        new.doc_string = old.doc_string
        self.successors[new] = old
        if old in self.context.exact_attributes:
            self.exact_attributes[new] = dict(self.context.exact_attributes[old])
        for mine, theirs in zip(new.outputs, old.outputs, strict=True):
            self.context.shapes.adopt(mine, theirs)
        return new.outputs

    def constant(
        self,
        exact: np.ndarray,
        dtype: ir.DataType,
        hint: str,
        *,
        channel_axis: int | None = None,
        maker: Maker | None = None,
    ) -> ir.Value:
        """Add a floating-point constant, given in float64 and rounded here, once.

        Args:
            exact: float64, any shape.
            dtype: the floating type to store it in.
            hint: the name it gets if that is free.
            channel_axis: the axis of the channels, each of which must survive the rounding.
            maker: makes `exact` again, so that it need not be kept.

        Raises:
            RefusedError: if rounding overflows, or takes a channel into the denormals.
        """
        exact = np.asarray(exact, dtype=np.float64)
        with np.errstate(over="ignore"):
            rounded = exact.astype(dtype.numpy())
        _check_range(exact, rounded, dtype, hint, channel_axis)
        value = self._constant(rounded, dtype, hint)
        self.constants[value] = exact
        if maker is not None:
            self.makers[value] = maker
        return value

    def integers(self, values: Sequence[int] | np.ndarray, hint: str) -> ir.Value:
        """Add an integer constant: int64 from a sequence, an array as it is."""
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=np.int64)
        value = self._constant(array, ir.DataType.from_numpy(array.dtype), hint)
        self.constants[value] = array
        return value

    def _constant(self, array: np.ndarray, dtype: ir.DataType, hint: str) -> ir.Value:
        tensor = ir.Tensor(array, dtype=dtype, name=hint)
        return ir.Value(
            name=hint, shape=ir.Shape(array.shape), type=ir.TensorType(dtype), const_value=tensor
        )

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """State that `new` stands for `old` everywhere, outputs of the graph included."""
        self.context.shapes.adopt(new, old)
        self.replacements.append((old, new))

    def read_as(self, value: ir.Value, exact: np.ndarray) -> None:
        """State what a stored constant of the original was before it was rounded.

        Args:
            value: the constant, an initializer or the output of a Constant node.
            exact: float64 of its shape, 1/N for a whole N everywhere.
        """
        self.readings[value] = exact

    def redirect(self, old: ir.Value, new: ir.Value) -> None:
        """State that `new` has the shape of `old`, so that readers of its shape may move there."""
        if any(facts_of(use.node).reads_shape_only for use in old.uses()):
            self.redirects[old] = new

    def mark(self) -> tuple[int, int]:
        """A point to which `rewind` goes back."""
        return len(self.nodes), len(self.replacements)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Take back what was added since the mark."""
        nodes, replacements = mark
        gone: set[ir.Value] = set()
        for node in self.nodes[nodes:]:
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
            gone.update(node.outputs)
        del self.nodes[nodes:]
        del self.replacements[replacements:]
        self.redirects = {old: new for old, new in self.redirects.items() if new not in gone}

    def withdraw(self) -> None:
        """Detach the new nodes from the values they read."""
        self.rewind((0, 0))


def _check_range(
    exact: np.ndarray, rounded: np.ndarray, dtype: ir.DataType, hint: str, axis: int | None
) -> None:
    finite = np.isfinite(rounded)
    # What float32 cannot hold, below 1e-38, no sum of float32 products can show either.
    if dtype.itemsize >= _SAFE_ITEMSIZE and finite.all():
        return
    overflow = np.isfinite(exact) & ~finite
    masks = [(overflow, "overflow")]
    if dtype.itemsize < _SAFE_ITEMSIZE:
        others = None if axis is None else tuple(i for i in range(exact.ndim) if i != axis)
        scale = np.max(np.abs(exact), axis=others, keepdims=True, initial=0.0)
        # Rounding a normal number moves it by at most eps/2; a denormal loses more than that.
        moved = np.abs(rounded.astype(np.float64) - exact)
        lost = moved > float(ml_dtypes.finfo(rounded.dtype).eps) * scale
        masks.append((lost & ~overflow, "vanish among denormals"))
    for mask, what in masks:
        if mask.any():
            place = tuple(int(i) for i in np.argwhere(mask)[0])
            channel = "" if axis is None else f", channel {place[axis]},"
            raise RefusedError(
                f"the folded value {exact[place]:.3g} of '{hint}'{channel} would {what} in "
                f"{dtype.name.lower()}",
                "keep this layer in float32",
            )
