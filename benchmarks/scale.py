"""How time and memory grow: ten gigabytes of weights, 100,000 nodes, 2,000 BatchNorms, depth 64.

    python -m benchmarks.scale [--only PART] [--result]

Every run is one process of normonnx, start included, without the judge unless its row says so.
The models are written here: their large weights are holes in a sparse file, which cost no disk.
With --result the table goes to benchmarks/results/scale.json and scale.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

import normonnx
from benchmarks.shared_models import installed

RESULTS = Path(__file__).parent / "results"
_FLOAT = TensorProto.FLOAT
_OPSET = 17
_NAMED = 1 << 10
_TRIES = 2
"""Runs of each model, of which the one with less processor time counts."""


@dataclass
class Row:
    """One run.

    Attributes:
        series: what grows.
        nodes: of the model.
        gigabytes: of its weights.
        seconds: of the whole process, on the wall.
        cpu_seconds: of its processors.
        resident_gigabytes: its peak.
        rewrites: that it made.
        nodes_after: of what it wrote, those of functions included.
        verdict: the last line that it printed.
    """

    series: str
    nodes: int
    gigabytes: float
    seconds: float
    cpu_seconds: float
    resident_gigabytes: float
    rewrites: int
    nodes_after: int
    verdict: str


class Writer:
    """Builds a model with small weights inside and large ones as holes in a file beside it."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self._end = 0
        self._random = np.random.default_rng(0)

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is handed back."""
        out = f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [out], out, **attributes))
        return out

    def weight(self, name: str, *shape: int) -> str:
        """A weight: numbers if it is small, a hole in the data file if it is large."""
        if math.prod(shape) <= _NAMED * 16:
            array = self._random.uniform(0.5, 1.5, shape).astype(np.float32)
            self.tensors.append(numpy_helper.from_array(array / max(1, shape[-1]) ** 0.5, name))
            return name
        tensor = TensorProto(name=name, data_type=_FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        nbytes = 4 * math.prod(shape)
        for key, value in (("location", "weights.bin"), ("offset", self._end), ("length", nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self._end += nbytes
        self.tensors.append(tensor)
        return name

    def constant(self, name: str, value: float) -> str:
        """A scalar, made once."""
        if all(tensor.name != name for tensor in self.tensors[:8]):
            self.tensors.insert(0, numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def layer_norm(self, x: str, width: int) -> str:
        """Nine nodes: what exporters write for LayerNorm."""
        number = len(self.nodes)
        mean = self.node("ReduceMean", x, axes=[-1])
        centred = self.node("Sub", x, mean)
        squared = self.node("Pow", centred, self.constant("two", 2.0))
        variance = self.node("ReduceMean", squared, axes=[-1])
        root = self.node("Sqrt", self.node("Add", variance, self.constant("eps", 1e-5)))
        scaled = self.node("Mul", self.node("Div", centred, root), self.weight(f"g{number}", width))
        return self.node("Add", scaled, self.weight(f"b{number}", width))

    def save(self, directory: Path, result: str, shape: list[int | str]) -> Path:
        """The model, with ``x`` of `shape` as its input."""
        graph = helper.make_graph(
            self.nodes,
            "scale",
            [helper.make_tensor_value_info("x", _FLOAT, shape)],
            [helper.make_tensor_value_info(result, _FLOAT, None)],
            self.tensors,
        )
        path = directory / "m.onnx"
        path.write_bytes(_model(graph).SerializeToString())
        if self._end:
            with (directory / "weights.bin").open("wb") as file:
                file.truncate(self._end)
        return path


def _model(graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


def transformer(directory: Path, layers: int, width: int) -> Path:
    """Pre-norm blocks of attention without a softmax and a feed-forward layer, 12·width² each."""
    w = Writer()
    x = "x"
    for layer in range(layers):
        h = w.layer_norm(x, width)
        q, k, v = (w.node("MatMul", h, w.weight(f"{name}{layer}", width, width)) for name in "qkv")
        scores = w.node("MatMul", q, w.node("Transpose", k, perm=[0, 2, 1]))
        mixed = w.node("MatMul", w.node("Softmax", scores, axis=-1), v)
        out = w.node("MatMul", mixed, w.weight(f"o{layer}", width, width))
        x = w.node("Add", x, out)
        h = w.node("MatMul", w.layer_norm(x, width), w.weight(f"u{layer}", width, 4 * width))
        h = w.node("Relu", h)
        x = w.node("Add", x, w.node("MatMul", h, w.weight(f"d{layer}", 4 * width, width)))
    return w.save(directory, x, [1, "n", width])


def batchnorms(directory: Path, count: int) -> Path:
    """A chain of 1×1 convolutions, each with a BatchNorm and a Relu behind it."""
    w = Writer()
    x, channels = "x", 4
    for number in range(count):
        x = w.node("Conv", x, w.weight(f"w{number}", channels, channels, 1, 1))
        statistics = [w.weight(f"{name}{number}", channels) for name in ("s", "c", "m", "v")]
        x = w.node("Relu", w.node("BatchNormalization", x, *statistics))
    return w.save(directory, x, [1, channels, 4, 4])


def nested(depth: int) -> ir.Model:
    """Ifs in Ifs, with a LayerNorm at every level.

    It is an object, for no file can hold it: protobuf reads messages in a hundred levels, and an
    If takes three of them.
    """
    flag = ir.val("flag", ir.DataType.BOOL, [])
    x = ir.val("x", ir.DataType.FLOAT, [2, 8])
    names = {"two": 2.0, "eps": 1e-5}
    scalars = {
        name: ir.Value(name=name, const_value=ir.tensor(np.float32(number), name=name))
        for name, number in names.items()
    }
    nodes: list[ir.Node] = []
    result = _level(nodes, flag, x, scalars, depth)
    graph = ir.Graph(
        [flag, x],
        [result],
        nodes=nodes,
        initializers=list(scalars.values()),
        opset_imports={"": _OPSET},
        name="nested",
    )
    return ir.Model(graph, ir_version=8)


def _level(
    nodes: list[ir.Node], flag: ir.Value, x: ir.Value, scalars: dict[str, ir.Value], depth: int
) -> ir.Value:
    """A norm of `x`, and an If whose one side is the next level."""

    def made(op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        node = ir.node(op_type, list(inputs), attributes)
        node.outputs[0].name = f"{op_type.lower()}_{depth}_{len(nodes)}"
        node.outputs[0].shape, node.outputs[0].dtype = ir.Shape([2, 8]), ir.DataType.FLOAT
        nodes.append(node)
        return node.outputs[0]

    def mean(value: ir.Value) -> ir.Value:
        out = made("ReduceMean", value, axes=[-1])
        out.shape = ir.Shape([2, 1])
        return out

    centred = made("Sub", x, mean(x))
    spread = made("Add", mean(made("Pow", centred, scalars["two"])), scalars["eps"])
    root = made("Sqrt", spread)
    root.shape = spread.shape = ir.Shape([2, 1])
    y = made("Div", centred, root)
    if depth == 0:
        return y
    inner: list[ir.Node] = []
    result = _level(inner, flag, y, scalars, depth - 1)
    other = ir.node("Identity", [y])
    other.outputs[0].name = f"other_{depth}"
    return made(
        "If",
        flag,
        then_branch=ir.Graph([], [result], nodes=inner, name=f"then_{depth}"),
        else_branch=ir.Graph([], other.outputs, nodes=[other], name=f"else_{depth}"),
    )


def run(series: str, path: Path, *options: str) -> Row:
    """One process of normonnx on a model."""
    out, report = path.parent / "out", path.parent / "report.json"
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "normonnx", "optimize", str(path), "-o", str(out / "m.onnx")]
    command += ["-q", "--report", f"json={report}", *options]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    seconds = time.perf_counter() - start
    [told] = json.loads(report.read_text(encoding="utf-8"))["models"]
    return Row(
        series,
        told["before"]["nodes"],
        round(told["before"]["nbytes"] / 1e9, 3),
        round(seconds, 2),
        round(usage.ru_utime + usage.ru_stime, 2),
        round(usage.ru_maxrss * 1024 / 1e9, 3),
        len(told["rewrites"]),
        told["after"]["nodes"],
        said.strip().splitlines()[-1],
    )


def run_object(series: str, model: ir.Model) -> Row:
    """Optimise an object in this process; its peak of memory says nothing here."""
    before = sum(1 for _ in ir.traversal.RecursiveGraphIterator(model.graph))
    times = []
    for _ in range(_TRIES):
        start, begun = time.perf_counter(), time.process_time()
        report = normonnx.optimize(model, verify=False).report
        times.append((time.process_time() - begun, time.perf_counter() - start))
    cpu, seconds = min(times)
    after = report.after.nodes if report.after is not None else 0
    line = report.line()
    rewrites = len(report.rewrites)
    row = Row(series, before, 0, round(seconds, 3), round(cpu, 3), 0, rewrites, after, line)
    print(json.dumps(asdict(row)), flush=True)
    return row


def _effort(row: Row) -> float:
    return row.cpu_seconds


def _in_room(series: str, write: Callable[[Path], Path], *options: str) -> Row:
    with tempfile.TemporaryDirectory(prefix="scale-") as room:
        # The kernel counts what a process that starts another one has as the other one's, too.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as writer:
            path = writer.submit(write, Path(room)).result()
        row = min((run(series, path, *options) for _ in range(_TRIES)), key=_effort)
    print(json.dumps(asdict(row)), flush=True)
    return row


def _transformers(series: str, layers: Sequence[int], width: int) -> list[Row]:
    return [
        _in_room(series, partial(transformer, layers=count, width=width), "--no-verify")
        for count in layers
    ]


def _batchnorms() -> list[Row]:
    return [
        _in_room("BatchNorms", partial(batchnorms, count=count), "--no-verify")
        for count in (125, 500, 2000, 8000)
    ]


SERIES: dict[str, Callable[[], list[Row]]] = {
    "10 GB": lambda: _transformers("10 GB", (13,), 4096),
    "nodes": lambda: _transformers("nodes", (40, 160, 640, 1280, 3226), 8),
    "BatchNorms": _batchnorms,
    "depth": lambda: [run_object("depth", nested(depth)) for depth in (8, 16, 32, 64)],
}
"""What is measured: each series grows in one thing."""


def exponent(rows: list[Row], start: float) -> float:
    """The p of seconds ∝ nodesᵖ, fitted to what the rows take above the start of a process."""
    points = [(row.nodes, row.cpu_seconds - start) for row in rows if row.cpu_seconds > 1.5 * start]
    x, y = (np.log([point[axis] for point in points]) for axis in (0, 1))
    return float(np.polyfit(x, y, 1)[0])


def _start_seconds() -> float:
    """What a process of normonnx takes that does next to nothing."""
    with tempfile.TemporaryDirectory(prefix="scale-") as room:
        path = batchnorms(Path(room), 1)
        return min(run("start", path, "--no-verify").cpu_seconds for _ in range(3))


def table(rows: list[Row], exponents: dict[str, float]) -> str:
    """The rows as Markdown."""
    lines = [
        "# How time and memory grow",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores. Written by "
        "`python -m benchmarks.scale --result`. Seconds are of the whole process, start included, "
        "without the judge, on the wall of a machine that was doing other work too, and of its "
        "processors (*CPU*); of two runs the one that took less. *resident* is its peak.",
        "",
        "| series | nodes | weights, GB | seconds | CPU | resident, GB | rewrites | nodes after |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r.series} | {r.nodes:,} | {r.gigabytes:g} | {r.seconds:g} | {r.cpu_seconds:g} "
        f"| {r.resident_gigabytes or ''} | {r.rewrites:,} | {r.nodes_after:,} |"
        for r in rows
    ]
    lines += [
        "",
        "Fitted exponents of CPU seconds over nodes, without the process's start:",
        "",
    ]
    lines += [f"- {series}: {value:.2f}" for series, value in exponents.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=tuple(SERIES))
    parser.add_argument("--result", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = []
    exponents: dict[str, float] = {}
    for name, measure in SERIES.items():
        if arguments.only not in (None, name):
            continue
        normonnx.optimize(nested(1), verify=False)  # what is imported once is nobody's time
        found = measure()
        rows += found
        if len(found) > 2:
            in_process = not any(row.resident_gigabytes for row in found)
            start = 0.0 if in_process else _start_seconds()
            exponents[name] = round(exponent(found, start), 3)
    text = table(rows, exponents)
    print(text)
    if arguments.result:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "cores": os.cpu_count(),
            "versions": installed(),
            "rows": [asdict(row) for row in rows],
            "exponents": exponents,
        }
        content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (RESULTS / "scale.json").write_text(content, encoding="utf-8")
        (RESULTS / "scale.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
