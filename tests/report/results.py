"""Builders of results for the tests of reports."""

from __future__ import annotations

from typing import Any

from normonnx.journal import NearMiss, Rewrite
from normonnx.parity import Verdict
from normonnx.parity.metrics import Metrics
from normonnx.parity.verdict import OutputResult
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
    metrics = Metrics(
        elements=10,
        comparable=1.0,
        repaired=0,
        ulp=1e-7,
        max_abs=2e-7,
        max_rel=1e-6,
        rms_original=1e-7,
        rms_optimized=ratio * 1e-7,
        max_original=2e-7,
        max_optimized=2e-7,
        sqnr_db=120.0,
        cosine=float("nan"),
        ulps=3.0,
        histogram=(7, 3),
        agreement=None,
        worst=None,
    )
    failure = "" if status == "pass" else "'logits' is 6 times farther from float64"
    result = OutputResult("logits", 0, "CPU, as written", status == "pass", 0.5, "", metrics, True)
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
