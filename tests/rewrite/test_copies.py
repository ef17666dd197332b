"""Constants that several layers read: one copy where all take the same, else none unasked."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.options import Options
from normonnx.pipeline import Outcome
from tests.affine.rows import in_runtime
from tests.graphs import model, operators

PAIR = (
    "(float[b,64] x, float[b,64] z) => (float[b,512] y, float[b,512] q)"
    "{ m = MatMul (x, w)\n y = Mul (m, s)\n q = MatMul (z, w) }"
)
HEADS = (
    "(float[1,8,9,9] a, float[1,8,7,7] b, float[1,8,5,5] c)"
    " => (float[1,8,9,9] p, float[1,8,7,7] q, float[1,8,5,5] r) {\n"
    "d = Conv <pads=[1,1,1,1]> (a, w, k)\n p = BatchNormalization (d, s, o, m, v)\n"
    "e = Conv <pads=[1,1,1,1]> (b, w, k)\n q = BatchNormalization (e, s, o, m, v)\n"
    "f = Conv <pads=[1,1,1,1]> (c, w, k)\n r = BatchNormalization (f, last, o, m, v) }"
)
NORM = {"s": (8,), "t": (8,), "o": (8,), "m": (8,), "v": np.linspace(0.5, 2, 8, dtype=np.float32)}


def size(of: ir.Model) -> int:
    return len(ir.to_proto(of).SerializeToString())


def same(before: ir.Model, outcome: Outcome) -> bool:
    """In ONNX Runtime."""
    protos = [ir.to_proto(m) for m in (before, outcome.model)]
    rng = np.random.default_rng(0)
    given = {
        value.name: rng.standard_normal(
            [d.dim_value or 3 for d in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in protos[0].graph.input
    }
    results = [in_runtime(proto, given) for proto in protos]
    return all(np.allclose(a, b, atol=1e-4, rtol=1e-4) for a, b in zip(*results, strict=True))


def test_a_weight_that_another_layer_reads_as_it_is_is_not_copied() -> None:
    m = model(PAIR, w=(64, 512), s=np.float32(0.125))
    outcome = pipeline.run(m, Options())
    assert not outcome.journal.rewrites
    (miss,) = outcome.journal.near_misses.values()
    assert miss.reason == (
        "'w' is also read by MatMul 'MatMul_2', and a copy would add 127 KiB to the file"
    )
    assert miss.remedy == "--allow-duplicate makes the copy"


def test_it_is_where_that_is_asked_for() -> None:
    m = model(PAIR, w=(64, 512), s=np.float32(0.125))
    outcome = pipeline.run(m, Options(allow_duplicate=True))
    assert operators(outcome.model) == "MatMul MatMul"
    assert same(m, outcome)


def test_no_copy_is_over_the_budget() -> None:
    """Not even where copies are asked for."""
    m = model(PAIR.replace("64", "2050").replace("512", "2200"), w=(2050, 2200), s=np.float32(0.5))
    outcome = pipeline.run(m, Options(allow_duplicate=True))
    assert operators(outcome.model) == "MatMul Mul MatMul"
    (miss,) = outcome.journal.near_misses.values()
    assert "a copy of 17 MiB is over the budget of 16 MiB" in miss.reason


def test_one_new_weight_where_every_layer_takes_the_same() -> None:
    m = model(HEADS.replace("last", "s"), w=(8, 8, 3, 3), k=(8,), **NORM)
    outcome = pipeline.run(m, Options())
    assert operators(outcome.model) == "Conv Conv Conv"
    assert len({node.inputs[1] for node in outcome.model.graph}) == 1
    assert len({node.inputs[2] for node in outcome.model.graph}) == 1
    assert size(outcome.model) < size(m)
    assert same(m, outcome)
    onnx.checker.check_model(ir.to_proto(outcome.model), full_check=True)


def test_no_new_weight_where_one_of_the_layers_takes_another() -> None:
    m = model(HEADS.replace("last", "t"), w=(8, 8, 3, 3), k=(8,), **NORM)
    outcome = pipeline.run(m, Options())
    assert not outcome.journal.rewrites
    assert all("is also read by Conv" in n.reason for n in outcome.journal.near_misses.values())


def test_a_copy_that_is_next_to_nothing_is_made() -> None:
    """1 KiB beside 1 MiB; 4 KiB are too much."""
    text = (
        "(float[b,32] x) => (float[b,N] y, float[b,N] z, float[b,8192] l) { a = MatMul (x, w)\n"
        "y = Mul (a, k)\n z = MatMul (x, w)\n l = MatMul (x, large) }"
    )
    for width, count in ((8, 1), (32, 0)):
        m = model(text.replace("N", str(width)), w=(32, width), large=(32, 8192), k=np.float32(3))
        outcome = pipeline.run(m, Options())
        assert len(outcome.journal.rewrites) == count
        assert size(outcome.model) < 1.002 * size(m)


@pytest.mark.parametrize("opset", [13, 17])
def test_twins_of_different_numbers_are_none(opset: int) -> None:
    m = model(
        "(float[b,8] x) => (float[b,4] y, float[b,4] z) { a = MatMul (x, w)\n y = Mul (a, k)\n"
        "c = MatMul (x, w)\n z = Mul (c, l) }",
        opset=opset,
        w=(8, 4),
        k=np.float32(2),
        l=np.float32(3),
    )
    outcome = pipeline.run(m, Options(allow_duplicate=True))
    assert operators(outcome.model) == "MatMul MatMul"
    assert len({node.inputs[1] for node in outcome.model.graph}) == 2
    assert same(m, outcome)
