"""The judge runs what will run: the library registered, in a process whose end is a verdict."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normonnx
from normonnx.errors import EnvironmentLacksError
from normonnx.judge import Judge
from normonnx.ops.presence import carries_functions, needs_kernels
from normonnx.runtime.isolation import IsolatedSession
from tests.graphs import proto
from tests.judge.building import respelled

# What a library exports that Python asks; its registration is up to the test.
_LIBRARY = """
#include <stdlib.h>
struct OrtStatus;
extern "C" {{
const char* normonnx_version() {{ return "{version}"; }}
const char* normonnx_cpu_isa() {{ return "none"; }}
const char* normonnx_cuda_architectures() {{ return ""; }}
int normonnx_ort_api_version() {{ return 17; }}
OrtStatus* RegisterCustomOps(void*, const void*) {{ {body} return nullptr; }}
}}
"""
_FOREIGN = 'extern "C" void* RegisterCustomOps(void*, const void*) { return nullptr; }'
NORM = """m = ReduceMean <axes = [-1]> (h) d = Sub (h, m) q = Mul (d, d)
    v = ReduceMean <axes = [-1]> (q) e = Add (v, eps) r = Sqrt (e) n = Div (d, r)
    w = Mul (n, g) y = Add (w, b)"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles a library for ONNX Runtime to register."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    room = tmp_path_factory.mktemp("libraries")

    def build(name: str, code: str) -> Path:
        source, library = room / f"{name}.cc", room / f"{name}.so"
        source.write_text(code)
        subprocess.run([compiler, "-shared", "-fPIC", source, "-o", library], check=True)
        return library

    return build


def own(body: str) -> str:
    return _LIBRARY.format(version=normonnx.__version__, body=body)


def needs_library() -> None:
    try:
        normonnx.library_path()
    except EnvironmentLacksError as error:
        pytest.skip(error.message)


def norm_model(factor: float = 1.0) -> onnx.ModelProto:
    """A dense layer and a LayerNorm."""
    random = np.random.default_rng(3)
    made: onnx.ModelProto = proto(
        f"(float[N, 4] x) => (float[N, 8] y) {{ h = MatMul (x, k) {NORM} }}",
        opset=13,
        k=random.standard_normal((4, 8)).astype(np.float32),
        g=np.float32(factor) * np.linspace(0.5, 2, 8, dtype=np.float32),
        b=np.linspace(-1, 1, 8, dtype=np.float32),
        eps=np.float32(1e-5),
    )
    return made


def fused(factor: float = 1.0) -> bytes:
    result = normonnx.optimize(norm_model(factor), target="normonnx", verify=False)
    assert needs_kernels(result.model)
    assert carries_functions(result.model)
    return result.to_bytes()


def test_the_line_says_what_ran() -> None:
    needs_library()
    verdict = normonnx.verify(norm_model(), fused())
    assert verdict.passed
    assert verdict.line().endswith("CPU · functions and library")
    settings = {result.setting for result in verdict.outputs}
    assert settings == {
        "CPU, optimisations off",
        "CPU, optimisations on",
        "CPU, optimisations off, with the library",
        "CPU, optimisations on, with the library",
    }
    plain = normonnx.verify(norm_model(), respelled(norm_model()))
    assert plain.kernels == ""
    assert plain.line().endswith("CPU")


@pytest.mark.usefixtures("no_library")
def test_without_the_library_it_says_so() -> None:
    result = normonnx.optimize(norm_model(), target="normonnx")
    assert result.passed
    assert result.report.verdict is not None
    told = "functions only, not the library: the library of custom operators was not built"
    assert result.report.verdict.line().endswith(told)


def test_both_models_may_have_operators() -> None:
    needs_library()
    assert normonnx.verify(fused(), fused()).passed
    wrong = normonnx.verify(fused(), fused(1.01))
    assert wrong.status == "fail"
    assert normonnx.verify(fused(), norm_model()).kernels == "functions and library"


def test_a_model_that_carries_no_functions_fails_without_the_library() -> None:
    needs_library()
    bare = onnx.ModelProto.FromString(fused())
    del bare.functions[:]
    verdict = normonnx.verify(norm_model(), bare)
    assert verdict.status == "fail"
    assert "does not load (CPU, optimisations off)" in verdict.first_failure
    # As its own original it is compared where it runs.
    assert normonnx.verify(bare, bare).passed


def test_the_end_of_the_process_is_a_verdict(built: Callable[..., Path]) -> None:
    library = built("aborts", own("abort();"))
    verdict = normonnx.verify(norm_model(), fused(), custom_ops=[library])
    assert verdict.status == "fail"
    assert "does not load (CPU, optimisations off, with the library)" in verdict.first_failure
    assert "ONNX Runtime crashed (SIGABRT)" in verdict.first_failure
    result = normonnx.optimize(norm_model(), target="normonnx", custom_ops=[library])
    # The rewrite is taken back, and the model without it is fine.
    assert [item.rewrite.rule for item in result.report.reverted] == ["NX101"]
    assert "SIGABRT" in result.report.reverted[0].reason
    assert result.passed


def test_a_library_without_the_operators_changes_nothing(built: Callable[..., Path]) -> None:
    """It registers, and the functions run."""
    library = built("empty", own(""))
    verdict = normonnx.verify(norm_model(), fused(), custom_ops=[library])
    assert verdict.passed
    assert verdict.kernels == "functions and library"


def test_libraries_of_the_user(
    built: Callable[..., Path], tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """They are registered in every session; what is not there, or no library, is told."""
    library = built("foreign", _FOREIGN)
    before, after = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(norm_model(), before)
    after.write_bytes(fused())
    code, out, _ = run("verify", before, after, "--custom-ops", library, "-q")
    assert (code, out.split()[1]) == (0, "PASS")
    code, _, err = run("verify", before, after, "--custom-ops", tmp_path / "missing.so")
    assert code == 2
    assert "there is no library of custom operators at" in err
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    for command in (["verify", before, after], ["run", before], ["optimize", before]):
        code, _, err = run(*command, "--custom-ops", broken)
        assert code == 2
        assert "broken.so is not a shared library" in err
    ours = [built("ours", own("")), built("ours_too", own(""))]
    code, _, err = run("run", after, "--custom-ops", ours[0], "--custom-ops", ours[1])
    assert code == 2
    assert "are both libraries of normonnx" in err
    for command in ("optimize", "bench", "run"):
        models = [before, before] if command == "bench" else [before]
        code, _, err = run(command, *models, "--custom-ops", tmp_path / "missing.so")
        assert code == 2, command


def test_presence_is_seen_in_branches_and_functions() -> None:
    model = ir.from_proto(onnx.ModelProto.FromString(fused()))
    assert needs_kernels(model)
    del model.functions[next(iter(model.functions))]
    assert not carries_functions(model)
    assert not needs_kernels(ir.from_proto(norm_model()))


def test_a_library_that_is_named_and_does_not_load_is_an_error(
    built: Callable[..., Path],
    tmp_path: Path,
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The installation may lack a library; what the user names has to be there."""
    after = tmp_path / "b.onnx"
    after.write_bytes(fused())
    missing = own("missing();").replace("struct OrtStatus;", "struct OrtStatus; void missing();")
    unresolved = built("unresolved", missing)
    for command in (["verify", after, after], ["run", after], ["optimize", after, "--dry-run"]):
        code, out, err = run(*command, "--custom-ops", unresolved)
        assert code == 4, command
        assert "does not load" in out + err
    for named in (tmp_path / "nowhere.so", unresolved):
        monkeypatch.setenv("NORMONNX_LIBRARY", str(named))
        for command in (["verify", after, after], ["run", after], ["bench", after, after]):
            code, _, err = run(*command)
            assert code == 4, command
            assert "NORMONNX_LIBRARY" in err
        code, out, _ = run("doctor")
        assert code == 4
        assert "NORMONNX_LIBRARY" in out


def test_a_wrong_library_is_not_the_original_s_own_distance() -> None:
    """Of a model that has the operators, too, the functions say what is right."""
    needs_library()
    judge = Judge(ir.from_proto(onnx.ModelProto.FromString(fused())), kernels=True)
    assert judge.cases is not None
    sessions = judge.cases._subject.sessions
    assert len(sessions) == 4
    assert not any(isinstance(session, IsolatedSession) for session in sessions.values())
    bare = onnx.ModelProto.FromString(fused())
    del bare.functions[:]
    judge = Judge(ir.from_proto(bare), kernels=True)
    assert judge.cases is not None
    assert all(isinstance(s, IsolatedSession) for s in judge.cases._subject.sessions.values())


def test_a_library_that_ends_the_process_is_no_fault_of_the_inputs(
    built: Callable[..., Path], tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    after = tmp_path / "b.onnx"
    after.write_bytes(fused())
    code, _, err = run("run", after, "--custom-ops", built("aborts_too", own("abort();")))
    assert code == 3
    assert "SIGABRT" in err
    assert "--data" not in err
