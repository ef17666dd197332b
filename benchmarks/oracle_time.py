"""What the float64 oracle and a whole comparison cost: ResNet-50 at 224 × 224, six layers of BERT.

    python -m benchmarks.oracle_time

Each model is compared with what normonnx makes of it. Seconds are told of the clock and of the
processor, all threads together: on a quiet machine the clock is not above the processor's, and on a
busy one it is. Memory is what the process had of its own at most. Writes
benchmarks/results/oracle_time.json and .md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from benchmarks.large_models import resnet50
from models.attention import gelu, self_attention
from models.layers import layer_norm, linear
from models.network import torch_network
from normonnx import pipeline
from normonnx.judge import verify
from normonnx.options import Options
from normonnx.oracle.oracle import Oracle

LAYERS, WIDTH, HEADS, TOKENS = 6, 768, 12, 128
SIDE = 224
_STATUS = Path("/proc/self/status")


def images() -> onnx.ModelProto:
    """ResNet-50 with one image of 224 × 224."""
    model = resnet50()
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, SIDE, SIDE),
                          strict=True):  # fmt: skip
        axis.dim_value = size
    del model.graph.value_info[:]
    return model


def bert() -> onnx.ModelProto:
    """Six encoder layers of BERT-base over 128 tokens, their LayerNorms spelled out."""
    net = torch_network("bert", opset=14)
    x = net.input("tokens", [1, TOKENS, WIDTH])
    for index in range(LAYERS):
        path, module = f"/layer.{index}", f"layer.{index}"
        y = self_attention(net, x, f"{path}/attention", f"{module}.attention", WIDTH, HEADS)
        x = net.node("Add", [x, y], f"{path}/Add")
        x = layer_norm(net, x, f"{path}/norm1", f"{module}.norm1", WIDTH)
        y = linear(net, x, f"{path}/fc1", f"{module}.fc1", (WIDTH, 4 * WIDTH))
        y = gelu(net, y, f"{path}/act")
        y = linear(net, y, f"{path}/fc2", f"{module}.fc2", (4 * WIDTH, WIDTH))
        x = net.node("Add", [x, y], f"{path}/Add_1")
        last = index == LAYERS - 1
        x = layer_norm(net, x, f"{path}/norm2", f"{module}.norm2", WIDTH,
                       **({"out": "states"} if last else {}))  # fmt: skip
    net.output("states", [1, TOKENS, WIDTH])
    return net.model()


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    f"ResNet-50, {SIDE} × {SIDE}": images,
    f"BERT, {LAYERS} layers, {TOKENS} tokens": bert,
}


@dataclass(frozen=True)
class Row:
    """What one model cost.

    Attributes:
        model: the model.
        products: multiplications of one evaluation, in 10⁹.
        oracle: seconds of one evaluation in float64, by the clock.
        oracle_processor: the same, of all threads.
        judged: seconds of the comparison, by the clock.
        judged_processor: the same, of all threads.
        own_megabytes: what the process had of its own at most, before and during the comparison.
        line: the verdict.
    """

    model: str
    products: float
    oracle: float
    oracle_processor: float
    judged: float
    judged_processor: float
    own_megabytes: tuple[int, int]
    line: str


def own_megabytes() -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) >> 10
    return 0


def measured(name: str) -> Row:
    """Evaluate and compare one model in this process."""
    model = ir.from_proto(MODELS[name]())
    shape = [size for size in model.graph.inputs[0].shape or () if isinstance(size, int)]
    feed = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    oracle = Oracle(model)
    clock, processor = time.perf_counter(), time.process_time()
    found = oracle.run({str(model.graph.inputs[0].name): feed})
    first = (time.perf_counter() - clock, time.process_time() - processor)
    del oracle
    outcome = pipeline.run(model, Options())
    before, peak, over = own_megabytes(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], own_megabytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    clock, processor = time.perf_counter(), time.process_time()
    verdict = verify(model, outcome.model, exact=outcome.exact)
    second = (time.perf_counter() - clock, time.process_time() - processor)
    over.set()
    watcher.join()
    memory = (before, peak[0])
    return Row(name, found.multiplications / 1e9, *first, *second, memory, verdict.line())


def report(rows: list[Row]) -> str:
    """The page of results."""
    lines = [
        "| model | 10⁹ products | oracle s | of all threads | judged s | of all threads "
        "| MiB before | most |",
        "|---" * 8 + "|",
    ]
    for r in rows:
        times = (r.oracle, r.oracle_processor, r.judged, r.judged_processor)
        cells = [f"{r.products:.1f}", *(f"{t:.1f}" for t in times), *map(str, r.own_megabytes)]
        lines.append(f"| {r.model} | {' | '.join(cells)} |")
    busy = os.getloadavg()[0]
    where = f"{platform.machine()}, {os.cpu_count()} cores, {busy:.0f} processes waiting for them"
    sections = [
        "# What the float64 oracle and a comparison cost",
        f"{datetime.now(UTC):%Y-%m-%d}, {where}. Written by `python -m benchmarks.oracle_time`.",
        "One evaluation by the oracle, and the whole comparison with what normonnx made of the "
        "model. Processor seconds are those of all threads.",
        "\n".join(lines),
        *(f"- {r.model}: {r.line}" for r in rows),
    ]
    return "\n\n".join(sections) + "\n"


def main() -> int:
    """Measure each model in a process of its own."""
    if len(sys.argv) > 1:
        print(json.dumps(asdict(measured(sys.argv[1]))))
        return 0
    rows = []
    for name in MODELS:
        command = [sys.executable, "-m", "benchmarks.oracle_time", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(Row(**{**found, "own_megabytes": tuple(found["own_megabytes"])}))
        print(rows[-1], flush=True)
    results = Path(__file__).parent / "results"
    data = json.dumps([asdict(r) for r in rows], indent=1)
    (results / "oracle_time.json").write_text(data + "\n")
    (results / "oracle_time.md").write_text(report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
