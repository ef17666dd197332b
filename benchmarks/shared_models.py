"""Run ``normonnx optimize`` on every model of some folders and write down what came of it.

    python -m benchmarks.shared_models [FOLDER...] [--only PART] [--feeds N]

Every model is one process of normonnx, start included; then plain_compare.py judges its output, and
census.py counts. Without arguments the folders are models/ and, where it exists,
../shared/models, and the table goes to benchmarks/results/models.json and models.md too.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import onnx

from benchmarks.census import Census, take

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDERS = (ROOT / "models", ROOT.parent / "shared" / "models")
PACKAGES = ("normonnx", "onnx", "onnx-ir", "onnxscript", "onnxruntime-gpu", "onnxruntime", "numpy")


@dataclass
class Row:
    """One run of normonnx on one model.

    Attributes:
        model: file name without suffix.
        before, after: what census.py counts in the model and in normonnx's output.
        seconds: wall time of the normonnx process.
        exit_code: of the normonnx process.
        verdict: its last line.
        reverted: rewrites it took back because its judge found them guilty.
        plain: the JSON line of plain_compare.py, {} where there was nothing to compare.
    """

    model: str
    before: Census
    after: Census | None
    seconds: float
    exit_code: int
    verdict: str
    reverted: int
    plain: dict[str, object]


def run(model: Path, folder: Path, feeds: int) -> Row:
    """Optimise one model into the folder, compare and count."""
    output, report = folder / model.name, folder / "report.json"
    command = [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(output)]
    command += ["--report", f"json={report}"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""]
    told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {"models": []}
    reverted = sum(len(entry["reverted"]) for entry in told["models"])
    row = Row(model.stem, take(onnx.load(model)), None, round(seconds, 2), done.returncode,
              lines[-1].strip(), reverted, {})  # fmt: skip
    report.unlink(missing_ok=True)
    if output.exists():
        row.after = take(onnx.load(output))
        compare = [sys.executable, str(HERE / "plain_compare.py"), str(model), str(output)]
        judged = subprocess.run([*compare, "--json", "--feeds", str(feeds)],
                                capture_output=True, text=True, check=False)  # fmt: skip
        row.plain = json.loads(judged.stdout) if judged.stdout else {"problems": [judged.stderr]}
    return row


def installed() -> dict[str, str]:
    """Versions of what took part."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:
            continue
    return found


def table(rows: Sequence[Row], versions: dict[str, str]) -> str:
    """The rows as Markdown."""
    lines = [
        "# normonnx optimize on every model",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + ". Written by `python -m benchmarks.shared_models`.",
        "",
        "Counted by benchmarks/census.py, Constant nodes aside. *BN left*: BatchNormalization that "
        "follows a Conv, ConvTranspose, Gemm or MatMul whose output only it reads. *arithmetic*: "
        "Mul, Add, Sub, Div with a constant. *spelled out*: roots of a mean of squares that "
        "something is divided by. *plain*: the largest difference benchmarks/plain_compare.py "
        "found, in units of the output's largest magnitude, ONNX Runtime's optimisations off and "
        "at its default level.",
        "",
        "| model | nodes | BatchNorm | BN left | arithmetic | spelled out | LayerNorm / RMSNorm "
        "operators | seconds | exit | verdict | plain |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += (f"| {row.model} | {' | '.join((*_counts(row), *_outcome(row)))} |" for row in rows)
    return "\n".join(lines) + "\n"


def _counts(row: Row) -> list[str]:
    b, a = row.before, row.after
    if a is None:
        return [str(b.nodes), str(b.batchnorms), "", str(b.arithmetic), str(b.decomposed), ""]
    return [
        f"{b.nodes} → {a.nodes}",
        f"{b.batchnorms} → {a.batchnorms}" if b.batchnorms else "",
        str(a.foldable) if b.batchnorms else "",
        f"{b.arithmetic} → {a.arithmetic}",
        f"{b.decomposed} → {a.decomposed}" if b.decomposed else "",
        f"{a.layernorms} / {a.rmsnorms}" if a.layernorms + a.rmsnorms else "",
    ]


def _outcome(row: Row) -> list[str]:
    plain = f"{row.plain['worst']:.1e}" if row.plain.get("equal") else "**no**"
    verdict = row.verdict.removeprefix("normonnx: ").replace("1 model, ", "")
    taken_back = f", {row.reverted} taken back" if row.reverted else ""
    return [f"{row.seconds:.1f}", str(row.exit_code), verdict + taken_back, plain]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--feeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for source in arguments.folders or FOLDERS:
            for model in sorted(source.glob("*.onnx")):
                if arguments.only in model.stem:
                    rows.append(run(model, Path(folder), arguments.feeds))
                    print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
    versions = installed()
    text = table(rows, versions)
    print(text)
    if not arguments.only and not arguments.folders:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cores": os.cpu_count(),
                 "versions": versions, "rows": [asdict(row) for row in rows]}  # fmt: skip
        content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (results / "models.json").write_text(content, encoding="utf-8")
        (results / "models.md").write_text(text, encoding="utf-8")
    return 0 if all(row.exit_code == 0 and row.plain.get("equal") for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
