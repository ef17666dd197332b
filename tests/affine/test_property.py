"""Random networks keep their outputs, in float64 and in ONNX Runtime.

NORMONNX_NETWORKS sets how many are tried, 2,000 by default. A failure names the seed; see it with
``onnx.printer.to_text(tests.networks.draw(seed).model)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto

from normonnx import pipeline
from normonnx.options import Options
from normonnx.oracle.execution import OracleFailedError
from normonnx.oracle.oracle import Oracle
from normonnx.pipeline import Outcome
from tests.graphs import context
from tests.networks import Network, draw

COUNT = int(os.environ.get("NORMONNX_NETWORKS", "2000"))
CHUNK = 50
CHUNKS = [range(start, min(start + CHUNK, COUNT)) for start in range(0, COUNT, CHUNK)]

TOLERANCE = 1e-9
"""In float64, of the output's largest magnitude."""

NEGLIGIBLE = 1e-12
"""What cancels to less than this is rounding noise of float64."""


def options_for(seed: int) -> Options:
    return Options(
        allow_duplicate=seed % 4 == 3,
        rules_on=frozenset({"NX006"} if seed % 8 == 5 else ()),
        freeze_initializers=seed % 3 == 0,
    )


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_outputs_stay_the_same(seeds: range) -> None:
    wrong = [f"seed {seed}: {flaw}" for seed in seeds for flaw in flaws(draw(seed))]
    assert not wrong, "\n".join(wrong)


def flaws(network: Network) -> Iterator[str]:
    """What is wrong with the rewritten network, one sentence each."""
    onnx.checker.check_model(network.model, full_check=True)
    original = ir.from_proto(network.model)
    outcome = pipeline.run(original, options_for(network.seed))
    done = [rewrite.summary for rewrite in outcome.journal.rewrites]
    optimized = ir.to_proto(outcome.model)
    try:
        onnx.checker.check_model(optimized, full_check=True)
    except Exception as error:
        yield f"{str(error).splitlines()[0]} after {done}"
        return
    truth = Oracle(original)
    found = Oracle(outcome.model, exact=outcome.exact)
    expected = truth.run(network.feeds).outputs
    for flaw in differences(expected, found.run(network.feeds).outputs):
        yield f"{flaw} after {done}"
    other = network.other_feeds()
    if other:
        try:
            larger = truth.run(other).outputs
        except OracleFailedError:
            pass
        else:
            for flaw in differences(larger, found.run(other).outputs):
                yield f"at other sizes {flaw} after {done}"
    if network.seed % 10 == 0 and network.types == {TensorProto.FLOAT}:
        for flaw in runtime_differences(network, outcome, expected):
            yield f"{flaw} after {done}"


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name, a in expected.items():
        b = found[name]
        if a.shape != b.shape:
            yield f"'{name}' has the shape {b.shape} instead of {a.shape}"
            continue
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            yield f"'{name}' is finite elsewhere"
            continue
        allowed = TOLERANCE * np.abs(a[finite]).max(initial=0.0) + NEGLIGIBLE
        worst = np.abs(a - b)[finite].max(initial=0.0)
        if worst > allowed:
            yield f"'{name}' is off by {worst:.2g}, allowed are {allowed:.2g}"


def runtime_differences(
    network: Network, outcome: Outcome, truth: Mapping[str, Any]
) -> Iterator[str]:
    """In float32 the result is no further from the truth than four times what the original is."""
    before = in_runtime(network.model, network.feeds)
    after = in_runtime(ir.to_proto(outcome.model), network.feeds)
    for (name, exact), a, b in zip(truth.items(), before, after, strict=True):
        if b.dtype != np.float32 or a.shape != b.shape:
            yield f"'{name}' is {b.dtype}{b.shape} in ONNX Runtime"
            continue
        floor = 100 * np.finfo(np.float32).eps * max(np.abs(exact).max(initial=0.0), 1e-2)
        was, now = (np.abs(x - exact).max(initial=0.0) for x in (a, b))
        if not now <= 4 * was + floor:
            yield f"'{name}' was off by {was:.2g} in ONNX Runtime and is by {now:.2g}"


def in_runtime(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(output) for output in session.run(None, feeds)]


@pytest.mark.parametrize("seeds", CHUNKS[::8], ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_a_second_run_finds_nothing(seeds: range) -> None:
    for seed in seeds:
        first = pipeline.run(ir.from_proto(draw(seed, symbolic=False).model), options_for(seed))
        again = pipeline.run(first.model, options_for(seed))
        assert not again.journal.rewrites, f"seed {seed}: {again.journal.rewrites[0].summary}"


@pytest.mark.parametrize("seeds", CHUNKS[::8], ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_what_is_known_of_shapes_is_so(seeds: range) -> None:
    """Every map is moved by axes and extents, which are only as right as these."""
    for seed in seeds:
        network = draw(seed, symbolic=False)
        model = ir.from_proto(network.model)
        shapes = context(model).shapes
        values = [value for node in model.graph for value in node.outputs]
        found = Oracle(model).run(network.feeds, also=values).extras
        for value in values:
            dims = shapes.dims(value)
            sizes = np.shape(found[str(value.name)])
            if dims is not None:
                known = zip(dims, sizes, strict=True)
                wrong = [pair for pair in known if isinstance(pair[0], int) and pair[0] != pair[1]]
                assert not wrong, f"seed {seed}: '{value.name}' is {sizes}, said to be {dims}"


def test_the_networks_exercise_the_engine() -> None:
    """A generator that drew nothing to fold would prove nothing."""
    rules: set[str] = set()
    rewrites = 0
    for seed in range(150):
        journal = pipeline.run(ir.from_proto(draw(seed).model), options_for(seed)).journal
        rules.update(rewrite.rule for rewrite in journal.rewrites)
        rewrites += len(journal.rewrites)
    assert rules >= {"NX001", "NX002", "NX003", "NX004", "NX005"}
    assert rewrites > 150


def test_a_network_is_its_seed() -> None:
    assert draw(7).model.SerializeToString() == draw(7).model.SerializeToString()
    assert draw(7).model.SerializeToString() != draw(8).model.SerializeToString()
