"""Models that other tools make wrong: made by the tools themselves, judged by `verify`.

    python -m benchmarks.wrong_models [--environment DIR]

Each model is handed to each tool, in an environment of its own that is made with pip where DIR is
not there. Whether what comes out is wrong is decided without normonnx: it does not load, does not
run, or is off by more than a thousandth of the largest element when ONNX Runtime runs both without
its optimisations. The judge must reject all that is wrong, say where, and pass all else. Writes
benchmarks/results/wrong_models.json and .md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from benchmarks.affine_left import make_peers
from benchmarks.tool_runner import TOOLS
from normonnx.judge import verify
from tests.judge.building import graph_model

PACKAGES = (
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    "onnxscript==0.7.2",
    "onnxsim==0.8.1",
    "onnxslim==0.1.98",
    "onnxoptimizer==0.4.2",
)
RUNNER = Path(__file__).with_name("tool_runner.py")
OFF = 1e-3
SECONDS = 600
N = 8
Array = np.ndarray[Any, Any]
TYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
RANDOM = np.random.default_rng(5)
SCALE = RANDOM.uniform(0.5, 1.5, N).astype(np.float32)
SHIFT = RANDOM.standard_normal(N).astype(np.float32)
WEIGHT = RANDOM.standard_normal((N, N)).astype(np.float32)
KERNEL = RANDOM.standard_normal((N, N, 1, 1)).astype(np.float32)
STATISTICS: dict[str, Any] = {
    "gamma": SCALE,
    "beta": SHIFT,
    "mean": SHIFT * 2,
    "variance": SCALE + 1,
}


def layer_norm(
    *,
    mean: str = "ReduceMean <axes = [-1]> (x)",
    centred: str = "Sub(x, m)",
    power_of: str = "Pow(d, two)",
    variance: str = "ReduceMean <axes = [-1]> (p)",
    sum_: str = "Add(v, e)",
    power: float = 2,
    epsilon: float = 1e-5,
    shape: str = f"{N}, {N}",
    end: str = "",
    weights: Mapping[str, Array] | None = None,
) -> onnx.ModelProto:
    text = f"""(float[{shape}] x) => (float[{shape}] y{end}) {{
        m = {mean}
        d = {centred}
        p = {power_of}
        v = {variance}
        s = {sum_}
        r = Sqrt(s)
        q = Div(d, r)
        g = Mul(q, gamma)
        y = Add(g, beta)
    }}"""
    given = {"gamma": SCALE, "beta": SHIFT, **(weights or {})}
    model: onnx.ModelProto = graph_model(
        text, two=np.float32(power), e=np.float32(epsilon), **given
    )
    return model


def rms_norm(axis: int, gamma: Array) -> onnx.ModelProto:
    text = f"""(float[2, {N}, {N}] x) => (float[2, {N}, {N}] y) {{
        p = Pow(x, two)
        v = ReduceMean <axes = [{axis}]> (p)
        s = Add(v, e)
        r = Sqrt(s)
        q = Div(x, r)
        y = Mul(q, gamma)
    }}"""
    model: onnx.ModelProto = graph_model(text, two=np.float32(2), e=np.float32(1e-5), gamma=gamma)
    return model


def product_and_norm(between: str, shape: str, **weights: Array) -> onnx.ModelProto:
    text = f"""(float[{N}, {N}] x) => (float[{shape}] y) {{
        a = MatMul(x, w)
        b = {between}
        y = BatchNormalization(b, gamma, beta, mean, variance)
    }}"""
    model: onnx.ModelProto = graph_model(text, w=WEIGHT, **STATISTICS, **weights)
    return model


def convolution(
    after: str, weights: Mapping[str, Array], *, dtype: str = "float"
) -> onnx.ModelProto:
    text = f"""({dtype}[1, {N}, {N}, {N}] x) => ({dtype}[1, {N}, {N}, {N}] y) {{
        a = Conv(x, w)
        y = {after}
    }}"""
    model: onnx.ModelProto = graph_model(text, **{"w": KERNEL, **weights})
    return model


def of_text(text: str, *, opset: int = 17, **weights: Any) -> onnx.ModelProto:
    model: onnx.ModelProto = graph_model(text, opset=opset, **weights)
    return model


def double_rms_norm() -> onnx.ModelProto:
    return of_text(
        f"""(double[{N}, {N}] x) => (double[{N}, {N}] y) {{
            p = Pow(x, two)
            v = ReduceMean <axes = [-1]> (p)
            s = Add(v, e)
            r = Sqrt(s)
            q = Div(x, r)
            y = Mul(q, gamma)
        }}""",
        two=np.float64(2), e=np.float64(1e-2), gamma=SCALE.astype(np.float64),
    )  # fmt: skip


def half_layer_norm() -> onnx.ModelProto:
    """float16 in and out, computed in float32."""
    return of_text(
        f"""(float16[{N}, {N}] h) => (float16[{N}, {N}] y) {{
            x = Cast <to = 1> (h)
            m = ReduceMean <axes = [-1]> (x)
            d = Sub(x, m)
            p = Pow(d, two)
            v = ReduceMean <axes = [-1]> (p)
            s = Add(v, e)
            r = Sqrt(s)
            q = Div(d, r)
            c = Cast <to = 10> (q)
            g = Mul(c, gamma)
            y = Add(g, beta)
        }}""",
        two=np.float32(2), e=np.float32(1e-5),
        gamma=SCALE.astype(np.float16), beta=SHIFT.astype(np.float16),
    )  # fmt: skip


def norm_of_a_sum_over_two_axes() -> onnx.ModelProto:
    return of_text(
        f"""(float[2, {N}, {N}] a, float[2, {N}, {N}] b) => (float[2, {N}, {N}] y) {{
            x = Add(a, b)
            y = LayerNormalization <axis = 1> (x, gamma, beta)
        }}""",
        gamma=WEIGHT, beta=WEIGHT.T.copy(),
    )  # fmt: skip


def statistics_per_element() -> onnx.ModelProto:
    """Before operator set 9 a BatchNormalization could have them; here they are as many as ever."""
    text = f"""(float[1, {N}, {N}, {N}] x) => (float[1, {N}, {N}, {N}] y) {{
        a = Conv(x, w)
        y = BatchNormalization <spatial = 0> (a, gamma, beta, mean, variance)
    }}"""
    shape = (N, N, N)
    weights = {name: np.broadcast_to(a, shape).copy() for name, a in STATISTICS.items()}
    return of_text(text, opset=8, w=KERNEL, **weights)


def statistics_of_the_batch() -> onnx.ModelProto:
    text = f"""(float[4, {N}, {N}, {N}] x) => (float[4, {N}, {N}, {N}] y) {{
        a = Conv(x, w)
        y, p, q = BatchNormalization <training_mode = 1> (a, gamma, beta, mean, variance)
    }}"""
    return of_text(text, w=KERNEL, **STATISTICS)


NORM = "BatchNormalization(a, gamma, beta, mean, variance)"
HALF: dict[str, Any] = {
    **STATISTICS,
    **{n: a.astype(np.float16) for n, a in (("w", KERNEL), ("gamma", SCALE), ("beta", SHIFT))},
}
MODELS: Mapping[str, onnx.ModelProto] = {
    "product, Transpose, BatchNormalization": product_and_norm(
        "Transpose <perm = [1, 0]> (a)", f"{N}, {N}"
    ),
    "product, Reshape, BatchNormalization": product_and_norm(
        "Reshape(a, s)", f"1, {N}, {N}", s=np.array([1, N, N])
    ),
    "mean without its axis": layer_norm(mean="ReduceMean <axes = [-1], keepdims = 0> (x)"),
    "fourth power": layer_norm(power=4),
    "mean minus x": layer_norm(centred="Sub(m, x)"),
    "epsilon first": layer_norm(sum_="Add(e, v)", epsilon=1e-2),
    "norm over the channels of images": layer_norm(
        mean="ReduceMean <axes = [1]> (x)",
        variance="ReduceMean <axes = [1]> (p)",
        shape=f"2, {N}, {N}, {N}",
        weights={"gamma": SCALE.reshape(N, 1, 1), "beta": SHIFT.reshape(N, 1, 1)},
    ),
    "norm over an inner axis, scale along the last": layer_norm(
        mean="ReduceMean <axes = [1]> (x)",
        variance="ReduceMean <axes = [1]> (p)",
        shape=f"2, {N}, {N}",
    ),
    "mean square over an inner axis, scale along the last": rms_norm(1, SCALE),
    "mean square over an inner axis": rms_norm(1, SCALE.reshape(N, 1)),
    "mean square, scale per row": rms_norm(2, SCALE.reshape(N, 1)),
    "mean that is an output": layer_norm(end=f", float[{N}, 1] m"),
    "convolution, factor along the width": convolution("Mul(a, c)", {"c": SCALE}),
    "convolution, shift along the width": convolution("Add(a, c)", {"c": SHIFT}),
    "convolution in float16, statistics in float32": convolution(NORM, HALF, dtype="float16"),
    "convolution, name that a fold would take": convolution(NORM, {**STATISTICS, "w_bias": SHIFT}),
    "convolution, BatchNormalization": convolution(NORM, STATISTICS),
    "LayerNorm": layer_norm(),
    "norm along the first axis of a square": layer_norm(
        mean="ReduceMean <axes = [0]> (x)", variance="ReduceMean <axes = [0]> (p)"
    ),
    "square as a product": layer_norm(power_of="Mul(d, d)"),
    "mean square in float64, large epsilon": double_rms_norm(),
    "float16 through float32": half_layer_norm(),
    "norm of a sum over two axes": norm_of_a_sum_over_two_axes(),
    "convolution, statistics per element": statistics_per_element(),
    "convolution, statistics of the batch": statistics_of_the_batch(),
}


@dataclass(frozen=True)
class Result:
    """What a tool made of a model, and what the judge says.

    Attributes:
        tool: the tool.
        model: the model.
        made: ``wrong``, ``right``, or why there is nothing.
        status: the verdict's.
        message: the first thing that is wrong.
        located: the first tensor that parts and the nodes that make it.
    """

    tool: str
    model: str
    made: str
    status: str = ""
    message: str = ""
    located: str = ""


def outputs(model: onnx.ModelProto) -> list[Any]:
    """What ONNX Runtime computes without its optimisations on inputs of one seed."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(1)
    feeds = {}
    for value in session.get_inputs():
        dtype = TYPES[value.type]
        feeds[value.name] = random.standard_normal(value.shape).astype(dtype)
    names = sorted(o.name for o in session.get_outputs())
    return [names, *session.run(names, feeds)]


def is_wrong(model: onnx.ModelProto, made: onnx.ModelProto) -> bool:
    names, *wanted = outputs(model)
    try:
        found_names, *found = outputs(made)
    except Exception:
        return True
    if found_names != names or any(a.shape != b.shape for a, b in zip(wanted, found, strict=True)):
        return True
    off = (np.abs(a.astype(np.float64) - b) for a, b in zip(wanted, found, strict=True))
    sizes = (max(1e-30, float(np.abs(a).max())) for a in wanted)
    return not all(float(o.max()) <= OFF * size for o, size in zip(off, sizes, strict=True))


def look(tool: str, name: str, path: Path) -> Result:
    """Judge what a tool left."""
    told = path.with_suffix(".txt")
    if not path.exists():
        return Result(tool, name, told.read_text() if told.exists() else "nothing was written")
    model, made = MODELS[name], onnx.load(path)
    kind = "wrong" if is_wrong(model, made) else "right"
    verdict = verify(ir.from_proto(model), ir.from_proto(made))
    divergence = verdict.divergence
    place = "" if divergence is None else divergence.sentence()
    if divergence is None and "the optimised model does not" in verdict.first_failure:
        # A model that does not load or run has no tensors; the message names the node.
        place = verdict.first_failure
    return Result(tool, name, kind, verdict.status, verdict.first_failure, place)


def table(results: list[Result]) -> str:
    """One row per tool."""
    lines = [
        "| tool | models | no model | right | passed | wrong | caught | located |",
        "|---" * 8 + "|",
    ]
    for tool in TOOLS:
        rows = [r for r in results if r.tool == tool]
        right = [r for r in rows if r.made == "right"]
        wrong = [r for r in rows if r.made == "wrong"]
        cells = (
            len(rows),
            len(rows) - len(right) - len(wrong),
            len(right),
            sum(r.status == "pass" for r in right),
            len(wrong),
            sum(r.status == "fail" for r in wrong),
            sum(bool(r.located) for r in wrong),
        )
        lines.append(f"| {tool} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def report(results: list[Result]) -> str:
    """The page of results."""
    sections = [
        "# Models that other tools make wrong",
        f"{datetime.now(UTC):%Y-%m-%d}, {', '.join(PACKAGES)}. "
        "Written by `python -m benchmarks.wrong_models`.",
        "Each model is handed to each tool. What comes out is *wrong* if it does not load or run, "
        f"or is off by more than {OFF:g} of its largest element; that is decided without normonnx.",
        table(results),
        "## What was wrong",
    ]
    wrong = [r for r in results if r.made == "wrong"]
    sections += [f"- **{r.tool}**, {r.model}: {r.message or r.status}. {r.located}" for r in wrong]
    odd = [r for r in results if r.made == "right" and r.status != "pass"]
    if odd:
        sections.append("## Right by that measure, and not passed")
        sections += [f"- **{r.tool}**, {r.model}: {r.message} {r.located}" for r in odd]
    missing = [r for r in results if r.made not in ("right", "wrong")]
    if missing:
        sections.append("## Where a tool made nothing")
        sections += [f"- **{r.tool}**, {r.model}: {r.made}" for r in missing]
    return "\n\n".join(sections) + "\n"


def main() -> int:
    """Make, judge, write; exit with 1 if anything wrong was not caught and located."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", type=Path)
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="normonnx-") as folder:
        python = make_peers(arguments.environment or Path(folder, "environment"), PACKAGES)
        sources = Path(folder, "models")
        sources.mkdir()
        for number, model in enumerate(MODELS.values()):
            onnx.save(model, sources / f"{number:02}.onnx")
        for tool in TOOLS:
            made = Path(folder, tool.replace(" ", "_"))
            made.mkdir()
            command = [str(part) for part in (python, RUNNER, tool, sources, made)]
            subprocess.run(command, check=False, capture_output=True, timeout=SECONDS)
            for number, name in enumerate(MODELS):
                results.append(look(tool, name, made / f"{number:02}.onnx"))
                print(results[-1], flush=True)
    text = report(results)
    print(table(results))
    target = Path(__file__).parent / "results"
    data = json.dumps([asdict(r) for r in results], indent=1)
    (target / "wrong_models.json").write_text(data + "\n")
    (target / "wrong_models.md").write_text(text)
    wrong = [r for r in results if r.made == "wrong"]
    return 0 if all(r.status == "fail" and r.located for r in wrong) else 1


if __name__ == "__main__":
    sys.exit(main())
