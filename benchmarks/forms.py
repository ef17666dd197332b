"""How long ONNX Runtime takes for each form that a norm may be written in, on the CPU.

    python -m benchmarks.forms [--seconds S] [--output FILE]

The forms are what normonnx itself writes for its targets and options, beside what they were made
from. The operators of the domain normonnx run by their functions, which are inlined here, and not
by the library (that: `benchmarks.kernels_cpu`). All forms of a norm run in turns, round after
round, on one thread (`normonnx.bench`); times are medians, ratios come with their 95 % intervals.
`level` is ONNX Runtime's own optimisation. docs/targets.md quotes benchmarks/results/forms.json,
which this writes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto
from onnx.inliner import inline_local_functions

import normonnx
from benchmarks.kernels_cpu import machine
from tests.graphs import proto

RESULTS = Path(__file__).parent / "results" / "forms.json"
ROWS = ((128, 768), (4096, 768))
GROUPED = (
    ((1, 64, 64, 64), 8),
    ((1, 320, 32, 32), 32),
    ((2, 128, 16, 16), 32),
    ((1, 512, 16000), 512),
)

CENTRED = "m = ReduceMean <axes=[-1]> (x) d = Sub (x, m) q = Mul (d, d)"
ROOT = "v = ReduceMean <axes=[-1]> (q) e = Add (v, epsilon) r = Sqrt (e)"
LAYER = f"{CENTRED} {ROOT} n = Div (d, r) w = Mul (n, scale) y = Add (w, bias)"
RMS = f"q = Mul (x, x) {ROOT} n = Div (x, r) y = Mul (n, scale)"


def model(inputs: str, outputs: str, nodes: str, opset: int, **weights: Any) -> ModelProto:
    """A model from text; a weight is an array, or a shape for seeded numbers."""
    made: ModelProto = proto(f"({inputs}) => ({outputs}) {{ {nodes} }}", opset=opset, **weights)
    return made


def written(source: ModelProto, **options: Any) -> ModelProto:
    """What normonnx makes of a model."""
    result = normonnx.optimize(source, **options)
    assert result.passed, result.report.line()
    assert result.report.rewrites, [miss.reason for miss in result.report.near_misses]
    made: ModelProto = inline_local_functions(ModelProto.FromString(result.to_bytes()))
    return made


def plain() -> Iterator[tuple[str, tuple[str, ...], dict[str, ModelProto]]]:
    """A norm alone: spelled out, as the operator, and as a function where the opset is kept."""
    rows, width = ROWS[0]
    about = f"float[1,{rows},{width}]"
    weights: dict[str, Any] = {"scale": (width,), "epsilon": np.float32(1e-5)}
    for name, nodes, extra in (
        ("LayerNorm", LAYER, {"bias": (width,)}),
        ("RMSNorm", RMS, {}),
    ):
        source = model(f"{about} x", f"{about} y", nodes, 13, **weights, **extra)
        yield (
            f"{name} {rows}x{width}",
            ("all",),
            {
                "operator": written(source),
                "function": written(source, opset=13),
                "spelled out": source,
            },
        )


def grouped() -> Iterator[tuple[str, tuple[str, ...], dict[str, ModelProto]]]:
    """GroupNorm: as exporters write it, as the operator, and spelled out."""
    for shape, groups in GROUPED:
        about, channels = f"float[{','.join(map(str, shape))}]", shape[1]
        ones = (1,) * (len(shape) - 2)
        weights = {
            "folded": np.array([0, groups, -1], np.int64),
            "back": np.array(shape, np.int64),
            "scale": (channels, *ones),
            "bias": (channels, *ones),
        }
        end = "o = Reshape (n, back) w = Mul (o, scale) y = Add (w, bias)"
        instance = model(
            f"{about} input",
            f"{about} y",
            f"x = Reshape (input, folded) n = InstanceNormalization (x, one, zero) {end}",
            18,
            one=np.ones(groups, np.float32),
            zero=np.zeros(groups, np.float32),
            **weights,
        )
        each = math.prod(shape[2:]) * channels // groups
        spelled = model(
            f"{about} input",
            f"{about} y",
            f"""x = Reshape (input, folded) m = ReduceMean (x, last) d = Sub (x, m) q = Mul (d, d)
            v = ReduceMean (q, last) e = Add (v, epsilon) r = Sqrt (e) n = Div (d, r) {end}""",
            18,
            epsilon=np.float32(1e-5),
            last=np.array([-1], np.int64),
            **weights,
        )
        forms = {
            "InstanceNormalization between Reshapes": instance,
            "GroupNormalization": model(
                f"{about} input",
                f"{about} y",
                f"y = GroupNormalization <num_groups={groups}> (input, scale, bias)",
                21,
                scale=(channels,),
                bias=(channels,),
            ),
            "spelled out": spelled,
        }
        if groups == channels:
            forms["InstanceNormalization"] = written(spelled)
        yield f"GroupNorm {'x'.join(map(str, shape))}, {groups} groups of {each}", ("all",), forms


def residual() -> Iterator[tuple[str, tuple[str, ...], dict[str, ModelProto]]]:
    """The norm of a sum that is read again, as each target has it."""
    for rows, width in ROWS:
        about = f"float[1,{rows},{width}]"
        weights: dict[str, Any] = {"scale": (width,), "epsilon": np.float32(1e-5)}
        for name, nodes, extra in (
            ("LayerNorm", LAYER, {"bias": (width,)}),
            ("RMSNorm", RMS, {}),
        ):
            source = model(
                f"{about} a, {about} b",
                f"{about} y, {about} x",
                f"x = Add (a, b) {nodes}",
                13,
                **weights,
                **extra,
            )
            forms = {
                f"target {target}": written(source, target=target)
                for target in ("onnx", "ort", "normonnx")
            }
            forms["target normonnx, by its functions"] = forms.pop("target normonnx")
            yield f"Add + {name} {rows}x{width}", ("basic", "all"), forms


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each norm and level")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    norms = []
    for what, levels, forms in (*plain(), *grouped(), *residual()):
        found = normonnx.bench(*forms.values(), levels=levels, threads=(1,), seconds=given.seconds)
        for comparison in found.comparisons:
            times = {
                name: round(one.seconds.median * 1e6, 1)
                for name, one in zip(forms, comparison.models, strict=True)
            }
            ratios = {
                name: [round(part, 3) for part in (ratio.estimate, ratio.low, ratio.high)]
                for name, ratio in zip(list(forms)[1:], comparison.ratios, strict=True)
            }
            level = comparison.setting.level
            norms.append(
                {"norm": what, "level": level, "microseconds": times, "ratio_to_first": ratios}
            )
            print(f"{what:45} {level:6} {times}", flush=True)
    facts = {
        **machine(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "onnxruntime": onnxruntime.__version__,
        "threads": 1,
        "norms": norms,
    }
    given.output.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
