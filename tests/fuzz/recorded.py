"""ONNX's own tests through normonnx: what is written gives the recorded outputs, or is unchanged.

    python -m tests.fuzz.recorded [--result benchmarks/results/onnx_node_tests.json]

goes through all of them: the tests of operators, of PyTorch's operators and models, the small
composed ones, and the light forms of the well-known image networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from normonnx import api
from normonnx.errors import NormonnxError
from tests.fuzz.seeds import node_tests

_DATA = Path(onnx.backend.test.__file__).parent / "data"
_NEAR = 1e-5
"""By how much two runs of ONNX Runtime may differ; ONNX's own 1e-7 is less than float32 rounds."""

STORED = ("simple", "pytorch-operator", "pytorch-converted")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A model with inputs and the outputs that it must give.

    Attributes:
        name: ONNX's own.
        content: the model.
        sets: pairs of inputs and outputs; loaded when they are needed.
        rtol, atol: how close they must be, as ONNX says.
    """

    name: str
    content: bytes
    sets: Callable[[], list[tuple[list[Any], list[Any]]]]
    rtol: float = 1e-3
    atol: float = 1e-7


def operators() -> Iterator[Recorded]:
    """The tests of single operators, and of functions."""
    for case in node_tests():
        sets = [(list(given), list(wanted)) for given, wanted in case.data_sets]
        yield Recorded(
            case.name, case.model.SerializeToString(), lambda s=sets: s, case.rtol, case.atol
        )


def stored(kind: str) -> Iterator[Recorded]:
    """Tests that onnx ships as files."""
    for directory in sorted((_DATA / kind).iterdir()):
        path = directory / "model.onnx"
        if path.exists():
            yield Recorded(
                f"{kind}/{directory.name}", path.read_bytes(), lambda d=directory: _sets(d)
            )


def light() -> Iterator[Recorded]:
    """The networks whose weights are computed by ConstantOfShape, with the output of ones."""
    for path in sorted((_DATA / "light").glob("light_*.onnx")):
        yield Recorded(path.stem, path.read_bytes(), lambda p=path: _light_set(p), atol=1e-6)


def _light_set(path: Path) -> list[tuple[list[Any], list[Any]]]:
    wanted = _tensor(path.with_name(f"{path.stem}_output_0.pb"))
    model = onnx.load(path)
    fixed = {t.name for t in model.graph.initializer}
    [info] = [i for i in model.graph.input if i.name not in fixed]
    shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
    return [([np.ones(shape, np.float32)], [wanted])]


def _sets(directory: Path) -> list[tuple[list[Any], list[Any]]]:
    return [
        tuple(
            [_tensor(folder / f"{side}_{n}.pb") for n in range(len(list(folder.glob(f"{side}_*"))))]
            for side in ("input", "output")
        )  # type: ignore[misc]
        for folder in sorted(directory.glob("test_data_set_*"))
    ]


def _tensor(path: Path) -> Any:
    return numpy_helper.to_array(onnx.load_tensor(path))


def outcome(case: Recorded, *, verify: bool = False) -> str:
    """What came of it.

    Returns:
        "unchanged"; "recorded outputs"; "the original's outputs", where ONNX Runtime gives others
        than those recorded for the original, too; "run by nobody", where neither ONNX Runtime nor
        onnx.reference runs the original; "refused: …"; or what is wrong: "WRONG …".
    """
    try:
        result = api.optimize(case.content, verify=verify)
    except NormonnxError as error:
        return f"refused: {error.message}"
    if verify and result.report.status != "pass":
        return f"WRONG: the verdict is {result.report.status}"
    made = result.to_bytes(unverified=True)
    if made == case.content:
        return "unchanged"
    came = "recorded outputs"
    for given, wanted in case.sets():
        run = _outputs
        before = run(case.content, given)
        if isinstance(before, str):
            run = _reference_outputs
            before = run(case.content, given)
        if isinstance(before, str):
            return "run by nobody"
        after = run(made, given)
        if isinstance(after, str):
            return f"WRONG: {after}"
        if not _difference(after, wanted, case.rtol, case.atol):
            continue
        if not _difference(before, wanted, case.rtol, case.atol):
            return f"WRONG: {_difference(after, wanted, case.rtol, case.atol)}"
        if flaw := _difference(after, before, case.rtol, _NEAR):
            return f"WRONG: {flaw}"
        came = "the original's outputs"
    return came


def _outputs(content: bytes, given: list[Any]) -> list[Any] | str:
    """What ONNX Runtime computes, or what it says instead."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]
        return list(session.run(None, dict(zip(names, given, strict=False))))
    except Exception as error:
        return str(error)[:200]


def _reference_outputs(content: bytes, given: list[Any]) -> list[Any] | str:
    """The same by onnx.reference, for types and versions of operators that the runtime lacks."""
    try:
        evaluator = ReferenceEvaluator(onnx.ModelProto.FromString(content))
        return list(evaluator.run(None, dict(zip(evaluator.input_names, given, strict=False))))
    except Exception as error:
        return str(error)[:200]


def _difference(found: list[Any], wanted: list[Any], rtol: float, atol: float) -> str:
    for ours, theirs in zip(found, wanted, strict=True):
        if isinstance(theirs, list):  # a sequence, whose tensors may be of different sizes
            if len(ours) != len(theirs):
                return f"{len(ours)} tensors instead of {len(theirs)}"
            if difference := _difference(ours, theirs, rtol, atol):
                return difference
            continue
        try:
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
        except (AssertionError, TypeError) as error:
            return " ".join(str(error).split())[:200]
    return ""


def main() -> int:
    from benchmarks.shared_models import installed

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--result", type=Path)
    arguments = parser.parse_args()
    kinds: dict[str, Iterator[Recorded]] = {"node": operators()}
    kinds |= {kind: stored(kind) for kind in STORED}
    facts: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": installed(),
        "kinds": {},
        "light": {},
        "refused": {},
        "wrong": {},
    }
    for kind, cases in kinds.items():
        start, outcomes = time.perf_counter(), Counter[str]()
        for case in cases:
            came = outcome(case)
            outcomes[came.partition(":")[0]] += 1
            if ":" in came:
                facts["wrong" if came.startswith("WRONG") else "refused"][case.name] = came
        facts["kinds"][kind] = {
            **dict(sorted(outcomes.items())),
            "seconds": round(time.perf_counter() - start),
        }
    for case in light():
        came = outcome(case, verify=True)
        facts["light"][case.name] = came
        if came.startswith("WRONG"):
            facts["wrong"][case.name] = came
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    sys.stdout.write(text)
    if arguments.result is not None:
        arguments.result.write_text(text, encoding="utf-8")
    return 1 if facts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
