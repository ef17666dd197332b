"""Norms found and fused in real and exported models, beside what ONNX Runtime itself fuses.

    python benchmarks/norms_found.py [--torch DIRECTORY] [--keras DIRECTORY]

Looks at models/, at ../shared/models where that is there, and at the exports that
`benchmarks/norm_exports.py` and `benchmarks/keras_exports.py` make. For each model: the norms that
are one operator already, those written as one by normonnx, the roots over a mean that are left with
the reason for each, and the norm operators in the graph that ONNX Runtime makes of the original at
its highest level. Writes benchmarks/results/norms.json and norms.md when it was run on all four.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx_ir as ir
import onnxruntime

from normonnx import model_io, pipeline
from normonnx.graph.nesting import walk
from normonnx.journal import Journal
from normonnx.norm.algebra.scalars import Scalars
from normonnx.norm.match.search import NORMALISERS, roots, subjects
from normonnx.options import Options
from normonnx.steps import Workspace

HOUSE = Path(__file__).parent.parent
RESULTS = HOUSE / "benchmarks" / "results"
NORMS = frozenset(
    """GroupNorm GroupNormalization InstanceNormalization LayerNormalization RMSNormalization
    SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
    SkipSimplifiedLayerNormalization""".split()
)


@dataclass
class Found:
    """What there is in one model.

    Attributes:
        model: its name.
        before: norm operators of the original.
        fused: rewrites by rule.
        after: norm operators of the result.
        left: the root, and why it stays, for each root over a mean that is left.
        runtime: norm operators after ONNX Runtime's own fusions of the original.
        seconds: what the whole pipeline took.
    """

    model: str
    before: int
    fused: dict[str, int]
    after: int
    left: list[tuple[str, str]]
    runtime: int | None
    seconds: float


def norms(model: ir.Model) -> int:
    bodies = [model.graph, *(f.graph for f in model.functions.values() if f.domain != "normonnx")]
    return sum(node.op_type in NORMS for body in bodies for node in walk(body))


def left(model: ir.Model, journal: Journal) -> list[tuple[str, str]]:
    """The roots over a mean in a result, each with the reason that was given."""
    context = Workspace(model.clone(), Options()).context
    told = {m.key.partition(":")[2]: m.reason for m in journal.near_misses.values()}
    found = []
    for root in roots(context):
        if root.op_type in NORMALISERS:
            continue
        name = str(root.outputs[0].name)
        if subjects(context, root, Scalars(context)):
            found.append((name, told.get(name, "")))
    return found


def by_runtime(path: Path) -> int | None:
    """Norm operators in what ONNX Runtime makes of a model."""
    with tempfile.TemporaryDirectory() as room:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(room) / "o.onnx")
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            return norms(ir.load(Path(room) / "o.onnx"))
        except Exception:  # a model that it does not run is not compared
            return None


def look(path: Path) -> Found:
    model = model_io.load(path).model
    start = time.perf_counter()
    outcome = pipeline.run(model, Options())
    seconds = time.perf_counter() - start
    fused = Counter(r.rule for r in outcome.journal.rewrites if r.rule.startswith("NX1"))
    return Found(
        path.stem,
        norms(model),
        dict(sorted(fused.items())),
        norms(outcome.model),
        left(outcome.model, outcome.journal),
        by_runtime(path),
        round(seconds, 3),
    )


def table(found: list[Found], torch: list[Found], keras: list[Found]) -> str:
    lines = [
        "# Norms found and fused",
        "",
        f"ONNX Runtime {onnxruntime.__version__}; made by benchmarks/norms_found.py.",
        "",
        "| model | norm operators | fused by normonnx | norm operators after | "
        "after ONNX Runtime's own fusions | roots over a mean left |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row(one) for one in found if one.before or one.after or one.left]
    for title, exports in (
        ("Exports of torch 2.13, opsets 11 to 20, by module and exporter", torch),
        (
            "Exports of Keras 3.15 (TensorFlow 2.21 and tf2onnx 1.17, torch 2.13), opsets 13 to 18",
            keras,
        ),
    ):
        lines += ["", f"## {title}", "", *by_exporter(exports)]
    reasons = Counter(kind_of(r) for one in (*found, *torch, *keras) for _, r in one.left)
    lines += ["", "## Why roots over a mean are left", "", "| roots | reason |", "|---|---|"]
    lines += [f"| {count} | {reason or 'none given'} |" for reason, count in reasons.most_common()]
    return "\n".join(lines) + "\n"


def kind_of(reason: str) -> str:
    """A reason without the names of nodes, which exporters number."""
    return re.sub(r"'[^']*'", "'…'", reason)


def by_exporter(exports: list[Found]) -> list[str]:
    """The rows for models that differ by their opset only, as one."""
    lines = [
        "| module, exporter | models | norm operators | fused by normonnx | norm operators after | "
        "after ONNX Runtime's own fusions | roots over a mean left |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Found]] = {}
    for one in exports:
        groups.setdefault(one.model.rstrip("0123456789").replace("__", ", "), []).append(one)
    for name, members in groups.items():
        fused: Counter[str] = Counter()
        for one in members:
            fused.update(one.fused)
        lines.append(
            f"| {name} | {len(members)} | {sum(m.before for m in members)} | {rules(fused)} | "
            f"{sum(m.after for m in members)} | {sum(m.runtime or 0 for m in members)} | "
            f"{sum(len(m.left) for m in members)} |"
        )
    return lines


def row(one: Found) -> str:
    runtime = "does not run" if one.runtime is None else str(one.runtime)
    return (
        f"| {one.model} | {one.before} | {rules(one.fused)} | {one.after} | {runtime} | "
        f"{len(one.left)} |"
    )


def rules(fused: dict[str, int]) -> str:
    return ", ".join(f"{count} × {rule}" for rule, count in sorted(fused.items())) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", type=Path)
    parser.add_argument("--keras", type=Path)
    arguments = parser.parse_args()
    shared = HOUSE.parent / "shared" / "models"
    folders = [HOUSE / "models", shared]
    found = [look(path) for folder in folders for path in sorted(folder.glob("*.onnx"))]
    torch, keras = (
        [look(path) for path in sorted(folder.glob("*.onnx"))] if folder else []
        for folder in (arguments.torch, arguments.keras)
    )
    text = table(found, torch, keras)
    print(text)
    if torch and keras and shared.is_dir():
        content = {
            "models": [asdict(one) for one in found],
            "torch": [asdict(one) for one in torch],
            "keras": [asdict(one) for one in keras],
        }
        (RESULTS / "norms.json").write_text(json.dumps(content, indent=1) + "\n")
        (RESULTS / "norms.md").write_text(text)


if __name__ == "__main__":
    main()
