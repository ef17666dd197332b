"""A map goes forward, into everything that reads it."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.affine.absorb import materialise
from normonnx.affine.attempts import (
    FORWARD_RULE,
    IDENTITY,
    Attempt,
)
from normonnx.affine.feed import FEED
from normonnx.affine.map import AffineMap
from normonnx.affine.norm_scale import without_map
from normonnx.affine.precision import Data, data_of, must_keep_digits, must_not_cancel, scaled
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.travel import FORWARD
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of


class Forward(Attempt):
    """f(m(x)) → f′(x), for every f that reads m(x)."""

    is_backward = False

    def rewrite(self) -> None:
        self.proposal.rule = FORWARD_RULE
        found = self.found
        data = data_of(found, IDENTITY, None)
        if found.map.is_scale:
            self._must_not_hide_a_spread()
        self._spread(found.node.outputs[0], found.source, found.map, data)

    def _must_not_hide_a_spread(self) -> None:
        """A scale says how far the numbers lie apart that the shift before it centres.

        Where that is what keeps the shift from moving, the scale has to stay with it.
        """
        producer = self.found.source.producer()
        inner = None if producer is None else recognise(self.context, producer)
        whole = self.found.map.after(inner.map) if isinstance(inner, Affine) else None
        if not isinstance(inner, Affine) or whole is None:
            return
        data = data_of(inner, IDENTITY, None)
        if data is None or data.spread is not None:
            return
        dtype = self.context.shapes.dtype(inner.source)
        moving = f"moving {describe(inner.node)} after it"
        try:
            must_keep_digits(self.context, data, inner.source, dtype, moving)
        except RefusedError:
            return  # it stays without being told a spread
        must_keep_digits(self.context, scaled(data, whole), inner.source, dtype, moving)

    def _spread(self, old: ir.Value, new: ir.Value, m: AffineMap, data: Data | None) -> None:
        """Give every reader of `old`, which is m(new), the value `new` instead.

        Args:
            old: a value.
            new: the value in its place.
            m: the map between them.
            data: where the numbers lie that the site is applied to, None while there is no shift.
        """
        if m.is_identity:
            self.proposal.replace(old, new)
            return
        if old.is_graph_output():
            raise RefusedError(f"'{old.name}' is an output of the graph")
        readers = [use for use in old.uses() if use.node.graph is not None]
        seen: set[ir.Node] = set()
        for use in readers:
            node = use.node
            if facts_of(node).reads_shape_only:
                continue
            if node.graph is not self.proposal.graph:
                raise RefusedError(f"{describe(node)} in a subgraph reads it")
            if node in seen:
                raise RefusedError(f"{describe(node)} reads it twice")
            seen.add(node)
            self._feed(node, use.idx, new, m, data)
        if not seen:
            raise RefusedError("nothing reads it")
        self.proposal.redirect(old, new)

    def _feed(
        self, node: ir.Node, index: int, new: ir.Value, m: AffineMap, data: Data | None
    ) -> None:
        outer = recognise(self.context, node)
        dtype = self.context.shapes.dtype(node.inputs[index])
        if isinstance(outer, Affine):
            composed = outer.map.after(m)
            if composed is not None:
                names = f"{describe(self.found.node)} and {describe(node)}"
                must_not_cancel(m, outer.map, dtype, of=names)
                self.affine.append(node.op_type)
                self._spread(node.outputs[0], new, composed, data_of(outer, m, data))
                return
        if onnx_name(node) in FEED:
            moving = f"moving it behind {describe(node)}"
            must_keep_digits(self.context, data, self.found.source, dtype, moving)
            rests = FEED[node.op_type](self.proposal, node, index, new, m)
            self.takers.append(node.op_type)
            for old, value, rest in rests:
                self._write_rest(old, value, rest)
            return
        if onnx_name(node) in FORWARD:
            for old, value, rest in FORWARD[node.op_type](self.proposal, node, index, new, m):
                self._spread(old, value, rest, data)
            return
        raise RefusedError(f"{describe(node)} reads it, and takes no scale or shift")

    def _write_rest(self, old: ir.Value, value: ir.Value, rest: AffineMap) -> None:
        """What a layer could not take goes into the Add behind it, or is written out."""
        readers = [use for use in old.uses() if use.node.graph is not None]
        if not rest.is_identity and len(readers) == 1 and not old.is_graph_output():
            node = readers[0].node
            bias = recognise(self.context, node) if node.graph is self.proposal.graph else None
            if isinstance(bias, Affine):
                composed = bias.map.after(rest)
                if composed is not None:
                    out = node.outputs[0]
                    new = materialise(self.proposal, value, composed, out)
                    self.proposal.replace(out, new)
                    return
        self.proposal.replace(old, materialise(self.proposal, value, rest, old))


class NormScale(Forward):
    """f(γ·n(x) + β) → f′(n(x))."""

    def rewrite(self) -> None:
        node = self.found.node
        bare = without_map(self.proposal, node)
        # What a norm gives is centred before its own scale and bias: no shift that could cancel.
        self._spread(node.outputs[0], bare, self.found.map, None)
