"""Builders of results for the tests of reports."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from normonnx.journal import NearMiss, Rewrite
from normonnx.judge import Verdict
from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import measure
from normonnx.report import ModelFacts, ModelReport, Written

_KEPT = {"Conv": 53, "Relu": 70}
BEFORE = ModelFacts(17, 8, 176, {"BatchNormalization": 53, **_KEPT}, 25_557_032, 102_228_128)
AFTER = ModelFacts(17, 8, 123, _KEPT, 25_503_912, 102_015_648)


def rewrite(number: int = 0, rule: str = "NX001") -> Rewrite:
    return Rewrite(
        key=f"affine:y{number}",
        rule=rule,
        site=f"bn_{number}",
        summary="Conv·BatchNormalization → Conv",
        removed=(("Conv", f"conv_{number}"), ("BatchNormalization", f"bn_{number}")),
        added=(("Conv", f"conv_{number}"),),
        certificate="float64 windows agree to 3e-16",
    )


def miss(number: int = 0, reason: str = "'{0}' is also read by 'Concat_{0}'") -> NearMiss:
    return NearMiss(
        key=f"affine:z{number}",
        rule="NX003",
        site=f"Add_{number}",
        kind="affine arithmetic",
        reason=reason.format(number),
    )


def verdict(status: Any = "pass", ratio: float = 0.91) -> Verdict:
    """A verdict on outputs that are `ratio` times as far from the truth as the original's."""
    distance = np.array([1e-3, -2e-3, 3e-3])
    truth = np.zeros(3)
    original = (truth + (0 if np.isinf(ratio) else distance)).astype(np.float32)
    optimized = (truth + (1 if np.isinf(ratio) else ratio) * distance).astype(np.float32)
    is_fine = status == "pass"
    result = OutputResult(
        output="logits",
        draw=0,
        setting="CPU, optimisations off",
        passed=is_fine,
        flaw="",
        excess=0.5 if is_fine else 6.0,
        message="",
        metrics=msgspec.structs.replace(measure(original, optimized, truth), worst=None),
        decisive=True,
    )
    failure = "" if is_fine else "'logits' is 6 times farther from float64"
    return Verdict(status, outputs=(result,), first_failure=failure, providers=("cpu",))


def report(**changes: Any) -> ModelReport:
    fields: dict[str, Any] = {
        "name": "resnet50.onnx",
        "status": "pass",
        "before": BEFORE,
        "after": AFTER,
        "rewrites": tuple(rewrite(number) for number in range(53)),
        "near_misses": (miss(12), miss(13)),
        "verdict": verdict(),
        "written": Written("/x/resnet50.optimized.onnx", "4f1c9a77b2e0" + "0" * 52, 102_000_000),
        "seconds": 6.2,
    }
    return ModelReport(**{**fields, **changes})
