"""What the judge costs: `normonnx optimize` as it is by default beside --no-verify, and onnxsim.

    python -m benchmarks.judge_cost [FOLDER...] [--gigabytes 0.1 0.43 1.3] [--rounds 3]
                                    [--peers FOLDER] [--only PART] [--result]

Each is a whole process, from a file to a file; they take turns, round after round, and the median
counts. Peak memory is that of the process as the system counts it. Beside the models of the folders
there are transformers of the sizes asked for, written here, those of a gigabyte and more with their
weights in a data file. onnxsim runs from the virtual environment that is named, or where normonnx
does; where it is in neither, or takes no file so large, its columns stay empty. With --result the
table goes to benchmarks/results/judge_cost.json and judge_cost.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from benchmarks.affine_left import TOOLS
from benchmarks.peers import timed
from benchmarks.scale import RESULTS
from benchmarks.shared_models import installed

JUDGED, UNJUDGED, SIMPLIFIER = "default", "--no-verify", "onnxsim"
_HEAD = 64
_EXTERNAL_FROM = 1e9
_TOKENS = 16_000


@dataclass
class Cost:
    """One way to run one model, the median over the rounds.

    Attributes:
        seconds: on the wall, of the whole process.
        cpu: of its processors.
        peak: most memory it had, in bytes.
    """

    seconds: float
    cpu: float
    peak: int


@dataclass
class Row:
    """One model.

    Attributes:
        model: its name.
        nbytes: of its file and data file.
        costs: by the way it was run; one that fails is not there.
    """

    model: str
    nbytes: int
    costs: dict[str, Cost]

    def times(self, over: str, of: Callable[[Cost], float]) -> float | None:
        """How many times as much the default takes; None where there is nothing to compare."""
        if JUDGED not in self.costs or over not in self.costs:
            return None
        return of(self.costs[JUDGED]) / of(self.costs[over])


class Writer:
    """Nodes and weights of a transformer, weights in a file where there is one."""

    def __init__(self, data: Path | None) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self._data = data
        self._end = 0
        self._random = np.random.default_rng(0)
        if data is not None:
            data.touch()

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is handed back."""
        out = f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [out], out, **attributes))
        return out

    def constant(self, name: str, array: object) -> str:
        """A small constant, made once."""
        if all(tensor.name != name for tensor in self.tensors):
            self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Random numbers that leave what they multiply at its size."""
        array = self._random.standard_normal(shape, dtype=np.float32) * shape[0] ** -0.5
        array = array.astype(np.float32)
        if self._data is None:
            self.tensors.append(numpy_helper.from_array(array, name))
            return name
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": self._data.name, "offset": self._end, "length": array.nbytes}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        with self._data.open("ab") as file:
            file.write(array)
        self._end += array.nbytes
        self.tensors.append(tensor)
        return name

    def layer_norm(self, x: str, width: int) -> str:
        """Nine nodes: what exporters write for LayerNorm."""
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        squared = self.node("Pow", centred, self.constant("two", np.float32(2)))
        variance = self.node("ReduceMean", squared, axes=[-1])
        epsilon = self.constant("epsilon", np.float32(1e-5))
        root = self.node("Sqrt", self.node("Add", variance, epsilon))
        scale, shift = (
            self.constant(f"{kind}{len(self.nodes)}", at + 0.1 * self._normal(width))
            for kind, at in (("scale", np.float32(1)), ("shift", np.float32(0)))
        )
        return self.node("Add", self.node("Mul", self.node("Div", centred, root), scale), shift)

    def _normal(self, width: int) -> np.ndarray:
        return self._random.standard_normal(width).astype(np.float32)


def transformer(folder: Path, gigabytes: float) -> Path:
    """Pre-norm blocks of attention and a feed-forward layer behind a table of embeddings."""
    width = 256 if gigabytes < 0.05 else 512 if gigabytes < 0.2 else 768 if gigabytes < 1 else 1024
    layers = max(1, round((gigabytes * 1e9 / 4 - _TOKENS * width) / (12 * width**2)))
    data = folder / "weights.bin" if gigabytes * 1e9 >= _EXTERNAL_FROM else None
    w = Writer(data)
    split = w.constant("split", np.array([0, 0, width // _HEAD, _HEAD]))
    joined = w.constant("joined", np.array([0, 0, width]))
    root, square = w.constant("root", np.float32(_HEAD**0.5)), (width, width)
    x = w.node("Gather", w.weight("tokens", _TOKENS, width), "ids")
    for layer in range(layers):
        h = w.layer_norm(x, width)
        q, k, v = (
            w.node(
                "Transpose",
                w.node(
                    "Reshape", w.node("MatMul", h, w.weight(f"{n}{layer}", width, width)), split
                ),
                perm=perm,
            )
            for n, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))
        )
        scores = w.node("Softmax", w.node("Div", w.node("MatMul", q, k), root), axis=-1)
        mixed = w.node("Transpose", w.node("MatMul", scores, v), perm=[0, 2, 1, 3])
        mixed = w.node("Reshape", mixed, joined)
        x = w.node("Add", x, w.node("MatMul", mixed, w.weight(f"o{layer}", *square)))
        h = w.node("MatMul", w.layer_norm(x, width), w.weight(f"u{layer}", width, 4 * width))
        h = w.node("Mul", h, w.node("Sigmoid", h))
        x = w.node("Add", x, w.node("MatMul", h, w.weight(f"d{layer}", 4 * width, width)))
    y = w.layer_norm(x, width)
    graph = helper.make_graph(
        w.nodes,
        "transformer",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["batch", "length", width])],
        w.tensors,
    )
    path = folder / f"transformer_{gigabytes:g}_GB.onnx"
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


def commands(model: Path, output: Path, simplifier: Path | None) -> dict[str, list[str]]:
    """Every way to run one model."""
    ours = [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(output)]
    found = {JUDGED: ours, UNJUDGED: [*ours, UNJUDGED]}
    if simplifier is not None:
        found[SIMPLIFIER] = [str(simplifier), "-c", TOOLS["onnxsim"], str(model), str(output)]
    return found


def measure(model: Path, nbytes: int, simplifier: Path | None, rounds: int) -> Row:
    """One model in every way, in turns; a way that fails once is not tried again."""
    samples: dict[str, list[tuple[float, float, int]]] = {}
    failed: set[str] = set()
    for _ in range(rounds):
        for way, command in commands(model, model.parent / "out.onnx", simplifier).items():
            if way in failed:
                continue
            *sample, problem = timed(command)
            samples.setdefault(way, []).append(tuple(sample))  # type: ignore[arg-type]
            if problem:
                failed.add(way)
    costs = {}
    for way, taken in samples.items():
        if way not in failed:
            seconds, cpu, peak = (statistics.median(column) for column in zip(*taken, strict=True))
            costs[way] = Cost(round(seconds, 2), round(cpu, 2), int(peak))
    return Row(model.stem, nbytes, costs)


def times(rows: Sequence[Row], over: str, of: Callable[[Cost], float]) -> float | None:
    """The geometric mean of how many times as much the default takes."""
    found = [ratio for row in rows if (ratio := row.times(over, of)) is not None]
    return statistics.geometric_mean(found) if found else None


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _wall(cost: Cost) -> float:
    return cost.seconds


def table(rows: Sequence[Row], rounds: int) -> str:
    """The rows as Markdown."""
    lines = [
        "# What the judge costs",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores, medians of {rounds} "
        "interleaved runs. Written by `python -m benchmarks.judge_cost --result`. Whole processes, "
        "start included: seconds on the wall, seconds of the processors (*CPU*), peak of memory. "
        "*times* are those of the default in processor time, *size* its peak over the file's size.",
        "",
        "| model | MB | default, s | CPU | MB peak | size | --no-verify, s | CPU | MB peak | times "
        "| onnxsim, s | CPU | MB peak | times |",
        "|---|" + "---:|" * 13,
    ]
    for row in rows:
        cells = [row.model, f"{row.nbytes / 1e6:.1f}"]
        for way in (JUDGED, UNJUDGED, SIMPLIFIER):
            cost = row.costs.get(way)
            cells += ["", "", ""] if cost is None else [
                f"{cost.seconds:g}", f"{cost.cpu:g}", f"{cost.peak / 1e6:.0f}"
            ]  # fmt: skip
            if way == JUDGED:
                cells.append("" if cost is None else f"{cost.peak / row.nbytes:.2f}")
            else:
                ratio = row.times(way, _cpu)
                cells.append("" if ratio is None else f"{ratio:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    for way in (UNJUDGED, SIMPLIFIER):
        cpu, wall = times(rows, way, _cpu), times(rows, way, _wall)
        if cpu is not None and wall is not None:
            lines += ["", f"In the geometric mean the default takes {cpu:.2f} times the processor "
                      f"time of {way}, and {wall:.2f} times its time on the wall."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--gigabytes", nargs="*", type=float, default=[0.02, 0.1, 0.43, 1.3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="a virtual environment with onnxsim")
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--result", action="store_true")
    given = parser.parse_args()
    simplifier = None
    if given.peers is not None:
        simplifier = given.peers / "bin" / "python"
    elif importlib.util.find_spec("onnxsim") is not None:
        simplifier = Path(sys.executable)
    rows: list[Row] = []

    def look(model: Path, nbytes: int) -> None:
        rows.append(measure(model, nbytes, simplifier, given.rounds))
        print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)

    for folder in given.folders:
        for model in sorted(folder.glob("*.onnx")):
            if given.only in model.stem:
                with tempfile.TemporaryDirectory(prefix="cost-") as room:
                    copy = Path(room) / model.name
                    copy.write_bytes(model.read_bytes())
                    look(copy, copy.stat().st_size)
    for gigabytes in given.gigabytes:
        with tempfile.TemporaryDirectory(prefix="cost-") as room:
            model = transformer(Path(room), gigabytes)
            nbytes = sum(file.stat().st_size for file in Path(room).iterdir())
            look(model, nbytes)
    text = table(rows, given.rounds)
    print(text)
    if given.result:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "cores": os.cpu_count(),
            "rounds": given.rounds,
            "versions": installed(),
            "rows": [asdict(row) for row in rows],
        }
        content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (RESULTS / "judge_cost.json").write_text(content, encoding="utf-8")
        (RESULTS / "judge_cost.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
