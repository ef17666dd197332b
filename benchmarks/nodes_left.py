"""How many nodes each optimiser leaves of models.

    python -m benchmarks.nodes_left [FOLDER...] [--peers FOLDER]

normonnx runs from here, without its judge; every other tool from a virtual environment that this
script makes (or from the one given by --peers), one process for all models of a folder. Without
arguments the folders are models/ and, where it exists, ../shared/models, and the table goes to
benchmarks/results/nodes_left.json and nodes_left.md too. Nodes of subgraphs and functions count,
those that compute on constants alone do not. The counting knows nothing of normonnx.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import onnx

import normonnx
from benchmarks.affine_left import FOLDERS, HERE, count, make_peers, peer_versions
from normonnx.errors import NormonnxError

OURS = "normonnx"
TOOLS = ("ORT basic", "ORT extended", "onnxsim", "onnxslim", "onnxscript")
RUNNER = HERE / "tool_runner.py"

Row = dict[str, int | None]
"""Nodes left by tool, "original" for what there were; None where a tool wrote no model."""


def left(path: Path) -> int | None:
    """The nodes of a file, None where there is none."""
    return count(onnx.load(path)).nodes if path.exists() else None


def ours(source: Path) -> int | None:
    """What normonnx leaves, proved rewrite by rewrite, and not judged here."""
    try:
        content = normonnx.optimize(source, verify=False).to_bytes()
    except NormonnxError:
        return None
    return count(onnx.load_from_string(content)).nodes


def measured(folder: Path, python: Path) -> dict[str, Row]:
    """The row of each model of a folder."""
    sources = sorted(folder.glob("*.onnx"))
    rows: dict[str, Row] = {
        source.stem: {"original": left(source), OURS: ours(source)} for source in sources
    }
    for tool in TOOLS:
        with tempfile.TemporaryDirectory() as output:
            command = [str(python), str(RUNNER), tool, str(folder), output]
            subprocess.run(command, check=True, capture_output=True, timeout=1800)
            for source in sources:
                rows[source.stem][tool] = left(Path(output) / source.name)
    return rows


def page(rows: dict[str, Row], versions: dict[str, str], date: str) -> str:
    """The table, and below it what it adds up to."""
    tools = ("original", OURS, *TOOLS)
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# Nodes that are left",
        "",
        f"{date}, {told}. Nodes that compute on constants alone are not counted. A dash is a model",
        "that a tool wrote no result for. In the sums its original stands for it.",
        "",
        f"| model | {' | '.join(tools)} |",
        "|---" * (len(tools) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = ["–" if row[tool] is None else str(row[tool]) for tool in tools]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    sums = total(rows)
    lines.append(f"| all | {' | '.join(str(sums[tool]) for tool in tools)} |")
    return "\n".join(lines) + "\n"


def total(rows: dict[str, Row]) -> dict[str, int]:
    """The sums over all models that every tool was given."""
    sums = dict.fromkeys(("original", OURS, *TOOLS), 0)
    for row in rows.values():
        for tool in sums:
            found = row[tool]
            sums[tool] += (row["original"] or 0) if found is None else found
    return sums


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, and write down."""
    parser = argparse.ArgumentParser(description="Nodes that optimisers leave.")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--peers", type=Path, help="a virtual environment with the other tools")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        python = make_peers(given.peers or Path(made) / "peers")
        rows: dict[str, Row] = {}
        for folder in given.folders or [one for one in FOLDERS if one.exists()]:
            rows |= measured(folder.resolve(), python)
        versions = peer_versions(python)
    date = datetime.now(UTC).date().isoformat()
    text = page(rows, versions, date)
    print(text)
    if not given.folders:
        results = HERE / "results"
        data = {"date": date, "versions": versions, "total": total(rows), "models": rows}
        (results / "nodes_left.json").write_text(json.dumps(data, indent=1) + "\n")
        (results / "nodes_left.md").write_text(text)


if __name__ == "__main__":
    main()
