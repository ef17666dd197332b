"""normonnx beside the other optimisers: time, memory, what is left, what is right, its speed.

    python -m benchmarks.peers [FOLDER...] [--only PART] [--rounds 5] [--peers FOLDER] [--quick]

Each tool is a whole process that reads one file and writes another; the tools take turns, round
after round, and the median counts. normonnx runs from here, without its judge, as no other tool has
one; what judging costs is measured apart. The others run from a virtual environment that this
script makes (or from the one given by --peers). Without folders the models are those of models/,
of ../shared/models where it exists, and large ones generated here; the results then go to
benchmarks/results/peers.json, peers.md and peers.svg.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime

import normonnx
from benchmarks import affine_left, census, large_models, plain_compare
from benchmarks.affine_left import FOLDERS, HERE, TIME_LIMIT, TOOLS
from benchmarks.peers_pages import page, picture
from normonnx.errors import NormonnxError

OURS = "normonnx"
RUNTIMES = tuple(tool for tool in TOOLS if tool.startswith("ORT"))
START = """
import os, signal, sys, time
limit, *command = sys.argv[1:]
start = time.perf_counter()
pid = os.fork()
if not pid:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(command[0], command)
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(int(float(limit)))
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
print([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024,
       os.waitstatus_to_exitcode(status)])
"""
"""Starts a program, waits for it, and prints what it took."""

EMPTY = "(float[2] x) => (float[2] y) { y = Relu (x) }"


@dataclass
class Run:
    """One tool on one model.

    Attributes:
        seconds: wall time of the process, the median over the rounds.
        net: the same less what the tool takes for a model of one node.
        cpu: processor seconds of the process, the median.
        peak: most memory the process had, in bytes.
        nodes: left in the result, what only computes on constants aside.
        batchnorms: BatchNormalization nodes left.
        arithmetic: Mul, Add, Sub, Div with a constant left, biases aside.
        norms: norms left spelled out.
        problem: why the result is wrong or there is none, "" where it is right.
        verdict: of normonnx's judge: "pass", "fail", "inconclusive", or an error.
        latency: of the result in ONNX Runtime at its default level, relative to the original:
            median, and both ends of its 95 % interval; None where it does not run.
    """

    seconds: float
    net: float
    cpu: float
    peak: int
    nodes: int = 0
    batchnorms: int = 0
    arithmetic: int = 0
    norms: int = 0
    problem: str = ""
    verdict: str = ""
    latency: tuple[float, float, float] | None = None


class Finding(NamedTuple):
    """What a result is, apart from how long it took; fields as in `Run`."""

    nodes: int
    batchnorms: int
    arithmetic: int
    norms: int
    problem: str
    verdict: str


@dataclass
class Row:
    """One model.

    Attributes:
        model: file name without suffix.
        nodes, batchnorms, arithmetic, norms: of the model itself, counted as in `Run`.
        runs: by tool.
        verified: seconds that normonnx takes with its judge.
    """

    model: str
    nodes: int
    batchnorms: int
    arithmetic: int
    norms: int
    runs: dict[str, Run] = field(default_factory=dict)
    verified: float = 0.0


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    rounds: int
    seconds: float
    quick: bool


def commands(python: Path, model: Path, output: Path) -> dict[str, list[str]]:
    """How each tool is called."""
    ours = [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(output)]
    return {OURS: [*ours, "--no-verify"]} | {
        tool: [str(python), "-c", program, str(model), str(output)]
        for tool, program in TOOLS.items()
    }


def timed(command: Sequence[str]) -> tuple[float, float, int, str]:
    """Wall seconds, processor seconds and peak bytes of a process, and what went wrong.

    A process counts the memory of the one that started it as its own at first, so a bare one does.
    """
    with tempfile.TemporaryFile() as said:
        start = [sys.executable, "-ISc", START, str(TIME_LIMIT), *command]
        done = subprocess.run(start, stdout=subprocess.PIPE, stderr=said, check=True)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    seconds, cpu, peak, code = json.loads(done.stdout)
    problem = "" if code == 0 else (lines or [f"exit {code}"])[-1][:200]
    return seconds, cpu, peak, problem


def median_runs(
    python: Path, model: Path, folder: Path, rounds: int, startup: dict[str, float]
) -> dict[str, Run]:
    """Every tool `rounds` times, in turns; the last output of each stays in the folder."""
    samples: dict[str, list[tuple[float, float, int]]] = {}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for tool in (OURS, *TOOLS):
            output = result_of(folder, tool)
            command = commands(python, model, output)[tool]
            if tool in failures:
                continue
            output.unlink(missing_ok=True)
            *sample, problem = timed(command)
            samples.setdefault(tool, []).append(tuple(sample))  # type: ignore[arg-type]
            if problem or not output.exists():
                failures[tool] = problem or "nothing was written"
    runs = {}
    for tool, taken in samples.items():
        seconds, cpu, peaks = (statistics.median(column) for column in zip(*taken, strict=True))
        net = max(0.0, seconds - startup.get(tool, 0.0))
        runs[tool] = Run(seconds, net, cpu, int(peaks), problem=failures.get(tool, ""))
    return runs


def result_of(folder: Path, tool: str) -> Path:
    """Where the result of a tool lies."""
    return folder / f"{tool.replace(' ', '_')}.onnx"


def count(model: Path) -> tuple[int, int, int, int]:
    """Nodes, BatchNormalizations, affine arithmetic and spelled-out norms of a file."""
    proto = onnx.load(model)
    left = affine_left.count(proto)
    return left.nodes, left.batchnorms, left.arithmetic, census.take(proto).decomposed


def examine(original: Path, folder: Path, tools: Sequence[str]) -> dict[str, Finding]:
    """What each tool's result is: counted, compared, judged."""
    found = {}
    for tool in tools:
        output = result_of(folder, tool)
        problem = difference(original, output)
        try:
            verdict: str = normonnx.verify(original, output).status
        except NormonnxError as error:
            verdict = str(error)[:200]
        found[tool] = Finding(*count(output), problem, verdict)
    return found


def take_in(row: Row, found: dict[str, Finding]) -> None:
    """Note in the row what `examine` found."""
    for tool, finding in found.items():
        run = row.runs[tool]
        run.nodes, run.batchnorms, run.arithmetic, run.norms, run.problem, run.verdict = finding


def difference(original: Path, output: Path) -> str:
    """What a plain comparison in ONNX Runtime has against a result, "" for nothing."""
    try:
        found = plain_compare.compare(original, output, feeds=2, rtol=None, atol=1e-6)
    except Exception as error:  # the result does not load, or does not run
        return str(error).splitlines()[0][:200]
    wrong = [text for text in found.problems if not text.startswith("onnx.checker")]
    return wrong[0][:200] if wrong else ""


def latencies(
    original: Path, results: dict[str, Path], seconds: float
) -> dict[str, tuple[float, float, float]]:
    """Time of each result in ONNX Runtime, on one thread, relative to the original's."""
    if not results:
        return {}
    try:
        report = normonnx.bench(original, *results.values(), threads=(1,), seconds=seconds)
    except NormonnxError:
        return {}
    ratios = report.comparisons[0].ratios
    return {
        tool: (round(r.estimate, 4), round(r.low, 4), round(r.high, 4))
        for tool, r in zip(results, ratios, strict=True)
    }


def startups(python: Path, folder: Path, rounds: int) -> dict[str, float]:
    """What each tool takes for a model of one node."""
    model = folder / "one.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g {EMPTY}'), model)
    runs = median_runs(python, model, folder, rounds, {})
    return {tool: run.seconds for tool, run in runs.items()}


def look(
    model: Path, python: Path, folder: Path, startup: dict[str, float], options: Options
) -> Row:
    """One model through all tools: the times."""
    row = Row(model.stem, *count(model))
    row.runs = median_runs(python, model, folder, options.rounds, startup)
    verified, _, _, _ = timed(
        [sys.executable, "-m", "normonnx", "optimize", str(model), "-o", str(folder / "v.onnx")]
    )
    row.verified = verified
    if not options.quick:
        ran = {tool: result_of(folder, tool) for tool, run in row.runs.items() if not run.problem}
        for tool, ratio in latencies(model, ran, options.seconds).items():
            row.runs[tool].latency = ratio
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of latency, per model")
    parser.add_argument("--quick", action="store_true", help="only time, memory and start-up")
    parser.add_argument("--peers", type=Path, help="keep the peers' environment here")
    given = parser.parse_args()
    options = Options(given.rounds, given.seconds, given.quick)
    rows = []
    # As pip does with what it installs, the peers among it.
    compileall.compile_dir(Path(normonnx.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = affine_left.make_peers(given.peers or folder / "peers")
        startup = startups(python, folder, options.rounds)
        models = [m for source in given.folders or FOLDERS for m in sorted(source.glob("*.onnx"))]
        if not given.folders:
            models += large_models.write(folder / "large")
        # One process beside the timing one looks at what came out.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as examiner:
            findings = []
            for number, model in enumerate(m for m in models if given.only in m.stem):
                room = folder / str(number)
                room.mkdir()
                rows.append(look(model, python, room, startup, options))
                if not options.quick:
                    tools = [tool for tool, run in rows[-1].runs.items() if not run.problem]
                    findings.append(examiner.submit(examine, model, room, tools))
                print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
            for row, finding in zip(rows, findings, strict=False):
                take_in(row, finding.result())
        versions = {
            "python": platform.python_version(),
            "normonnx": normonnx.__version__,
            **affine_left.peer_versions(python),
            "onnxruntime (judge and latency)": onnxruntime.__version__,
        }
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "rounds": options.rounds,
            "versions": versions,
            "startup": startup,
            "rows": [asdict(row) for row in rows],
        }
        text = page(facts)
        print(text)
        if not given.only and not given.folders and not options.quick:
            results = HERE / "results"
            content = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
            (results / "peers.json").write_text(content, encoding="utf-8")
            (results / "peers.md").write_text(text, encoding="utf-8")
            picture(facts, results / "peers.svg")
    return 0


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((ln.partition(":")[2].strip() for ln in lines if ln.startswith("model name")), "")


if __name__ == "__main__":
    raise SystemExit(main())
