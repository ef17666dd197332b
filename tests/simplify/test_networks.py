"""Networks with shape arithmetic keep their outputs at every size, and are a fixed point.

``python -m benchmarks.simplify_networks`` tries thousands. A failure names the seed; see it with
``onnx.printer.to_text(tests.networks.shape_arithmetic.draw_sized(seed).model)``.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks.execution import graphs
from tests.networks.shape_arithmetic import draw_sized
from tests.networks.shape_trial import output_differences, try_out_sized

COUNT, CHUNK = 40, 8


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK))
def test_outputs_stay_the_same(start: int) -> None:
    found = [try_out_sized(seed) for seed in range(start, start + CHUNK)]
    flaws = [
        f"seed {trial.seed} for {trial.target}: {flaw}"
        for trial in found
        for flaw in [*trial.wrong, *filter(None, [trial.crash])]
    ]
    assert not flaws, "\n".join(flaws)
    assert sum(trial.runs for trial in found) >= CHUNK - 2
    before, after = (sum(trial.nodes[place] for trial in found) for place in (0, 1))
    assert after < before / 2
    assert any(trial.sizes > 3 for trial in found)


def test_the_networks_are_varied() -> None:
    """What they are there for occurs in a few hundred of them."""
    nodes = [n for seed in range(300) for g in graphs(draw_sized(seed).model) for n in g.node]
    assert {f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes} >= set(
        """Shape Gather Slice Unsqueeze Squeeze Concat Cast Mul Div Add Sub Max ReduceProd Ceil
        Reshape Flatten Expand Where Equal ConstantOfShape Range Tile Resize Split If Loop Transpose
        Identity Dropout Pad MaxPool Trilu Softmax QuantizeLinear SequenceConstruct SequenceAt
        RandomUniformLike Compress Sum com.microsoft.Gelu""".split()
    )


def test_the_comparison_sees_a_difference() -> None:
    """One element, a type, a shape, the sign of a zero, what is not finite."""
    right = np.array([1.0, 0.0, np.inf], np.float32)
    assert not list(output_differences([right], [right.copy()], 0.0))
    assert not list(output_differences([right], [right * np.float32(1 + 1e-7)], 1e-6))
    for other in (
        np.array([1.0, -0.0, np.inf], np.float32),
        np.array([1.0000001, 0.0, np.inf], np.float32),
        np.array([1.0, 0.0, -np.inf], np.float32),
        right.astype(np.float64),
        right[None],
    ):
        assert list(output_differences([right], [other], 0.0))
    assert list(output_differences([right], [-right], 1e-6))
