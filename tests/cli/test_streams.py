"""Every command, standard output and standard error apart: results here, everything else there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

MODEL = "tutorial_dense_batchnorm.onnx"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model, one that is optimised already, and one that is none."""
    shutil.copy(models_dir / MODEL, tmp_path / "m.onnx")
    (tmp_path / "none.onnx").write_bytes(b"PK\x03\x04 something else")
    (tmp_path / "below").mkdir()
    shutil.copy(models_dir / MODEL, tmp_path / "below" / "m.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pair(run: Run, house: Path) -> Path:
    """The same, with the optimised model and a plan beside."""
    assert (
        run("optimize", "m.onnx", "-o", "n.onnx", "--plan", "p.json", "-q", "--no-verify")[0] == 0
    )
    return house


TRANSCRIPTS = {
    "optimize": (
        "optimize m.onnx -o o.onnx --report json=r.json --plan q.json",
        0,
        [r"m\.onnx  opset \d+ · IR \d+ · .* params · weights .* · file .*", r"normonnx: PASS 1 .*"],
        [r"written to o\.onnx  sha256 \w{12}  .* s", r"written to r\.json", r"written to q\.json"],
    ),
    "optimize -q": (
        "optimize m.onnx -o o.onnx -q",
        0,
        [r"normonnx: PASS 1 model, \d+ rewrites, distance to float64 .*x"],
        [r"written to o\.onnx  sha256 .*"],
    ),
    "optimize, no file, -q": (
        "optimize nope.onnx -q",
        3,
        [r"normonnx: REFUSED 1 model, 0 rewrites"],
        [r"error\[NX-E10\]: no such file", r"  nope\.onnx"],
    ),
    "optimize, two of three": (
        "optimize m.onnx none.onnx below/m.onnx --check",
        3,
        [
            r"m\.onnx  6 rewrites to make",
            r"below/m\.onnx  6 rewrites to make",
            r"normonnx: REFUSED 3 models, 12 rewrites, 1 not done",
        ],
        [r"error\[NX-E10\]: not an ONNX model", r"  none\.onnx", r"  hint: .*"],
    ),
    "check": ("optimize m.onnx --check -q", 1, [r"normonnx: CHANGES 1 model, 6 rewrites"], []),
    "diff": ("optimize m.onnx --diff -q", 0, [r"normonnx: CHANGES 1 model, 6 rewrites"], []),
    "check and diff": ("optimize m.onnx --diff --check -q", 1, [r"normonnx: CHANGES .*"], []),
    "optimize, usage": (
        "optimize m.onnx --seed x",
        2,
        [],
        [r"error\[NX-E02\]: --seed: 'x' is not a whole number of at least 0",
         r"  hint: normonnx optimize --help"],
    ),
    "optimize, nowhere": (
        "optimize m.onnx -o no/o.onnx -q --no-verify",
        4,
        [r"normonnx: ERROR 1 model, 0 rewrites"],
        [r"error\[NX-E13\]: cannot write 'o\.onnx': No such file or directory", r"  m\.onnx: .*",
         r"  hint: .*"],
    ),
    "apply": (
        "apply p.json m.onnx -o o.onnx -q",
        0,
        [r"normonnx: PASS 1 model, \d+ rewrites, .*"],
        [r"written to o\.onnx  sha256 .*"],
    ),
    "apply, no plan": (
        "apply none.onnx m.onnx",
        2,
        [],
        [r"error\[NX-E02\]: 'none\.onnx' is not a plan: line 1 is not JSON", r"  hint: .*"],
    ),
    "verify": (
        "verify m.onnx n.onnx -q --report json=r.json",
        0,
        [r"normonnx: PASS 1 model, distance to float64 .*x"],
        [r"written to r\.json"],
    ),
    "verify, no file": (
        "verify m.onnx nope.onnx -q",
        3,
        [],
        [r"error\[NX-E10\]: no such file", r"  .*nope\.onnx"],
    ),
    "inspect": (
        "inspect m.onnx -q",
        0,
        [r"normonnx: \d+ sites to rewrite, \d+ left alone"],
        [],
    ),
    "inspect, one of two": (
        "inspect m.onnx none.onnx -q",
        3,
        [r"normonnx: \d+ sites to rewrite, .*"],
        [r"error\[NX-E10\]: not an ONNX model", r"  .*none\.onnx", r"  hint: .*"],
    ),
    "bench": (
        "bench m.onnx n.onnx -q --seconds 0.05 --report json=r.json",
        0,
        [r"normonnx: (FASTER|SLOWER|SAME|INCONCLUSIVE) .*"],
        [r"written to r\.json"],
    ),
    "run": (
        "run m.onnx -q --save-outputs o.npz",
        0,
        [r"normonnx: RAN m\.onnx, 1 run · CPUExecutionProvider · .*"],
        [r"written to o\.npz"],
    ),
    "explain": ("explain NX-E13", 0, [r"NX-E13 not-written"], []),
    "explain, no such code": (
        "explain NX-E1",
        2,
        [],
        [r"error\[NX-E02\]: code: no such error: 'NX-E1'\. Did you mean .*", r"  hint: .*"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TRANSCRIPTS)
def test_transcript(run: Run, pair: Path, case: str) -> None:
    words, expected, told, noted = TRANSCRIPTS[case]
    code, out, err = run(*words.split())
    assert code == expected, err
    lines = out.splitlines()
    if "-q" in words or expected:
        assert len(lines) == len(told), out
    for pattern, line in zip(told, [*lines[: len(told) - 1], *lines[-1:]], strict=True):
        assert re.fullmatch(pattern, line) or case == "explain", (pattern, line)
    assert len(err.splitlines()) == len(noted), err
    for pattern, line in zip(noted, err.splitlines(), strict=True):
        assert re.fullmatch(pattern, line), (pattern, line)


def test_bare_is_help(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("Usage: normonnx")
    commands = re.findall(r"^  (\w+)  +[A-Z]", out, re.MULTILINE)
    assert commands[0] == "optimize"


def test_reports_are_in_the_help(run: Run) -> None:
    out = " ".join(run("optimize", "--help")[1].split())
    assert "html, json, junit or markdown" in out


COMMANDS = {
    "optimize": ("optimize", "nope.onnx"),
    "apply": ("apply", "nope.json", "m.onnx"),
    "verify": ("verify", "m.onnx", "nope.onnx"),
    "inspect": ("inspect", "nope.onnx"),
    "bench": ("bench", "nope.onnx"),
    "run": ("run", "nope.onnx"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_tracebacks_and_exit_codes_go_together(run: Run, house: Path, command: str) -> None:
    plain, _, err = run(*COMMANDS[command])
    assert plain in (2, 3)
    assert "Traceback" not in err
    code, out, err = run(*COMMANDS[command], "-vv")
    assert code == plain
    assert "Traceback" in err
    assert "Traceback" not in out
    assert "error[NX-E" in err


def test_inspect_of_several_tells_what_they_are_made_of(run: Run, house: Path) -> None:
    shutil.copy("m.onnx", "other.onnx")
    code, out, _ = run("inspect", "m.onnx", "below/m.onnx", "other.onnx")
    assert code == 0
    assert re.findall(r"^(\S+)  opset", out, re.MULTILINE) == [
        "m.onnx", "below/m.onnx", "other.onnx",
    ]  # fmt: skip
    for title in ("inputs ", "outputs ", "operators "):
        assert out.count(f"\n  {title}") == 3
    graph = onnx.load("m.onnx").graph
    assert f"inputs     {graph.input[0].name} float32[" in out
    code, out, _ = run("inspect", "m.onnx", "other.onnx", "--format", "json")
    models = json.loads(out)["models"]
    assert [model["name"] for model in models] == ["m.onnx", "other.onnx"]
    assert models[0]["facts"]["file_bytes"] == Path("m.onnx").stat().st_size
    assert models[0]["inputs"][0]["name"] == graph.input[0].name
    assert models[0]["opsets"][""] == onnx.load("m.onnx").opset_import[0].version
    assert run("inspect", "m.onnx", "other.onnx", "--report", "html=x.html")[0] == 2


def test_other_forms_of_results(run: Run, pair: Path) -> None:
    code, out, err = run("optimize", "m.onnx", "--dry-run", "--no-verify", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["models"][0]["source"] == "m.onnx"
    code, out, _ = run("verify", "m.onnx", "n.onnx", "--format", "json")
    assert json.loads(out)["status"] == "pass"
    code, out, _ = run("optimize", "m.onnx", "none.onnx", "--check", "--format", "github")
    first, second, last = out.splitlines()
    assert first == "::error title=normonnx%3A m.onnx,file=m.onnx::6 rewrites to make"
    assert second.startswith("::error title=normonnx%3A none.onnx,file=none.onnx::not an ONNX")
    assert last.startswith("normonnx: REFUSED")


def test_a_missing_file_is_annotated_on_github(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _, out, err = run("verify", "nope.onnx", "m.onnx")
    assert out == ""
    assert "::error title=normonnx%3A nope.onnx::no such file" in err.splitlines()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    _, out, _ = run("optimize", "m.onnx", "--check", "-q")
    assert out.splitlines()[0].startswith("::error title=normonnx%3A m.onnx,file=m.onnx::")


def test_colour_is_there_where_it_is_asked_for(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in run("explain", "NX001", "--color", "always")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" not in run("explain", "NX001", "--color", "never")[1]
    assert run("explain", "NX001", "--color", "blue")[0] == 2


def test_versions_norms_and_operators(run: Run, models_dir: Path, house: Path) -> None:
    path = models_dir / "tutorial_dense_layernorm.onnx"
    code, out, _ = run("optimize", path, "--dry-run", "--no-verify", "-v")
    assert code == 0
    nodes = next(line for line in out.splitlines() if line.startswith("  nodes "))
    assert " · LayerNormalization 0 → 2 · " in nodes.partition(" → ")[2]
    table = out[out.index("  operator ") :].splitlines()
    assert table[1].split() == ["LayerNormalization", "0", "2"]
    before = onnx.load(path).opset_import[0].version
    assert re.search(rf"opset {before} → 17 .*: loads in ONNX Runtime 1\.1\d and newer", out)
    assert out.count(f"opset {before} → 17") == 1


def _model(node: onnx.NodeProto, *, opset: int = 17, domain: bool = False) -> bytes:
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 4]) for n in "xy"]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid("my", 1)] if domain else []
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return bytes(model.SerializeToString())


REFUSED = {
    "of a later opset": (
        _model(helper.make_node("Gelu", ["x"], ["y"], name="gelu"), opset=13),
        "error[NX-E11]: Gelu node 'gelu' needs opset 20, and the model declares opset 13",
    ),
    "of no opset": (
        _model(helper.make_node("NoSuch", ["x"], ["y"], name="n")),
        "error[NX-E11]: NoSuch node 'n': ONNX has no operator of that name",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("how", [(), ("--no-verify",), ("--check",)])
def test_operators_that_the_opset_lacks_are_refused(
    run: Run, house: Path, case: str, how: tuple[str, ...]
) -> None:
    content, sentence = REFUSED[case]
    Path("bad.onnx").write_bytes(content)
    code, out, err = run("optimize", "bad.onnx", *how)
    assert (code, out) == (3, "normonnx: REFUSED 1 model, 0 rewrites\n")
    assert err.splitlines()[0] == sentence
    assert not Path("bad.optimized.onnx").exists()


def test_what_the_runtime_refuses_is_refused_though_nothing_is_to_be_done(
    run: Run, house: Path
) -> None:
    node = helper.make_node("Foo", ["x"], ["y"], domain="my", name="foo")
    Path("bad.onnx").write_bytes(_model(node, domain=True))
    code, out, err = run("optimize", "bad.onnx")
    assert (code, out) == (3, "normonnx: REFUSED 1 model, 0 rewrites\n")
    assert "ONNX Runtime does not load the model" in err
    assert not Path("bad.optimized.onnx").exists()
    code, out, _ = run("optimize", "bad.onnx", "--no-verify", "-q")
    assert (code, out) == (0, "normonnx: UNVERIFIED 1 model, 0 rewrites\n")


WITHOUT_A_RUNTIME = """
import sys, types
empty = types.ModuleType("onnxruntime")
empty.__file__ = None
sys.modules["onnxruntime"] = empty
from normonnx.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "words", ["optimize m.onnx -q", "verify m.onnx n.onnx", "bench m.onnx", "run m.onnx", "doctor"]
)
def test_what_is_left_of_a_runtime_is_one_clear_error(pair: Path, words: str) -> None:
    """Of onnxruntime a directory stays where onnxruntime-gpu was uninstalled beside it."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_RUNTIME, *words.split()],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 4
    told = done.stdout + done.stderr
    assert "onnxruntime is not installed, or only in part" in told
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in told
    assert "NX-E99" not in told


def test_providers_that_do_not_load_are_not_listed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from normonnx import doctor

    def loadable() -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("CPUExecutionProvider",), ("TensorrtExecutionProvider", "CUDAExecutionProvider")

    monkeypatch.setattr(doctor, "loadable", loadable)
    code, out, _ = run("doctor")
    assert code == 4
    assert re.search(r"^  providers +CPUExecutionProvider$", out, re.MULTILINE)
    assert "problem: CUDAExecutionProvider is part of this onnxruntime, and does not load" in out
    assert out.endswith("normonnx: FAIL doctor\n")


def test_what_is_listed_runs() -> None:
    """Asked of the runtime itself: a session of each provider that is said to load runs on it."""
    import onnxruntime

    from normonnx.doctor import loadable

    works, broken = loadable()
    assert {*works, *broken} == set(onnxruntime.get_available_providers())
    assert "CPUExecutionProvider" in works
    model = _model(helper.make_node("Relu", ["x"], ["y"]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    for provider in works:
        session = onnxruntime.InferenceSession(model, options, providers=[provider])
        assert session.get_providers()[0] == provider


@pytest.mark.parametrize("place", ["o.npz", "o"])
def test_outputs_are_saved_and_compared_with(run: Run, pair: Path, place: str) -> None:
    code, _, err = run("verify", "m.onnx", "n.onnx", "-q", "--save-outputs", place)
    assert code == 0
    assert err.startswith(f"written to {place}")
    code, out, _ = run("verify", "m.onnx", "n.onnx", "-v", "--load-outputs", place)
    assert code == 0
    assert "saved outputs: all 1 agree, to within 0" in out
    assert run("verify", "m.onnx", "n.onnx", "--data", place, "--load-outputs", place)[0] == 2


def test_saved_outputs_that_are_others_fail(run: Run, pair: Path) -> None:
    run("verify", "m.onnx", "n.onnx", "-q", "--save-outputs", "o.npz")
    name = onnx.load("m.onnx").graph.output[0].name
    arrays = dict(np.load("o.npz"))
    arrays[name] = arrays[name] * np.float32(1.1) + 1
    np.savez("other.npz", **arrays)
    words = ("verify", "m.onnx", "n.onnx", "-q", "--load-outputs", "other.npz")
    code, out, err = run(*words)
    assert (code, out) == (1, "normonnx: FAIL 1 model\n")
    assert f"saved outputs: '{name}' of other.npz differs by up to " in err
    arrays[name] = arrays[name][:1]
    np.savez("other.npz", **arrays)
    assert run(*words)[0] == 1, "another shape is another output"
    del arrays[name]
    np.savez("other.npz", **arrays)
    code, _, err = run(*words)
    assert code == 2
    assert "other.npz holds no output of the model" in err
