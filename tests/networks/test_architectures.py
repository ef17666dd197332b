"""Networks of the blocks that people build from keep their outputs in ONNX Runtime.

NORMONNX_ARCHITECTURES sets how many are tried, 150 by default; ``python -m benchmarks.networks``
tries thousands. A failure names the seed; see it with
``onnx.printer.to_text(tests.networks.assemble(seed).model)``.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

from tests.networks import assemble
from tests.networks.execution import graphs
from tests.networks.trial import Expected, differences, try_out

COUNT = int(os.environ.get("NORMONNX_ARCHITECTURES", "150"))
CHUNK = 15

CHUNKS = [range(start, min(start + CHUNK, COUNT)) for start in range(0, COUNT, CHUNK)]


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_outputs_stay_the_same(seeds: range) -> None:
    trials = [try_out(seed) for seed in seeds]
    flaws = [
        f"seed {trial.seed} for {trial.target}: {flaw}"
        for trial in trials
        for flaw in [*trial.wrong, *filter(None, [trial.crash])]
    ]
    assert not flaws, "\n".join(flaws)
    assert all(trial.runs for trial in trials)
    assert sum(trial.rewrites > 0 for trial in trials) > len(trials) / 2
    assert any(trial.sizes > 1 for trial in trials)


def test_the_networks_are_varied() -> None:
    """What they are there for occurs in a few hundred of them."""
    operators: set[str] = set()
    sizes: set[str] = set()
    stated = references = shared = 0
    for seed in range(300):
        model = assemble(seed).model
        onnx.checker.check_model(model)
        nodes = [node for graph in graphs(model) for node in graph.node]
        operators.update(f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes)
        references += any(a.ref_attr_name for node in nodes for a in node.attribute)
        stated += bool(model.graph.value_info)
        weights = [node.input[1] for node in nodes if node.op_type == "Conv"]
        shared += len(set(weights)) < len(weights)
        for value in model.graph.input:
            for dim in value.type.tensor_type.shape.dim:
                sizes.add("-1" if dim.dim_value < 0 else str(dim.WhichOneof("value")))
    assert sizes == {"-1", "None", "dim_param", "dim_value"}
    assert min(stated, references, shared) > 5
    assert operators >= set(
        """If Loop Resize Upsample ConvTranspose BatchNormalization InstanceNormalization
        LayerNormalization Split Concat DequantizeLinear GlobalAveragePool Cast Where ReduceL2
        DepthToSpace com.microsoft.FusedConv com.microsoft.FusedMatMul com.microsoft.MatMulNBits
        com.microsoft.SkipLayerNormalization local.Block0""".split()
    )


def test_a_network_is_its_seed() -> None:
    one, two = assemble(7), assemble(7)
    assert one.model.SerializeToString() == two.model.SerializeToString()
    assert one.model.SerializeToString() != assemble(8).model.SerializeToString()
    assert all(np.array_equal(one.resized(2, 1)[k], two.resized(2, 1)[k]) for k in one.feeds)


def test_the_comparison_sees_a_difference() -> None:
    """One element, a type, a shape, what is not finite."""
    right = Expected({}, [np.array([1.0, 2.0], np.float32)], [1e-6])
    assert not list(differences(right, [np.array([1.0, 2.0], np.float32)]))
    for found in (
        np.array([1.0, 2.1], np.float32),
        np.array([1.0, 2.0], np.float64),
        np.array([[1.0, 2.0]], np.float32),
        np.array([1.0, np.nan], np.float32),
    ):
        assert list(differences(right, [found]))
