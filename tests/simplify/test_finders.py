"""What each finder asks before it proposes anything: of each pair the second is one fact away.

A wrong proposal would be refused by its certificate; here nothing is certified.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.graph.nesting import walk
from normonnx.simplify import (
    branches,
    chains,
    constants,
    nothing,
    padding,
    products,
    siblings,
    views,
)
from normonnx.simplify.budget import Budget
from normonnx.simplify.rule import Finder
from tests.graphs import context, model, value


class Pair(NamedTuple):
    """Two graphs whose node that makes `y`, or `inner` in a branch, is looked at.

    Attributes:
        finder: looks at it.
        found: a graph in which it is simplified.
        left: one in which it is not.
        opset: of the second; that of the first is 17.
    """

    finder: Finder
    found: str
    left: str
    opset: int = 17


X = "(float[3,4] x)"
Y = f"{X} => (float[] r)"
XY = f"{X} => (float[] r, float[] a)"
BOTH = "(float[3,4] x, float[4] u) => (float[] r)"
IMAGE = "(float[1,2,5,5] x) => (float[] r)"
ROWS = "(float[3,4] x, float[4,5] w, float[5] u) => (float[] r)"
END = "r = Sin (y) }"
WEIGHTS: dict[str, Any] = {
    "zero": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "four": np.int64([4]),
    "end": np.int64([1 << 62]), "yes": np.bool_(True), "half": np.float32(0.5),
    "o3": np.int64([0, 1, 2]), "o4": np.int64([0, 1, 2, 3]), "fzero": np.float32(0),
    "fminus": np.float32(-0.0), "fone": np.float32(1), "row": np.ones((1, 3, 4), np.float32),
    "same": np.ones((1, 1), np.float32),
    "p": np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "pb": np.int64([0, 0, 1, 1, 1, 0, 1, 1]),
    "pf": np.int64([1, 0, 1, 1, 0, 0, 1, 1]), "pn": np.int64([0, 0, -1, 1, 0, 0, 1, 1]),
    "k": np.ones((2, 2, 3, 3), np.float32), "m": np.ones((4, 5), np.float32),
    "b5": np.ones(5, np.float32), "b35": np.ones((3, 5), np.float32),
    "q": np.ones((4, 5), np.int8), "s": np.float32(0.5), "z8": np.int8(0),
    "m3": np.ones((2, 4, 5), np.float32), "axes": np.int64([2, 3, 0, 1]),
}  # fmt: skip

PAIRS = {
    "a branch with graphs of its own": Pair(
        branches.taken,
        f"{Y} {{ y = If (yes) <then_branch = t () => (float[3,4] i) {{ i = Exp (x) }},"
        f"else_branch = e () => (float[3,4] j) {{ j = Sin (x) }}> {END}",
        "(float[3,4] x, bool c) => (float[] r) "
        "{ y = If (yes) <then_branch = t () => (float[3,4] i) { i = If (c) <"
        "then_branch = t2 () => (float[3,4] p) { p = Exp (x) },"
        "else_branch = e2 () => (float[3,4] o) { o = Abs (x) }> },"
        f"else_branch = e () => (float[3,4] j) {{ j = Sin (x) }}> {END}"),
    "a branch that gives an output a constant": Pair(
        branches.taken,
        f"{Y} {{ y = If (yes) <then_branch = t () => (float[1] i) {{ "
        "i = Constant <value = float[1] {2}> () },"
        f"else_branch = e () => (float[1] j) {{ j = Constant <value = float[1] {{3}}> () }}> {END}",
        f"{X} => (float[1] y) {{ y = If (yes) <then_branch = t () => (float[1] i) {{ "
        "i = Constant <value = float[1] {2}> () },"
        "else_branch = e () => (float[1] j) { j = Constant <value = float[1] {3}> () }> }"),
    "what lies before a chain is outside of the graph": Pair(
        chains.transposes,
        f"{Y} {{ a = Transpose (x) y = Transpose (a) {END}",
        "(float[3,4] x, bool c) => (float[] r) { a = Transpose (x) y = If (c) <"
        "then_branch = t () => (float[3,4] i) { inner = Transpose (a) i = Exp (inner) },"
        f"else_branch = e () => (float[3,4] j) {{ j = Sin (x) }}> {END}"),
    "Reshape with an attribute": Pair(
        views.views,
        f"{Y} {{ a = Flatten <axis=0> (x) y = Squeeze (a, zero) {END}",
        f"{Y} {{ a = Flatten <axis=0> (x) y = Squeeze <axes=[0]> (a) {END}", 4),
    "a number as text": Pair(
        chains.casts,
        f"(int32[3] x) => (float[] r) {{ a = Cast <to=11> (x) y = Cast <to=1> (a) {END}",
        "(int32[3] x) => (string[3] y) { a = Cast <to=11> (x) y = Cast <to=8> (a) }"),
    "signed numbers in unsigned ones": Pair(
        chains.casts,
        f"(uint8[3] x) => (float[] r) {{ a = Cast <to=4> (x) y = Cast <to=1> (a) {END}",
        f"(int8[3] x) => (float[] r) {{ a = Cast <to=4> (x) y = Cast <to=1> (a) {END}"),
    "unsigned numbers in signed ones": Pair(
        chains.casts,
        f"(uint8[3] x) => (float[] r) {{ a = Cast <to=5> (x) y = Cast <to=1> (a) {END}",
        f"(uint8[3] x) => (float[] r) {{ a = Cast <to=3> (x) y = Cast <to=1> (a) {END}"),
    "a Slice that others read": Pair(
        chains.slices,
        f"{Y} {{ a = Slice (x, one, end, zero) y = Slice (a, one, end, one) {END}",
        f"{XY.replace('float[] a', 'float[] h')} {{ a = Slice (x, one, end, zero) h = Exp (a) "
        f"y = Slice (a, one, end, one) {END}"),
    "a Slice that is an output": Pair(
        chains.slices,
        f"{Y} {{ a = Slice (x, one, end, zero) y = Slice (a, one, end, one) {END}",
        f"{XY} {{ a = Slice (x, one, end, zero) y = Slice (a, one, end, one) {END}"),
    "Slices of one axis": Pair(
        chains.slices,
        f"{Y} {{ a = Slice (x, one, end, zero) y = Slice (a, one, end, one) {END}",
        f"{Y} {{ a = Slice (x, one, end, one) y = Slice (a, one, end, one) {END}"),
    "a Concat that is an output": Pair(
        chains.concats,
        f"{Y} {{ a = Concat <axis=0> (x, x) y = Concat <axis=0> (a, x) {END}",
        f"{XY} {{ a = Concat <axis=0> (x, x) y = Concat <axis=0> (a, x) {END}"),
    "a Concat that is read twice": Pair(
        chains.concats,
        f"{Y} {{ a = Concat <axis=0> (x, x) y = Concat <axis=0> (a, x) {END}",
        f"{Y} {{ a = Concat <axis=0> (x, x) y = Concat <axis=0> (a, a) {END}"),
    "Concats along two axes": Pair(
        chains.concats,
        f"{Y} {{ a = Concat <axis=0> (x, x) y = Concat <axis=0> (a, x) {END}",
        f"{Y} {{ a = Concat <axis=0> (x, x) y = Concat <axis=1> (a, a) {END}"),
    "quantised weights": Pair(
        partial(constants.worked_out, Budget(0)),
        f"{Y} {{ y = Cast <to=1> (q) v = MatMul (x, y) r = Sin (v) }}",
        f"{Y} {{ y = DequantizeLinear (q, s, z8) v = MatMul (x, y) r = Sin (v) }}"),
    "a mask that is read": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Dropout (x) {END}",
        f"{X} => (float[] r, bool[] o) {{ y, n = Dropout (x) o = Not (n) {END}"),
    "a mask that is an output": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Dropout (x) {END}",
        f"{X} => (float[] r, bool[] n) {{ y, n = Dropout (x) {END}"),
    "a Dropout that is not told that it is a test": Pair(
        nothing.gives_back, f"{Y} {{ y = Dropout (x) {END}", f"{Y} {{ y = Dropout (x) {END}", 6),
    "a Slice from 1": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Slice (x, zero, end, one) {END}",
        f"{Y} {{ y = Slice (x, one, end, one) {END}"),
    "a Slice of every second": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Slice (x, zero, end, one) {END}",
        f"{Y} {{ y = Slice (x, zero, end, one, two) {END}"),
    "a Gather of three of four": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Gather <axis=1> (x, o4) {END}",
        f"{Y} {{ y = Gather <axis=1> (x, o3) {END}"),
    "a Relu of another domain": Pair(
        nothing.gives_back,
        f"{Y} {{ a = Relu (x) y = Relu (a) {END}",
        f"{Y} {{ a = com.microsoft.Relu (x) y = Relu (a) {END}"),
    "a product that adds an axis": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Mul (x, same) {END}",
        f"{Y} {{ y = Mul (x, row) {END}"),
    "a sum with 0": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Add (x, fminus) {END}",
        f"{Y} {{ y = Add (x, fzero) {END}"),
    "a difference with −0": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Sub (x, fzero) {END}",
        f"{Y} {{ y = Sub (x, fminus) {END}"),
    "0 less a value": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Sub (x, fzero) {END}",
        f"{Y} {{ y = Sub (fzero, x) {END}"),
    "1 by a value": Pair(
        nothing.gives_back,
        f"{Y} {{ y = Div (x, fone) {END}",
        f"{Y} {{ y = Div (fone, x) {END}"),
    "a Pad of the batch, behind": Pair(
        padding.into_convolution,
        f"{IMAGE} {{ a = Pad (x, p) y = Conv (a, k) {END}",
        f"{IMAGE} {{ a = Pad (x, pb) y = Conv (a, k) {END}"),
    "a Pad of the batch, in front": Pair(
        padding.into_convolution,
        f"{IMAGE} {{ a = Pad (x, p) y = Conv (a, k) {END}",
        f"{IMAGE} {{ a = Pad (x, pf) y = Conv (a, k) {END}"),
    "a Pad with a half": Pair(
        padding.into_convolution,
        f"{IMAGE} {{ a = Pad (x, p, fzero) y = Conv (a, k) {END}",
        f"{IMAGE} {{ a = Pad (x, p, half) y = Conv (a, k) {END}"),
    "a Pad that cuts": Pair(
        padding.into_convolution,
        f"{IMAGE} {{ a = Pad (x, p) y = Conv (a, k) {END}",
        f"{IMAGE} {{ a = Pad (x, pn) y = Conv (a, k) {END}"),
    "a Pad of named axes": Pair(
        padding.into_convolution,
        f"{IMAGE} {{ a = Pad (x, p) y = Conv (a, k) {END}",
        f"{IMAGE} {{ a = Pad (x, p, , axes) y = Conv (a, k) {END}", 18),
    "a Pad that mirrors": Pair(
        padding.into_convolution,
        f'{IMAGE} {{ a = Pad <mode="constant"> (x, p) y = Conv (a, k) {END}',
        f'{IMAGE} {{ a = Pad <mode="reflect"> (x, p) y = Conv (a, k) {END}'),
    "a product that others read": Pair(
        products.added_bias,
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) {END}",
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) v = Mul (y, a) r = Sin (v) }}"),
    "a product that is an output": Pair(
        products.added_bias,
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) {END}",
        f"{XY} {{ a = MatMul (x, m) y = Add (a, b5) {END}"),
    "a bias that is no constant": Pair(
        products.added_bias,
        f"{ROWS} {{ a = MatMul (x, w) y = Add (a, b5) {END}",
        f"{ROWS} {{ a = MatMul (x, w) y = Add (a, u) {END}"),
    "a bias of every row": Pair(
        products.added_bias,
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) {END}",
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b35) {END}"),
    "a Gemm that does not broadcast": Pair(
        products.added_bias,
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) {END}",
        f"{Y} {{ a = MatMul (x, m) y = Add <broadcast=1> (a, b5) {END}", 6),
    "several matrices": Pair(
        products.added_bias,
        f"{Y} {{ a = MatMul (x, m) y = Add (a, b5) {END}",
        f"{Y} {{ a = MatMul (x, m3) y = Add (a, b5) {END}"),
    "a part that is left over": Pair(
        siblings.split,
        f"{Y} {{ y = Slice (x, zero, two, one) a = Slice (x, two, end, one) r = Mul (y, a) }}",
        f"{Y} {{ y = Slice (x, zero, one, one) a = Slice (x, one, two, one) r = Mul (y, a) }}"),
    "a part in a branch": Pair(
        siblings.split,
        f"{Y} {{ y = Slice (x, zero, two, one) a = Slice (x, two, end, one) r = Mul (y, a) }}",
        "(float[3,4] x, bool c) => (float[] r) { y = Slice (x, zero, two, one) v = If (c) <"
        "then_branch = t () => (float[3,2] i) { i = Slice (x, two, end, one) },"
        "else_branch = e () => (float[3,2] j) { j = Slice (x, two, end, one) }> r = Mul (y, v) }"),
    "a part that is missing in front": Pair(
        siblings.split,
        f"{Y} {{ y = Slice (x, zero, two, one) a = Slice (x, two, end, one) r = Mul (y, a) }}",
        f"{Y} {{ y = Slice (x, one, two, one) a = Slice (x, two, end, one) r = Sum (y, a) }}"),
}  # fmt: skip


def proposed(finder: Finder, text: str, opset: int) -> bool:
    """Whether the finder proposes anything."""
    read = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    given = {name: array for name, array in WEIGHTS.items() if name in read}
    m = model(text, opset=opset, **given)
    if "com.microsoft" in text:
        m.opset_imports["com.microsoft"] = 1
    inner = [n for n in walk(m.graph) if n.outputs and n.outputs[0].name == "inner"]
    [looked_at] = inner or [value(m, "y").producer()]
    assert isinstance(looked_at, ir.Node)
    return finder(context(m), looked_at) is not None


@pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))
def test_one_is_found_and_the_other_is_not(pair: Pair) -> None:
    assert proposed(pair.finder, pair.found, 17)
    assert not proposed(pair.finder, pair.left, pair.opset)


def test_what_was_rounded_to_a_number_that_goes_is_forgotten() -> None:
    """It is in no file: a run on the result would not know it either."""
    m = model(f"{Y} {{ y = Mul (x, fone) {END}", fone=WEIGHTS["fone"])
    known = context(m)
    known.constants.exact["fone"] = np.float64(1 + 2**-30)
    assert nothing.gives_back(known, value(m, "y").producer()) is not None  # type: ignore[arg-type]
    assert "fone" not in known.constants.exact
