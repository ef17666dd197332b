"""The command line as it is used: options, exit codes, what is written where, and what is not."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from normonnx import api, fleet
from normonnx.error_pages import ERRORS
from normonnx.journal import NearMiss
from normonnx.judge import Judge, Verdict
from normonnx.report import ModelReport
from normonnx.rules import RULES
from normonnx.runtime.isolation import IsolatedSession

BATCHNORM = "conv1d_batchnorm.onnx"
LAYERNORM = "tutorial_dense_layernorm.onnx"
DENSE = "tutorial_dense_batchnorm.onnx"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(tmp_path: Path, models_dir: Path) -> Path:
    """A directory with copies of three models."""
    directory = tmp_path / "house"
    directory.mkdir()
    for name in (BATCHNORM, LAYERNORM, DENSE):
        shutil.copy(models_dir / name, directory / name)
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def process(
    *arguments: object, stdin: bytes = b"", **options: object
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "normonnx", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )


HEAVY = {"numpy", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "rich", "ml_dtypes"}


@pytest.mark.parametrize("module", ["normonnx", "normonnx.cli"])
def test_nothing_heavy_is_imported_to_show_help(module: str) -> None:
    program = f"""
import sys
import {module}
from normonnx.cli import main
for arguments in (["--help"], ["optimize", "--help"], ["--version"]):
    try:
        main(arguments)
    except SystemExit as ended:
        assert not ended.code
loaded = sorted({{name.partition(".")[0] for name in sys.modules}})
print("LOADED", *loaded)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert not loaded & HEAVY
    assert "click" in loaded


def test_help_names_commands_and_exit_codes(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for word in ("optimize", "verify", "inspect", "explain", "doctor", "130 interrupted"):
        assert word in out
    for command in ("optimize", "verify", "inspect", "explain", "doctor"):
        assert run(command, "-h")[0] == 0


def test_optimize_beside_the_model(run: Run, house: Path) -> None:
    code, out, err = run("optimize", house / BATCHNORM)
    assert code == 0
    written = house / "conv1d_batchnorm.optimized.onnx"
    lines = out.splitlines()
    assert lines[0].startswith("conv1d_batchnorm.onnx  opset ")
    assert any("NX001 fold-into-convolution" in line for line in lines)
    assert any(line.startswith("  parity PASS") for line in lines)
    digest = hashlib.sha256(written.read_bytes()).hexdigest()[:12]
    assert err.startswith(f"written to {written}  sha256 {digest}")
    assert len(err.splitlines()) == 1
    assert lines[-1].startswith("normonnx: PASS 1 model, 7 rewrites, ")
    operators = {node.op_type for node in onnx.load(written).graph.node}
    assert "BatchNormalization" not in operators


def test_output_file_may_be_the_model_itself(run: Run, house: Path) -> None:
    path = house / BATCHNORM
    before = path.read_bytes()
    assert run("optimize", path, "-o", path, "--in-place", "-q")[0] == 0
    assert path.read_bytes() != before
    assert names(house) == sorted([BATCHNORM, LAYERNORM, DENSE])


@pytest.mark.parametrize("command", ["optimize", "apply"])
def test_data_and_tolerances_are_the_judge_s(
    run: Run, house: Path, tmp_path: Path, command: str
) -> None:
    model = onnx.load(house / BATCHNORM)
    sizes = [d.dim_value or 2 for d in model.graph.input[0].type.tensor_type.shape.dim]
    data, report = tmp_path / "data.npz", tmp_path / "report.json"
    np.savez(data, **{model.graph.input[0].name: np.full(sizes, 0.5, np.float32)})
    plan = tmp_path / "plan.json"
    run("optimize", house / BATCHNORM, "--dry-run", "--plan", plan)
    what = (command, *([plan] if command == "apply" else []), house / BATCHNORM)
    output = model.graph.output[0].name
    code, out, _ = run(
        *what,
        *("--data", data, "--rtol", f"{output}=1e-3", "--atol", "1e-2"),
        *("-o", tmp_path / "o.onnx", "--report", f"json={report}"),
    )
    assert code == 0, out
    verdict = json.loads(report.read_text())["models"][0]["verdict"]
    assert [feed["title"] for feed in verdict["feeds"]] == ["data.npz"]
    assert verdict["approximate"]


def test_data_and_tolerances_that_do_not_fit(run: Run, house: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, other=np.zeros(3, np.float32))
    code, out, err = run("optimize", house / BATCHNORM, "--data", data)
    assert (code, out) == (2, "")
    assert "error[NX-E02]: data.npz has no array" in err
    code, _, err = run("optimize", house / BATCHNORM, "--rtol", "nowhere=1e-3")
    assert code == 2
    assert "a tolerance is set for 'nowhere', which is no output" in err
    assert run("optimize", house / BATCHNORM, "--rtol", "-1")[0] == 2
    # Of several models each is told by itself.
    code, _, err = run("optimize", house, "--output-dir", tmp_path / "out", "--data", data)
    assert code == 3
    assert err.count("error[NX-E02]: data.npz has no array") == 3
    assert not names(tmp_path / "out")


@pytest.mark.parametrize("jobs", [1, 2])
def test_several_models_and_a_bad_one(run: Run, house: Path, tmp_path: Path, jobs: int) -> None:
    (house / "bad.onnx").write_bytes(b"PK\x03\x04 something else")
    out_dir = tmp_path / "new" / "deep"
    code, out, err = run(
        "optimize",
        *sorted(house.glob("*.onnx")),
        *("--output-dir", out_dir, "--jobs", jobs, "--report", f"json={tmp_path / 'r.json'}"),
    )
    assert code == 3
    assert names(out_dir) == sorted([BATCHNORM, LAYERNORM, DENSE])
    assert "error[NX-E10]: not an ONNX model" in err
    last = out.splitlines()[-1]
    assert last.startswith("normonnx: REFUSED 4 models, 18 rewrites, ")
    assert last.endswith(", 1 not done")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema"] == "normonnx.report/1"
    assert [model["name"] for model in report["models"]] == names(house)
    assert [model["status"] for model in report["models"]] == ["refused", "pass", "pass", "pass"]
    for model in report["models"][1:]:
        path = Path(model["written"]["path"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == model["written"]["sha256"]


def test_jobs_do_not_change_the_result(run: Run, house: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        arguments = ("--output-dir", tmp_path / str(jobs), "--jobs", jobs, "-q")
        assert run("optimize", *sorted(house.glob("*.onnx")), *arguments)[0] == 0
    for name in names(house):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_standard_input_to_standard_output(house: Path, tmp_path: Path, run: Run) -> None:
    run("optimize", house / BATCHNORM, "-o", tmp_path / "expected.onnx")
    expected = (tmp_path / "expected.onnx").read_bytes()
    content = (house / BATCHNORM).read_bytes()
    for arguments in (["-"], ["-", "-o", "-"], [house / BATCHNORM, "-o", "-"]):
        done = process("optimize", *arguments, stdin=content)
        assert done.returncode == 0
        assert done.stdout == expected
        last_two = done.stderr.decode().splitlines()[-2:]
        assert last_two[0].startswith("written to standard output  sha256 ")
        assert last_two[1].startswith("normonnx: PASS 1 model, 7 rewrites")
    done = process("optimize", "-", "-o", tmp_path / "file.onnx", stdin=content)
    assert done.returncode == 0
    assert (tmp_path / "file.onnx").read_bytes() == expected
    assert done.stdout.decode().startswith("<stdin>  opset")
    done = process("optimize", "-", stdin=b"garbage")
    assert (done.returncode, done.stdout) == (3, b"")


def test_model_does_not_go_to_a_terminal(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    code, _, err = run("optimize", house / BATCHNORM, "-o", "-")
    assert code == 2
    assert "does not belong on a terminal" in err


def test_check_diff_and_dry_run_write_nothing(run: Run, house: Path) -> None:
    before = names(house)
    code, out, _ = run("optimize", house / BATCHNORM, house / DENSE, "--check")
    assert code == 1
    assert out.splitlines() == [
        "conv1d_batchnorm.onnx  7 rewrites to make",
        "tutorial_dense_batchnorm.onnx  6 rewrites to make",
        "normonnx: CHANGES 2 models, 13 rewrites",
    ]
    code, out, _ = run("optimize", house / BATCHNORM, "--diff")
    assert code == 0
    assert out.count("    - BatchNormalization ") == 7
    assert "    + Conv " in out
    assert "parity" not in out
    assert out.endswith("normonnx: CHANGES 1 model, 7 rewrites\n")
    assert run("optimize", house / BATCHNORM, "--diff", "--check")[0] == 1
    code, out, err = run("optimize", house / BATCHNORM, "--dry-run")
    assert code == 0
    assert out.count("    - BatchNormalization ") == 7
    assert "parity PASS" in out
    assert "nothing written for conv1d_batchnorm.onnx" in err
    assert names(house) == before


def test_check_passes_where_nothing_is_to_be_done(run: Run, house: Path) -> None:
    run("optimize", house / BATCHNORM, "-o", house / "done.onnx")
    code, out, _ = run("optimize", house / "done.onnx", "--check")
    assert (code, out.splitlines()[-1]) == (0, "normonnx: CLEAN 1 model, 0 rewrites")


def test_no_verify_says_so(run: Run, house: Path) -> None:
    code, out, _ = run("optimize", house / BATCHNORM, "--no-verify", "-q")
    assert (code, out) == (0, "normonnx: UNVERIFIED 1 model, 7 rewrites\n")
    assert (house / "conv1d_batchnorm.optimized.onnx").exists()


def test_bench_after_optimising(run: Run, house: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "optimize", house / DENSE, "--bench", "--report", f"json={tmp_path / 'r.json'}"
    )
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert rows[-7:] == ["model", "before", "after", "in", "before", "after", "open"]
    speed = re.search(r", time [0-9.]+x, (faster|slower|same|inconclusive)$", out.strip())
    assert speed is not None
    model = json.loads((tmp_path / "r.json").read_text())["models"][0]
    assert [one["name"] for one in model["bench"]["comparisons"][0]["models"]] == [
        "before", "after",
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "expected"), [("fail", 1), ("inconclusive", 4)])
def test_nothing_is_written_unless_the_judge_passes_it(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch, status: str, expected: int
) -> None:
    verdict = Verdict(status, first_failure="logits are wrong")  # type: ignore[arg-type]
    monkeypatch.setattr(Judge, "judge", lambda *_, **__: verdict)
    before = names(house)
    code, out, err = run("optimize", house / BATCHNORM)
    assert code == expected
    assert "logits are wrong" in out
    assert "nothing written" in err
    assert "logits are wrong" in run("optimize", house / BATCHNORM, "-q")[2]
    assert out.splitlines()[-1].startswith(f"normonnx: {status.upper()} 1 model")
    assert names(house) == before


USAGE = {
    "no model": ([], "Missing argument"),
    "unknown option": (["m.onnx", "--traget", "onnx"], "--target"),
    "unknown target": (["m.onnx", "--target", "onix"], "onnx"),
    "unknown report": (["m.onnx", "--report", "xml=x"], "json=PATH"),
    "several with -o": (["a.onnx", "b.onnx", "-o", "c.onnx"], "--output-dir"),
    "several without": (["a.onnx", "b.onnx"], "--output-dir"),
    "both outputs": (["a.onnx", "-o", "x", "--output-dir", "y"], "exclude each other"),
    "pipe among others": (["-", "b.onnx", "--output-dir", "y"], "must be the only one"),
    "pipe into a directory": (["-", "--output-dir", "y"], "must be the only one"),
    "no jobs": (["a.onnx", "--jobs", "0"], "'0' is not a whole number of at least 1"),
    "same name": (["a/m.onnx", "b/m.onnx", "--output-dir", "y"], "would both become"),
    "over a source": (["a.onnx", "b.onnx", "--output-dir", "."], "would overwrite the model"),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage_errors(run: Run, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, sentence = USAGE[case]
    code, out, err = run("optimize", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert names(tmp_path) == [], "nothing is done before the call makes sense"


def test_every_target_is_written_and_judged(run: Run, house: Path, tmp_path: Path) -> None:
    for target, domain in (("ort", b""), ("normonnx", b"FusedLayerNormalization")):
        written = tmp_path / f"{target}.onnx"
        assert run("optimize", house / LAYERNORM, "--target", target, "-o", written)[0] == 0
        assert domain in written.read_bytes()
        assert run("verify", house / LAYERNORM, written)[0] == 0


def test_did_you_mean(run: Run) -> None:
    assert "Did you mean 'optimize'?" in run("optimise")[2]
    code, _, err = run("explain", "NX11")
    assert code == 2
    assert "Did you mean NX101" in err


REFUSED = {
    "missing": ("no.onnx", "error[NX-E10]: no such file"),
    "directory": (".", "a directory, not a model file"),
    "empty": ("empty.onnx", "the file is empty"),
    "unsafe": ("unsafe.onnx", "error[NX-E12]: external data escapes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_models(
    run: Run, case: str, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.onnx").touch()
    proto = onnx.load(models_dir / BATCHNORM)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    (tmp_path / "unsafe.onnx").write_bytes(proto.SerializeToString())
    name, sentence = REFUSED[case]
    # optimize and inspect take a directory for the models in it
    for command in ("optimize", "inspect", "verify")[2 * (name == ".") :]:
        others = [name] if command == "verify" else []
        for quiet in ((), ("-q",)):
            code, out, err = run(command, name, *others, *quiet)
            assert code == 3
            assert sentence in err
            assert sentence not in out
            assert "Traceback" not in out + err
        assert "Traceback" in run(command, name, *others, "-vv")[2]


def test_destination_that_cannot_be_written(run: Run, house: Path) -> None:
    for destination in (house / "no" / "m.onnx", house):
        code, out, err = run("optimize", house / BATCHNORM, "-o", destination, "--no-verify")
        assert code == 4, "the model is fine"
        assert "error[NX-E13]: " in err
        assert out == "normonnx: ERROR 1 model, 0 rewrites\n"


def test_hostile_names_reach_no_terminal(run: Run, house: Path, tmp_path: Path) -> None:
    evil = "\x1b[2J[bold]\n::error::x"
    proto = onnx.load(house / BATCHNORM)
    for node in proto.graph.node:
        node.name = evil + node.name
    path = tmp_path / "\x1b[31mevil.onnx"
    path.write_bytes(proto.SerializeToString())
    for arguments in (
        ("optimize", path, "-v", "--report", f"json={tmp_path / 'r.json'}"),
        ("optimize", path, "--diff"),
        ("inspect", path, "-v"),
        ("verify", path, path, "-v"),
        ("explain", "NX001", path),
        ("inspect", tmp_path / f"{evil}.onnx"),
    ):
        _, out, err = run(*arguments)
        assert "\x1b" not in out + err
        assert not any(line.lstrip().startswith("::") for line in (out + err).splitlines())
    assert json.loads((tmp_path / "r.json").read_text())["models"][0]["name"] == path.name


def _in_this_process(
    tasks: dict[int, fleet.Task], workers: int, run: Callable[[fleet.Task], ModelReport]
) -> Iterator[tuple[int, ModelReport]]:
    """A crew that is here, where tests can replace what it works with."""
    for index, task in tasks.items():
        yield index, run(task)


def test_unexpected_failure_is_one_model_s(
    run: Run, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.optimize

    def sometimes(source: str, **options: object) -> api.Optimized:
        if source.endswith(LAYERNORM):
            raise RuntimeError("boom")
        return real(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "optimize", sometimes)
    monkeypatch.setattr("normonnx.fleet.crew.crew", _in_this_process)
    models = [house / name for name in (BATCHNORM, LAYERNORM, DENSE)]
    code, out, err = run("optimize", *models, "--output-dir", tmp_path / "o")
    assert code == 4
    assert "error[NX-E99]: internal error: RuntimeError: boom" in err
    assert LAYERNORM in err
    assert "Traceback" not in out + err
    assert names(tmp_path / "o") == sorted([BATCHNORM, DENSE])
    assert "Traceback" in run("optimize", *models, "--output-dir", tmp_path / "o", "-vv")[2]


def test_a_verdict_as_a_page(run: Run, house: Path, tmp_path: Path) -> None:
    new, page = tmp_path / "new.onnx", tmp_path / "page.html"
    optimised = run("optimize", house / BATCHNORM, "-o", new)[1]
    code, out, _ = run("verify", house / BATCHNORM, new, "--report", f"html={page}")
    assert code == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "Parity" in text
    # The line of the verdict and the last line tell the same distance, here and in `optimize`.
    for said in (optimised, out):
        told = re.search(r"parity PASS  .*?: ([0-9.]+)× the original", said)
        last = re.search(r"^normonnx: PASS .* float64 ([0-9.]+)x$", said, re.MULTILINE)
        assert told is not None
        assert last is not None
        assert told[1] == last[1]


@pytest.mark.parametrize("command", ["optimize", "apply"])
def test_untrusted_models_run_in_processes_of_their_own(
    command: str, run: Run, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = IsolatedSession._start

    def noting(self: IsolatedSession) -> None:
        started.append(self)
        start(self)

    monkeypatch.setattr(IsolatedSession, "_start", noting)
    plan, new = tmp_path / "plan.json", tmp_path / "new.onnx"
    assert run("optimize", house / BATCHNORM, "-o", new, "--plan", plan)[0] == 0
    assert not started
    words = (house / BATCHNORM,) if command == "optimize" else (plan, house / BATCHNORM)
    new.unlink()
    assert run(command, *words, "-o", new, "--untrusted")[0] == 0
    assert started
    assert new.exists()
    link = tmp_path / "linked" / BATCHNORM
    link.parent.mkdir()
    data = tmp_path / "weights.bin"
    model = onnx.load(house / BATCHNORM)
    onnx.save(model, link, save_as_external_data=True, location=data.name, size_threshold=0)
    (link.parent / data.name).rename(data)
    (link.parent / data.name).symlink_to(data)
    words = (*words[:-1], link)
    assert run(command, *words, "-o", tmp_path / "other.onnx", "--untrusted")[0] == 3


def test_verify(run: Run, house: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.onnx"
    run("optimize", house / BATCHNORM, "-o", new)
    code, out, err = run("verify", house / BATCHNORM, new, "--report", "json=-", "--seed", 5)
    assert code == 0
    assert json.loads(out)["verdict"]["seed"] == 5
    assert err.splitlines()[-1].startswith("normonnx: PASS 1 model, ")
    code, out, err = run("verify", house / BATCHNORM, house / DENSE, "-q")
    assert (code, out) == (1, "normonnx: FAIL 1 model\n")
    assert err.startswith("parity FAIL")
    code, _, err = run("verify", "-", "-")
    assert code == 2


def test_inspect_and_explain(run: Run, house: Path, tmp_path: Path) -> None:
    code, out, _ = run("inspect", house / LAYERNORM, "--report", f"json={tmp_path / 'i.json'}")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["inputs", "outputs", "operators"]
    assert lines[4].split() == [
        "rule", "kind", "where", "axes", "channels", "eps", "type", "verdict",
    ]  # fmt: skip
    assert lines[5].split() == [
        "NX101", "LayerNorm", "sequential/layer_normalization", "1", "64", "0.001", "float32",
        "fuses", "into", "LayerNormalization",
    ]  # fmt: skip
    assert lines[-1] == "normonnx: 2 sites to rewrite, 0 left alone"
    sites = json.loads((tmp_path / "i.json").read_text())["sites"]
    assert [site["rewritten"] for site in sites] == [True, True]
    code, out, _ = run("inspect", house / LAYERNORM, "--format", "json")
    assert (code, json.loads(out)["sites"]) == (0, sites)
    code, out, _ = run("explain", "nx101")
    assert code == 0
    assert "LayerNormalization(γ, β, axis, epsilon)" in out
    code, out, _ = run("explain")
    assert [line.split()[0] for line in out.splitlines()] == [*RULES, *ERRORS]
    code, out, _ = run("explain", "nx-e10")
    assert code == 0
    assert out.startswith("NX-E10 unreadable-model\n")
    code, out, _ = run("explain", "nx101", house / BATCHNORM)
    assert out.splitlines()[-1] == "normonnx: 0 sites to rewrite, 0 left alone"
    code, _, err = run("explain", "nx201", house / BATCHNORM)
    assert (code, "NX201 is about no norm" in err, "--dry-run lists what" in err) == (2, True, True)
    code, _, err = run("inspect", house / BATCHNORM, "--no-simplify")
    assert (code, "No such option" in err) == (2, True)
    code, out, _ = run("explain", "fold-into-convolution", house / BATCHNORM)
    assert code == 0
    assert out.count("NX001") >= 2
    assert out.splitlines()[-1] == "normonnx: 7 sites to rewrite, 0 left alone"


def test_doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("doctor")
    assert code == (4 if "problem: " in out else 0)
    assert "CPUExecutionProvider" in out
    assert "custom operators  " in out
    from normonnx import doctor

    monkeypatch.setattr(doctor, "_RUNTIMES", ("onnx", "onnx-ir"))
    code, out, _ = run("doctor")
    assert code == 4
    assert "both installed" in out


def test_progress_is_for_terminals(house: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(run("optimize", house / BATCHNORM)[2].splitlines()) == 1
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    code, out, _ = run("optimize", house / BATCHNORM)
    assert code == 0
    assert "\x1b[2K" in terminal.getvalue(), "shown, and taken away"
    assert out.splitlines()[-1].startswith("normonnx: PASS")


def test_interrupt_ends_with_130_and_what_is_done_is_told(
    run: Run, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.optimize

    def interrupted(source: str, **options: object) -> api.Optimized:
        if source.endswith(DENSE):
            raise KeyboardInterrupt
        return real(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "optimize", interrupted)
    monkeypatch.setattr("normonnx.fleet.crew.crew", _in_this_process)
    models = (house / BATCHNORM, house / DENSE, house / LAYERNORM)
    code, out, _ = run("optimize", *models, "--output-dir", tmp_path / "o")
    assert code == 130
    last = out.splitlines()[-1]
    assert last.startswith("normonnx: INTERRUPTED 3 models, 7 rewrites")
    assert last.endswith(", 2 not done")
    monkeypatch.setattr(api, "inspect", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("inspect", house / DENSE)[0] == 130


signals = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


def heeding_interrupts(*command: str) -> subprocess.Popen[bytes]:
    """A process started as from a terminal: in the background of a shell it would ignore them."""
    return subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


@signals
def test_interrupt_from_outside(house: Path, tmp_path: Path) -> None:
    """Who could write more than a pipe holds knows that the command reads, and reads on."""
    child = heeding_interrupts("-m", "normonnx", "optimize", "-", "-o", str(tmp_path / "m.onnx"))
    assert child.stdin is not None
    child.stdin.write(bytes(4 << 20))
    child.stdin.flush()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert child.returncode == 130
    assert b"Traceback" not in err + out
    assert names(tmp_path) == ["house"]


INTERRUPTED_IN_AN_IMPORT = """
import os, runpy, signal, sys, weakref

module, losing = sys.argv[1], sys.argv[2] == "lost"

def interrupt(_=None):
    os.kill(os.getpid(), signal.SIGINT)

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == module and losing:
            gone = Interrupting()
            watched = weakref.ref(gone, interrupt)
            del gone
        elif name == module:
            interrupt()

sys.meta_path.insert(0, Interrupting())
sys.argv[0:3] = ["normonnx"]
runpy.run_module("normonnx", run_name="__main__", alter_sys=True)
"""


@signals
@pytest.mark.parametrize("module", ["normonnx.cli", "click", "normonnx.api", "onnx_ir", "numpy"])
@pytest.mark.parametrize("how", ["raised", "lost"])
def test_interrupt_while_modules_are_imported(house: Path, module: str, how: str) -> None:
    """What is raised in a finalizer, Python only prints."""
    program = ("-c", INTERRUPTED_IN_AN_IMPORT, module, how)
    child = heeding_interrupts(*program, "optimize", str(house / BATCHNORM), "--dry-run")
    out, err = child.communicate()
    assert child.returncode == 130
    assert (out + err).strip() == b""


INTERRUPTED_AT_THE_END = """
import atexit, os, runpy, signal, sys

atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv[:] = ["normonnx", "explain", "NX001"]
runpy.run_module("normonnx", run_name="__main__", alter_sys=True)
"""


@signals
def test_interrupt_when_all_is_done() -> None:
    child = heeding_interrupts("-c", INTERRUPTED_AT_THE_END)
    out, err = child.communicate()
    assert child.returncode == 0
    assert b"NX001" in out
    assert err == b""


def test_report_survives_the_way_from_another_process() -> None:
    import pickle

    miss = NearMiss("k", "NX001", "bn", "BatchNormalization", "reason")
    report = ModelReport("m", "pass", near_misses=(miss,), verdict=Verdict("pass"))
    assert pickle.loads(pickle.dumps(report)) == report


def test_standard_input_of_the_python_api(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (house / BATCHNORM).read_bytes()
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    assert api.optimize("-", verify=False).report.name == "<stdin>"


def test_frozen_initializers_are_accepted_by_the_judge(run: Run, house: Path) -> None:
    path = house / BATCHNORM
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(value)
    onnx.save(model, path)
    result = house / "o.onnx"
    code, out, _ = run("optimize", path, "--freeze-initializers", "-o", result)
    assert code == 0
    assert "parity PASS" in out
    assert run("verify", path, result, "--freeze-initializers")[0] == 0
    code, out, _ = run("verify", path, result)
    assert code == 1
    assert "can no longer be overridden by the caller (--freeze-initializers accepts that)" in out
