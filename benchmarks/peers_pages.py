"""The results of benchmarks/peers.py as Markdown and as a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Facts = Mapping[str, Any]
LARGE = 50
"""Models of so many nodes and more count for the comparison of times."""

_BAR, _LINE, _LEFT, _WIDTH = 16, 26, 130, 360


def page(facts: Facts) -> str:
    """All tables, the summary first."""
    rows, tools = facts["rows"], list(facts["startup"])
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    lines = [
        "# normonnx beside its peers",
        "",
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, median of "
        f"{facts['rounds']} interleaved runs, {versions}. Written by `python -m benchmarks.peers`.",
        "",
        "Each tool is a whole process, from a file to a file; normonnx without its judge, as no "
        "other tool has one. *ORT* is ONNX Runtime's offline optimisation. *right*: results that "
        "ONNX Runtime loads, whose inputs and outputs are declared as they were, and whose outputs "
        "are the original's in a plain comparison, of those tried; *judge*: that normonnx verify "
        "passes too. *left*: over the models that every tool took, BatchNormalization + "
        "affine arithmetic, and norms spelled out. *latency*: geometric mean of the time of the "
        "result relative to the original, in ONNX Runtime on the CPU at its default level, "
        "one thread, over the same models.",
        "",
        *summary(rows, facts["startup"]),
        "",
        f"*times ours*: seconds of the tool over normonnx's, median over the models of {LARGE} "
        "nodes and more; *net*: the same less what each takes for a model of one node, "
        "0.00 where that varies by more than what is left; *memory*: "
        "peak of the process.",
        "",
        "## Seconds",
        "",
        *table(rows, tools, lambda run: f"{run['seconds']:.2f}", "seconds"),
        "",
        "## Peak memory, MB",
        "",
        *table(rows, tools, lambda run: f"{run['peak'] / 1e6:.0f}", "MB"),
        "",
        "## Latency of the result, relative to the original's",
        "",
        *table(rows, tools, latency, "×"),
        "",
        "## BatchNormalization + affine arithmetic left, norms left spelled out",
        "",
        *table(rows, tools, left, ""),
        "",
        "## The judge's share",
        "",
        "Seconds of normonnx with its judge and without.",
        "",
        "| model | with | without |",
        "|---|---|---|",
        *(f"| {row['model']} | {row['verified']:.1f} | {row['runs']['normonnx']['seconds']:.2f} |"
          for row in rows),
        "",
        "## What is wrong",
        "",
        "| tool | model | plain comparison | judge |",
        "|---|---|---|---|",
        *wrong(rows, tools),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Any], startup: Mapping[str, float]) -> list[str]:
    """One line for each tool."""
    common = [row for row in rows if all(not run["problem"] for run in row["runs"].values())]
    lines = [
        "| tool | right | judge | times ours | net | memory, times ours | left | norms left "
        "| latency | start, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for tool, start in startup.items():
        runs = [row["runs"][tool] for row in rows]
        right = sum(not run["problem"] for run in runs)
        judged = sum(run["verdict"] == "pass" for run in runs)
        seconds, net, peak = (ratio(rows, tool, of) for of in ("seconds", "net", "peak"))
        affine = "{} + {}".format(
            *(sum(row["runs"][tool][of] for row in common) for of in ("batchnorms", "arithmetic"))
        )
        norms = sum(row["runs"][tool]["norms"] for row in common)
        lines.append(
            f"| {tool} | {right} of {len(runs)} | {judged} | {seconds} | {net} | {peak} "
            f"| {affine} | {norms} | {mean_latency(common, tool)} | {start:.2f} |"
        )
    return lines


def ratio(rows: Sequence[Any], tool: str, of: str) -> str:
    """The median over the larger models of what a tool takes over what normonnx takes."""
    pairs = [
        (row["runs"][tool][of], row["runs"]["normonnx"][of])
        for row in rows
        if row["nodes"] >= LARGE
    ]
    ratios = [theirs / ours for theirs, ours in pairs if ours > 0]
    return f"{statistics.median(ratios):.2f}" if ratios else "–"


def mean_latency(rows: Sequence[Any], tool: str) -> str:
    """The geometric mean of the latencies of a tool's results."""
    found = [run["latency"][0] for row in rows if (run := row["runs"][tool])["latency"]]
    if not found:
        return "–"
    return f"{math.exp(statistics.fmean(map(math.log, found))):.3f}"


def latency(run: Mapping[str, Any]) -> str:
    """The ratio, in bold where it is surely slower than the original."""
    if run["latency"] is None:
        return "–"
    middle, low, _ = run["latency"]
    return f"**{middle:.2f}**" if low > 1.02 else f"{middle:.2f}"


def left(run: Mapping[str, Any]) -> str:
    """What is left in one result."""
    return f"{run['batchnorms']} + {run['arithmetic']}, {run['norms']}"


def table(
    rows: Sequence[Any], tools: Sequence[str], cell: Callable[[Any], str], unit: str
) -> list[str]:
    """A row for each model, a column for each tool; a dash where the tool has no right result."""
    head = f" ({unit})" if unit else ""
    lines = [
        f"| model{head} | nodes | " + " | ".join(tools) + " |",
        "|---|---|" + "---|" * len(tools),
    ]
    for row in rows:
        cells = ["–" if row["runs"][tool]["problem"] else cell(row["runs"][tool]) for tool in tools]
        lines.append(f"| {row['model']} | {row['nodes']} | " + " | ".join(cells) + " |")
    return lines


def wrong(rows: Sequence[Any], tools: Sequence[str]) -> list[str]:
    """Every result that is not right, or that the judge does not pass."""
    return [
        f"| {tool} | {row['model']} | {run['problem'].replace('|', '¦') or 'right'} "
        f"| {run['verdict'].replace('|', '¦')} |"
        for tool in tools
        for row in rows
        if (run := row["runs"][tool])["problem"] or run["verdict"] not in ("pass", "")
    ]


def picture(facts: Facts, path: Path) -> None:
    """Bars of the time each tool takes, normonnx being 1, as SVG that suits light and dark."""
    rows, tools = facts["rows"], list(facts["startup"])
    ratios = {tool: ratio(rows, tool, "seconds") for tool in tools}
    known = {tool: float(text) for tool, text in ratios.items() if text != "–"}
    longest = max(known.values(), default=1.0)
    bars = []
    for index, (tool, value) in enumerate(known.items()):
        y = 34 + _LINE * index
        width = _WIDTH * value / longest
        colour = "#1a9850" if tool == "normonnx" else "#7a869a"
        bars.append(
            f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{tool}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>'
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{value:.2f}×</text>'
        )
    height = 44 + _LINE * len(known)
    title = f"Seconds per model, normonnx = 1 (median over models of {LARGE} nodes and more)"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#7a869a"><title>{title}</title>'
        f'<text x="8" y="18" font-size="13">{title}</text>{"".join(bars)}</svg>\n',
        encoding="utf-8",
    )
