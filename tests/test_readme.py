"""What README.md tells people to type is what runs, here and in CI."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers_pages import page, summary

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """The lines of the first shell block under a heading."""
    block = re.search(rf"^## {heading}\n.*?```sh\n(.*?)```", README, re.MULTILINE | re.DOTALL)
    assert block, f"no shell block under '{heading}'"
    return [part.strip() for part in re.split(r"\n|&&", block[1]) if part.strip()]


def test_ci_installs_and_tests_as_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, test = commands("Tests")[-2:]
    assert test.startswith("python -m pytest")
    assert re.search(rf"^{re.escape(test)}( |$)", script, re.MULTILINE)
    assert install.removeprefix("pip install ") in script


def test_ci_checks_style_and_types() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"set -euo pipefail", "ruff check .", "ruff format --check .", "mypy"} <= set(lines)


def test_the_first_command_does_what_it_says(tmp_path: Path) -> None:
    command = commands("Start")[-1]
    name, *arguments = shlex.split(command)
    assert name == "normonnx"
    output = tmp_path / arguments[arguments.index("-o") + 1]
    arguments[arguments.index("-o") + 1] = str(output)
    done = subprocess.run(
        [sys.executable, "-m", "normonnx", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert output.stat().st_size > 0
    assert "PASS" in done.stdout.splitlines()[-1]


def test_the_table_holds_the_numbers_of_the_measured_runs() -> None:
    results = json.loads((ROOT / "benchmarks/results/models.json").read_text(encoding="utf-8"))
    rows = {row["model"]: row for row in results["rows"]}
    shown = re.findall(r"^\| `(\w+)` \| (\d+) → (\d+) \|", README, re.MULTILINE)
    assert len(shown) >= 5
    for model, before, after in shown:
        assert rows[model]["before"]["nodes"] == int(before)
        assert rows[model]["after"]["nodes"] == int(after)
        assert rows[model]["exit_code"] == 0
        assert rows[model]["plain"]["equal"]


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def test_the_reliability_numbers_are_those_of_the_results() -> None:
    section = README.partition("## Reliability")[2].partition("\n## ")[0]
    fuzz, tests, scale, fleet = map(
        result, ("fuzz.json", "onnx_tests.json", "scale.json", "fleet.json")
    )
    assert fuzz["broken"] == []
    counts = fuzz["outcomes"]
    compared = counts["equal"] + counts["caught"]
    for words in (f"{fuzz['mutants']:,}: none", f"{compared:,} were", f"{counts['caught']} of"):
        assert words in section
    assert tests["wrong"] == tests["refused"] == {}
    assert set(tests["light"].values()) == {"recorded outputs"}
    kinds = tests["kinds"].values()
    unchanged, changed = (
        sum(kind.get(name, 0) for kind in kinds) for name in ("unchanged", "recorded outputs")
    )
    assert f"{unchanged + changed:,}: {unchanged:,} unchanged" in section
    assert f"{changed} changed" in section
    assert f"all {len(tests['light'])} light networks" in section
    large = next(row for row in scale["rows"] if row["series"] == "10 GB")
    assert large["gigabytes"] > 10
    assert f"{large['cpu_seconds']} s of processor time and" in section
    assert f"{large['resident_gigabytes']:.2f} GB of memory" in section
    most = max((row for row in scale["rows"] if row["series"] == "nodes"), key=lambda r: r["nodes"])
    assert f"{most['nodes']:,} nodes | {most['cpu_seconds']} s" in section
    assert max(scale["exponents"].values()) < 1.1
    assert f"power of {scale['exponents']['nodes']:.2f}" in section
    assert f"fleet of {fleet['models']:,} models" in section
    assert f"of {fleet['results when killed']:,} finished results none" in section
    assert fleet["done by both runs"] == 0
    assert f"{fleet['no models']} files" in section


def test_the_peers_are_told_as_they_were_measured() -> None:
    facts = result("peers.json")
    section = README.partition("## Beside other optimisers")[2].partition("\n## ")[0]
    for line in summary(facts["rows"], facts["startup"]):
        assert line in section
    assert (ROOT / "benchmarks" / "results" / "peers.md").read_text(encoding="utf-8") == page(facts)


def test_the_times_of_forms_are_those_that_were_measured() -> None:
    page = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks" / "results" / "forms.json").read_text(encoding="utf-8"))
    rows = 0
    for norm in found["norms"]:
        if norm["norm"].startswith("GroupNorm"):
            shape, groups = norm["norm"].removeprefix("GroupNorm ").split(", ")
            times = list(norm["microseconds"].values())[:3]
            cells = [f"{shape.replace('x', '×')}, {groups.split()[0]}"]
            cells += [f"{time:,.0f}" for time in times]
            assert f"| {' | '.join(cells)} |" in page
            rows += 1
    assert rows == 4
    skip = {(n["norm"], n["level"]): n["microseconds"] for n in found["norms"]}
    for norm in ("Add + LayerNorm 128x768", "Add + RMSNorm 128x768"):
        times = skip[norm, "all"]
        assert f"{times['target ort']:.0f} µs against {times['target onnx']:.0f} µs" in page
