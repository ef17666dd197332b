"""Count the BatchNormalizations and the affine arithmetic that optimisers leave in models.

    python -m benchmarks.affine_left [FOLDER...] [--only PART] [--peers FOLDER]

normonnx runs from here; every other tool from a virtual environment that this script makes (or from
the one given by --peers), one process per model with a time limit. Without arguments the folders
are models/ and, where it exists, ../shared/models, and the tables go to benchmarks/results/
affine.json and affine.md too. The counting knows nothing of normonnx.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import normonnx
from benchmarks.census import graphs

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDERS = (ROOT / "models", ROOT.parent / "shared" / "models")
ARITHMETIC = ("Mul", "Add", "Sub", "Div")
FLOATS = (np.float16, np.float32, np.float64)
TIME_LIMIT = 300.0

PEERS = ("onnxruntime", "onnxsim", "onnxslim", "onnxscript", "onnxoptimizer")
RUNTIME = """
import sys, onnxruntime
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_{level}
options.optimized_model_filepath = sys.argv[2]
options.log_severity_level = 4
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""
TOOLS = {
    "ORT basic": RUNTIME.format(level="BASIC"),
    "ORT extended": RUNTIME.format(level="EXTENDED"),
    "ORT all": RUNTIME.format(level="ALL"),
    "onnxsim": """
import sys, onnx, onnxsim
model, _ = onnxsim.simplify(onnx.load(sys.argv[1]))
onnx.save(model, sys.argv[2])
""",
    "onnxslim": """
import sys, onnx, onnxslim
onnx.save(onnxslim.slim(onnx.load(sys.argv[1])), sys.argv[2])
""",
    "onnxscript": """
import sys, onnx, onnxscript.optimizer, onnxscript.rewriter
model = onnxscript.optimizer.optimize(onnx.load(sys.argv[1]))
onnx.save(onnxscript.rewriter.rewrite(model), sys.argv[2])
""",
    "onnxoptimizer": """
import sys, onnx, onnxoptimizer
onnx.save(onnxoptimizer.optimize(onnx.load(sys.argv[1])), sys.argv[2])
""",
}
"""What each tool does by default, as a program that reads one file and writes another."""


@dataclass
class Count:
    """What is left in a model.

    Attributes:
        batchnorms: BatchNormalization nodes.
        arithmetic: Mul, Add, Sub and Div of a tensor with a floating constant that is one number
            or varies along one axis.
        biases: those Adds of a constant that are the bias of the MatMul before them.
        nodes: all nodes but those that compute on constants alone.
    """

    batchnorms: int = 0
    arithmetic: int = 0
    biases: int = 0
    nodes: int = 0


@dataclass
class Row:
    """One model.

    Attributes:
        model: file name without suffix.
        left: what is left by tool, "original" for what there was; None where the tool failed.
        failures: the last line of what a failing tool said.
        seconds: wall time of each tool, start included.
        reasons: for normonnx, why each BatchNormalization is there still: [node, reason] pairs.
    """

    model: str
    left: dict[str, Count | None] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: list[tuple[str, str]] = field(default_factory=list)


def count(model: onnx.ModelProto) -> Count:
    """The count over the graph, subgraphs and functions, less what computes on constants alone."""
    result = Count()
    stored = constants(model)
    for graph in _graphs(model):
        products = {node.output[0] for node in graph.node if node.op_type == "MatMul"}
        for node in graph.node:
            if node.op_type == "Constant" or all(name in stored for name in node.output if name):
                continue
            result.nodes += 1
            result.batchnorms += node.op_type == "BatchNormalization"
            if node.op_type in ARITHMETIC and _is_affine(node, stored):
                is_bias = node.op_type == "Add" and not products.isdisjoint(node.input)
                result.biases += is_bias
                result.arithmetic += not is_bias
    return result


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    yield from graphs(model.graph)
    for function in model.functions:
        yield from graphs(function)


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray | None]:
    """Every constant by name, those that nodes make of constants too; None where that fails."""
    stored: dict[str, np.ndarray | None] = {}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    for graph in _graphs(model):
        for tensor in getattr(graph, "initializer", []):
            stored[tensor.name] = numpy_helper.to_array(tensor)
        for node in graph.node:
            inputs = [name for name in node.input if name]
            bodies = any(attribute.HasField("g") for attribute in node.attribute)
            fixed = node.op_type == "Constant" or bool(inputs)
            if fixed and not bodies and all(name in stored for name in inputs):
                stored.update(zip(node.output, _evaluated(node, stored, opsets), strict=True))
    return stored


def _evaluated(
    node: onnx.NodeProto, stored: dict[str, np.ndarray | None], opsets: dict[str, int]
) -> list[np.ndarray | None]:
    feeds = {name: stored[name] for name in node.input if name}
    if any(array is None for array in feeds.values()):
        return [None] * len(node.output)
    try:
        with np.errstate(all="ignore"):
            return list(ReferenceEvaluator(node, opsets=opsets).run(None, feeds))
    except Exception:  # an operator of a tool's own: a constant of unknown numbers
        return [None] * len(node.output)


def _is_affine(node: onnx.NodeProto, stored: dict[str, np.ndarray | None]) -> bool:
    fixed = [name for name in node.input if name in stored]
    if len(fixed) != 1 or (node.op_type == "Div" and node.input[0] in stored):
        return False
    array = stored[fixed[0]]
    if array is None:
        return True
    return array.dtype in FLOATS and sum(size > 1 for size in array.shape) <= 1


def run_tool(python: Path, program: str, model: Path, output: Path) -> tuple[float, str]:
    """Run a tool on a model; returns the seconds it took and what went wrong, "" for nothing."""
    output.unlink(missing_ok=True)
    start = time.perf_counter()
    try:
        done = subprocess.run([python, "-c", program, model, output], capture_output=True,
                              text=True, check=False, timeout=TIME_LIMIT)  # fmt: skip
    except subprocess.TimeoutExpired:
        return TIME_LIMIT, f"more than {TIME_LIMIT:.0f} s"
    seconds = round(time.perf_counter() - start, 2)
    if done.returncode == 0 and output.exists():
        return seconds, ""
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return seconds, said[-1][:200]


def run_normonnx(model: Path, output: Path) -> tuple[float, str, list[tuple[str, str]]]:
    """Run normonnx on a model; returns seconds, what went wrong, and why what is left is left."""
    report = output.with_suffix(".json")
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(output)]
    start = time.perf_counter()
    done = subprocess.run([*command, "--report", f"json={report}"], capture_output=True, text=True,
                          check=False)  # fmt: skip
    seconds = round(time.perf_counter() - start, 2)
    if not output.exists():
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return seconds, said[-1][:200], []
    (told,) = json.loads(report.read_text(encoding="utf-8"))["models"]
    given = {miss["site"]: miss["reason"] for miss in told["near_misses"]}
    reasons = [
        (node.name, given.get(node.name, "not told"))
        for graph in _graphs(onnx.load(output))
        for node in graph.node
        if node.op_type == "BatchNormalization"
    ]
    return seconds, "", reasons


def judge(model: Path, python: Path, folder: Path) -> Row:
    """One model through all tools."""
    row = Row(model.stem)
    row.left["original"] = count(onnx.load(model))
    output = folder / "out.onnx"
    row.seconds["normonnx"], failure, row.reasons = run_normonnx(model, output)
    _note(row, "normonnx", failure, output)
    for tool, program in TOOLS.items():
        row.seconds[tool], failure = run_tool(python, program, model, output)
        _note(row, tool, failure, output)
    return row


def _note(row: Row, tool: str, failure: str, output: Path) -> None:
    row.left[tool] = None if failure else count(onnx.load(output))
    if failure:
        row.failures[tool] = failure


def make_peers(folder: Path, packages: Sequence[str] = PEERS) -> Path:
    """A virtual environment with the other tools, made if it is not there; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def peer_versions(python: Path) -> dict[str, str]:
    program = "import json, sys; from importlib.metadata import version as v\n" \
              "print(json.dumps({name: v(name) for name in sys.argv[1:]}))"  # fmt: skip
    done = subprocess.run([python, "-c", program, *PEERS, "onnx"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    return dict(json.loads(done.stdout))


def tables(rows: Sequence[Row], versions: dict[str, str]) -> str:
    """The rows as Markdown: what is left, and why normonnx left a BatchNormalization."""
    tools = ["normonnx", *TOOLS]
    lines = [
        "# BatchNormalization and affine arithmetic left in models",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + ". Written by `python -m benchmarks.affine_left`.",
        "",
        "Each cell: BatchNormalization nodes + Mul, Add, Sub, Div of a tensor with a floating "
        "constant that is one number or varies along one axis at most, the Add behind a MatMul "
        "that is its bias aside; the constants of a GELU or a hard sigmoid count too. *ORT* is "
        "ONNX Runtime's offline optimisation for CPU; its extended levels write operators of its "
        "own (FusedMatMul, Gelu), into which arithmetic vanishes, and *all* also makes each "
        "BatchNormalization it cannot fold a depthwise convolution. A dash: the tool failed. "
        "Models where there is nothing to count are left out.",
        "",
        "| model | original | " + " | ".join(tools) + " |",
        "|---|" + "---|" * (len(tools) + 1),
    ]
    counted = [row for row in rows if (first := row.left["original"]) is not None
               and first.batchnorms + first.arithmetic]  # fmt: skip
    lines += [f"| {row.model} | " + " | ".join(_cell(row.left[tool])
              for tool in ("original", *tools)) + " |" for row in counted]  # fmt: skip
    everywhere = [row for row in counted if all(row.left[tool] is not None for tool in tools)]
    lines.append(f"| **{len(everywhere)} models that every tool took** | " + " | ".join(
        _cell(_total(everywhere, tool)) for tool in ("original", *tools)) + " |")  # fmt: skip
    lines += [
        "",
        "## Why normonnx left a BatchNormalization",
        "",
        "| model | node | reason |",
        "|---|---|---|",
        *(f"| {row.model} | {name} | {reason} |" for row in rows for name, reason in row.reasons),
    ]
    failures = [(tool, row.model, said) for row in rows for tool, said in row.failures.items()]
    if failures:
        lines += ["", "## Failures", "", "| tool | model | last line |", "|---|---|---|"]
        lines += [f"| {tool} | {model} | {said.replace('|', '¦')} |"
                  for tool, model, said in sorted(failures)]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cell(left: Count | None) -> str:
    return "–" if left is None else f"{left.batchnorms} + {left.arithmetic}"


def _total(rows: Sequence[Row], tool: str) -> Count:
    counts = [left for row in rows if (left := row.left[tool]) is not None]
    return Count(*(sum(getattr(c, part.name) for c in counts) for part in fields(Count)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--peers", type=Path, help="keep the peers' environment here")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = make_peers(arguments.peers or folder / "peers")
        for source in arguments.folders or FOLDERS:
            for model in sorted(source.glob("*.onnx")):
                if arguments.only in model.stem:
                    rows.append(judge(model, python, folder))
                    print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
        versions = {"python": platform.python_version(), "normonnx": normonnx.__version__,
                    **peer_versions(python)}  # fmt: skip
    text = tables(rows, versions)
    print(text)
    if not arguments.only and not arguments.folders:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cores": os.cpu_count(),
                 "versions": versions, "rows": [asdict(row) for row in rows]}  # fmt: skip
        content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (results / "affine.json").write_text(content, encoding="utf-8")
        (results / "affine.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
