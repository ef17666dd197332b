"""All types, optionals and shapes with the instruction set that NORMONNX_CPU_ISA names.

Prints "runs X" if the machine has it not, and so runs X instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from nodes import DTYPES, SHAPES, Node, assert_close, expected, feeds, model, run, session

from normonnx.runtime.library import library_facts

facts = library_facts()
if facts.cpu_isa != os.environ["NORMONNX_CPU_ISA"]:
    sys.stdout.write(f"runs {facts.cpu_isa}\n")
    sys.exit(0)
for dtype in DTYPES:
    for op_type in ("FusedAddLayerNormalization", "FusedRMSNormalization"):
        for shape, scale, axis in SHAPES:
            node = Node(op_type, dtype, "float", shape, scale, axis)
            given = feeds(node, mean=3.0)
            assert_close(
                node, run(node, session(model(node), facts.path), given), expected(node, given)
            )

# Every float16 there is goes in and comes out: scale 1, a huge epsilon that only rescales.
values = np.arange(65536, dtype=np.uint16).view(np.float16)
values = values[np.isfinite(values)].reshape(-1, 1)
node = Node("FusedAddRMSNormalization", "float16", "float", values.shape, (1,))
given = {
    "X": values,
    "Residual": np.zeros_like(values),
    "Scale": np.ones(1, np.float32),
    "XBias": np.zeros(1, np.float16),
}
total = run(node, session(model(node), facts.path), given)[1]
np.testing.assert_array_equal(total.view(np.uint16) & 0x7FFF, values.view(np.uint16) & 0x7FFF)
