"""One mutant through normonnx, and what it computes before and after, by ONNX Runtime alone.

Three guarded processes: one rewrites, and must never die; one compares, where the runtime itself
may fall over a mutant; one does all that a user gets, the judge included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from normonnx import api
from normonnx.errors import InternalError, NormonnxError
from tests.fuzz.mutate import Mutant
from tests.hostile.guarded import Guarded

SECONDS = 10.0
_JUDGED_SECONDS = 90.0
_COMPARING_SECONDS = 30.0
_MEMORY = 4 << 30

BROKEN = frozenset({"died", "hung", "unforeseen", "wrong"})
"""What must never come of a mutant."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What rewriting came to: "refused", "unforeseen", "unchanged" or "rewritten"."""

    outcome: str
    detail: str = ""
    rewrites: int = 0
    content: bytes = b""


def rewrite(content: bytes, verify: bool = False) -> Rewritten:
    """Optimise a file, by default without a judge."""
    try:
        result = api.optimize(content, verify=verify)
        if verify and result.report.status not in ("pass",):
            return Rewritten("refused", f"judged {result.report.status}")
        rewrites = len(result.report.rewrites)
        made = result.to_bytes(unverified=True)
    except InternalError as error:
        return Rewritten("unforeseen", error.message)
    except NormonnxError as error:
        return Rewritten("refused", error.code)
    except Exception as error:
        import traceback

        return Rewritten("unforeseen", "".join(traceback.format_exception(error)[-4:]))
    return Rewritten("rewritten" if rewrites else "unchanged", "", rewrites, made)


def compare(before: bytes, after: bytes) -> str:
    """What is different, "" for nothing, or why nothing can be said: "? …"."""
    try:
        feeds, wanted = _run(before, None)
    except Exception as error:
        return f"? the mutant does not run: {str(error)[:80]}"
    if not after:
        return ""
    try:
        _, found = _run(after, feeds)
    except Exception as error:
        return f"does not run any more: {str(error)[:300]}"
    for number, (a, b) in enumerate(zip(wanted, found, strict=True)):
        if (flaw := _difference(a, b)) != "":
            return f"output {number}: {flaw}"
    return ""


def judged(before: bytes, after: bytes) -> str:
    """The judge's word on two models."""
    return api.verify(before, after).status


def _run(content: bytes, feeds: dict[str, Any] | None) -> tuple[dict[str, Any], list[Any]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    if feeds is None:
        feeds = _feeds(onnx.ModelProto.FromString(content))
    run_options = onnxruntime.RunOptions()
    run_options.log_severity_level = 4
    return feeds, list(session.run(None, feeds, run_options))


def _feeds(model: onnx.ModelProto) -> dict[str, Any]:
    random = np.random.default_rng(3)
    fixed = {tensor.name for tensor in model.graph.initializer}
    feeds: dict[str, Any] = {}
    for info in model.graph.input:
        if info.name in fixed:
            continue
        tensor = info.type.tensor_type
        shape = [dim.dim_value if dim.dim_value > 0 else 2 for dim in tensor.shape.dim]
        if np.prod(shape, dtype=float) > 1 << 24:
            raise ValueError("inputs too large")
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype.kind == "f":
            feeds[info.name] = random.standard_normal(shape).astype(dtype)
        else:
            feeds[info.name] = random.integers(0, 2, shape).astype(dtype)
    return feeds


def _difference(wanted: Any, found: Any) -> str:
    if not isinstance(wanted, np.ndarray) or wanted.dtype.kind not in "fiub":
        return ""
    if wanted.dtype != found.dtype or wanted.shape != found.shape:
        return f"{found.dtype}{found.shape} instead of {wanted.dtype}{wanted.shape}"
    if wanted.dtype.kind != "f":
        return "" if np.array_equal(wanted, found) else "other integers"
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(found)):
        return "other infinities or NaNs"
    if not finite.any():
        return ""
    a, b = wanted[finite].astype(np.float64), found[finite].astype(np.float64)
    worst = float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
    return f"off by {worst:.1e} of the largest" if worst > 1e-3 else ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one mutant.

    Attributes:
        number: of the mutant.
        outcome: "refused", "unchanged", "equal", "unrunnable", "sensitive" (different by more
            than rounding, and right by the judge), "caught" (what the engines wrote was wrong
            and the judge took it back), "runtime" (ONNX Runtime itself does not
            survive the mutant), or one of `BROKEN`.
        detail: more about it.
    """

    number: int
    outcome: str
    detail: str = ""


class Bench:
    """The three processes."""

    def __init__(self) -> None:
        self._rewrite = Guarded(rewrite, seconds=SECONDS, memory=_MEMORY)
        self._compare = Guarded(compare, seconds=_COMPARING_SECONDS, memory=_MEMORY)
        self._judge = Guarded(judged, seconds=_JUDGED_SECONDS, memory=_MEMORY)
        self._whole = Guarded(rewrite, seconds=_JUDGED_SECONDS, memory=_MEMORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in (self._rewrite, self._compare, self._judge, self._whole):
            part.__exit__()

    def try_out(self, mutant: Mutant, *, whole: bool = False) -> Trial:
        """Rewrite a mutant and compare.

        Args:
            mutant: the mutant.
            whole: do all that a user gets, with the judge, instead.
        """
        answer = self._whole(mutant.content, True) if whole else self._rewrite(mutant.content)
        if answer.end != "done":
            if whole and self._compare(mutant.content, b"").end != "done":
                return Trial(mutant.number, "runtime", "judging")
            return Trial(mutant.number, answer.end, str(answer.value))
        made: Rewritten = answer.value
        if made.outcome != "rewritten":
            return Trial(mutant.number, made.outcome, made.detail)
        compared = self._compare(mutant.content, made.content)
        if compared.end != "done":
            alone = self._compare(mutant.content, b"")
            if alone.end != "done":
                return Trial(mutant.number, "runtime", "comparing")
            return Trial(mutant.number, "wrong", f"ONNX Runtime {compared.end} on the result")
        if compared.value.startswith("?"):
            return Trial(mutant.number, "unrunnable", compared.value)
        if not compared.value:
            return Trial(mutant.number, "equal", str(made.rewrites))
        verdict = self._judge(mutant.content, made.content)
        word = str(verdict.value)
        if word == "pass":
            return Trial(mutant.number, "sensitive", compared.value)
        if word == "fail" and not whole:
            return self._caught(mutant, compared.value)
        return Trial(mutant.number, "wrong", f"{compared.value}; judged {word}")

    def _caught(self, mutant: Mutant, difference: str) -> Trial:
        """Whether what a user gets is right, when it is the judge who saw to that."""
        answer = self._whole(mutant.content, True)
        if answer.end != "done":
            return Trial(mutant.number, answer.end, str(answer.value))
        made: Rewritten = answer.value
        if made.outcome == "rewritten":
            left = self._compare(mutant.content, made.content)
            if left.end != "done" or left.value:
                return Trial(mutant.number, "wrong", f"{left.value}, and the judge let it pass")
        return Trial(mutant.number, "caught", difference)
