"""What `Verdict.to_dict` gives is what the published schema says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge import VerifyOptions, verify
from normonnx.judge.verdict import SCHEMA, Verdict
from tests.judge.building import graph_model, replace_weight

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA_FILE = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
TEXT = """(float[n, 4] x) => (float[n, 4] y, int64[n] k) {
    y = MatMul(x, w)
    k = ArgMax <axis = 1, keepdims = 0> (y)
}"""


def of(factor: float, **options: Any) -> dict[str, Any]:
    eye = np.eye(4, dtype=np.float32)
    before = graph_model(TEXT, w=eye)
    after = replace_weight(before, "w", eye * np.float32(factor))
    models = (ir.from_proto(model) for model in (before, after))
    return verify(*models, options=VerifyOptions(**options)).to_dict()


@pytest.mark.parametrize(
    "content",
    [
        of(1.0),
        of(1.5),
        of(np.nan),
        of(1.5, rtol=1e-3),
        Verdict("inconclusive", first_failure="no feed").to_dict(),
    ],
    ids=["pass", "fail", "nan", "tolerance", "inconclusive"],
)
def test_verdicts_follow_the_schema(content: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(content, allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA_FILE).validate(plain)


def test_the_schema_is_one_and_tells_what_does_not_follow_it() -> None:
    validator = jsonschema.Draft202012Validator
    validator.check_schema(SCHEMA_FILE)
    assert SCHEMA_FILE["$id"] == SCHEMA
    broken = copy.deepcopy(of(1.5))
    assert broken["divergence"] is not None
    broken["outputs"][0]["new"] = 1
    broken["tiers"][0]["code"] = "T9"
    del broken["seed"]
    assert len(list(validator(SCHEMA_FILE).iter_errors(broken))) == 3
