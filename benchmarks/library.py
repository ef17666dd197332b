"""Every model, for every target, in ONNX Runtime with the library of custom operators registered.

    python -m benchmarks.library [FOLDER...] [--only PART] [--seconds S]

Each result is loaded and compared with its original by plain_compare.py, in a process of its own
and with the library registered, so that what ends a process is a row of the table. Then the
original and the results run in turns at the runtime's default level, in one process. Without
arguments the folders are models/ and, where it exists, ../shared/models, and the table goes to
benchmarks/results/library.json and library.md too.

With --only the other rows stay as they were measured before. A model that ONNX Runtime does not
load as it came has no row. Where the judge comes to no verdict,
the result is written without it and compared all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean

import onnx

import normonnx
from benchmarks.shared_models import FOLDERS, HERE, installed
from normonnx.benching.compare import compare
from normonnx.benching.options import BenchOptions
from normonnx.errors import ExitCode, NormonnxError

TARGETS = ("onnx", "ort", "normonnx")
DOMAIN = "normonnx"
_LOAD = """
import sys, onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""


@dataclass
class Run:
    """What became of one model for one target.

    Attributes:
        exit_code: of `normonnx optimize`, its judge included.
        verdict: its last line.
        operators: nodes of the domain normonnx, wherever they are.
        nodes: without constants.
        problems: what is wrong with the result; empty where it loads and agrees.
        ratio: its time over the original's, with the ends of the 95 % interval; None where it was
            not measured.
    """

    exit_code: int
    verdict: str
    operators: int = 0
    nodes: int = 0
    problems: list[str] = field(default_factory=list)
    ratio: tuple[float, float, float] | None = None


@dataclass
class Row:
    """One model: its nodes, and its run for each target."""

    model: str
    nodes: int
    runs: dict[str, Run]


def nodes_of(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of a graph and of the graphs in it."""
    found = list(graph.node)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += nodes_of(attribute.g)
    return found


def count(path: Path) -> tuple[int, int]:
    """Nodes without constants, and those of the domain normonnx."""
    nodes = nodes_of(onnx.load(path, load_external_data=False).graph)
    return (
        sum(node.op_type != "Constant" for node in nodes),
        sum(node.domain == DOMAIN for node in nodes),
    )


def run(model: Path, target: str, output: Path) -> Run:
    """Optimise one model, and compare the result in a process that has the library registered."""
    command = [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(output)]
    done = subprocess.run(
        [*command, "--target", target], capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""]
    made = Run(done.returncode, lines[-1].strip())
    if done.returncode == ExitCode.INCONCLUSIVE:
        subprocess.run([*command, "--no-verify", "-q"], capture_output=True, check=False)
    if not output.exists():
        made.problems.append("nothing was written")
        return made
    made.nodes, made.operators = count(output)
    script = [sys.executable, str(HERE / "plain_compare.py"), str(model), str(output), "--json"]
    judged = subprocess.run(
        [*script, "--library", str(normonnx.library_path())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if judged.returncode in (0, 1) and judged.stdout:
        made.problems += json.loads(judged.stdout)["problems"]
    else:
        last = (judged.stderr.strip().splitlines() or [""])[-1]
        made.problems.append(f"the process ended with {judged.returncode}: {last}")
    return made


def loads(model: Path) -> bool:
    """Whether ONNX Runtime loads the model as it came."""
    command = [sys.executable, "-c", _LOAD, str(model)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def measure(model: Path, made: dict[str, Path], runs: dict[str, Run], seconds: float) -> None:
    """The time of each result over the original's, run in turns."""
    sound = [target for target in made if not runs[target].problems]
    options = BenchOptions(seconds=seconds, processes=False)
    try:
        report = compare(model, *(made[target] for target in sound), options=options)
    except NormonnxError as error:
        sys.stderr.write(f"{model.stem}: not measured: {error.message}\n")
        return
    for target, ratio in zip(sound, report.comparisons[0].ratios, strict=True):
        runs[target].ratio = (ratio.estimate, ratio.low, ratio.high)


def table(rows: Sequence[Row], versions: dict[str, str], unloaded: Sequence[str]) -> str:
    """The rows as Markdown."""
    total = sum(row.runs["normonnx"].operators for row in rows)
    with_any = sum(row.runs["normonnx"].operators > 0 for row in rows)
    broken = sum(bool(one.problems) for row in rows for one in row.runs.values())
    lines = [
        "# Every model for every target, with the library registered",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + ". Written by `python -m benchmarks.library`.",
        "",
        f"{len(rows)} models; {total} operators of the library in {with_any} of them for the "
        f"target normonnx; {broken} of {sum(len(row.runs) for row in rows)} results do not load or "
        "do not agree. *nodes*: Constant nodes aside. *operators*: of the library. Times are of "
        "ONNX Runtime at its default level, medians of runs in turns, relative to the original, "
        "with their 95 % intervals.",
        "",
        "| model | nodes | onnx, ort, normonnx | operators | loads and agrees | onnx | ort "
        "| normonnx | normonnx over onnx |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        runs = [row.runs[target] for target in TARGETS]
        wrong = [f"{t}: {one.problems[0]}" for t, one in row.runs.items() if one.problems]
        plain, own = row.runs["onnx"].ratio, row.runs["normonnx"].ratio
        cells = [
            row.model,
            str(row.nodes),
            ", ".join(str(one.nodes) for one in runs),
            str(row.runs["normonnx"].operators),
            "; ".join(wrong) or "all",
            *(_told(one.ratio) for one in runs),
            "" if plain is None or own is None else f"{own[0] / plain[0]:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    means = [_mean(rows, target) for target in TARGETS]
    lines += ["", f"Geometric means of the times where operators of the library are: {means[0]} "
              f"(onnx), {means[1]} (ort), {means[2]} (normonnx)."]  # fmt: skip
    if unloaded:
        lines += ["", f"Not loaded by ONNX Runtime as they came: {', '.join(unloaded)}."]
    undecided = [row.model for row in rows if row.runs["normonnx"].exit_code]
    if undecided:
        lines += ["", f"Written without a verdict of the judge: {', '.join(undecided)}."]
    return "\n".join(lines) + "\n"


def _told(ratio: tuple[float, float, float] | None) -> str:
    return "" if ratio is None else f"{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"


def _mean(rows: Sequence[Row], target: str) -> str:
    ratios = [
        ratio[0]
        for row in rows
        if row.runs["normonnx"].operators and (ratio := row.runs[target].ratio) is not None
    ]
    return f"{geometric_mean(ratios):.3f}" if ratios else "none"


def with_earlier(rows: list[Row], unloaded: list[str], path: Path) -> tuple[list[Row], list[str]]:
    """The rows that were measured now among those of an earlier run, in its order."""
    earlier = json.loads(path.read_text(encoding="utf-8"))
    new = {row.model: row for row in rows}
    old = [
        Row(row["model"], row["nodes"], {target: Run(**one) for target, one in row["runs"].items()})
        for row in earlier["rows"]
    ]
    return [new.get(row.model, row) for row in old], [*earlier["unloaded"], *unloaded]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring per model")
    arguments = parser.parse_args()
    rows: list[Row] = []
    unloaded: list[str] = []
    with tempfile.TemporaryDirectory() as room:
        for source in arguments.folders or FOLDERS:
            for model in sorted(source.glob("*.onnx")):
                if arguments.only not in model.stem:
                    continue
                if not loads(model):
                    unloaded.append(model.stem)
                    continue
                made = {target: Path(room) / f"{target}.onnx" for target in TARGETS}
                for path in made.values():
                    path.unlink(missing_ok=True)
                runs = {target: run(model, target, made[target]) for target in TARGETS}
                measure(model, made, runs, arguments.seconds)
                rows.append(Row(model.stem, count(model)[0], runs))
                print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
    results = HERE / "results"
    if arguments.only and not arguments.folders:
        rows, unloaded = with_earlier(rows, unloaded, results / "library.json")
    versions = installed()
    text = table(rows, versions, unloaded)
    print(text)
    if not arguments.folders:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "cores": os.cpu_count(),
            "versions": versions,
            "unloaded": unloaded,
            "rows": [asdict(row) for row in rows],
        }
        content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (results / "library.json").write_text(content, encoding="utf-8")
        (results / "library.md").write_text(text, encoding="utf-8")
    every = [one for row in rows for one in row.runs.values()]
    return 1 if any(one.problems for one in every) else 0


if __name__ == "__main__":
    sys.exit(main())
